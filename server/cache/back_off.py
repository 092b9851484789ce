"""How long a daemon that is not there, or does not answer, is left alone. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SUSPICION_SECONDS: Final = 5.0
"""A daemon that did not answer is asked by one caller at a time, but not for longer than this."""


class BackOff:
    """Whether a daemon may be asked now. Times are seconds on the loop's clock.

    Attributes:
        why: Why it is left alone.
        suspect: Whether it did not answer when last asked.
    """

    def __init__(self) -> None:
        self.why = ""
        self.suspect = False
        self._until = -math.inf
        self._probing = False

    def begin(self, until: float, why: str) -> None:
        """Leave it alone until then, at least."""
        self._until = max(self._until, until)
        self.why = why

    def is_on(self, now: float) -> bool:
        """Return whether it is left alone now."""
        return now < self._until

    @contextmanager
    def asking(self, now: float) -> Iterator[bool]:
        """Give whether it may be asked by the caller, for as long as that asks.

        1. It answered when last asked: all ask.
        2. It did not, and that is long ago: as likely as not it is back, so nobody is turned away
           unheard.
        3. Otherwise one caller at a time finds out whether it is back, and the others fail.
        """
        if now > self._until + SUSPICION_SECONDS:
            self.suspect = False
        if not self.suspect:
            yield True
        elif self._probing or self.is_on(now):
            yield False
        else:
            self._probing = True
            try:
                yield True
            finally:
                self._probing = False
