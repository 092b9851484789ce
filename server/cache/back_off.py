"""When the cache daemon is asked, and when callers fail at once: a circuit breaker. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from ..errors import CacheUnavailable

HUNG_SECONDS: Final = 0.5
"""A daemon that did not answer is left alone for this long."""

ABSENT_SECONDS: Final = 0.1
"""No sooner than this is a daemon looked for again that could not be reached."""

SUSPICION_SECONDS: Final = 5.0
"""A daemon that did not answer is asked by one caller at a time, but not for longer than this."""


class BackOff:
    """Whether the daemon may be asked. Times are seconds on the loop's clock.

    Args:
        where: Its socket, for the errors.

    Attributes:
        suspect: Whether it did not answer when last asked.
    """

    def __init__(self, where: object) -> None:
        self.suspect = False
        self._where = where
        self._why = ""
        self._until = -math.inf
        self._probing = False

    def heard(self) -> None:
        """Take note of a sign of life, or that the daemon has gone: the next is another process."""
        self.suspect = False

    def hung(self, now: float) -> None:
        """Take note that it did not answer."""
        self.suspect = True
        self._begin(now + HUNG_SECONDS, "it does not answer")

    def absent(self, now: float, why: str) -> None:
        """Take note that it could not be reached."""
        self._begin(now + ABSENT_SECONDS, why)

    def left(self, now: float) -> float:
        """Return for how many seconds it is left alone still; 0 if it may be asked."""
        return max(0.0, self._until - now)

    @contextmanager
    def asking(self, now: float) -> Iterator[None]:
        """Let the caller ask, for as long as the block lasts.

        1. It answered when last asked: all ask.
        2. It did not, and that is long ago: as likely as not it is back, so nobody is turned away
           unheard.
        3. Otherwise one caller at a time finds out whether it is back, and the others fail.

        Raises:
            CacheUnavailable: This caller is one of the others.
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
        """Return the error for callers: it names the socket and the reason, or the last one."""
        return CacheUnavailable(
            f"The cache daemon at {self._where} is not available: {why or self._why}."
        )

    def _begin(self, until: float, why: str) -> None:
        self._until, self._why = max(self._until, until), why
