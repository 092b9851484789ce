"""Where a request behind trusted proxies comes from: `X-Forwarded-For` and `X-Forwarded-Proto`.

Each proxy appends the address that it saw to `X-Forwarded-For`, so the list is believed from its
right end, as far as its authors are trusted. Entries further left may be the caller's invention,
and are ignored.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from ..sources import UNKNOWN, Address, Network, address_of

LOGGED = "oig.logged_address"
"""Key of the ASGI scope under which the address for logs stands; that which counts is `client`."""

PEER = "oig.peer"
"""Key of the ASGI scope under which stands who is at the other end of the connection, whatever was
forwarded; None if that is not known."""

MOST_HOPS = 32
"""Elements looked at. No request passes more proxies, and a caller may send thousands."""


class Origin(NamedTuple):
    """Where a request comes from.

    Attributes:
        counted: The address that budgets are counted for.
        logged: The address for logs, or `unknown`.
    """

    counted: str
    logged: str


def forwarded_address(
    client: str | None, values: Iterable[str], trusted: Sequence[Network]
) -> Origin:
    """Find the address of a caller.

    1. A client that is not a trusted proxy is the caller; its header is ignored.
    2. Without the header a trusted proxy is the caller itself.
    3. Otherwise the caller is the rightmost address not of a trusted proxy. If all are, it is
       the leftmost: a caller from within the trusted network.
    4. An element that ends the search and is no address (text, a name, nothing) is `unknown` in
       logs, and counts as the proxy that forwarded it, the only address known.

    Args:
        client: Address at the other end of the connection.
        values: Those of all `X-Forwarded-For` headers, in their order.
        trusted: Networks of the trusted proxies.
    """
    nearest = address_of(client)
    if nearest is None or not _is_in(nearest, trusted):
        return _itself(client)
    elements = [element for value in values for element in value.split(",")]
    for element in elements[: -MOST_HOPS - 1 : -1]:
        address = element_address(element)
        if address is None:
            return Origin(str(nearest), UNKNOWN)
        nearest = address
        if not _is_in(address, trusted):
            break
    return Origin(str(nearest), str(nearest))


@lru_cache(maxsize=1024)  # nearly every request needs it, and most come from a few addresses
def _itself(client: str | None) -> Origin:
    """Return the origin of a request that was not forwarded."""
    address = address_of(client)
    text = UNKNOWN if address is None else str(address)
    return Origin(text, text)


def element_address(element: str) -> Address | None:
    """Read one element: an address, in brackets if it is IPv6, and with a port or without.

    Returns:
        None for anything else. `for=` is the syntax of another header (RFC 7239), which no proxy
        writes into this one.
    """
    text = element.strip(" \t")
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not bracket or (port and not _is_port(port)):
            return None
        return address_of(host) if ":" in host else None
    host, colon, port = text.partition(":")
    if colon and ":" not in port:
        return address_of(host) if _is_port(f":{port}") else None
    return address_of(text)


def _is_port(text: str) -> bool:
    digits = text[1:]
    return text[0] == ":" and len(digits) <= 5 and digits.isascii() and digits.isdigit()


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


class Forwarded:
    """ASGI middleware: `client` and `scheme` of the scope become the caller's.

    Args:
        app: What gets the request then.
        trusted: The trusted proxies, as OIG_TRUSTED_PROXIES names them.
    """

    def __init__(self, app: ASGIApp, trusted: Iterable[str]) -> None:
        self._app = app
        self._trusted = tuple(ipaddress.ip_network(one) for one in trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the request."""
        if scope["type"] == "http":
            self._read(scope)
        await self._app(scope, receive, send)

    def _read(self, scope: Scope) -> None:
        client, port = scope.get("client") or (None, 0)
        scope[PEER] = client
        near = address_of(client)
        proxied = near is not None and _is_in(near, self._trusted)
        addresses = _values(scope, b"x-forwarded-for") if proxied else []
        counted, scope[LOGGED] = forwarded_address(client, addresses, self._trusted)
        if client is not None:
            scope["client"] = (counted, port if not addresses else 0)
        if proxied:
            # What the proxy next to us saw stands last.
            scheme = ",".join(_values(scope, b"x-forwarded-proto")).rpartition(",")[2]
            if scheme.strip().lower() in {"http", "https"}:
                scope["scheme"] = scheme.strip().lower()


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for header, value in scope["headers"] if header == name]
