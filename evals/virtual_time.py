"""An event loop whose time passes only while everybody waits: an hour takes no time.

Everything that runs in one process on this loop is on one clock: timers, time-outs, the gaps
between requests, and whatever is given `VirtualTime` for its wall clock. No run depends on how busy
the machine is.
"""

from __future__ import annotations

import asyncio
import selectors
from asyncio import Future
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")

START = 1000.0
"""What the loop's clock shows at first, in seconds: not zero, which may stand for never."""

LOOK = 0.05
"""Real seconds for which the selector sleeps while threads work: they wake it up."""


class _JumpingSelector(selectors.DefaultSelector):
    """A selector that skips the time for which it was to wait.

    Attributes:
        passed: Seconds skipped so far.
        working: How many calls are under way in threads: nobody knows when those are done, so no
            time passes meanwhile.
    """

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0
        self.working = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        # Sockets in one process: what was sent has arrived, so looking once is enough.
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.working or timeout is None:
            return super().select(LOOK)
        self.passed += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The event loop. Use it as the `loop_factory` of an `asyncio.Runner`."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Give the virtual time in seconds; never goes back."""
        return START + self._jumping.passed

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Arguments], Result],
        *args: *Arguments,
    ) -> Future[Result]:
        """Call in a thread, as any loop does; no time passes until it is done."""
        self._jumping.working += 1
        try:
            future = super().run_in_executor(executor, func, *args)
        except BaseException:
            self._jumping.working -= 1
            raise
        future.add_done_callback(self._done)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        """Wait for the threads, as any loop does; no time passes until they are done."""
        self._jumping.working += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._jumping.working -= 1

    def _done(self, _: Future[Any]) -> None:
        self._jumping.working -= 1


class VirtualTime:
    """The clocks of one run on a `VirtualTimeLoop`.

    Args:
        loop: The loop.
        at: Unix time in seconds from which it begins.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        self._loop = loop
        self._offset = at - loop.time()

    def wall(self) -> float:
        """Give the Unix time in seconds."""
        return self._loop.time() + self._offset

    def now(self) -> float:
        """Give seconds on a clock that never goes back."""
        return self._loop.time()
