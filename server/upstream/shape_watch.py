"""Reports to operators when the portal's answers change shape: a counter, and one line an hour."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..portal.shape import Kind, Shape

logger = logging.getLogger(__name__)

QUIET = 3600.0
"""Seconds between two lines of one kind."""

SHOWN = 12
"""Names in a line."""

MOST_NAMES = 200
"""Names remembered for the next line."""

TEXTS: dict[Kind, str] = {
    "lacking": (
        "OIG Cloud's answers have changed (%d of them): fields are missing that every box is known "
        "to have: %s. What is read of them is null, and says so."
    ),
    "unknown": (
        "OIG Cloud's answers have changed (%d of them): there are fields that are not known here: "
        "%s. Nothing is read of them."
    ),
}


@dataclass(slots=True)
class _Seen:
    """What was seen of one kind since the last line about it."""

    answers: int = 0
    names: set[str] = field(default_factory=set)
    quiet_until: float = 0.0


class ShapeWatch:
    """Takes note of the shapes of answers.

    Args:
        count: Called with the kind of each that is not as it was.
        now: Seconds on a clock that never goes back.
    """

    def __init__(
        self, count: Callable[[Kind], None], *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._count = count
        self._now = now
        self._seen: dict[Kind, _Seen] = {"lacking": _Seen(), "unknown": _Seen()}

    def __call__(self, shape: Shape) -> None:
        """Take note of an answer."""
        if shape.lacking:
            self._note("lacking", shape.lacking)
        if shape.unknown:
            self._note("unknown", shape.unknown)

    def _note(self, kind: Kind, names: frozenset[str]) -> None:
        self._count(kind)
        seen = self._seen[kind]
        seen.answers += 1
        seen.names.update(sorted(names)[: MOST_NAMES - len(seen.names)])
        if self._now() < seen.quiet_until:
            return
        shown = sorted(seen.names)
        more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
        logger.warning(TEXTS[kind], seen.answers, ", ".join(shown[:SHOWN]) + more)
        self._seen[kind] = _Seen(quiet_until=self._now() + QUIET)
