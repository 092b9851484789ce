"""When the items of several days of history were measured, and for how long each counts. Pure.

Items that carry times are where they say. Others are counted: one in five minutes from midnight on.
Where some are missing, counting would put all later ones into the wrong day; then the falls of the
grid's counters at midnight say where days begin, or else fewer days have to be asked for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise

from . import clock
from .item_times import are_disordered, item_times
from .timeline import COMPLETE, LONGEST_HOLD, SPACING, SPARE

LONG_STEP = 3
"""Usual spacings from one item to the next from which on something is missing in between."""

FALL_FROM = 100.0
"""Wh that a counter must have had for its fall to be the end of a day, and none of a few Wh."""

FALL_TO = 0.5
"""Share of that which is left at most: what flows within minutes of midnight."""

SAME_FALL = 6
"""Items between the falls of two counters at one midnight: they may be half an hour late."""

HALF = 0.5
"""Share of a step for which the last value of a day that is under way counts: what flowed up to it
lies between it and the one before, and nobody knows what flows after it."""


@dataclass(frozen=True, slots=True)
class Uncertain:
    """A day whose items are known and whose hours are not.

    Attributes:
        missing_s: Seconds of it for which there is no item, at an unknown time.
        summable: Whether the items are five minutes apart, so that powers can be summed.
    """

    missing_s: float
    summable: bool


@dataclass(frozen=True, slots=True)
class Placement:
    """When items were measured.

    Attributes:
        times: One per item; None for one that belongs nowhere.
        holds: Seconds for which each counts.
        step_s: Usual seconds from one to the next.
        timed: Whether the items carry times.
        uncertain: Days whose hours cannot be determined.
    """

    times: tuple[datetime | None, ...]
    holds: tuple[float, ...]
    step_s: float
    timed: bool
    uncertain: Mapping[date, Uncertain]


def days_between(first: date, last: date) -> list[date]:
    """Give all days from the first to the last, both included."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def place(
    items: Sequence[object],
    first: date,
    last: date,
    now: datetime,
    starts: Sequence[int] | None = None,
) -> Placement | None:
    """Find out when items were measured; None when that takes an answer about fewer days.

    Args:
        items: The items, oldest first.
        first: First day asked for, in Prague.
        last: Last day, included; not in the future.
        now: When the portal gave them, with a zone.
        starts: Where each day begins among the items, if that is known.
    """
    begin = clock.starts(first)
    end = max(min(clock.starts(last + timedelta(days=1)), now), begin + SPACING)
    if not items:
        return Placement((), (), SPACING.total_seconds(), timed=False, uncertain={})
    times = item_times(items, begin - SPACING, end + clock.SKEW)
    if times is not None:
        return _placed(times, end)
    days = days_between(first, last)
    expected = [_expected(day, now) for day in days]
    if len(days) > 1 and abs(len(items) - sum(expected)) > SPARE:
        # 1. The portal counts its counters from midnight: their falls are the midnights.
        # 2. Without them a day with holes is certain only if it is asked for alone.
        if starts is None or any(
            length > most + SPARE
            for length, most in zip(_lengths(starts, len(items)), expected, strict=True)
        ):
            return None
        lengths = _lengths(starts, len(items))
        # 3. So few on most days are a summary: fewer days may give all that was measured.
        thin = sum(length < COMPLETE * most for length, most in zip(lengths, expected, strict=True))
        if thin > len(days) / 2:
            return None
    else:
        lengths = [*expected[:-1], len(items) - sum(expected[:-1])]
    placed = _counted(days, lengths, expected, end)
    if are_disordered(items, begin - SPACING, end + clock.SKEW):
        # Sums over days hang on no order; hours do.
        doubt = Uncertain(missing_s=0.0, summable=True)
        placed = replace(placed, uncertain={**dict.fromkeys(days, doubt), **placed.uncertain})
    return placed


def midnights(counters: Iterable[Sequence[float | None]], days: int) -> tuple[int, ...] | None:
    """Give where each of so many days begins, as falling counters show; None if they do not.

    Args:
        counters: The values of each counter, one per item.
        days: How many days there are.
    """
    found: list[int] = []
    for place_of_fall in sorted(fall for counter in counters for fall in _falls(counter)):
        if not found or place_of_fall - found[-1] > SAME_FALL:
            found.append(place_of_fall)
    return (0, *found) if len(found) == days - 1 else None


def _falls(counter: Sequence[float | None]) -> Iterable[int]:
    known = [(index, value) for index, value in enumerate(counter) if value is not None]
    return [
        index
        for (_, before), (index, value) in pairwise(known)
        if before >= FALL_FROM and value <= FALL_TO * before
    ]


def _expected(day: date, now: datetime) -> int:
    """Give how many items a day has by now, at one in five minutes."""
    until = min(clock.starts(day + timedelta(days=1)), now)
    return max(math.ceil((until - clock.starts(day)) / SPACING), 0)


def _lengths(starts: Sequence[int], count: int) -> list[int]:
    return [after - before for before, after in pairwise([*starts, count])]


def _placed(times: Sequence[datetime | None], end: datetime) -> Placement:
    known = [(index, at) for index, at in enumerate(times) if at is not None]
    steps = sorted(
        (later_at - at) / (later - index) for (index, at), (later, later_at) in pairwise(known)
    )
    step = min(steps[len(steps) // 2], LONGEST_HOLD) if steps else SPACING
    holds = [0.0] * len(times)
    for (index, at), (later, later_at) in pairwise(known):
        # Items without a time in between have their share of it.
        apart = (later_at - at) / (later - index)
        holds[index] = (apart if apart <= LONG_STEP * step else step).total_seconds()
    index, at = known[-1]
    rest = HALF * step if _is_under_way(at, end) else min(step, end - at)
    holds[index] = max(rest, timedelta()).total_seconds()
    return Placement(tuple(times), tuple(holds), step.total_seconds(), timed=True, uncertain={})


def _is_under_way(at: datetime, end: datetime) -> bool:
    """Say whether a moment lies in a day that is not over at the requested end."""
    return end < clock.starts(clock.local_day(at) + timedelta(days=1))


def _counted(
    days: Sequence[date], lengths: Sequence[int], expected: Sequence[int], end: datetime
) -> Placement:
    times: list[datetime | None] = []
    holds: list[float] = []
    uncertain: dict[date, Uncertain] = {}
    for day, length, most in zip(days, lengths, expected, strict=True):
        begin = clock.starts(day)
        # More than there can be in five minutes each are nearer to each other.
        step = SPACING if length <= most + SPARE else most * SPACING / length
        times += [begin + index * step for index in range(length)]
        holds += [step.total_seconds()] * length
        if abs(length - most) > SPARE:
            uncertain[day] = Uncertain(
                missing_s=max(most - length, 0) * SPACING.total_seconds(),
                # Half or fewer may as well be further apart, and this many lie nearer together.
                summable=most < 2 * length and length <= most,
            )
    if times and (at := times[-1]) is not None:
        rest = HALF * SPACING if _is_under_way(at, end) else end - at
        holds[-1] = min(holds[-1], max(rest.total_seconds(), 0.0))
    return Placement(
        tuple(times), tuple(holds), SPACING.total_seconds(), timed=False, uncertain=uncertain
    )
