"""Probes of a server that is away: a new one begins every quarter of a second.

A probe whose packets are lost hangs until its time is over, and may go on hanging after the server
has returned. So those after it do not wait for it: the first that succeeds ends all others. As each
has a time-out of its own, no more run at once than begin within that time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Final

PROBE_SECONDS: Final = 0.25
"""Seconds between two probes, so that a server is noticed within a second of its return."""


class Probes:
    """See above.

    Args:
        probe: Returns whether the server is there; has a time-out of its own, and raises nothing.
    """

    def __init__(self, probe: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        self._probe = probe
        self._running: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Return when a probe has succeeded and all others have ended."""
        succeeded = asyncio.Event()
        while not succeeded.is_set():
            task = asyncio.get_running_loop().create_task(self._try(succeeded))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROBE_SECONDS):
                    await succeeded.wait()
        await self.aclose()

    async def aclose(self) -> None:
        """End all probes that are running."""
        await end(*self._running)

    async def _try(self, succeeded: asyncio.Event) -> None:
        if await self._probe():
            succeeded.set()


async def end(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks until they have ended: redis-py may swallow a cancellation while it connects."""
    while running := [task for task in tasks if not task.done()]:
        for task in running:
            task.cancel()
        await asyncio.wait(running, timeout=0.1)
