"""The administrator's paths about the simulated portal as a whole. Their manual: docs/simulator.md.

Those about accounts are in `admin_accounts.py`, those about boxes in `admin_boxes.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .faults import Fault
from .guarded import guarded, sent

if TYPE_CHECKING:
    from .portal import Simulator


def routes(simulator: Simulator) -> list[Route]:
    """Give the routes to look at a simulated portal, and to make it behave."""

    async def state(_request: Request) -> Response:
        return JSONResponse(
            {
                "logins": simulator.counters.as_json(),
                "requests": {k.value: n for k, n in simulator.counters.requests.items()},
                "faults": simulator.faults.as_json(),
                "sessions": simulator.accounts.session_count(),
                "clock": simulator.clock.as_json(),
                "switches": simulator.switches.as_json(),
            }
        )

    async def add_fault(request: Request) -> Response:
        simulator.faults.add(Fault.parse(await sent(request)))
        return JSONResponse({"faults": simulator.faults.as_json()}, 201)

    async def clear_faults(_request: Request) -> Response:
        return JSONResponse({"cleared": simulator.faults.clear()})

    async def set_switches(request: Request) -> Response:
        simulator.switches.obey(await sent(request))
        return JSONResponse(simulator.switches.as_json())

    async def set_clock(request: Request) -> Response:
        simulator.clock.obey(await sent(request))
        return JSONResponse(simulator.clock.as_json())

    async def reset(_request: Request) -> Response:
        simulator.reset()
        return JSONResponse({"reset": True})

    return [
        Route("/_admin/state", guarded(state), methods=["GET"]),
        Route("/_admin/faults", guarded(add_fault), methods=["POST"]),
        Route("/_admin/faults", guarded(clear_faults), methods=["DELETE"]),
        Route("/_admin/switches", guarded(set_switches), methods=["POST"]),
        Route("/_admin/clock", guarded(set_clock), methods=["POST"]),
        Route("/_admin/reset", guarded(reset), methods=["POST"]),
    ]
