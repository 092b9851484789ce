"""Cached `check_auth` over HTTP, against the same SDK with a dict and against FastMCP 1."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .calls import LEGACY, MODERN, call, check_auth
from .effort import Effort
from .processes import ask
from .result import Budget, Figure, Line, WrongAnswer, ratios
from .rivals.start import fastmcp1, old_sdk, sdk_app
from .system import Served, system

CONNECTIONS = 16
SETTLE = 64
"""Answers at the begin of each turn that do not count: four on each connection."""

EXPECTED = "session_from_cache"
EXPECTED_LIVE = '"source":"cached"'

AGAINST_SDK = Budget("at least", 0.85)
AGAINST_FASTMCP1 = Budget("at least", 3.0)
TAIL = Budget("at most", 4.0)


@dataclass(slots=True)
class Runs:
    """All runs of one contestant with one kind of request.

    Attributes:
        cpu: Processor time of all processes per request, in seconds.
        storage: That of processes that are no workers.
    """

    who: str
    rates: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    storage: list[float] = field(default_factory=list)
    busiest: list[float] = field(default_factory=list)

    def figures(self) -> list[Figure]:
        """Return what a reader wants to see of them."""
        return [
            Figure(f"{self.who}: throughput", "requests/s", self.rates),
            Figure(f"{self.who}: p50", "ms", [1e3 * each for each in self.p50]),
            Figure(f"{self.who}: p99", "ms", [1e3 * each for each in self.p99]),
            Figure(f"{self.who}: processor time", "us/request", [1e6 * each for each in self.cpu]),
            Figure(f"{self.who}: share of the busiest worker", "%", self.busiest),
        ]


def request_to(served: Served, revision: str) -> bytes:
    """Return the request that is sent again and again."""
    if served.handle is None:
        return check_auth(revision, served.port, authorization=served.authorization)
    return call(revision, served.port, "get_live_data", {"session": served.handle})


def load(contestants: Sequence[Served], revision: str, effort: Effort) -> list[dict[str, Any]]:
    """Let contestants take turns under load once; returns the generator's result of each.

    Raises:
        WrongAnswer: An answer was not a hit in the cache.
    """
    job = {
        "contestants": [
            {
                "port": served.port,
                "request": request_to(served, revision).decode("latin-1"),
                "expected": EXPECTED if served.handle is None else EXPECTED_LIVE,
                "pids": served.pids,
                "connections": CONNECTIONS,
            }
            for served in contestants
        ],
        "warm_up": effort.warm_up,
        "turns": effort.turns,
        "settle": SETTLE,
        "count": effort.requests,
        "seconds": effort.seconds,
    }
    results: list[dict[str, Any]] = ask(
        "generator", job, (effort.turns + 1) * len(contestants) * effort.seconds
    )
    for result in results:
        if result["wrong"] or not result["counted"]:
            raise WrongAnswer(f"{result['wrong']} of {result['counted']}: {result['sample']}")
    return results


def take_turns(
    contestants: Sequence[tuple[str, Served]], revision: str, effort: Effort
) -> list[Runs]:
    """Measure all contestants, over new connections in each repetition."""
    runs = [Runs(who) for who, _ in contestants]
    for _ in range(effort.pairs):
        results = load([served for _, served in contestants], revision, effort)
        for run, (_, served), result in zip(runs, contestants, results, strict=True):
            run.rates.append(result["rate"])
            run.p50.append(result["p50"])
            run.p99.append(result["p99"])
            run.cpu.append(sum(result["cpu"]))
            workers = result["cpu"][: len(served.worker_pids)]
            run.storage.append(sum(result["cpu"][len(workers) :]))
            run.busiest.append(100 * max(workers) / max(sum(workers), 1e-9))
    return runs


def against_sdk(effort: Effort) -> list[Line]:
    """Measure against the plain SDK app, with requests of two protocol revisions."""
    lines = []
    with system() as ours, sdk_app() as rival:
        for revision in (LEGACY, MODERN):
            mine, theirs = take_turns([("ours", ours.served), ("SDK app", rival)], revision, effort)
            lines += [
                Line(
                    f"throughput of ours / of the SDK app with a dict, {revision}",
                    values=ratios(mine.rates, theirs.rates),
                    budget=AGAINST_SDK,
                    figures=[*mine.figures(), *theirs.figures()],
                ),
                Line(
                    f"p99 / p50 of ours at {CONNECTIONS} connections, {revision}",
                    values=ratios(mine.p99, mine.p50),
                    budget=TAIL,
                ),
                Line(
                    f"p99 / p50 of the SDK app, {revision}", values=ratios(theirs.p99, theirs.p50)
                ),
                Line(
                    f"processor time per request of ours / of the SDK app, {revision}",
                    values=ratios(mine.cpu, theirs.cpu),
                ),
            ]
    return lines


def against_fastmcp1(effort: Effort) -> list[Line]:
    """Measure against one process of FastMCP 1, with its own server and with a faster one."""
    python = old_sdk()
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(system()).served
        plain = stack.enter_context(fastmcp1(python))
        tuned = stack.enter_context(fastmcp1(python, "uvloop", "httptools"))
        mine, theirs, faster = take_turns(
            [("ours", ours), ("FastMCP 1", plain), ("FastMCP 1 with uvloop, httptools", tuned)],
            LEGACY,
            effort,
        )
    return [
        Line(
            f"throughput of ours / of one FastMCP 1 process with a dict, {LEGACY}",
            values=ratios(mine.rates, theirs.rates),
            budget=AGAINST_FASTMCP1,
            figures=[*mine.figures(), *theirs.figures(), *faster.figures()],
        ),
        Line(
            f"the same with uvloop and httptools under FastMCP 1, {LEGACY}",
            values=ratios(mine.rates, faster.rates),
        ),
    ]
