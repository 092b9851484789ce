"""The reading tools over the simulated portal in one process, on one clock that a test moves."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from evals.fields import reason_for, reasons_in
from server.auth.access import Access
from server.auth.caller import Caller
from server.auth.handles import Handles
from server.auth.sealing import Credential, Sealer
from server.auth.sessions import Sessions
from server.readings.clock import PRAGUE
from server.upstream.portal_reader import Upstream
from simulator.box import Box
from simulator.truth import truth
from simulator.wishes import obey

from .control_house import SECRET, Clock
from .local_accounts import local_accounts
from .portal_simulator import DEMO_BOX, InProcess
from .tools_once import tool


def moment(local: str) -> float:
    """Give the Unix time of a time in Prague such as `2026-06-17T00:02:55`."""
    return datetime.fromisoformat(local).replace(tzinfo=PRAGUE).timestamp()


class ReadingHouse:
    """A portal, accounts, and workers over them.

    Args:
        local: The time at which it begins, Prague's.
        email: Whose boxes are read.
        box: Which of them.

    Attributes:
        live_ttl: Seconds for which live answers are shared.
    """

    def __init__(self, local: str, email: str = "demo@example.com", box: str = DEMO_BOX) -> None:
        self.clock = Clock(moment(local))
        self.portal = InProcess(wall=self.clock)
        self.accounts = local_accounts(self.clock, gap=0.0)
        self.live_ttl = 1.0
        self._box = box
        self._caller = Caller(Credential(email, "demo"), None, "192.0.2.1", "192.0.2.1")
        self._closing: list[Callable[[], Any]] = []

    @property
    def box(self) -> Box:
        """The simulated box, as it is now."""
        found = self.portal.simulator.boxes.find(self._box, self.clock.time)
        assert found is not None
        return found

    def at(self, local: str) -> ReadingHouse:
        """Let it be that time."""
        self.clock.time = moment(local)
        return self

    def have(self, **wishes: object) -> ReadingHouse:
        """Have the box be so, as an administrator can."""
        obey(self.box, wishes, self.clock.time, 0.0)
        return self

    def truth(self) -> Any:
        """Give all that is so at the box."""
        return truth(self.box, self.clock.time)

    async def read(self, name: str = "get_live_data", **arguments: Any) -> Any:
        """Call a reading tool of a worker that knows nothing but what the others do.

        What earlier calls shared of live data is too old by now.
        """
        answer = await self.call(name, **arguments)
        assert not answer.is_error, answer
        return answer.structured_content

    async def call(self, name: str, **arguments: Any) -> Any:
        """Call a reading tool, as `read`; return all of its answer."""
        client = self.portal.client()
        sealer, handles = Sealer(SECRET, self.portal.base_url), Handles(SECRET)
        sessions = Sessions(self.accounts, client, sealer, handles, ttl=43200.0, wall=self.clock)
        access = Access(sessions, self.accounts, handles, sealer)
        upstream = Upstream(
            self.accounts, access, client, sealer, live_ttl=self.live_ttl, wall=self.clock
        )
        self._closing += [upstream.aclose, sessions.aclose, client.aclose]
        now = datetime.fromtimestamp(self.clock.time, UTC)
        handle = (await access.open(self._caller)).session.handle
        boxes = {} if name == "list_boxes" else {"box_id": self._box}
        context: Any = SimpleNamespace(request_context=SimpleNamespace(request=None))
        asked = {"session": handle, **boxes, **arguments}
        asking = tool(name, access, upstream, lambda: now)
        return await asking.run(asked, context, convert_result=True)

    async def aclose(self) -> None:
        """Close everything."""
        for close in self._closing:
            await close()
        await self.accounts.stop()


def why(told: Any, path: str) -> str:
    """Say why a field of a result is null."""
    found = reason_for(path, reasons_in(told))
    assert found is not None
    return found


@contextlib.asynccontextmanager
async def reading_houses() -> AsyncIterator[Callable[..., ReadingHouse]]:
    """Give what makes houses, as `ReadingHouse` does, and close them all at the end."""
    houses: list[ReadingHouse] = []

    def make(*given: str, **more: str) -> ReadingHouse:
        houses.append(ReadingHouse(*given, **more))
        return houses[-1]

    yield make
    for house in houses:
        await house.aclose()
