"""Which addresses belong to the public internet, and to no private network. Pure.

The lists are those of IANA's registries of special addresses (RFC 6890) and of multicast. Those of
`ipaddress` differ between versions of Python.
"""

from __future__ import annotations

import ipaddress

from ..sources import Address

SPECIAL_IPV4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # shared by customers of a provider
            "127.0.0.0/8",  # loopback
            "169.254.0.0/16",  # link-local; clouds serve secrets there
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocols
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)

GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
"""All that is given out of IPv6. Outside of it lie loopback, link-local, unique local and site
local addresses, multicast, and those that stand for one of IPv4: mapped (::ffff:0:0/96), compatible
(::/96) and of NAT64 (64:ff9b::/96, 64:ff9b:1::/48)."""

SPECIAL_IPV6 = tuple(
    map(
        ipaddress.IPv6Network,
        (
            "2001::/23",  # protocols; Teredo, which stands for one of IPv4
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which stands for one of IPv4
            "2620:4f:8000::/48",  # AS112
            "3fff::/20",  # documentation
        ),
    )
)


def is_public(address: Address) -> bool:
    """Return whether an address belongs to the public internet, as far as it shows.

    A network may translate addresses of its own choice to others, and nothing about those shows it.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in SPECIAL_IPV4)
    return address in GLOBAL_IPV6 and not any(address in network for network in SPECIAL_IPV6)
