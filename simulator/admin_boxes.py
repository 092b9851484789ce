"""The administrator's paths about boxes: their truth, their state, notifications, writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .box import Box
from .guarded import Refused, guarded, sent
from .truth import truth
from .wishes import notice, obey

if TYPE_CHECKING:
    from .portal import Simulator


def routes(simulator: Simulator) -> list[Route]:
    """Give the routes for the boxes of a simulated portal."""

    def named(raw: object) -> tuple[Box, float]:
        now = simulator.clock.now()
        box = simulator.boxes.find(raw, now) if isinstance(raw, str) else None
        if box is None:
            raise Refused(404, '"box" must be the id of a box, as text')
        return box, now

    async def tell_truth(request: Request) -> Response:
        return JSONResponse(truth(*named(request.query_params.get("box"))))

    async def list_boxes(_request: Request) -> Response:
        return JSONResponse({"boxes": simulator.boxes.as_json()})

    async def set_box(request: Request) -> Response:
        wishes = _members(await sent(request))
        box, now = named(wishes.pop("box", None))
        obey(box, wishes, now, simulator.switches.delay)
        return JSONResponse(truth(box, now))

    async def add_notice(request: Request) -> Response:
        members = _members(await sent(request))
        box, now = named(members.pop("box", None))
        box.add(notice(box.id, members, now))
        return JSONResponse({"notices": len(box.notices)}, 201)

    async def list_writes(_request: Request) -> Response:
        simulator.boxes.advance(simulator.clock.now())
        return JSONResponse({"writes": [write.as_json() for write in simulator.writes.log]})

    async def forget_writes(_request: Request) -> Response:
        forgotten = len(simulator.writes.log)
        simulator.writes.log.clear()
        return JSONResponse({"forgotten": forgotten})

    return [
        Route("/_admin/truth", guarded(tell_truth), methods=["GET"]),
        Route("/_admin/boxes", guarded(list_boxes), methods=["GET"]),
        Route("/_admin/boxes", guarded(set_box), methods=["POST"]),
        Route("/_admin/notices", guarded(add_notice), methods=["POST"]),
        Route("/_admin/writes", guarded(list_writes), methods=["GET"]),
        Route("/_admin/writes", guarded(forget_writes), methods=["DELETE"]),
    ]


def _members(raw: object) -> dict[str, object]:
    if not isinstance(raw, dict):
        raise Refused(400, "the body is a JSON object")
    return dict(raw)
