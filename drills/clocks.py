"""The machine's clock set by hours, and across both changes of daylight saving time."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .callers import Callers, Owner, called, code_of, owners
from .daemon_losses import daemon_pid
from .disks import tracebacks
from .drill import Drill, Extent, NotRun, Outcome
from .ground import SHARED, Ground
from .simulated_portal import running_portal
from .supervised import RunningSystem, prepared_system, started
from .waiting import wait_until
from .worker_losses import ready_pids

HOUR = 3600.0

STEPS = (-5.0, 0.0, 5.0, 0.0, 30.0, -30.0)
"""Hours between the clock of the processes and ours, one after the other. The first goes back: what
was read before is then of the future."""

LEAD = 8.0
"""Seconds before a change of daylight saving time at which the clock starts."""


@dataclass
class Clock:
    """The wall clock of a running system; its monotonic clock is the machine's.

    Args:
        file: Which libfaketime reads at each look at the clock.
    """

    file: Path
    offset: float = 0.0

    def set(self, offset: float) -> None:
        """Let it differ from the machine's by so many seconds."""
        self.offset = offset
        # Replaced at once: a look at a half-written file would be another time.
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{offset:+.0f}\n")
        fresh.replace(self.file)

    def now(self) -> float:
        """Return its time in seconds since 1970."""
        return time.time() + self.offset


@contextlib.contextmanager
def clocked_system(offset: float = 0.0, **settings: Any) -> Iterator[tuple[RunningSystem, Clock]]:
    """Give a running system with a clock that can be set.

    Raises:
        NotRun: libfaketime is not installed.
    """
    found = sorted(Path("/usr").glob("lib*/**/faketime/libfaketimeMT.so.1"))
    if not found:
        raise NotRun("libfaketime is not installed: apt install faketime")
    with prepared_system(workers=2, **{**SHARED, **settings}) as system:
        clock = Clock(system.project / "var" / "clock")
        clock.set(offset)
        system.environ |= {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(clock.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }
        with started(system):
            system.wait_ready()
            yield system, clock


def lock(system: RunningSystem, owner: Owner) -> None:
    """Guess until an account is locked."""
    for number in range(8):
        if code_of(called(system, owner.logging_in(f"no-{number}"), "check_auth")) == "locked":
            return
    raise AssertionError("wrong passwords lock nothing")


def stepped(_ground: Ground, extent: Extent) -> Outcome:
    """Set the clock by hours both ways under callers, and kill a worker or the daemon each time."""
    failures: list[str] = []
    with (
        # The portal has a clock of its own.
        running_portal() as portal,
        clocked_system(OIG_PORTAL_URL=portal.base_url, OIG_LOCK_FIRST="600") as (system, clock),
    ):
        *settled, locked = owners(system, "stepped", 5)
        lock(system, locked)
        summary = ""
        for number, hours in enumerate((0.0, *STEPS[: extent.times])):
            clock.set(hours * HOUR)
            with Callers(system, settled, extent.callers, fresh=True, clock=clock.now) as callers:
                callers.wait_for(4 * extent.callers)
                if number % 2:
                    os.kill(daemon_pid(system), signal.SIGKILL)
                    daemon_pid(system)
                callers.wait_for(4 * extent.callers)
            if not callers.flawless:
                failures.append(f"at {hours:+.0f} h: {callers.summary()}")
            summary = callers.summary()
            os.kill(ready_pids(system)[0], signal.SIGKILL)
            wait_until("both workers serve", lambda: len(ready_pids(system)) == system.workers)
            if (code := code_of(called(system, locked.authorization, "check_auth"))) != "locked":
                failures.append(f"at {hours:+.0f} h a lock of ten minutes is {code or 'open'}")
        made = portal.logins()["attempts"]
        failures += tracebacks(system)
    told = "; ".join(failures) or f"sessions and locks last as long as they should; {summary}"
    return Outcome(not failures, f"{told}; {made} logins", f"{extent.times} steps")


def _energy(system: RunningSystem, owner: Owner, day: str, per: str) -> list[Any]:
    result = called(system, owner.authorization, "get_energy", first_day=day, last_day=day, per=per)
    assert code_of(result) is None, result
    rows: list[Any] = result["structuredContent"]["rows"]
    return rows


def _across(change: datetime, hours: int, extent: Extent) -> list[str]:
    """Let the clock run across a change; return what is wrong."""
    failures: list[str] = []
    begin = change - timedelta(seconds=LEAD)
    day = change.date().isoformat()
    with clocked_system(begin.timestamp() - time.time()) as (system, clock):
        settled = owners(system, "changed", 2)
        with Callers(system, settled, extent.callers, fresh=True, clock=clock.now) as callers:
            wait_until("the change", lambda: clock.now() > change.timestamp() + 3.0)
            callers.wait_for(2 * extent.callers)
        if not callers.flawless:
            failures.append(f"{day}: {callers.summary()}")
        clock.set(clock.offset + 36 * HOUR)
        rows = _energy(system, settled[0], day, "hour")
        if len(rows) != hours:
            failures.append(f"{day} has {len(rows)} hours")
        failures += tracebacks(system)
    return failures


def changed(_ground: Ground, extent: Extent) -> Outcome:
    """Let callers call across both changes of Prague's clock."""
    spring, autumn = datetime(2027, 3, 28, 1, tzinfo=UTC), datetime(2027, 10, 31, 1, tzinfo=UTC)
    failures = [*_across(spring, 23, extent), *_across(autumn, 25, extent)]
    told = "; ".join(failures) or "every answer of its time; energy of 23 and of 25 hours"
    return Outcome(not failures, told, "2 changes")


DRILLS = (
    Drill(
        "clock-steps",
        "the wall clock is set by up to 30 hours both ways under callers; daemon and workers are "
        "killed after each step",
        "0 wrong answers, 0 failed calls; sessions and locks neither end nor last longer",
        Extent(times=len(STEPS), callers=4),
        Extent(times=1, callers=2),
        stepped,
        load=True,
    ),
    Drill(
        "daylight-saving",
        "the wall clock runs across both changes of Prague's time under callers",
        "0 wrong answers, 0 failed calls; energy by hour of days with 23 and 25 hours",
        Extent(callers=4),
        Extent(callers=2),
        changed,
        load=True,
    ),
)
