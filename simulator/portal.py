"""One simulated portal: its state, and how it answers what comes with a session."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import zlib
from collections.abc import Awaitable, Callable

from starlette.responses import Response

from .accounts import Accounts
from .boxes import Boxes
from .clock import Clock
from .counters import Count, Counters
from .endpoints import Endpoint
from .faults import Fault, Faults, Kind
from .history import HistoryRefused, asked, items
from .notices import feed
from .page import ERROR_PAGE, JSON, Page
from .payload import blocks
from .replies import SUCCESS, faulty, rejection, success
from .switches import Switches
from .writes import FAILED, TAKEN, Headers, Write, Writes

log = logging.getLogger(__name__)

UNSPOILT = frozenset({Kind.SLOW, Kind.JSON, Kind.FORGOTTEN})
"""The kinds of fault whose answer to a write is a sound page, though not the ordinary one."""


class Simulator:
    """The state of one simulated portal.

    Args:
        accounts: Accounts and sessions; two demo accounts unless given.
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
        self.switches = Switches()
        self.writes = Writes()
        self.counters = Counters()
        self._sleep = sleep

    async def login(self, email: str, password: str) -> Response:
        """Answer one login: by the first fault that fits, else by the password."""
        self.counters.requests[Endpoint.LOGIN] += 1
        with self.counters.login(email, known=email in self.accounts) as counts:
            fault = await self._fault(Endpoint.LOGIN, email)
            if fault is not None:
                _count(counts, "faults")
                if fault.kind is not Kind.SLOW:
                    return faulty(fault, Page(SUCCESS))
            session_id = self.accounts.login(email, password)
            if session_id is None:
                _count(counts, "rejections")
                log.info("login rejected")
                return rejection()
            _count(counts, "successes")
            log.info("login accepted")
            return success(session_id)

    async def live(self, session_id: str, known_tag: str | None) -> Response:
        """Answer json.php.

        Args:
            session_id: Value of the cookie.
            known_tag: Value of If-None-Match.
        """

        def page(account: str) -> Page:
            now = self.clock.now()
            boxes = self.boxes.of(account, now)
            # PHP writes an array without members as a list.
            body = _json({box.id: blocks(box, now) for box in boxes} or [])
            if not self.switches.etag:
                return Page(body, media=JSON)
            tag = f'"{zlib.crc32(body):08x}"'
            if known_tag == tag:
                return Page(b"", 304, JSON, {"ETag": tag})
            return Page(body, media=JSON, headers={"ETag": tag})

        return await self._read(Endpoint.LIVE, session_id, page)

    async def history(self, session_id: str, body: bytes) -> Response:
        """Answer json2.php."""

        def page(account: str) -> Page:
            now = self.clock.now()
            boxes = self.boxes.of(account, now)
            try:
                name, since, until = asked(body)
            except HistoryRefused:
                return Page(ERROR_PAGE, 500)
            series = (items(name, box.plant, box.records, since, until) for box in boxes[:1])
            return Page(_json({"items": next(series, [])}), media=JSON)

        return await self._read(Endpoint.HISTORY, session_id, page)

    async def notifications(self, session_id: str) -> Response:
        """Answer the call for the list of notifications."""

        def page(account: str) -> Page:
            boxes = self.boxes.of(account, self.clock.now())
            notices = (notice for box in boxes for notice in box.notices)
            return Page(feed(notices, escaped=self.switches.escaped).encode())

        return await self._read(Endpoint.NOTIFICATIONS, session_id, page)

    async def write(
        self,
        script: str,
        session_id: str,
        headers: Headers,
        body: bytes,
    ) -> Response:
        """Answer a write, and queue it for its box unless it is malformed.

        Args:
            script: Name of the portal's script.
            session_id: Value of the cookie.
            headers: What comes with it.
            body: Body.
        """
        self.counters.requests[Endpoint.WRITES] += 1
        account = self.accounts.account_of(session_id)
        write = Write.of(self.clock.now(), script, headers, body, account)
        self.writes.log.append(write)
        fault = await self._fault(Endpoint.WRITES, account)
        if fault is not None and fault.kind is not Kind.SLOW and not fault.processed:
            write.outcome = "forgotten" if fault.kind is Kind.FORGOTTEN else "fault"
            page = FAILED if fault.kind is Kind.JSON else TAKEN
        elif account is None:
            write.outcome = "expired"
            page = self.switches.expired_page(Endpoint.WRITES)
        else:
            write.at = self.clock.now()
            boxes = self.boxes.of(account, write.at)
            page = self.writes.take(write, body, boxes, self.switches)
        log.info("write to %s %s", script, write.outcome)
        if fault is None or fault.kind in UNSPOILT:
            return page.response()
        return faulty(fault, page)

    def reset(self) -> None:
        """Return to the state of the start; logins under way still count down where they began."""
        self.accounts.reset()
        self.clock.reset()
        self.boxes.reset()
        self.faults.clear()
        self.switches = Switches()
        self.writes = Writes()
        self.counters = Counters()

    async def _read(
        self, endpoint: Endpoint, session_id: str, page: Callable[[str], Page]
    ) -> Response:
        """Answer a read: by the first fault that fits, by the session, else with its page."""
        self.counters.requests[endpoint] += 1
        account = self.accounts.account_of(session_id)
        fault = await self._fault(endpoint, account)
        sound = self.switches.expired_page(endpoint) if account is None else page(account)
        if fault is None or fault.kind is Kind.SLOW:
            return sound.response()
        return faulty(fault, sound)

    async def _fault(self, endpoint: Endpoint, email: str | None) -> Fault | None:
        """Take the fault that hits a request, and wait as long as it says."""
        fault = self.faults.take(email, endpoint)
        if fault is not None:
            log.info("%s hit by fault %s", endpoint.value, fault.kind.value)
            if fault.latency:
                await self._sleep(fault.latency)
        return fault


def _count(counts: tuple[Count, ...], outcome: str) -> None:
    for count in counts:
        setattr(count, outcome, getattr(count, outcome) + 1)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
