"""Why the battery does not charge, and how long it lasts: every case, and what it rests on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.payloads import FULL, NOW, full_box
from server.readings.battery import IDLE_W
from server.readings.box import LIVE_OFF, OF_TWO_TIMES
from server.readings.live import LiveData, live_data
from server.readings.mode import UNKNOWN_BEHAVIOUR
from server.readings.outlook import (
    AGGREGATED,
    AT_MINIMUM,
    BYPASSED,
    FOR_OUTAGES,
    HELD_BACK,
    NOT_BOUGHT,
    NOT_DISCHARGING,
    NOT_TOLD,
    SOLD,
    TOO_OLD,
    Circumstances,
    hours_left,
    why_not_charging,
)
from server.readings.unknown import NOT_A_NUMBER

IDLE: dict[str, float] = {"bat_p": 0, "aci_wr": 0, "aci_ws": 0, "aci_wt": 0}
NIGHT = {"fv_p1": 0, "fv_p2": 0}


def box(now: dict[str, float], **blocks: dict[str, Any]) -> dict[str, Any]:
    """A box of today in Home 1, half full, that may export, with these powers."""
    found = full_box()
    found["actual"] |= IDLE | {"bat_c": 50} | now
    found["box_prms"]["mode"] = 0
    found["box_prm2"]["app"] = 0
    found["batt_prms"]["fmt_on"] = 0
    found["boiler"]["p"] = 0
    found["invertor_prm1"]["p_max_feed_grid"] = 10_000
    for name, fields in blocks.items():
        found[name] |= fields
    return found


def read(sent: dict[str, Any], now: datetime = NOW) -> LiveData:
    return live_data({FULL: sent}, FULL, now, [])


def why(reading: LiveData, name: str) -> str:
    return next((one.why for one in reading.unknown if name in one.readings), "")


def cause(sent: dict[str, Any], now: datetime = NOW) -> tuple[str | None, str]:
    found = read(sent, now)
    return found.battery.not_charging, why(found, "battery.not_charging")


EXPORTING = {"aci_wr": -900}
BALANCED: dict[str, float] = {}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        # It charges, a little more than its electronics move.
        (box({"bat_p": 51}), (None, "")),
        (box({"bat_p": 51, "bat_c": 100}), (None, "")),
        # Full, whatever else.
        (box({"bat_c": 100}), ("full", "")),
        (box({"bat_c": 100} | EXPORTING), ("full", "")),
        (box({"bat_c": 100} | NIGHT, box_prms={"mode": 3}), ("full", "")),
        # Nearly full is full where there is something to take, and only there.
        (box({"bat_c": 98} | EXPORTING), ("full", "")),
        (box({"bat_c": 98}, invertor_prms={"to_grid": 0}), ("full", "")),
        (box({"bat_c": 98, "aci_wr": 300}), ("no surplus", "")),
        (box({"bat_c": 97} | EXPORTING), ("unknown", NOT_TOLD)),
        # An aggregator exports, from panels or battery.
        (box(EXPORTING, box_prm2={"app": 4}), ("mode", "")),
        (box({"bat_p": -3000, "aci_wr": -2500}, box_prm2={"app": 4}), ("mode", "")),
        (box({"bat_p": -300, "aci_wr": 80}, box_prm2={"app": 4}), ("no surplus", "")),
        # A surplus that no known mode would leave.
        *((box(EXPORTING, box_prms={"mode": mode}), ("unknown", NOT_TOLD)) for mode in range(4)),
        (box(EXPORTING, box_prms={"mode": 4}), ("unknown", UNKNOWN_BEHAVIOUR)),
        (box(EXPORTING, box_prms={"mode": 5}), ("unknown", UNKNOWN_BEHAVIOUR)),
        # The grid might charge it.
        (box(NIGHT, box_prms={"mode": 3}), ("unknown", NOT_BOUGHT)),
        (box(NIGHT, box_prms={"mode": 2, "bat_ac": 51}), ("unknown", NOT_BOUGHT)),
        (box(NIGHT, box_prms={"mode": 2, "bat_ac": 50}), ("no surplus", "")),
        (box(NIGHT, box_prms={"mode": 2, "bat_ac": None}), ("unknown", NOT_BOUGHT)),
        (box(NIGHT, batt_prms={"fmt_on": 1}), ("unknown", NOT_BOUGHT)),
        # Nothing is lacking, and panels that give may be held back.
        (box(BALANCED, invertor_prms={"to_grid": 0}), ("unknown", HELD_BACK)),
        (box(BALANCED, invertor_prms={"to_grid": None}), ("unknown", HELD_BACK)),
        (box(BALANCED, invertor_prm1={"p_max_feed_grid": 50}), ("unknown", HELD_BACK)),
        (box(BALANCED, invertor_prm1={"p_max_feed_grid": 3000}), ("no surplus", "")),
        (box(BALANCED | NIGHT, invertor_prms={"to_grid": 0}), ("no surplus", "")),
        (box({"aci_wr": 60}, invertor_prms={"to_grid": 0}), ("no surplus", "")),
        (box(BALANCED), ("no surplus", "")),
        # The boiler, as far as it would make a difference.
        (box({"aci_wr": 300}, boiler={"p": 351}), ("boiler", "")),
        (box({"aci_wr": 300}, boiler={"p": 350}), ("no surplus", "")),
        (box({"bat_p": -500}, boiler={"p": 2000}, boiler_prms={"manual": 1}), ("boiler", "")),
        (box({"bat_p": -2500} | NIGHT, boiler={"p": 2000}), ("no surplus", "")),
        (box({"aci_wr": 300}, boiler={"p": None}), ("no surplus", "")),
        # Night, in every mode that does not charge from the grid.
        (box({"bat_p": -700} | NIGHT), ("no surplus", "")),
        (box({"bat_p": -700} | NIGHT, box_prms={"mode": 1}), ("no surplus", "")),
        (box({"aci_wr": 700} | NIGHT, box_prms={"mode": 4}), ("no surplus", "")),
        # A bypass that is on.
        (box(BALANCED, box_prms={"bypass": 1}), ("unknown", BYPASSED)),
        (box(BALANCED, box_prms={"bypass_m": 1}), ("unknown", BYPASSED)),
        (box({"bat_c": 100}, box_prms={"bypass": 1}), ("full", "")),
    ],
)
def test_the_first_matching_case_is_the_cause(sent, expected):
    assert cause(sent) == expected


@pytest.mark.parametrize("minutes", [6, 120, 6_000])
def test_a_stale_box_has_no_current_outlook(minutes):
    for now in ({"bat_c": 100}, {"bat_p": 900}, {"bat_p": -900} | NIGHT):
        found = read(box(now), NOW + timedelta(minutes=minutes))
        assert found.battery.not_charging is None
        assert found.battery.hours_left is None
        for name in ("battery.not_charging", "battery.hours_left"):
            assert why(found, name) == TOO_OLD


def test_a_box_of_unknown_age_has_no_current_outlook():
    found = read(box({"bat_p": -900}, device={"lastcall": "?"}))
    assert (found.battery.not_charging, found.battery.hours_left) == (None, None)
    assert why(found, "battery.not_charging") == why(found, "battery.hours_left") == TOO_OLD


@pytest.mark.parametrize("live", [True, False])
def test_an_unknown_power_leaves_cause_and_hours_unknown_for_its_reason(live):
    sent = box({"bat_p": "x"} | NIGHT, batt={"bat_p": None})
    if not live:
        del sent["actual"]
        del sent["batt"]["bat_p"]
    found = read(sent)
    assert (found.battery.not_charging, found.battery.hours_left) == ("unknown", None)
    expected = why(found, "battery.power_w")
    assert expected == (NOT_A_NUMBER if live else LIVE_OFF)
    for name in ("battery.not_charging", "battery.hours_left"):
        assert why(found, name) == expected


def test_powers_of_two_times_give_no_surplus():
    sent = box({"bat_p": None})
    sent["batt"]["bat_p"] = 0
    assert cause(sent) == ("unknown", OF_TWO_TIMES)
    sent = box({"bat_p": 0, "aci_wr": None})
    assert cause(sent) == ("unknown", OF_TWO_TIMES)


def test_a_cause_based_on_the_boiler_is_as_old_as_the_boilers_power():
    assert "battery.not_charging" in read(box({"aci_wr": 300}, boiler={"p": 900})).older
    assert "battery.not_charging" not in read(box({"aci_wr": 300})).older


EVENING = {"bat_p": -1_000, "bat_c": 72} | NIGHT


def lasts(sent: dict[str, Any], now: datetime = NOW) -> Any:
    found = read(sent, now)
    return found.battery.hours_left or why(found, "battery.hours_left")


def test_hours_left_are_the_usable_energy_divided_by_the_discharge_power():
    found = lasts(box(EVENING))
    # 12.3 kWh, of which 22 % are kept.
    assert found.hours == 6.2
    assert found.basis == ("6.2 kWh down to 22 %, at 1000 W: backed-up part and the box itself")


@pytest.mark.parametrize(
    ("sent", "hours", "basis"),
    [
        (box(EVENING, box_prm2={"app": 1}), 6.2, "whole house and the box itself"),
        (box(EVENING, box_prms={"mode": 1}), 6.2, "down to 22 %"),
        (box(EVENING, box_prms={"mode": 2, "bat_ac": 40}), 3.9, "down to 40 %"),
        (box(EVENING, box_prms={"mode": 2, "bat_ac": 20}), 6.2, "down to 22 %"),
        (box(EVENING | {"fv_p1": 400}), 6.2, "less 400 W from the panels"),
        (box(EVENING | {"fv_p1": "x"}, dc_in={"fv_p1": "x"}), 6.2, "what the panels may give"),
        (box(EVENING | {"aci_wr": -199}), 6.2, "at 1000 W"),
        (box(EVENING | {"bat_p": -51}), 120.6, "at 51 W"),
    ],
)
def test_the_basis_names_the_values_behind_the_hours(sent, hours, basis):
    found = lasts(sent)
    assert found.hours == hours
    assert basis in found.basis


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (box(EVENING | {"bat_p": 0}), NOT_DISCHARGING),
        (box(EVENING | {"bat_p": -50}), NOT_DISCHARGING),
        (box(EVENING | {"bat_p": 0, "bat_c": 23}), NOT_DISCHARGING),
        (box(EVENING | {"bat_p": 0, "bat_c": 22}), AT_MINIMUM),
        (box(EVENING | {"bat_p": -50, "bat_c": 15}), AT_MINIMUM),
        (box(EVENING | {"bat_p": 0, "bat_c": 15}, box_prms={"mode": 3}), AT_MINIMUM),
        (box(EVENING, box_prm2={"app": 4}), AGGREGATED),
        (box(EVENING, box_prms={"mode": 3}), FOR_OUTAGES),
        (box(EVENING, box_prms={"mode": 4}), UNKNOWN_BEHAVIOUR),
        (box(EVENING, box_prms={"mode": 9}), UNKNOWN_BEHAVIOUR),
        (box(EVENING | {"aci_wr": -201}), SOLD),
        (box(EVENING | {"bat_c": 22}), AT_MINIMUM),
        (box(EVENING | {"bat_c": 15}), AT_MINIMUM),
        (box(EVENING, box_prms={"mode": 2, "bat_ac": 72}), AT_MINIMUM),
        (box(EVENING, box_prms={"p_bat": 0}), "The portal sent a value that is impossible"),
        (box(EVENING, batt_prms={"bat_min": None}), "The portal sent an empty value."),
        (box(EVENING, box_prms={"mode": 2, "bat_ac": " "}), "The portal sent a blank."),
        (box(EVENING, box_prms={"mode": "x"}), "The portal sent something that is not a number."),
        (box(EVENING, box_prm2={"app": 9}), "combination of supplementary modes"),
    ],
)
def test_unknown_hours_are_null_with_a_reason(sent, expected):
    found = lasts(sent)
    assert isinstance(found, str)
    assert expected in found


@pytest.mark.parametrize("charge", [22, 60, 100])
def test_hours_of_a_charging_battery_need_no_reason(charge):
    found = read(box({"bat_p": 51, "bat_c": charge}))
    assert found.battery.hours_left is None
    assert not why(found, "battery.hours_left")
    assert "battery.hours_left" not in found.older


def test_hours_based_on_the_last_upload_say_so():
    sent = box({})
    del sent["actual"]
    sent["batt"] |= {"bat_p": -1_000, "bat_c": 72}
    sent["ac_in"] |= {"aci_wr": 20, "aci_ws": 20, "aci_wt": 20}
    found = read(sent)
    assert found.battery.hours_left is not None
    assert found.battery.hours_left.basis.endswith("; as of the last upload")
    assert "battery.hours_left" in found.older
    assert any("last upload" in warning for warning in found.warnings)


watts = st.none() | st.floats(-10_000, 10_000)
percent = st.none() | st.floats(0, 100)
flag = st.none() | st.booleans()
circumstances = st.builds(
    Circumstances,
    current=st.booleans(),
    of_one_time=st.booleans(),
    older=st.booleans(),
    battery_w=watts,
    grid_w=watts,
    solar_w=watts,
    boiler_w=watts,
    charge=percent,
    capacity_wh=st.none() | st.floats(1, 1e6),
    minimum=percent,
    mode=st.none() | st.integers(0, 9),
    grid_v=flag,
    flexible=flag,
    bypassed=st.booleans(),
    formatting=flag,
    target=percent,
    most_exported_w=watts,
    why_unknown=st.just(lambda reading: f"{reading} is unknown"),
)


@given(seen=circumstances)
@settings(max_examples=500, deadline=None)
def test_every_outlook_gives_a_cause_or_a_reason(seen):
    cause, reason = why_not_charging(seen)
    assert bool(reason) is (cause == "unknown" or not seen.current)
    charging = seen.current and seen.battery_w is not None and seen.battery_w > IDLE_W
    assert (cause is None) is (charging or not seen.current)
    if cause == "no surplus":
        assert seen.battery_w - seen.grid_w <= IDLE_W
    if cause == "full":
        assert seen.charge >= 98
    found = hours_left(seen)
    assert (found is None) is charging
    if isinstance(found, str):
        assert found
    elif found is not None:
        assert seen.current
        assert seen.battery_w < -IDLE_W
        assert seen.charge > seen.minimum
        assert found.hours >= 0
