"""When the items of a history were measured: as they say, or as has to be assumed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from . import clock

SPACING = timedelta(minutes=5)
"""The box reports to the portal on this grid."""

TIME_KEYS = ("time", "datetime", "date", "timestamp", "ts", "dt", "t")
"""Keys under which an item might carry its time; none is known."""

MILLISECONDS = 100_000_000_000
"""Unix times from here on can only be milliseconds: in seconds it is the year 5138."""

COMPLETE = 0.9
"""Share of the expected items from which on the assumed times are believed for sums."""

AS_SENT = "Times are those that the portal sent, taken as times in Prague where they name no zone."
FROM_MIDNIGHT = (
    "The portal sends no times. The values are assumed to be 5 minutes apart, beginning at "
    "midnight in Prague of the first day."
)
SPREAD = (
    "The portal sends no times, and more values than one in 5 minutes. They are assumed to be "
    "spread evenly over the days asked for, so times are rough."
)


@dataclass(frozen=True, slots=True)
class Timeline:
    """When items were measured.

    Attributes:
        times: One per item; None for an item that says nothing among others that do.
        spacing: Usual time from one to the next.
        notes: What was assumed, in words.
        reliable: Good enough for sums over time.
    """

    times: tuple[datetime | None, ...]
    spacing: timedelta
    notes: tuple[str, ...]
    reliable: bool


def timeline(items: Sequence[object], first: date, last: date, now: datetime) -> Timeline:
    """Find out when items were measured."""
    begin, end = clock.starts(first), min(clock.starts(last + timedelta(days=1)), now)
    end = max(end, begin + SPACING)
    if not items:
        return Timeline((), SPACING, (), reliable=False)
    for key in TIME_KEYS:
        told = _told(items, key, begin, end)
        if told is not None:
            return told
    return _assumed(len(items), begin, end)


def _assumed(count: int, begin: datetime, end: datetime) -> Timeline:
    fitting = math.ceil((end - begin) / SPACING)
    if count > fitting + 1:
        spacing = (end - begin) / count
        return Timeline(
            tuple(begin + index * spacing for index in range(count)),
            spacing,
            (SPREAD,),
            reliable=False,
        )
    notes = [FROM_MIDNIGHT]
    complete = count >= COMPLETE * fitting
    if not complete:
        notes.append(
            f"There are {count} values where {fitting} were expected, so their times are doubtful "
            "and no energy is worked out."
        )
    times = tuple(begin + index * SPACING for index in range(count))
    return Timeline(times, SPACING, tuple(notes), reliable=complete)


def _told(items: Sequence[object], key: str, begin: datetime, end: datetime) -> Timeline | None:
    """Read the times under one key; None unless they are all there, in order and in range."""
    times: list[datetime | None] = []
    before: datetime | None = None
    for item in items:
        if item is None:
            times.append(None)
            continue
        moment = _moment(item.get(key), before) if isinstance(item, Mapping) else None
        if moment is None or (before is not None and moment <= before):
            return None
        if not begin - SPACING <= moment <= end + clock.SKEW:
            return None
        times.append(moment)
        before = moment
    known = [moment for moment in times if moment is not None]
    if not known:
        return None
    steps = sorted(later - earlier for earlier, later in pairwise(known))
    spacing = steps[len(steps) // 2] if steps else SPACING
    return Timeline(
        tuple(times),
        spacing,
        (AS_SENT,),
        reliable=True,
    )


def _moment(raw: object, after: datetime | None) -> datetime | None:
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int | float):
        # Compared first: an int may be too large for a float.
        if not 0 < raw < MILLISECONDS * 1000:
            return None
        return datetime.fromtimestamp(raw / 1000 if raw >= MILLISECONDS else raw, UTC)
    wall = clock.wall_time(raw)
    if wall is None:
        return None
    # In the hour that autumn repeats, the one that goes on from the item before.
    meant = clock.readings_of(wall)
    return next((at for at in meant if after is None or at > after), None)
