"""Of which day counters may be: after midnight, after a gap, and by a clock that is wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.readings.rollover import NOTHING, Counted, Days, Memory, Shown, remembered
from server.readings.rollover import days_of as judged

PRAGUE = ZoneInfo("Europe/Prague")

TODAY, YESTERDAY = date(2026, 6, 17), date(2026, 6, 16)
TOMORROW = date(2026, 6, 18)
CERTAIN, NOT_YET = Days(TODAY, TODAY), Days(YESTERDAY, TODAY)


def at(clock: str, day: date = TODAY) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=PRAGUE).astimezone(UTC)


def shown(wh: dict[str, float], contact: datetime, **kwh: float) -> Shown:
    return Shown(contact=contact, wh=wh, kwh=kwh)


def days_of(wh: dict[str, float], contact: datetime, known: Counted | None) -> Days:
    """Say of which days counters may be by nothing but the time and what was understood last."""
    return judged(shown(wh, contact), Memory(known))


def counted(wh: dict[str, float], contact: datetime, known: Counted | None) -> Counted | None:
    return remembered(shown(wh, contact), Memory(known)).counted


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
        # A counter that only dips has not been reset.
        ("00:02:00", {"a": 507.0}, {"a": 500.0}, NOT_YET),
        # What counts nothing does not fall; only another block can tell.
        ("00:02:00", {"a": 0.0}, {"a": 0.0}, NOT_YET),
        ("00:06:00", {"a": 0.0}, {"a": 0.0}, NOT_YET),
        ("00:06:00", {"a": 30.0}, {"a": 0.0}, NOT_YET),
        ("00:06:00", {"a": 30.0}, {"a": 30.0}, NOT_YET),
        # At any time: the box may have been away since.
        ("10:02:00", {"a": 7207.0}, {"a": 7900.0}, NOT_YET),
        ("10:02:00", {"a": 7207.0}, {"a": 7200.0}, NOT_YET),
        ("10:02:00", {"a": 0.0}, {"a": 7900.0}, NOT_YET),
        ("23:59:00", {"a": 7207.0}, {"a": 7900.0}, NOT_YET),
        ("10:04:00", {"a": 7207.0}, {"a": 1500.0}, CERTAIN),
    ],
)
def test_with_a_reading_of_yesterday_evening_the_fall_decides(clock, then, now, days):
    assert days_of(now, at(clock), earlier("23:50:00", **then)) == days


@pytest.mark.parametrize("hour", [0, 1, 5, 12])
def test_unchanged_counters_belong_to_the_day_before_however_late_it_is(hour):
    # The box was offline over midnight, and has not uploaded since it came back.
    assert days_of({"a": 5303.0}, at(f"{hour:02}:20:00"), earlier("22:00:00", a=5303.0)) == NOT_YET


def test_a_box_that_was_offline_for_days_may_show_any_of_them():
    before = earlier("22:00:00", date(2026, 5, 30), a=5303.0)
    # A fall may be that of a midnight long past.
    for clock in ("00:03:00", "09:00:00", "23:00:00"):
        for wh in (5303.0, 900.0, 6000.0):
            assert days_of({"a": wh}, at(clock), before) == Days(date(2026, 5, 30), TODAY)


def test_a_counter_larger_than_possible_since_midnight_belongs_to_an_earlier_day():
    assert days_of({"a": 7207.0}, at("00:08:00"), None) == NOT_YET
    assert days_of({"a": 7207.0}, at("00:20:00"), None) == CERTAIN
    assert days_of({"a": 4000.0}, at("00:03:00"), earlier("23:50:00", a=9000.0)) == NOT_YET


FIRST_SHOWN = [
    # What goes on between two contacts of today was uploaded today.
    ("10:02:00", 8000.0, "10:20:00", 8060.0, CERTAIN),
    ("10:02:00", 8000.0, "10:04:00", 3000.0, CERTAIN),
    # A few Wh may be nothing but a sum that was made once more.
    ("10:02:00", 8000.0, "10:20:00", 8050.0, NOT_YET),
    ("10:02:00", 8000.0, "10:20:00", 7993.0, NOT_YET),
    ("10:02:00", 8000.0, "23:00:00", 8000.0, NOT_YET),
    # By a clock that is late yesterday goes on for two hours; only a fall is certain before.
    ("00:20:00", 8000.0, "01:30:00", 8600.0, NOT_YET),
    ("00:20:00", 8000.0, "02:10:00", 8600.0, NOT_YET),
    ("00:20:00", 8000.0, "00:58:00", 300.0, CERTAIN),
    ("02:00:00", 8000.0, "02:30:00", 8600.0, CERTAIN),
]


@pytest.mark.parametrize(("first", "was", "clock", "now", "days"), FIRST_SHOWN)
@pytest.mark.parametrize("day", [YESTERDAY, date(2026, 5, 30)])
def test_counters_already_shown_today_are_judged_by_their_change(first, was, clock, now, days, day):
    # Of the earlier reading, early in its day, nothing has fallen.
    known = remembered(shown({"a": was}, at(first)), Memory(earlier("06:00:00", day, a=100.0)))
    assert known.counted == earlier("06:00:00", day, a=100.0)
    expected = days if days == CERTAIN else Days(day, TODAY)
    assert judged(shown({"a": now}, at(clock)), known) == expected
    after = remembered(shown({"a": now}, at(clock)), known)
    # Asked once more for the same contact, it is answered alike.
    assert judged(shown({"a": now}, at(clock)), after) == expected
    assert remembered(shown({"a": now}, at(clock)), after) == after
    # What was shown on a day says nothing of the next.
    tomorrow = shown({"a": now + 700.0}, at("10:00:00", TOMORROW))
    assert judged(tomorrow, known).first < TOMORROW


def test_a_late_clock_not_observed_at_two_is_awaited_from_the_next_reading():
    known = Memory(earlier("06:00:00", a=100.0))
    for clock, wh, days in (
        ("00:30:00", 8000.0, NOT_YET),
        ("03:00:00", 8600.0, NOT_YET),
        ("03:20:00", 8700.0, CERTAIN),
    ):
        assert judged(shown({"a": wh}, at(clock)), known) == days
        known = remembered(shown({"a": wh}, at(clock)), known)


@pytest.mark.parametrize(
    ("then", "now", "days"),
    [
        # 12 kWh more in the month, and 2 more in the day: a midnight lies in between.
        ((1_000.0, 80.0), (3_000.0, 92.0), CERTAIN),
        # Within what is lost by rounding, it need not.
        ((1_000.0, 80.0), (3_000.0, 84.0), NOT_YET),
        ((1_000.0, 80.0), (3_000.0, 82.0), NOT_YET),
        ((1_000.0, 80.0), (3_000.0, 81.0), NOT_YET),
        # A new month shows nothing that the day does not.
        ((1_000.0, 80.0), (3_000.0, 2.0), NOT_YET),
    ],
)
def test_a_month_that_has_grown_by_more_than_the_day_has_had_a_midnight(then, now, days):
    before = Counted(contact=at("06:00:00", YESTERDAY), wh={"a": then[0]}, kwh={"a": then[1]})
    later = shown({"a": now[0]}, at("12:00:00"), a=now[1])
    assert judged(later, Memory(before)) == days
    # Of one of several midnights it says nothing.
    long_ago = before.model_copy(update={"contact": at("06:00:00", date(2026, 6, 14))})
    assert judged(later, Memory(long_ago)) == Days(date(2026, 6, 14), TODAY)


@pytest.mark.parametrize(
    ("then", "now", "after_s", "days"),
    [
        # Six minutes after another block has come, this one has come as well.
        (100.0, 900.0, 0, NOT_YET),
        (100.0, 900.0, 359, NOT_YET),
        (100.0, 900.0, 360, CERTAIN),
        # What counts nothing has nothing to show.
        (0.0, 0.0, 0, CERTAIN),
        (50.0, 12.0, 0, CERTAIN),
        (0.0, 51.0, 0, NOT_YET),
        # A block that stands still while others go on is stuck.
        (900.0, 900.0, 3600, NOT_YET),
    ],
)
def test_an_inconclusive_block_counts_as_todays_once_another_block_does(then, now, after_s, days):
    news = at("09:00:00")
    known = Memory(earlier("06:00:00", a=then))
    found = shown({"a": now}, news + timedelta(seconds=after_s))
    assert judged(found, known, news) == days
    assert judged(found, known, None) == NOT_YET
    assert judged(found, known, news - timedelta(days=1)) == NOT_YET


def test_before_six_past_midnight_no_other_block_helps():
    known = Memory(earlier("06:00:00", a=0.0))
    for clock, days in (("00:05:59", NOT_YET), ("00:06:00", CERTAIN)):
        assert judged(shown({"a": 0.0}, at(clock)), known, at("00:03:00")) == days


def test_without_a_known_contact_only_todays_counter_changes_count():
    def look(clock: str, wh: float, known: Memory) -> tuple[Days, Memory]:
        now = shown({"a": wh}, at(clock))
        return judged(now, known, heard=False), remembered(now, known, heard=False)

    days, known = look("00:03:00", 8000.0, NOTHING)
    assert days == NOT_YET
    days, known = look("12:00:00", 8000.0, known)
    assert days == NOT_YET
    days, known = look("12:30:00", 8200.0, known)
    assert days == CERTAIN
    # From then on it may only have gone away, and then it has counted so much today.
    days, known = look("23:50:00", 8200.0, known)
    assert days == CERTAIN
    assert judged(shown({"a": 8200.0}, at("00:10:00", TOMORROW)), known, heard=False).first == TODAY
    assert judged(shown({"a": 20.0}, at("00:10:00", TOMORROW)), known, heard=False) == Days(
        TOMORROW, TOMORROW
    )


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
def test_counters_of_today_that_fall_late_belong_to_no_whole_day(clock, now, days):
    before = Counted(contact=at("00:55:00"), wh={"a": 500.0})
    assert days_of({"a": now}, at(clock), before) == days


@pytest.mark.parametrize(
    ("clock", "now", "days"),
    [
        # They have not fallen below what the box counted after its reset.
        ("00:02:00", 800.0, NOT_YET),
        ("00:02:00", 810.0, NOT_YET),
        ("00:30:00", 900.0, NOT_YET),
        ("00:02:00", 12.0, CERTAIN),
        ("02:00:00", 900.0, NOT_YET),
        ("09:00:00", 800.0, NOT_YET),
        ("09:00:00", 100.0, CERTAIN),
    ],
)
def test_the_midnight_after_a_fall_is_recognised_by_a_fall_below_later_values(clock, now, days):
    known = None
    for time, wh in (("15:00:00", 8000.0), ("20:00:00", 400.0), ("23:58:00", 800.0)):
        contact = at(time, YESTERDAY)
        if time != "15:00:00":
            assert days_of({"a": wh}, contact, known) == Days(YESTERDAY, TODAY)
        known = counted({"a": wh}, contact, known)
        # Asked once more for the same contact, it is answered alike.
        assert counted({"a": wh}, contact, known) == known
    assert days_of({"a": now}, at(clock), known) == days


def test_counters_of_an_early_clock_become_todays_after_the_upload_time():
    known = counted({"a": 100.0}, at("23:05:00", YESTERDAY), earlier("22:30:00", a=8000.0))
    known = counted({"a": 300.0}, at("23:55:00", YESTERDAY), known)
    for clock, days in (("00:02:00", NOT_YET), ("00:05:59", NOT_YET), ("00:06:00", CERTAIN)):
        assert days_of({"a": 320.0}, at(clock), known) == days


def test_no_counters_are_given_for_a_day_in_which_they_fell():
    known = counted({"a": 10.0}, at("15:00:00"), Counted(contact=at("14:00:00"), wh={"a": 500.0}))
    for clock, wh in (("15:05:00", 20.0), ("18:00:00", 700.0), ("19:00:00", 5.0)):
        assert days_of({"a": wh}, at(clock), known) == Days(TODAY, TOMORROW)
        known = counted({"a": wh}, at(clock), known)
        assert known.fell_by == at("15:00:00")


def test_an_older_answer_does_not_replace_the_remembered_reading():
    known = Counted(contact=at("12:05:00"), wh={"a": 30.0}, fell_by=at("12:05:00"))
    assert counted({"a": 5_000.0}, at("12:00:00"), known) == known
    assert counted({}, at("12:10:00"), known) == known


def test_an_older_answer_is_judged_by_its_time():
    later = Counted(contact=at("12:05:00"), wh={"a": 5_830.0})
    assert days_of({"a": 5_000.0}, at("12:00:00"), later) == CERTAIN
    assert days_of({"a": 5_000.0}, at("00:03:00"), later) == NOT_YET


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_midnight_is_recognised_on_days_when_clocks_change(day):
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
    away_s=st.none() | st.tuples(st.integers(-20_000, 0), st.integers(0, 40_000)),
    asked_s=st.lists(st.integers(0, 50_000), min_size=1, max_size=8).map(sorted),
    heard=st.booleans(),
)
@settings(max_examples=400, deadline=None)
def test_after_a_reading_in_the_evening_no_counter_of_yesterday_passes_for_todays(
    evening, use_w, read_before_s, phase_s, late_s, away_s, asked_s, heard
):
    """However late the box's clock is, however long it was away, and whenever somebody looks."""
    midnight = at("00:00:00")
    before = midnight - timedelta(seconds=read_before_s)
    known = Memory(Counted(contact=before, wh={"a": evening - read_before_s * 0.005}))
    for seconds in asked_s:
        if away_s is not None and seconds < away_s[1]:
            continue
        upload = (seconds - phase_s) // 300 * 300 + phase_s
        if away_s is not None and upload < away_s[1]:
            upload = max(away_s[0], -read_before_s)
        is_new = upload >= late_s
        shown_wh = use_w * (upload - late_s) / 3600 if is_new else evening + upload * 0.005
        now = shown({"a": shown_wh}, midnight + timedelta(seconds=seconds))
        if judged(now, known, heard=heard) == CERTAIN:
            assert is_new
        known = remembered(now, known, heard=heard)


def learnt(*seen: tuple[dict[str, float], datetime]) -> Memory:
    memory = NOTHING
    for wh, contact in seen:
        memory = remembered(shown(wh, contact), memory)
    return memory


DOUBTED = {"a": 3389.0}


@pytest.mark.parametrize(
    "memory",
    [
        learnt((DOUBTED, at("00:01:00"))),
        learnt((DOUBTED, at("00:01:00", YESTERDAY))),
        # The latest that was doubted counts, not only the first.
        learnt(({"a": 3300.0}, at("00:00:30")), (DOUBTED, at("00:04:55"))),
        learnt((DOUBTED, at("00:04:00")), (DOUBTED, at("00:16:00"))),
    ],
)
@pytest.mark.parametrize("news", [None, at("00:20:00")])
def test_counters_that_were_doubted_are_not_todays_by_time(memory, news):
    for clock in ("00:16:43", "07:30:00"):
        found = judged(shown(DOUBTED, at(clock)), memory, news)
        assert found.first < TODAY
    # What has changed since is todays again by time, and so is what counts nothing.
    assert judged(shown({"a": 40.0}, at("07:30:00")), memory) == CERTAIN
    nothing = learnt(({"a": 0.0}, at("00:01:00")))
    assert judged(shown({"a": 0.0}, at("00:10:00")), nothing) == CERTAIN
