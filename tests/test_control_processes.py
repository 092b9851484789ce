"""Applies over several processes: killed at the worst moment, and all at once."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import pytest

from server.records.journal import Journal
from server.settings.places import ROOT

from .cache_process import running_cache
from .portal_simulator import DEMO_BOX, running_portal

PATIENCE = 60.0


@pytest.fixture(scope="module")
def running():
    with running_portal() as portal, running_cache() as cache:
        yield portal, cache


class Workers:
    """Worker processes over one daemon, one journal and one portal."""

    def __init__(self, portal, cache) -> None:
        self.portal = portal
        self.path = cache.folder / "journal.db"
        self.journal = Journal(self.path)
        self.environment = {
            "PATH": os.environ["PATH"],
            "OIG_RUN_DIR": str(cache.folder),
            "OIG_PORTAL_URL": portal.base_url,
            "OIG_JOURNAL": str(self.path),
        }
        self._stack = contextlib.ExitStack()

    def start(self, how: str = "never") -> Worker:
        return self._stack.enter_context(Worker(how, self.environment))

    def close(self) -> None:
        self._stack.close()


class Worker:
    def __init__(self, how: str, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.control_worker", how],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.hear() == "ready"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.stdout.close()

    def hear(self) -> str | None:
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def ask(self, **order: object) -> str | None:
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self.hear()

    def plan(self, **asked: object) -> list[str]:
        """Return what an apply takes of the plan."""
        told = self.ask(plan=asked)
        assert told[0].startswith("plan_"), told
        return told


@pytest.fixture
def workers(running):
    portal, cache = running
    portal.reset()
    forget(cache)
    workers = Workers(portal, cache)
    yield workers
    workers.close()


def forget(cache) -> None:
    """Start each test with a daemon that holds nothing."""
    from server.cache.blocking import BlockingClient

    with BlockingClient(cache.path, PATIENCE) as daemon:
        daemon.call("flush", "all", None)
    (cache.folder / "journal.db").unlink(missing_ok=True)


@pytest.mark.parametrize(("how", "written"), [("before", 0), ("after", 1)])
def test_a_worker_killed_around_the_write_leaves_it_unclear_and_the_plan_used(
    running, how, written
):
    # A daemon of its own: the hold that is left behind lasts some minutes.
    portal, _ = running
    portal.reset()
    with running_cache() as cache, contextlib.closing(Workers(portal, cache)) as workers:
        doomed, other = workers.start(how), workers.start()
        plan, earlier = other.plan(mode="Home 2"), other.plan(boiler="manual")
        assert doomed.ask(apply=plan) is None
        assert doomed.process.wait(PATIENCE) == -9
        (left,) = workers.journal.latest(9)[1]
        assert (left.outcome, left.status(left.at + 1)) == (None, "unclear")
        assert left.box == DEMO_BOX
        assert "used already" in other.ask(apply=plan)
        assert "one at a time" in other.ask(apply=earlier)
        assert f"Change {left.id}" in other.ask(plan={"boiler": "manual"})
        assert len(portal.writes()) == written

        # After everything restarted, the change is under way and the plan is used still.
        cache.kill()
        with running_cache(cache.folder):
            fresh = workers.start()
            assert "used already" in fresh.ask(apply=plan)
            assert "one at a time" in fresh.ask(apply=earlier)
            assert f"Change {left.id}" in fresh.ask(plan={"boiler": "manual"})
        assert len(portal.writes()) == written
        assert len(workers.journal.latest(9)[1]) == 1


def test_one_plan_applied_by_several_processes_at_once_is_written_once(workers):
    crowd = [workers.start() for _ in range(3)]
    plan = crowd[0].plan(mode="Home 3")
    with ThreadPoolExecutor(len(crowd)) as pool:
        told = list(pool.map(lambda worker: worker.ask(apply=plan), crowd))
    assert told.count("answered") == 1, told
    assert all(one == "answered" or one.startswith("ChangeRefused") for one in told)
    assert len(workers.portal.writes()) == 1
    assert workers.journal.latest(9)[0] == 1
