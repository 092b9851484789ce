"""The simulated portal's own paths: HTTP in, HTTP out. What they answer is in `portal.py`."""

from __future__ import annotations

import json

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from . import admin, admin_accounts, admin_boxes
from .portal import Simulator
from .replies import success
from .writes import SCRIPTS, Headers

BODY_LIMIT = 16_384
"""Longest request body: a login has some 80 bytes."""

PATH = "/inc/php/scripts/"


def build_app(simulator: Simulator) -> Starlette:
    """Make the application: the portal's paths and, beside them, the administrator's."""

    async def login(request: Request) -> Response:
        pair = _pair(await _body(request))
        if pair is None:
            # What the portal answers to a malformed login is not known; nobody relies on it.
            return Response(b"", 400)
        return await simulator.login(*pair)

    async def logout(request: Request) -> Response:
        simulator.accounts.logout(_session(request))
        return success(None)

    async def live(request: Request) -> Response:
        return await simulator.live(_session(request), request.headers.get("if-none-match"))

    async def history(request: Request) -> Response:
        return await simulator.history(_session(request), await _body(request))

    async def call(request: Request) -> Response:
        asked = request.query_params
        if (asked.get("id"), asked.get("selector_id")) != ("2", "ctrl-notifs"):
            return Response(b"", 404)
        return await simulator.notifications(_session(request))

    async def write(request: Request) -> Response:
        return await simulator.write(
            request.url.path.removeprefix(PATH),
            _session(request),
            Headers(
                request.headers.get("content-type", ""),
                request.headers.get("x-requested-with", ""),
                request.query_params.get("_nonce"),
            ),
            await _body(request),
        )

    return Starlette(
        routes=[
            Route(f"{PATH}Login.php", login, methods=["POST"]),
            Route(f"{PATH}Logout.php", logout, methods=["POST"]),
            Route("/json.php", live, methods=["GET"]),
            Route("/json2.php", history, methods=["POST"]),
            Route(f"{PATH}Controller.Call.php", call, methods=["GET"]),
            *(Route(PATH + script, write, methods=["POST"]) for script in SCRIPTS),
            *admin.routes(simulator),
            *admin_accounts.routes(simulator),
            *admin_boxes.routes(simulator),
        ],
        exception_handlers={HTTPException: _refuse},
    )


async def _refuse(request: Request, exc: Exception) -> Response:
    """Answer for a path or method that is not there, to the administrator as all else: in JSON."""
    assert isinstance(exc, HTTPException)
    if request.url.path.startswith("/_admin/"):
        return JSONResponse({"error": exc.detail}, exc.status_code, exc.headers)
    return PlainTextResponse(exc.detail, exc.status_code, exc.headers)


def _session(request: Request) -> str:
    return request.cookies.get("PHPSESSID", "")


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            return b""
    return body


def _pair(body: bytes) -> tuple[str, str] | None:
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        return None
    match raw:
        case {"email": str(email), "password": str(password), **rest} if not rest:
            return email, password
    return None
