"""Host and Origin checks, so that no web page can reach the server through a visitor's browser.

A page that rebinds its own name to this machine still sends that name as Host, and its own address
as Origin. IP literals cannot be rebound and pass.
"""

from __future__ import annotations

import ipaddress
import json
import logging
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from .origins import canonical_origin

logger = logging.getLogger(__name__)

REMEMBERED = 64
"""Host headers that passed and need not be taken apart again: a server is called by a few."""

SHOWN = 100
"""Characters of a refused name in the log: it is the caller's text."""


def host_name(host: str) -> str | None:
    """Return the name or address in a Host header, lower case, without port; None if malformed."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises for what is no port
    except ValueError:
        return None
    if parts.path or parts.query or parts.fragment or parts.username is not None:
        return None
    return (parts.hostname or "").rstrip(".") or None


class Names:
    """Names under which the server may be called.

    Args:
        hosts: Further host names beside localhost and IP literals; a port in them is ignored.
        origins: Further origins, each as `scheme://host[:port]`, in any spelling.
    """

    def __init__(self, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self._hosts = {name for host in hosts if (name := host_name(host))} | {"localhost"}
        self._passed: set[str] = set()
        self._origins = {canonical_origin(origin.removesuffix("/")) for origin in origins} - {None}

    def allows_host(self, host: str) -> bool:
        """Whether a Host header may be served."""
        if host in self._passed:
            return True
        passes = self._judge(host)
        if passes and len(self._passed) < REMEMBERED:
            self._passed.add(host)
        return passes

    def _judge(self, host: str) -> bool:
        name = host_name(host)
        if name is None:
            return False
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def allows_origin(self, origin: str) -> bool:
        """Whether an Origin header may be served. `null` (a sandboxed page, a file) may not."""
        if canonical_origin(origin) in self._origins:
            return True
        scheme, separator, host = origin.partition("://")
        return bool(separator) and scheme.lower() in {"http", "https"} and self.allows_host(host)


class Guard:
    """ASGI middleware that answers 421 to a foreign Host and 403 to a foreign Origin."""

    def __init__(self, app: ASGIApp, names: Names) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it with one log line."""
        host, origin = _headers(scope)
        if host is None or not self._names.allows_host(host):
            logger.warning(
                "refused a request for host %r: add the name to OIG_ALLOWED_HOSTS if it is yours",
                (host or "")[:SHOWN],
            )
            await answer(
                send,
                421,
                "This server does not answer under that host name. Its operator can add the name "
                "to OIG_ALLOWED_HOSTS.",
            )
        elif origin is not None and not self._names.allows_origin(origin):
            logger.warning(
                "refused a request of the web page %r: add it to OIG_ALLOWED_ORIGINS if it is "
                "yours",
                origin[:SHOWN],
            )
            await answer(
                send,
                403,
                "Web pages of that origin may not call this server. Its operator can add the "
                "origin to OIG_ALLOWED_ORIGINS.",
            )
        else:
            await self._app(scope, receive, send)


def _headers(scope: Scope) -> tuple[str | None, str | None]:
    host = origin = None
    for name, value in scope["headers"]:
        if name == b"host":
            # Two of them are a smuggling attempt; neither is believed.
            host = value.decode("latin-1") if host is None else ""
        elif name == b"origin":
            origin = value.decode("latin-1") if origin is None else ""
    return host, origin


async def answer(
    send: Send, status: int, message: str, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Send a JSON body `{"error": message}`.

    Args:
        send: ASGI's send.
        status: HTTP status.
        message: What is wrong and what to do; never the caller's text.
        headers: Further headers.
    """
    body = json.dumps({"error": message}).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})
