"""Log lines about refused names: each name once a minute, and few in total.

Callers choose the names, and may invent any number of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ..suppression import Quota, Suppression

SHOWN = 100
"""Characters of a name that are shown."""

MOST_NAMES = 64
"""Names remembered. The pages and hosts that an operator wants served are few."""

NAME_QUOTA = Quota(1, 60.0)

ALL_QUOTA = Quota(20, 60.0)
"""Lines of all names together, so that a caller who invents them does not fill the log."""

ALL = "all"

logger = logging.getLogger(__name__)


class RefusalLog:
    """Writes lines about refused names. What it only counts comes out with a later refusal.

    Args:
        now: Seconds on a clock that never goes back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._each = Suppression(MOST_NAMES)
        self._all = Suppression()

    def __call__(self, kind: str, name: str, cure: str) -> None:
        """Write that a request was refused, or count it.

        Args:
            kind: What the name stands for, such as `for host`.
            name: The name, as the caller sent it.
            cure: What the operator can do.
        """
        now = self._now()
        self._tell_counts(now)
        about = f"{kind} {name[:SHOWN]!r}"
        if self._each.admits(about, NAME_QUOTA, now, about) and self._admits_any(now, 1):
            logger.warning("refused a request %s. %s", about, cure)

    def _tell_counts(self, now: float) -> None:
        for count in self._each.take(now):
            if self._admits_any(now, count.lines):
                logger.warning("refused %d more %s", count.lines, count.about)
        for count in self._all.take(now):
            logger.warning("refused %d more of several names", count.lines)

    def _admits_any(self, now: float, lines: int) -> bool:
        return self._all.admits(ALL, ALL_QUOTA, now, lines=lines)
