"""How late the daemon's event loop was: what blocks it is seen, and forgotten after a while."""

import asyncio
import time

from server.cache import loop_lateness
from server.cache.loop_lateness import PERIOD, LoopLateness

from .waiting import until


async def test_a_loop_that_was_blocked_was_late_by_as_long_and_a_free_one_by_next_to_nothing(
    monkeypatch,
):
    monkeypatch.setattr(loop_lateness, "WINDOW", 2 * PERIOD)
    lateness = LoopLateness()
    keeping = asyncio.create_task(lateness.keep())
    await asyncio.sleep(0)
    time.sleep(3 * PERIOD)  # noqa: ASYNC251 - it blocks the loop, which is the case
    await until("it is noticed", lambda: lateness.longest > 0)
    assert lateness.longest >= 2 * PERIOD
    await until("it is forgotten", lambda: lateness.longest < 2 * PERIOD)
    keeping.cancel()
