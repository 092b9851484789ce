"""Everything killed at once: what was reported as stored is there afterwards."""

from __future__ import annotations

import contextlib
import functools
import http.client
import itertools
import os
import random
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import psutil

from .callers import owners
from .drill import Drill, Extent, Outcome
from .ground import Ground
from .promises import Promises
from .simulated_portal import running_portal
from .supervised import alive, family, prepared_system, started
from .waiting import PATIENCE, wait_until

SESSIONS = "sessions.db"

SETTINGS: dict[str, Any] = {
    "OIG_CALLS_PER_MINUTE": "0",
    "OIG_LOGINS_PER_SECOND": "1000",
    "OIG_LOGIN_BURST": "1000",
    "OIG_WRONG_ACCOUNTS_PER_SOURCE": "0",
    "OIG_LOCK_FIRST": "600",
    "OIG_CONTROL": "on",
}

LONGEST = 3.0
"""Seconds after which everything is killed at the next report, once each kind was reported."""

SYNC_MILLISECONDS = 60
"""How long each sync takes. What a report does not wait for is not written meanwhile, since writes
wait for the sync before them, and is lost then. Two of them are well below the time for which an
answer waits for the disk."""


SESSION_CALLERS = 3
"""How many log in all the time, so that a sync is nearly always under way."""


def slowed(folder: Path) -> tuple[str, ...]:
    """Return the command under which the syncs of the sessions are slow; none without strace."""
    if shutil.which("strace") is None:
        return ()
    syncs = "fsync,fdatasync"
    # As in sync_order.py. All else goes on without a stop.
    return (
        *("strace", "-D", "-f", "--seccomp-bpf", "-o", os.devnull),
        *("-P", str(folder / f"{SESSIONS}-wal"), "-e", f"trace={syncs}"),
        *("-e", f"inject={syncs}:delay_enter={SYNC_MILLISECONDS}ms"),
    )


def cut_at_report(
    supervisord: subprocess.Popen[bytes], daemon: int, reports: Callable[[], int]
) -> None:
    """Kill everybody as soon as something more is reported, the daemon first."""
    everybody = sorted(family(supervisord.pid), key=lambda process: process.pid != daemon)
    before, deadline = reports(), time.monotonic() + PATIENCE
    while reports() == before and time.monotonic() < deadline:
        time.sleep(0.0005)  # sooner than the row of a report is written
    cut(supervisord, everybody)


def cut(supervisord: subprocess.Popen[bytes], everybody: list[psutil.Process]) -> None:
    """Kill supervisord and everything below it, before any of them can tell another."""
    for act in (psutil.Process.suspend, psutil.Process.kill):
        for process in everybody:
            with contextlib.suppress(psutil.NoSuchProcess):
                act(process)
    supervisord.wait(PATIENCE)
    wait_until("all are gone", lambda: not alive(everybody))


def until_cut(work: Callable[[], Any], failures: list[str], gone: threading.Event) -> None:
    """Make promises until there is nobody who makes them."""
    while not gone.is_set():
        try:
            work()
        except (OSError, http.client.HTTPException, httpx2.TransportError):
            if gone.wait(0.05):
                return
        except (AssertionError, httpx2.HTTPStatusError) as exc:
            failures.append(str(exc))
            return


def cut_repeatedly(_ground: Ground, extent: Extent) -> Outcome:
    """Kill everything at once while it reports changes, start it again, and ask for all of them."""
    failures: list[str] = []
    with contextlib.ExitStack() as stack:
        # The portal is not ours: it lives on, and with it the accounts and their sessions.
        portal = stack.enter_context(running_portal())
        system = stack.enter_context(prepared_system(**SETTINGS, OIG_PORTAL_URL=portal.base_url))
        through = slowed(system.run_dir)
        numbers = itertools.count()
        promises = Promises(system, lambda: owners(system, f"new-{next(numbers)}", 1)[0])
        asked = none = Promises(promises.system, promises.newcomer)
        for number in range(extent.times):
            with started(system, through) as supervisord:
                system.wait_ready()
                # Those of rounds before the last are asked for at the end, with all others.
                failures += promises.besides(asked).broken(_attempts(portal.state()))
                asked = promises.besides(none)
                gone = threading.Event()
                threads = [
                    threading.Thread(target=until_cut, args=(work, failures, gone))
                    for work in (
                        *(promises.open_session,) * SESSION_CALLERS,
                        *(promises.end_session, promises.lock),
                        *(promises.change, promises.connect, promises.disconnect),
                    )
                ]
                for thread in threads:
                    thread.start()
                try:
                    wait_until("answers of all kinds", functools.partial(_more, promises, number))
                    time.sleep(random.uniform(0.0, LONGEST))
                    cut_at_report(supervisord, system.pid("cache"), promises.sessions)
                finally:
                    cut(supervisord, family(supervisord.pid))
                    gone.set()
                    for thread in threads:
                        thread.join(PATIENCE)
        with started(system):
            system.wait_ready()
            failures += promises.broken(_attempts(portal.state()))
    told = (
        f"{len(promises.handles)} sessions, {len(promises.locked)} locks, "
        f"{len(promises.changes)} changes, {len(promises.grants)} grants, and "
        f"{len(promises.ended_handles) + len(promises.ended_grants)} that were ended"
    )
    return Outcome(
        not failures,
        f"{len(failures)} broken promises of {told}{''.join(f'; {one}' for one in failures[:3])}",
        f"{extent.times} times, {len(promises)} promises"
        f"{'' if through else '; syncs were not slowed: strace is not installed'}",
    )


def _more(promises: Promises, than: int) -> bool:
    return promises.fewest() > than


def _attempts(state: dict[str, Any]) -> dict[str, Any]:
    accounts: dict[str, Any] = state["logins"]["accounts"]
    return accounts


DRILLS = (
    Drill(
        "everything-killed",
        "supervisord, daemon and workers are killed (-9) at once, right after one of many reports, "
        f"while each sync takes {SYNC_MILLISECONDS} ms",
        "every session, lock, change and grant that was reported is there after the start, and "
        "nothing that was ended",
        Extent(times=10),
        Extent(times=1),
        cut_repeatedly,
        load=True,
    ),
)
