"""The list of boxes that an earlier call made says of now what would be made now."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.payloads import FULL, NOW, SLIM, full_box, live
from server.readings import boxes, kept_boxes
from server.readings.baseline import NO_BASELINE
from server.readings.kept_boxes import KeptBoxes

from . import kept_texts
from .kept_texts import WISHES, settled, text, text_anew
from .reading_house import reading_houses

MAKES = "server.readings.boxes.listed"

TIMES = (
    "2026-06-17T12:00:00",
    "2026-06-17T23:57:30",
    "2026-03-29T01:57:30",
    "2025-10-26T01:57:30",
    "2025-10-26T02:57:30",
)
"""At noon; before midnight; before and within hours that come twice, or never."""


kept_text = partial(kept_texts.kept_text, makes=MAKES)


def asked(when: str) -> dict[str, dict[str, object]]:
    """Give the tools that begin with the boxes, with arguments for a day before that time."""
    day = str((datetime.fromisoformat(when) - timedelta(days=1)).date())
    days = {"first_day": day, "last_day": when[:10]}
    return {
        "list_boxes": {},
        "get_history": {"series": "battery", **days},
        "get_energy": {**days, "per": "hour"},
        "get_notifications": {"limit": 3},
    }


@settings(max_examples=4, deadline=None)
@given(
    when=st.sampled_from(TIMES),
    wishes=st.sampled_from(WISHES),
    name=st.sampled_from(sorted(asked(TIMES[0]))),
    told=st.booleans(),
    moved=st.integers(0, 299) | st.sampled_from([3, 200, 299]),
)
async def test_what_begins_with_kept_boxes_is_byte_for_byte_what_their_answers_give(
    when, wishes, name, told, moved
):
    async with reading_houses() as build:
        house, arguments = settled(build, when, **wishes), asked(when)[name]
        if told:
            await house.read("get_notifications")
        for _ in range(2):
            await text(house, name, **arguments)
        house.clock.time += moved
        kept = await text(house, name, **arguments)
        assert kept == await text_anew(house, name, **arguments)


@settings(max_examples=6, deadline=None)
@given(
    when=st.sampled_from(TIMES),
    wishes=st.sampled_from(WISHES),
    moved=st.lists(st.integers(-7200, 7200) | st.sampled_from([3, 290, 890, -290]), max_size=3),
)
async def test_after_any_step_of_the_clock_the_list_is_what_its_answers_give_then(
    when, wishes, moved
):
    async with reading_houses() as build:
        house = settled(build, when, **wishes)
        for _ in range(2):
            await text(house, "list_boxes")
        for seconds in moved:
            house.clock.time += seconds
            kept = await text(house, "list_boxes")
            if '"source":"live"' not in kept:  # a clock that is put back may end answers
                assert kept == await text_anew(house, "list_boxes")


@pytest.mark.parametrize("name", sorted(asked(TIMES[0])))
async def test_boxes_are_read_once_for_all_tools_that_begin_with_them(name):
    async with reading_houses() as build:
        house = settled(build, TIMES[0])
        calls = asked(TIMES[0])
        await house.read("get_notifications")
        for one in ("list_boxes", name):
            await text(house, one, **calls[one])
        house.clock.time += 30
        kept = json.loads(await kept_text(house, name, **calls[name]))
        if name == "list_boxes":
            (box,) = kept["boxes"]
            reported = datetime.fromisoformat(box["measured_at"]).timestamp()
            assert box["age_s"] == int(house.clock.time - reported)


async def test_notifications_that_came_since_are_in_the_bypasses_of_the_same_result():
    async with reading_houses() as build:
        house = settled(build, TIMES[0], bypass="manual")
        for _ in range(2):
            (before,) = json.loads(await text(house, "list_boxes"))["boxes"]
        told = await house.read("get_notifications")
        (after,) = json.loads(await text(house, "list_boxes"))["boxes"]
        assert before["bypass"] is None
        assert told["bypasses"][0]["bypass"]["manual"]["state"] == "on"
        assert after["bypass"] == told["bypasses"][0]["bypass"]


def kept_of(payload: object, at: datetime) -> KeptBoxes:
    read = KeptBoxes(listed=boxes.listed(payload, at, []), told_at=1.5)
    again = KeptBoxes.model_validate_json(read.kept().facts)
    assert again == read
    return again


def reporting(shown: str) -> object:
    box = full_box()
    box["device"]["lastcall"] = shown
    return {FULL: box}


def test_a_list_reads_alike_until_a_report_is_too_old_or_of_the_future():
    at = datetime(2026, 6, 9, 10, 0, tzinfo=UTC)
    kept = kept_of(reporting("2026-06-09 11:59:30"), at)
    for seconds in (-330, 0, 200, 270):
        then = at + timedelta(seconds=seconds)
        assert kept.at(then) == boxes.listed(reporting("2026-06-09 11:59:30"), then, [])
    for seconds in (-331, 271):
        assert kept.at(at + timedelta(seconds=seconds)) is None


def test_a_list_is_not_kept_while_a_report_has_two_times_or_none_or_a_box_is_left_out():
    at = datetime(2025, 10, 26, 0, 31, tzinfo=UTC)
    for shown, may in (("2025-10-26 01:30:00", True), ("2025-10-26 02:30:00", False), ("", False)):
        listed = boxes.listed(reporting(shown), at)
        assert kept_boxes.may_be_kept(listed, NO_BASELINE) is may
    baseline = NO_BASELINE.after(live(), NOW)
    assert set(baseline.boxes) == {FULL, SLIM}
    assert kept_boxes.may_be_kept(boxes.listed(live(), NOW), baseline)
    assert not kept_boxes.may_be_kept(boxes.listed({FULL: full_box()}, NOW), baseline)
