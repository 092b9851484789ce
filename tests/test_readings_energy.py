"""Energy of days and hours: summed, counted, with holes, over clock changes, against the truth."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.readings import clock
from server.readings.energy_day import COUNTERS, POWERS, hours_of, stored_day
from server.readings.energy_from_history import SERIES, energy_days
from server.readings.energy_money import Prices
from server.readings.energy_report import energy_report
from server.readings.placement import days_between

from .energy_history import STEP, House, answers, moments

DAY = date(2026, 6, 10)
NEXT = date(2026, 6, 11)
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)
LATER = datetime(2026, 12, 1, tzinfo=UTC)
BOX = "2210400017"
UNPRICED = Prices(None, None, None)


def local(day, hour, minute=0):
    return clock.starts(day) + timedelta(hours=hour, minutes=minute)


def read(found, first=DAY, last=None, now=LATER):
    days = energy_days(found, first, last or first, now)
    assert days is not None
    return days


def report(days, per="day", prices=UNPRICED, box_id=BOX, **more):
    return energy_report(days, per, box_id, prices, **more)


def between(first, last):
    return lambda at: first <= at < last


def so_far(at, _hours, power):
    """Count up to the upload itself."""
    return max(power, 0) * ((at - clock.starts(clock.local_day(at))) / timedelta(hours=1))


# Against the truth.


@pytest.mark.parametrize(
    ("at", "first", "last"),
    [
        ("2026-06-15T09:00", "2026-06-08", "2026-06-14"),
        ("2026-01-16T08:00", "2026-01-10", "2026-01-15"),
        ("2026-10-26T09:00", "2026-10-20", "2026-10-25"),
        ("2026-03-30T09:00", "2026-03-24", "2026-03-29"),
        ("2027-01-02T09:00", "2026-12-29", "2027-01-01"),
    ],
)
def test_every_quantity_of_every_day_is_the_simulators_within_two_percent(at, first, last):
    now = datetime.fromisoformat(at).replace(tzinfo=clock.PRAGUE).astimezone(UTC)
    house = House(now)
    first, last = date.fromisoformat(first), date.fromisoformat(last)
    days = read(house.answers(first, last), first, last, now)
    assert [one.day for one in days] == days_between(first, last)
    for one in days:
        assert one.complete
        assert one.counted == set(COUNTERS)
        for quantity, value in house.truth[one.day].items():
            assert one.wh[quantity] == pytest.approx(value, rel=0.02, abs=30.0)
            hourly = sum(hour[quantity] for hour in one.hours)
            assert hourly == pytest.approx(value, rel=0.02, abs=30.0)


# Days of 23, 24 and 25 hours.


@pytest.mark.parametrize(("day", "hours"), [(SPRING, 23), (DAY, 24), (AUTUMN, 25)])
@pytest.mark.parametrize("times", [False, True])
def test_a_day_has_as_many_hours_as_clocks_show(day, hours, times):
    (one,) = read(answers(day, day, times=times), day)
    assert one.complete
    assert [hour["solar"] for hour in one.hours] == [2000] * hours
    assert [hour["imported"] for hour in one.hours] == pytest.approx([600] * hours, abs=50)
    assert one.wh["imported"] == pytest.approx(600 * hours, abs=51)
    assert {name: wh for name, wh in one.wh.items() if name != "imported"} == {
        "solar": 2000 * hours,
        "exported": 0,
        "consumed": 600 * hours,
        "charged": 1000 * hours,
        "discharged": 0,
    }


def test_the_hour_that_comes_twice_has_two_rows_and_the_skipped_one_none():
    twice = report(read(answers(AUTUMN, AUTUMN), AUTUMN), "hour").rows
    labels = [row.day for row in twice]
    assert labels[2:4] == ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]
    assert len(set(labels)) == 25
    skipped = report(read(answers(SPRING, SPRING), SPRING), "hour").rows
    assert [row.day[11:13] for row in skipped[:4]] == ["00", "01", "03", "04"]


# Counters, and powers in their place.


def test_counters_that_fall_at_midnight_are_used():
    first, last = read(answers(DAY, NEXT), DAY, NEXT)
    for one in (first, last):
        assert one.counted == {"imported", "exported"}
    assert report((first, last)).method.imported == "counter"
    assert report((first, last)).method.solar == "power"


HOLES = {
    "no hole": lambda _at: False,
    "a hole": between(local(DAY, 8), local(DAY, 8, 30)),
    "a long hole": between(local(DAY, 8), local(DAY, 17)),
    "a hole at midnight": between(local(DAY, 0), local(DAY, 0, 40)),
}


@pytest.mark.parametrize("times", [False, True])
@pytest.mark.parametrize("without", HOLES.values(), ids=HOLES)
@pytest.mark.parametrize(
    "counter",
    [
        pytest.param(lambda _at, _h, power: max(power, 0) / 12, id="per interval"),
        pytest.param(lambda _at, h, power: 5_000_000 + max(power, 0) * h, id="for ever"),
        pytest.param(lambda _at, h, power: max(power, 0) * h / 1000, id="in kWh"),
        pytest.param(lambda _at, h, power: max(power, 0) * h / 10, id="in tens"),
        pytest.param(lambda at, h, p: max(p, 0) * min(h, 9), id="standing still"),
        pytest.param(
            lambda _at, h, power: max(power, 0) * h + (400_000 if h > 18 and power > 0 else 0),
            id="jumping",
        ),
        pytest.param(lambda _at, h, power: max(power, 0) * ((h + 12) % 24), id="from noon"),
        pytest.param(lambda _at, _h, _power: 0, id="never counting"),
        pytest.param(lambda _at, _h, _power: None, id="not sent"),
        pytest.param(lambda _at, _h, _power: "n/a", id="not a number"),
    ],
)
def test_powers_stand_in_for_counters_that_do_not_count_from_midnight(counter, without, times):
    (one,) = read(answers(DAY, DAY, grid=600, counter=counter, without=without, times=times))
    assert "imported" not in one.counted
    known = 24 - one.gap_s / 3600
    # Of so few values without times nobody knows how long each counts.
    assert one.wh["imported"] in {600 * known, None if known < 22 and not times else 600 * known}
    assert not one.hours or sum(hour["imported"] or 0 for hour in one.hours) == 600 * known


@pytest.mark.parametrize("watts", [5, 60, 3000])
@pytest.mark.parametrize("counter", [lambda *_: 0, lambda _at, h, power: max(power, 0) * h])
def test_a_small_flow_is_counted_with_or_without_its_counter(watts, counter):
    # 5 W make 0.1 kWh a day.
    (one,) = read(answers(DAY, DAY, grid=watts, counter=counter))
    assert one.wh["imported"] == pytest.approx(watts * 24, rel=0.01)


@pytest.mark.parametrize("peak", [3000, 8000, -25_000, -90_000])
@pytest.mark.parametrize("places", [(150,), (60, 61, 250, 252), (20, 100, 180, 260)])
def test_a_counter_is_believed_beside_powers_with_some_short_peaks(peak, places):
    found = answers(DAY, DAY, grid=50)
    for place in places:
        found["grid"]["items"][place]["values"][1] += peak
    (one,) = read(found)
    assert one.counted >= {"imported"}
    assert one.wh["imported"] == pytest.approx(1200, abs=5)


@pytest.mark.parametrize("times", [1, 2, 5, 10])
@pytest.mark.parametrize("counter", [lambda *_: 0, lambda _at, h, power: max(power, 0) * h])
def test_a_counter_with_more_than_one_value_in_five_minutes_counts_the_whole_day(times, counter):
    found = answers(DAY, DAY, counter=counter)
    for answer in found.values():
        answer["items"] = [item for item in answer["items"] for _ in range(times)]
    (one,) = read(found)
    if counter(0, 1, 1) or times == 1:
        assert one.wh["imported"] == pytest.approx(14_400, rel=0.005)
    else:
        assert one.wh["imported"] is None
    assert one.wh["solar"] == (48_000 if times == 1 else None)


def test_energy_of_the_day_before_on_a_late_counter_is_not_counted_twice():
    def late(at, hours, power):
        return max(power, 0) * (hours if hours > 0.25 else hours + 24)

    (one,) = read(answers(DAY, DAY, counter=late))
    assert one.counted == {"imported", "exported"}
    assert one.wh["imported"] == pytest.approx(600 * 24, abs=51)


@pytest.mark.parametrize("minutes", [-90, -60, -29, -25, -15, -10, -5, 0, 5, 10, 20, 60])
@pytest.mark.parametrize("times", [False, True])
def test_nothing_is_lost_at_midnight_by_a_box_whose_clock_is_wrong(minutes, times):
    # The battery is charged from the grid from 23:00 to 01:00, by a counter that falls with the
    # box's clock.
    def watts(at):
        return 5000 if at.astimezone(clock.PRAGUE).hour in (23, 0) else 300

    def counted(at):
        own = at + timedelta(minutes=minutes)
        since = clock.starts(clock.local_day(own)) - timedelta(minutes=minutes)
        steps = int((at - since) / STEP)
        return sum(watts(since + number * STEP) for number in range(steps)) / 12

    days = [DAY - timedelta(days=1), DAY, NEXT]
    found = answers(days[0], NEXT, times=times)
    for item, at in zip(found["grid"]["items"], moments(days[0], NEXT), strict=True):
        item["values"] = [230, watts(at), counted(at), 0]
    for one in read(found, days[0], NEXT):
        assert one.complete
        assert one.wh["imported"] == pytest.approx(2 * 5000 + 22 * 300, rel=0.02)


@pytest.mark.parametrize("jump", [1500, -1500, 3000, 40_000])
def test_a_counter_that_jumps_is_not_used(jump):
    def jumps(at, hours, power):
        return max(power, 0) * hours + (jump if at >= local(DAY, 12) and power > 0 else 0)

    (one,) = read(answers(DAY, DAY, grid=300, counter=jumps))
    assert "imported" not in one.counted
    assert one.wh["imported"] == 7200


@pytest.mark.parametrize("times", [False, True])
@pytest.mark.parametrize(
    ("begin", "end"),
    [((DAY, 23, 30), (NEXT, 0, 30)), ((DAY, 21), (NEXT, 3)), ((DAY, 24), (NEXT, 1))],
)
def test_a_counter_that_fell_during_a_gap_counts_from_midnight(begin, end, times):
    # A night's charging goes on over midnight, and the box is offline in the middle of it.
    begin, end = local(*begin), local(*end)
    found = {
        day: answers(day, day, grid=5000, without=between(begin, end), times=times)
        for day in (DAY, NEXT)
    }
    (first,), (last,) = (read(found[day], day) for day in (DAY, NEXT))
    known = (begin - local(DAY, 0)) / timedelta(hours=1)
    assert first.counted == last.counted == {"imported", "exported"}
    assert first.wh["imported"] == pytest.approx(5000 * known, abs=450)
    assert last.wh["imported"] == pytest.approx(5000 * 24, abs=450)
    assert last.complete is False
    (warning,) = [one for one in report((last,)).warnings if "Time without data" in one]
    assert warning.endswith("the sums lack it; imported and exported may lack part of it.")


def test_a_counter_that_a_gap_at_midnight_does_not_explain_is_not_used():
    def long_counted(_at, hours, power):
        return max(power, 0) * hours + (95_000 if power > 0 else 0)

    without = between(local(DAY, 0), local(DAY, 3))
    for times in (False, True):
        (one,) = read(answers(DAY, DAY, without=without, times=times, counter=long_counted))
        assert "imported" not in one.counted


def test_a_counter_that_drops_by_a_few_wh_is_still_used():
    def dips(at, hours, power):
        return max(power, 0) * hours - (15 if at == local(DAY, 12) else 0)

    (one,) = read(answers(DAY, DAY, grid=100, counter=dips))
    assert "imported" in one.counted
    assert one.wh["imported"] == pytest.approx(2400, abs=10)


@pytest.mark.parametrize(
    ("series", "values"),
    [
        ("solar", [300, 300, 0, 90_000, 0]),
        ("solar", [300, 300, 0, 9_000, 9_000]),
        ("battery", [50, 1_900, 60, 20]),
        ("load", [25_000, 25_000, 25_000]),
    ],
)
def test_an_implausible_power_is_not_summed(series, values):
    found = answers(DAY, DAY)
    for place in (150, 151, 152):
        found[series]["items"][place]["values"] = values
    (one,) = energy_days(found, DAY, DAY, LATER, peak_w=9_900)
    assert (one.gap_s, one.complete) == (900, False)
    quantity = {"solar": "solar", "battery": "charged", "load": "consumed"}[series]
    watts = {"solar": 2000, "battery": 1000, "load": 600}[series]
    assert one.wh[quantity] == watts * 23.75


# Items without times.


def test_falling_counters_separate_the_days_when_items_are_missing():
    without = between(local(NEXT, 3), local(NEXT, 8))
    last = NEXT + timedelta(days=1)
    days = read(answers(DAY, last, without=without), DAY, last)
    assert [one.wh["imported"] for one in days] == pytest.approx([14400, 14400, 14400], abs=51)
    assert [one.complete for one in days] == [True, False, True]
    assert days[1].gap_s == 5 * 3600
    # Nobody knows when the five hours were.
    assert days[1].hours == ()
    assert days[1].wh["solar"] == 2000 * 19


@pytest.mark.parametrize("hours", [1, 3, 6, 11.75])
def test_a_day_known_by_more_than_half_is_summed_without_hours(hours):
    (one,) = read(answers(DAY, DAY, without=between(local(DAY, 6), local(DAY, 6 + hours))))
    assert one.wh["solar"] == 2000 * (24 - hours)
    assert one.wh["imported"] == pytest.approx(14_400, abs=51)
    assert (one.hours, one.gap_s, one.complete) == ((), hours * 3600, False)
    told = report((one,), prices=Prices(6.5, 1.8, "CZK"))
    assert told.lacking == (f"{DAY}: {hours:.1f} hours without data",)
    assert any(f"{DAY} ({hours:.1f} hours): the sums lack it" in one for one in told.warnings)
    assert told.total.complete is False
    # What came in and what went out are not of the same time.
    assert told.total.self_sufficiency_percent is told.total.self_consumption_percent is None
    assert told.total.money.without_box_at_most is told.total.money.saved_at_most is None


def test_energy_that_flows_only_during_a_gap_is_counted():
    # The sun shines for three hours, and the box is offline in them.
    hole = between(local(DAY, 11), local(DAY, 14))

    def counted(at, _hours, _power):
        return 0 if at < local(DAY, 11) else 4_000

    for times in (False, True):
        (one,) = read(answers(DAY, DAY, grid=0, without=hole, times=times, counter=counted))
        assert one.wh["exported"] == 4_000


def test_a_day_known_by_half_or_less_is_not_summed():
    # As many values may as well be ten minutes apart.
    (one,) = read(answers(DAY, DAY, without=between(local(DAY, 6), local(DAY, 18))))
    assert one.wh["solar"] is None
    assert one.wh["imported"] == pytest.approx(14_400, abs=51)


def test_the_current_day_of_a_silent_box_has_the_known_energy():
    found = answers(DAY, DAY, until=local(DAY, 9))
    (one,) = read(found, now=local(DAY, 13))
    assert one.wh["solar"] == pytest.approx(2000 * 9, abs=100)
    assert one.gap_s == pytest.approx(4 * 3600, abs=300)
    assert one.complete is False
    # When the last one came nobody knows.
    assert f"{DAY}: under way." in report((one,)).warnings
    (late,) = read(found, now=local(DAY, 19))
    assert late.wh["solar"] is None


def test_indistinguishable_days_must_be_requested_alone():
    found = answers(
        DAY, NEXT, without=between(local(DAY, 3), local(DAY, 8)), counter=lambda *_: None
    )
    assert energy_days(found, DAY, NEXT, LATER) is None


def test_an_incomplete_series_is_not_assigned_the_days_of_another():
    found = answers(DAY, NEXT)
    del found["load"]["items"][100:150]
    assert energy_days(found, DAY, NEXT, LATER) is None


# Items with times.


def test_gaps_are_reported_by_the_hour_and_not_filled():
    without = between(local(DAY, 3), local(DAY, 8))
    (one,) = read(answers(DAY, DAY, without=without, times=True))
    assert one.gap_s == 5 * 3600
    assert one.gaps[3:8] == (3600,) * 5
    assert one.wh["solar"] == 2000 * 19
    # The counter went on.
    assert one.wh["imported"] == pytest.approx(14400, abs=51)
    rows = report((one,), "hour").rows
    assert [row.day[11:13] for row in rows if row.solar_kwh is not None][2:5] == ["02", "08", "09"]
    told = report((one,))
    assert (told.rows[0].complete, told.total.complete) == (False, False)
    lost = "(whole hours: 5 of solar, consumed, charged, discharged)"
    assert told.lacking == (f"2026-06-10: 5.0 hours without data {lost}",)
    assert any("2026-06-10 (5.0 hours)" in warning for warning in told.warnings)
    assert told.total.self_sufficiency_percent is None
    paths = [path for one in told.unknown for path in one.readings]
    assert "total.self_sufficiency_percent" in paths


def test_a_box_that_reports_once_an_hour_is_complete():
    found = answers(DAY, DAY, without=lambda at: at.minute != 0, times=True)
    (one,) = read(found)
    assert one.complete
    assert one.wh["solar"] == 48_000


# Days under way, and days without anything.


@pytest.mark.parametrize("times", [False, True])
@pytest.mark.parametrize("minutes", [26, 30, 34])
def test_the_current_day_ends_at_its_last_upload(minutes, times):
    found = answers(DAY, DAY, until=local(DAY, 9, 30), times=times, counter=so_far)
    (one,) = read(found, now=local(DAY, 9, minutes))
    last = found["grid"]["items"][-1]["values"]
    assert [one.wh["imported"], one.wh["exported"]] == [round(value) for value in last[2:]]
    assert one.wh["solar"] == pytest.approx(2000 * (9 + 25 / 60), abs=2000 / 23)
    assert (one.ended, one.as_of, one.gap_s) == (False, local(DAY, 9, 25).timestamp(), 0)
    assert f"{DAY}: under way, as of 09:25+02:00." in report((one,)).warnings


def test_the_time_since_the_last_upload_of_a_silent_box_has_no_data():
    found = answers(DAY, DAY, until=local(DAY, 9), times=True, counter=so_far)
    (one,) = read(found, now=local(DAY, 13))
    assert one.as_of == local(DAY, 8, 55).timestamp()
    assert one.gap_s == pytest.approx(4 * 3600, abs=300)
    assert one.wh["imported"] == found["grid"]["items"][-1]["values"][2]
    assert one.whole == frozenset()
    assert len(report((one,), "hour").rows) == 9


def test_the_current_day_is_marked_and_ends_now():
    now = local(DAY, 9, 30)
    (one,) = read(answers(DAY, DAY, until=now), now=now)
    assert len(one.hours) == 10
    told = report((one,))
    assert told.rows[0].complete is False
    assert told.lacking == ("2026-06-10: under way",)
    assert any("under way" in warning for warning in told.warnings)
    assert [row.complete for row in report((one,), "hour").rows] == [True] * 9 + [False]


@pytest.mark.parametrize(
    "nothing", [{}, {name: [] for name in SERIES}, {name: {"items": []} for name in SERIES}]
)
def test_a_day_without_data_has_no_row(nothing):
    days = read(nothing)
    told = report(days)
    assert told.rows == ()
    assert told.lacking == ("2026-06-10: no data",)
    assert told.total.solar_kwh is None
    assert any("no data" in warning for warning in told.warnings)


def test_a_null_has_a_reason_and_is_never_zero():
    found = answers(DAY, DAY)
    for item in found["battery"]["items"]:
        item["values"] = [None, None]
    told = report(read(found))
    assert told.rows[0].charged_kwh is None
    assert told.method.charged == "none"
    assert told.rows[0].complete is False
    paths = {path for one in told.unknown for path in one.readings}
    assert {"rows.2026-06-10.charged_kwh", "total.charged_kwh"} <= paths
    assert told.total.self_consumption_percent is None


# Rows, totals, prices.


def test_months_and_totals_are_the_sums_of_their_days():
    first, last = date(2026, 6, 29), date(2026, 7, 2)
    days = read(answers(first, last), first, last)
    months = report(days, "month")
    assert [(row.day, row.solar_kwh) for row in months.rows] == [("2026-06", 96), ("2026-07", 96)]
    assert report(days, "total").rows == ()
    assert months.total == report(days, "total").total == report(days).total
    assert months.total.solar_kwh == 192


def test_a_month_that_lacks_days_is_not_complete():
    first, last = date(2026, 6, 1), date(2026, 7, 31)
    days = read(answers(first, last), first, last)
    assert [row.complete for row in report(days, "month").rows] == [True, True]
    told = report(days[1:], "month", unread=[first])
    assert [row.complete for row in told.rows] == [False, True]
    assert told.lacking == ("2026-06: a part is not known", "2026-06-01: not read")


@pytest.mark.parametrize(
    ("first", "last", "lacking"),
    [
        ("2026-06-20", "2026-06-25", ["2026-06: only 2026-06-20 to 2026-06-25"]),
        ("2026-06-30", "2026-06-30", ["2026-06: only 2026-06-30"]),
        (
            "2026-06-14",
            "2026-07-03",
            ["2026-06: only 2026-06-14 to 2026-06-30", "2026-07: only 2026-07-01 to 2026-07-03"],
        ),
        ("2026-02-01", "2026-02-28", []),
    ],
)
def test_a_row_for_part_of_a_month_is_incomplete_and_names_its_days(first, last, lacking):
    first, last = date.fromisoformat(first), date.fromisoformat(last)
    told = report(read(answers(first, last), first, last), "month")
    assert list(told.lacking) == lacking
    assert all(row.complete is not bool(lacking) for row in told.rows)
    assert told.total.complete


@pytest.mark.parametrize("per", ["day", "month", "total"])
def test_a_gap_in_a_sum_names_the_day_and_the_quantity(per):
    # 1. The counter goes on over 13 hours, so few powers without times cannot be summed. 2. A
    # series is missing.
    for without, series, lacks in (
        (between(local(NEXT, 3), local(NEXT, 16)), SERIES, "solar, consumed, charged, discharged"),
        (lambda _at: False, ("grid", "solar", "battery"), "consumed"),
    ):
        found = answers(NEXT, NEXT, without=without)
        days = (*read(answers(DAY, DAY)), *read({one: found[one] for one in series}, NEXT))
        told = report(days, per, prices=Prices(6.5, 1.8, "CZK"))
        assert any(lacks in one and "not known" in one for one in told.lacking)
        assert f"Not known of {NEXT}, and not in the sums: {lacks}." in told.warnings
        # The bill is of two days, and the house's part of one.
        assert told.total.money.cost == pytest.approx(28.8 * 6.5, abs=1)
        assert told.total.money.without_box_at_least is None
        assert told.total.money.saved_at_least is None


def test_a_gap_bridged_by_counters_is_reported_for_the_other_sums():
    without = between(local(DAY, 3), local(DAY, 8))
    (one,) = read(answers(DAY, DAY, without=without, times=True))
    (warning,) = [one for one in report((one,)).warnings if "Time without data" in one]
    assert warning.endswith("the sums lack it; imported and exported are whole.")


HOLE = between(local(DAY, 3), local(DAY, 8))


@pytest.mark.parametrize("per", ["day", "month", "total"])
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        # The counter goes on.
        (answers(DAY, DAY, without=HOLE, times=True), "5 of solar, consumed, charged, discharged"),
        (
            answers(DAY, DAY, without=HOLE, times=True, counter=lambda *_: None),
            "5 of solar, imported, exported, consumed, charged, discharged",
        ),
        (
            answers(DAY, DAY, times=True)
            | {"battery": answers(DAY, DAY, without=HOLE, times=True)["battery"]},
            "5 of charged, discharged",
        ),
        (
            answers(DAY, DAY, times=True)
            | {
                "battery": answers(DAY, DAY, without=HOLE, times=True)["battery"],
                "solar": answers(
                    DAY, DAY, without=between(local(DAY, 12), local(DAY, 14)), times=True
                )["solar"],
            },
            "2 of solar; 5 of charged, discharged",
        ),
    ],
)
def test_missing_hours_are_counted_for_each_quantity(per, answer, said):
    told = report(read(answer), per)
    (gap,) = [one for one in told.lacking if "without data" in one]
    assert f" hours without data (whole hours: {said})" in gap


def test_a_quantity_without_missing_hours_is_not_named():
    for without, times in (
        (between(local(DAY, 3, 10), local(DAY, 3, 50)), True),  # a part of an hour
        (HOLE, False),  # nobody knows which hours
    ):
        found = report(read(answers(DAY, DAY, without=without, times=times)))
        assert found.lacking
        assert "whole hours" not in "".join(found.lacking)


def test_hours_without_data_are_missing_when_hours_are_asked_for():
    without = between(local(DAY, 10, 50), local(DAY, 13, 20))
    (one,) = read(answers(DAY, DAY, without=without, times=True, counter=lambda *_: None))
    told = report((one,), "hour")
    assert len(told.rows) == 22
    empty = "2026-06-10T11:00:00+02:00 to 2026-06-10T12:00:00+02:00: no data"
    assert empty in told.lacking
    assert told.total.complete is False


def test_a_day_that_has_just_begun_is_current_and_not_without_data():
    now = local(NEXT, 0, 3)
    days = (*read(answers(DAY, DAY)), *read({}, NEXT, now=now))
    told = report(days)
    assert told.lacking == ("2026-06-11: under way",)
    assert "2026-06-11 is under way: it has no values yet." in told.warnings
    assert not any("no data" in one for one in told.warnings)


def test_consumption_is_described_as_covering_part_of_the_house():
    (one,) = read(answers(DAY, DAY, grid=-600, battery=0))
    (said,) = report((one,)).warnings
    assert said.startswith("consumed: backed-up part; house and box: ")
    # The sun's 2 kW less the 0.6 kW that were exported: what self-sufficiency is a share of.
    assert float(said.split(" kWh")[0].split()[-1]) == pytest.approx(33.6, abs=0.1)


@pytest.mark.parametrize(("bought", "sold"), [(6.5, 1.8), (-2.5, -1.0), (-2.5, 1.8), (0.0, 0.0)])
def test_savings_are_the_bill_without_the_box_minus_the_bill_with_it(bought, sold):
    (one,) = read(answers(DAY, DAY, grid=-600, battery=0))
    money = report((one,), prices=Prices(bought, sold, "CZK")).total.money
    assert money.without_box_at_least <= money.without_box_at_most
    for end in ("at_least", "at_most"):
        without = getattr(money, f"without_box_{end}")
        saved = getattr(money, f"saved_{end}")
        assert saved == pytest.approx(without - money.cost + money.revenue, abs=0.02)


def test_prices_give_money_and_no_prices_give_none():
    (one,) = read(answers(DAY, DAY, grid=-600, battery=0))
    priced = report((one,), prices=Prices(6.5, 1.8, "CZK")).total.money
    assert priced.currency == "CZK"
    assert (priced.cost, priced.revenue) == (0, pytest.approx(14.4 * 1.8, abs=0.1))
    # The backed-up part used 0.6 kW, and all that was not exported was 1.4 kW.
    assert priced.without_box_at_least == pytest.approx(14.4 * 6.5)
    assert priced.without_box_at_most == pytest.approx(33.6 * 6.5, abs=0.5)
    unpriced = report((one,))
    assert unpriced.total.money is None
    why = {path: one.why for one in unpriced.unknown for path in one.readings}
    assert why["total.money"] == "No prices."
    half = report((one,), prices=Prices(6.5, None, None)).total.money
    assert (half.revenue, half.currency, half.saved_at_most) == (None, None, None)


def test_percentages_are_null_where_they_mean_nothing():
    (sunny,) = read(answers(DAY, DAY, grid=-600, battery=400))
    assert report((sunny,)).total.self_sufficiency_percent == 100
    assert report((sunny,)).total.self_consumption_percent == pytest.approx(70, abs=0.2)
    (dark,) = read(answers(DAY, DAY, solar=0, battery=0))
    assert report((dark,)).total.self_consumption_percent is None
    assert report((dark,)).total.self_sufficiency_percent == 0
    (charging,) = read(answers(DAY, DAY, solar=0, battery=500, grid=600))
    assert report((charging,)).total.self_sufficiency_percent is None


def test_with_several_boxes_no_row_names_one():
    told = report(read(answers(DAY, DAY)), box_id=None, warnings=["Several boxes."])
    assert told.box_id is None
    assert "Several boxes." in told.warnings
    assert "box_id" in [path for one in told.unknown for path in one.readings]


def test_unread_days_are_reported_with_how_to_continue():
    told = report(read(answers(DAY, DAY)), unread=[NEXT], warnings=["Ask again from 2026-06-11."])
    assert told.lacking == ("2026-06-11: not read",)
    assert "Ask again from 2026-06-11." in told.warnings
    assert told.total.complete is False


# How long results are.


def test_a_week_and_a_month_of_the_demo_box_are_short():
    now = datetime(2026, 6, 1, 7, tzinfo=UTC)
    house = House(now).until(now + timedelta(days=30))
    later = now + timedelta(days=30)
    priced = Prices(6.5, 2.1, "CZK")
    # July 1 is under way.
    for days, last, most, priced_most in (
        (7, date(2026, 6, 7), 1_740, 1_860),
        (7, date(2026, 7, 1), 1_740, 1_860),
        (30, date(2026, 6, 30), 6_144, 6_144),
        (31, date(2026, 7, 1), 6_144, 6_144),
    ):
        first = last - timedelta(days=days - 1)
        found = read(house.answers(first, last), first, last, later)
        for told, bound in ((report(found), most), (report(found, prices=priced), priced_most)):
            assert len(told.rows) == days
            assert told.total.complete is (last < date(2026, 7, 1))
            assert len(told.model_dump_json().encode()) <= bound


# What is kept.


def test_a_stored_day_reads_back_the_same():
    for found, now in (
        (answers(DAY, DAY), LATER),
        (answers(DAY, DAY, without=between(local(DAY, 3), local(DAY, 8)), times=True), LATER),
        ({}, LATER),
        (answers(DAY, DAY, until=local(DAY, 9)), local(DAY, 9)),
    ):
        (one,) = read(found, now=now)
        assert stored_day(json.loads(json.dumps(one.as_stored()))) == one


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        {},
        [0],
        [2, "2026-06-10", 1, True, [None] * 6, [], [[]] * 6, 0, False],
        [2, "2026-06-10", 1, 1, True, [None] * 6, [], [[]] * 6, 0],
    ],
)
def test_a_day_stored_by_another_version_is_not_used(raw):
    assert stored_day(raw) is None


# Whatever the portal sends.

VALUES = st.one_of(st.none(), st.integers(-(10**9), 10**9), st.floats(), st.text(max_size=3))
ITEMS = st.lists(
    st.one_of(
        st.none(),
        st.integers(),
        st.fixed_dictionaries(
            {"values": st.one_of(st.none(), st.lists(VALUES, max_size=5))},
            optional={"time": VALUES},
        ),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(SERIES), st.one_of(ITEMS.map(lambda one: {"items": one}), VALUES)
    ),
    st.integers(0, 3),
)
def test_any_answer_is_read_or_requested_again_for_fewer_days(found, more):
    last = DAY + timedelta(days=more)
    days = energy_days(found, DAY, last, LATER)
    if days is None:
        assert more
        return
    assert [one.day for one in days] == days_between(DAY, last)
    for per in ("hour", "day", "month", "total"):
        told = report(days, per)
        assert all(len(hours_of(one.day)) >= len(one.hours) for one in days)
        json.loads(told.model_dump_json())
    for one in days:
        assert stored_day(json.loads(json.dumps(one.as_stored()))) == one
        assert set(one.wh) == set(POWERS)
