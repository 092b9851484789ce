"""The result of get_live_data: short, and with `detail` everything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.fields import plain, reason_for, reasons_in
from server.readings.live import LiveData, live_data
from server.readings.live_summary import live_summary

from .payloads import FULL, NOW, full_box, slim_box
from .reading_house import reading_houses
from .test_readings_detail import BOILER, STATES, TARIFF

MOST_BYTES = 1_900
"""Of the result about the demo box, while all is well."""


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
def test_with_detail_nothing_that_was_read_is_lost(sent):
    whole = read(sent, detailed=True).model_dump(mode="json")
    result = dict(leaves(told(sent, detailed=True)))
    for path, value in leaves(whole):
        places = [path, f"detail.{path}"]
        found = [result[place] for place in places if place in result]
        # A part that is null as a whole is null in both places.
        assert value in found or (value is None and path == "boiler"), path


@pytest.mark.parametrize("sent", boxes())
def test_without_detail_all_else_is_the_same(sent):
    short, long = told(sent), told(sent, detailed=True)
    for name in short.keys() - {"detail", "unknown", "older"}:
        assert short[name] == long[name], name
    assert short["detail"] is None
    assert set(short["older"]) == {one for one in long["older"] if not one.startswith("detail.")}


@pytest.mark.parametrize("detailed", [True, False])
@pytest.mark.parametrize("sent", boxes())
def test_every_null_has_the_reason_that_it_was_read_with(sent, detailed):
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


def test_a_part_of_which_nothing_is_known_is_named_once():
    (group, *_) = [one for one in told({})["unknown"] if "energy.month" in one["readings"]]
    assert {"mode", "energy.today", "energy.month", "energy.year"} <= set(group["readings"])
    assert not any(one.startswith(("mode.", "energy.today.")) for one in group["readings"])
    (group, *_) = [
        one for one in told({}, detailed=True)["unknown"] if "mode.name" in one["readings"]
    ]
    assert "detail.solar.strings.2.voltage_v" in group["readings"]
    assert "mode" not in group["readings"]


def test_a_part_of_which_something_is_known_is_not_named_as_a_whole():
    result = told(slim_box())
    named = {plain(name) for one in result["unknown"] for name in one["readings"]}
    assert "energy.today.battery_charged_wh" in named
    assert not named & {"energy", "energy.today", "battery", "load"}


block = st.sampled_from(sorted(full_box()))


@given(lost=st.sets(block), detailed=st.booleans())
@settings(max_examples=100, deadline=None)
def test_whatever_a_box_does_not_send_every_null_has_a_reason(lost, detailed):
    result = told(
        {name: sent for name, sent in full_box().items() if name not in lost}, detailed=detailed
    )
    reasons = reasons_in(result)
    for path, value in leaves(result):
        if value is None and path not in MEANT and "bypass." not in path:
            assert reason_for(path, reasons), path


@pytest.mark.parametrize(
    "moment",
    ["2026-01-15T18:30:00", "2026-04-02T08:40:00", "2026-06-14T12:40:00", "2026-12-31T23:50:00"],
)
async def test_the_demo_box_fits_as_a_client_gets_it(at, moment):
    house = at(moment)
    for setup in ({}, {"manual": 1}, {"to_grid": 1, "feed_cap": 4_000}):
        house.have(setup=setup)
        result = await house.read()
        compact = json.dumps(result, separators=(",", ":"), ensure_ascii=False)
        assert len(compact.encode()) <= MOST_BYTES, (setup, compact)
        assert result["detail"] is None
