"""What few ask for: windows of tariff and boiler, its relays and elements."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from drills.payloads import FULL, NOW, full_box, slim_box
from server.readings.box import Box
from server.readings.detail import Detail, detail
from server.readings.live import live_data

from .test_readings_live import anything

TARIFF = {
    "bat_hdo": 1,
    "hdo1_s": 79_200,
    "hdo1_e": 21_600,
    "hdo2_s": 0,
    "hdo2_e": 0,
}
BOILER = {
    "ison": 1,
    "manual": 0,
    "hdo": 1,
    "wd": 12_500,
    **{f"zone{n}_{end}": 0 for n in range(1, 5) for end in "se"},
    "zone1_s": 0,
    "zone1_e": 86_399,
    "zone3_s": 36_005,
    "zone3_e": 43_200,
    "ssr0": 1,
    "ssr1": 0,
    "ssr2": 1,
    "p_set": 2_000,
    "p_set2": 1_500,
    "p_set3": 0,
}
STATES = {"p": 553, "w": 1_733, "ssr1": 0, "ssr2": 1, "ssr3": 0}


def box(**blocks: Any) -> Box:
    sent = {"batt_prms": TARIFF, "boiler_prms": BOILER, "boiler": STATES} | blocks
    return Box(FULL, full_box() | sent)


def explained(of: Box) -> dict[str, str]:
    return {name: one.why for one in of.reasons.listed() for name in one.readings}


def test_every_field_of_detail_is_read():
    asked = box()
    assert detail(asked).model_dump() == {
        "low_tariff_charging": True,
        "low_tariff_windows": ({"number": 1, "start": "22:00", "end": "06:00"},),
        "boiler": {
            "low_tariff": True,
            "low_tariff_energy_wh": 12_500,
            "windows": (
                {"number": 1, "start": "00:00", "end": "23:59:59"},
                {"number": 3, "start": "10:00:05", "end": "12:00"},
            ),
            "elements": (
                {"number": 1, "heating_power_w": 2_000, "relay_set": True, "relay_on": False},
                {"number": 2, "heating_power_w": 1_500, "relay_set": False, "relay_on": True},
                {"number": 3, "heating_power_w": 0, "relay_set": True, "relay_on": False},
            ),
        },
    }
    assert explained(asked) == {}


def test_without_detail_no_field_of_it_is_reported_as_unknown():
    payload = {FULL: full_box() | {"boiler_prms": {"ison": 1}}}
    plain = live_data(payload, FULL, NOW)
    assert plain.detail is None
    assert not any(name.startswith("detail") for one in plain.unknown for name in one.readings)
    asked = live_data(payload, FULL, NOW, detailed=True)
    assert asked.detail is not None
    assert asked.detail.boiler is not None


@pytest.mark.parametrize("bad", ["", "x", -1, 86_401, 3_600.5, None, []])
@pytest.mark.parametrize("end", ["s", "e"])
def test_a_window_with_an_unknown_end_is_shown_and_explained(bad, end):
    for block, field, path in (
        ("batt_prms", f"hdo2_{end}", "detail.low_tariff_windows"),
        ("boiler_prms", f"zone2_{end}", "detail.boiler.windows"),
    ):
        asked = box(**{block: (TARIFF if block == "batt_prms" else BOILER) | {field: bad}})
        read = detail(asked)
        windows = read.low_tariff_windows if block == "batt_prms" else read.boiler.windows
        (window,) = [one for one in windows if one.number == 2]
        name = {"s": "start", "e": "end"}[end]
        assert getattr(window, name) is None
        assert explained(asked).keys() == {f"{path}.2.{name}"}


@pytest.mark.parametrize(
    ("block", "field", "path"),
    [
        ("batt_prms", "bat_hdo", "low_tariff_charging"),
        ("boiler_prms", "hdo", "boiler.low_tariff"),
        ("boiler_prms", "wd", "boiler.low_tariff_energy_wh"),
        ("boiler_prms", "p_set", "boiler.elements.1.heating_power_w"),
        ("boiler_prms", "p_set2", "boiler.elements.2.heating_power_w"),
        ("boiler_prms", "p_set3", "boiler.elements.3.heating_power_w"),
        ("boiler_prms", "ssr0", "boiler.elements.1.relay_set"),
        ("boiler_prms", "ssr2", "boiler.elements.3.relay_set"),
        ("boiler", "ssr1", "boiler.elements.1.relay_on"),
        ("boiler", "ssr3", "boiler.elements.3.relay_on"),
    ],
)
def test_a_missing_value_is_null_and_never_zero(block, field, path):
    sent = {"batt_prms": TARIFF, "boiler_prms": BOILER, "boiler": STATES}[block]
    asked = box(**{block: {name: value for name, value in sent.items() if name != field}})
    value: Any = detail(asked).model_dump()
    for part in path.split("."):
        value = value[int(part) - 1] if isinstance(value, tuple) else value[part]
    assert value is None
    assert explained(asked).keys() == {f"detail.{path}"}


def test_without_a_boiler_its_settings_are_null_for_that_reason():
    asked = Box(FULL, slim_box())
    assert detail(asked).boiler is None
    assert "No boiler" in explained(asked)["detail.boiler"]
    asked = Box(FULL, {"boiler": "x"})
    assert detail(asked).boiler is None
    assert "cannot be read" in explained(asked)["detail.boiler"]


@given(batt=anything, settings_=anything, state=anything)
@settings(max_examples=100, deadline=None)
def test_no_payload_makes_reading_the_detail_fail(batt, settings_, state):
    found: Detail = detail(box(batt_prms=batt, boiler_prms=settings_, boiler=state))
    json.loads(found.model_dump_json())
