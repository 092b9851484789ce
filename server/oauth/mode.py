"""Whether browser login applies to a request, and under which name of the server. Pure.

The modes:

- `hard`: the server has a public address of its own. Every request without a credential is refused,
  so that clients discover the login.
- `soft`: on the owner's own computer. Only calls of tools need a credential.
- `chat`: no browser login; nothing of it can be found, and everything is as it was before.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from starlette.types import Scope

from ..http.forwarded import PEER
from ..origins import authority, canonical_origin
from ..sources import address_of

PATH = "/mcp"
"""Where the protected resource lies."""

LOOPBACK_AUDIENCE = "loopback"
"""Audience of all spellings of loopback: it is one server, whichever of them its owner typed."""

FORWARDING = frozenset(
    {
        b"cdn-loop",
        b"client-ip",
        b"fastly-client-ip",
        b"forwarded",
        b"true-client-ip",
        b"via",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-original-for",
        b"x-original-host",
        b"x-original-url",
        b"x-proxyuser-ip",
        b"x-real-ip",
    }
)
"""Headers that proxies add (RFC 7239, RFC 9110 7.6.3, RFC 8586, and custom)."""

FORWARDING_PREFIXES = (b"cf-", b"x-envoy-", b"x-forwarded", b"tailscale-")
"""Beginnings of the names of others."""

HINT = (
    "A request came from another machine or through a proxy, and is served without browser login. "
    "For browser login there, set OIG_PUBLIC_URL to the address that clients call, such as "
    "https://oig.example.org."
)


@dataclass(frozen=True, slots=True)
class Mode:
    """How one request is to be taken.

    Attributes:
        strength: As the module says.
        issuer: Origin of the server as this caller knows it (RFC 8414 2); empty in `chat`.
    """

    strength: Literal["hard", "soft", "chat"]
    issuer: str = ""

    @property
    def resource(self) -> str:
        """The address that users give their clients (RFC 9728 1.2)."""
        return self.issuer + PATH

    @property
    def audience(self) -> str:
        """What a grant is good for: tokens of one audience are not valid in another."""
        return LOOPBACK_AUDIENCE if self.strength == "soft" else self.resource

    def is_resource(self, text: str) -> bool:
        """Return whether a client means this server by a `resource` parameter (RFC 8707 2).

        Clients write it with and without the path, a slash behind it, or the default port.
        """
        origin = text.removesuffix("/").removesuffix(PATH)
        return self.strength != "chat" and canonical_origin(origin) == self.issuer


CHAT = Mode("chat")


class Modes:
    """Judges requests by the settings.

    Args:
        login: OIG_LOGIN.
        public_url: OIG_PUBLIC_URL.
        chat_hosts: OIG_CHAT_HOSTS.
        hint: Called once, with what the operator can do, when browser login is on and a request
            cannot have it.
    """

    def __init__(
        self,
        login: str,
        public_url: str | None,
        chat_hosts: Iterable[str] = (),
        hint: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._is_on = login == "browser"
        self._hard = Mode("hard", public_url) if public_url else None
        self._chat_hosts = {name for name, _ in filter(None, map(authority, chat_hosts))}
        self._hint: Callable[[str], None] | None = hint

    def of(self, scope: Scope) -> Mode:
        """Return how a request is to be taken.

        Args:
            scope: Its ASGI scope, in which `Forwarded` has put the address of the connection.
        """
        # 1. The operator wants no browser login.
        # 2. The second address, for clients that drop a configured header once they find a login.
        # 3. A public address: the issuer is that one, whatever name a proxy calls us by.
        # 4. From this machine to this machine. A proxy on it is at the same address as a program
        #    of the owner's, and a caller can write any name in Host: all signs must agree.
        # 5. Anything else: an issuer made of a stranger's Host would be the stranger's choice.
        if not self._is_on:
            return CHAT
        if self._hard is not None and not self._chat_hosts:
            return self._hard  # whatever the host is: that of each request takes its time to read
        host = _host(scope)
        if host is not None and host[0] in self._chat_hosts:
            return CHAT
        if self._hard is not None:
            return self._hard
        if host is not None and _is_from_here(scope):
            soft = _soft(scope.get("scheme", "http"), *host)
            if soft is not None:
                return soft
        if self._hint is not None:
            self._hint(HINT)
            self._hint = None
        return CHAT


def _host(scope: Scope) -> tuple[str, str] | None:
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    # Of two neither is believed; the guard refuses them.
    return _authority(hosts[0]) if len(hosts) == 1 else None


@lru_cache(maxsize=64)  # a server is called by a few names
def _authority(header: bytes) -> tuple[str, str] | None:
    return authority(header.strip(b" \t").decode("latin-1"))


@lru_cache(maxsize=64)
def _soft(scheme: str, host: str, port: str) -> Mode | None:
    """Return the mode of a request that names loopback; None for another host."""
    if not _is_loopback(host):
        return None
    origin = canonical_origin(f"{scheme}://{':'.join(filter(None, (host, port)))}")
    assert origin is not None
    return Mode("soft", origin)


def _is_loopback(host: str) -> bool:
    if host in {"localhost", "[::1]"}:
        return True
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False


def _is_from_here(scope: Scope) -> bool:
    if not _is_this_machine(scope.get(PEER)):
        return False
    return not any(_is_of_proxy(name) for name, _ in scope["headers"])


@lru_cache(maxsize=1024)
def _is_this_machine(client: str | None) -> bool:
    address = address_of(client)
    return address is not None and address.is_loopback


@lru_cache(maxsize=64)
def _is_of_proxy(header: bytes) -> bool:
    name = header.lower()
    return name in FORWARDING or name.startswith(FORWARDING_PREFIXES)
