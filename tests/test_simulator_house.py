"""The physics behind the simulated boxes: whatever happens, the sums close."""

from __future__ import annotations

import dataclasses
from datetime import date, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator import battery
from simulator.demand import Demand, demand
from simulator.grain import grain, wave
from simulator.house import Flows, settle
from simulator.meters import Energy, Meters, before
from simulator.payload import watts
from simulator.plant import Plant, Setup, delivery, export_cap
from simulator.prague import next_midnight, second_of_day, start_of
from simulator.schedule import NOTHING, TARIFF, ZONES, Due, due
from simulator.sun import clearness, sun, yields

HOUSE = Plant(seed=7)
NOON = start_of(date(2026, 6, 14)) + 13 * 3600.0
MIDNIGHT = start_of(date(2026, 6, 14))

plants = st.builds(
    Plant,
    seed=st.integers(0, 10**6),
    panel_wp=st.sampled_from([(5400, 4500), (5400, 0), (0, 0)]),
    battery_wh=st.sampled_from([5120, 9600, 15_360]),
    own_w=st.floats(150, 370),
    boiler_w=st.sampled_from([0.0, 2000.0]),
    queen=st.booleans(),
)
setups = st.builds(
    Setup,
    mode=st.integers(0, 3),
    app=st.integers(0, 3),
    target=st.integers(20, 100),
    formatting=st.booleans(),
    floor=st.integers(20, 100),
    to_grid=st.integers(0, 1),
    feed_cap=st.integers(0, 10_000),
    manual=st.booleans(),
    ssr0=st.integers(0, 1),
)
times = st.floats(start_of(date(2024, 1, 1)), start_of(date(2028, 1, 1)))


def at(
    moment: float,
    setup: Setup,
    part: float = 0.5,
    plant: Plant = HOUSE,
    seconds: float = 60,
    now_due: Due = NOTHING,
) -> Flows:
    """Settle a house at this time with its battery so full."""
    first, second = yields(moment, plant.panels, plant.seed)
    return settle(
        plant,
        setup,
        sunshine=(first * plant.panel_wp[0], second * plant.panel_wp[1]),
        demand=demand(moment, plant.seed),
        stored=part * plant.battery_wh,
        boiler_today=0.0,
        seconds=seconds,
        now_due=now_due,
    )


windows = st.fixed_dictionaries(
    {name: st.integers(0, 86_399) for window in (*TARIFF, *ZONES) for name in window}
)


@settings(max_examples=200, deadline=None)
@given(windows, st.integers(0, 1), st.integers(0, 1), st.floats(0, 86_399), st.floats(0, 20_000))
def test_the_schedule_applies_only_within_a_window(ends, bat_hdo, hdo, clock, boiler_today):
    setup = Setup(**ends, bat_hdo=bat_hdo, hdo=hdo)
    found = due(setup, clock, boiler_today)

    def inside(names):
        begin, end = (ends[name] for name in names)
        hours = range(int(begin), int(end if end >= begin else end + 86_400))
        return begin != end and (int(clock) in hours or int(clock) + 86_400 in hours)

    cheap, zone = any(map(inside, TARIFF)), any(map(inside, ZONES))
    assert found.charging is (bat_hdo == 1 and cheap)
    assert found.heating is ((zone or (hdo == 1 and cheap)) and boiler_today < 7000)


def test_a_boiler_follows_the_low_tariff_and_manual_heating_needs_no_window():
    cheap = Setup(hdo1_s=0, hdo1_e=3600, hdo=1, wd=1500)
    assert due(cheap, 60, 1499).heating is True
    assert due(cheap, 60, 1500).heating is False
    assert due(dataclasses.replace(cheap, manual=True), 60, 0).heating is False


def test_the_battery_is_charged_slowly_at_low_tariff_up_to_its_target():
    setup = Setup(target=60)
    night = MIDNIGHT + 3600.0
    flows = at(night, setup, part=0.3, now_due=Due(charging=True))
    assert flows.battery == pytest.approx(2500)
    assert flows.from_grid > 2000
    assert at(night, setup, part=0.7, now_due=Due(charging=True)).battery <= 0
    assert at(night, setup, part=0.3).battery < 0


def test_the_boiler_is_heated_in_its_window_whatever_the_sun_gives():
    night = MIDNIGHT + 3600.0
    assert at(night, Setup(), now_due=Due(heating=True)).boiler == HOUSE.boiler_w
    assert at(night, Setup(ssr0=0), now_due=Due(heating=True)).boiler == 0
    assert at(night, Setup()).boiler == 0


@settings(max_examples=400, deadline=None)
@given(plants, setups, times, st.floats(0, 1))
@example(HOUSE, Setup(mode=3), NOON, 0.5)
@example(HOUSE, Setup(to_grid=0), NOON, 1.0)
def test_inflow_equals_outflow(plant, setup, moment, part):
    flows = at(moment, setup, part, plant)
    load = sum(flows.backed) + sum(flows.other)

    assert flows.grid + sum(flows.pv) == pytest.approx(flows.battery + load + flows.own)
    assert min(flows.pv) >= 0
    assert min(*flows.backed, *flows.other) >= 0
    assert 0 <= flows.boiler <= flows.backed[2]
    assert abs(flows.battery) <= plant.battery_w
    assert -flows.grid <= export_cap(plant, setup) + 1e-6
    assert 0 <= flows.from_grid <= max(flows.battery, 0)


@settings(max_examples=300, deadline=None)
@given(plants, setups, times, st.floats(0, 1))
def test_powers_in_whole_watts_balance_exactly_and_are_near_the_truth(plant, setup, moment, part):
    flows = at(moment, setup, part, plant)
    seen = watts(flows)
    load = sum(seen.backed) + sum(seen.other)

    assert sum(seen.grid) + sum(seen.pv) == seen.battery + load + round(flows.own)
    assert abs(sum(seen.grid) - flows.grid) <= 5


@settings(max_examples=300, deadline=None)
@given(plants, setups, times, st.floats(0, 1), st.sampled_from([60, 300]))
def test_a_battery_is_never_overfilled_nor_emptied_below_its_floor(
    plant, setup, moment, part, seconds
):
    flows = at(moment, setup, part, plant, seconds)
    left = battery.after(part * plant.battery_wh, flows.battery, seconds)

    assert left <= plant.battery_wh + 1e-6
    if flows.battery < 0:
        assert left >= plant.battery_wh * setup.floor / 100 - 1e-6


@settings(max_examples=100, deadline=None)
@given(setups.filter(lambda setup: setup.mode == 3 or setup.formatting), times, st.floats(0, 1))
def test_a_battery_reserved_for_outages_or_being_charged_is_not_used(setup, moment, part):
    assert at(moment, setup, part).battery >= 0


def test_mode_home_1_lives_on_its_battery_at_night_and_fills_it_by_day():
    assert at(MIDNIGHT, Setup()).battery < -200
    assert at(NOON, Setup()).battery > 0


def test_mode_home_2_spares_its_battery_while_the_sun_shines():
    cooking = Demand((100.0, 100.0, 3000.0), (0.0, 0.0, 0.0))

    def used(mode: int) -> float:
        return settle(
            HOUSE,
            Setup(mode=mode),
            sunshine=(500.0, 0.0),
            demand=cooking,
            stored=9000,
            boiler_today=0,
            seconds=60,
        ).battery

    assert used(0) < -2000
    assert used(1) == 0
    assert at(MIDNIGHT, Setup(mode=1)).battery < -200


def test_mode_home_3_charges_from_the_grid_to_its_target_and_stays_there():
    setup = Setup(mode=2, target=60)
    assert at(MIDNIGHT, setup, 0.5).from_grid == pytest.approx(2500)
    assert at(MIDNIGHT, setup, 0.6).battery == 0
    assert at(MIDNIGHT, setup, 0.7).battery < 0


def test_mode_home_ups_charges_with_all_the_battery_takes():
    flows = at(MIDNIGHT, Setup(mode=3))
    assert flows.battery == HOUSE.battery_w
    assert flows.from_grid == HOUSE.battery_w


def test_charging_from_the_grid_ends_at_its_target():
    setup = Setup(formatting=True, target=60)
    assert at(MIDNIGHT, setup, 0.5).from_grid > 4000
    assert at(MIDNIGHT, setup, 0.6).battery == 0


def test_only_home_5_feeds_the_section_without_backup_from_the_battery():
    plain, home_5 = at(MIDNIGHT, Setup()), at(MIDNIGHT, Setup(app=1))
    assert plain.grid == pytest.approx(sum(plain.other))
    assert home_5.grid == pytest.approx(0)


@pytest.mark.parametrize(
    ("queen", "to_grid", "cap", "state", "watts_out"),
    [
        (False, 0, 10_000, "off", 0),
        (False, 1, 5000, "limited", 5000),
        (False, 1, 10_000, "on", 10_000),
        (True, 0, 0, "off", 0),
        (True, 0, 3000, "limited", 3000),
        (True, 1, 3000, "on", 10_000),
    ],
)
def test_export_is_off_limited_or_on(queen, to_grid, cap, state, watts_out):
    plant = dataclasses.replace(HOUSE, queen=queen)
    setup = Setup(to_grid=to_grid, feed_cap=cap)
    assert delivery(plant, setup) == state
    assert export_cap(plant, setup) == watts_out


def test_panels_are_curtailed_to_the_cap_when_the_battery_is_full():
    free, capped = at(NOON, Setup(), 1.0), at(NOON, Setup(feed_cap=500, ssr0=0), 1.0)
    assert capped.grid == pytest.approx(-500)
    assert sum(capped.pv) < sum(free.pv)


def test_the_boiler_takes_the_surplus_or_by_hand_full_power_at_any_time():
    assert 0 < at(NOON, Setup(), 1.0).boiler <= 2000
    assert at(MIDNIGHT, Setup()).boiler == 0
    assert at(MIDNIGHT, Setup(manual=True)).boiler == 2000
    assert at(MIDNIGHT, Setup(manual=True, ssr0=0)).boiler == 0


def test_the_sun_rises_in_the_east_is_high_in_june_and_is_down_at_night():
    assert sun(MIDNIGHT).up < 0
    assert sun(MIDNIGHT + 7 * 3600).east > 0.5
    assert sun(MIDNIGHT + 19 * 3600).east < -0.5
    december = start_of(date(2026, 12, 21)) + 12 * 3600
    assert sun(NOON).up == pytest.approx(0.895, abs=0.01)
    assert sun(december).up == pytest.approx(0.28, abs=0.02)


@given(times, st.integers(0, 10**6))
def test_light_is_between_darkness_and_a_little_over_peak_power(moment, seed):
    assert 0.18 <= clearness(moment, seed) <= 1
    assert all(0 <= part <= 1.1 for part in yields(moment, HOUSE.panels, seed))


@given(st.integers(0, 2**32), st.integers(-(2**40), 2**40), st.floats(1, 10**6))
def test_randomness_is_bounded_and_reproducible(seed, place, length):
    assert 0 <= grain(seed, place) < 1
    assert 0 <= wave(seed, place, length) <= 1
    assert grain(seed, place) == grain(seed, place)


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 6, 14), 24)]
)
def test_a_day_in_prague_has_as_many_hours_as_its_clocks_say(day, hours):
    assert next_midnight(start_of(day)) - start_of(day) == hours * 3600
    assert next_midnight(start_of(day) + hours * 3600 - 1) == start_of(day + timedelta(days=1))
    assert second_of_day(start_of(day) + hours * 3600 - 60) == 86_340


def test_counters_of_a_new_month_or_year_begin_at_zero():
    flowed = Energy(*[1000.0] * len(Energy._fields))
    shown = Meters(flowed, flowed, flowed)

    new_day = shown.at_midnight(start_of(date(2026, 6, 14)))
    assert (new_day.day.pv, new_day.month.pv, new_day.year.pv) == (0, 2000, 2000)
    new_month = shown.at_midnight(start_of(date(2026, 7, 1)))
    assert (new_month.day.pv, new_month.month.pv, new_month.year.pv) == (0, 0, 2000)
    new_year = shown.at_midnight(start_of(date(2027, 1, 1)))
    assert (new_year.day.pv, new_year.month.pv, new_year.year.pv) == (0, 0, 0)


@settings(deadline=None)
@given(plants, st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_a_generated_past_is_plausible_and_balanced(plant, day):
    meters = before(plant, day)
    for energy in (meters.month_before, meters.year_before):
        assert min(energy) >= -1e-6
        came = energy.imported + energy.pv + energy.discharged
        went = energy.exported + energy.backed + energy.other + energy.charged
        assert went <= came + 1e-6  # the rest is the box's own use
    assert meters.month_before <= meters.year_before
