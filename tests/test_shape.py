"""Whether an answer of the portal has the known shape, and what is logged when it does not."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cachectl.stats_report import stats_report
from drills.payloads import folder, listed, series
from server.cache.blocking import BlockingClient
from server.portal.shape import (
    ALWAYS,
    LONGEST_NAME,
    VALUES,
    Shape,
    list_shape,
    live_shape,
    series_shape,
)
from server.upstream.shape_watch import QUIET, SHOWN, ShapeWatch
from simulator import Simulator
from simulator.payload import blocks

from .fleet import running_fleet
from .test_cachectl_render import drawn
from .test_reading_tools import basic, call, forget_answers

KNOWN = Shape(frozenset(), frozenset())
BOX, OTHER = "2210400017", "2210400025"
DEMO, DEMO2 = "demo@example.com", "demo2@example.com"


def sent(email: str = DEMO, *, full: bool = False) -> dict[str, Any]:
    """What the simulated portal sends of an account's boxes."""
    simulator = Simulator()
    now = simulator.clock.now()
    boxes = simulator.boxes.of(email, now)
    for box in boxes:
        box.full = full
    return json.loads(json.dumps({box.id: blocks(box, now) for box in boxes}))


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("email", [DEMO, DEMO2])
def test_answers_of_either_year_have_the_known_shape(email, full):
    payload = sent(email, full=full)
    assert live_shape(payload) == KNOWN
    for box in payload.values():
        box.pop("actual")
        # PHP writes an empty block so; accessories may have whatever fields they have.
        box |= {"boiler": [], "aircon": {"p": 5, "surprise": 1}, "queen": None}
    assert live_shape(payload) == KNOWN
    assert live_shape({}) == KNOWN


@pytest.mark.parametrize(
    ("block", "field"), [(block, field) for block in ALWAYS for field in sorted(ALWAYS[block])]
)
def test_the_absence_of_any_universal_field_is_reported(block, field):
    for gone in (..., {}, [5]):
        payload = sent()
        payload[BOX][block][field] = gone
        if gone is ...:
            del payload[BOX][block][field]
        assert live_shape(payload) == Shape(frozenset({f"{block}.{field}"}), frozenset())


@pytest.mark.parametrize("block", ALWAYS)
@pytest.mark.parametrize("gone", [..., [], "x", None, 5])
def test_a_missing_block_is_reported_as_a_whole(block, gone):
    payload = sent()
    payload[BOX][block] = gone
    if gone is ...:
        del payload[BOX][block]
    # Live data may be off.
    off = block == "actual" and not (gone is not ... and gone)
    assert live_shape(payload).lacking == (set() if off else {block})


def test_a_field_present_in_another_box_is_not_reported():
    payload = sent(DEMO2)
    del payload[OTHER]["dc_in"]
    assert live_shape(payload) == KNOWN
    for box in payload.values():
        box.pop("dc_in", None)
    assert live_shape(payload).lacking == {"dc_in"}


def test_unknown_fields_are_named():
    payload = sent()
    payload[BOX] |= {"new_block": {"a": 1}, "flag": True}
    payload[BOX]["batt"]["surprise"] = 5
    payload["meta"] = {}
    assert live_shape(payload).unknown == {"new_block", "flag", "batt.surprise", "meta"}


SECRET = "jan.novak@example.com 2210400017 <script> 2026-11-22\nx" + "y" * 100


def test_names_from_the_portal_are_cleaned_and_cut():
    payload = sent()
    payload[BOX]["batt"][SECRET] = "value"
    (name,) = live_shape(payload).unknown
    assert name.startswith("batt.jan?novak?example?com?#?")
    assert len(name) <= len("batt.") + LONGEST_NAME
    assert re.fullmatch(r"[\w.?#-]+", name, re.ASCII)


@pytest.mark.parametrize(
    ("name", "payload", "lacking", "unknown"),
    [
        ("batt", series([[1, 2, 3, 4]]), [], []),
        ("batt", series([[1, 2, 3]]), [], []),  # some boxes have no temperature
        ("batt", series([[1, 2, 3, 4], None, [], [1]]), [], []),
        ("batt", series([]), [], []),
        ("batt", {}, ["batt: items"], []),
        ("batt", {"items": {}}, ["batt: items"], []),
        ("load", {"items": [{"rows": []}]}, ["load: items.values"], ["load: items.rows"]),
        ("fve", series([[1, 2, 3]]), ["fve: items.values.3", "fve: items.values.4"], []),
        ("load", series([[1, 2, 3, 4, 5]]), [], ["load: items.values.3"]),
        ("grid", series([[1, 2, 3, 4]], time=["12:00"]), [], []),
        (
            "grid",
            series([[1, 2, 3, 4]], zone=["x"]) | {"unit": "W"},
            [],
            ["grid: items.zone", "grid: unit"],
        ),
    ],
)
def test_the_shape_of_a_series(name, payload, lacking, unknown):
    assert series_shape(name, payload) == Shape(frozenset(lacking), frozenset(unknown))


@pytest.mark.parametrize(
    ("markup", "lacking"),
    [
        (listed(folder("t", body="b")), []),
        ('<div class="folder-list"><div class=folder><p class="point date body">', ["row-2"]),
        ("<div class='folder'>x</div>", ["body", "date", "point", "row-2"]),
    ],
)
def test_the_shape_of_notifications(markup, lacking):
    assert list_shape(markup).lacking == {f"notifications: {name}" for name in lacking}
    assert list_shape(markup).unknown == set()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
objects = st.dictionaries(st.sampled_from([BOX, "actual", "items", "x"]) | st.text(), anything)


@given(payload=objects, name=st.sampled_from([*VALUES, "odd"]), markup=st.text())
@settings(max_examples=200, deadline=None)
def test_no_payload_makes_it_fail_or_log_unprintable_text(payload, name, markup):
    for shape in (live_shape(payload), series_shape(name, payload), list_shape(markup)):
        for one in shape.lacking | shape.unknown:
            assert re.fullmatch(r"[\w .:?#-]+", one, re.ASCII)


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


def lacks(*names: str) -> Shape:
    return Shape(frozenset(names), frozenset())


def test_each_kind_is_counted_and_logged_once_an_hour(caplog):
    caplog.set_level(logging.WARNING, logger="server")
    clock, counted = Clock(), []
    watch = ShapeWatch(counted.append, now=clock)
    watch(KNOWN)
    assert (counted, caplog.messages) == ([], [])
    watch(Shape(frozenset({"batt.bat_c"}), frozenset({"batt.new"})))
    for _ in range(3):
        clock.time += QUIET / 4
        watch(lacks("box.temp", "batt.bat_c"))
    assert counted == ["lacking", "unknown", "lacking", "lacking", "lacking"]
    lost, new = caplog.messages
    assert "(1 of them)" in lost
    assert "batt.bat_c" in lost
    assert "batt.new" in new
    clock.time += QUIET / 4
    watch(lacks("dc_in"))
    assert "(4 of them)" in caplog.messages[2]
    assert "batt.bat_c, box.temp, dc_in." in caplog.messages[2]


def test_a_line_names_a_few_and_counts_the_rest(caplog):
    caplog.set_level(logging.WARNING, logger="server")
    watch = ShapeWatch(lambda _: None, now=Clock())
    watch(Shape(frozenset(), frozenset(f"batt.f{number:03}" for number in range(150))))
    (line,) = caplog.messages
    assert f" and {150 - SHOWN} more" in line
    assert len(line) < 500


def test_operators_see_it_in_the_log_and_in_the_statistics():
    owner = {"Authorization": basic(DEMO)}
    with running_fleet(1) as fleet:

        def counted() -> tuple[int, int]:
            with BlockingClient(fleet.socket_path) as daemon:
                (stats,) = daemon.call("stats", None)
            report = drawn(stats_report(stats).blocks)
            assert any("answers lacking fields" in line for line in report)
            return stats["answers_lacking_total"], stats["answers_unknown_total"]

        def asked_twice() -> None:
            for _ in range(2):
                forget_answers(fleet)
                assert not call(fleet, "get_live_data", **owner)["isError"]

        asked_twice()
        assert not call(fleet, "get_notifications", **owner)["isError"]
        assert counted() == (0, 0)
        fleet.portal.fault("dropped", endpoint="live", fields=["batt.bat_c"])
        asked_twice()
        assert counted() == (2, 0)
        fleet.portal.clear_faults()
        fleet.portal.fault("added", endpoint="live", fields=["batt.surprise"])
        asked_twice()
        assert counted() == (2, 2)
        logs = fleet.logs()
    assert logs.count("fields are missing that every box is known to have: batt.bat_c.") == 1
    assert logs.count("fields that are not known here: batt.surprise.") == 1
