"""Energy counters around midnight, through the tools and the simulated portal, over one cache."""

from __future__ import annotations

from typing import Any

import pytest

from server.readings.counters import BEGUN_ANEW, NOT_YET
from simulator.faults import Fault

from .portal_simulator import SECOND_BOX
from .reading_house import ReadingHouse, moment, reading_houses, why

EVENING, MIDNIGHT_3 = "2026-06-16T23:50:00", "2026-06-17T00:02:55"

BLOCKS = {
    "ac_in": ("imported_wh", "exported_wh"),
    "ac_out": ("consumed_backed_up_wh",),
    "dc_in": ("solar_wh",),
}


WITHOUT_CONTACT = Fault.parse(
    {"kind": "dropped", "endpoint": "live", "fields": ["device.lastcall"]}
)

OF_PERIODS = {
    "today": {
        "solar_wh": "pv_wh",
        "imported_wh": "imported_wh",
        "exported_wh": "exported_wh",
        "consumed_backed_up_wh": "backed_wh",
    },
    "month": {"solar_kwh": "pv_wh", "imported_kwh": "imported_wh", "exported_kwh": "exported_wh"},
    "year": {"solar_kwh": "pv_wh", "imported_kwh": "imported_wh", "exported_kwh": "exported_wh"},
}
"""Some of the counters of a result, and what they are in the simulator's truth."""

MISSED = 300_000
"""Wh that may flow during any of the outages below, and come with the next upload."""


@pytest.fixture
async def at():
    async with reading_houses() as make:
        yield make


def today(told: Any, *names: str) -> list[float | None]:
    return [told["energy"]["today"][name] for name in names]


def nulls(told: Any, part: str) -> set[str]:
    return {name for name, value in told["energy"][part].items() if value is None}


def near(told: Any, house: ReadingHouse) -> bool:
    """Whether the counters are those that the box has uploaded, of the day it is."""
    true = house.truth()["uploaded"]["energy"]["day"]
    shown = today(told, "solar_wh", "imported_wh", "consumed_backed_up_wh")
    wanted = [true[name] for name in ("pv_wh", "imported_wh", "backed_wh")]
    return all(
        value is not None and abs(value - want) < 2
        for value, want in zip(shown, wanted, strict=True)
    )


@pytest.mark.parametrize("earlier", [None, EVENING])
async def test_at_three_past_midnight_counters_of_yesterday_are_null_with_the_reason(at, earlier):
    house = at(earlier or MIDNIGHT_3)
    if earlier:
        assert near(await house.read(), house)
    told = await house.at(MIDNIGHT_3).read()
    assert told["measured_at"] == "2026-06-17T00:02:55+02:00"
    assert told["energy"]["day"] == "2026-06-17"
    for name in ("solar_wh", "imported_wh", "exported_wh", "consumed_backed_up_wh"):
        assert told["energy"]["today"][name] is None
        assert why(told, f"energy.today.{name}") == NOT_YET
    assert told["boiler"]["energy_today_wh"] is None
    assert why(told, "boiler.energy_today_wh") == NOT_YET
    # The month goes on.
    assert told["energy"]["month"]["imported_kwh"] is not None


async def test_without_an_earlier_reading_counters_are_given_from_six_past_on(at):
    house = at("2026-06-17T00:05:55")
    assert today(await house.read(), "imported_wh") == [None]
    told = await house.at("2026-06-17T00:06:00").read()
    assert near(told, house)


async def test_after_an_earlier_reading_each_block_is_given_once_it_has_fallen(at):
    house = at(EVENING)
    await house.read()
    # The upload begins at 00:03:00, and brings a block every 8 seconds.
    given = {}
    for seconds in (0, 1, 17, 45):
        told = await house.at(f"2026-06-17T00:03:{seconds:02}").read()
        given[seconds] = {
            block for block, names in BLOCKS.items() if None not in today(told, *names)
        }
    assert given == {0: {"ac_in"}, 1: {"ac_in"}, 17: {"ac_in", "ac_out"}, 45: set(BLOCKS)}


@pytest.mark.parametrize(
    ("eve", "midnight", "month_too", "year_too"),
    [
        ("2026-06-16", "2026-06-17", False, False),
        ("2026-06-30", "2026-07-01", True, False),
        ("2026-12-31", "2027-01-01", True, True),
    ],
)
@pytest.mark.parametrize("earlier", [True, False])
async def test_at_the_start_of_a_month_or_year_its_counters_are_null_as_well(
    at, eve, midnight, month_too, year_too, earlier
):
    house = at(f"{eve}T23:50:00").have(full=True)
    if earlier:
        await house.read()
    told = await house.at(f"{midnight}T00:02:50").read(detail=True)
    months = set(told["energy"]["month"])
    assert nulls(told, "month") == (months if month_too else set())
    assert nulls(told, "year") == (months if year_too else set())
    assert (told["detail"]["boiler"]["energy_month_kwh"] is None) is month_too
    assert (told["detail"]["boiler"]["energy_year_kwh"] is None) is year_too
    for part, null in (("month", month_too), ("year", year_too)):
        if null:
            assert why(told, f"energy.{part}.solar_kwh") == NOT_YET
    told = await house.at(f"{midnight}T00:08:10").read()
    assert nulls(told, "today") == nulls(told, "month") == nulls(told, "year") == set()
    assert told["energy"]["month"]["solar_kwh"] == 0 if month_too else True


async def test_a_box_that_was_offline_over_midnight_shows_no_counters_until_it_has_uploaded(at):
    house = at("2026-06-16T22:00:00")
    await house.read()
    house.at("2026-06-16T22:10:00").have(offline=True)
    # As long as it is away they are of the day that is named, and a warning says so.
    told = await house.at("2026-06-17T09:00:00").read()
    assert told["energy"]["day"] == "2026-06-16"
    assert None not in today(told, *BLOCKS["ac_in"])
    assert any("2026-06-16" in one for one in told["warnings"])
    house.at("2026-06-17T10:00:30").have(offline=False)
    told = await house.at("2026-06-17T10:02:00").read()
    assert told["energy"]["day"] == "2026-06-17"
    assert today(told, "imported_wh", "exported_wh", "solar_wh") == [None] * 3
    assert why(told, "energy.today.solar_wh") == NOT_YET
    told = await house.at("2026-06-17T10:04:00").read()
    assert near(told, house)


async def test_a_box_that_was_offline_into_another_month_shows_no_month_until_it_has_uploaded(at):
    house = at("2026-06-30T22:00:00")
    await house.read()
    house.at("2026-06-30T22:10:00").have(offline=True)
    house.at("2026-07-03T10:00:30").have(offline=False)
    told = await house.at("2026-07-03T10:02:00").read()
    assert told["energy"]["month"]["solar_kwh"] is None
    assert told["energy"]["year"]["solar_kwh"] is not None
    told = await house.at("2026-07-03T10:04:00").read()
    assert told["energy"]["month"]["solar_kwh"] is not None


@pytest.mark.parametrize("late", [10, 60])
async def test_counters_of_a_box_with_a_slow_clock_wait_for_its_midnight(at, late):
    house = at("2026-06-16T20:00:00").have(clock_minutes=-late)
    await house.at("2026-06-16T22:00:00").read()
    for minutes in range(2, late, 4):
        told = await house.at(f"2026-06-17T00:{minutes:02}:30").read()
        assert today(told, "imported_wh", "solar_wh", "consumed_backed_up_wh") == [None] * 3
    house.clock.time += 900
    told = await house.read()
    assert near(told, house)
    assert today(told, "solar_wh") == [0]


async def test_counters_of_a_box_with_a_fast_clock_belong_to_no_day_until_midnight_is_over(at):
    house = at("2026-06-16T20:00:00").have(clock_minutes=20)
    assert near(await house.at("2026-06-16T23:30:00").read(), house)
    told = await house.at("2026-06-16T23:50:00").read()
    assert today(told, "imported_wh", "solar_wh") == [None] * 2
    assert why(told, "energy.today.imported_wh") == BEGUN_ANEW
    assert told["energy"]["day"] == "2026-06-16"
    assert near(await house.at("2026-06-17T00:10:00").read(), house)


async def test_a_dip_of_the_solar_counter_is_not_a_new_day(at):
    house = at("2026-06-16T22:30:00")
    before = await house.read()
    house.portal.simulator.faults.add(
        Fault.parse({"kind": "dip", "endpoint": "live", "requests": 2})
    )
    told = await house.at("2026-06-16T23:00:00").read()
    assert today(told, "solar_wh") == [today(before, "solar_wh")[0] - 7]
    told = await house.at("2026-06-17T00:01:00").read()
    assert today(told, "solar_wh") == [None]


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
async def test_a_day_on_which_clocks_change_begins_and_ends_like_any_other(at, day):
    for local in (f"{day}T00:02:30", f"{day[:-2]}{int(day[-2:]) + 1}T00:02:30"):
        house = at(local)
        assert today(await house.read(), "imported_wh") == [None]
        house.clock.time += 300
        assert near(await house.read(), house)


async def test_an_earlier_reading_outlives_its_answer_and_is_shared_by_all_workers(at):
    house = at(EVENING)
    await house.read("list_boxes")
    told = await house.at("2026-06-17T00:03:50").read()
    assert near(told, house)


async def test_each_box_has_an_earlier_reading_of_its_own(at):
    house = at(EVENING, email="demo2@example.com", box=SECOND_BOX)
    await house.read()
    told = await house.at("2026-06-17T00:01:59").read()
    assert nulls(told, "today") == set(told["energy"]["today"])
    told = await house.at("2026-06-17T00:02:50").read()
    assert nulls(told, "today") == set()


async def test_the_time_decides_when_no_reading_can_be_remembered(at):
    house = at(EVENING)
    await house.read()
    await house.accounts.upkeep.flush("sessions")
    told = await house.at("2026-06-17T00:04:30").read()
    assert today(told, "imported_wh") == [None]
    told = await house.at("2026-06-17T00:06:30").read()
    assert near(told, house)


@pytest.mark.parametrize(
    ("last_read", "away", "back"),
    [
        # Counted on after the last reading, and then offline over midnight.
        ("2026-06-16T06:00:00", "2026-06-16T22:10:00", "2026-06-17T10:00:30"),
        ("2026-06-16T20:00:00", "2026-06-16T23:58:00", "2026-06-17T06:30:30"),
        ("2026-06-16T06:00:00", "2026-06-16T12:10:00", "2026-06-19T10:00:30"),
        # Into another month and another year.
        ("2026-06-30T06:00:00", "2026-06-30T22:10:00", "2026-07-01T10:00:30"),
        ("2026-12-31T06:00:00", "2026-12-31T22:10:00", "2027-01-01T10:00:30"),
    ],
)
async def test_counters_of_the_day_before_an_outage_never_pass_for_todays(
    at, last_read, away, back
):
    same = {part for part, digits in (("month", 7), ("year", 4)) if away[:digits] == back[:digits]}
    house = at(last_read).have(full=True)
    await house.read()
    house.at(away).have(offline=True)
    house.at(back).have(offline=False)
    began = house.clock.time
    # The upload begins two and a half minutes later and takes one; look all the while.
    for seconds in (60, 100, *range(145, 215, 6), 400, 700, 1900):
        house.clock.time = began + seconds
        told, true = await house.read(), house.truth()["energy"]
        for part, names in OF_PERIODS.items():
            for name, path in names.items():
                shown = told["energy"][part][name]
                if seconds < 145 and part == "today":
                    assert shown is None
                    assert why(told, f"energy.{part}.{name}") == NOT_YET
                if shown is not None:
                    wh, unit = (shown, 0) if part == "today" else (shown * 1000, 1000)
                    # It is five minutes old at most.
                    late = true["day" if part == "today" else part][path] - wh
                    assert -2 < late < (MISSED if part in same else 700) + unit, (seconds, name)
    assert nulls(told, "today") == nulls(told, "month") == nulls(told, "year") == set()


async def test_a_box_read_later_each_day_shows_its_counters_at_once(at):
    house = at("2026-06-16T06:00:00").have(full=True)
    await house.read()
    for local in ("2026-06-17T12:00:00", "2026-06-18T16:00:00", "2026-06-19T20:00:00"):
        told = await house.at(local).read()
        assert near(told, house)


@pytest.mark.parametrize("clock", ["00:06:30", "00:20:00", "07:00:00"])
@pytest.mark.parametrize("day", ["2026-06-16", "2026-12-16"])
async def test_after_an_ordinary_night_all_counters_are_given_at_once(at, clock, day):
    house = at(f"{day}T23:50:00").have(full=True)
    await house.read()
    told = await house.at(f"{day[:-1]}7T{clock}").read()
    assert near(told, house)
    assert nulls(told, "today") == set()
    assert told["boiler"]["energy_today_wh"] is not None


async def test_a_day_without_sun_is_known_within_minutes_of_the_first_look(at):
    house = at("2026-12-16T05:30:00")
    before = nulls(await house.read(), "today")
    given = []
    # Nothing has fallen, for the night before was as long.
    for minutes in (0, 10, 20):
        house.clock.time = moment("2026-12-17T05:45:00") + 60 * minutes
        told = await house.read()
        given.append(nulls(told, "today") - before)
    assert given[-1] == set()
    assert today(told, "solar_wh") == [0]


@pytest.mark.parametrize("clock", ["00:02:30", "00:30:00", "12:00:00"])
async def test_without_a_contact_time_counters_wait_until_they_have_risen_today(at, clock):
    house = at(f"2026-06-17T{clock}")
    house.portal.simulator.faults.add(WITHOUT_CONTACT)
    told = await house.read()
    assert told["energy"]["day"] is None
    assert today(told, "imported_wh", "solar_wh") == [None] * 2
    assert why(told, "energy.today.solar_wh") == NOT_YET
    # The sun shines.
    await house.at("2026-06-17T12:20:00").read()
    told = await house.at("2026-06-17T12:40:00").read()
    assert near(told, house)
    # So it is with the next day.
    for minutes in ("01:00", "02:30"):
        told = await house.at(f"2026-06-18T00:{minutes}").read()
        assert today(told, "solar_wh", "imported_wh") == [None] * 2
    assert near(await house.at("2026-06-18T00:20:00").read(), house)


async def test_without_a_contact_time_month_and_year_are_null_at_their_start(at):
    house = at("2027-01-01T00:02:30")
    house.portal.simulator.faults.add(WITHOUT_CONTACT)
    told = await house.read()
    assert nulls(told, "month") == set(told["energy"]["month"])
    assert nulls(told, "year") == set(told["energy"]["year"])


@pytest.mark.parametrize("day", ["2026-06-17", "2027-01-01"])
@pytest.mark.parametrize("back", ["00:50:00", "07:30:00"])
async def test_doubtful_counters_from_before_an_outage_never_become_todays_by_time(at, day, back):
    house = at(f"{day}T00:01:00")
    doubted = await house.read()
    assert set(today(doubted, *OF_PERIODS["today"])) == {None}
    house.have(offline=True)
    house.at(f"{day}T{back}").have(offline=False)
    house.clock.time += 10
    told = await house.read()
    assert nulls(told, "today") >= set(OF_PERIODS["today"])
    assert why(told, "energy.today.imported_wh") == NOT_YET
    if day.endswith("01-01"):
        assert nulls(told, "month") | nulls(told, "year") >= set(OF_PERIODS["month"])
    house.clock.time += 300
    assert near(await house.read(), house)


async def test_doubtful_counters_of_an_earlier_day_never_become_todays_by_time(at):
    house = at("2026-06-16T00:01:00")
    await house.read()
    house.have(offline=True)
    house.at("2026-06-17T07:30:00").have(offline=False)
    told = await house.at("2026-06-17T07:30:10").read()
    assert nulls(told, "today") >= {"solar_wh", "imported_wh", "consumed_backed_up_wh"}
