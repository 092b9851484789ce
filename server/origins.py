"""Origins of web pages: scheme, host and port, as browsers send them (RFC 6454)."""

from __future__ import annotations

import ipaddress
import re

DEFAULT_PORTS = {"http": "80", "https": "443"}

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
"""RFC 3986 3.1: programs that show web pages have schemes of their own, beside http and https."""

AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+))(?::(\d{0,5}))?", re.ASCII)


def canonical_origin(text: str) -> str | None:
    """Return an origin in its one spelling.

    That is lower case, without a default port and without the dot that ends a fully qualified name;
    an IPv6 address is in its shortest form.

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
    host = host.lower().rstrip(".")
    if not host:
        return None
    if port and not 0 < int(port) <= 65535:
        return None
    port = port and str(int(port))
    if not port or port == DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{port}"


def is_own(origin: str, scheme: str, host: str) -> bool:
    """Whether an origin is that of the very address that a request was sent to (RFC 6454 5).

    Args:
        origin: As in an Origin header.
        scheme: By which the request came: `http` or `https`.
        host: As in a Host header.
    """
    own = canonical_origin(f"{scheme}://{host}")
    return own is not None and canonical_origin(origin) == own
