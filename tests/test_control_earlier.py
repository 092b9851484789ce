"""A change that is wished while an earlier one of the box is not settled, at every step of it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import pytest

from server.auth.caller import Caller
from server.auth.sealing import Credential
from server.control.changes import Asked
from server.control.read_back import DELIVERED_WITHIN
from server.errors import BoxChoice, ChangeRefused, VersionsDiffer
from server.records.record import DEADLINE, LASTS, Reservation

from .control_house import BOXES, CLIENT, DEMO, DEMO2, House, agreed
from .portal_simulator import DEMO_BOX, QUEEN_BOX, SECOND_BOX

# A box, a change of it, the same setting as it is before that, and another setting.
PENDING = [
    (DEMO_BOX, {"mode": "Home 2"}, {"mode": "Home 1"}, {"boiler": "manual"}),
    (DEMO_BOX, {"home_grid_v": True}, {"home_grid_v": False}, {"mode": "Home 3"}),
    (QUEEN_BOX, {"home_grid_v": False}, {"home_grid_v": True}, {"home_grid_vi": True}),
    (DEMO_BOX, {"export": "off"}, {"export": "on"}, {"charge_to_percent": 90}),
    (
        SECOND_BOX,
        {"export": "limited", "export_limit_w": 700},
        {"export": "limited", "export_limit_w": 5000},
        {"mode": "Home UPS"},
    ),
    (DEMO_BOX, {"boiler": "manual"}, {"boiler": "automatic"}, {"export": "off"}),
    (DEMO_BOX, {"charge_to_percent": 90}, {"charge_to_percent": 60}, {"home_grid_vi": True}),
]
pending = pytest.mark.parametrize(("box", "asked", "as_it_was", "other"), PENDING)


@pytest.fixture
async def house(tmp_path):
    house = House(tmp_path)
    yield house
    await house.aclose()


async def sent(house: House, box: str = DEMO_BOX, **asked):
    """Plan and apply a change, and leave it at that."""
    planned = await house.planned(box, **asked)
    return await house.control.apply(BOXES[box], *agreed(planned), CLIENT)


def status(house: House, change_id: str) -> str:
    """Give what the journal says of a change, with nobody looking."""
    return house.journal.find(change_id).status(house.clock())


def give_to_another_account(house: House) -> None:
    with closing(sqlite3.connect(house.journal._database.path)) as journal:
        journal.execute("UPDATE changes SET account = ?", (b"x" * 32,))
        journal.commit()


# -- a plan


@pending
async def test_every_plan_for_a_box_names_the_change_under_way(house, box, asked, as_it_was, other):
    await house.admin("switches", delay=600)
    record = await sent(house, box, **asked)
    for wished in (asked, as_it_was, other):
        with pytest.raises(ChangeRefused) as told:
            await house.planned(box, **wished)
        assert told.value.code == "change_in_progress"
        assert told.value.details == {"change_id": record.id}
        assert record.id in str(told.value)
        assert "Nothing to change" not in str(told.value)
        assert 0 < told.value.retry_after <= DEADLINE
    assert len(await house.writes()) == 1


@pending
async def test_a_plan_settles_an_earlier_change_that_its_reading_shows(
    house, box, asked, as_it_was, other
):
    record = await sent(house, box, **asked)
    house.later(64)
    await house.planned(box, **other)
    assert status(house, record.id) == "applied"
    assert house.journal.find(record.id).seconds == 95
    planned = await house.planned(box, **as_it_was)
    assert planned.plan.sentence.startswith(f"box {box}: ")


async def test_a_plan_for_a_change_already_made_says_that_there_is_nothing_to_change(house):
    await sent(house, mode="Home 2")
    house.later(64)
    with pytest.raises(ChangeRefused, match="Nothing to change: the box is in Home 2"):
        await house.planned(mode="Home 2")


async def test_an_undo_can_be_planned_once_the_change_shows_even_if_nobody_checked(house):
    record = await sent(house, mode="Home 2")
    with pytest.raises(ChangeRefused, match="is under way"):
        await house.planned(undo=record.id)
    house.later(40)
    planned = await house.planned(undo=record.id)
    assert planned.plan.sentence == f"box {DEMO_BOX}: mode Home 2 -> Home 1"
    assert status(house, record.id) == "applied"


async def test_a_plan_uses_a_fresh_reading_and_not_a_shared_answer(house):
    planned = await house.planned(mode="Home 2")
    await house.control.latest(DEMO, DEMO_BOX, 9)  # leaves an answer for others
    await house.admin("boxes", box=DEMO_BOX, setup={"mode": 2})
    with pytest.raises(ChangeRefused) as told:
        await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert told.value.code == "box_changed"
    again = await house.control.plan(DEMO, Asked(mode="Home 2"))
    assert again.before == "mode Home 3"
    assert (await house.control.apply(DEMO, *agreed(again), CLIENT)).outcome == "answered"


async def test_the_reading_of_a_plan_is_shared_with_later_callers(house):
    granted = await house.access.open(DEMO)
    await house.upstream.live(granted)
    await house.admin("boxes", box=DEMO_BOX, setup={"mode": 2})
    planned = await house.control.plan(DEMO, Asked(mode="Home 2"))
    house.portal.requests.clear()
    fetched = await house.upstream.live(granted)
    assert (fetched.source, fetched.at) == ("cached", planned.fetched.at)
    assert fetched.payload[DEMO_BOX]["box_prms"]["mode"] == 2
    assert house.portal.requests == []


async def test_repeated_plans_of_an_account_without_a_box_cost_no_further_login(house):
    await house.admin("accounts", email="empty@example.com", password="pw", boxes=0)
    owner = Caller(Credential("empty@example.com", "pw"), None, "192.0.2.3", "192.0.2.3")
    logins = []
    for _ in range(3):
        with pytest.raises(BoxChoice):
            await house.control.plan(owner, Asked(mode="Home 2"))
        house.later(31)
        state = (await house._admin.get("state")).json()["logins"]["accounts"]
        logins.append(state["empty@example.com"]["attempts"])
    assert logins == [2, 2, 2]


async def test_one_box_can_be_changed_while_a_change_to_another_is_pending(house):
    await sent(house, SECOND_BOX, mode="Home 2")
    planned = await house.planned(QUEEN_BOX, mode="Home 2")
    record = await house.control.apply(DEMO2, *agreed(planned), CLIENT)
    assert (record.box, record.outcome) == (QUEEN_BOX, "answered")


async def test_a_change_of_another_account_blocks_the_box_and_is_not_named(house):
    record = await sent(house, mode="Home 2")
    give_to_another_account(house)
    with pytest.raises(ChangeRefused) as told:
        await house.planned(boiler="manual")
    assert (told.value.code, told.value.details) == ("box_held", {})
    assert record.id not in str(told.value)
    house.later(64)
    await house.planned(boiler="manual")
    assert status(house, record.id) == "applied"


async def test_a_manual_change_meanwhile_leaves_this_one_open_until_its_deadline(
    house,
):
    record = await sent(house, mode="Home 2")
    house.later(64)
    await house.admin("boxes", box=DEMO_BOX, setup={"mode": 2})
    with pytest.raises(ChangeRefused, match=record.id):
        await house.planned(mode="Home 3")
    house.later(400)
    await house.look(DEMO, record.id)  # The box is in contact all the time.
    house.later(DEADLINE - 525)
    planned = await house.planned(mode="Home 1")
    assert planned.before == "mode Home 3"
    assert status(house, record.id) == "failed"
    # The portal may be slow; nobody waits for it for longer than an hour.
    assert any(record.id in warning for warning in planned.warnings)
    while house.clock() < record.at + DELIVERED_WITHIN:
        house.later(500)
        planned = await house.planned(mode="Home 1")
    assert not any("may still deliver" in warning for warning in planned.warnings)


async def test_a_refused_change_does_not_block_the_box(house):
    await house.admin("faults", kind="unauthorized", endpoint="writes", requests=1)
    with pytest.raises(ChangeRefused):
        await sent(house, mode="Home 2")
    planned = await house.planned(mode="Home 3")
    assert not any("may still deliver" in warning for warning in planned.warnings)


@pytest.mark.parametrize("seconds", [-86_400, -1000, 1000, 86_400])
async def test_a_clock_step_does_not_prolong_the_lock_of_a_box(house, seconds):
    await sent(house, mode="Home 2")
    house.later(seconds)
    await house.admin("clock", offset=-seconds)
    planned = await house.planned(boiler="manual")
    record = await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert record.outcome == "answered"


@pytest.mark.parametrize("seconds", [-600, 600])
async def test_a_small_clock_step_does_not_let_a_second_change_through(house, seconds):
    record = await sent(house, mode="Home 2")
    house.later(seconds)
    await house.admin("clock", offset=-seconds)
    with pytest.raises(ChangeRefused) as told:
        await house.planned(boiler="manual")
    assert told.value.details == {"change_id": record.id}
    assert 0 < told.value.retry_after <= DEADLINE


async def test_no_plan_is_made_while_versions_differ(house):
    house.versions.gone = VersionsDiffer("two versions")
    with pytest.raises(ChangeRefused) as told:
        await house.planned(mode="Home 2")
    assert told.value.code == "versions_differ"


async def test_no_plan_is_made_without_a_usable_journal(house):
    house.journal._database.path.mkdir()
    with pytest.raises(ChangeRefused) as told:
        await house.planned(mode="Home 2")
    assert told.value.code == "journal_unavailable"


async def test_a_change_recorded_by_another_version_blocks_the_box_no_longer_than_usual(house):
    record = await sent(house, mode="Home 2")
    with closing(sqlite3.connect(house.journal._database.path)) as journal:
        journal.execute("""UPDATE changes SET change = '["moon", 1]'""")
        journal.commit()
    with pytest.raises(ChangeRefused) as told:
        await house.planned(boiler="manual")
    assert told.value.details == {"change_id": record.id}
    house.later(DEADLINE)
    planned = await house.planned(boiler="manual")
    assert (await house.control.apply(DEMO, *agreed(planned), CLIENT)).outcome == "answered"


# -- a change that the portal keeps for a box that is away


async def kept(house: House, box: str = DEMO_BOX, **asked):
    """Send a change to a box that is away, and let the time for it pass."""
    await house.admin("boxes", box=box, offline=True)
    house.later(1200)
    record = await sent(house, box, **asked)
    house.later(DEADLINE)
    return record


@pending
async def test_a_setting_that_a_queued_change_will_flip_is_not_reported_as_already_set(
    house, box, asked, as_it_was, other
):
    record = await kept(house, box, **asked)
    with pytest.raises(ChangeRefused) as told:
        await house.planned(box, **as_it_was)
    assert told.value.code == "state_unknown"
    assert record.id in str(told.value)
    assert f"({record.before} -> {record.after})" in str(told.value)
    for wished in (asked, other):
        planned = await house.planned(box, **wished)
        (warning,) = (one for one in planned.warnings if "before this one" in one)
        assert record.id in warning


async def test_a_queued_change_of_another_account_is_reported_without_its_id(house):
    record = await kept(house, mode="Home 2")
    give_to_another_account(house)
    with pytest.raises(ChangeRefused) as told:
        await house.planned(mode="Home 1")
    assert str(told.value).startswith("Another change (mode Home 1 -> mode Home 2)")
    assert record.id not in str(told.value)


async def test_once_the_box_has_been_in_contact_no_change_is_queued_for_it(house):
    await house.admin("faults", kind="forgotten", endpoint="writes", requests=1)
    record = await kept(house, mode="Home 2")
    with pytest.raises(ChangeRefused, match=record.id):
        await house.planned(mode="Home 1")
    await house.admin("boxes", box=DEMO_BOX, offline=False)
    house.later(60)
    for _ in range(2):  # After that time, and once more if it was not in contact till then.
        with pytest.raises(ChangeRefused, match=record.id) as told:
            await house.planned(mode="Home 1")
        house.later(told.value.retry_after)
    with pytest.raises(ChangeRefused, match="Nothing to change"):
        await house.planned(mode="Home 1")
    # Delivered is delivered, also when the box goes away again.
    await house.admin("boxes", box=DEMO_BOX, offline=True)
    house.later(86_400)
    with pytest.raises(ChangeRefused, match="Nothing to change"):
        await house.planned(mode="Home 1")


@pending
@pytest.mark.parametrize("looked_at", [False, True])
async def test_a_box_that_has_just_come_back_does_not_have_its_queued_change_yet(
    house, box, asked, as_it_was, other, looked_at
):
    record = await kept(house, box, **asked)
    if looked_at:
        await house.look(BOXES[box], record.id)
    await house.admin("boxes", box=box, offline=False)
    with pytest.raises(ChangeRefused, match=record.id) as told:
        await house.planned(box, **as_it_was)
    assert told.value.code == "state_unknown"
    planned = await house.control.plan(BOXES[box], Asked(**other), box)
    assert any(record.id in warning for warning in planned.warnings)
    house.later(600)
    planned = await house.planned(box, **as_it_was)
    assert planned.before != record.before


@pending
@pytest.mark.parametrize("by", ["look", "wait", "plan"])
async def test_an_abandoned_change_that_is_delivered_later_is_applied(
    house, box, asked, as_it_was, other, by
):
    record = await kept(house, box, **asked)
    assert (await house.look(BOXES[box], record.id)).status(house.clock()) == "failed"
    await house.admin("boxes", box=box, offline=False)
    assert (await house.look(BOXES[box], record.id)).status(house.clock()) == "failed"
    house.later(400)
    if by == "plan":
        planned = await house.planned(box, **other)
        assert not any(record.id in warning for warning in planned.warnings)
    else:
        await house.control.look(BOXES[box], record.id, 50 if by == "wait" else 0)
    assert status(house, record.id) == "applied"
    assert house.journal.find(record.id).seconds > 1200


async def test_a_failed_change_is_not_applied_because_another_had_the_same_effect(house):
    await house.admin("faults", kind="forgotten", endpoint="writes", requests=1)
    record = await sent(house, mode="Home 2")
    house.later(DEADLINE)
    assert (await house.look(DEMO, record.id)).status(house.clock()) == "failed"
    await house.applied(mode="Home 2")
    assert (await house.look(DEMO, record.id)).status(house.clock()) == "failed"


async def test_contacts_with_a_gap_do_not_prove_continuous_contact(house):
    record = await kept(house, mode="Home 2")
    for _ in range(3):
        await house.admin("boxes", box=DEMO_BOX, offline=False)
        house.later(5)
        with pytest.raises(ChangeRefused, match=record.id):
            await house.control.plan(DEMO, Asked(mode="Home 1"))
        await house.admin("boxes", box=DEMO_BOX, offline=True)
        house.later(1200)


async def test_a_change_from_before_an_applied_one_is_no_longer_queued(house):
    await kept(house, mode="Home 2")
    await house.admin("boxes", box=DEMO_BOX, offline=False)
    await house.applied(boiler="manual")
    await house.admin("boxes", box=DEMO_BOX, offline=True)
    house.later(1200)
    planned = await house.planned(mode="Home 3")
    assert not any("before this one" in warning for warning in planned.warnings)


# -- a change that takes longer than anybody waits for it


async def slow(house: House, box: str, minutes: float, said: dict, **asked):
    """Send a change that the box has after so many minutes, in contact all the time."""
    await house.admin("switches", delay=60 * minutes)
    if said:
        await house.admin("faults", endpoint="writes", requests=1, **said)
    return await sent(house, box, **asked)


LOOKS = [
    ("often", {}),
    ("late", {"kind": "answer", "text": '[[0,1,"Box nen\\u00ed online"]]', "processed": True}),
    ("never", {"kind": "error", "processed": True}),
]


@pending
@pytest.mark.parametrize(("looks", "said"), LOOKS)
async def test_a_setting_that_a_slow_change_will_flip_is_not_reported_as_already_set(
    house, box, asked, as_it_was, other, said, looks
):
    record = await slow(house, box, 40, said, **asked)
    while house.clock() < record.at + 35 * 60:
        house.later(170)
        if looks == "often":
            await house.look(BOXES[box], record.id)
        if looks == "never" and house.clock() < record.at + 1300:
            continue
        with pytest.raises(ChangeRefused) as told:
            await house.planned(box, **as_it_was)
        late = house.clock() >= record.at + DEADLINE
        assert told.value.code == ("state_unknown" if late else "change_in_progress")
        assert record.id in str(told.value)
    if looks == "never":
        assert told.value.retry_after is None
        assert status(house, record.id) == "unclear"
    house.later(400)
    planned = await house.planned(box, **as_it_was)
    assert planned.before != record.before
    assert status(house, record.id) == "applied"


async def unsettled(house: House, **asked):
    """Send a change that goes nowhere, and let nobody look before it is late for that."""
    await house.admin("faults", kind="forgotten", endpoint="writes", requests=1)
    record = await sent(house, **asked)
    house.later(DEADLINE + 400)
    while house.clock() < record.at + 2 * DELIVERED_WITHIN:
        house.later(400)
        await house.look(DEMO, record.id)
    return record


async def test_the_outcome_of_an_unobserved_change_stays_open_however_old_it_is(house):
    record = await unsettled(house, mode="Home 2")
    house.later(30 * 86_400)
    with pytest.raises(ChangeRefused, match=record.id) as told:
        await house.planned(mode="Home 1")
    assert (told.value.code, told.value.retry_after) == ("state_unknown", None)
    assert "2026-06-09T" in str(told.value)
    # Another setting is not concerned; of this one the plan says what may come before.
    assert record.id not in str((await house.planned(boiler="manual")).warnings)
    with pytest.raises(ChangeRefused, match="Nothing to change"):
        await house.planned(boiler="automatic")
    assert record.id in (await house.planned(mode="Home 3")).warnings[0]


async def test_changes_of_other_settings_do_not_hide_an_unobserved_outcome(house):
    record = await unsettled(house, mode="Home 2")
    for number in range(25):
        await house.applied(boiler="manual" if number % 2 == 0 else "automatic")
    with pytest.raises(ChangeRefused, match=record.id):
        await house.planned(mode="Home 1")


async def test_a_later_applied_change_of_the_same_setting_ends_the_doubt(house):
    record = await unsettled(house, mode="Home 2")
    await house.applied(mode="Home 3")
    with pytest.raises(ChangeRefused, match="Nothing to change"):
        await house.planned(mode="Home 3")
    planned = await house.planned(mode="Home 1")
    assert not any(record.id in warning for warning in planned.warnings)


async def test_the_setting_decides_which_of_several_queued_changes_is_named(house):
    first = await kept(house, mode="Home 2")
    house.later(400)
    second = await sent(house, boiler="manual")
    house.later(DEADLINE)
    for as_it_was, record in (({"mode": "Home 1"}, first), ({"boiler": "automatic"}, second)):
        with pytest.raises(ChangeRefused, match=record.id) as told:
            await house.planned(**as_it_was)
        assert told.value.code == "state_unknown"
    warnings = (await house.planned(home_grid_v=True)).warnings
    assert [record.id in warnings[at] for at, record in enumerate((second, first))] == [True, True]


# -- a change that the portal refused, and that took effect all the same


REFUSALS = [
    {"kind": "answer", "text": '[[0,1,"Nepoda\\u0159ilo se"]]', "processed": True},
    {"kind": "unauthorized", "processed": True},
    {"kind": "forbidden", "processed": True},
    {"kind": "too_many", "retry_after": 1, "processed": True},
]
refusals = pytest.mark.parametrize("said", REFUSALS, ids=lambda said: said["kind"])


async def refused(house: House, said: dict, box: str = DEMO_BOX, **asked):
    await house.admin("faults", endpoint="writes", requests=1, **said)
    with pytest.raises(ChangeRefused) as told:
        await sent(house, box, **asked)
    assert told.value.code == "change_refused"
    return house.journal.find(told.value.details["change_id"])


@refusals
@pytest.mark.parametrize("by", ["look", "wait", "plan", "apply"])
@pytest.mark.parametrize("after", [95, 1100, 7200])
async def test_a_refused_change_that_shows_anyway_is_applied(house, said, by, after):
    planned = await house.planned(boiler="manual")
    record = await refused(house, said, mode="Home 2")
    assert status(house, record.id) == "failed"
    house.later(after if by != "apply" else 95)
    if by == "plan":
        with pytest.raises(ChangeRefused, match="Nothing to change"):
            await house.planned(mode="Home 2")
    elif by == "apply":
        await house.control.apply(DEMO, *agreed(planned), CLIENT)
    else:
        await house.control.look(DEMO, record.id, 50 if by == "wait" else 0)
    assert status(house, record.id) == "applied"
    assert house.journal.find(record.id).seconds >= 95


@pending
async def test_a_refused_change_of_any_setting_is_read_back(house, box, asked, as_it_was, other):
    record = await refused(house, REFUSALS[0], box, **asked)
    house.later(31)
    assert (await house.look(BOXES[box], record.id)).status(house.clock()) == "failed"
    house.later(64)
    assert (await house.look(BOXES[box], record.id)).status(house.clock()) == "applied"
    planned = await house.planned(box, **as_it_was)
    assert planned.before != record.before


@refusals
async def test_a_refused_change_not_seen_by_its_deadline_has_failed_for_good(house, said):
    record = await refused(house, said | {"processed": False}, mode="Home 2")
    for _ in range(2):
        house.later(440)
        assert (await house.look(DEMO, record.id)).verdict is None
    house.later(100)
    assert (await house.look(DEMO, record.id)).verdict == "failed"
    await house.admin("boxes", box=DEMO_BOX, setup={"mode": 1})
    assert (await house.look(DEMO, record.id)).status(house.clock()) == "failed"


@pytest.mark.parametrize("shown", [False, True])
async def test_the_effect_of_a_later_change_is_not_credited_to_a_refused_one(house, shown):
    record = await refused(house, REFUSALS[0] | {"processed": False}, mode="Home 2")
    again = await sent(house, mode="Home 2")
    house.later(95)
    if shown:
        await house.look(DEMO, again.id)
    assert (await house.look(DEMO, record.id)).status(house.clock()) == "failed"
    assert (await house.look(DEMO, again.id)).status(house.clock()) == "applied"


async def test_a_refused_change_does_not_block_its_box_and_can_always_be_looked_up(house):
    record = await refused(house, REFUSALS[0], mode="Home 2")
    assert (await house.planned(mode="Home 3")).before == "mode Home 1"
    await house.admin("faults", kind="unavailable", endpoint="live", requests=1)
    house.later(31)
    looked = await house.control.look(DEMO, record.id)
    assert (looked.seen, looked.record.status(house.clock())) == ("no answer", "failed")


# -- an apply


async def test_an_apply_settles_an_earlier_change_that_its_reading_shows(house):
    first, second = await house.planned(mode="Home 2"), await house.planned(boiler="manual")
    await house.control.apply(DEMO, *agreed(first), CLIENT)
    house.later(95)
    house.portal.requests.clear()
    record = await house.worker().apply(DEMO, *agreed(second), CLIENT)
    assert record.outcome == "answered"
    assert status(house, first.plan.change_id) == "applied"
    assert house.journal.find(first.plan.change_id).seconds == 95
    # With the reading that it makes anyway.
    assert [request.method for request in house.portal.requests] == ["GET", "POST"]


async def test_an_apply_of_the_same_setting_settles_the_earlier_change_and_is_refused(house):
    first, second = await house.planned(mode="Home 2"), await house.planned(mode="Home 3")
    await house.control.apply(DEMO, *agreed(first), CLIENT)
    house.later(95)
    with pytest.raises(ChangeRefused) as told:
        await house.control.apply(DEMO, *agreed(second), CLIENT)
    assert told.value.code == "box_changed"
    assert status(house, first.plan.change_id) == "applied"
    assert len(await house.writes()) == 1


async def test_an_apply_names_the_change_under_way_and_its_plan_stays_valid(house):
    first, second = await house.planned(mode="Home 2"), await house.planned(boiler="manual")
    await house.control.apply(DEMO, *agreed(first), CLIENT)
    for worker in (house.control, house.worker()):
        with pytest.raises(ChangeRefused) as told:
            await worker.apply(DEMO, *agreed(second), CLIENT)
        assert told.value.code == "change_in_progress"
        assert told.value.details == {"change_id": first.plan.change_id}
        assert house.kept == 0
    assert len(await house.writes()) == 1
    house.later(95)
    assert (await house.control.apply(DEMO, *agreed(second), CLIENT)).outcome == "answered"


async def test_an_apply_does_not_name_the_change_of_another_account(house):
    first, second = await house.planned(mode="Home 2"), await house.planned(boiler="manual")
    await house.control.apply(DEMO, *agreed(first), CLIENT)
    give_to_another_account(house)
    with pytest.raises(ChangeRefused) as told:
        await house.control.apply(DEMO, *agreed(second), CLIENT)
    assert (told.value.code, told.value.details) == ("box_held", {})
    assert first.plan.change_id not in str(told.value)


@pytest.mark.parametrize(
    ("seconds", "forgotten", "ended"),
    [(3600, False, "applied"), (900, True, "failed"), (3600, True, "unclear")],
)
async def test_an_apply_settles_an_unchecked_change_as_far_as_possible(
    house, seconds, forgotten, ended
):
    if forgotten:
        await house.admin("faults", kind="forgotten", endpoint="writes", requests=1)
    record = await sent(house, mode="Home 2")
    house.later(seconds - 100)
    with closing(
        sqlite3.connect(house.journal._database.path)
    ) as journal:  # out of the plan's sight
        journal.execute("UPDATE changes SET box = '0'")
        journal.commit()
        house.later(69)
        planned = await house.planned(boiler="manual")
        journal.execute("UPDATE changes SET box = ?", (DEMO_BOX,))
        journal.commit()
    await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert status(house, record.id) == ended


# -- in the middle of an apply


class Stopped:
    """A portal at which an apply stops, at its reading or at its write, until it may go on."""

    def __init__(self, portal, at: str) -> None:
        self._portal, self._at = portal, at
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    async def read_live(self, session_id):
        await self._stop("reading")
        return await self._portal.read_live(session_id)

    async def write(self, session_id, write):
        await self._stop("write")
        return await self._portal.write(session_id, write)

    async def _stop(self, at: str) -> None:
        if at == self._at:
            self.reached.set()
            await self.go.wait()


@pytest.mark.parametrize(
    ("at", "code", "lasts"),
    [("reading", "box_held", LASTS), ("write", "change_in_progress", DEADLINE)],
)
async def test_two_applies_never_run_on_one_box_at_once(house, at, code, lasts):
    first, second = await house.planned(mode="Home 2"), await house.planned(boiler="manual")
    stopped: list[Stopped] = []

    def wrap(portal):
        stopped.append(Stopped(portal, at))
        return stopped[0]

    running = asyncio.create_task(house.worker(wrap=wrap).apply(DEMO, *agreed(first), CLIENT))
    async with asyncio.timeout(60):
        await stopped[0].reached.wait()
        with pytest.raises(ChangeRefused) as told:
            await house.control.apply(DEMO, *agreed(second), CLIENT)
        assert told.value.code == code
        assert told.value.retry_after == lasts
        stopped[0].go.set()
        assert (await running).outcome == "answered"
    assert house.kept == 0
    assert [write["box"] for write in await house.writes()] == [DEMO_BOX]


@pytest.mark.parametrize(("at", "code"), [("reading", "box_held"), ("write", "plan_used")])
async def test_applying_a_plan_twice_at_once_names_its_own_change(house, at, code):
    planned = await house.planned(mode="Home 2")
    stopped: list[Stopped] = []

    def wrap(portal):
        stopped.append(Stopped(portal, at))
        return stopped[0]

    running = asyncio.create_task(house.worker(wrap=wrap).apply(DEMO, *agreed(planned), CLIENT))
    async with asyncio.timeout(60):
        await stopped[0].reached.wait()
        with pytest.raises(ChangeRefused, match=planned.plan.change_id) as told:
            await house.control.apply(DEMO, *agreed(planned), CLIENT)
        assert told.value.code == code
        assert told.value.details == {"change_id": planned.plan.change_id}
        stopped[0].go.set()
        await running
    assert len(await house.writes()) == 1


async def test_an_apply_that_lost_its_reservation_sends_nothing_and_its_plan_stays_valid(house):
    planned = await house.planned(mode="Home 2")
    stopped: list[Stopped] = []

    def wrap(portal):
        stopped.append(Stopped(portal, "reading"))
        return stopped[0]

    running = asyncio.create_task(house.worker(wrap=wrap).apply(DEMO, *agreed(planned), CLIENT))
    async with asyncio.timeout(60):
        await stopped[0].reached.wait()
        with closing(sqlite3.connect(house.journal._database.path)) as journal:
            journal.execute("DELETE FROM changes WHERE state = 'reserved'")
            journal.commit()
        stopped[0].go.set()
        with pytest.raises(ChangeRefused, match="stood still") as told:
            await running
    assert told.value.code == "box_held"
    assert (await house.writes(), house.kept) == ([], 0)
    assert (await house.control.apply(DEMO, *agreed(planned), CLIENT)).outcome == "answered"


async def test_a_stalled_apply_reserves_its_box_for_a_minute_and_then_sends_nothing(house):
    first, second = await house.planned(mode="Home 2"), await house.planned(boiler="manual")
    stopped: list[Stopped] = []

    def wrap(portal):
        stopped.append(Stopped(portal, "reading"))
        return stopped[0]

    running = asyncio.create_task(house.worker(wrap=wrap).apply(DEMO, *agreed(first), CLIENT))
    async with asyncio.timeout(60):
        await stopped[0].reached.wait()
        house.later(LASTS - 1)
        with pytest.raises(ChangeRefused) as told:
            await house.control.apply(DEMO, *agreed(second), CLIENT)
        assert (told.value.code, told.value.retry_after) == ("box_held", 1)
        house.later(1)
        assert (await house.control.apply(DEMO, *agreed(second), CLIENT)).outcome == "answered"
        stopped[0].go.set()
        with pytest.raises(ChangeRefused) as told:
            await running
    assert told.value.code == "box_held"
    assert len(await house.writes()) == 1
    assert house.kept == 0


async def test_an_apply_that_resumes_long_after_its_plan_expired_sends_nothing(house):
    planned = await house.planned(mode="Home 2")
    stopped: list[Stopped] = []

    def wrap(portal):
        stopped.append(Stopped(portal, "reading"))
        return stopped[0]

    running = asyncio.create_task(house.worker(wrap=wrap).apply(DEMO, *agreed(planned), CLIENT))
    async with asyncio.timeout(60):
        await stopped[0].reached.wait()
        house.later(9 * 3600)
        stopped[0].go.set()
        with pytest.raises(ChangeRefused) as told:
            await running
    assert told.value.code == "plan_expired"
    assert (await house.writes(), house.kept) == ([], 0)
    assert house.journal.latest(9) == (0, [])


async def test_the_reservation_of_a_killed_worker_blocks_nobody(house):
    planned = await house.planned(mode="Home 2")
    left = Reservation("f" * 16, DEMO_BOX, b"x" * 32, CLIENT, b"t" * 16, house.clock())
    house.journal.reservations.reserve(left)
    with pytest.raises(ChangeRefused) as told:
        await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert (told.value.code, told.value.retry_after) == ("box_held", LASTS)
    # Of a process that has ended nobody has the lock any more.
    house.journal.reservations._files[left.token].close()
    assert (await house.control.apply(DEMO, *agreed(planned), CLIENT)).outcome == "answered"
    assert house.kept == 0


async def test_a_change_sent_by_a_killed_worker_frees_its_box_once_settled(house):
    record = await sent(house, mode="Home 2")
    with closing(sqlite3.connect(house.journal._database.path)) as journal:
        journal.execute("UPDATE changes SET outcome = NULL")
        journal.commit()
    house.later(95)
    assert (await house.look(DEMO, record.id)).status(house.clock()) == "applied"
    await sent(house, boiler="manual")
    assert house.kept == 0
