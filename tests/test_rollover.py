"""Of which day counters may be: after midnight, after a gap, and by a clock that is wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.readings.rollover import Counted, Days, counted, days_of

PRAGUE = ZoneInfo("Europe/Prague")

TODAY, YESTERDAY = date(2026, 6, 17), date(2026, 6, 16)
TOMORROW = date(2026, 6, 18)
CERTAIN, NOT_YET = Days(TODAY, TODAY), Days(YESTERDAY, TODAY)


def at(clock: str, day: date = TODAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=PRAGUE).astimezone(UTC)


def earlier(clock: str, day: date = YESTERDAY, **wh: float) -> Counted:
    return Counted(contact=at(clock, day), wh=wh)


@pytest.mark.parametrize(
    ("clock", "days"),
    [
        ("00:00:00", NOT_YET),
        ("00:02:55", NOT_YET),
        ("00:05:59", NOT_YET),
        ("00:06:00", CERTAIN),
        ("11:30:00", CERTAIN),
        ("23:59:59", CERTAIN),
    ],
)
def test_without_an_earlier_reading_six_minutes_decide(clock, days):
    assert days_of({"ac_ad": 12.0}, at(clock), None) == days
    assert days_of({"ac_ad": 0.0}, at(clock), None) == days
    assert days_of({}, at(clock), None) == days


@pytest.mark.parametrize(
    ("clock", "then", "now", "days"),
    [
        ("00:02:00", {"a": 7207.0}, {"a": 15.0}, CERTAIN),
        ("00:02:00", {"a": 7207.0}, {"a": 7207.0}, NOT_YET),
        ("00:02:00", {"a": 7207.0}, {"a": 7260.0}, NOT_YET),
        # One of them is enough: a block comes as a whole.
        ("00:02:00", {"a": 0.0, "b": 3209.0}, {"a": 9.0, "b": 0.0}, CERTAIN),
        ("00:02:00", {"a": 0.0, "b": 3209.0}, {"a": 9.0}, NOT_YET),
        # What only dips has not been begun anew.
        ("00:02:00", {"a": 507.0}, {"a": 500.0}, NOT_YET),
        # What counts nothing does not fall; only time can tell.
        ("00:02:00", {"a": 0.0}, {"a": 0.0}, NOT_YET),
        ("00:06:00", {"a": 0.0}, {"a": 0.0}, CERTAIN),
        ("00:06:00", {"a": 30.0}, {"a": 0.0}, CERTAIN),
        ("00:06:00", {"a": 30.0}, {"a": 30.0}, NOT_YET),
    ],
)
def test_with_a_reading_of_yesterday_evening_the_fall_decides(clock, then, now, days):
    assert days_of(now, at(clock), earlier("23:50:00", **then)) == days


@pytest.mark.parametrize("hour", [0, 1, 5, 12])
def test_the_very_same_counters_are_of_the_day_before_however_late_it_is(hour):
    # The box was offline over midnight, and has not uploaded since it came back.
    assert days_of({"a": 5303.0}, at(f"{hour:02}:20:00"), earlier("22:00:00", a=5303.0)) == NOT_YET


def test_a_box_that_was_offline_for_days_may_show_any_of_them():
    before = earlier("22:00:00", date(2026, 5, 30), a=5303.0)
    assert days_of({"a": 5303.0}, at("09:00:00"), before) == Days(date(2026, 5, 30), TODAY)
    # A fall may be that of a midnight long past.
    assert days_of({"a": 900.0}, at("00:03:00"), before) == Days(date(2026, 5, 30), TODAY)
    assert days_of({"a": 900.0}, at("09:00:00"), before) == CERTAIN
    assert days_of({"a": 6000.0}, at("09:00:00"), before) == CERTAIN


def test_more_than_can_have_flowed_since_midnight_is_of_an_earlier_day():
    assert days_of({"a": 7207.0}, at("00:08:00"), None) == NOT_YET
    assert days_of({"a": 7207.0}, at("00:20:00"), None) == CERTAIN
    assert days_of({"a": 4000.0}, at("00:03:00"), earlier("23:50:00", a=9000.0)) == NOT_YET


@pytest.mark.parametrize(("clock", "days"), [("01:59:00", NOT_YET), ("02:00:00", CERTAIN)])
def test_a_clock_that_is_late_is_waited_for_if_something_was_counted_the_evening_before(
    clock, days
):
    assert days_of({"a": 900.0}, at(clock), earlier("21:00:00", a=800.0)) == days


def test_counters_that_were_read_as_early_the_day_before_need_not_fall():
    before = earlier("00:30:00", a=300.0)
    assert days_of({"a": 350.0}, at("00:30:00"), before) == CERTAIN
    assert days_of({"a": 350.0}, at("00:14:00"), before) == NOT_YET


@pytest.mark.parametrize(
    ("clock", "now", "days"),
    [
        ("09:05:00", 507.0, CERTAIN),
        ("09:05:00", 460.0, CERTAIN),
        # A late clock's midnight, after a reading that was taken for today's.
        ("01:05:00", 10.0, CERTAIN),
        # An early clock's midnight, or a box that counts from 0 again.
        ("23:52:00", 10.0, Days(TODAY, TOMORROW)),
        ("15:00:00", 10.0, Days(TODAY, TOMORROW)),
    ],
)
def test_counters_of_today_that_fall_late_are_of_no_whole_day(clock, now, days):
    before = Counted(contact=at("00:55:00"), wh={"a": 500.0})
    assert days_of({"a": now}, at(clock), before) == days


@pytest.mark.parametrize(
    ("clock", "now", "days"),
    [
        # They have not fallen below what the box counted after it had begun anew.
        ("00:02:00", 800.0, NOT_YET),
        ("00:02:00", 810.0, NOT_YET),
        ("00:30:00", 900.0, NOT_YET),
        ("00:02:00", 12.0, CERTAIN),
        ("02:00:00", 900.0, CERTAIN),
        ("09:00:00", 800.0, NOT_YET),
    ],
)
def test_the_midnight_after_a_fall_is_told_by_a_fall_below_what_followed_it(clock, now, days):
    known = None
    for time, wh in (("15:00:00", 8000.0), ("20:00:00", 400.0), ("23:58:00", 800.0)):
        contact = at(time, YESTERDAY)
        if time != "15:00:00":
            assert days_of({"a": wh}, contact, known) == Days(YESTERDAY, TODAY)
        known = counted({"a": wh}, contact, known)
        # Asked once more for the same contact, it is answered alike.
        assert counted({"a": wh}, contact, known) == known
    assert days_of({"a": now}, at(clock), known) == days


def test_counters_that_an_early_clock_began_before_midnight_are_todays_once_all_would_have_come():
    known = counted({"a": 100.0}, at("23:05:00", YESTERDAY), earlier("22:30:00", a=8000.0))
    known = counted({"a": 300.0}, at("23:55:00", YESTERDAY), known)
    for clock, days in (("00:02:00", NOT_YET), ("00:05:59", NOT_YET), ("00:06:00", CERTAIN)):
        assert days_of({"a": 320.0}, at(clock), known) == days


def test_no_counters_of_a_day_in_which_they_fell_are_given_however_they_go_on():
    known = counted({"a": 10.0}, at("15:00:00"), Counted(contact=at("14:00:00"), wh={"a": 500.0}))
    for clock, wh in (("15:05:00", 20.0), ("18:00:00", 700.0), ("19:00:00", 5.0)):
        assert days_of({"a": wh}, at(clock), known) == Days(TODAY, TOMORROW)
        known = counted({"a": wh}, at(clock), known)
        assert known.fell_by == at("15:00:00")


def test_an_answer_that_is_older_than_what_is_remembered_replaces_nothing():
    known = Counted(contact=at("12:05:00"), wh={"a": 30.0}, fell_by=at("12:05:00"))
    assert counted({"a": 5_000.0}, at("12:00:00"), known) == known
    assert counted({}, at("12:10:00"), known) == known


def test_an_answer_that_is_older_than_what_is_remembered_is_judged_by_its_time():
    later = Counted(contact=at("12:05:00"), wh={"a": 5_830.0})
    assert days_of({"a": 5_000.0}, at("12:00:00"), later) == CERTAIN
    assert days_of({"a": 5_000.0}, at("00:03:00"), later) == NOT_YET


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_on_days_on_which_clocks_change_midnight_is_midnight(day):
    for after in (day, day + timedelta(days=1)):
        yesterday = after - timedelta(days=1)
        early, late = at("00:05:59", after), at("00:06:00", after)
        assert days_of({"a": 0.0}, early, None) == Days(yesterday, after)
        assert days_of({"a": 0.0}, late, None) == Days(after, after)


@given(
    evening=st.floats(200, 40_000),
    use_w=st.floats(0, 20_000),
    read_before_s=st.integers(601, 6 * 3600),
    phase_s=st.integers(0, 299),
    late_s=st.integers(-600, 6600),
    asked_s=st.lists(st.integers(0, 9000), min_size=1, max_size=8).map(sorted),
)
@settings(max_examples=300, deadline=None)
def test_after_a_reading_in_the_evening_no_counter_of_yesterday_passes_for_todays(
    evening, use_w, read_before_s, phase_s, late_s, asked_s
):
    """However late the box's clock is, up to nearly two hours, and whenever somebody looks."""
    midnight = at("00:00:00")
    known = Counted(contact=midnight - timedelta(seconds=read_before_s), wh={"a": evening - 20})
    for seconds in asked_s:
        upload = (seconds - phase_s) // 300 * 300 + phase_s
        is_new = upload >= late_s
        shown = use_w * (upload - late_s) / 3600 if is_new else evening + upload * 0.01
        contact = midnight + timedelta(seconds=seconds)
        if days_of({"a": shown}, contact, known) == CERTAIN:
            assert is_new
            known = Counted(contact=contact, wh={"a": shown})
