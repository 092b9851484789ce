"""Delays answers to whole steps of time, so that timing does not reveal their cause. Pure.

Two kinds of request that take about the same time are answered at the same step. If a step ended
between them, the slower kind would be visible; so no answer is faster than the slowest recent one
of any kind:

1. Any request can raise the level, and none can lower it: neither many fast requests of a caller
   nor an idle period reduces it.
2. It falls only with time, when nothing was as slow during a whole period.
3. It is bounded: a single slow answer of the portal delays later ones only up to a maximum.
"""

from __future__ import annotations

import math
from collections.abc import Callable

STEP = 1.5
"""Seconds of a step: longer than a portal takes that is well, and short for who mistyped."""

HIGHEST = 4
"""Most steps of the level. A delayed answer occupies one of the few leases to log in, so this
also bounds for how long refused logins delay the others."""

PERIOD = 43_200.0
"""Seconds of a period, as long as a session lasts by default: every user logs in once in each, so
that the level is seldom below the time that the login of a listed account takes."""


class Padding:
    """The level, and how far each answer is from it.

    Args:
        now: The clock, in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._period = self._current()
        self._this = self._last = 1

    def note(self, took: float) -> None:
        """Raise the level to the steps of a request that took so many seconds."""
        self._turn()
        self._this = max(self._this, min(_steps(took), HIGHEST))

    def rest(self, took: float) -> float:
        """Return the seconds by which to delay an answer that has taken so many already."""
        self._turn()
        return max(_steps(took), self._this, self._last) * STEP - took

    def _current(self) -> int:
        return math.floor(self._now() / PERIOD)

    def _turn(self) -> None:
        period = self._current()
        if period != self._period:
            self._last = self._this if period == self._period + 1 else 1
            self._this, self._period = 1, period


def _steps(took: float) -> int:
    return max(1, math.ceil(took / STEP))
