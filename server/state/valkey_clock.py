"""A process's estimate of the clock of a shared server, corrected with each of its replies."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

STEP_SECONDS: Final = 1.0
"""Largest step back that is hidden by standing still: clocks of a primary and its replica differ by
less. While it stands nobody can log in, so a larger step is made."""


class ServerClock:
    """Seconds since the epoch on the server's clock; the host's may be wrong.

    Args:
        clock: Seconds, on a clock that never goes back while this process lives.
        wall: The host's own time, until the server's is known.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.local = clock
        self._offset = wall() - clock()
        self._latest = 0.0

    def now(self) -> float:
        """Return the time."""
        now = self.local() + self._offset
        if not self._latest - STEP_SECONDS < now < self._latest:
            self._latest = now
        return self._latest

    def learn(self, seconds: float, sent: float) -> None:
        """Correct the clock by a time that the server has just returned.

        The server read its clock at some moment since the request was sent. The clock is moved no
        further than needed to agree with that, so slow replies do not make it jitter.

        Args:
            seconds: The server's time.
            sent: When the request was sent, on the local clock.
        """
        self._offset = min(max(self._offset, seconds - self.local()), seconds - sent)
