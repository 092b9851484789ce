"""What is weighed: sessions in a cache daemon (and how fast it still is with many), and workers."""

from __future__ import annotations

import contextlib
import time

from .calls import LEGACY, MODERN, accounts
from .contest import logins
from .effort import Effort
from .filling import FILLING, VALUE_BYTES, fill
from .lookup import OURS, take_turns
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
    weights, peaks, resident = [], [], []
    settings = {**FILLING, "OIG_MAX_SESSIONS": str(effort.many)}
    with contextlib.ExitStack() as stack:
        small_dir = stack.enter_context(scratch())
        stack.enter_context(daemon(small_dir, **settings))
        fill(small_dir / "cache.sock", 0, effort.few)
        small = ("few", OURS, small_dir / "cache.sock", effort.few)
        for turn in range(effort.fills):
            with scratch() as big_dir, daemon(big_dir, **settings) as pid:
                path = big_dir / "cache.sock"
                # The first ones make it allocate what any number of them needs.
                fill(path, 0, effort.few)
                empty = resident_bytes(pid)
                fill(path, effort.few, effort.many)
                time.sleep(SETTLE)
                added = effort.many - effort.few
                weights.append((resident_bytes(pid) - empty) / added)
                peaks.append((peak_bytes(pid) - empty) / added)
                resident.append(resident_bytes(pid) / MB)
                if turn == effort.fills - 1:
                    big = ("many", OURS, path, effort.many)
                    many, few = take_turns([big, small], effort)
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
            values=weights,
            budget=WEIGHT,
            figures=[
                Figure("the daemon with all of them", "MB", resident),
                Figure("at its highest while filling, per session", "bytes", peaks),
            ],
            means="How much memory the daemon needs for each owner.",
        ),
    ]


def worker(effort: Effort) -> list[Line]:
    """Weigh systems with few and with more workers, when they are ready and after a load."""
    idle, loaded, bare = [], [], []
    for _ in range(effort.fills):
        with system(FEW, **FILLING) as few, system(MORE, **FILLING) as more:
            everybody = accounts(effort.accounts)
            idle.append(_further(few.served, more.served))
            for made in (few, more):
                for account in everybody:
                    made.portal.add(account)
                for revision in (MODERN, LEGACY):
                    asked = logins(made.served, revision, everybody)
                    verified(made.served.port, asked)
                    verified(made.served.port, asked * LOAD)
            loaded.append(_further(few.served, more.served))
            bare.append(shared_bytes(few.served.pids[FEW:]) / MB)
    return [
        Line(
            "memory (PSS) of each further worker, as it starts",
            unit="MB",
            values=idle,
            budget=IDLE,
            means="What one more worker needs, with what all workers share counted once.",
        ),
        Line(
            f"the same after {2 * LOAD * effort.accounts} calls of {effort.accounts} accounts",
            unit="MB",
            values=loaded,
            budget=LOADED,
            figures=[Figure("the cache daemon then", "MB", bare)],
            means="What it has grown to in use.",
        ),
    ]


def _further(few: Served, more: Served) -> float:
    weights = [shared_bytes(served.worker_pids) for served in (few, more)]
    return (weights[1] - weights[0]) / MB / (MORE - FEW)
