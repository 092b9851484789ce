"""Finding a rival's fastest configuration: all run at once and take turns, then the two fastest."""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..calls import accounts
from ..contest import Contestant, Runs, logins, take_turns
from ..effort import Effort
from ..progress import say
from ..result import Figure, WrongAnswer
from ..system import Served
from .start import PROCESSES, Rival, Setup

FEW = 32
"""Accounts while searching."""

FINALISTS = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """What a rival runs with.

    Args:
        revision: Of the protocol.
        processes: How many.
        setup: Its configuration.
    """

    revision: str
    processes: int
    setup: Setup


@dataclass(frozen=True, slots=True)
class Best:
    """A rival's fastest configuration with one revision of the protocol.

    Args:
        rival: The rival.
        entry: The configuration, and with how many processes.
        tried: Rates of all that were tried.
    """

    rival: Rival
    entry: Entry
    tried: Sequence[Figure]

    @property
    def who(self) -> str:
        """Its name and how many processes, without the configuration that has won."""
        return of(self.rival, self.entry.processes)

    @property
    def name(self) -> str:
        """With the configuration that has won."""
        return f"{self.who} ({self.entry.setup})"


def of(rival: Rival, processes: int) -> str:
    """Name a rival with its processes."""
    return f"{rival.name}, {processes} process{'es' if processes > 1 else ''}"


class Started:
    """Servers of a rival, each started once and stopped with the stack.

    Args:
        rival: Whose.
        stack: Stops them.
    """

    def __init__(self, rival: Rival, stack: contextlib.ExitStack) -> None:
        self._rival, self._stack = rival, stack
        self._served: dict[tuple[Setup, int], Served] = {}

    def end(self) -> None:
        """Send SIGTERM to all, before the stack waits for one after the other."""
        for served in self._served.values():
            for pid in served.pids:
                with contextlib.suppress(ProcessLookupError):  # it has ended by itself
                    os.kill(pid, signal.SIGTERM)

    def served(self, entry: Entry) -> Served:
        """Return the server for an entry; both revisions are asked of the same one."""
        key = entry.setup, entry.processes
        if key not in self._served:
            self._served[key] = self._stack.enter_context(self._rival.start(*key))
        return self._served[key]


def best(rival: Rival, effort: Effort) -> list[Best]:
    """Try all configurations of a rival; return the fastest by revision and number of processes.

    First all take turns with one process each. The two fastest take further turns, which count
    together with those; so do the two fastest without sessions, with several processes.

    Raises:
        NotMeasured: It cannot be installed here, or there is no wrk.
        WrongAnswer: With some revision none of them answers right.
    """
    say(f"{rival.name}: looking for its fastest configurations")
    every = [
        Entry(revision, 1, setup) for revision, setups in rival.setups.items() for setup in setups
    ]
    with contextlib.ExitStack() as stack:
        started = Started(rival, stack)
        runs = _turns(rival, every, started, effort, effort.search)
        last = [
            Entry(revision, processes, entry.setup)
            for revision in rival.setups
            for processes in PROCESSES
            for entry in fastest(runs, revision, processes)[:FINALISTS]
        ]
        for entry, run in _turns(rival, last, started, effort, effort.finals).items():
            if entry in runs and not run.failure:
                runs[entry].rates.extend(run.rates)
            else:
                runs[entry] = run
        started.end()
    return [
        _winner(rival, revision, processes, runs, last)
        for revision in rival.setups
        for processes in PROCESSES
    ]


def _winner(
    rival: Rival, revision: str, processes: int, runs: Mapping[Entry, Runs], last: Sequence[Entry]
) -> Best:
    mine = {
        entry: run
        for entry, run in runs.items()
        if (entry.revision, entry.processes) == (revision, processes)
    }
    right = [entry for entry in last if entry in mine and not mine[entry].failure]
    if not right:
        why = (run.failure for entry, run in runs.items() if entry.revision == revision)
        raise WrongAnswer(next(filter(None, why)))
    tried = [Figure(run.who, "requests/s", run.rates) for run in mine.values() if run.rates]
    found = Best(rival, max(right, key=lambda entry: _rate(mine[entry])), tried)
    say(f"{found.name} is its fastest with {revision}")
    return found


def fastest(runs: Mapping[Entry, Runs], revision: str, processes: int) -> list[Entry]:
    """Return those entries that answer right, the fastest first.

    Args:
        runs: Their turns.
        revision: Only with this one.
        processes: How many are to run: several know no sessions.
    """
    right = [
        entry
        for entry, run in runs.items()
        if entry.revision == revision
        and not run.failure
        and not (processes > 1 and entry.setup.has_sessions)
    ]
    return sorted(right, key=lambda entry: _rate(runs[entry]), reverse=True)


def _rate(run: Runs) -> float:
    return statistics.median(run.rates)


def _turns(
    rival: Rival, entries: Sequence[Entry], started: Started, effort: Effort, rounds: int
) -> dict[Entry, Runs]:
    contestants = []
    for entry in entries:
        served = started.served(entry)
        who = f"tried: {of(rival, entry.processes)}, {entry.revision}, {entry.setup}"
        asked = logins(served, entry.revision, accounts(FEW))
        contestants.append(Contestant(who, served, asked, may_fail=True))
    return dict(zip(entries, take_turns(contestants, effort, rounds=rounds), strict=True))
