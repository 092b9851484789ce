"""Which proxies may be trusted: addresses and networks, but not everybody. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from .sources import Network, network_of

EVERYBODY = (
    "must not name everybody: who is trusted may write any caller's address into X-Forwarded-For, "
    "and is then neither counted nor banned. Name the addresses of your own proxies"
)
WRONG = "must be addresses or networks such as 192.0.2.7 or 10.0.0.0/8"

WIDEST = {4: 8, 6: 16}
"""Shortest prefix by version of IP: no operator's own network is wider, unless it is private."""

PRIVATE = ipaddress.IPv6Network("fc00::/7")
"""Unique local addresses (RFC 4193)."""


def trusted_proxies(names: Iterable[str]) -> tuple[str, ...]:
    """Check the addresses and networks of trusted proxies; return them as networks.

    Raises:
        ValueError: One is none, or they are everybody: `*`, a network of half the Internet, or
            halves that make a whole.
    """
    networks = [_network(name) for name in names]
    v4 = [one for one in networks if isinstance(one, ipaddress.IPv4Network)]
    v6 = [one for one in networks if isinstance(one, ipaddress.IPv6Network)]
    whole: list[Network] = [*ipaddress.collapse_addresses(v4), *ipaddress.collapse_addresses(v6)]
    for network in whole:
        private = isinstance(network, ipaddress.IPv6Network) and network.subnet_of(PRIVATE)
        if network.prefixlen < WIDEST[network.version] and not private:
            raise ValueError(EVERYBODY)
    return tuple(map(str, networks))


def _network(name: str) -> Network:
    if name == "*":
        raise ValueError(EVERYBODY)
    try:
        network = network_of(name)
    except ValueError:
        raise ValueError(WRONG) from None
    if "%" in name:
        raise ValueError(WRONG)
    return network
