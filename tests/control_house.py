"""Everything a change needs in one process, on one clock that only moves when told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx2

from server.auth.access import Access
from server.auth.caller import Caller
from server.auth.handles import Handles
from server.auth.sealing import Credential, Sealer
from server.auth.sessions import Sessions
from server.control.changes import Asked
from server.control.plan_token import Plans
from server.control.waits import Waits
from server.control.workflow import Control
from server.errors import CacheUnavailable
from server.records.journal import Journal
from server.records.record import Record
from server.upstream.portal_reader import Upstream
from simulator import build_app

from .control_worker import agreed
from .journal_entries import kept
from .local_accounts import local_accounts
from .portal_simulator import DEMO_BOX, QUEEN_BOX, SECOND_BOX, InProcess

SECRET = b"s" * 32
CLIENT = "test-client 1.0"

DEMO = Caller(Credential("demo@example.com", "demo"), None, "192.0.2.1", "192.0.2.1")
DEMO2 = Caller(Credential("demo2@example.com", "demo"), None, "192.0.2.2", "192.0.2.2")

BOXES = {DEMO_BOX: DEMO, SECOND_BOX: DEMO2, QUEEN_BOX: DEMO2}


NOON = 1_781_000_000.0
"""2026-06-09, about noon in Prague."""


class Clock:
    def __init__(self, time: float) -> None:
        self.time = time

    def __call__(self) -> float:
        return self.time


class Ticks:
    """A clock that goes on with another one, and stands still while that is set back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = clock()
        self._passed = 0.0

    def __call__(self) -> float:
        now = self._clock()
        self._passed += max(0.0, now - self._last)
        self._last = now
        return self._passed


class Versions:
    """What the daemon says of versions.

    Attributes:
        gone: Raised in place of that.
    """

    gone: CacheUnavailable | None = None

    async def agree(self):
        if self.gone is not None:
            raise self.gone


class Killed:
    """A portal that is read, and whose worker ends before it writes."""

    def __init__(self, portal) -> None:
        self._portal = portal

    async def read_live(self, session_id):
        return await self._portal.read_live(session_id)

    async def write(self, session_id, write):
        raise asyncio.CancelledError


class House:
    """A portal, accounts, a journal, and as many workers over them as wished."""

    def __init__(self, folder: Path, *, gap: float = 0.0, at: float = NOON) -> None:
        self.clock = Clock(at)
        self.portal = InProcess(wall=self.clock)
        # They stand for the daemon of several workers.
        self.accounts, self.versions = local_accounts(Ticks(self.clock), gap=gap), Versions()
        self.journal = Journal(folder / "journal.db", self.clock)
        self.stopping = asyncio.Event()
        self._closing: list = []
        self.accesses: list[Access] = []
        self.upstreams: list[Upstream] = []
        self.control = self.worker()
        self._admin = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(build_app(self.portal.simulator)),
            base_url="http://localhost/_admin/",
        )

    def worker(
        self, *, secret: bytes = SECRET, wrap=lambda portal: portal, sleep=None, ticks=None
    ) -> Control:
        """Make a worker; `wrap` may put something before its portal."""
        client = self.portal.client()
        sealer, handles = Sealer(secret, self.portal.base_url), Handles(secret)
        sessions = Sessions(self.accounts, client, sealer, handles, ttl=43200.0, wall=self.clock)
        access = Access(sessions, self.accounts, handles, sealer)
        upstream = Upstream(self.accounts, access, client, sealer, wall=self.clock)
        self.accesses.append(access)
        self.upstreams.append(upstream)
        plans = Plans(secret, self.portal.base_url)
        waits = Waits(
            self.journal.places,
            self.stopping,
            sleep=sleep or self.sleep,
            ticks=ticks or self.clock,
        )
        control = Control(
            access,
            upstream,
            wrap(client),
            self.versions,
            self.journal,
            plans,
            waits,
            wall=self.clock,
        )
        self._closing += [control, upstream, sessions, client]
        return control

    async def aclose(self) -> None:
        for part in self._closing:
            await part.aclose()
        await self._admin.aclose()
        await self.accounts.stop()

    async def admin(self, path: str, **members: object):
        answer = await self._admin.post(path, json=members)
        assert answer.status_code < 300, answer.text
        return answer.json()

    async def truth(self, box: str = DEMO_BOX) -> dict:
        return (await self._admin.get("truth", params={"box": box})).json()

    async def writes(self) -> list[dict]:
        return (await self._admin.get("writes")).json()["writes"]

    @property
    def access(self) -> Access:
        """What the first worker lets callers in by."""
        return self.accesses[0]

    @property
    def upstream(self) -> Upstream:
        """What the first worker reads of the portal."""
        return self.upstreams[0]

    @property
    def kept(self) -> int:
        """What an apply or a wait has left behind."""
        return kept(self.journal)

    def later(self, seconds: float) -> None:
        self.clock.time += seconds

    async def sleep(self, seconds: float) -> None:
        """Let simulated time pass for one that waits."""
        self.later(seconds)
        await asyncio.sleep(0)

    async def planned(self, box: str = DEMO_BOX, **asked: object):
        """Plan at a box of its owner, from a fresh reading."""
        self.later(31)
        return await self.control.plan(BOXES[box], Asked(**asked), box)

    async def look(self, caller: Caller, change: str) -> Record:
        """Look, and give what the journal has then."""
        return (await self.control.look(caller, change)).record

    async def applied(self, box: str = DEMO_BOX, **asked: object):
        """Plan, apply, and look until it is done."""
        planned = await self.planned(box, **asked)
        await self.control.apply(BOXES[box], *agreed(planned), CLIENT)
        self.later(95)
        return await self.look(BOXES[box], planned.plan.change_id)
