"""Times without a zone, also in the nights when clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.readings import clock


def moment(text: str, now: datetime) -> datetime | None:
    wall = clock.wall_time(text)
    return None if wall is None else clock.past_moment(wall, now)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-15 12:00:00", utc(2026, 1, 15, 11)),
        ("2026-06-15 12:00:00", utc(2026, 6, 15, 10)),
        ("2026-06-15T12:00", utc(2026, 6, 15, 10)),
    ],
)
def test_times_are_those_of_clocks_in_prague(text, expected):
    assert moment(text, utc(2026, 11, 1)) == expected


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (utc(2026, 10, 25, 0, 20), utc(2026, 10, 25, 0, 15)),  # still summer time
        (utc(2026, 10, 25, 0, 50), utc(2026, 10, 25, 0, 15)),  # nearer to the second, yet to come
        (utc(2026, 10, 25, 1, 9), utc(2026, 10, 25, 0, 15)),  # the second is too far ahead
        (utc(2026, 10, 25, 0, 18), utc(2026, 10, 25, 0, 15)),
        (utc(2026, 10, 25, 1, 11), None),  # a clock ahead of ours, or an hour of silence
        (utc(2026, 10, 25, 1, 15), None),  # just now, or an hour ago to the second
        (utc(2026, 10, 25, 1, 20), None),
        (utc(2026, 10, 25, 1, 21), None),
        (utc(2026, 10, 25, 9), None),
    ],
)
def test_a_time_of_the_repeated_hour_is_certain_until_it_has_come_twice(now, expected):
    assert moment("2026-10-25 02:15:00", now) == expected


def test_a_time_in_the_hour_skipped_in_spring_is_invalid():
    assert moment("2026-03-29 02:30:00", utc(2026, 3, 29, 12)) is None
    assert moment("2026-03-29 01:59:59", utc(2026, 3, 29, 12)) == utc(2026, 3, 29, 0, 59, 59)
    assert moment("2026-03-29 03:00:00", utc(2026, 3, 29, 12)) == utc(2026, 3, 29, 1)


@pytest.mark.parametrize(
    "text",
    [
        "0000-00-00 00:00:00",
        "0001-01-01 00:00:00",
        "1970-01-01 01:00:00",
        "9999-12-31 23:59:59",
        "2026-02-30 12:00:00",
        "2026-06-15 25:00:00",
        "2026-06-15",
        "15. 6. 2026",
        "",
        "٢٠٢٦-06-15 12:00:00",
        "2026-06-15 12:00:00" + " " * 1000 + "x",
    ],
)
def test_nonsense_is_not_a_time(text):
    assert moment(text, utc(2026, 11, 1)) is None


def test_a_future_time_is_rejected_unless_the_clock_runs_slightly_ahead():
    now = utc(2026, 6, 15, 10)
    assert moment("2026-06-15 12:05:00", now) == utc(2026, 6, 15, 10, 5)
    assert moment("2026-06-15 12:05:01", now) is None


@given(at=st.integers(1_420_200_000, 2_200_000_000), late=st.integers(0, 86_400))
@settings(max_examples=200, deadline=None)
def test_a_time_read_at_once_is_the_time_it_was(at, late):
    told = datetime.fromtimestamp(at, UTC)
    shown = told.astimezone(clock.PRAGUE).strftime("%Y-%m-%d %H:%M:%S")
    twice = len(clock.readings_of(clock.wall_time(shown))) == 2
    assert moment(shown, told) in ({None, told} if twice else {told})
    now = told + timedelta(seconds=late)
    later = moment(shown, now)
    if later is None:
        assert len(clock.past_moments(clock.wall_time(shown), now)) == 2
    else:
        assert later == told


@pytest.mark.parametrize("ahead", [0, 1, 62, 299])
def test_a_live_box_whose_clock_runs_ahead_is_never_an_hour_late(ahead):
    for hour, certain in ((0, True), (1, False)):
        now = utc(2026, 10, 25, hour, 20)
        told = now + timedelta(seconds=ahead)
        shown = told.astimezone(clock.PRAGUE).strftime("%Y-%m-%d %H:%M:%S")
        assert moment(shown, now) == (told if certain else None)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_days_have_23_24_or_25_hours(day, hours):
    length = clock.starts(day + timedelta(days=1)) - clock.starts(day)
    assert length == timedelta(hours=hours)
    assert clock.local_day(clock.starts(day)) == day
