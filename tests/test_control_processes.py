"""Applies over several processes, killed, stopped and continued at every step: one write a plan."""

from __future__ import annotations

import contextlib
import itertools
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from server.control.applying import NOT_SENT
from server.records.journal import Journal
from server.records.record import DEADLINE, LASTS

from .cache_process import run_folder, running_cache
from .control_worker import STEPS, Worker
from .journal_entries import kept
from .portal_simulator import DEMO_BOX, running_portal

BEFORE_THE_ENTRY = STEPS[: STEPS.index("written down")]
"""Steps at which nothing was sent, and nothing says that it may have been."""


@pytest.fixture(scope="module")
def portal():
    with running_portal() as portal:
        yield portal


class House:
    """Worker processes over one journal, with or without a daemon."""

    def __init__(self, portal, folder: Path) -> None:
        self.portal = portal
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.journal = Journal(folder / "journal.db")
        self._workers: list[Worker] = []

    def start(self, step: str | None = None, number: int = signal.SIGKILL) -> Worker:
        environment = {
            "OIG_RUN_DIR": str(self.folder),
            "OIG_PORTAL_URL": self.portal.base_url,
            "OIG_JOURNAL": str(self.journal._database.path),
        }
        worker = Worker(environment, step, number)
        self._workers.append(worker)
        assert worker.hear() == "ready"
        return worker

    def written(self) -> Counter[str]:
        """How often each plan was written: each of a test sets another value."""
        return Counter(
            f"{write['sent'].get('table')} {write['sent'].get('value')}"
            for write in self.portal.writes()
        )

    def close(self) -> None:
        for worker in self._workers:
            worker.close()


@pytest.fixture
def house(portal):
    portal.reset()
    with run_folder() as folder, contextlib.closing(House(portal, folder)) as house:
        yield house


QUICK = {"reserving", "reserved", "read", "written down", "sent", "noted"}
"""Of two steps between which nothing is shared with others, one does for every day."""


@pytest.mark.parametrize(
    "step",
    [one if one in QUICK else pytest.param(one, marks=pytest.mark.load) for one in STEPS[:-1]],
)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_an_apply_that_dies_or_stalls_blocks_the_box_no_longer_than_allowed(house, step, number):
    doomed, other = house.start(step, number), house.start()
    plan, second = other.plan(mode="Home 2"), other.plan(boiler="manual")
    doomed.say("apply", plan)
    assert doomed.hear() == ("at", step)
    if number == signal.SIGKILL:
        assert doomed.hear() is None
    begun = step not in BEFORE_THE_ENTRY
    # 1. Reserved by a process that is gone: nobody's. By one that stands still: for a minute.
    told = other.ask("apply", second)
    has_the_box = number == signal.SIGSTOP and step in BEFORE_THE_ENTRY[1:]
    if begun:
        assert told.startswith("change_in_progress"), told
    elif has_the_box:
        assert told.startswith("box_held"), told
        other.say("clocks", 0.0, LASTS)
        assert other.ask("apply", second) == "answered"
    else:
        assert told == "answered"
    # 2. Its plan is used from its entry on, and good until then, unless another change came first.
    again = other.ask("apply", plan)
    assert again.startswith("plan_used" if begun else "change_in_progress"), again
    # 3. One that goes on finds that the box is not its own, or ends what it has begun.
    if number == signal.SIGSTOP:
        late = doomed.go_on()
        assert late == "answered" if begun else late.startswith(("box_held", "change_in")), late
    # 4. Whatever was sent, once, keeps the box for a quarter of an hour.
    sent = house.written()
    assert max(sent.values(), default=0) <= 1
    assert sum(sent.values()) <= house.journal.latest(9)[0] == 1
    # 5. A clock that was set, either way, makes that no longer.
    other.say("clocks", -3600.0 if STEPS.index(step) % 2 else DEADLINE, DEADLINE)
    assert other.ask("apply", other.plan(charge_to_percent=90)) == "answered"
    assert kept(house.journal) == 0


def apply_after_the_deadline(other, **asked):
    other.say("clocks", DEADLINE + 1, DEADLINE + 1)
    assert other.ask("apply", other.plan(**asked)) == "answered"


@pytest.mark.parametrize("released", ["by time", "by an operator"])
def test_an_apply_stopped_after_its_entry_sends_nothing_once_its_box_was_released(house, released):
    doomed, other = house.start("written down", signal.SIGSTOP), house.start()
    doomed.say("apply", other.plan(mode="Home 2"))
    assert doomed.hear() == ("at", "written down")
    if released == "by time":
        apply_after_the_deadline(other, mode="Home 3")
    else:
        ((left,), count) = house.journal.latest(9)[::-1]
        assert count == 1
        assert house.journal.reservations.free_box(left.id, time.time())
    before = house.written()
    assert doomed.go_on().startswith("change_refused")
    assert house.written() == before
    (entry,) = [one for one in house.journal.latest(9)[1] if "Home 2" in one.after]
    assert (entry.outcome, entry.why) == ("refused", NOT_SENT)


def test_an_apply_stopped_between_its_requests_does_not_send_the_rest_after_another_apply(house):
    doomed, other = house.start("sent", signal.SIGSTOP), house.start()
    house.portal.set_box(DEMO_BOX, setup={"to_grid": 1, "feed_cap": 3000})
    doomed.say("apply", other.plan(export="on"))
    assert doomed.hear() == ("at", "sent")
    apply_after_the_deadline(other, mode="Home 3")
    before = house.written()
    assert doomed.go_on() == "unclear"
    assert house.written() == before


def test_one_plan_applied_by_several_processes_at_once_is_written_once(house):
    crowd = [house.start() for _ in range(4)]
    plan = crowd[0].plan(mode="Home 3")
    for worker in crowd:
        worker.say("apply", plan)
    told = [worker.hear() for worker in crowd]
    assert told.count("answered") == 1, told
    assert all(one.startswith(("answered", "box_held", "plan_used")) for one in told), told
    assert len(house.portal.writes()) == 1
    assert house.journal.latest(9)[0] == 1
    assert kept(house.journal) == 0


def test_what_a_killed_apply_left_survives_a_full_restart(portal):
    portal.reset()
    with running_cache() as cache, contextlib.closing(House(portal, cache.folder)) as house:
        doomed, other = house.start("sending"), house.start()
        plan, earlier = other.plan(mode="Home 2"), other.plan(boiler="manual")
        assert doomed.ask("apply", plan) == ("at", "sending")
        assert doomed.hear() is None
        (left,) = house.journal.latest(9)[1]
        assert (left.outcome, left.status(left.at + 1), left.box) == (None, "unclear", DEMO_BOX)

        def refuse(worker: Worker) -> None:
            assert worker.ask("apply", plan).startswith("plan_used")
            assert "one at a time" in worker.ask("apply", earlier)
            assert f"Change {left.id}" in worker.ask("plan", {"boiler": "manual"})

        refuse(other)
        cache.kill()
        refuse(house.start())
        assert portal.writes() == []


ROUNDS = 16


@pytest.mark.load
@pytest.mark.timeout(900)
def test_no_plan_is_written_twice_whatever_happens_to_many_concurrent_applies(portal):
    chance = random.Random(4711)
    for number in range(ROUNDS):
        portal.reset()
        with contextlib.ExitStack() as stack:
            with_daemon = number % 2
            folder = (
                stack.enter_context(running_cache()).folder
                if with_daemon
                else stack.enter_context(run_folder())
            )
            house = stack.enter_context(contextlib.closing(House(portal, folder)))
            planner = house.start()
            plans = [planner.plan(mode="Home 2"), planner.plan(boiler="manual")]
            crowd = [
                house.start(chance.choice(STEPS), chance.choice([signal.SIGKILL, signal.SIGSTOP]))
                for _ in range(5)
            ]
            for worker, plan in zip(crowd, itertools.cycle(plans), strict=False):
                worker.say("clocks", chance.choice([0, -3600, 250]), chance.choice([0, LASTS]))
                worker.say("apply", plan)
            for worker in chance.sample(crowd, len(crowd)):
                if isinstance(worker.hear(), tuple):
                    worker.go_on()
            assert max(house.written().values(), default=0) <= 1, number
            planner.say("clocks", 2 * DEADLINE, 2 * DEADLINE)
            last = planner.ask("plan", {"charge_to_percent": 90})
            assert last[0].startswith("plan_"), last
            assert planner.ask("apply", last) == "answered"
