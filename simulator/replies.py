"""The simulated portal's answers to a login, and the faulty ones to anything."""

from __future__ import annotations

import gzip

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .damage import DAMAGES, damaged
from .faults import Fault, Kind
from .page import Page

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
    Kind.NOT_MODIFIED: (304, b"", {}),
    Kind.NOTHING: (200, b"[]", {}),
}
"""Status, body and headers of each fault whose answer has nothing to do with the request."""

BLANKS = 1_000_000
"""Bytes by which an oversized answer is longer than it should be, at least."""

OVERSIZE = 16
"""How many times longer than sound an oversized answer is at least."""


def success(session_id: str | None) -> Response:
    """Answer a login that succeeded; without an id, forget the cookie."""
    headers = {} if session_id is None else {"Set-Cookie": f"PHPSESSID={session_id}; path=/"}
    return Response(SUCCESS, headers=headers, media_type="text/html")


def rejection() -> Response:
    """Answer a wrong e-mail or password as the portal does: 200 and nothing."""
    return Response(b"", media_type="text/html")


def faulty(fault: Fault, sound: Page) -> Response:
    """Answer as the fault says.

    Args:
        fault: Of any kind but `Kind.SLOW`, which has no answer of its own.
        sound: The answer without the fault; without a cookie, should it be to a login.
    """
    if fault.kind is Kind.DROP:
        return Dropped()
    if fault.text is not None:
        return Page(fault.text.encode(), headers=sound.headers).response()
    if fault.kind in FAULTY:
        status, body, headers = FAULTY[fault.kind]
        if fault.retry_after is not None:
            headers = {**headers, "Retry-After": fault.retry_after}
        return Page(body, status, headers=headers).response()
    return _spoilt(fault, sound).response()


def _spoilt(fault: Fault, sound: Page) -> Page:
    """Spoil a sound answer."""
    body, headers = sound.body, dict(sound.headers)
    if fault.kind in DAMAGES:
        body = damaged(fault.kind, body, fault.fields)
    elif fault.kind is Kind.OVERSIZED:
        body += b" " * max(BLANKS, OVERSIZE * len(body))
    elif fault.kind is Kind.TRUNCATED_GZIP:
        # A short one is cut inside the header: what is left unpacks to nothing, without an error.
        packed = gzip.compress(body)
        body = packed[: max(12, len(packed) // 2 if len(packed) > 100 else 0)]
        headers["Content-Encoding"] = "gzip"
    return Page(body, sound.status, sound.media, headers)


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
