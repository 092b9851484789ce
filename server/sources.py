"""Where a call comes from, in one spelling per neighbour."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

UNKNOWN = "unknown"
"""All callers without a readable address share one budget."""


@lru_cache(maxsize=1024)  # a call needs it each time, and most come from a few addresses
def source_of(host: str | None) -> str:
    """Write the address of a caller as failed logins are counted for it.

    An IPv6 address stands for its /64: a household has one, and may use any address in it.

    Args:
        host: Address of the peer, or as a trusted proxy forwarded it.
    """
    try:
        address = ipaddress.ip_address((host or "").split("%", 1)[0])
    except ValueError:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
