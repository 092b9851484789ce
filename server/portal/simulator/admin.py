"""The administrator's paths of the simulated portal: faults, accounts, sessions, counters.

Only this machine may use them, and only with JSON: a web page open in a browser here cannot send
that to another origin without being allowed to. docs/simulator.md is their manual.
"""

from __future__ import annotations

import functools
import ipaddress
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .accounts import AccountRefused
from .faults import Fault, FaultRefused

if TYPE_CHECKING:
    from .app import Simulator

BODY_LIMIT = 16_384
"""Longest body of a request, as on the portal's own paths."""

Endpoint = Callable[[Request], Awaitable[Response]]


class Refused(Exception):
    """A request that is not served.

    Args:
        status: HTTP status of the answer.
        why: What is wrong with the request.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def routes(simulator: Simulator) -> list[Route]:
    """Give the administrator's routes for this simulated portal."""

    async def state(_request: Request) -> Response:
        return JSONResponse(
            {
                "logins": simulator.counters.as_json(),
                "faults": simulator.faults.as_json(),
                "sessions": simulator.accounts.session_count(),
            }
        )

    async def add_fault(request: Request) -> Response:
        simulator.faults.add(Fault.parse(await _json(request)))
        return JSONResponse({"faults": simulator.faults.as_json()}, 201)

    async def clear_faults(_request: Request) -> Response:
        return JSONResponse({"cleared": simulator.faults.clear()})

    async def add_account(request: Request) -> Response:
        match await _json(request):
            case {"email": str(email), "password": str(password), **rest} if not rest:
                simulator.accounts.add(email, password)
                return JSONResponse({"email": email}, 201)
        raise Refused(400, 'an account is {"email": text, "password": text}')

    async def end_sessions(_request: Request) -> Response:
        return JSONResponse({"ended": simulator.accounts.end_sessions()})

    async def reset(_request: Request) -> Response:
        simulator.reset()
        return JSONResponse({"reset": True})

    return [
        Route("/_admin/state", _guarded(state), methods=["GET"]),
        Route("/_admin/faults", _guarded(add_fault), methods=["POST"]),
        Route("/_admin/faults", _guarded(clear_faults), methods=["DELETE"]),
        Route("/_admin/accounts", _guarded(add_account), methods=["POST"]),
        Route("/_admin/sessions", _guarded(end_sessions), methods=["DELETE"]),
        Route("/_admin/reset", _guarded(reset), methods=["POST"]),
    ]


def _guarded(endpoint: Endpoint) -> Endpoint:
    @functools.wraps(endpoint)
    async def guarded(request: Request) -> Response:
        try:
            _check_caller(request)
            return await endpoint(request)
        except Refused as exc:
            return JSONResponse({"error": str(exc)}, exc.status)
        except (FaultRefused, AccountRefused) as exc:
            return JSONResponse({"error": str(exc)}, 400)

    return guarded


def _check_caller(request: Request) -> None:
    try:
        local = ipaddress.ip_address(request.client.host if request.client else "").is_loopback
    except ValueError:
        local = False
    if not local:
        raise Refused(403, "only this machine may use the administrator's paths")
    # A browser sends this type across origins only after asking, and is never given leave.
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.method == "POST" and kind != "application/json":
        raise Refused(415, "send JSON, with Content-Type: application/json")


async def _json(request: Request) -> object:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise Refused(413, f"a request has at most {BODY_LIMIT} bytes")
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is not JSON") from None
    return value
