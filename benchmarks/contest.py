"""Contestants over HTTP, taking turns of a second; the order is reversed in every round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .calls import FROM_CACHE, LEGACY, Account, Question, check_auth
from .effort import Effort
from .progress import say
from .result import Figure, WrongAnswer
from .system import Served, scratch
from .verifying import verified
from .wrk import Turn, Wrk

CONNECTIONS = 16

TURN_SECONDS = 1
"""wrk takes whole seconds."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server, and what it is asked.

    Args:
        who: In the report.
        served: The server.
        questions: What it is asked, in turn.
        connections: How many ask at the same time.
        kept: Whether each connection asks one question alone, as of `Wrk`.
        may_fail: Whether the others go on without it when it answers wrong.
    """

    who: str
    served: Served
    questions: Sequence[Question]
    connections: int = CONNECTIONS
    kept: bool = False
    may_fail: bool = False


@dataclass(slots=True)
class Runs:
    """All turns of one contestant.

    Attributes:
        rates: Answers a second.
        p50: In seconds.
        p99: In seconds.
        cpu: Processor time of all processes per answer, in seconds.
        storage: That of processes that are no workers.
        workers: How many processes speak HTTP.
        busiest: Share of the busiest of these in their processor time, if there are several.
        failure: Why it left the contest; empty if it did not.
    """

    who: str
    workers: int = 1
    failure: str = ""
    rates: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    storage: list[float] = field(default_factory=list)
    busiest: list[float] = field(default_factory=list)

    def figures(self) -> list[Figure]:
        """Return what a reader wants to see of them."""
        figures = [
            Figure(f"{self.who}: throughput", "requests/s", self.rates),
            Figure(f"{self.who}: p50", "ms", [1e3 * each for each in self.p50]),
            Figure(f"{self.who}: p99", "ms", [1e3 * each for each in self.p99]),
        ]
        if any(self.cpu):
            microseconds = [1e6 * each for each in self.cpu]
            figures.append(Figure(f"{self.who}: processor time", "us/request", microseconds))
        if self.busiest:
            what = f"{self.who}: of that the busiest of {self.workers} workers"
            figures.append(Figure(what, "%", [100 * each for each in self.busiest]))
        return figures


def logins(
    served: Served, revision: str, accounts: Sequence[Account], *, by_header: bool = False
) -> list[Question]:
    """Return a call of `check_auth` for each account, which is to be answered from the cache.

    Args:
        served: Who will be asked.
        revision: Of the protocol.
        accounts: Who asks.
        by_header: Whether they log in by a header, not by arguments.
    """
    session = served.session if revision == LEGACY else None
    return [
        Question(
            check_auth(
                revision,
                served.port,
                None if by_header else account,
                account.basic if by_header else None,
                session,
            ),
            (FROM_CACHE, account.email.encode()),
        )
        for account in accounts
    ]


def take_turns(
    contestants: Sequence[Contestant], effort: Effort, *, rounds: int | None = None
) -> list[Runs]:
    """Measure all contestants. Their answers are verified before the first turn and after the last.

    Args:
        contestants: In the order of the first round.
        effort: How many rounds.
        rounds: How many, if not as many as that.

    Raises:
        NotMeasured: There is no wrk.
        WrongAnswer: An answer was wrong.
    """
    runs = [Runs(each.who, len(each.served.worker_pids)) for each in contestants]
    with scratch() as folder:
        order = []
        for each, run in zip(contestants, runs, strict=True):
            with _leaving(each, run):
                order.append((each, _load(each, folder), run))
        count = rounds or effort.rounds
        for number in range(1, count + 1):
            say(f"round {number} of {count}: {len(order)} contestants, {TURN_SECONDS} s each")
            for each, load, run in order:
                if not run.failure:
                    with _leaving(each, run):
                        add(run, load.turn(TURN_SECONDS))
            order.reverse()
        for each, _, run in order:
            if not run.failure:
                with _leaving(each, run):
                    verified(each.served.port, each.questions)
    return runs


@contextmanager
def _leaving(contestant: Contestant, run: Runs) -> Iterator[None]:
    """Let a contestant that answers wrong leave the contest, if it may."""
    try:
        yield
    except (WrongAnswer, OSError) as exc:  # a TimeoutError is an OSError
        if not contestant.may_fail:
            raise
        run.failure = f"{type(exc).__name__}: {exc}"


def _load(contestant: Contestant, folder: Path) -> Wrk:
    served = contestant.served
    return Wrk(
        served.port,
        [question.request for question in contestant.questions],
        served.pids,
        verified(served.port, contestant.questions),
        contestant.connections,
        kept=contestant.kept,
        folder=folder,
    )


def add(run: Runs, turn: Turn) -> None:
    """Add a turn to those of its contestant."""
    run.rates.append(turn.rate)
    run.p50.append(turn.p50)
    run.p99.append(turn.p99)
    run.cpu.append(sum(turn.cpu))
    workers, others = turn.cpu[: run.workers], turn.cpu[run.workers :]
    run.storage.append(sum(others))
    if len(workers) > 1 and any(workers):
        run.busiest.append(max(workers) / sum(workers))
