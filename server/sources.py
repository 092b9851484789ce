"""Where a call comes from: its address, in one canonical spelling, or its grant.

A call under a grant comes from that grant, wherever it was sent from: assistants in the cloud call
for many owners from a few addresses, and for one owner from several.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNKNOWN = "unknown"
"""All callers without a readable address share one budget."""

GRANT = "grant/"
"""What the source of a call under a grant begins with. No address does."""

OF_GRANT = re.compile(f"{GRANT}[0-9a-f]{{32}}")

IPV4_MAPPED_BITS = 96
"""Bits of an IPv6 address in front of the IPv4 address that it stands for: RFC 4291 2.5.5.2."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@lru_cache(maxsize=1024)  # a call needs it each time, and most come from a few addresses
def address_of(host: str | None) -> Address | None:
    """Read an address; None for anything else.

    An IPv4 address that is written as IPv6 (`::ffff:192.0.2.7`) is one of IPv4. A zone
    (`fe80::1%eth0`) is left out: it says nothing here, and may be any text.
    """
    try:
        address = ipaddress.ip_address((host or "").split("%", 1)[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


@lru_cache(maxsize=1024)
def source_of(host: str | None) -> str:
    """Write the address of a caller as failed logins are counted for it.

    An IPv6 address stands for its /64: a household has one, and may use any address in it.

    Args:
        host: Address of the client, or as a trusted proxy forwarded it.
    """
    address = address_of(host)
    if address is None:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def source_of_grant(grant: bytes) -> str:
    """Write the source of all calls under a grant, by its id of 16 bytes."""
    return f"{GRANT}{grant.hex()}"


def is_grant(source: str) -> bool:
    """Return whether a source is a grant."""
    return source.startswith(GRANT)


def is_well_formed(source: str) -> bool:
    """Return whether a source that begins as that of a grant is one; true of any other."""
    return not source.startswith(GRANT) or OF_GRANT.fullmatch(source) is not None


class Networks(NamedTuple):
    """The networks that a source lies in, the widest first; a source that is no address is each.

    Attributes:
        provider: Its /16, or the /32 that providers of IPv6 have.
        site: Its /24, the smallest that is routed, or the /48 that a site of IPv6 may have.
        household: Its address, or the /56 that a household has at most (RFC 6177).
    """

    provider: str
    site: str
    household: str


PREFIXES = {4: (16, 24, 32), 6: (32, 48, 56)}
"""Lengths of the prefixes of `Networks` by version of IP."""


@lru_cache(maxsize=4096)
def networks_of(source: str) -> Networks:
    """Return the networks that a source, as `source_of` writes it, lies in.

    A caller that has one address of a network can easily have others in it.
    """
    try:
        own = ipaddress.ip_network(source)
        provider, site, household = (
            str(own.supernet(new_prefix=length)) for length in PREFIXES[own.version]
        )
    except ValueError:  # `UNKNOWN`, or wider than a source
        return Networks(source, source, source)
    return Networks(provider, site, household)


def network_of(text: str) -> Network:
    """Read an address or a network of addresses, as an operator writes it.

    Raises:
        ValueError: It is none.
    """
    network = ipaddress.ip_network(text)
    if isinstance(network, ipaddress.IPv6Network):
        mapped = network.network_address.ipv4_mapped
        if mapped is not None and network.prefixlen >= IPV4_MAPPED_BITS:
            # As `source_of` writes the addresses in it.
            return ipaddress.ip_network((mapped, network.prefixlen - IPV4_MAPPED_BITS))
    return network


def is_within(source: str, networks: Iterable[Network]) -> bool:
    """Return whether a source, as `source_of` writes it, lies in one of some networks.

    A network smaller than the /64 that an IPv6 source stands for is enough: its addresses
    count as the others of that source.
    """
    try:
        own = ipaddress.ip_network(source)
    except ValueError:  # `UNKNOWN`
        return False
    return any(own.version == one.version and own.overlaps(one) for one in networks)
