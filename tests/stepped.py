"""An event loop whose clock stands still until a test moves it, so that no test waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from .waiting import PATIENCE

T = TypeVar("T")


class SteppedLoop(asyncio.SelectorEventLoop):
    """Runs what is ready and what is due; `now` is for the test to move.

    What a callback raises, which a loop only logs, is raised by `settle`.

    Attributes:
        waits_for: Say whether a reply of a real server is awaited, which takes real time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.waits_for: list[Callable[[], bool]] = []
        self._raised: list[BaseException] = []
        self.set_exception_handler(self._note)

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._raised.append(context.get("exception") or RuntimeError(context["message"]))

    def time(self) -> float:
        return self.now

    def settle(self) -> None:
        """Run until nothing is ready and nothing is due."""
        for _ in range(10_000):
            self._turn()
            self._await_replies()
            due = self.next_due()
            if not self._ready and (due is None or due > self.now):  # type: ignore[attr-defined]
                return
        raise AssertionError("there is always something to do")

    def next_due(self) -> float | None:
        """Return when the first timer is due; None without one."""
        timers = self._scheduled  # type: ignore[attr-defined]
        return min((one.when() for one in timers if not one.cancelled()), default=None)

    def run(self, seconds: float) -> None:
        """Let time pass, running what is due on the way."""
        end = self.now + seconds
        self.settle()
        for _ in range(100_000):
            due = self.next_due()
            if due is None or due > end:
                self.now = end
                self.settle()
                return
            self.now = max(self.now, due)
            self.settle()
        raise AssertionError("there is always something due")

    def do(self, call: Callable[[], T]) -> T:
        """Call something as if from within the loop."""

        async def called() -> T:
            return call()

        return self.wait(called())

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what a coroutine does that waits for no time to pass."""
        done = self.run_until_complete(coroutine)
        self._await_replies()
        return done

    def hear(self, what: str, condition: Callable[[], Any]) -> None:
        """Let messages of servers come, while the clock stands still, until a condition is true."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"not heard: {what}"
            self._process_events(self._selector.select(0.05))  # type: ignore[attr-defined]
            self.settle()

    def _turn(self) -> None:
        self.call_soon(self.stop)
        self.run_forever()
        if self._raised:
            raise self._raised.pop()

    def _await_replies(self) -> None:
        while any(waits() for waits in self.waits_for):
            self._turn()
            if not self._ready and any(waits() for waits in self.waits_for):  # type: ignore[attr-defined]
                events = self._selector.select(PATIENCE)  # type: ignore[attr-defined]
                assert events, "a server does not answer"
                self._process_events(events)  # type: ignore[attr-defined]
