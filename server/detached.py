"""Work that continues when its caller goes away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


class Detached(Generic[Result]):
    """Runs work that others wait for too, or that must not stop half-way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Result]] = set()

    async def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do the work and return its result. Cancelling the caller does not cancel the work."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # A caller that went away must not leave "exception was never retrieved" in the log.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(task)

    async def aclose(self, patience: float = 0.0) -> None:
        """Cancel what is not done after `patience` seconds, and wait for it."""
        if self._tasks and patience:
            await asyncio.wait(self._tasks, timeout=patience)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
