"""Origins of web pages: scheme, host and port, as browsers send them (RFC 6454)."""

from __future__ import annotations

import ipaddress
import re

DEFAULT_PORTS = {"http": "80", "https": "443"}

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
"""RFC 3986 3.1: programs that show web pages have schemes of their own, beside http and https."""

AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+))(?::(\d{0,5}))?", re.ASCII)
"""An IPv6 address has no zone here: it means something on its own machine only, and a client leaves
it out (RFC 6874 4)."""


def authority(text: str) -> tuple[str, str] | None:
    """Read a host with or without a port, as in a Host header or behind a scheme (RFC 9110 7.2).

    Args:
        text: The whole of it; nothing may stand before, between or behind.

    Returns:
        The host in lower case, without the dot that ends a fully qualified name, an IPv6 address in
        brackets and in its shortest form; and the port without zeros before it, empty if there is
        none. None for what is malformed.
    """
    match = AUTHORITY.fullmatch(text)
    if match is None:
        return None
    ipv6, host, port = match.groups()
    if ipv6 is not None:
        try:
            host = f"[{ipaddress.IPv6Address(ipv6)}]"
        except ValueError:
            return None
    host = host.lower().removesuffix(".")
    if not host or host.endswith("."):
        return None
    if not port:
        return host, ""
    return (host, str(int(port))) if 0 < int(port) <= 65535 else None


def is_address(host: str) -> bool:
    """Whether a host, as `authority` returns it, is an IP address and no name."""
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def canonical_origin(text: str) -> str | None:
    """Return an origin in its one spelling.

    That is lower case, without a default port and without the dot that ends a fully qualified name;
    an IPv6 address is in its shortest form.

    Args:
        text: As in an Origin header.

    Returns:
        None for what does not identify the origin of a page: `null`, a file, a URL with a path.
    """
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    host_and_port = authority(rest)
    if not separator or not SCHEME.fullmatch(scheme) or scheme == "file" or host_and_port is None:
        return None
    host, port = host_and_port
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
