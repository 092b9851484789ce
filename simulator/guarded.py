"""The gate of the administrator's paths: this machine only, JSON only, refusals in words.

A web page open in a browser here cannot send JSON to another origin without being allowed to.
"""

from __future__ import annotations

import functools
import ipaddress
import json
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from server.errors import OigError

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


def guarded(endpoint: Endpoint) -> Endpoint:
    """Put the gate before an endpoint. What it refuses with an `OigError` is answered with 400."""

    @functools.wraps(endpoint)
    async def gate(request: Request) -> Response:
        try:
            _check_caller(request)
            return await endpoint(request)
        except Refused as exc:
            return JSONResponse({"error": str(exc)}, exc.status)
        except OigError as exc:
            return JSONResponse({"error": str(exc)}, 400)

    return gate


async def sent(request: Request) -> object:
    """Read the JSON of a request.

    Raises:
        Refused: It is too long, or no JSON.
    """
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
