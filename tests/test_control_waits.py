"""Calls that wait for a change: until it is known, the time is over, or the worker stops."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sqlite3
import threading
import time

import pytest

from server.control.waits import LAST_LOOK, LONGEST, MOST, SLACK
from server.errors import ChangeRefused, PortalError
from server.http import worker
from server.records import waits

from .control_house import BOXES, CLIENT, DEMO, DEMO2, House, agreed
from .control_worker import named
from .fleet import PATIENCE, post, running_fleet
from .journal_entries import begin
from .portal_simulator import DEMO_BOX, SECOND_BOX
from .test_journal import former_journal, record
from .test_stop_budget import HURRIED
from .waiting import SLOW_MACHINE, wait_until


@pytest.fixture
async def house(tmp_path):
    house = House(tmp_path)
    yield house
    await house.aclose()


async def sent(house: House, box: str = DEMO_BOX, **asked) -> str:
    planned = await house.planned(box, **(asked or {"mode": "Home 2"}))
    await house.control.apply(BOXES[box], *agreed(planned), CLIENT)
    return planned.plan.change_id


async def test_a_wait_ends_when_the_change_shows(house):
    change = await sent(house)
    began = house.clock()
    looked = await house.control.look(DEMO, change, LONGEST)
    assert looked.record.status(house.clock()) == "pending"
    assert house.clock() == began + LONGEST
    looked = await house.control.look(DEMO, change, LONGEST)
    assert looked.record.status(house.clock()) == "applied"
    assert began + 60 <= house.clock() <= began + 95
    assert house.kept == 0


async def test_a_wait_costs_the_portal_no_more_requests_than_shared_answers_do(house):
    await house.admin("switches", delay=600)
    change = await sent(house)
    house.portal.requests.clear()
    await house.control.look(DEMO, change, LONGEST)
    assert len(house.portal.requests) == 1


async def test_a_wait_during_a_portal_failure_reports_it_and_not_an_earlier_look(house):
    change = await sent(house)
    await house.control.look(DEMO, change)
    await house.admin("faults", kind="drop", endpoint="live")
    looked = await house.control.look(DEMO, change, LONGEST)
    assert looked.seen == "no answer"
    assert looked.record.status(house.clock()) == "pending"


@pytest.mark.parametrize("seconds", [1, 2, 3, 7, 50])
async def test_a_wait_ends_in_time_and_says_what_was_seen_last(house, seconds):
    await house.admin("switches", delay=600)
    change = await sent(house)
    house.later(31)
    began = house.clock()
    looked = await house.control.look(DEMO, change, seconds)
    assert house.clock() == began + seconds
    assert looked.seen == "otherwise"
    assert looked.record.status(house.clock()) == "pending"


async def test_the_answer_comes_at_once_without_a_wait_or_with_a_known_outcome(house):
    change = await sent(house)
    began = house.clock()
    await house.control.look(DEMO, change)
    house.later(95)
    for _ in range(2):
        looked = await house.control.look(DEMO, change, LONGEST)
        assert looked.record.status(house.clock()) == "applied"
    assert house.clock() == began + 95


async def test_a_wait_ends_when_another_worker_learns_the_outcome(house):
    await house.admin("switches", delay=600)
    change = await sent(house)
    began = house.clock()

    async def sleep(seconds):
        house.later(seconds)
        if house.clock() > began + 9:
            house.journal.settle(change, "applied", house.clock(), 9.0)

    looked = await house.worker(sleep=sleep).look(DEMO, change, LONGEST)
    assert looked.record.verdict == "applied"
    assert house.clock() <= began + 15


async def test_a_failed_look_ends_the_wait_only_if_it_is_the_first(house):
    change = await sent(house)
    house.later(31)
    await house.control.look(DEMO, change)
    await house.admin("faults", kind="unavailable", endpoint="live", requests=1, retry_after=5)
    looked = await house.control.look(DEMO, change, LONGEST)
    assert looked.record.status(house.clock()) == "applied"

    change = await sent(house, boiler="manual")
    house.later(31)
    await house.admin("faults", kind="unavailable", endpoint="live", retry_after=5)
    began = house.clock()
    with pytest.raises(PortalError):
        await house.control.look(DEMO, change, LONGEST)
    assert house.clock() == began
    assert house.kept == 0


@pytest.mark.parametrize("step", [-3600, 3600])
async def test_a_clock_step_makes_no_wait_longer_or_shorter(house, step):
    await house.admin("faults", kind="forgotten", endpoint="writes", requests=1)
    change = await sent(house)
    ticks = 0.0

    async def sleep(seconds):
        nonlocal ticks
        house.later(0 if ticks else step)
        ticks += seconds

    await house.worker(sleep=sleep, ticks=lambda: ticks).look(DEMO, change, LONGEST)
    assert ticks == LONGEST


class Gate:
    """A sleep that lasts until it is opened."""

    def __init__(self) -> None:
        self.sleeping, self.open = 0, asyncio.Event()

    async def __call__(self, _seconds: float) -> None:
        self.sleeping += 1
        await self.open.wait()


async def until(condition) -> None:
    await asyncio.to_thread(wait_until, "all wait", condition)


async def test_an_account_may_have_two_waiting_calls_across_all_workers(house):
    await house.admin("switches", delay=600)
    change = await sent(house)
    foreign = await sent(house, SECOND_BOX)
    gate = Gate()
    workers = [house.worker(sleep=gate) for _ in range(MOST + 2)]
    waiting = [asyncio.create_task(one.look(DEMO, change, LONGEST)) for one in workers[:MOST]]
    await until(lambda: gate.sleeping == MOST)
    for one in workers:
        with pytest.raises(ChangeRefused) as told:
            await one.look(DEMO, change, 1)
        assert told.value.code == "too_many_waits"
        assert told.value.retry_after == LONGEST
    # Looking without a wait, and another account, is not concerned.
    assert (await house.control.look(DEMO, change)).record.verdict is None
    other = asyncio.create_task(workers[-1].look(DEMO2, foreign, LONGEST))
    await until(lambda: gate.sleeping == MOST + 1)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    again = asyncio.create_task(workers[-1].look(DEMO, change, LONGEST))
    await until(lambda: gate.sleeping == MOST + 2)
    house.stopping.set()
    for call in (waiting[1], other, again):
        assert (await call).record.verdict is None
    assert house.kept == 0


async def test_a_stopping_worker_answers_with_what_is_known(house):
    await house.admin("switches", delay=600)
    change = await sent(house)
    house.later(31)
    gate = Gate()
    waiting = asyncio.create_task(house.worker(sleep=gate).look(DEMO, change, LONGEST))
    await until(lambda: gate.sleeping)
    house.stopping.set()
    looked = await waiting
    assert (looked.seen, looked.record.verdict) == ("otherwise", None)
    # One that comes still is answered after one look.
    assert (await house.control.look(DEMO, change, LONGEST)).seen == "otherwise"
    assert house.kept == 0


async def test_a_stopping_worker_does_not_wait_for_a_look_under_way(house):
    change = await sent(house)
    started = asyncio.Event()
    control = house.worker()

    async def live(_granted):
        started.set()
        await asyncio.Event().wait()

    house.upstreams[-1].live = live
    waiting = asyncio.create_task(control.look(DEMO, change, LONGEST))
    await started.wait()
    house.stopping.set()
    async with asyncio.timeout(60):
        looked = await waiting
    assert (looked.seen, looked.record.verdict) == (None, None)


async def test_without_a_count_of_waiters_the_first_look_is_the_answer(house):
    change = await sent(house)
    house.later(31)
    path = house.journal._database.path
    with contextlib.closing(sqlite3.connect(path)) as journal:
        journal.execute("DROP TABLE waits")
        journal.commit()
    began = house.clock()
    looked = await house.control.look(DEMO, change, LONGEST)
    assert looked.seen == "otherwise"
    assert house.clock() == began


async def test_a_refused_caller_learns_when_the_first_open_wait_ends(house):
    await house.admin("switches", delay=600)
    change = await sent(house)
    gate = Gate()
    worker = house.worker(sleep=gate)
    waiting = [asyncio.create_task(worker.look(DEMO, change, LONGEST))]
    await until(lambda: gate.sleeping == 1)
    house.later(10)
    waiting.append(asyncio.create_task(worker.look(DEMO, change, 20)))
    await until(lambda: gate.sleeping == MOST)
    for later, left in [
        (0, 20),
        (5, 15),
        (14.5, 0.5),
        (1.5, LAST_LOOK - 1),  # the last look of the shorter one
        (2, SLACK - LAST_LOOK),  # nobody ended it: its worker was killed
        (11, 1),
    ]:
        house.later(later)
        with pytest.raises(ChangeRefused) as told:
            await worker.look(DEMO, change, 1)
        assert told.value.retry_after == pytest.approx(left)
    house.stopping.set()
    await asyncio.gather(*waiting)


# -- over real connections


LOGIN = "Basic " + base64.b64encode(b"demo@example.com:demo").decode()


def calling(tool: str, **arguments) -> dict:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


def called(fleet, tool: str, **arguments) -> dict:
    answer = post(fleet.url, calling(tool, **arguments), Authorization=LOGIN).json()["result"]
    assert answer["isError"] is False, answer
    return answer["structuredContent"]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    journal = str(tmp_path_factory.mktemp("journal") / "journal.db")
    with running_fleet(2, OIG_CONTROL="on", OIG_JOURNAL=journal, OIG_LIVE_TTL="0.5") as fleet:
        yield fleet


def test_a_waiting_call_is_answered_when_the_box_takes_the_change(fleet):
    fleet.portal.switch(delay=2)
    plan = called(fleet, "plan_change", mode="Home 2")
    change = called(fleet, "apply_change", **named(plan))["change_id"]
    began = time.monotonic()
    report = called(fleet, "get_change", change_id=change, wait_s=50)
    assert report["status"] == "applied"
    assert time.monotonic() - began < 45


def test_every_worker_refuses_a_third_waiting_call(fleet):
    fleet.portal.reset()
    fleet.portal.switch(delay=600)
    plan = called(fleet, "plan_change", mode="Home 2")
    change = called(fleet, "apply_change", **named(plan))["change_id"]
    answers: list[dict] = []

    def wait() -> None:
        answer = post(
            fleet.url, calling("get_change", change_id=change, wait_s=8), Authorization=LOGIN
        )
        answers.append(answer.json()["result"])

    callers = [threading.Thread(target=wait) for _ in range(5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(PATIENCE)
    refused = [one for one in answers if one["isError"]]
    assert len(answers) == 5
    assert [one["_meta"]["cz.oig-cloud-mcp/error"]["code"] for one in refused] == [
        "too_many_waits"
    ] * 3
    assert all(1 <= one["_meta"]["cz.oig-cloud-mcp/error"]["retry_after_s"] <= 8 for one in refused)
    for one in answers:
        if not one["isError"]:
            assert one["structuredContent"]["status"] == "pending"


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_stop_answers_waiters_within_its_budget(tmp_path, accept):
    journal = str(tmp_path / "journal.db")
    with running_fleet(0, OIG_CONTROL="on", OIG_JOURNAL=journal, OIG_LIVE_TTL="0.5") as fleet:
        process = fleet.workers["hurried"] = fleet._start(
            "hurried", ["-c", HURRIED], fleet.listener
        )
        fleet.wait_worker("hurried")
        fleet.portal.switch(delay=600)
        plan = called(fleet, "plan_change", mode="Home 2")
        change = called(fleet, "apply_change", **named(plan))["change_id"]
        answers: list = []
        body = calling("get_change", change_id=change, wait_s=50)
        caller = threading.Thread(
            target=lambda: answers.append(post(fleet.url, body, Accept=accept, Authorization=LOGIN))
        )
        caller.start()
        wait_until("a look", lambda: fleet.portal.state()["requests"]["live"] >= 3)
        began = time.monotonic()
        process.terminate()
        process.wait(PATIENCE)
        caller.join(PATIENCE)
        assert time.monotonic() - began < 0.1 + 1.0 + worker.CLOSE + SLOW_MACHINE
        log = fleet.logs()
    (answer,) = answers
    assert answer.status_code == 200
    text = answer.text.partition("data: ")[2] if accept.startswith("text") else answer.text
    assert json.loads(text)["result"]["structuredContent"]["status"] == "pending"
    assert "cut off" not in log


def test_the_longest_wait_leaves_time_before_clients_give_up():
    assert LONGEST + LAST_LOOK < 60


def test_a_reserved_place_lasts_as_long_as_the_longest_wait():
    assert LONGEST + SLACK <= waits.LONGEST


async def test_places_reserved_before_a_reboot_are_free(house):
    places = house.journal.places
    begin(house.journal, record())
    house.clock.time = 1_000_000.0
    assert places.take(b"a" * 32, b"1", 65, 1) == 0.0
    assert places.take(b"a" * 32, b"2", 65, 1) == 65
    house.clock.time = 10.0
    assert places.take(b"a" * 32, b"2", 65, 1) == 0.0
    places.give_back(b"a" * 32, b"2")
    assert house.kept == 0


async def test_a_journal_of_an_earlier_version_does_not_count_waiters(house):
    path = house.journal._database.path
    former_journal(path, record())
    assert house.journal.places.take(b"a" * 32, b"1", 65, 1) is None
