"""Host and Origin checks, so that no web page can reach the server through a visitor's browser.

A page that rebinds its own name to this machine still sends that name as Host. An IP literal cannot
be rebound and passes as Host. As an origin it proves nothing: any device in the house can serve a
page, and so can any program on this machine. So an origin must be the request's own address, or be
allowed by name. A request without Origin does not come from a page. The pages that pass may read
the answers (CORS, Fetch standard 3.3).
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from ..origins import authority, canonical_origin, is_address, is_own
from .refusal_log import RefusalLog

REMEMBERED = 64
"""Host headers that passed and need not be taken apart again: a server is called by a few."""

HOST_CURE = "Its operator can add the name to OIG_ALLOWED_HOSTS."

ORIGIN_CURE = "Its operator can add the origin to OIG_ALLOWED_ORIGINS."

NO_ORIGIN_CURE = (
    "A file or a sandboxed frame has no origin that could be allowed. Serve the page from an "
    "address; the operator of this server can add its origin to OIG_ALLOWED_ORIGINS."
)

TLS_CURE = (
    "If the page is this server's own, behind a proxy that terminates TLS, its operator can name "
    "the proxy in OIG_TRUSTED_PROXIES and let it send X-Forwarded-Proto. Otherwise its operator "
    "can add the origin to OIG_ALLOWED_ORIGINS."
)

MORE_THAN_ONE = (
    "The request has more than one {name} header; a {sender} sends exactly one. Look for a proxy "
    "that adds another."
)

METHODS = ["POST", "GET", "DELETE"]
"""What a page may ask for."""


class Names:
    """Names under which the server may be called.

    Args:
        hosts: Further host names beside localhost and IP literals; a port in them is ignored.
        origins: Further origins, each as `scheme://host[:port]`, in any spelling.
    """

    def __init__(self, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        read = filter(None, map(authority, hosts))
        self._hosts = {name for name, _ in read} | {"localhost"}
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
        read = authority(host)
        return read is not None and (read[0] in self._hosts or is_address(read[0]))

    def allows_origin(self, origin: str, scheme: str, host: str) -> bool:
        """Whether an Origin header may be served.

        Args:
            origin: The header.
            scheme: By which the request came, `http` or `https`.
            host: Its Host header.
        """
        return canonical_origin(origin) in self._origins or is_own(origin, scheme, host)


def origin_cure(origin: str, scheme: str, host: str) -> str:
    """Say what lets a refused page in; the arguments are those of `Names.allows_origin`.

    1. `null` and what is malformed cannot be allowed.
    2. The own origin but for TLS: a proxy terminates it, and is not trusted or does not say so.
    3. Any other can be allowed by name.
    """
    if canonical_origin(origin) is None:
        return NO_ORIGIN_CURE
    if scheme == "http" and is_own(origin, "https", host):
        return TLS_CURE
    return ORIGIN_CURE


class Guard:
    """ASGI middleware that answers 421 to a foreign Host and 403 to a foreign Origin.

    Args:
        app: What answers otherwise.
        names: Names under which the server may be called.
        origins: Whether it looks at Origin. What pages of all origins may ask for needs no look,
            and what has a look of its own.
    """

    def __init__(self, app: ASGIApp, names: Names, *, origins: bool = True) -> None:
        self._app = app
        self._names = names
        self._looks_at_origins = origins
        self._log = RefusalLog()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        hosts = _values(scope, b"host")
        origins = _values(scope, b"origin") if self._looks_at_origins else []
        host = hosts[0] if hosts else None
        origin = origins[0] if origins else None
        scheme = scope.get("scheme", "http")
        # Two of either are a smuggling attempt, or a proxy's mistake; neither is believed.
        if len(hosts) > 1:
            await self._refuse_twice(send, 421, "Host", "client")
        elif len(origins) > 1:
            await self._refuse_twice(send, 403, "Origin", "browser")
        elif host is None or not self._names.allows_host(host):
            self._log("for host", host or "", HOST_CURE)
            message = f"This server does not answer under that host name. {HOST_CURE}"
            await answer(send, 421, message)
        elif origin is not None and not self._names.allows_origin(origin, scheme, host):
            cure = origin_cure(origin, scheme, host)
            self._log("of the web page", origin, cure)
            await answer(send, 403, f"Web pages of that origin may not call this server. {cure}")
        else:
            await self._app(scope, receive, send)

    async def _refuse_twice(self, send: Send, status: int, name: str, sender: str) -> None:
        message = MORE_THAN_ONE.format(name=name, sender=sender)
        self._log("with two headers", name, message)
        await answer(send, status, message)


def _values(scope: Scope, header: bytes) -> list[str]:
    # White space around a value is not part of it (RFC 9110 5.5), but httptools leaves it behind.
    values = [value for name, value in scope["headers"] if name == header]
    return [value.strip(b" \t").decode("latin-1") for value in values]


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


def cross_origin(app: ASGIApp) -> ASGIApp:
    """Return an app whose answers the pages may read that the guard lets in."""
    middleware = CORSMiddleware(
        app,
        # Every page that comes this far: the guard has refused all others.
        allow_origin_regex=".*",
        # GET and DELETE are answered 405, which a page cannot read unless its preflight succeeds.
        allow_methods=METHODS,
        allow_headers=["*"],
        # A page from the internet may call a server in the local network, if the guard lets it.
        allow_private_network=True,
        expose_headers=[
            "Mcp-Session-Id",
            "Mcp-Protocol-Version",
            "WWW-Authenticate",
            "Retry-After",
        ],
    )

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        # Only browsers send an Origin; nobody else needs what the middleware adds.
        headers = dict(scope["headers"])
        wanted = headers.get(b"access-control-request-method", b"POST").decode("latin-1")
        if scope["method"] == "OPTIONS" and b"origin" in headers and wanted not in METHODS:
            await answer(send, 400, "Only POST, GET and DELETE are allowed.")
        else:
            await (middleware if b"origin" in headers else app)(scope, receive, send)

    return served
