"""Networks as an operator names them: addresses and networks, but not everybody. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from ..sources import Network, network_of

WRONG = "must be addresses or networks such as 192.0.2.7 or 10.0.0.0/8"

WIDEST = {4: 8, 6: 16}
"""Shortest prefix by version of IP: nobody's own network is wider, unless it is private."""

PRIVATE = ipaddress.IPv6Network("fc00::/7")
"""Unique local addresses (RFC 4193)."""


def named_networks(names: Iterable[str], why_not_all: str) -> tuple[Network, ...]:
    """Read addresses and networks.

    Args:
        names: As the operator wrote them.
        why_not_all: What would come of naming everybody, as the end of a sentence.

    Raises:
        ValueError: One is none, or they are everybody: `*`, a network of half the Internet, or
            halves that make a whole.
    """
    everybody = ValueError(f"must not name everybody: {why_not_all}")
    networks = []
    for name in names:
        if name == "*":
            raise everybody
        networks.append(_network(name))
    v4 = [one for one in networks if isinstance(one, ipaddress.IPv4Network)]
    v6 = [one for one in networks if isinstance(one, ipaddress.IPv6Network)]
    whole: list[Network] = [*ipaddress.collapse_addresses(v4), *ipaddress.collapse_addresses(v6)]
    for network in whole:
        private = isinstance(network, ipaddress.IPv6Network) and network.subnet_of(PRIVATE)
        if network.prefixlen < WIDEST[network.version] and not private:
            raise everybody
    return tuple(networks)


def _network(name: str) -> Network:
    try:
        network = network_of(name)
    except ValueError:
        raise ValueError(WRONG) from None
    if "%" in name:
        raise ValueError(WRONG)
    return network
