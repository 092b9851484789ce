"""The part of the house without backup: a zero is one only where it is known to be measured."""

from __future__ import annotations

from typing import Any

import pytest

from drills.payloads import NOW, SLIM, slim_box
from server.readings.baseline import NO_BASELINE, Baseline
from server.readings.boxes import list_boxes
from server.readings.live import LiveData, live_data
from server.readings.rest_meter import NEVER_SEEN, NO_METER, ONLY_ZEROS, WITHOUT_GRID_V

from .portal_simulator import QUEEN_BOX, SECOND_BOX
from .reading_house import reading_houses, why

ZEROS = (0, 0, 0)
OFF, GRID_V, GRID_VI, BOTH, FLEXIBILITY = 0, 1, 2, 3, 4


def house(
    phases: tuple[Any, Any, Any] = ZEROS,
    *,
    app: int = GRID_V,
    nb: int | None = None,
    **counters: int,
) -> dict[str, Any]:
    """A box of today; its house has Home Grid V on unless `app` says otherwise."""
    box = slim_box()
    box["ac_in_b"] = dict(zip(("aci_wr", "aci_ws", "aci_wt"), phases, strict=True)) | counters
    box["box_prm2"]["app"] = app
    if nb is not None:
        box["box_prms"]["nb"] = nb
    return box


SEEN = NO_BASELINE.after({SLIM: house((5, 0, 0))}, NOW)


def read(box: dict[str, Any], earlier: Baseline = NO_BASELINE) -> LiveData:
    return live_data({SLIM: box}, SLIM, NOW, baseline=earlier)


def reason(reading: LiveData, path: str) -> str:
    (found,) = [one.why for one in reading.unknown if path in one.readings]
    return found


@pytest.mark.parametrize(
    ("earlier", "app", "nb", "told"),
    [
        (SEEN, GRID_V, None, 0),
        (SEEN, BOTH, None, 0),
        (SEEN, GRID_V, 1, 0),
        (SEEN, OFF, None, WITHOUT_GRID_V),
        (SEEN, GRID_VI, None, WITHOUT_GRID_V),
        (SEEN, OFF, 1, WITHOUT_GRID_V),
        (SEEN, FLEXIBILITY, None, WITHOUT_GRID_V),
        (SEEN, 9, None, WITHOUT_GRID_V),
        (NO_BASELINE, GRID_V, None, ONLY_ZEROS),
        (NO_BASELINE, OFF, None, ONLY_ZEROS),
        (NO_BASELINE, GRID_V, 1, NEVER_SEEN),
        (NO_BASELINE, OFF, 1, NEVER_SEEN),
        (SEEN, GRID_V, 0, NO_METER),
        (NO_BASELINE, GRID_V, 0, NO_METER),
    ],
)
def test_a_zero_counts_once_the_meter_has_shown_more_and_home_grid_v_is_on(earlier, app, nb, told):
    reading = read(house(app=app, nb=nb), earlier)
    if told == 0:
        assert (reading.load.not_backed_up_w, reading.load.whole_house_w) == (0, 2203)
    else:
        assert (reading.load.not_backed_up_w, reading.load.whole_house_w) == (None, None)
        assert reason(reading, "load.not_backed_up_w") == told
        assert reason(reading, "load.whole_house_w") == told
    assert reading.load.backed_up_w == 2203


@pytest.mark.parametrize("app", [OFF, GRID_V, FLEXIBILITY])
@pytest.mark.parametrize(
    ("phases", "rest"), [((5, 6, 7), 18), ((1, 0, 0), 1), ((-2, 0, 0), -2), ((0, "3", 0), 3)]
)
def test_a_value_other_than_zero_is_measured_in_any_mode(phases, rest, app):
    reading = read(house(phases, app=app)).load
    assert (reading.not_backed_up_w, reading.not_backed_up_metered) == (rest, True)
    assert reading.whole_house_w == 2203 + rest


@pytest.mark.parametrize("phases", [(5, None, 7), (0, None, 0), (0, "x", 0), (5, [], 7)])
@pytest.mark.parametrize("nb", [None, 1])
def test_a_phase_that_cannot_be_read_leaves_the_rest_unknown(phases, nb):
    reading = read(house(phases, nb=nb), SEEN).load
    assert (reading.not_backed_up_w, reading.whole_house_w) == (None, None)


def test_a_house_without_the_meter_says_so_even_when_a_value_is_shown():
    reading = read(house((5, 6, 7), nb=0, ac_ad=12), SEEN)
    assert reading.load.not_backed_up_metered is False
    assert reading.load.not_backed_up_w is None
    assert reading.energy.today.consumed_not_backed_up_wh is None
    assert reason(reading, "energy.today.consumed_not_backed_up_wh") == NO_METER


@pytest.mark.parametrize("counter", ["ac_ad", "ac_am", "ac_ay"])
def test_a_counter_proves_a_meter(counter):
    reading = read(house(**{counter: 3}))
    assert reading.load.not_backed_up_metered is True
    assert (reading.load.not_backed_up_w, reading.load.whole_house_w) == (0, 2203)
    assert read(house(app=OFF, **{counter: 3})).load.not_backed_up_w is None


def test_the_meters_counters_follow_the_same_rule_for_zero():
    counters = dict.fromkeys(("ac_ad", "ac_am", "ac_ay"), 0)
    paths = [
        "energy.today.consumed_not_backed_up_wh",
        "energy.month.consumed_not_backed_up_kwh",
        "energy.year.consumed_not_backed_up_kwh",
    ]
    for earlier, app, told in (
        (NO_BASELINE, GRID_V, ONLY_ZEROS),
        (SEEN, OFF, WITHOUT_GRID_V),
        (SEEN, GRID_V, None),
    ):
        reading = read(house(app=app, **counters), earlier)
        found = [
            reading.energy.today.consumed_not_backed_up_wh,
            reading.energy.month.consumed_not_backed_up_kwh,
            reading.energy.year.consumed_not_backed_up_kwh,
        ]
        assert found == ([0, 0, 0] if told is None else [None, None, None])
        assert all(told is None or reason(reading, path) == told for path in paths)
    # One that runs today has begun from 0, and not come to a kWh yet.
    running = read(house((5, 0, 0), app=OFF, **counters)).energy
    assert running.today.consumed_not_backed_up_wh == 0
    assert running.month.consumed_not_backed_up_kwh == 0
    # A day without anything in a year with something may be one on which nothing was measured.
    idle = read(house(app=OFF, ac_ad=0, ac_am=0, ac_ay=300)).energy
    assert (idle.today.consumed_not_backed_up_wh, idle.year.consumed_not_backed_up_kwh) == (
        None,
        300,
    )


def test_an_observed_meter_is_listed_as_fitted():
    for earlier, fitted in ((NO_BASELINE, None), (SEEN, True)):
        (box,) = list_boxes({SLIM: house()}, NOW, baseline=earlier).boxes
        assert box.capabilities.not_backed_up_meter is fitted


@pytest.fixture
async def at():
    async with reading_houses() as make:
        yield make


async def test_an_idle_section_is_0_w_once_it_has_been_seen_to_draw_power(at):
    house = at("2026-06-14T12:41:00")
    house.have(idle_rest=True, setup={"app": 1})
    told = await house.at("2026-06-14T12:50:00").read()
    assert told["load"]["not_backed_up_w"] is None
    assert why(told, "load.not_backed_up_w") == ONLY_ZEROS
    house.have(idle_rest=False)
    told = await house.at("2026-06-14T13:00:00").read("list_boxes")
    house.have(idle_rest=True)
    # Another worker, a week later.
    told = await house.at("2026-06-21T13:10:00").read()
    assert told["load"]["not_backed_up_w"] == 0
    assert told["load"]["whole_house_w"] == told["load"]["backed_up_w"]
    house.have(setup={"app": 0})
    told = await house.at("2026-06-21T13:20:00").read(detail=True)
    assert told["detail"]["load"]["not_backed_up_metered"] is True
    assert why(told, "load.not_backed_up_w") == WITHOUT_GRID_V


async def test_an_observation_of_one_box_says_nothing_about_another(at):
    house = at("2026-06-14T12:41:00", email="demo2@example.com", box=QUEEN_BOX)
    for local in ("2026-06-14T12:50:00", "2026-06-14T13:00:00"):
        told = await house.at(local).read()
        assert told["load"]["not_backed_up_w"] is None
    told = await house.at("2026-06-14T13:10:00").read(box_id=SECOND_BOX)
    assert told["load"]["not_backed_up_w"] > 0
