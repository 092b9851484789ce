"""The administrator's paths about accounts and their sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .boxes import BOXES_MAX
from .guarded import Refused, guarded, sent

if TYPE_CHECKING:
    from .portal import Simulator


def routes(simulator: Simulator) -> list[Route]:
    """Give the routes for the accounts and sessions of a simulated portal."""

    async def add_account(request: Request) -> Response:
        match await sent(request):
            case {"email": str(email), "password": str(password), **rest} if not (
                rest.keys() - {"boxes"}
            ):
                count = _count(rest.get("boxes"))
                changed = simulator.accounts.add(email, password)
                if changed and not simulator.switches.keeps_sessions:
                    simulator.accounts.end_sessions_of(email)
                if count is not None:
                    simulator.boxes.give(email, count)
                boxes = list(simulator.boxes.ids_of(email))
                return JSONResponse({"email": email, "boxes": boxes}, 201)
        raise Refused(400, 'an account is {"email": text, "password": text}, and {"boxes": number}')

    async def list_sessions(_request: Request) -> Response:
        return JSONResponse({"sessions": simulator.accounts.session_ids()})

    async def end_sessions(_request: Request) -> Response:
        return JSONResponse({"ended": simulator.accounts.end_sessions()})

    return [
        Route("/_admin/accounts", guarded(add_account), methods=["POST"]),
        Route("/_admin/sessions", guarded(list_sessions), methods=["GET"]),
        Route("/_admin/sessions", guarded(end_sessions), methods=["DELETE"]),
    ]


def _count(raw: object) -> int | None:
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, int) or not 0 <= raw <= BOXES_MAX:
        raise Refused(400, f'"boxes" must be a whole number from 0 to {BOXES_MAX}')
    return raw
