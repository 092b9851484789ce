"""The cache daemon killed or stopped under load: no caller may notice."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from server.cache.blocking import BlockingClient
from server.cache.loop_lateness import PERIOD
from server.supervision.supervisor_rpc import SupervisordError

from .callers import Callers, owners
from .drill import Drill, Extent, Outcome, counted
from .ground import Ground
from .supervised import RunningSystem
from .waiting import wait_until

HUNG = 0.5
"""Seconds that the daemon is stopped at once: longer than a worker waits for an answer of it."""


FLAWLESS = "0 wrong answers, 0 failed calls, and at most one login of each account and worker"


def logins(system: RunningSystem) -> int:
    """Return how many logins the portal has seen."""
    attempts: int = system.portal_state()["logins"]["total"]["attempts"]
    return attempts


def daemon_pid(system: RunningSystem) -> int:
    """Wait for the daemon to run, started at once if supervisord pauses; return its process id."""

    def running() -> int:
        with contextlib.suppress(SupervisordError):
            process = system.process("cache")
            system.start_now(process)
            return process.pid
        return 0

    pid: int = wait_until("the daemon runs", running)
    return pid


def loop_late(system: RunningSystem) -> float:
    """Return by how many seconds the daemon says that its event loop was late."""
    with BlockingClient(system.run_dir / "cache.sock") as client:
        (stats,) = client.call("stats", None)
    late: int = stats["loop_late_us"]
    return late / 1e6


def killed(ground: Ground, extent: Extent) -> Outcome:
    """Kill the daemon once a second under callers whose accounts are all logged in."""
    with ground.system() as system:
        accounts = owners(system, "killed", 8)
        kills = 0
        with Callers(system, accounts, extent.callers) as callers:
            callers.wait_for(4 * extent.callers)
            ends = time.monotonic() + extent.seconds
            while time.monotonic() < ends:
                os.kill(daemon_pid(system), signal.SIGKILL)
                kills += 1
                time.sleep(min(1.0, max(0.0, ends - time.monotonic())))
            daemon_pid(system)
            callers.wait_for(extent.callers)
        made = logins(system)
    return Outcome(
        callers.flawless and made <= system.workers * len(accounts),
        f"{callers.summary()}; {made} logins of {len(accounts)} accounts",
        f"{counted(kills, 'kill')} in {extent.seconds:.0f} s",
    )


def stopped(ground: Ground, extent: Extent) -> Outcome:
    """Stop the daemon (SIGSTOP) and let it go on, again and again, under the same callers."""
    with ground.system() as system:
        accounts = owners(system, "stopped", 8)
        pid = daemon_pid(system)
        with Callers(system, accounts, extent.callers) as callers:
            callers.wait_for(4 * extent.callers)
            for _ in range(extent.times):
                try:
                    os.kill(pid, signal.SIGSTOP)
                    callers.wait_for(2 * extent.callers)
                    time.sleep(HUNG)
                finally:
                    os.kill(pid, signal.SIGCONT)
                callers.wait_for(2 * extent.callers)
        late = loop_late(system)
        made = logins(system)
    return Outcome(
        callers.flawless and made <= system.workers * len(accounts) and late >= HUNG - PERIOD,
        f"{callers.summary()}; {made} logins of {len(accounts)} accounts; the daemon says it was "
        f"late by {late:.2f} s",
        counted(extent.times, "stop"),
    )


DRILLS = (
    Drill(
        "daemon-killed",
        "the daemon is killed (-9) every second under callers",
        FLAWLESS,
        Extent(seconds=60.0, callers=16),
        Extent(seconds=1.0, callers=4),
        killed,
    ),
    Drill(
        "daemon-stopped",
        "the daemon is stopped (SIGSTOP) and continued under callers",
        f"{FLAWLESS}; its statistics show how late its event loop was",
        Extent(times=10, callers=16),
        Extent(times=1, callers=4),
        stopped,
    ),
)
