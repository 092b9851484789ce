"""What proves that a change was made, that it failed, or that it is what was agreed to."""

from __future__ import annotations

import asyncio

import pytest

from server.control.read_back import DELIVERED_WITHIN
from server.errors import ChangeRefused
from server.records.record import DEADLINE

from .control_house import BOXES, CLIENT, DEMO, House, Killed, agreed
from .portal_simulator import DEMO_BOX, SECOND_BOX
from .test_control_earlier import PENDING, REFUSALS, pending, refusals, refused, sent, status


@pytest.fixture
async def house(tmp_path):
    house = House(tmp_path)
    yield house
    await house.aclose()


# -- a refusal, and a box that was not there to show otherwise


@pending
async def test_a_reading_of_an_offline_box_does_not_make_a_refusal_final(
    house, box, asked, as_it_was, other
):
    await house.admin("boxes", box=box, offline=True)
    house.later(7200)
    record = await refused(house, REFUSALS[0], box, **asked)
    house.later(DEADLINE + 30)
    looked = await house.control.look(BOXES[box], record.id)
    assert (looked.seen, looked.record.verdict) == ("otherwise", None)
    await house.admin("boxes", box=box, offline=False)
    house.later(420)
    assert (await house.look(BOXES[box], record.id)).verdict == "applied"


async def test_a_reading_of_a_box_that_has_just_come_back_does_not_make_a_refusal_final(house):
    await house.admin("boxes", box=DEMO_BOX, offline=True)
    house.later(1200)
    record = await refused(house, REFUSALS[0], mode="Home 2")
    house.later(DEADLINE)
    await house.admin("boxes", box=DEMO_BOX, offline=False)
    house.later(10)
    looked = await house.control.look(DEMO, record.id)
    assert (looked.seen, looked.record.verdict) == ("otherwise", None)
    assert looked.record.contact_since > record.at + DEADLINE
    house.later(400)
    assert (await house.look(DEMO, record.id)).verdict == "applied"


async def test_a_box_that_went_offline_as_the_change_was_sent_leaves_a_refusal_open(house):
    record = await refused(house, REFUSALS[0], mode="Home 2")
    await house.admin("boxes", box=DEMO_BOX, offline=True)
    for _ in range(3):
        house.later(320)
        assert (await house.look(DEMO, record.id)).verdict is None


async def test_a_refused_change_is_settled_once_its_box_was_in_contact_for_long_enough(house):
    record = await refused(house, REFUSALS[0] | {"processed": False}, mode="Home 2")
    house.later(DEADLINE + 400)  # Nobody looked in its time.
    while house.clock() < record.at + DELIVERED_WITHIN + 400:
        house.later(400)
        assert (await house.look(DEMO, record.id)).status(house.clock()) == "failed"
    await house.admin("boxes", box=DEMO_BOX, setup={"mode": 1})
    house.later(400)
    assert (await house.look(DEMO, record.id)).status(house.clock()) == "failed"


# -- a refusal, and a plan right after it


@refusals
@pytest.mark.parametrize(("box", "asked", "as_it_was", "other"), PENDING[:3])
async def test_a_setting_that_a_refused_change_may_flip_is_not_reported_as_already_set(
    house, said, box, asked, as_it_was, other
):
    record = await refused(house, said, box, **asked)
    with pytest.raises(ChangeRefused, match=f"{record.id}.*counts as refused") as told:
        await house.planned(box, **as_it_was)
    assert (told.value.code, told.value.retry_after > 0) == ("state_unknown", True)
    assert "Nothing to change" not in str(told.value)
    # It keeps its box from nothing else.
    planned = await house.planned(box, **other)
    assert not any(record.id in warning for warning in planned.warnings)
    house.later(64)
    assert (await house.planned(box, **as_it_was)).before == record.after
    assert status(house, record.id) == "applied"


@pending
async def test_a_setting_is_reported_as_already_set_once_the_refused_change_was_read_back(
    house, box, asked, as_it_was, other
):
    record = await refused(house, REFUSALS[0] | {"processed": False}, box, **asked)
    while house.clock() < record.at + DEADLINE:
        house.later(300)
        await house.look(BOXES[box], record.id)
    with pytest.raises(ChangeRefused) as told:
        await house.planned(box, **as_it_was)
    assert told.value.code in {"nothing_to_change", "not_verifiable"}


# -- charging, by what only this write can have caused


async def test_a_battery_that_became_full_does_not_confirm_a_lost_charge(
    house,
):
    await house.admin(
        "boxes", box=DEMO_BOX, full=True, soc_percent=72, setup={"target": 80, "formatting": 0}
    )
    house.later(400)
    await house.admin("faults", kind="forgotten", endpoint="writes", requests=1)
    record = await sent(house, charge_to_percent=80)
    await house.admin("boxes", box=DEMO_BOX, soc_percent=81)
    for seconds, ended in ((330, "pending"), (DEADLINE, "unclear")):
        house.later(seconds)
        looked = await house.control.look(DEMO, record.id)
        assert (looked.seen, looked.record.status(house.clock())) == ("not shown", ended)


@pytest.mark.parametrize(
    ("target", "full", "before"),
    [
        (80, True, "target 80 %, not under way"),  # shows that it charges now
        (60, True, "target 60 %, not under way"),
        (60, False, "target 60 %"),  # never shows that
    ],
)
async def test_charging_is_confirmed_by_its_activity_or_by_a_new_target(
    house, target, full, before
):
    setup = {"target": target, "formatting": 0}
    await house.admin("boxes", box=DEMO_BOX, full=full, soc_percent=72, setup=setup)
    house.later(400)
    record = await sent(house, charge_to_percent=80)
    assert before in record.before
    house.later(95)
    assert (await house.look(DEMO, record.id)).status(house.clock()) == "applied"


async def test_the_end_of_charging_is_not_confirmed_while_charging_is_under_way(house):
    await house.admin(
        "boxes", box=DEMO_BOX, full=True, soc_percent=70, setup={"target": 90, "formatting": 1}
    )
    house.later(301)
    record = await sent(house, charge_to_percent=60)
    assert record.after == "charging from the grid, target 60 %, not under way"
    house.later(95)
    await house.admin("boxes", box=DEMO_BOX, setup={"formatting": 1})
    looked = await house.control.look(DEMO, record.id)
    assert (looked.seen, looked.record.status(house.clock())) == ("not shown", "pending")
    await house.admin("boxes", box=DEMO_BOX, setup={"formatting": 0})
    house.later(31)
    assert (await house.look(DEMO, record.id)).status(house.clock()) == "applied"


# -- a sentence, and what is made


@pytest.mark.parametrize(
    ("then", "agreed_to", "would_be"),
    [
        (45, "target 50 %, not under way", "at once to 50 %"),
        (None, "target 50 %, not under way", "at once to 50 %"),
        (52, "at once to 50 %", "target 50 %, not under way"),
    ],
)
async def test_an_apply_that_differs_from_the_agreed_sentence_is_refused(
    house, then, agreed_to, would_be
):
    await house.admin("boxes", box=DEMO_BOX, setup={"target": 30})
    first = 53 if "not under way" in agreed_to else 38
    await house.admin("boxes", box=DEMO_BOX, soc_percent=first)
    house.later(301)
    planned = await house.planned(charge_to_percent=50)
    assert agreed_to in planned.plan.sentence
    gone = {"kind": "dropped", "endpoint": "live", "fields": ["actual.bat_c", "batt.bat_c"]}
    if then is None:
        await house.admin("faults", **gone)
    else:
        await house.admin("boxes", box=DEMO_BOX, soc_percent=then)
    house.later(60)
    with pytest.raises(ChangeRefused, match="no longer as it was") as told:
        await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert told.value.code == "box_changed"
    assert would_be in str(told.value)
    assert (await house.writes(), house.kept) == ([], 0)
    assert house.journal.latest(9) == (0, [])
    # Nothing is used up: once the box is as it was, the plan is good.
    (await house._admin.delete("faults")).raise_for_status()
    await house.admin("boxes", box=DEMO_BOX, soc_percent=first)
    house.later(31)
    record = await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert record.after.endswith(agreed_to)


@pytest.mark.parametrize(
    ("box", "asked", "setup"),
    [
        (DEMO_BOX, {"mode": "Home 2"}, {"mode": 0}),
        (DEMO_BOX, {"home_grid_v": True}, {"app": 0}),
        (DEMO_BOX, {"export": "off"}, {"to_grid": 1}),
        (SECOND_BOX, {"export": "limited", "export_limit_w": 700}, {"feed_cap": 5000}),
        (DEMO_BOX, {"boiler": "manual"}, {"manual": 0}),
        (DEMO_BOX, {"charge_to_percent": 90}, {"target": 60, "formatting": 0}),
    ],
)
async def test_only_one_of_two_equal_plans_is_applied_even_if_the_box_was_set_back(
    house, box, asked, setup
):
    first = await house.planned(box, **asked)
    second = await house.planned(box, **asked)
    house.later(1)
    await house.control.apply(BOXES[box], *agreed(first), CLIENT)
    house.later(95)
    await house.look(BOXES[box], first.plan.change_id)
    await house.admin("boxes", box=box, setup=setup)
    house.later(31)
    with pytest.raises(ChangeRefused) as told:
        await house.control.apply(BOXES[box], *agreed(second), CLIENT)
    assert told.value.code == "box_changed"
    assert "since" in str(told.value) or "after this one was planned" in str(told.value)
    assert len(await house.writes()) == 1


# -- a change, and the work of a later one


@pytest.mark.parametrize(
    ("asked", "between"),
    [
        ({"mode": "Home 2"}, {"mode": "Home 3"}),
        ({"boiler": "manual"}, None),
        ({"export": "off"}, {"export": "limited", "export_limit_w": 700}),
        ({"home_grid_v": True}, {"home_grid_vi": True}),
        ({"charge_to_percent": 90}, {"charge_to_percent": 95}),
    ],
)
@pytest.mark.parametrize("by", ["look", "plan"])
async def test_the_effect_of_a_later_change_does_not_confirm_an_unclear_one(
    house, asked, between, by
):
    await house.admin("faults", kind="drop", endpoint="writes", requests=1)
    first = await sent(house, **asked)
    assert first.outcome == "unclear"
    house.later(3 * 86_400)
    if between is not None:
        await house.applied(**between)
    again = await sent(house, **asked)
    house.later(95)
    if by == "look":
        assert (await house.control.look(DEMO, first.id)).seen == "later change"
        await house.look(DEMO, again.id)
    else:
        await house.planned(mode="Home UPS")
    assert status(house, again.id) == "applied"
    assert status(house, first.id) == "unclear"


@refusals
async def test_an_unclear_change_can_still_be_confirmed_after_a_later_one_was_refused(house, said):
    await house.admin("faults", kind="drop", endpoint="writes", requests=1)
    first = await sent(house, mode="Home 2")
    house.later(DEADLINE + 400)
    await refused(house, said | {"processed": False}, mode="Home 3")
    await house.admin("boxes", box=DEMO_BOX, setup={"mode": 1})
    house.later(31)
    assert (await house.look(DEMO, first.id)).status(house.clock()) == "applied"


# -- a write that never went out


async def test_a_write_that_never_went_out_is_not_reported_as_sent(house):
    planned = await house.planned(mode="Home 2")
    with pytest.raises(asyncio.CancelledError):
        await house.worker(wrap=Killed).apply(DEMO, *agreed(planned), CLIENT)
    assert await house.writes() == []
    house.later(3600)
    (warning, *_) = (await house.planned(mode="Home 3")).warnings
    with pytest.raises(ChangeRefused) as told:
        await house.planned(mode="Home 1")
    for text in (warning, str(told.value)):
        assert f"Change {planned.plan.change_id}" in text
        assert "was about to be sent before" in text
