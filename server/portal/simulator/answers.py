"""The simulated portal's answers to a login, ordinary and faulty."""

from __future__ import annotations

import gzip

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .faults import Fault, Kind

SUCCESS = b'[[2,"",false]]'

DROP = "oig.drop"
"""ASGI extension of `serve.py`: a function that resets the connection."""

MAINTENANCE = b"<!DOCTYPE html><html><body><h1>Maintenance</h1></body></html>"

FAULTY: dict[Kind, tuple[int, bytes, dict[str, str]]] = {
    Kind.EMPTY: (200, b"", {}),
    Kind.JSON: (200, b'[[11,"login-error","<p>Wrong</p>",null]]', {}),
    Kind.HTML: (200, MAINTENANCE, {}),
    Kind.UNAUTHORIZED: (401, b"", {}),
    Kind.FORBIDDEN: (403, b"<html><body>Blocked</body></html>", {}),
    Kind.TOO_MANY: (429, b"", {}),
    Kind.ERROR: (500, b"<html><body>Error</body></html>", {}),
    Kind.UNAVAILABLE: (503, MAINTENANCE, {}),
    Kind.REDIRECT: (302, b"", {"Location": "https://elsewhere.invalid/login"}),
    Kind.NO_COOKIE: (200, SUCCESS, {}),
    # Cut inside the header: what is left unpacks to nothing, without an error.
    Kind.TRUNCATED_GZIP: (200, gzip.compress(SUCCESS)[:12], {"Content-Encoding": "gzip"}),
    Kind.OVERSIZED: (200, SUCCESS + b" " * 1_000_000, {}),
}
"""Status, body and headers of each fault that is an answer."""


def success(session_id: str | None) -> Response:
    """Answer a login that succeeded; without an id, forget the cookie."""
    headers = {} if session_id is None else {"Set-Cookie": f"PHPSESSID={session_id}; path=/"}
    return Response(SUCCESS, headers=headers, media_type="text/html")


def rejection() -> Response:
    """Answer a wrong e-mail or password as the portal does: 200 and nothing."""
    return Response(b"", media_type="text/html")


def faulty(fault: Fault) -> Response:
    """Answer a login as the fault says. `Kind.SLOW` has no answer of its own."""
    if fault.kind is Kind.DROP:
        return Dropped()
    status, body, headers = FAULTY[fault.kind]
    if fault.retry_after is not None:
        headers = {**headers, "Retry-After": fault.retry_after}
    return Response(body, status, headers=headers, media_type="text/html")


class Dropped(Response):
    """No answer: the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's three
        """Reset the connection; in the process, where there is none, raise instead."""
        drop = scope.get("extensions", {}).get(DROP)
        if drop is None:
            raise ConnectionResetError("the simulated portal dropped the connection")
        drop()
        # Returning before the server has noticed would make it answer 500.
        while (await receive())["type"] != "http.disconnect":
            pass
