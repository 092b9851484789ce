"""A counter of the grid over one day: whether it counts from midnight, and what it counts. Pure.

The portal does not say what its counters count, nor in which unit. What they count between two
uploads is compared with the powers of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from .numbers import HOME_W
from .placement import LONG_STEP

LATE = timedelta(minutes=30)
"""How long after midnight counters may still show the day before."""

DIP_WH = 20.0
"""By how much a counter may go back within a day: the box sums up once more now and then."""

UNSEEN_W = 11_000.0
"""Power that may come and go between two uploads: a car's charger, the largest load of a home."""

STRETCH_WH = 20.0
"""What flows in a stretch of which counter and powers are compared: one Wh, to which a counter is
rounded, is little of it."""

STRETCHES = 48
"""Stretches of a day at most: longer ones even out what few samples miss."""

ITEM_S = 300.0
"""Shortest stretch, in seconds: the interval between two uploads of the box."""

ALIKE = 0.5
"""Share of the larger by which two sums over a stretch may differ: units differ by more."""

PEAKS = 3
"""Stretches in which a counter may lack what its powers show: two samples may meet two peaks."""

AGREE = 0.1
AGREE_WH = 100.0
"""What else a counter may lack of its powers over a day: more, and it stood still for a time."""

HOUR_S = 3600.0


class Count(NamedTuple):
    """What one upload says.

    Attributes:
        at: When, or as if none were missing before.
        wh: The counter.
        power_w: The power of what is counted, in that direction; None where it is not known.
    """

    at: datetime
    wh: float
    power_w: float | None


@dataclass(frozen=True, slots=True)
class Spacing:
    """How far uploads of a day are apart.

    Attributes:
        step_s: Usual seconds from one to the next.
        timed: Whether the items carry times.
        missing_s: Seconds without any, at unknown times; None if none is missing, or `timed`.
        step_if_even_s: The same where uploads that seem too few or too many are spread evenly.
    """

    step_s: float
    timed: bool
    missing_s: float | None = None
    step_if_even_s: float | None = None


@dataclass(frozen=True, slots=True)
class DayCounter:
    """A counter that is believed.

    Attributes:
        points: When it had counted how much of the day, from 0 at midnight on.
        whole: Whether that is certain to be all of the time.
    """

    points: tuple[tuple[datetime, float], ...]
    whole: bool

    @property
    def wh(self) -> float:
        """What was counted in all."""
        return self.points[-1][1]


def day_counter(
    read: Sequence[Count], begin: datetime, end: datetime, spacing: Spacing, *, ended: bool
) -> DayCounter | None:
    """Give a counter over a day; None when it does not show that it counts from midnight.

    Args:
        read: What the uploads of the day say, oldest first.
        begin: Midnight.
        end: The next one, or up to when a day that is under way is looked at.
        spacing: Of its uploads.
        ended: Whether the day is over.
    """
    # What comes before a fall soon after midnight was counted the day before.
    falls = [
        index
        for index, (before, after) in enumerate(pairwise(read), 1)
        if after.wh < before.wh - DIP_WH and after.at <= begin + LATE
    ]
    early, read = (read[: falls[-1]], read[falls[-1] :]) if falls else ([], read)
    if not read or any(after.wh < before.wh - DIP_WH for before, after in pairwise(read)):
        return None
    first = read[0]
    since_s = (first.at - begin).total_seconds() + (spacing.missing_s or 0.0) + 2 * ITEM_S
    if first.wh > HOME_W * since_s / HOUR_S or not _is_believed(read, spacing):
        return None
    offset = _before(early, first, begin, spacing)
    points = [(begin, 0.0)]
    for one in read:
        points.append((one.at, max(one.wh + offset, points[-1][1])))
    last = read[-1]
    rest_s = (end - last.at).total_seconds()
    if ended and rest_s > 0.0:
        # The minutes from the last upload to midnight, at the power that it had; more is a gap.
        known_s = min(rest_s, spacing.step_s) - _phase_s(first, spacing)
        tail = (last.power_w or 0.0) * max(known_s, 0.0) / HOUR_S
        points.append((end, points[-1][1] + tail))
    # A hole in between is counted over. One at midnight hides when the counter fell, or what else
    # it counted; and without times its place is unknown.
    far_s = LONG_STEP * spacing.step_s
    since_begin_s = ((early or read)[0].at - begin).total_seconds()
    whole = spacing.missing_s is None and max(since_begin_s, rest_s) < far_s
    return DayCounter(tuple(points), whole)


def _before(early: Sequence[Count], first: Count, begin: datetime, spacing: Spacing) -> float:
    """Say how much more had flowed since midnight than the first value shows, in Wh.

    1. No upload is missing until then: what the powers say counts. A box whose clock is wrong by
       minutes counts that for another day. Where it shows no more than a few Wh more, or, where
       no time says when the first value came, than flows from one upload to the next, it is right.
    2. One is missing: the counter went on counting meanwhile, and fell at midnight.
    """
    flowed, since, power = 0.0, begin, early[0].power_w if early else first.power_w
    for at, _, next_w in [*early, first]:
        apart = (at - since).total_seconds()
        if apart > 0.0 and (power is None or apart >= LONG_STEP * spacing.step_s):
            return 0.0
        flowed += (power or 0.0) * apart / HOUR_S
        since, power = at, next_w
    if spacing.missing_s:
        return flowed
    is_right = abs(flowed - first.wh) <= DIP_WH or _phase_s(first, spacing) > 0.0
    return 0.0 if is_right and not early else flowed - first.wh


def _phase_s(first: Count, spacing: Spacing) -> float:
    """Say how many seconds later uploads come than is assumed, as their first value shows.

    Uploads without times are taken to come at midnight and each step from then on.
    """
    if spacing.timed or not first.power_w:
        return 0.0
    phase_s = first.wh * HOUR_S / first.power_w
    return phase_s if phase_s < spacing.step_s else 0.0


def _is_believed(read: Sequence[Count], spacing: Spacing) -> bool:
    """Say whether a counter that never falls counts what its powers say, in Wh."""
    if spacing.missing_s is None:
        intervals = [_Interval.timed(before, after, spacing) for before, after in pairwise(read)]
        return _agree(intervals, 0.0)
    steps = {spacing.step_s, spacing.step_if_even_s or spacing.step_s}
    return any(_agree(_untimed(read, step_s, spacing), spacing.missing_s) for step_s in steps)


def _untimed(read: Sequence[Count], step_s: float, spacing: Spacing) -> list[_Interval]:
    """Give the intervals between uploads without times, a fixed number of seconds apart.

    Where some are missing, the interval in which most was counted that no power shows is likely to
    be that in which they are: it is not compared.
    """
    found = [_Interval.of(before, after, step_s) for before, after in pairwise(read)]
    if spacing.missing_s and found:
        place = max(range(len(found)), key=lambda place: found[place].excess)
        found[place] = found[place]._replace(least=None, most=None)
    return found


class _Interval(NamedTuple):
    """From one upload to the next.

    Attributes:
        counted: What the counter counts, Wh.
        seconds: How long it is.
        least: What flows by the lesser of the powers at its ends; None where it is not known.
        most: By the greater one.
    """

    counted: float
    seconds: float
    least: float | None
    most: float | None

    @property
    def excess(self) -> float:
        """What is counted beyond what the powers show."""
        return self.counted - (self.most or 0.0)

    @classmethod
    def timed(cls, before: Count, after: Count, spacing: Spacing) -> _Interval:
        """Give the interval between uploads whose times are known."""
        seconds = (after.at - before.at).total_seconds()
        if seconds >= LONG_STEP * spacing.step_s:
            return cls(after.wh - before.wh, seconds, None, None)
        return cls.of(before, after, seconds)

    @classmethod
    def of(cls, before: Count, after: Count, seconds: float) -> _Interval:
        """Give the interval between uploads that are so far apart."""
        counted = after.wh - before.wh
        if before.power_w is None or after.power_w is None:
            return cls(counted, seconds, None, None)
        ends = sorted(one * seconds / HOUR_S for one in (before.power_w, after.power_w))
        return cls(counted, seconds, *ends)


@dataclass(slots=True)
class _Stretch:
    """Some intervals together.

    Attributes:
        counted: What the counter counts, Wh.
        flowed: What flows by the powers.
        least: What flows at least, by the lesser power of each interval.
        seconds: How long it is.
    """

    counted: float = 0.0
    flowed: float = 0.0
    least: float = 0.0
    seconds: float = 0.0

    @property
    def is_alike(self) -> bool:
        """Whether counter and powers say about as much."""
        return abs(self.counted - self.flowed) <= ALIKE * max(self.counted, self.flowed)


def _agree(intervals: Sequence[_Interval], hidden_s: float) -> bool:
    """Compare what a counter counts with what flows by the powers.

    1. Faster than a home can draw or feed in, it is no counter of it; where uploads follow each
       other, than they show and may have missed.
    2. On most stretches in which either says that something flowed, both must say about as much:
       otherwise the counter has another unit, or counts something else, or nothing.
    3. It must not lack what both ends of intervals show, but for a few peaks.

    Where nothing flowed there is nothing to compare, and either is right.

    Args:
        intervals: Of the day.
        hidden_s: Seconds without uploads that are hidden in some of them.
    """
    unseen = 0.0
    for one in intervals:
        hours = max(one.seconds, ITEM_S) / HOUR_S
        most = HOME_W * hours if one.most is None else one.most + UNSEEN_W * hours
        unseen += max(one.counted - most, 0.0)
    if unseen > HOME_W * hidden_s / HOUR_S:
        return False
    stretches = list(_stretches(intervals))
    alike = sum(one.is_alike for one in stretches)
    if stretches and alike <= len(stretches) / 2:
        return False
    lacks = sorted(max(one.least - one.counted, 0.0) for one in stretches)
    flowed = sum(one.flowed for one in stretches)
    return sum(lacks[:-PEAKS]) <= AGREE_WH + AGREE * flowed


def _stretches(intervals: Sequence[_Interval]) -> Iterable[_Stretch]:
    """Give stretches, in each of which enough is counted or flows for a comparison."""
    known = [
        _Stretch(one.counted, (one.least + one.most) / 2, one.least, one.seconds)
        for one in intervals
        if one.least is not None and one.most is not None
    ]
    total = max(sum(one.counted for one in known), sum(one.flowed for one in known))
    enough = max(STRETCH_WH, total / STRETCHES)
    stretch = _Stretch()
    for one in known:
        stretch.counted += one.counted
        stretch.flowed += one.flowed
        stretch.least += one.least
        stretch.seconds += one.seconds
        if max(stretch.counted, stretch.flowed) >= enough and stretch.seconds >= ITEM_S:
            yield stretch
            stretch = _Stretch()
