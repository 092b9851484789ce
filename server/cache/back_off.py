"""Decides when a worker asks the cache daemon, and when it fails at once: a circuit breaker."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ..errors import CacheUnavailable

HUNG_SECONDS: Final = 0.5
"""A daemon that did not answer is left alone for this long."""

ABSENT_SECONDS: Final = 0.1
"""A daemon that could not be reached is tried again after this."""

SUSPICION_SECONDS: Final = 5.0
"""A daemon that did not answer is asked by one caller at a time, but not for longer than this."""


class BackOff:
    """Decides whether the daemon may be asked. Times are seconds on the loop's clock.

    `where` is its socket, for the errors. `suspect` says whether it failed to answer last time.
    """

    def __init__(self, where: object) -> None:
        self.suspect = False
        self._where = where
        self._why = ""
        self._until = -math.inf
        self._probing = False

    def heard(self) -> None:
        """Note a sign of life, or the end of the connection: the next daemon is another process."""
        self.suspect = False

    def hung(self, now: float) -> None:
        """Note that it did not answer."""
        self.suspect = True
        self._begin(now + HUNG_SECONDS, "it does not answer")

    def absent(self, now: float, why: str) -> None:
        """Note that it could not be reached."""
        self._begin(now + ABSENT_SECONDS, why)

    def left(self, now: float) -> float:
        """Return for how many more seconds it is left alone; 0 if it may be asked."""
        return max(0.0, self._until - now)

    @contextmanager
    def asking(self, now: float) -> Iterator[None]:
        """Let the caller ask, for as long as the block lasts.

        1. It answered last time: all ask.
        2. It did not, but that is long ago: it is probably back, so all ask.
        3. Otherwise one caller at a time tries it, and the others get `CacheUnavailable`.
        """
        if now > self._until + SUSPICION_SECONDS:
            self.suspect = False
        if not self.suspect:
            yield
            return
        if self._probing or self.left(now):
            raise self.unavailable()
        self._probing = True
        try:
            yield
        finally:
            self._probing = False

    def unavailable(self, why: str = "") -> CacheUnavailable:
        """Return the error for callers: it names the socket and this reason, or the last one."""
        return CacheUnavailable(
            f"The cache daemon at {self._where} is not available: {why or self._why}."
        )

    def _begin(self, until: float, why: str) -> None:
        self._until, self._why = max(self._until, until), why
