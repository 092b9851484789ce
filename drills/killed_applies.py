"""Applies whose worker is killed at any moment: written once at most, and never a false report."""

from __future__ import annotations

import http.client
import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any, Final

from server.records.record import DEADLINE, LASTS

from .callers import LASTING, Owner, called, code_of, owners
from .drill import Drill, Extent, Outcome, counted
from .ground import Ground
from .supervised import RunningSystem
from .waiting import wait_until
from .worker_losses import ready_pids

LONGEST: Final = 1.6
"""Seconds that an apply takes on a quiet machine: its two requests are a second apart."""

MODE: Final = 1
"""Home 2, which no box of the portal begins with."""

BLOCKING: Final = {"change_in_progress": DEADLINE, "box_held": DEADLINE}
"""Codes of what is refused because of another change, and for how long, in seconds, it may be."""


def _applied(system: RunningSystem, owner: Owner, plan: dict[str, Any]) -> str:
    """Apply; return the code of the failure, `done`, or `lost` when the worker was killed."""
    given = {name: plan[name] for name in ("box_id", "change", "plan_token")}
    try:
        return code_of(called(system, owner.authorization, "apply_change", **given)) or "done"
    except (OSError, http.client.HTTPException):
        return "lost"


def _planned(system: RunningSystem, owner: Owner) -> dict[str, Any]:
    found = called(system, owner.authorization, "plan_change", mode="Home 2")
    plan: dict[str, Any] = found["structuredContent"]
    return plan


def _judged(
    system: RunningSystem, owner: Owner, plan: dict[str, Any], first: str
) -> tuple[list[str], str]:
    """Return what is wrong with an apply that is over, and what its change came to."""
    wrong = []
    again = _applied(system, owner, plan)
    writes = system.portal("GET", "_admin/writes")["writes"]
    mine = [one for one in writes if one["sent"].get("id_device") == owner.box]
    if len(mine) > 1:
        wrong.append(f"{len(mine)} writes of one plan")
    # 1. Its entry was made: it is used. 2. It was not: the plan was good for the second apply.
    if again not in {"plan_used", "done", "box_held"}:
        wrong.append(f"a second apply got {again}")
    if again == "done" and first == "done":
        wrong.append("one plan was applied twice")
    if not mine and again == "done":
        wrong.append("an apply without a write is done")
    found = called(system, owner.authorization, "get_change", change_id=plan["change_id"])
    code = code_of(found)
    status = code or found["structuredContent"]["status"]
    made = system.portal("GET", f"_admin/truth?box={owner.box}")["mode"] == MODE
    if status == "applied" and not made:
        wrong.append("applied, it says of what was not made")
    if status in {"failed", "change_unknown"} and mine:
        wrong.append(f"{status}, it says of what was sent")
    other = called(system, owner.authorization, "plan_change", boiler="manual")
    blocked = code_of(other)
    if blocked is not None:
        most = BLOCKING.get(blocked)
        waits = other["_meta"]["cz.oig-cloud-mcp/error"].get("retry_after_s", 0)
        if most is None or waits > most:
            wrong.append(f"another plan gets {blocked} for {waits} s")
    return [f"{owner.email}: {one}" for one in wrong], f"{status}{'' if mine else ', unsent'}"


def killed_applies(ground: Ground, extent: Extent) -> Outcome:
    """Kill a worker at a random moment of some applies, again and again."""
    chance = Random(5)
    wrong: list[str] = []
    told, ended = Counter[str](), Counter[str]()
    with ground.system() as system, ThreadPoolExecutor(extent.callers) as pool:
        system.portal("POST", "_admin/switches", {"delay": 0})
        accounts = owners(system, "applying", extent.times * extent.callers)
        for number in range(extent.times):
            some = accounts[number * extent.callers : (number + 1) * extent.callers]
            plans = list(pool.map(lambda owner: _planned(system, owner), some))
            serving = wait_until(
                "both workers serve",
                lambda: found if len(found := ready_pids(system)) == system.workers else None,
            )
            begun = [
                pool.submit(_applied, system, owner, plan)
                for owner, plan in zip(some, plans, strict=True)
            ]
            time.sleep(chance.uniform(0.0, LONGEST))
            for pid in serving if number % 4 == 3 else [chance.choice(serving)]:
                os.kill(pid, signal.SIGKILL)
            codes = [one.result() for one in begun]
            told.update(codes)
            wait_until("a worker serves", lambda: ready_pids(system))
            time.sleep(LASTING)
            for judged, status in pool.map(
                lambda one: _judged(system, *one), zip(some, plans, codes, strict=True)
            ):
                wrong += judged
                ended[status] += 1
        wait_until("both workers serve", lambda: len(ready_pids(system)) == system.workers)
    lost = f"{told['lost']} cut off, {told['done']} answered"
    ends = ", ".join(f"{count} {what}" for what, count in ended.most_common())
    return Outcome(
        not wrong and told["lost"] > 0,
        f"{wrong[0] if wrong else '0 wrong'}; {lost}; then {ends}",
        f"{len(accounts)} applies, {counted(extent.times, 'kill')}",
    )


DRILLS = (
    Drill(
        "applies-killed",
        "a worker, every fourth time both, is killed (-9) at a random moment of an apply",
        f"no plan is written twice, get_change tells the truth, and no box is blocked for longer "
        f"than {DEADLINE / 60:.0f} min, or {LASTS:.0f} s while nothing was sent",
        Extent(times=15, callers=4),
        Extent(times=1, callers=4),
        killed_applies,
        load=True,
    ),
)
