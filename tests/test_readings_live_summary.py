"""The result of get_live_data: short, and with `detail` everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.payloads import FULL, NOW, full_box, slim_box
from evals.fields import plain, reason_for, reasons_in
from server.readings.counters import NOT_YET
from server.readings.energy import NO_CONTACT
from server.readings.live import LiveData, live_data
from server.readings.live_summary import live_summary
from server.readings.unknown import NOT_SENT

from .reading_house import reading_houses
from .test_readings_detail import BOILER, STATES, TARIFF


@pytest.fixture
async def at():
    async with reading_houses() as make:
        yield make


MEANT = {"export.limit_w", "export.note", "detail", "battery.not_charging", "battery.hours_left"}
"""What may be null without a reason."""


def read(sent: dict[str, Any], *, detailed: bool) -> LiveData:
    return live_data({FULL: sent}, FULL, NOW, [], detailed=detailed)


def told(sent: dict[str, Any], *, detailed: bool = False) -> Any:
    return live_summary(read(sent, detailed=detailed)).model_dump(mode="json")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            if name not in {"unknown", "older", "warnings"}:
                yield from leaves(inner, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list) and value:
        for place, inner in enumerate(value):
            yield from leaves(inner, f"{path}.{inner.get('number', place)}")
    else:
        yield path, value


def boxes() -> list[dict[str, Any]]:
    settings_ = {"batt_prms": TARIFF, "boiler_prms": BOILER, "boiler": STATES}
    return [full_box(), full_box() | settings_, slim_box(), {}, {"boiler": "x", "actual": [1]}]


@pytest.mark.parametrize("sent", boxes())
def test_detail_returns_every_value_that_was_read(sent):
    whole = read(sent, detailed=True).model_dump(mode="json")
    result = dict(leaves(told(sent, detailed=True)))
    for path, value in leaves(whole):
        places = [path, f"detail.{path}"]
        found = [result[place] for place in places if place in result]
        # A part that is null as a whole is null in both places.
        assert value in found or (value is None and path == "boiler"), path


@pytest.mark.parametrize("sent", boxes())
def test_without_detail_everything_else_is_the_same(sent):
    short, long = told(sent), told(sent, detailed=True)
    for name in short.keys() - {"detail", "unknown", "older"}:
        assert short[name] == long[name], name
    assert short["detail"] is None
    assert set(short["older"]) == {one for one in long["older"] if not one.startswith("detail.")}


@pytest.mark.parametrize("detailed", [True, False])
@pytest.mark.parametrize("sent", boxes())
def test_every_null_has_its_original_reason(sent, detailed):
    result = told(sent, detailed=detailed)
    reasons = reasons_in(result)
    before = {
        name: one.why for one in read(sent, detailed=detailed).unknown for name in one.readings
    }
    for path, value in leaves(result):
        if value is not None or path in MEANT or "bypass." in path:
            continue
        reason = reason_for(path, reasons)
        assert reason is not None, path
        source = path.removeprefix("detail.")
        assert reason == (before.get(path) or before.get(source) or before["boiler"]), path


def test_a_wholly_unknown_part_is_named_once():
    (group, *_) = [one for one in told({})["unknown"] if "energy" in one["readings"]]
    assert {"mode", "energy"} <= set(group["readings"])
    assert not any(one.startswith(("mode.", "energy.")) for one in group["readings"])
    (group, *_) = [one for one in told({})["unknown"] if "energy.day" in one["readings"]]
    assert group["why"] == NO_CONTACT
    (group, *_) = [
        one for one in told({}, detailed=True)["unknown"] if "mode.name" in one["readings"]
    ]
    assert "detail.solar.strings.2.voltage_v" in group["readings"]
    assert "mode" not in group["readings"]


def test_a_partly_known_part_is_not_named_as_a_whole():
    result = told(slim_box())
    named = {plain(name) for one in result["unknown"] for name in one["readings"]}
    assert "energy.today.battery_charged_wh" in named
    assert not named & {"energy", "energy.today", "battery", "load"}


async def test_an_unknown_part_has_the_reason_of_most_of_its_fields(at):
    result = await at("2027-01-01T00:03:00").read()
    named = {name: one["why"] for one in result["unknown"] for name in one["readings"]}
    assert named["energy.today"] == named["energy.month"] == named["energy.year"] == NOT_YET
    # Its others are named beside it, and those of its own reason are not.
    assert named["energy.today.battery_charged_wh"] == NOT_SENT
    assert "energy.today.solar_wh" not in named
    reasons = reasons_in(result)
    assert reason_for("energy.today.solar_wh", reasons) == NOT_YET
    assert reason_for("energy.today.battery_charged_wh", reasons) == NOT_SENT
    assert "energy" not in named
    detailed = await at("2027-01-01T00:03:00").read(detail=True)
    assert not {"energy.today", "energy.month"} & {
        name for one in detailed["unknown"] for name in one["readings"]
    }


block = st.sampled_from(sorted(full_box()))


@given(lost=st.sets(block), detailed=st.booleans())
@settings(max_examples=100, deadline=None)
def test_every_null_has_a_reason_whatever_the_box_omits(lost, detailed):
    result = told(
        {name: sent for name, sent in full_box().items() if name not in lost}, detailed=detailed
    )
    reasons = reasons_in(result)
    for path, value in leaves(result):
        if value is None and path not in MEANT and "bypass." not in path:
            assert reason_for(path, reasons), path
