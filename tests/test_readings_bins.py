"""The points of a history: none straddles an hour or a day of local time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.readings.bins import bins
from server.readings.clock import PRAGUE, starts

FIVE = timedelta(minutes=5)
SPRING, AUTUMN, JUNE = date(2026, 3, 29), date(2026, 10, 25), date(2026, 6, 9)


def walls(found):
    return [start.astimezone(PRAGUE).isoformat()[5:16] for start in found.starts]


def whole(first, last, most, spacing=FIVE):
    return bins(first, last, starts(last + timedelta(days=1)), spacing, most)


@pytest.mark.parametrize(
    ("days", "most", "minutes", "count"),
    [
        (1, 300, 5, 288),
        (1, 287, 10, 144),
        (1, 48, 30, 48),
        (1, 47, 60, 24),
        (1, 5, 6 * 60, 4),
        (1, 1, 24 * 60, 1),
        (2, 48, 60, 48),
        (7, 48, 4 * 60, 42),
        (31, 48, 24 * 60, 31),
        (31, 30, 2 * 24 * 60, 16),
        (31, 1, 31 * 24 * 60, 1),
    ],
)
def test_the_shortest_span_that_does_not_give_too_many_points_is_chosen(days, most, minutes, count):
    found = whole(JUNE, JUNE + timedelta(days=days - 1), most)
    assert (found.minutes, len(found.starts)) == (minutes, count)


@pytest.mark.parametrize(
    ("spacing", "minutes"),
    [(1, 1), (2, 2), (5, 5), (7, 30), (13, 60), (30, 30), (31, 180), (61, 360), (800, 1440)],
)
def test_spans_hold_one_value_or_equally_many_or_at_least_four(spacing, minutes):
    assert whole(JUNE, JUNE, 2_000, timedelta(minutes=spacing)).minutes == minutes


def test_over_a_clock_change_hours_are_counted_by_the_clock():
    assert walls(whole(SPRING, SPRING, 12)) == [
        *("03-29T00:00", "03-29T03:00", "03-29T04:00"),
        *(f"03-29T{hour:02}:00" for hour in range(6, 24, 2)),
    ]
    autumn = whole(AUTUMN, AUTUMN, 12)
    assert walls(autumn) == [f"10-25T{hour:02}:00" for hour in range(0, 24, 2)]
    assert autumn.edges[2] - autumn.edges[1] == timedelta(hours=3)
    assert walls(whole(AUTUMN, AUTUMN, 25))[1:5] == [f"10-25T{hour:02}:00" for hour in (1, 2, 2, 3)]


@pytest.mark.parametrize(("day", "hours"), [(SPRING, 23), (AUTUMN, 25), (JUNE, 24)])
def test_a_day_is_one_span_however_many_hours_it_has(day, hours):
    found = whole(day - timedelta(days=1), day + timedelta(days=1), 3)
    assert found.edges[2] - found.edges[1] == timedelta(hours=hours)


def test_no_span_begins_after_the_last_known_value():
    until = datetime(2026, 6, 9, 9, 31, tzinfo=UTC)
    found = bins(JUNE, JUNE + timedelta(days=3), until, FIVE, 10)
    assert walls(found)[-1] == "06-09T10:00"
    assert found.minutes == 120


@given(
    first=st.dates(date(2026, 3, 20), date(2026, 11, 2)),
    days=st.integers(1, 31),
    most=st.integers(1, 300),
    spacing=st.integers(1, 90),
    hours=st.integers(1, 31 * 25),
)
def test_spans_follow_each_other_and_cross_no_boundary(first, days, most, spacing, hours):
    last = first + timedelta(days=days - 1)
    until = starts(first) + timedelta(hours=hours)
    found = bins(first, last, until, timedelta(minutes=spacing), most)
    assert 1 <= len(found.starts) <= most
    assert found.edges[0] == starts(first)
    assert found.edges[-1] >= min(until, starts(last + timedelta(days=1)))
    for start, end in pairwise(found.edges):
        assert start < end
        begins = start.astimezone(PRAGUE)
        ends = (end - timedelta(microseconds=1)).astimezone(PRAGUE)
        if found.minutes < 24 * 60:
            assert begins.date() == ends.date()
        else:
            assert (begins.hour, begins.minute, found.minutes % (24 * 60)) == (0, 0, 0)
        if found.minutes <= 60:
            assert begins.hour == ends.hour
            assert end - start == timedelta(minutes=found.minutes)
