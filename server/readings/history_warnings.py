"""What to tell the user along with a history: of the box, only what concerns those days."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from . import clock
from .boxes import BoxSummary
from .days import named
from .freshness import SLOW_LIMIT_S
from .history import History

DOUBTFUL = (
    "The times of these values are doubtful, and with them the hour of whatever happened. The "
    "assumptions say why."
)
NOTHING = (
    "There are no values at all for {days}. That does not mean 0: nothing is known of it. The "
    "assumptions say more."
)
SOME_DAY = "So many values are missing that there may be none at all for some of these days."
LEFT_OUT = (
    "There are no values for {hours:.1f} hours of these days. The energies leave that time out, so "
    "what really flowed may be more."
)
SILENT = (
    "Box {id} last reported at {at}: what it measured since has not reached the portal, so the "
    "last values may be missing."
)
UNHEARD = (
    "The portal does not say when box {id} last reported, so it may be that the last values are "
    "missing."
)


def history_warnings(past: History, boxes: Iterable[BoxSummary], now: datetime) -> tuple[str, ...]:
    """Say what is wrong with a history.

    Args:
        past: The history.
        boxes: The box that it is of, or all that it may be of.
        now: When the portal gave the history.
    """
    found = [DOUBTFUL] if past.times_doubtful else []
    if past.without_values:
        found.append(_nothing(past))
    left_out = max((one.summary.energy_left_out_s or 0 for one in past.quantities), default=0)
    # Less is as long as a box that is well may be silent.
    if left_out > SLOW_LIMIT_S:
        found.append(LEFT_OUT.format(hours=left_out / 3600))
    return (*found, *silent(boxes, past.last_day, now))


def _nothing(past: History) -> str:
    """Name the days without values, but not when nobody knows where values are missing."""
    if past.times_doubtful and any(one.summary.count for one in past.quantities):
        return SOME_DAY
    return NOTHING.format(days=named(past.without_values))


def silent(boxes: Iterable[BoxSummary], last: date, now: datetime) -> tuple[str, ...]:
    """Warn of boxes whose last values of some days may be missing.

    Args:
        boxes: The boxes.
        last: The last of the days, in Prague.
        now: When the portal gave their history.
    """
    found: list[str] = []
    after = clock.starts(last + timedelta(days=1))
    for box in boxes:
        if box.measured_at is None:
            found += [UNHEARD.format(id=box.id)] if now < after else []
        elif min(after, now) - box.measured_at > timedelta(seconds=SLOW_LIMIT_S):
            found.append(SILENT.format(id=box.id, at=clock.written(box.measured_at)))
    return tuple(found)
