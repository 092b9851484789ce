"""History: columns, gaps, thinning, times that have to be assumed."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.payloads import NOW, series
from server.errors import InvalidArguments, RangeError
from server.readings.days import check_range
from server.readings.history import History, Quantity, history
from server.readings.series import COLUMNS
from server.readings.timeline import timeline

from .test_readings_live import anything

DAY = date(2026, 6, 9)
MIDNIGHT = datetime(2026, 6, 8, 22, tzinfo=UTC)
FIVE = timedelta(minutes=5)


def read(name, response, first=DAY, last=DAY, now=NOW, **options) -> History:
    return history(name, response, first, last, now, **{"wanted": "all", **options})


def named(reading: History, name: str) -> Quantity:
    return next(quantity for quantity in reading.quantities if quantity.name == name)


def test_columns_have_the_meaning_that_the_portal_gives_them():
    solar = read("solar", series([[601.5, 541.5, 0, 3011, 2503]]))
    assert [(q.name, q.unit, q.mean) for q in solar.quantities] == [
        ("string_1_voltage_v", "V", (601.5,)),
        ("string_2_voltage_v", "V", (541.5,)),
        ("string_1_power_w", "W", (3011,)),
        ("string_2_power_w", "W", (2503,)),
        ("power_w", "W", (5514,)),
    ]
    battery = read("battery", series([[51.5, -20.0, 71, 24.5]]))
    assert [(q.name, q.unit, q.mean) for q in battery.quantities] == [
        ("voltage_v", "V", (51.5,)),
        ("current_a", "A", (-20,)),
        ("state_of_charge_percent", "%", (71,)),
        ("temperature_c", "degrees Celsius", (24.5,)),
        ("power_w", "W", (-1030,)),
    ]
    grid = read("grid", series([[233.5, -1203, 907, 4703]]))
    assert [(q.name, q.unit, q.mean) for q in grid.quantities] == [
        ("voltage_v", "V", (233.5,)),
        ("power_w", "W", (-1203,)),
        ("imported_counter_wh", "Wh", (907,)),
        ("exported_counter_wh", "Wh", (4703,)),
    ]
    load = read("load", series([[401, 253, 1049]]))
    assert [q.mean for q in load.quantities] == [(401,), (253,), (1049,), (1703,)]


def test_missing_values_are_counted_and_never_zero():
    reading = read("battery", series([[51.5, 20.0, 70], None, [51.7], [None, 21.0, "x", ""], []]))
    charge = named(reading, "state_of_charge_percent")
    assert charge.mean == (70, None, None, None, None)
    assert (charge.summary.count, charge.summary.missing) == (1, 4)
    assert named(reading, "temperature_c").summary.model_dump(
        exclude={"count", "missing", "why_missing"}
    ) == {"energy": {}, **dict.fromkeys(("minimum", "maximum", "mean", "energy_left_out_s"))}
    assert named(reading, "power_w").mean == (1030, None, None, None, None)


def test_missing_values_are_explained_reason_by_reason():
    rows = [[51.5, 20.0, 70, 24.5], None, [51.7], [None, 21.0, "x", " "], [2_000, 1, 2, 3], []]
    reading = read("battery", series([*rows, None]))
    told = {q.name: [(m.why, m.count) for m in q.summary.why_missing] for q in reading.quantities}
    absent = "Not sent: not every box reports it."
    nothing = "The portal sent nothing for that time."
    assert told["voltage_v"] == [
        (nothing, 2),
        ("The portal sent an empty value.", 1),
        ("The portal sent a value that is impossible for this quantity.", 1),
        (absent, 1),
    ]
    assert told["temperature_c"] == [(nothing, 2), (absent, 2), ("The portal sent a blank.", 1)]
    assert ("The portal sent something that is not a number.", 1) in told["state_of_charge_percent"]
    assert told["power_w"] == [("A value that it is worked out of is missing.", 6)]


def unknown(reading: History) -> dict[str, str]:
    return {name: one.why for one in reading.unknown for name in one.readings}


def test_an_omitted_energy_is_explained():
    told = unknown(read("load", series([[1, 2, 3]] * 24)))
    assert "do not allow" in told["quantities.power_w.summary.energy.consumed_wh"]
    assert len(told) == 8
    assert unknown(read("load", series([[1, 2, 3]] * 288))) == {}
    told = unknown(read("load", series([[1, 2]] * 288)))
    assert told == dict.fromkeys(
        ("quantities.phase_3_power_w", "quantities.power_w"), "No value is known."
    )


def test_times_are_assumed_from_midnight_in_prague_with_a_note():
    reading = read("load", series([[1, 2, 3]] * 288), max_points=96)
    assert reading.times[0] == MIDNIGHT
    assert reading.times[1] - reading.times[0] == 3 * FIVE
    assert reading.minutes_per_point == 15
    assert any("sends no times" in told for told in reading.assumptions)
    assert not any("doubtful" in told for told in reading.assumptions)


@pytest.mark.parametrize(("day", "count"), [(date(2026, 3, 29), 276), (date(2025, 10, 26), 300)])
def test_a_day_on_which_clocks_change_is_whole_with_fewer_or_more_values(day, count):
    reading = read("load", series([[1, 2, 3]] * count), day, day, max_points=1_000)
    assert reading.times[-1] - reading.times[0] == (count - 1) * FIVE
    assert named(reading, "power_w").summary.energy["consumed_wh"] == pytest.approx(6 * count / 12)


def test_energy_is_split_by_its_sign_and_omits_missing_values():
    rows = [[233, 1200, 0, 0]] * 144 + [[233, -600, 0, 0]] * 132 + [None] * 12
    summary = named(read("grid", series(rows)), "power_w").summary
    assert summary.energy["imported_wh"] == 1200 * 12
    assert summary.energy["exported_wh"] == 600 * 11
    assert (summary.minimum, summary.maximum, summary.missing) == (-600, 1200, 12)


def test_quantities_other_than_powers_have_no_energy():
    reading = read("grid", series([[233, 1200, 5, 5]] * 288))
    for name in ("voltage_v", "imported_counter_wh", "exported_counter_wh"):
        assert named(reading, name).summary.energy == {}


@pytest.mark.parametrize(("missing", "doubtful"), [(2, False), (6, False), (7, True), (28, True)])
def test_missing_values_are_reported_and_make_times_doubtful(missing, doubtful):
    reading = read("load", series([[1, 2, 3]] * (288 - missing)))
    assert reading.times_doubtful is doubtful
    (note,) = [told for told in reading.assumptions if "nobody knows where" in told]
    assert f"{missing} are missing" in note
    assert f"up to {5 * missing} minutes later" in note or missing == 28
    assert ("doubtful" in note) is doubtful
    summary = named(reading, "power_w").summary
    assert summary.energy_left_out_s == missing * 300
    assert summary.energy["consumed_wh"] == 6 * (288 - missing) / 12


def test_a_single_missing_value_is_still_on_its_way():
    reading = read("load", series([[1, 2, 3]] * 287))
    assert reading.times_doubtful is False
    assert not any("missing" in told for told in reading.assumptions)


def test_times_that_may_be_days_off_are_never_presented_as_certain():
    rows = [[1, 2, 3]] * (8928 - 888)
    reading = read("load", series(rows), date(2026, 5, 1), date(2026, 5, 31))
    assert reading.times_doubtful is True
    assert any("up to 74 hours later" in told for told in reading.assumptions)


def test_a_value_still_on_its_way_early_in_the_day_is_not_a_gap():
    midnight = MIDNIGHT + timedelta(days=1)
    today = date(2026, 6, 10)
    reading = read("load", series([[1, 2, 3]] * 3), today, today, midnight + 4 * FIVE)
    assert named(reading, "power_w").summary.energy["consumed_wh"] == 1.5
    assert reading.times_doubtful is False


def test_uneven_given_times_are_weighted_as_given():
    steps = [timedelta(minutes=place) for place in range(60)]
    steps += [timedelta(hours=1 + place) for place in range(20)]
    told = [int((MIDNIGHT + step).timestamp()) for step in steps]
    reading = read("grid", series([[230, 1000, 0, 0]] * len(told), time=told))
    summary = named(reading, "power_w").summary
    # The last one is given the usual minute only.
    assert summary.energy["imported_wh"] == pytest.approx(20_000 + 1000 / 60, abs=0.1)
    assert summary.energy_left_out_s == 4 * 3600 - 60


def test_a_value_counts_for_an_hour_at_most_with_a_note():
    told = [int((MIDNIGHT + timedelta(hours=hour)).timestamp()) for hour in (0, 1, 9, 10, 11)]
    reading = read("grid", series([[230, 600, 0, 0]] * 5, time=told))
    summary = named(reading, "power_w").summary
    assert summary.energy["imported_wh"] == 5 * 600
    assert summary.energy_left_out_s == 19 * 3600
    assert any("In 1 places" in told and "7 hours in all" in told for told in reading.assumptions)


def test_an_item_without_a_time_gets_an_equal_share_of_the_time():
    told = [int((MIDNIGHT + place * 2 * FIVE).timestamp()) for place in range(3)]
    rows = [[230, 600, 0, 0], None, [230, 600, 0, 0]]
    summary = named(read("grid", series(rows, time=told)), "power_w").summary
    assert summary.energy["imported_wh"] == pytest.approx(600 * (10 + 20) / 60)


@pytest.mark.parametrize("told", [True, False])
def test_only_time_within_the_days_counts(told):
    before = FIVE if told else 0 * FIVE
    times = [int((MIDNIGHT - before + place * FIVE).timestamp()) for place in range(290)]
    rows = [[230, 1200, 0, 0]] * (290 if told else 289)
    reading = read("grid", series(rows, **({"time": times} if told else {})))
    summary = named(reading, "power_w").summary
    assert summary.energy["imported_wh"] == pytest.approx(24 * 1200)
    assert summary.energy_left_out_s == 0


@st.composite
def measured(draw):
    """A day in 5-minute slots with true powers, some of which the portal never got."""
    powers = draw(st.lists(st.integers(-9_000, 9_000), min_size=288, max_size=288))
    lost = [False] * 288
    for start, length in draw(
        st.lists(st.tuples(st.integers(0, 287), st.integers(1, 60)), max_size=6)
    ):
        lost[start : start + length] = [True] * len(lost[start : start + length])
    return powers, lost


def energies(powers, hours):
    return [sum(max(sign * power, 0) * hours for power in powers) for sign in (1, -1)]


def lacks_no_more_than_it_says(reading, truth):
    summary = named(reading, "power_w").summary
    if summary.energy_left_out_s is None:
        return True
    most = 9_000 * summary.energy_left_out_s / 3600 + 0.1
    told = (summary.energy["imported_wh"], summary.energy["exported_wh"])
    return all(abs(one - true) <= most for one, true in zip(told, truth, strict=True))


@given(day=measured(), nulls=st.sets(st.integers(0, 287), max_size=40), first=st.integers(0, 287))
@settings(max_examples=150, deadline=None)
def test_energy_at_assumed_times_lacks_no_more_than_the_time_it_leaves_out(day, nulls, first):
    powers, lost = day
    kept = [place for place in range(288) if not lost[place] and (place >= first or first > 30)]
    rows = [None if place in nulls else [230, powers[place], 0, 0] for place in kept]
    reading = read("grid", series(rows))
    assert lacks_no_more_than_it_says(reading, energies(powers, 1 / 12))


@given(
    steps=st.lists(
        st.tuples(
            st.integers(1, 60) | st.integers(61, 600), st.integers(-9_000, 9_000) | st.none()
        ),
        min_size=1,
        max_size=60,
    ),
    start=st.integers(-5, 1_000),
    lost=st.sets(st.integers(0, 59), max_size=10),
)
@settings(max_examples=200, deadline=None)
def test_energy_at_given_times_lacks_no_more_than_the_time_it_leaves_out(steps, start, lost):
    moments = [start + sum(step for step, _ in steps[:place]) for place in range(len(steps))]
    moments = [at for at in moments if at <= 1440]
    rows = [
        [230, None if place in lost else power, 0, 0]
        for place, (_, power) in enumerate(steps[: len(moments)])
    ]
    told = [int((MIDNIGHT + timedelta(minutes=at)).timestamp()) for at in moments]
    reading = read("grid", series(rows, time=told))
    minutes = [9_000] * 1440
    usual = int(timeline(series(rows, time=told)["items"], DAY, DAY, NOW).spacing.seconds // 60)
    for at, until, row in zip(moments, [*moments[1:], moments[-1] + usual], rows, strict=True):
        if row[1] is not None:
            held = slice(max(at, 0), min(until, at + 60, 1440))
            minutes[held] = [row[1]] * len(minutes[held])
    assert lacks_no_more_than_it_says(reading, energies(minutes, 1 / 60))


def test_too_few_values_give_no_energy_and_doubtful_times():
    reading = read("load", series([[1, 2, 3]] * 24))
    assert named(reading, "power_w").summary.energy["consumed_wh"] is None
    assert any("doubtful" in told for told in reading.assumptions)


def test_too_many_values_are_spread_over_the_days():
    reading = read("load", series([[1, 2, 3]] * 1440), max_points=5_000)
    assert reading.minutes_per_point == 3
    assert reading.times[-1] < MIDNIGHT + timedelta(days=1)
    assert any("spread evenly" in told for told in reading.assumptions)


def test_today_ends_now():
    today = date(2026, 6, 10)
    midnight = MIDNIGHT + timedelta(days=1)
    count = int((NOW - midnight) / FIVE) + 1
    reading = read("load", series([[1, 2, 3]] * count), today, today)
    assert reading.times[-1] <= NOW
    assert named(reading, "power_w").summary.energy["consumed_wh"] is not None
    reading = read("load", series([[1, 2, 3]] * 288), today, today, max_points=1_000)
    assert reading.times[-1] <= NOW


@pytest.mark.parametrize("key", ["time", "ts"])
def test_given_times_are_used(key):
    seconds = [int((MIDNIGHT + step * 2 * FIVE).timestamp()) for step in range(5)]
    texts = ["2026-06-09 00:00:00", "2026-06-09 00:10", "x", "2026-06-09 00:30:00"]
    texts += ["2026-06-09T00:40:00"]
    for told in (seconds, [1000 * second for second in seconds], texts):
        rows = [[1, 2, 3], [2, 3, 4], None, [4, 5, 6], [5, 6, 7]]
        reading = read("load", series(rows, **{key: told}))
        assert reading.times == tuple(MIDNIGHT + step * 2 * FIVE for step in range(5))
        assert named(reading, "power_w").mean == (6, 9, None, 15, 18)
        assert "no value of that time" in unknown(reading)["quantities.power_w.mean"]
        assert named(reading, "power_w").summary.missing == 1
        assert any("that the portal sent" in told for told in reading.assumptions)


SECONDS = [int((MIDNIGHT + step * 2 * FIVE).timestamp()) for step in range(4)]


@pytest.mark.parametrize("key", ["time", "t", "measured"])
@pytest.mark.parametrize(
    "told",
    [
        SECONDS,
        [1000 * second for second in SECONDS],
        [datetime.fromtimestamp(second, UTC).isoformat() for second in SECONDS],
    ],
)
def test_items_in_newest_first_order_are_reversed(told, key):
    rows = [[4, 0, 0], [3, 0, 0], [2, 0, 0], [1, 0, 0]]
    reading = read("load", series(rows, **{key: told[::-1]}))
    assert reading.times == tuple(MIDNIGHT + step * 2 * FIVE for step in range(4))
    assert named(reading, "power_w").mean == (1, 2, 3, 4)
    assert not reading.times_doubtful


def test_items_in_the_repeated_hour_are_reversed_as_well():
    day = date(2026, 10, 25)
    hours = ["03:00", "02:30", "02:00", "02:30", "02:00", "01:30"]
    told = [f"2026-10-25 {hour}:00" for hour in hours]
    rows = [[number, 0, 0] for number in range(len(hours), 0, -1)]
    reading = read("load", series(rows, time=told), day, day, now=NOW + timedelta(days=200))
    assert [at.hour * 60 + at.minute for at in reading.times] == [1410, 0, 30, 60, 90, 120]
    assert named(reading, "power_w").mean == (1, 2, 3, 4, 5, 6)


@pytest.mark.parametrize(
    "order", [(0, 2, 1, 3), (1, 0, 3, 2), (0, 0, 0, 0), (3, 1, 2, 0), (2, 3, 0, 1)]
)
def test_unordered_times_are_doubtful_and_give_no_sum(order):
    told = [SECONDS[place] for place in order]
    reading = read("load", series([[1, 2, 3]] * 4, time=told))
    assert reading.times_doubtful
    assert named(reading, "power_w").summary.energy["consumed_wh"] is None
    assert any("not in their order" in note for note in reading.assumptions)


@pytest.mark.parametrize(
    "told",
    [
        ["2026-06-01 00:00:00", "2026-06-01 00:05:00"],
        ["2026-06-09 00:00:00", None],
        [True, 2],
        [10**400, float("nan")],
    ],
)
def test_impossible_times_are_not_believed(told):
    reading = read("load", series([[1, 2, 3]] * 2, time=told))
    assert reading.times == (MIDNIGHT, MIDNIGHT + FIVE)
    assert any("is no time within the days" in note for note in reading.assumptions)


@pytest.mark.parametrize(
    "told",
    [
        ["2026-06-09T00:10:00+02:00", "2026-06-09 00:20:00+0200"],
        ["2026-06-08T22:10:00Z", "2026-06-08T22:20:00.000Z"],
        ["2026-06-08T23:10:00+01", "2026-06-09 00:20:00"],
    ],
)
@pytest.mark.parametrize("key", ["time", "measured", "x"])
def test_times_may_name_a_zone_and_stand_under_any_key(key, told):
    reading = read("load", series([[1, 2, 3]] * 2, number=[1, 2], **{key: told}))
    assert reading.times == (MIDNIGHT + 2 * FIVE, MIDNIGHT + 4 * FIVE)
    assert not any("no time" in note for note in reading.assumptions)


@pytest.mark.parametrize("told", ["2026-06-09T00:10:00+99:00", "0001-01-01T00:00:00+02:00", "Z"])
def test_a_time_with_an_invalid_zone_is_not_used(told):
    reading = read("load", series([[1, 2, 3]], time=[told]))
    assert reading.times == (MIDNIGHT,)


def test_the_hour_that_autumn_repeats_goes_on():
    walls = ["02:00", "02:30", "02:00", "02:30", "03:00"]
    told = [f"2025-10-26 {wall}:00" for wall in walls]
    reading = read(
        "load", series([[1, 2, 3]] * 5, time=told), date(2025, 10, 26), date(2025, 10, 26)
    )
    steps = {b - a for a, b in zip(reading.times, reading.times[1:], strict=False)}
    assert steps == {timedelta(minutes=30)}


@pytest.mark.parametrize(
    ("name", "row", "peak_w"),
    [
        ("solar", [300, 300, 0, 90_000, 0], None),
        ("solar", [300, 300, 0, 14_900, 0], 9_900),
        ("solar", [300, 300, 0, 8_000, 8_000], 9_900),
        ("grid", [230, -30_001, 0, 0], 9_900),
        ("load", [20_000, 20_000, 0], None),
        ("battery", [50, 700, 60, 20], None),
    ],
)
def test_implausible_powers_are_unknown_and_counted(name, row, peak_w):
    (power,) = read(name, series([row, row]), peak_w=peak_w, wanted=None).quantities
    assert (power.summary.count, power.summary.missing) == (0, 2)


def test_a_gap_between_given_times_has_points_without_a_value():
    told = [int((MIDNIGHT + timedelta(minutes=at)).timestamp()) for at in (0, 5, 10, 65, 70, 75)]
    reading = read("grid", series([[230, 5, 0, 0]] * 6, time=told), max_points=100, wanted=None)
    (power,) = reading.quantities
    assert power.mean == (5, 5, 5, *[None] * 10, 5, 5, 5)
    assert set(unknown(reading)) == {"quantities.power_w.mean"}


@given(
    values=st.lists(st.none() | st.integers(-29_000, 29_000), min_size=1, max_size=900),
    points=st.integers(-1, 300),
    day=st.sampled_from([DAY, date(2026, 3, 29), date(2025, 10, 26)]),
)
@settings(max_examples=80, deadline=None)
def test_points_preserve_the_values_of_their_spans(values, points, day):
    rows = series([[230, value, 0, 0] for value in values])
    last = day + timedelta(days=2)
    reading = history("grid", rows, day, last, NOW, max_points=points, detailed=True)
    (power,) = reading.quantities
    when = timeline(rows["items"], day, last, NOW).times
    assert 1 <= len(reading.times) == len(power.mean) <= max(points, 1)
    ends = [*reading.times[1:], NOW]
    for place, (start, end) in enumerate(zip(reading.times, ends, strict=True)):
        known = [
            value
            for at, value in zip(when, values, strict=True)
            if value is not None and start <= at < end
        ]
        assert power.mean[place] == (round(sum(known) / len(known), 1) if known else None)
        if power.minimum:
            told = (power.minimum[place], power.maximum[place])
            assert told == ((min(known), max(known)) if known else (None, None))
    there = [value for value in values if value is not None]
    assert power.summary.maximum == max(there, default=None)
    assert (power.summary.count, power.summary.missing) == (len(there), len(values) - len(there))


def test_minimum_and_maximum_are_given_on_detail_where_points_are_several_values():
    rows = series([[230, value, 0, 0] for value in (1, 5, 3) * 96])
    for detailed, points, given_too in ((False, 96, False), (True, 96, True), (True, 300, False)):
        (power,) = read("grid", rows, wanted=None, max_points=points, detailed=detailed).quantities
        assert (len(power.minimum), len(power.maximum)) == ((96, 96) if given_too else (0, 0))
        assert len(power.mean) == points - 12 * (points == 300)


@pytest.mark.parametrize(
    ("name", "wanted", "given_names"),
    [
        ("battery", None, ["power_w"]),
        ("solar", None, ["power_w"]),
        ("battery", "state_of_charge_percent", ["state_of_charge_percent"]),
        ("grid", "exported_counter_wh, power_w", ["power_w", "exported_counter_wh"]),
        ("load", "phase_1_power_w phase_3_power_w", ["phase_1_power_w", "phase_3_power_w"]),
        ("grid", "all", [one.name for one in COLUMNS["grid"]]),
        ("grid", "power_w,All", [one.name for one in COLUMNS["grid"]]),
    ],
)
def test_only_requested_quantities_are_returned_and_the_others_are_named(name, wanted, given_names):
    reading = read(name, series([[1, 2, 3, 4, 5]] * 288), wanted=wanted)
    assert [one.name for one in reading.quantities] == given_names
    every = [one.name for one in read(name, series([]), wanted="all").quantities]
    assert [*reading.other_quantities] == [one for one in every if one not in given_names]


@pytest.mark.parametrize("wanted", ["", " ,", "power", "power_w,hunter2", "imported_wh"])
def test_an_unknown_quantity_is_refused_with_a_list_of_the_known_ones(wanted):
    with pytest.raises(InvalidArguments, match="phase_1_power_w, phase_2_power_w") as refused:
        read("load", series([]), wanted=wanted)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "row", "energies"),
    [
        ("solar", [300, 300, None, 600, 600], {"solar_wh": 28800}),
        ("battery", [50, -10, 50, 20], {"charged_wh": 0, "discharged_wh": 12000}),
        ("grid", [230, 600, 0, 0], {"imported_wh": 14400, "exported_wh": 0}),
        ("load", [100, 200, 300], {"consumed_wh": 14400}),
    ],
)
def test_energies_are_named_by_their_series_and_direction(name, row, energies):
    (power,) = read(name, series([row] * 288), wanted=None).quantities
    assert power.summary.energy == energies


@given(response=anything | st.fixed_dictionaries({"items": st.lists(anything, max_size=6)}))
@settings(max_examples=50, deadline=None)
def test_no_answer_makes_reading_a_history_fail(response):
    for name in COLUMNS:
        json.loads(read(name, response).model_dump_json())


@given(rows=st.lists(st.lists(anything, max_size=6), max_size=5), told=anything)
@settings(max_examples=50, deadline=None)
def test_no_values_make_reading_a_history_fail(rows, told):
    for name in COLUMNS:
        reading = read(name, series(rows, time=[told] * len(rows)))
        json.loads(reading.model_dump_json())
        for quantity in reading.quantities:
            summary = quantity.summary
            assert summary.count + summary.missing == len(rows)
            assert sum(one.count for one in summary.why_missing) == summary.missing


def test_an_empty_history_is_reported_as_empty():
    reading = read("solar", {"items": []})
    assert (reading.times, reading.assumptions[0]) == (
        (),
        "The portal has no values for these days.",
    )
    assert named(reading, "power_w").summary.mean is None
    assert unknown(reading)["quantities.power_w"] == "The portal has no values for these days."
    assert "holds no list" in read("solar", {"items": {}}).assumptions[0]
    # The portal's `[]` says less than a list of nothing.
    told = read("solar", [])
    assert "no data for these days, or takes the session for ended" in told.assumptions[0]
    assert {group.why for group in told.unknown} == {told.assumptions[0]}


def test_a_month_is_read_quickly():
    rows = [[233.5, place % 3000, place, place] for place in range(31 * 288)]
    reading = read("grid", series(rows), date(2026, 5, 1), date(2026, 5, 31))
    assert (len(reading.times), reading.minutes_per_point) == (248, 180)
    assert len(reading.model_dump_json()) < 40_000


TODAY = date(2026, 6, 10)


@pytest.mark.parametrize(
    ("first", "last", "match"),
    [
        (date(2026, 6, 2), date(2026, 6, 1), "after the last"),
        (TODAY, date(2026, 6, 11), "future"),
        (date(2014, 12, 31), date(2015, 1, 2), "nothing before"),
        (date(2026, 5, 10), TODAY, "more than 31 days"),
        (date.min, TODAY, "nothing before"),
        (TODAY, date.max, "future"),
    ],
)
def test_invalid_days_are_refused(first, last, match):
    with pytest.raises(RangeError, match=match):
        check_range(first, last, TODAY)


@pytest.mark.parametrize(
    ("first", "last"),
    [(TODAY, TODAY), (date(2026, 5, 11), TODAY), (date(2015, 1, 1), date(2015, 1, 31))],
)
def test_valid_days_are_accepted(first, last):
    check_range(first, last, TODAY)
