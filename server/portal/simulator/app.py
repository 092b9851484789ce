"""The simulated portal's own paths, and the state behind them."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import admin
from .accounts import Accounts
from .answers import faulty, rejection, success
from .boxes import Boxes
from .clock import Clock
from .counters import Count, Counters
from .faults import Faults, Kind
from .payload import blocks

log = logging.getLogger(__name__)

BODY_LIMIT = 16_384
"""Longest request body: a login has some 80 bytes."""


class Simulator:
    """The state of one simulated portal.

    Args:
        accounts: Accounts and sessions; a demo account unless given.
        sleep: Waits for a number of seconds, where a fault asks for latency.
        wall: Unix time in seconds, from which the simulated time begins.
        seed: Of weather, households and everything else left to chance.
    """

    def __init__(
        self,
        accounts: Accounts | None = None,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        wall: Callable[[], float] = time.time,
        seed: int = 1,
    ) -> None:
        self.accounts = accounts or Accounts()
        self.clock = Clock(wall)
        self.boxes = Boxes(seed)
        self.faults = Faults()
        self.counters = Counters()
        self._sleep = sleep

    async def login(self, email: str, password: str) -> Response:
        """Answer one login: by the first fault that fits, else by the password."""
        known = email in self.accounts
        with self.counters.login(email if known else None) as counts:
            fault = self.faults.take(email)
            if fault is not None:
                _count(counts, "faults")
                log.info("login hit by fault %s", fault.kind.value)
                if fault.latency:
                    await self._sleep(fault.latency)
                if fault.kind is not Kind.SLOW:
                    return faulty(fault)
            session_id = self.accounts.login(email, password)
            if session_id is None:
                _count(counts, "rejections")
                log.info("login rejected")
                return rejection()
            _count(counts, "successes")
            log.info("login accepted")
            return success(session_id)

    def reset(self) -> None:
        """Return to the state of the start; logins under way still count down where they began."""
        self.accounts.reset()
        self.clock.reset()
        self.boxes.reset()
        self.faults.clear()
        self.counters = Counters()


def build_app(simulator: Simulator) -> Starlette:
    """Make the application: the portal's paths and, beside them, the administrator's."""

    async def login(request: Request) -> Response:
        pair = _pair(await _body(request))
        if pair is None:
            # What the portal answers to a malformed login is not known; nobody relies on it.
            return Response(b"", 400)
        return await simulator.login(*pair)

    async def logout(request: Request) -> Response:
        simulator.accounts.logout(request.cookies.get("PHPSESSID", ""))
        return success(None)

    async def live(request: Request) -> Response:
        account = simulator.accounts.account_of(request.cookies.get("PHPSESSID", ""))
        # An ended session shows itself as JSON that is not an object.
        if account is None:
            return JSONResponse([])
        now = simulator.clock.now()
        boxes = simulator.boxes.of(account, now)
        # PHP writes an array without members as a list.
        return JSONResponse({box.id: blocks(box, now) for box in boxes} or [])

    return Starlette(
        routes=[
            Route("/inc/php/scripts/Login.php", login, methods=["POST"]),
            Route("/inc/php/scripts/Logout.php", logout, methods=["POST"]),
            Route("/json.php", live, methods=["GET"]),
            *admin.routes(simulator),
        ]
    )


def _count(counts: tuple[Count, ...], outcome: str) -> None:
    for count in counts:
        setattr(count, outcome, getattr(count, outcome) + 1)


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
