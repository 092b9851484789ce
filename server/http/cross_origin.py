"""What a page of another origin may read (CORS, Fetch standard 3.3)."""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from .guard import answer

METHODS = ["POST", "GET", "DELETE"]
"""What a page may ask for."""


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
