"""When the items of a history were measured, as they say or as has to be assumed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise

from . import clock
from .item_times import are_disordered, carry_more, item_times

SPACING = timedelta(minutes=5)
"""The box reports to the portal on this grid."""

COMPLETE = 0.9
"""Share of the expected items from which on they are believed to be 5 minutes apart."""

SPARE = 1
"""Items that may lack without a word: the newest is often still on its way."""

DOUBTFUL = timedelta(minutes=30)
"""Times that may be wrong by more are doubtful."""

LONGEST_HOLD = timedelta(hours=1)
"""After that long a value says nothing any more; some boxes may report only once an hour."""

NOTHING = timedelta()
HOUR = timedelta(hours=1)

AS_SENT = "Times are those that the portal sent, taken as times in Prague where they name no zone."
NO_TIMES = "The portal sends no times."
UNREAD = "What the portal sends beside the values is no time within the days asked for."
DISORDER = (
    "The portal sends times, but values are not in their order, or two are of the same time. When "
    "each was measured is not known."
)
FROM_MIDNIGHT = (
    "The values are assumed to be 5 minutes apart, beginning at midnight in Prague of the first "
    "day."
)
SPREAD = (
    "There are more values than one in 5 minutes. They are assumed to be spread evenly over the "
    "days asked for, so times are rough and no energy is worked out."
)


@dataclass(frozen=True, slots=True)
class Timeline:
    """When items were measured.

    Attributes:
        times: One per item; None for an item that says nothing among others that do.
        spacing: Usual time from one to the next.
        holds: For how long each item counts in sums over time: until the next one.
        asked: How long the days are, as far as they are over.
        notes: What was assumed, in words.
        doubtful: The times may be wrong by more than half an hour.
        summable: Good enough for sums over time.
    """

    times: tuple[datetime | None, ...]
    spacing: timedelta
    holds: tuple[timedelta, ...]
    asked: timedelta
    notes: tuple[str, ...]
    doubtful: bool
    summable: bool


def timeline(items: Sequence[object], first: date, last: date, now: datetime) -> Timeline:
    """Find out when items were measured.

    Args:
        items: The items, oldest first.
        first: First day asked for, in Prague.
        last: Last day, included.
        now: When the portal gave them, with a zone.
    """
    begin, end = clock.starts(first), min(clock.starts(last + timedelta(days=1)), now)
    end = max(end, begin + SPACING)
    if not items:
        return Timeline((), SPACING, (), end - begin, (), doubtful=False, summable=False)
    times = item_times(items, begin - SPACING, end + clock.SKEW)
    if times is not None:
        return _given(times, begin, end)
    assumed = _assumed(len(items), begin, end, UNREAD if carry_more(items) else NO_TIMES)
    if are_disordered(items, begin - SPACING, end + clock.SKEW):
        return replace(assumed, notes=(DISORDER,), doubtful=True, summable=False)
    return assumed


def _assumed(count: int, begin: datetime, end: datetime, why: str) -> Timeline:
    asked = end - begin
    expected = math.ceil(asked / SPACING)
    if count > expected + SPARE:
        spacing = asked / count
        times = tuple(begin + index * spacing for index in range(count))
        holds = (spacing,) * count
        return Timeline(
            times, spacing, holds, asked, (f"{why} {SPREAD}",), doubtful=True, summable=False
        )
    times = tuple(begin + index * SPACING for index in range(count))
    holds = tuple(_within(at, at + SPACING, begin, end) for at in times)
    notes = [f"{why} {FROM_MIDNIGHT}"]
    missing = expected - count
    doubtful = missing * SPACING > DOUBTFUL
    summable = missing <= SPARE or count >= COMPLETE * expected
    if missing > SPARE:
        notes.append(
            f"There are {count} values where {expected} were expected, and nobody knows where "
            f"{missing} are missing: a value may have been measured up to "
            f"{_spoken(missing * SPACING)} later than its time here"
            f"{', so the times are doubtful' if doubtful else ''}."
        )
    if not summable:
        notes.append("So few may as well be further apart, so no energy is worked out.")
    return Timeline(times, SPACING, holds, asked, tuple(notes), doubtful, summable)


def _given(times: tuple[datetime | None, ...], begin: datetime, end: datetime) -> Timeline:
    known = [(place, at) for place, at in enumerate(times) if at is not None]
    steps = sorted(later - earlier for (_, earlier), (_, later) in pairwise(known))
    spacing = steps[len(steps) // 2] if steps else SPACING
    holds = [NOTHING] * len(times)
    long = []
    for (place, at), (next_place, next_at) in pairwise(known):
        # Items without a time in between had their share of it.
        hold = (next_at - at) / (next_place - place)
        if hold > LONGEST_HOLD:
            long.append(hold - LONGEST_HOLD)
        holds[place] = _within(at, at + min(hold, LONGEST_HOLD), begin, end)
    place, at = known[-1]
    holds[place] = _within(at, at + min(spacing, LONGEST_HOLD), begin, end)
    notes = [AS_SENT]
    if long:
        notes.append(
            f"In {len(long)} places the next value comes more than an hour later. Only the first "
            f"hour of each counts for energy; {_spoken(sum(long, NOTHING))} in all do not."
        )
    return Timeline(
        times, spacing, tuple(holds), end - begin, tuple(notes), doubtful=False, summable=True
    )


def _within(since: datetime, until: datetime, begin: datetime, end: datetime) -> timedelta:
    """Say how much of a time lies between two moments."""
    return max(min(until, end) - max(since, begin), NOTHING)


def _spoken(duration: timedelta) -> str:
    hours = duration / HOUR
    return f"{hours:.0f} hours" if hours >= 2 else f"{hours * 60:.0f} minutes"


@dataclass(frozen=True, slots=True)
class EnergyEstimate:
    """The energy of a power.

    Each value is taken to last until the next, for an hour at most, and the last for the usual
    time. As far as that is so, either energy lacks no more than the greatest power makes in the
    time left out.

    Attributes:
        positive_wh: Of all positive values, Wh.
        negative_wh: Of all negative values, as a positive number of Wh.
        left_out_s: Seconds of the days asked for that no value counts for.
    """

    positive_wh: float
    negative_wh: float
    left_out_s: int


def energy_estimate(powers: Sequence[float | None], when: Timeline) -> EnergyEstimate | None:
    """Add up powers in W, one per item; None when nothing is known, or the times do not allow it.

    An item that is None counts nothing, and its time is left out.
    """
    known = [
        (power, hold) for power, hold in zip(powers, when.holds, strict=True) if power is not None
    ]
    if not when.summable or not known:
        return None
    counted = sum((hold for _, hold in known), NOTHING)
    return EnergyEstimate(
        positive_wh=_wh((max(power, 0.0), hold) for power, hold in known),
        negative_wh=_wh((max(-power, 0.0), hold) for power, hold in known),
        left_out_s=math.ceil(max(when.asked - counted, NOTHING).total_seconds()),
    )


def _wh(powers: Iterable[tuple[float, timedelta]]) -> float:
    return round(sum(power * (hold / HOUR) for power, hold in powers), 1)
