"""Changing a box, end to end against the simulated portal: planned, applied, seen, undone."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from server.control.changes import Asked
from server.errors import (
    BoxChoice,
    CacheUnavailable,
    ChangeRefused,
    PortalBusy,
    PortalError,
    SessionError,
    VersionsDiffer,
)
from server.records.record import DEADLINE

from .control_house import BOXES, CLIENT, DEMO, DEMO2, House, agreed
from .portal_simulator import DEMO_BOX, QUEEN_BOX, SECOND_BOX


@pytest.fixture
async def house(tmp_path):
    house = House(tmp_path)
    yield house
    await house.aclose()


async def plan(house: House, caller, box_id=None, **asked):
    return await house.control.plan(caller, Asked(**asked), box_id)


# Each change, with what it reads at the truth before and after: at a fresh simulated box.
CHANGES = [
    (DEMO_BOX, {"mode": "Home 2"}, "mode", 0, 1),
    (DEMO_BOX, {"mode": "Home 3"}, "mode", 0, 2),
    (DEMO_BOX, {"mode": "Home UPS"}, "mode", 0, 3),
    (DEMO_BOX, {"home_grid_v": True}, "app", 0, 1),
    (DEMO_BOX, {"home_grid_vi": True}, "app", 0, 2),
    (DEMO_BOX, {"home_grid_v": True, "home_grid_vi": True}, "app", 0, 3),
    (QUEEN_BOX, {"home_grid_vi": True}, "app", 1, 3),
    (QUEEN_BOX, {"home_grid_v": False}, "app", 1, 0),
    (DEMO_BOX, {"export": "off"}, "delivery", "on", "off"),
    (DEMO_BOX, {"export": "limited", "export_limit_w": 3500}, "export_cap_w", 10000, 3500),
    (SECOND_BOX, {"export": "limited", "export_limit_w": 1}, "export_cap_w", 5000, 1),
    (SECOND_BOX, {"export": "on"}, "delivery", "limited", "on"),
    (QUEEN_BOX, {"export": "on"}, "delivery", "limited", "on"),
    (QUEEN_BOX, {"export": "off"}, "delivery", "limited", "off"),
    (QUEEN_BOX, {"export": "limited", "export_limit_w": 9999}, "export_cap_w", 3000, 9999),
    (DEMO_BOX, {"boiler": "manual"}, "boiler_manual", False, True),
    (DEMO_BOX, {"charge_to_percent": 95}, "charge_target_percent", 60, 95),
    (SECOND_BOX, {"charge_to_percent": 100}, "charge_target_percent", 60, 100),
]


@pytest.mark.parametrize(("box", "asked", "name", "before", "after"), CHANGES)
async def test_each_change_can_be_planned_applied_confirmed_and_undone(
    house, box, asked, name, before, after
):
    owner = BOXES[box]
    planned = await house.planned(box, **asked)
    assert planned.plan.box_id == box
    assert (await house.truth(box))[name] == before
    assert await house.writes() == []

    record = await house.control.apply(owner, *agreed(planned), CLIENT)
    assert (record.before, record.after) == (planned.before, planned.after)
    assert record.status(house.clock()) == "pending"
    assert record.box == box
    house.later(1)
    assert (await house.look(owner, record.id)).status(house.clock()) == "pending"

    house.later(95)
    record = await house.look(owner, record.id)
    assert record.status(house.clock()) == "applied"
    assert 0 < record.seconds <= 96
    assert house.kept == 0
    assert (await house.truth(box))[name] == after
    assert {write["box"] for write in await house.writes()} == {box}

    undone = await house.applied(box, undo=record.id)
    assert undone.status(house.clock()) == "applied"
    assert undone.undoes == record.id
    if not name.startswith("charge"):  # whose words also tell whether it is under way
        assert undone.after == record.before
    assert (await house.truth(box))[name] == before


async def test_switching_export_on_removes_the_cap_even_if_the_switch_alone_does_not(house):
    await house.admin("switches", lifts_cap=False)
    record = await house.applied(SECOND_BOX, export="on")
    assert record.status(house.clock()) == "applied"
    assert (await house.truth(SECOND_BOX))["delivery"] == "on"


async def test_every_write_names_its_box_and_follows_the_portals_rules(house):
    await house.applied(SECOND_BOX, export="limited", export_limit_w=4000)
    await house.applied(QUEEN_BOX, mode="Home 2")
    await house.applied(SECOND_BOX, charge_to_percent=90)
    writes = await house.writes()
    assert [write["sent"] for write in writes] == [
        {"id_device": SECOND_BOX, "value": 2, "p_max_feed_grid": 4000},
        {"id_device": QUEEN_BOX, "table": "box_prms", "column": "mode", "value": 1},
        {"id_device": SECOND_BOX, "bat_ac": 90},
    ]
    for write in writes:
        assert write["content_type"] == "application/json"
        assert write["x_requested_with"] == "XMLHttpRequest"
        assert write["nonce"].isdigit()
        assert write["outcome"] == "queued"


async def test_switching_export_off_or_on_sends_a_null_cap(house):
    await house.applied(export="off")
    await house.applied(export="on")
    sent = [write["sent"] for write in await house.writes()]
    assert [(one["value"], one["p_max_feed_grid"]) for one in sent] == [(0, None), (1, None)]


async def test_an_account_with_several_boxes_must_name_one(house):
    with pytest.raises(BoxChoice, match=SECOND_BOX):
        await plan(house, DEMO2, mode="Home 2")


async def test_the_box_of_another_account_cannot_be_named(house):
    with pytest.raises(BoxChoice):
        await plan(house, DEMO, SECOND_BOX, mode="Home 2")


async def test_charging_with_several_boxes_warns_that_another_one_might_charge(house):
    assert any(
        SECOND_BOX in warning
        for warning in (await house.planned(SECOND_BOX, charge_to_percent=90)).warnings
    )
    assert not any(
        "several boxes" in w for w in (await house.planned(charge_to_percent=90)).warnings
    )


async def test_two_boxes_of_one_account_change_concurrently_and_are_never_mixed_up(house):
    first = await house.planned(SECOND_BOX, mode="Home 3")
    second = await house.planned(QUEEN_BOX, mode="Home 2")
    await asyncio.gather(
        house.control.apply(DEMO2, *agreed(first), CLIENT),
        house.control.apply(DEMO2, *agreed(second), CLIENT),
    )
    house.later(95)
    for planned in (first, second):
        record = await house.look(DEMO2, planned.plan.change_id)
        assert record.status(house.clock()) == "applied"
    assert (await house.truth(SECOND_BOX))["mode"] == 2
    assert (await house.truth(QUEEN_BOX))["mode"] == 1


async def test_a_plan_expires_after_five_minutes(house):
    planned = await house.planned(mode="Home 2")
    house.later(300)
    with pytest.raises(ChangeRefused, match="expired"):
        await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert await house.writes() == []
    assert house.kept == 0


async def test_a_plan_is_void_once_the_clock_was_set_back_by_hours(house):
    planned = await house.planned(mode="Home 2")
    house.later(-5 * 3600)
    with pytest.raises(ChangeRefused, match="expired"):
        await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert await house.writes() == []


async def test_a_plan_can_be_applied_once_across_all_workers(house):
    planned = await house.planned(mode="Home 2")
    await house.control.apply(DEMO, *agreed(planned), CLIENT)
    for worker in (house.control, house.worker()):
        with pytest.raises(ChangeRefused, match=f"used.*{planned.plan.change_id}"):
            await worker.apply(DEMO, *agreed(planned), CLIENT)
    assert len(await house.writes()) == 1


async def test_a_plan_made_by_one_worker_is_applied_and_verified_by_others(house):
    planned = await house.planned(mode="Home 2")
    await house.worker().apply(DEMO, *agreed(planned), CLIENT)
    house.later(95)
    record = (await house.worker().look(DEMO, planned.plan.change_id)).record
    assert record.status(house.clock()) == "applied"
    assert house.kept == 0


async def test_the_plan_of_another_account_is_refused_like_an_invalid_one(house):
    planned = await house.planned(mode="Home 2")
    with pytest.raises(ChangeRefused) as foreign:
        await house.control.apply(DEMO2, *agreed(planned), CLIENT)
    token, *named = agreed(planned)
    with pytest.raises(ChangeRefused) as broken:
        await house.control.apply(DEMO, token[:-4] + "AAAA", *named, CLIENT)
    assert str(foreign.value) == str(broken.value)
    assert await house.writes() == []


@pytest.mark.parametrize(
    ("asked", "setup"),
    [
        ({"mode": "Home 2"}, {"mode": 2}),
        ({"mode": "Home 2"}, {"app": 1}),
        ({"home_grid_v": True}, {"app": 2}),
        ({"export": "off"}, {"feed_cap": 700}),
        ({"export": "limited", "export_limit_w": 100}, {"to_grid": 0}),
        ({"boiler": "manual"}, {"manual": 1}),
        ({"charge_to_percent": 90}, {"target": 70}),
    ],
)
async def test_a_box_that_changed_meanwhile_is_not_changed(house, asked, setup):
    planned = await house.planned(**asked)
    await house.admin("boxes", box=DEMO_BOX, setup=setup)
    with pytest.raises(ChangeRefused, match="no longer as it was"):
        await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert await house.writes() == []
    assert house.kept == 0
    assert house.journal.latest(9) == (0, [])


async def test_a_change_is_applied_even_if_unrelated_values_changed_meanwhile(house):
    planned = await house.planned(boiler="manual")
    await house.admin("boxes", box=DEMO_BOX, setup={"mode": 1}, soc_percent=33)
    record = await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert record.outcome == "answered"


async def test_a_change_to_an_offline_box_is_pending_and_fails_after_fifteen_minutes(house):
    await house.admin("boxes", box=DEMO_BOX, offline=True)
    house.later(1200)
    planned = await house.planned(mode="Home 2")
    assert any("offline" in w and "much later" in w for w in planned.warnings)
    await house.control.apply(DEMO, *agreed(planned), CLIENT)
    change = planned.plan.change_id
    for seconds in (60, 400, 400):
        house.later(seconds)
        assert (await house.look(DEMO, change)).status(house.clock()) == "pending"
    house.later(40)
    record = await house.look(DEMO, change)
    assert record.status(house.clock()) == "failed"
    assert house.kept == 0
    assert len(await house.writes()) == 1


async def test_a_change_that_nobody_checked_is_unclear_until_somebody_does(house):
    planned = await house.planned(mode="Home 2")
    record = await house.control.apply(DEMO, *agreed(planned), CLIENT)
    house.later(3600)
    assert house.journal.find(record.id).status(house.clock()) == "unclear"
    record = await house.look(DEMO, record.id)
    assert record.status(house.clock()) == "applied"


async def test_a_change_that_came_and_went_unseen_is_not_reported_as_failed(house):
    planned = await house.planned(mode="Home 2")
    record = await house.control.apply(DEMO, *agreed(planned), CLIENT)
    house.later(300)
    assert (await house.truth())["mode"] == 1
    await house.admin("boxes", box=DEMO_BOX, setup={"mode": 0})
    house.later(901)
    looked = await house.control.look(DEMO, record.id)
    assert looked.record.status(house.clock()) == "unclear"
    assert looked.seen == "otherwise"


async def test_a_charge_that_was_used_up_again_is_not_reported_as_failed(house):
    await house.admin("boxes", box=DEMO_BOX, full=True, soc_percent=50)
    planned = await house.planned(charge_to_percent=55)
    record = await house.control.apply(DEMO, *agreed(planned), CLIENT)
    house.later(600)
    await house.admin("boxes", box=DEMO_BOX, setup={"formatting": 0}, full=True, soc_percent=40)
    for seconds in (301, 301):
        house.later(seconds)
        looked = await house.control.look(DEMO, record.id)
        assert looked.record.status(house.clock()) == "unclear"
        assert looked.seen == "not shown"


@pytest.mark.parametrize(
    ("seconds", "status"), [(899, "pending"), (901, "failed"), (1201, "unclear")]
)
async def test_a_missing_change_counts_as_failed_only_soon_after_the_deadline(
    house, seconds, status
):
    planned = await house.planned(mode="Home 2")
    await break_write(house, "forgotten")
    record = await house.control.apply(DEMO, *agreed(planned), CLIENT)
    house.later(seconds)
    assert (await house.look(DEMO, record.id)).status(house.clock()) == status


async def test_a_setting_that_is_not_sent_never_means_that_a_change_failed(house):
    planned = await house.planned(mode="Home 2")
    record = await house.control.apply(DEMO, *agreed(planned), CLIENT)
    house.later(901)
    await house.admin("faults", kind="dropped", endpoint="live", fields=["box_prms.mode"])
    looked = await house.control.look(DEMO, record.id)
    assert looked.record.status(house.clock()) == "unclear"
    assert looked.seen == "not shown"


async def test_without_the_daemon_a_box_is_changed_under_the_journals_lock(house):
    house.versions.gone = CacheUnavailable("away")
    planned = await house.planned(mode="Home 2")
    assert (await house.control.apply(DEMO, *agreed(planned), CLIENT)).outcome == "answered"
    assert len(await house.writes()) == 1
    assert house.kept == 0


async def test_while_versions_differ_nothing_is_changed(house):
    planned = await house.planned(mode="Home 2")
    house.versions.gone = VersionsDiffer("two versions")
    with pytest.raises(ChangeRefused) as told:
        await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert told.value.code == "versions_differ"
    assert await house.writes() == []
    assert house.journal.latest(9) == (0, [])


async def test_without_the_journal_nothing_is_changed(house):
    planned = await house.planned(mode="Home 2")
    house.journal._database.path.mkdir()
    with pytest.raises(ChangeRefused, match="journal"):
        await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert await house.writes() == []


async def test_an_ended_session_is_renewed_by_the_read_before_the_write(house):
    planned = await house.planned(mode="Home 2")
    (await house._admin.delete("sessions")).raise_for_status()
    record = await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert record.outcome == "answered"
    assert [write["outcome"] for write in await house.writes()] == ["queued"]


async def break_write(house: House, kind: str, *, processed: bool = False, **more) -> None:
    more |= {"processed": True} if processed else {}
    await house.admin("faults", kind=kind, endpoint="writes", requests=1, **more)


@pytest.mark.parametrize(
    ("kind", "processed"),
    [
        ("html", True),
        ("redirect", True),
        ("unavailable", False),
        ("error", True),
        ("truncated_gzip", True),
        ("json", False),
        ("empty", False),
    ],
)
async def test_an_unclear_write_is_not_repeated_and_is_decided_by_reading_back(
    house, kind, processed
):
    planned = await house.planned(mode="Home 2")
    await break_write(house, kind, processed=processed)
    record = await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert record.status(house.clock()) == "unclear"
    house.later(95)
    record = await house.look(DEMO, record.id)
    assert record.status(house.clock()) == ("applied" if processed else "unclear")
    house.later(900)
    record = await house.look(DEMO, record.id)
    assert record.status(house.clock()) == ("applied" if processed else "failed")
    assert len(await house.writes()) == 1


@pytest.mark.parametrize("kind", ["unauthorized", "too_many"])
async def test_a_write_refused_by_the_portal_is_reported_at_once_and_frees_the_box(house, kind):
    planned = await house.planned(mode="Home 2")
    await break_write(house, kind)
    with pytest.raises(ChangeRefused, match=planned.plan.change_id):
        await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert house.kept == 0
    record = await house.look(DEMO, planned.plan.change_id)
    assert record.status(house.clock()) == "failed"
    assert len(await house.writes()) == 1


async def test_after_an_error_page_the_box_is_read_back_and_no_other_form_is_tried(house):
    await house.admin("switches", contract="form")
    planned = await house.planned(mode="Home 2")
    record = await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert record.status(house.clock()) == "unclear"
    assert "error page" in record.why
    assert [write["outcome"] for write in await house.writes()] == ["refused"]
    house.later(95)
    assert (await house.control.look(DEMO, record.id)).seen == "otherwise"
    await house.admin("boxes", box=DEMO_BOX, setup={"mode": 1})
    house.later(31)
    assert (await house.look(DEMO, record.id)).status(house.clock()) == "applied"


async def test_a_reported_success_is_not_believed_until_the_box_shows_it(house):
    planned = await house.planned(mode="Home 2")
    await break_write(house, "forgotten")
    record = await house.control.apply(DEMO, *agreed(planned), CLIENT)
    house.later(600)
    assert (await house.look(DEMO, record.id)).status(house.clock()) == "pending"
    house.later(400)
    assert (await house.look(DEMO, record.id)).status(house.clock()) == "failed"


@pytest.mark.parametrize("processed", [True, False])
@pytest.mark.parametrize(
    ("text", "outcome", "status"),
    [
        ('[[0,2,"Something that nobody has seen"]]', "answered", "pending"),
        ('[[0,2,"Box není online"]]', "unclear", "unclear"),
        ('[[0,1,"Nastala chyba"]]', "unclear", "unclear"),
    ],
)
async def test_only_reading_back_confirms_a_change_whatever_the_portal_answers(
    house, processed, text, outcome, status
):
    planned = await house.planned(mode="Home 2")
    await break_write(house, "answer", processed=processed, text=text)
    record = await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert (record.outcome, record.status(house.clock())) == (outcome, status)
    house.later(95)
    record = await house.look(DEMO, record.id)
    assert record.status(house.clock()) == ("applied" if processed else status)
    house.later(850)
    record = await house.look(DEMO, record.id)
    assert record.status(house.clock()) == ("applied" if processed else "failed")


async def test_a_failure_reported_by_the_portal_is_a_refusal_and_frees_the_box(house):
    planned = await house.planned(mode="Home 2")
    await break_write(house, "answer", text='[[0,1,"Nepoda\\u0159ilo se"]]')
    with pytest.raises(ChangeRefused, match="answered that the change failed") as told:
        await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert told.value.code == "change_refused"
    record = await house.look(DEMO, planned.plan.change_id)
    assert (record.outcome, record.status(house.clock())) == ("refused", "failed")
    await house.applied(mode="Home 2")


async def finished(house: House, work):
    """Let an apply go on, with a second for every time that it waits for its turn."""
    task = asyncio.create_task(work)
    for _ in range(500):
        done, _ = await asyncio.wait({task}, timeout=0.02)
        if done:
            return await task
        # At no other time: between its turn and its request no second may seem to pass.
        if house.accounts.upkeep.stats()["fetches_waiting"]:
            house.later(1)
            house.accounts._rounds.wake_all()
    raise TimeoutError


@pytest.fixture
async def paced(tmp_path):
    house = House(tmp_path, gap=1.0)
    yield house
    await house.aclose()


async def test_the_requests_of_an_apply_are_at_least_a_second_apart(paced):
    planned = await finished(paced, paced.planned(SECOND_BOX, export="on"))
    times = []

    class Timed:
        def __init__(self, portal):
            self.portal = portal

        async def read_live(self, session_id):
            times.append(paced.clock())
            return await self.portal.read_live(session_id)

        async def write(self, session_id, write):
            times.append(paced.clock())
            return await self.portal.write(session_id, write)

    worker = paced.worker(wrap=Timed)
    record = await finished(paced, worker.apply(DEMO2, *agreed(planned), CLIENT))
    assert record.outcome == "answered"
    assert len(times) == 3
    assert all(after - before >= 1.0 for before, after in itertools.pairwise(times))


async def busy(house: House, endpoint: str) -> None:
    await house.admin("faults", kind="too_many", endpoint=endpoint, retry_after=120, requests=1)


async def test_nothing_is_read_sent_or_recorded_during_a_back_off(house):
    planned = await house.planned(mode="Home 2")
    await busy(house, "live")
    for _ in range(2):  # the first is told so by the portal, the second by the store
        house.portal.requests.clear()
        with pytest.raises(PortalBusy):
            await house.control.apply(DEMO, *agreed(planned), CLIENT)
        asked = len(house.portal.requests)
    assert asked == 0
    assert house.journal.latest(9) == (0, [])
    assert house.kept == 0
    house.later(121)
    assert (await house.control.apply(DEMO, *agreed(planned), CLIENT)).outcome == "answered"


async def test_a_write_that_gets_no_turn_leaves_no_journal_entry(house):
    planned = await house.planned(mode="Home 2")

    class Meanwhile:
        """After whose reading another worker is told to leave the portal alone."""

        def __init__(self, portal):
            self.portal = portal

        async def read_live(self, session_id):
            payload = await self.portal.read_live(session_id)
            account = (await house.access.open(DEMO)).keys.account
            house.accounts.leave_alone(account, "busy", 60.0)
            return payload

    with pytest.raises(PortalBusy):
        await house.worker(wrap=Meanwhile).apply(DEMO, *agreed(planned), CLIENT)
    assert await house.writes() == []
    assert house.journal.latest(9) == (0, [])
    assert house.kept == 0


async def test_a_write_that_exceeds_the_portals_limit_starts_a_back_off_for_everybody(house):
    planned = await house.planned(mode="Home 2")
    await busy(house, "writes")
    with pytest.raises(ChangeRefused) as told:
        await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert told.value.retry_after == 120
    house.later(60)
    with pytest.raises(PortalBusy):
        await plan(house, DEMO, mode="Home 3")
    house.later(61)
    await plan(house, DEMO, mode="Home 3")


async def test_a_change_is_unclear_when_its_second_request_gets_no_turn(house):
    await house.admin("switches", lifts_cap=False)
    planned = await house.planned(SECOND_BOX, export="on")

    class Meanwhile:
        def __init__(self, portal):
            self.portal = portal

        async def read_live(self, session_id):
            return await self.portal.read_live(session_id)

        async def write(self, session_id, write):
            account = (await house.access.open(DEMO2)).keys.account
            house.accounts.leave_alone(account, "busy", 60.0)
            return await self.portal.write(session_id, write)

    record = await house.worker(wrap=Meanwhile).apply(DEMO2, *agreed(planned), CLIENT)
    assert record.outcome == "unclear"
    assert "Only the first part" in record.why
    assert len(await house.writes()) == 1


async def test_a_change_is_unclear_when_its_second_request_is_refused(house):
    await house.admin("switches", lifts_cap=False)
    planned = await house.planned(SECOND_BOX, export="on")

    class Second:
        def __init__(self, portal):
            self.portal, self.count = portal, 0

        async def read_live(self, session_id):
            return await self.portal.read_live(session_id)

        async def write(self, session_id, write):
            self.count += 1
            if self.count == 2:
                await break_write(house, "unauthorized")
            return await self.portal.write(session_id, write)

    record = await house.worker(wrap=Second).apply(DEMO2, *agreed(planned), CLIENT)
    assert record.outcome == "unclear"
    assert "part" in record.why
    house.later(95)
    assert (await house.truth(SECOND_BOX))["export_cap_w"] == 5000


async def test_a_caller_that_hangs_up_does_not_stop_a_change_half_way(house):
    planned = await house.planned(mode="Home 2")
    started, go = asyncio.Event(), asyncio.Event()

    class Slow:
        def __init__(self, portal):
            self.portal = portal

        async def read_live(self, session_id):
            return await self.portal.read_live(session_id)

        async def write(self, session_id, write):
            started.set()
            await go.wait()
            return await self.portal.write(session_id, write)

    worker = house.worker(wrap=Slow)
    call = asyncio.create_task(worker.apply(DEMO, *agreed(planned), CLIENT))
    async with asyncio.timeout(60):
        await started.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        go.set()
        await worker.aclose()
    assert house.journal.find(planned.plan.change_id).outcome == "answered"


async def test_reading_back_uses_only_data_read_after_the_write(house):
    planned = await house.planned(mode="Home 2")
    await house.admin("boxes", box=DEMO_BOX, setup={"mode": 1})
    house.later(31)
    # Leave an answer for others, with Home 2 in it.
    await house.upstream.live(await house.access.open(DEMO))
    await house.admin("boxes", box=DEMO_BOX, setup={"mode": 0})
    await house.control.apply(DEMO, *agreed(planned), CLIENT)
    house.later(5)
    assert (await house.look(DEMO, planned.plan.change_id)).verdict is None
    house.later(95)
    assert (await house.look(DEMO, planned.plan.change_id)).verdict == "applied"


async def test_a_value_missing_when_reading_back_never_counts_as_applied(house):
    planned = await house.planned(mode="Home 2")
    await house.control.apply(DEMO, *agreed(planned), CLIENT)
    await house.admin("faults", kind="dropped", endpoint="live", fields=["box_prms.mode"])
    house.later(95)
    assert (await house.look(DEMO, planned.plan.change_id)).verdict is None


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"mode": "Home 2"}, "box_prms.mode"),
        ({"home_grid_v": True}, "box_prm2.app"),
        ({"export": "limited", "export_limit_w": 9}, "invertor_prms.to_grid"),
        ({"export": "on"}, "invertor_prm1.p_max_feed_grid"),
        ({"boiler": "manual"}, "boiler_prms.manual"),
        ({"charge_to_percent": 90}, "box_prms.bat_ac"),
    ],
)
@pytest.mark.parametrize("kind", ["dropped", "retyped"])
async def test_nothing_is_planned_while_the_present_state_is_unknown(house, asked, field, kind):
    await house.admin("faults", kind=kind, endpoint="live", fields=[field])
    with pytest.raises(ChangeRefused, match="not known"):
        await house.planned(**asked)


async def test_nothing_is_planned_while_the_portal_cannot_be_read(house):
    await house.admin("faults", kind="unavailable", endpoint="live")
    with pytest.raises(PortalError):
        await house.planned(mode="Home 2")


async def test_a_change_of_another_account_cannot_be_found_listed_or_undone(house):
    record = await house.applied(mode="Home 2")
    for what in (house.look(DEMO2, record.id), plan(house, DEMO2, undo=record.id)):
        with pytest.raises(ChangeRefused, match="no change of that id"):
            await what
    assert await house.control.latest(DEMO2, None, 9) == (0, [])
    assert [r.id for r in (await house.control.latest(DEMO, None, 9))[1]] == [record.id]


async def test_a_change_under_way_cannot_be_undone_yet(house):
    planned = await house.planned(mode="Home 2")
    await house.control.apply(DEMO, *agreed(planned), CLIENT)
    house.later(31)
    with pytest.raises(ChangeRefused, match="is under way") as caught:
        await plan(house, DEMO, undo=planned.plan.change_id)
    assert caught.value.code == "change_in_progress"
    assert caught.value.retry_after == DEADLINE - 31
    assert caught.value.details == {"change_id": planned.plan.change_id}


async def test_an_undo_says_that_somebody_changed_the_box_since(house):
    record = await house.applied(mode="Home 2")
    await house.admin("boxes", box=DEMO_BOX, setup={"mode": 2})
    planned = await house.planned(undo=record.id)
    assert any("no longer as change" in warning for warning in planned.warnings)
    assert planned.before == "mode Home 3"
    assert planned.after == "mode Home 1"


async def test_undoing_a_charge_never_causes_more_charging(house):
    await house.admin("boxes", box=DEMO_BOX, setup={"target": 100}, soc_percent=50)
    record = await house.applied(charge_to_percent=60)
    with pytest.raises(ChangeRefused, match="former target of 100 %"):
        await house.planned(undo=record.id)
    await house.admin("boxes", box=DEMO_BOX, setup={"formatting": 0}, soc_percent=100)
    planned = await house.planned(undo=record.id)
    assert any("stays in the battery" in warning for warning in planned.warnings)
    assert not any("at once" in warning for warning in planned.warnings)
    await house.admin("boxes", box=DEMO_BOX, soc_percent=90)
    with pytest.raises(ChangeRefused, match="holds 90 %"):
        await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert len(await house.writes()) == 1


async def test_the_journal_identifies_the_account_by_its_key_only(house):
    await house.applied(mode="Home 2")
    content = b"".join(path.read_bytes() for path in house.journal._database.path.parent.iterdir())
    assert b"demo" not in content.replace(b"test-client", b"")


async def test_a_worker_with_another_secret_cannot_open_the_plan(house):
    planned = await house.planned(mode="Home 2")
    with pytest.raises(SessionError):
        await house.worker(secret=b"x" * 32).apply(DEMO, *agreed(planned), CLIENT)
    assert await house.writes() == []


async def test_planning_sends_nothing_but_reads(house):
    await house.planned(mode="Home UPS")
    assert all("Set" not in str(request.url) for request in house.portal.requests)
    assert await house.writes() == []


async def test_a_charge_from_before_an_outage_does_not_count_as_reaching_the_target(house):
    await house.admin("boxes", box=DEMO_BOX, live_data=False, soc_percent=100, setup={"target": 40})
    house.later(400)
    await house.planned(mode="Home 2")
    await house.admin("boxes", box=DEMO_BOX, offline=True)
    house.later(9.5 * 3600)
    await house.admin("boxes", box=DEMO_BOX, soc_percent=30)
    await house.admin("boxes", box=DEMO_BOX, offline=False)
    planned = await house.planned(charge_to_percent=80)
    assert "at once to 80 %" in planned.plan.sentence
    assert "Whether anything is charged, and how much, cannot be told" in planned.explanation
    assert any("several kW" in warning for warning in planned.warnings)
    assert any("has not changed since" in warning for warning in planned.warnings)


async def test_no_undo_relies_on_a_charge_from_before_an_outage(house):
    await house.admin("boxes", box=DEMO_BOX, live_data=False, soc_percent=90, setup={"target": 80})
    house.later(400)
    record = await house.applied(charge_to_percent=30)
    await house.admin("boxes", box=DEMO_BOX, offline=True)
    house.later(6 * 3600)
    await house.admin("boxes", box=DEMO_BOX, soc_percent=85)
    await house.admin("boxes", box=DEMO_BOX, offline=False)
    with pytest.raises(ChangeRefused, match="upload that may be of hours ago"):
        await house.planned(undo=record.id)
    # Six minutes in contact are enough to be sure.
    house.later(400)
    planned = await house.planned(undo=record.id)
    assert planned.after.startswith("charging from the grid, target 80 %")


async def test_a_plan_asks_which_box_while_the_portal_omits_one(house):
    house.later(31)
    await house.control.plan(BOXES[SECOND_BOX], Asked(mode="Home 2"), SECOND_BOX)
    fault = {"kind": "dropped", "endpoint": "live", "fields": [SECOND_BOX]}
    await house.admin("faults", **fault)
    house.later(31)
    with pytest.raises(BoxChoice, match=f"several boxes.*lacks {SECOND_BOX}"):
        await house.control.plan(BOXES[SECOND_BOX], Asked(mode="Home 2"))
    planned = await house.planned(QUEEN_BOX, charge_to_percent=90)
    assert any("several boxes" in warning for warning in planned.warnings)
