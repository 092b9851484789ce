"""Handlers of one path, by method, as an ASGI app: for programs, or for people.

Answers to programs are JSON with `no-store`, also refusals (RFC 6749 5).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import request_response
from starlette.types import ASGIApp

from .mode import Mode
from .oauth_error import OAuthError

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""RFC 6749 5.1 wants both, in answers with tokens in them."""


def json_answer(body: Mapping[str, Any], *, status: int = 200) -> JSONResponse:
    """Return an answer that no cache stores.

    Args:
        body: What is said. A member without a value is left out of it by the caller: some clients
            take `null` for an error.
        status: HTTP status.
    """
    return JSONResponse(body, status_code=status, headers=NO_STORE)


def refused(why: OAuthError) -> JSONResponse:
    """Return the answer to a request that is refused."""
    return json_answer({"error": why.problem, "error_description": why.text}, status=why.status)


Handler = Callable[[Request], Awaitable[Response]]
"""Answers a request. What it raises as `OAuthError` is answered as JSON."""

MODE = "oig.login_mode"
"""Key of the ASGI scope under which the request's `Mode` stands. It is not `chat`: then there are
no such paths."""

EXPOSED = ["WWW-Authenticate", "Retry-After"]
"""Headers that a page's script may read beside those that all may."""

PREFLIGHT_SECONDS = 600


def mode_of(request: Request) -> Mode:
    """Return how a request is to be taken."""
    mode: Mode = request.scope[MODE]
    return mode


def for_programs(handlers: Mapping[str, Handler]) -> ASGIApp:
    """Return an app that scripts of all web pages may call.

    It knows no cookie, so they can do no more than any program that calls from elsewhere.

    Args:
        handlers: By method, in upper case. GET stands for HEAD too.
    """
    return CORSMiddleware(
        _by_method(handlers),
        allow_origins=["*"],
        allow_methods=sorted(handlers),
        allow_headers=["*"],
        allow_private_network=True,
        expose_headers=EXPOSED,
        max_age=PREFLIGHT_SECONDS,
    )


def for_people(handlers: Mapping[str, Handler]) -> ASGIApp:
    """Return an app that no script may call: without headers that allow it, browsers refuse to."""
    return _by_method(handlers)


def _by_method(handlers: Mapping[str, Handler]) -> ASGIApp:
    takes = {**handlers, **({"HEAD": handlers["GET"]} if "GET" in handlers else {})}
    allowed = ", ".join([*takes, "OPTIONS"])

    async def answered(request: Request) -> Response:
        handler = takes.get(request.method)
        if request.method == "OPTIONS":
            return Response(status_code=204, headers={"Allow": allowed})
        if handler is None:
            return JSONResponse(
                {"error": f"Only {allowed} are allowed here."},
                status_code=405,
                headers={"Allow": allowed},
            )
        try:
            return await handler(request)
        except OAuthError as exc:
            return refused(exc)

    return request_response(answered)
