"""Workers killed or restarted under load: what a caller may lose, and what none may."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time

from server.supervision.supervisor_rpc import SupervisordError
from server.supervision.workers import is_ready

from .callers import Callers, Lost, owners
from .drill import Drill, Extent, Outcome, counted
from .ground import Ground
from .supervised import RunningSystem
from .waiting import wait_until

RESTART = ("./start_server.sh", "--no-install", "--restart-workers")


def ready_pids(system: RunningSystem) -> list[int]:
    """Return the workers that serve; one whose next start supervisord puts off is started now."""
    found = []
    with contextlib.suppress(SupervisordError):
        for worker in system.control.processes("mcp"):
            system.start_now(worker)
            if is_ready(worker, system.run_dir / "ready"):
                found.append(worker.pid)
    return found


def unexplained(lost: list[Lost], kills: list[float]) -> list[Lost]:
    """Return the lost calls that were not under way when a worker was killed."""
    return [
        call for call in lost if not any(call.begun <= moment <= call.ended for moment in kills)
    ]


def killed(ground: Ground, extent: Extent) -> Outcome:
    """Kill one of the workers that serve, whichever, again and again."""
    kills: list[float] = []
    with ground.system() as system:
        accounts = owners(system, "bereft", 8)
        with Callers(system, accounts, extent.callers, fresh=True, retrying=True) as callers:
            callers.wait_for(2 * extent.callers)
            for _ in range(extent.times):
                serving = wait_until(
                    "both workers serve",
                    lambda: found if len(found := ready_pids(system)) == system.workers else None,
                )
                os.kill(random.choice(serving), signal.SIGKILL)
                kills.append(time.monotonic())
                callers.wait_for(2 * extent.callers)
        wait_until("both workers serve", lambda: len(ready_pids(system)) == system.workers)
    others = unexplained(callers.lost, kills)
    most = extent.callers * len(kills)
    return Outcome(
        not (callers.wrong or callers.refused or callers.never_answered or others)
        and len(callers.lost) <= most,
        f"{callers.never_answered} never answered, {len(others)} lost that were not under way at a "
        f"kill; {callers.summary()}",
        f"{len(callers.lost)} lost in {counted(len(kills), 'kill')}",
    )


def restarted(ground: Ground, extent: Extent) -> Outcome:
    """Restart all workers one at a time, twice, under calls with a connection each."""
    codes, said = [], ""
    with ground.system() as system:
        before = set(ready_pids(system))
        accounts = owners(system, "restarted", 8)
        with Callers(system, accounts, extent.callers, fresh=True) as callers:
            for number in range(2):
                done = system.run(*RESTART)
                codes.append(done.returncode)
                said += done.stdout + done.stderr
                part = extent.times * (number + 1) // 2
                callers.wait_for(part - callers.answered, 300.0)
        after = set(ready_pids(system))
    met = callers.flawless and codes == [0, 0] and not before & after
    return Outcome(met, f"{callers.summary()}{'' if codes == [0, 0] else said}", "2 restarts")


def restarted_together(ground: Ground, extent: Extent) -> Outcome:
    """Restart all workers at once with supervisorctl, which closes the port in between."""
    with ground.system() as system:
        accounts = owners(system, "refused", 8)
        gaps = []
        with Callers(system, accounts, extent.callers, fresh=True) as callers:
            for _ in range(extent.times):
                callers.wait_for(2 * extent.callers)
                begun = time.monotonic()
                system.supervisorctl("restart", "mcp:*")
                callers.wait_for(extent.callers)
                gaps.append(time.monotonic() - begun)
    met = not (callers.wrong or callers.refused)
    return Outcome(met, callers.summary(), f"served again after {max(gaps):.1f} s")


DRILLS = (
    Drill(
        "workers-killed",
        "a worker, chosen at random, is killed (-9) under callers while the other serves",
        "only calls under way on that worker are lost; callers that try again lose none",
        Extent(times=10, callers=16),
        Extent(times=1, callers=4),
        killed,
    ),
    Drill(
        "rolling-restarts",
        "all workers are restarted one at a time, twice, under calls on new connections",
        "0 of 10 000 calls fail",
        Extent(times=10_000, callers=16),
        Extent(times=50, callers=4),
        restarted,
        load=True,
    ),
    Drill(
        "workers-restarted-together",
        "`supervisorctl restart mcp:*` under calls on new connections",
        "a gap in which connections are refused, as documented; no wrong answer",
        Extent(times=3, callers=16),
        Extent(times=1, callers=4),
        restarted_together,
        load=True,
    ),
)
