"""Live data that an earlier call made says of now what would be made now."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.payloads import FULL, NOW, full_box
from server.readings import kept_live
from server.readings.baseline import NO_BASELINE
from server.readings.live import live_data, live_data_of_report
from server.readings.live_summary import LiveSummary, live_summary
from server.readings.reported import Reported
from server.upstream import portal_reader
from server.upstream.portal_reader import live_name

from . import kept_texts
from .kept_texts import LONG, WISHES, settled
from .reading_house import reading_houses

MAKES = "server.readings.live.live_data_of_report"

TIMES = (
    "2026-06-17T12:00:00",
    "2026-06-17T22:30:00",
    "2026-06-17T23:57:30",
    "2026-06-18T00:03:00",
    "2026-03-29T01:57:30",
    "2025-10-26T01:57:30",
    "2025-10-26T02:57:30",
)
"""At noon; at night; either side of midnight; before and within hours that come twice, or never."""


text = partial(kept_texts.text, name="get_live_data")
text_anew = partial(kept_texts.text_anew, name="get_live_data")
kept_text = partial(kept_texts.kept_text, name="get_live_data", makes=MAKES)


@settings(max_examples=8, deadline=None)
@given(
    when=st.sampled_from(TIMES),
    wishes=st.sampled_from(WISHES),
    detail=st.booleans(),
    told=st.booleans(),
    moved=st.lists(
        st.integers(-300, 300) | st.integers(-7200, 7200) | st.sampled_from([3, 290, 890, -290]),
        min_size=1,
        max_size=3,
    ),
)
async def test_kept_live_data_is_byte_for_byte_what_its_answers_give_at_that_time(
    when, wishes, detail, told, moved
):
    async with reading_houses() as build:
        house = settled(build, when, **wishes)
        if told:
            await house.read("get_notifications")
        for _ in range(2):
            await text(house, detail=detail)
        for seconds in moved:
            house.clock.time += seconds
            kept = await text(house, detail=detail)
            if '"source":"live"' in kept:  # a clock that is put back may end answers
                kept = await text(house, detail=detail)
            if '"source":"live"' in kept:  # put back again, it ends each: none is of the future
                continue
            assert kept == await text_anew(house, detail=detail)
            known = json.loads(kept)
            assert list(known) == list(json.loads(await text_anew(house)))
            assert known["source"] == "cached"


@pytest.mark.parametrize("live", [True, False], ids=["live data", "uploads alone"])
async def test_live_data_is_made_once_while_the_report_is_fresh(live):
    async with reading_houses() as build:
        house = settled(build, TIMES[0], live_data=live)
        for _ in range(2):
            first = json.loads(await text(house))
        house.clock.time += 30
        kept = json.loads(await kept_text(house))
        assert kept["age_s"] == first["age_s"] + 30
        assert kept["stale"] is False
        assert kept["fetched_at"] == first["fetched_at"]


async def test_live_data_of_a_box_that_is_offline_is_made_once_as_well():
    async with reading_houses() as build:
        house = settled(build, TIMES[0], offline=True)
        house.clock.time += 3600
        for _ in range(2):
            first = json.loads(await text(house))
        house.clock.time += 600
        kept = json.loads(await kept_text(house))
        assert kept["age_s"] == first["age_s"] + 600
        assert kept["stale"] is True


async def test_a_report_that_has_become_too_old_is_read_as_one():
    async with reading_houses() as build:
        # By night the battery discharges, and how long it lasts is said of a fresh report alone.
        house = settled(build, "2026-06-17T22:30:00")
        for _ in range(2):
            await text(house)
        house.clock.time += 301
        kept = await text(house)
        assert kept == await text_anew(house)
        told = json.loads(kept)
        assert told["source"] == "cached"
        assert told["stale"] is True
        assert any("It may be offline" in warning for warning in told["warnings"])


async def test_notifications_that_came_since_are_in_the_next_result():
    async with reading_houses() as build:
        house = settled(build, TIMES[0], bypass="manual")
        for _ in range(2):
            before = json.loads(await text(house))
        await house.call("get_notifications")
        after = json.loads(await text(house))
        assert before["bypass"] is None
        assert after["bypass"]["manual"]["state"] == "on"
        assert json.loads(await text(house)) == after


async def test_a_reading_is_found_only_beside_all_answers_that_it_was_made_of():
    async with reading_houses() as build:
        house = settled(build, TIMES[0])
        for _ in range(2):
            await text(house)
        await kept_text(house)
        house.live_ttl = 1.0
        house.clock.time += LONG
        await text(house)
        with pytest.raises(AssertionError):
            await kept_text(house)


def test_each_question_and_form_has_a_name_of_its_own():
    forms = [(None, False), (None, True), ("1", False), ("1", True), ("2", False)]
    assert len({live_name(box, detailed=detailed) for box, detailed in forms}) == len(forms)
    assert len(portal_reader.LIVE_MADE_OF) == 3


def read(payload: object, at: datetime) -> tuple[LiveSummary, Reported]:
    found, reported = live_data_of_report(payload, FULL, at, [])
    return live_summary(found), reported


def reported_at(shown: str, at: datetime) -> Reported:
    box = full_box()
    box["device"]["lastcall"] = shown
    return read({FULL: box}, at)[1]


def test_a_last_contact_in_the_hour_that_autumn_repeats_is_read_each_time():
    at = datetime(2025, 10, 26, 0, 31, tzinfo=UTC)
    reported = reported_at("2025-10-26 02:30:00", at)
    assert reported.measured_at is not None
    assert not kept_live.may_be_kept({FULL: full_box()}, NO_BASELINE, reported)


def test_a_last_contact_that_the_clock_has_gone_back_behind_is_read_again():
    at = datetime(2026, 6, 9, 10, 0, tzinfo=UTC)
    reported = reported_at("2026-06-09 11:59:30", at)
    assert reported.reads_alike(at)
    assert reported.reads_alike(at - timedelta(minutes=5))
    assert not reported.reads_alike(at - timedelta(minutes=6))


def test_what_is_worked_out_of_a_report_is_what_live_data_says():
    found, reported = live_data_of_report({FULL: full_box()}, FULL, NOW, [])
    again = Reported.model_validate_json(reported.model_dump_json())
    assert again == reported
    said = dict(again.report(NOW))
    assert said == {name: getattr(found, name) for name in said}
    assert found == live_data({FULL: full_box()}, FULL, NOW, [])


def test_while_a_box_is_left_out_nothing_is_kept():
    both = {FULL: full_box(), "1": full_box()}
    _, reported = read({FULL: full_box()}, NOW)
    baseline = NO_BASELINE.after(both, NOW)
    assert kept_live.may_be_kept(both, baseline, reported)
    assert not kept_live.may_be_kept({FULL: full_box()}, baseline, reported)
