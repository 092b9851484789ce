"""The points of a history: spans of one length that cross no hour, or no day, of local time. Pure.

A length is one of these:

1. Minutes that divide the hour. Prague is whole hours off UTC, so they begin with its hours.
2. Hours that divide the day, counted by the clock from midnight: the span over which clocks change
   has an hour less, or more.
3. Whole days, of 23 and 25 hours among them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from . import clock

MINUTES = tuple(minutes for minutes in range(1, 61) if 60 % minutes == 0)
HOURS = tuple(hours for hours in range(2, 24) if 24 % hours == 0)
DAY_MINUTES = 24 * 60

UNEVEN = 4
"""Values of a span from which on one more or less makes no odds."""


@dataclass(frozen=True, slots=True)
class Bins:
    """Spans that follow each other without a gap.

    Attributes:
        minutes: How long each is by the clock.
        edges: When they begin, and when the last one ends.
    """

    minutes: int
    edges: tuple[datetime, ...]

    @property
    def starts(self) -> tuple[datetime, ...]:
        """When each begins."""
        return self.edges[:-1]


def bins(first: date, last: date, until: datetime, spacing: timedelta, most: int) -> Bins:
    """Divide days into spans, the shortest of which there are not too many.

    Args:
        first: First day, in Prague.
        last: Last day, included.
        until: No span begins then or later, with a zone; after the first day has begun.
        spacing: Usual time between two values.
        most: Spans that there may be, at least one.
    """
    begin, end = clock.starts(first), clock.starts(last + timedelta(days=1))
    until = min(until, end)
    for minutes in MINUTES:
        length = timedelta(minutes=minutes)
        count = math.ceil((until - begin) / length)
        if _holds(length, spacing) and count <= most:
            return Bins(minutes, tuple(begin + place * length for place in range(count + 1)))
    days = [first + timedelta(days=place) for place in range((last - first).days + 1)]
    for hours in HOURS:
        edges = [_at(day, hour) for day in days for hour in range(0, 24, hours)]
        if _holds(timedelta(hours=hours), spacing) and _begun(edges, until) <= most:
            return _cut(hours * 60, [*edges, end], until)
    # All of them in one span, if need be.
    each = max(1, math.ceil(_begun([clock.starts(day) for day in days], until) / most))
    edges = [clock.starts(day) for day in days[::each]]
    return _cut(each * DAY_MINUTES, [*edges, end], until)


def _holds(length: timedelta, spacing: timedelta) -> bool:
    """Say whether all spans of a length have about as many values."""
    return length >= UNEVEN * spacing or length % spacing == timedelta()


def _at(day: date, hour: int) -> datetime:
    """Give the moment of an hour of a day.

    Of the hour that autumn repeats it is the first, of the one that spring skips the next.
    """
    return datetime(day.year, day.month, day.day, hour, tzinfo=clock.PRAGUE).astimezone(UTC)


def _begun(edges: list[datetime], until: datetime) -> int:
    return sum(edge < until for edge in edges)


def _cut(minutes: int, edges: list[datetime], until: datetime) -> Bins:
    return Bins(minutes, tuple(edges[: _begun(edges, until) + 1]))
