"""What is weighed: sessions in a cache daemon (and how fast it still is with many), and workers."""

from __future__ import annotations

import time

from .calls import LEGACY, MODERN, accounts
from .contest import logins
from .effort import Effort
from .filling import FILLING, VALUE_BYTES, fill
from .lookup import our_client, take_turns
from .processes import peak_bytes, resident_bytes, shared_bytes
from .result import Budget, Figure, Line, ratios
from .system import Served, daemon, scratch, system
from .verifying import verified

SLOWER = Budget("at most", 1.2)
WEIGHT = Budget("at most", 800.0)
IDLE = Budget("at most", 65.0)
LOADED = Budget("at most", 72.0)

FEW, MORE = 2, 4
"""Workers of the two systems whose difference is what each further worker takes."""

LOAD = 5
"""How often each account calls before the second weighing, in each revision."""

MB = 1e6

SETTLE = 2.0
"""Seconds from the last store to the scales: what the disk needs meanwhile is given back."""


def many_sessions(effort: Effort) -> list[Line]:
    """Measure look-ups in a big and in a small cache, and weigh the big one."""
    settings = {**FILLING, "OIG_MAX_SESSIONS": str(effort.many)}
    with (
        scratch() as small_dir,
        scratch() as big_dir,
        daemon(small_dir, **settings),
        daemon(big_dir, **settings) as pid,
    ):
        small, big = (folder / "cache.sock" for folder in (small_dir, big_dir))
        fill(small, 0, effort.few)
        # The first ones make it allocate what any number of them needs.
        fill(big, 0, effort.few)
        empty = resident_bytes(pid)
        # Once: what a session weighs differs by less than a hundredth from one filling to another.
        fill(big, effort.few, effort.many)
        time.sleep(SETTLE)
        added = effort.many - effort.few
        resident = resident_bytes(pid)
        weight, peak = ((each - empty) / added for each in (resident, peak_bytes(pid)))
        clients = [our_client(big, effort.many, "many"), our_client(small, effort.few, "few")]
        many, few = take_turns(clients, effort)
    return [
        Line(
            f"time of a look-up with {effort.many} sessions held / with {effort.few}",
            values=ratios(many.p50, few.p50),
            budget=SLOWER,
            figures=[many.times(), few.times()],
            means="Calls are as fast with many owners as with few.",
        ),
        Line(
            f"daemon memory per session of {VALUE_BYTES} bytes, {effort.many} held",
            unit="bytes",
            values=[weight],
            budget=WEIGHT,
            figures=[
                Figure("the daemon with all of them", "MB", [resident / MB]),
                Figure("at its highest while filling, per session", "bytes", [peak]),
            ],
            means="How much memory the daemon needs for each owner.",
        ),
    ]


def worker(effort: Effort) -> list[Line]:
    """Weigh systems with few and with more workers, when they are ready and after a load."""
    with system(FEW, **FILLING) as few, system(MORE, **FILLING) as more:
        everybody = accounts(effort.accounts)
        # Once: between two systems of a kind it differs by less than a hundredth.
        idle = _further(few.served, more.served)
        for made in (few, more):
            for account in everybody:
                made.portal.add(account)
            for revision in (MODERN, LEGACY):
                asked = logins(made.served, revision, everybody)
                verified(made.served.port, asked)
                verified(made.served.port, asked * LOAD)
        loaded = _further(few.served, more.served)
        bare = shared_bytes(few.served.pids[FEW:]) / MB
    return [
        Line(
            "memory (PSS) of each further worker, as it starts",
            unit="MB",
            values=[idle],
            budget=IDLE,
            means="What one more worker needs, with what all workers share counted once.",
        ),
        Line(
            f"the same after {2 * LOAD * effort.accounts} calls of {effort.accounts} accounts",
            unit="MB",
            values=[loaded],
            budget=LOADED,
            figures=[Figure("the cache daemon then", "MB", [bare])],
            means="What it has grown to in use.",
        ),
    ]


def _further(few: Served, more: Served) -> float:
    weights = [shared_bytes(served.worker_pids) for served in (few, more)]
    return (weights[1] - weights[0]) / MB / (MORE - FEW)
