"""Values of before a time away never pass for values of minutes ago."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drills.payloads import FULL, folder, full_box, listed
from server.readings import clock
from server.readings.baseline import NO_BASELINE, Baseline
from server.readings.box import Box, boxes_of
from server.readings.bypass_flags import bypass
from server.readings.freshness import Upload
from server.readings.notifications import notifications
from server.readings.status import status
from server.readings.troubles import Heard

from .reading_house import reading_houses

MINUTE = timedelta(minutes=1)
START = datetime(2026, 6, 10, 10, tzinfo=UTC)

AWAY, BACK = "2026-06-17T13:00:00", "2026-06-17T22:31:00"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def house():
    async with reading_houses() as make:
        yield make("2026-06-17T12:00:00").have(full=True)


async def gone(house, *, read: bool = True, silent: bool = False):
    """Let the box be away from 13:00 to 22:31; once it may be read while it is silent."""
    house.at(AWAY)
    if read:
        await house.read()
    house.have(offline=True)
    if silent:
        await house.at("2026-06-17T20:00:00").read()
    return house.at(BACK).have(offline=False)


@pytest.mark.anyio
@pytest.mark.parametrize("silent", [False, True])
async def test_without_live_data_powers_from_before_an_outage_are_stale(house, silent):
    await gone(house.have(live_data=False), silent=silent)
    for at in ("2026-06-17T22:31:10", "2026-06-17T22:33:10"):
        told = await house.at(at).read()
        assert told["stale"] is True
        assert told["solar"]["power_w"] > 1_000 > house.truth()["pv_w"]
        assert not any("may be 300 s old" in one for one in told["warnings"])
        (warning,) = [one for one in told["warnings"] if "has not changed since" in one]
        assert "2026-06-17T13:00:00+02:00" in warning
        assert "powers, charge" in warning
        assert told["battery"]["hours_left"] is None
    for at in ("2026-06-17T22:36:00", "2026-06-17T22:39:00"):
        told = await house.at(at).read()
        assert told["stale"] is False
        assert told["solar"]["power_w"] == 0
    assert any("may be 300 s old" in one for one in told["warnings"])
    assert any("may be of two uploads" in one for one in told["warnings"])
    assert not any("just come back" in one for one in told["warnings"])


@pytest.mark.anyio
async def test_with_live_data_a_warning_covers_everything_that_is_not_live(house):
    await gone(house)
    told = await house.at("2026-06-17T22:33:10").read()
    assert told["stale"] is False
    assert told["solar"]["power_w"] == 0
    assert told["energy"]["today"]["solar_wh"] < house.truth()["energy"]["day"]["pv_wh"] - 10_000
    (warning,) = told["warnings"]
    assert "all that is not live data" in warning
    assert (await house.at("2026-06-17T22:38:00").read())["warnings"] == []


@pytest.mark.anyio
async def test_a_first_reading_may_be_older_than_five_minutes(house):
    await gone(house.have(live_data=False), read=False)
    told = await house.at("2026-06-17T22:31:10").read()
    (warning,) = [one for one in told["warnings"] if "last upload" in one]
    assert "as a rule" in warning
    assert "has just come back" in warning
    assert "powers side by side may be of two uploads" in warning
    told = await house.at("2026-06-17T22:31:15").read("list_boxes")
    assert any("has just come back" in one for one in told["warnings"])


@pytest.mark.anyio
async def test_the_box_list_gives_no_charge_from_before_an_outage(house):
    await gone(house.have(live_data=False))
    told = await house.at("2026-06-17T22:31:10").read("list_boxes")
    (box,) = told["boxes"]
    assert box["state_of_charge_percent"] is None
    assert "100 %" in json.dumps(box["unknown"])
    assert any("has not changed since" in one for one in told["warnings"])
    told = await house.at("2026-06-17T22:37:00").read("list_boxes")
    assert told["boxes"][0]["state_of_charge_percent"] == 89


@pytest.mark.anyio
async def test_a_box_in_constant_contact_is_never_doubted(house):
    for live in (True, False):
        house.have(live_data=live)
        begin = house.clock.time
        for seconds in range(0, 1_800, 120):
            house.clock.time = begin + seconds
            told = await house.read()
            assert not any("has not changed" in one for one in told["warnings"])
        assert not any("just come back" in one for one in told["warnings"])


@pytest.mark.anyio
async def test_a_caller_who_asks_once_an_hour_gets_no_false_warning(house):
    for hour in range(12, 24):
        house.at(f"2026-06-17T{hour}:00:00")
        assert (await house.read())["warnings"] == []


def payload(contact: datetime, **blocks: object) -> dict[str, object]:
    box = full_box() | {"device": {"lastcall": f"{clock.local(contact):%Y-%m-%d %H:%M:%S}"}}
    return {FULL: box | blocks}


def without(box: dict[str, object], block: str) -> dict[str, object]:
    return {name: fields for name, fields in box.items() if name != block}


def uploads(*seen: tuple[float, float, int], known: Baseline = NO_BASELINE) -> list[Upload]:
    """Give how old uploads may be, from minutes of the answer and of the contact, and an upload."""
    found = []
    for at, contact, power in seen:
        now = START + at * MINUTE
        told = payload(
            START + contact * MINUTE,
            **{name: [] for name in ("batt", "ac_in_b", "ac_out", "boiler")},
            dc_in={"fv_p1": power},
            ac_in={"aci_wr": power, "aci_ws": 0},
        )
        (box,) = boxes_of(told)
        # An answer that has been learnt is read as it was before.
        known.of(box).mark(box, now)
        first = box.upload
        known = Baseline.read(json.loads(json.dumps(known.after(told, now).written())))
        known.of(box).mark(box, now)
        assert box.upload == first
        found.append(box.upload)
    return found


BEFORE = Upload("as before", START)


@pytest.mark.parametrize(
    ("seen", "last"),
    [
        ([(0, 0, 1)], Upload("not known")),
        ([(0, 0, 1), (5, 5, 2)], Upload("not known")),
        ([(0, 0, 1), (6, 6, 2)], Upload("in time")),
        ([(0, 0, 1), (6, 6, 1)], Upload("in time")),
        ([(0, 0, 1), (60, 60, 2)], Upload("not known")),
        ([(0, 0, 1), (60, 60, 1)], BEFORE),
        # Silence that was seen counts however short it was.
        ([(0, 0, 1), (7, 0, 1), (8, 8, 1)], BEFORE),
        ([(0, 0, 1), (7, 0, 1), (8, 8, 2)], Upload("not known")),
        # Nothing has come in a row that is long enough.
        ([(0, 0, 1), (60, 60, 1), (67, 67, 1)], BEFORE),
        ([(0, 0, 1), (60, 60, 1), (67, 67, 2)], Upload("in time")),
        # What is silent is as old as it was.
        ([(0, 0, 1), (6, 6, 2), (200, 6, 2)], Upload("in time")),
        # Powers of nothing tell nothing.
        ([(0, 0, 0), (60, 60, 0)], Upload("not known")),
        # Two answers crossed.
        ([(0, 0, 1), (6, 6, 2), (6, 5, 1)], Upload("not known")),
    ],
)
def test_an_upload_is_judged_by_the_contacts_and_the_changes_between_them(seen, last):
    assert uploads(*seen)[-1] == last


def test_one_outdated_block_suffices_while_others_may_be_on_their_way():
    known = NO_BASELINE.after(payload(START, dc_in={"fv_p1": 1}, ac_in={"aci_wr": 1}), START)
    later = START + 60 * MINUTE
    (box,) = boxes_of(payload(later, dc_in={"fv_p1": 1}, ac_in={"aci_wr": 2}))
    known.of(box).mark(box, later)
    assert box.upload.age == "as before"


def test_without_a_contact_time_the_age_is_unknown():
    told = {FULL: without(full_box(), "device")}
    (box,) = boxes_of(told)
    NO_BASELINE.after(told, START).of(box).mark(box, START)
    assert box.upload == Upload("not known")


def test_a_flag_from_before_an_outage_yields_to_a_later_notification():
    box = Box(FULL, payload(START)[FULL] | {"box_prms": {"bypass": 0}})  # type: ignore[operator]
    page = notifications(listed(folder("Automatický bypass - zapnut", "10. 6. 2026 | 9:00")), START)
    found = bypass(box, page, START)
    assert found is not None
    assert found.automatic.state == "off"
    box.upload = Upload("as before", START - timedelta(hours=5))
    found = bypass(box, page, START)
    assert found is not None
    assert found.automatic.state == "on"


def test_a_status_does_not_judge_charging_by_values_from_before_an_outage():
    first = payload(START)
    known = NO_BASELINE.after(first, START)
    later = START + timedelta(hours=5)
    told = status(
        payload(later),
        FULL,
        later,
        heard=Heard(notifications(listed(), later), later),
        changes=(),
        fetched_at=later,
        baseline=known,
    )
    assert any("charged from the grid is not known" in one for one in told.warnings)
    slow = {FULL: without(payload(later)[FULL], "actual")}  # type: ignore[arg-type]
    shown = known.after(slow, later).boxes[FULL].shown
    assert shown is not None
    assert shown.measured_at is None


@given(
    st.lists(
        st.tuples(st.integers(0, 90), st.integers(-60, 30), st.integers(0, 2)),
        max_size=8,
    )
)
@settings(max_examples=200, deadline=None)
def test_no_value_shown_before_a_gap_counts_as_current(seen):
    at, rows = 0.0, []
    for step, lag, power in seen:
        at += step
        rows.append((at, at + min(lag, 0), power))
    for number, found in enumerate(uploads(*rows)):
        if found.age == "in time" and rows[number][2]:
            contacts = [contact for _, contact, _ in rows[: number + 1]]
            assert max(contacts) - min(contacts) >= 6
