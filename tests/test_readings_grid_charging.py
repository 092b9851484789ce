"""Whether the battery is being charged from the grid: by what flows, and by what is set."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drills.payloads import NOW
from server.readings.battery import IDLE_W, battery
from server.readings.box import OF_TWO_TIMES, Box
from server.readings.clock import PRAGUE
from server.readings.grid import BALANCED_W, grid
from server.readings.grid_charging import (
    MARGIN_W,
    MODE_UNKNOWN,
    TARGET_UNKNOWN,
    TARIFF_UNKNOWN,
    GridCharging,
    MadeHere,
    grid_charging,
)
from server.readings.mode import mode
from server.readings.solar import solar
from server.readings.unknown import NULL

ID = "2200000073"

NIGHT = NOW.astimezone(PRAGUE).replace(hour=2, minute=30, second=0)


def box(
    takes: Any = 0,
    draws: Any = 0,
    made: Any = 0,
    *,
    set_to: Any = 0,
    hdo: Any = 0,
    settings: dict[str, Any] | None = None,
    windows: dict[str, Any] | None = None,
    **blocks: Any,
) -> Box:
    """Make a box in whose live block these powers stand."""
    actual = {"bat_p": takes, "aci_wr": draws, "aci_ws": 0, "aci_wt": 0, "fv_p1": made, "fv_p2": 0}
    return Box(
        ID,
        {
            "actual": actual,
            "box_prms": {"mode": set_to, "bat_ac": 80},
            "box_prm2": {"app": 0},
            "batt_prms": {"bat_hdo": hdo, **(windows or {}), **(settings or {})},
        }
        | blocks,
    )


WINDOW = {"hdo1_s": 3600, "hdo1_e": 18_000, "hdo2_s": 0, "hdo2_e": 0}
OVER_MIDNIGHT = {"hdo1_s": 79_200, "hdo1_e": 10_800}


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        (box(2000, 2500), "not shown"),
        (box(2000, 900, 1500), "not shown"),
        (box(2000, 2500, set_to=2), "Home 3"),
        (box(2000, 2500, set_to=3), "Home UPS"),
        # The panels would do, but not with a setting in force that draws from the grid.
        (box(2000, 500, 3000, set_to=3), "Home UPS"),
        (box(2000, 2500, hdo=1, windows=WINDOW), "low tariff, now until 05:00"),
        (box(2000, 500, 3000, hdo=1, windows=WINDOW), "low tariff"),
        (box(2000, 2500, hdo=1, windows=OVER_MIDNIGHT), "low tariff, now until 03:00"),
        (box(2000, 2500, settings={"bal_on": 1}), "balanced"),
        (box(2000, 2500, box_prm2={"app": 4}), "aggregator"),
        (box(2000, 2500, set_to=17), "not shown"),
        (box(0, 0, settings={"fmt_on": 1}), "to 80 %"),
        (box(None, None, None, settings={"fmt_on": 1}), "to 80 %"),
        (box(2000, 2500, settings={"fmt_on": 1}, box_prms={"mode": 0}), "not shown"),
    ],
)
def test_charging_from_the_grid_names_its_cause(found, cause):
    charging = grid_charging(found, NIGHT)
    assert isinstance(charging, GridCharging)
    assert cause in charging.means
    assert charging.to_do


@pytest.mark.parametrize(
    "found",
    [
        box(0, 900),  # idle
        box(-1500, 900),  # the battery feeds the house
        box(2000, 0, 2600),  # nothing is imported
        box(2000, -400, 2600),
        box(2000, 40, 2000),  # as little as regulation swings by
        # A plain import, for the part that the box does not feed.
        box(2000, 700, 2600, settings={"fmt_on": 0}),
        box(2000, 700, 2000 - MARGIN_W, settings={"fmt_on": 0}),  # as much as losses are
        box(0, 900, set_to=3),  # the mode would, but the battery is full
        box(0, 900, hdo=1, windows=WINDOW),
        # The window is not for the battery.
        box(2000, 700, 2600, hdo=0, windows=WINDOW, settings={"fmt_on": 0}),
        box(None, -400),  # what is not imported does not charge
        box(0, None),
        box(0, 0, settings={"fmt_on": 0}),
    ],
)
def test_other_flows_are_not_charging_from_the_grid(found):
    assert grid_charging(found, NIGHT) is None


@pytest.mark.parametrize("at", [3599, 18_000, 43_200])
def test_a_closed_window_only_plans_charging_from_the_grid(at):
    now = NIGHT.replace(hour=0, minute=0) + timedelta(seconds=at)
    found = box(2000, 700, 2600, hdo=1, windows=WINDOW, settings={"fmt_on": 0})
    assert grid_charging(found, now) is None
    assert grid_charging(found, NIGHT) is not None


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (box(None, 900), NULL),
        (box(2000, None), NULL),
        (box(2000, 900, None), NULL),
        (box(actual={}), None),
        # It may be charging to a target, and the house is left to the grid.
        (box(2000, 700, 2600), TARGET_UNKNOWN),
        (box(5000, 1294, 6352, set_to=1), TARGET_UNKNOWN),
        (box(2000, 60, 2000), TARGET_UNKNOWN),
        (box(2000, 700, 2600, settings={"fmt_on": "x"}), TARGET_UNKNOWN),
        (box(2000, 700, 2600, hdo=0, windows=WINDOW), TARGET_UNKNOWN),
        (box(2000, 700, 2600, set_to=None), MODE_UNKNOWN),
        (box(2000, 700, 2600, set_to=5), MODE_UNKNOWN),
        (box(2000, 700, 2600, hdo=None), TARIFF_UNKNOWN),
        (box(2000, 700, 2600, hdo=1, windows={"hdo1_s": "x", "hdo1_e": 5}), TARIFF_UNKNOWN),
        # The battery's power is of now, the grid's of the last upload.
        (
            box(
                actual={"bat_p": 2000, "fv_p1": 0, "fv_p2": 0},
                ac_in={"aci_wr": 900, "aci_ws": 0, "aci_wt": 0},
            ),
            OF_TWO_TIMES,
        ),
        (
            box(
                actual={"bat_p": 2000, "aci_wr": 900, "aci_ws": 0, "aci_wt": 0},
                dc_in={"fv_p1": 0, "fv_p2": 0},
            ),
            OF_TWO_TIMES,
        ),
    ],
)
def test_a_missing_value_leaves_charging_from_the_grid_unknown(found, why):
    told = grid_charging(found, NIGHT)
    assert isinstance(told, str)
    assert why is None or told == why


def test_without_live_data_the_powers_of_one_upload_decide():
    found = Box(
        ID,
        {
            "batt": {"bat_p": 2000},
            "ac_in": {"aci_wr": 2500, "aci_ws": 0, "aci_wt": 0},
            "dc_in": {"fv_p1": 0, "fv_p2": 0},
            "box_prms": {"mode": 2},
        },
    )
    assert isinstance(grid_charging(found, NIGHT), GridCharging)


VALUES = st.sampled_from([None, "x", "", 0, 1, 2, 3, 60, 700, 2000, -2000, 1e300, True, [], {}])
FIELDS = [
    *("bat_p", "aci_wr", "aci_ws", "aci_wt", "fv_p1", "fv_p2"),
    *("mode", "bat_ac", "app", "bat_hdo", "hdo1_s", "hdo1_e", "fmt_on", "bal_on"),
]
SENT = ["actual", "ac_in", "batt", "dc_in", "box_prms", "batt_prms", "box_prm2"]


@given(
    raw=st.dictionaries(
        st.sampled_from(SENT),
        st.one_of(VALUES, st.dictionaries(st.sampled_from(FIELDS), VALUES)),
    ),
    seconds=st.integers(0, 86_399),
)
def test_yes_and_no_are_based_on_known_values_for_any_payload(raw, seconds):
    found, read = grid_charging(Box(ID, raw), NIGHT + timedelta(seconds=seconds)), Box(ID, raw)
    cells, takes, draws = battery(read), battery(read).power_w, grid(read).power_w
    made, does = solar(read).power_w, mode(read).behaviour
    if isinstance(found, GridCharging):
        assert cells.formatting_active or (
            takes and draws and takes > IDLE_W and draws > BALANCED_W
        )
    elif found is None:
        assert not cells.formatting_active
        assert (
            (takes is not None and takes <= IDLE_W)
            or (draws is not None and draws <= BALANCED_W)
            or (
                takes
                and draws
                and made is not None
                and does
                and takes <= made + MARGIN_W
                and cells.formatting_active is False
            )
        )
    else:
        assert found


MADE = MadeHere(80, NIGHT - timedelta(hours=1), "0123456789abcdef")
HALF = {
    "bat_p": 2000,
    "bat_c": 50,
    "aci_wr": 2500,
    "aci_ws": 0,
    "aci_wt": 0,
    "fv_p1": 0,
    "fv_p2": 0,
}
SUNNY = HALF | {"aci_wr": 700, "fv_p1": 2600}


@pytest.mark.parametrize("actual", [HALF, SUNNY])
@pytest.mark.parametrize("settings", [{}, {"fmt_on": 1}])
def test_a_charge_started_by_this_server_is_the_cause_and_names_its_change(actual, settings):
    found = grid_charging(box(actual=actual, settings=settings), NIGHT, MADE)
    assert isinstance(found, GridCharging)
    assert "to 80 %, as change 0123456789abcdef, made through this server at" in found.means
    assert "target" in found.to_do


def test_a_charge_of_another_account_is_named_without_its_id():
    found = grid_charging(box(actual=HALF), NIGHT, MADE._replace(change_id=None))
    assert isinstance(found, GridCharging)
    assert "as a change, made through this server at" in found.means


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        (box(actual=HALF, settings={"fmt_on": 0}), MADE),  # it does not run any more
        (box(actual=HALF | {"bat_c": 80}), MADE),  # it has got there
        (box(actual=HALF, box_prms={"mode": 0, "bat_ac": 60}), MADE),  # another target is set
        (box(actual=HALF), MADE._replace(at=NIGHT - timedelta(hours=13))),
        (box(actual=HALF, set_to=3), MADE),  # what is shown goes first
        (box(actual=HALF), None),
    ],
)
def test_a_charge_started_by_this_server_that_may_be_over_is_not_named(sent, made):
    found = grid_charging(sent, NIGHT, made)
    assert isinstance(found, GridCharging)
    assert "0123456789abcdef" not in found.means


def test_a_charge_started_by_this_server_is_no_cause_while_nothing_flows():
    assert grid_charging(box(actual=HALF | {"bat_p": 0}), NIGHT, MADE) is None
