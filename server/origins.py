"""Origins of web pages: scheme, host and port, as browsers send them (RFC 6454)."""

from __future__ import annotations

import ipaddress
import re

DEFAULT_PORTS = {"http": "80", "https": "443"}

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
"""RFC 3986 3.1: programs that show web pages have schemes of their own, beside http and https."""

AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+))(?::(\d{0,5}))?", re.ASCII)


def canonical_origin(text: str) -> str | None:
    """Return an origin in its one spelling: lower case, no default port, shortest IPv6 address.

    Args:
        text: As in an Origin header.

    Returns:
        None for what is no origin of a page that could be told from others: `null`, a file, a URL
        with a path.
    """
    scheme, separator, authority = text.partition("://")
    scheme = scheme.lower()
    match = AUTHORITY.fullmatch(authority)
    if not separator or not SCHEME.fullmatch(scheme) or scheme == "file" or match is None:
        return None
    ipv6, host, port = match.groups()
    if ipv6 is not None:
        try:
            host = f"[{ipaddress.IPv6Address(ipv6)}]"
        except ValueError:
            return None
    if port and not 0 < int(port) <= 65535:
        return None
    port = port and str(int(port))
    if not port or port == DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host.lower()}"
    return f"{scheme}://{host.lower()}:{port}"
