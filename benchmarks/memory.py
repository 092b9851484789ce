"""What is weighed: sessions in a cache daemon (and how fast it still is with many), and workers."""

from __future__ import annotations

import contextlib
import statistics
import time

from .calls import LEGACY
from .effort import Effort
from .filling import FILLING, VALUE_BYTES, fill
from .http import load
from .lookup import OURS, take_turns
from .processes import peak_bytes, resident_bytes
from .result import Budget, Figure, Line, ratios
from .rivals.start import sdk_app
from .system import daemon, scratch, system

SLOWER = Budget("at most", 1.2)
WEIGHT = Budget("at most", 1024.0)
WORKER = Budget("at most", 15.0)

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
        ),
    ]


def worker(effort: Effort) -> list[Line]:
    """Weigh workers after the same number of requests."""
    ours, theirs = [], []
    for _ in range(effort.fills):
        with system() as mine, sdk_app() as rival:
            load([mine.served, rival], LEGACY, effort)
            for served, weights in ((mine.served, ours), (rival, theirs)):
                weights.append(statistics.mean(map(resident_bytes, served.worker_pids)) / MB)
    return [
        Line(
            "memory of a worker of ours minus one of the SDK app",
            unit="MB",
            values=[mine - other for mine, other in zip(ours, theirs, strict=True)],
            budget=WORKER,
            figures=[Figure("ours", "MB", ours), Figure("SDK app", "MB", theirs)],
        )
    ]
