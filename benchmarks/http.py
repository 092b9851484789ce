"""Cached `check_auth` over HTTP, against the same SDK with a dict and against FastMCP 1."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from .calls import LEGACY, MODERN, check_auth
from .effort import Effort
from .processes import ask, cpu_seconds
from .result import Budget, Figure, Line, WrongAnswer, ratios
from .rivals.start import fastmcp1, old_sdk, sdk_app
from .system import Served, system

CONNECTIONS = 16
EXPECTED = "session_from_cache"

AGAINST_SDK = Budget("at least", 0.85)
AGAINST_FASTMCP1 = Budget("at least", 3.0)
TAIL = Budget("at most", 4.0)


@dataclass(slots=True)
class Runs:
    """All runs of one contestant with one kind of request."""

    who: str
    rates: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def figures(self) -> list[Figure]:
        """Return what a reader wants to see of them."""
        return [
            Figure(f"{self.who}: throughput", "requests/s", self.rates),
            Figure(f"{self.who}: p50", "ms", [1e3 * each for each in self.p50]),
            Figure(f"{self.who}: p99", "ms", [1e3 * each for each in self.p99]),
            Figure(f"{self.who}: processor time", "us/request", [1e6 * each for each in self.cpu]),
        ]


def load(served: Served, revision: str, effort: Effort) -> tuple[dict[str, float], float]:
    """Send one run of requests; returns the generator's result and the servers' time per request.

    Raises:
        WrongAnswer: An answer was not a hit in the cache.
    """
    before = cpu_seconds(served.pids)
    result = ask(
        "generator",
        {
            "port": served.port,
            "request": check_auth(revision, served.port).decode("latin-1"),
            "expected": EXPECTED,
            "connections": CONNECTIONS,
            "warm_up": effort.warm_up,
            "count": effort.requests,
            "seconds": effort.seconds,
        },
        effort.seconds,
    )
    if result["wrong"] or not result["counted"]:
        raise WrongAnswer(f"{result['wrong']} of {result['counted']}: {result['sample']}")
    return result, (cpu_seconds(served.pids) - before) / result["answers"]


def take_turns(
    contestants: Sequence[tuple[str, Served]], revision: str, effort: Effort
) -> list[Runs]:
    """Measure all contestants, one after the other, as often as there shall be pairs."""
    runs = [Runs(who) for who, _ in contestants]
    for _ in range(effort.pairs):
        for run, (_, served) in zip(runs, contestants, strict=True):
            result, cpu = load(served, revision, effort)
            run.rates.append(result["counted"] / result["seconds"])
            run.p50.append(result["p50"])
            run.p99.append(result["p99"])
            run.cpu.append(cpu)
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
    """Measure against one process of FastMCP 1, with what it brings and with a faster server."""
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
