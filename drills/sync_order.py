"""The order of system calls: what an answer reports is on the disk before the answer leaves."""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from server.state.limits import Policy

from .callers import owners
from .drill import Drill, Extent, NotRun, Outcome
from .ground import Ground
from .power_cuts import SETTINGS
from .promises import Promises
from .simulated_portal import running_portal
from .supervised import prepared_system, started

TRACED = "fsync,fdatasync,read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg"

BEGUN = re.compile(r"^(\d+) +f(?:data)?sync\(\d+<([^>]*)>(.*)$")
RESUMED = re.compile(r"^(\d+) +<\.\.\. f(?:data)?sync resumed>.*= 0")
REQUEST = re.compile(r'"POST /(mcp|authorize|token|revoke) HTTP/1\.1')
ANSWER = re.compile(r'^\d+ +(?:write|writev|sendto|sendmsg)\(\d+<TCP.*"HTTP/1\.1 ')

POLICY = Policy()

SESSIONS, JOURNAL, GRANTS = "sessions.db", "journal.db", "grants.db"


@dataclass
class Exchange:
    """A request, and which files were synced between its arrival and its answer.

    Args:
        path: Of the request.
        synced: Names of the files.
        answered: Whether its answer has been sent.
    """

    path: str
    synced: set[str] = field(default_factory=set)
    answered: bool = False


def exchanges(lines: Iterator[str]) -> list[Exchange]:
    """Return the exchanges that a trace shows; they do not overlap, since one caller makes them."""
    found: list[Exchange] = []
    under_way: dict[str, str] = {}
    for line in lines:
        if begun := BEGUN.match(line):
            pid, path, rest = begun.groups()
            if rest.endswith("<unfinished ...>"):
                under_way[pid] = path
            elif rest.endswith("= 0"):
                _note(found, path)
        elif resumed := RESUMED.match(line):
            _note(found, under_way.pop(resumed[1], ""))
        elif request := REQUEST.search(line):
            found.append(Exchange(request[1]))
        elif ANSWER.match(line) and found:
            found[-1].answered = True
    return found


def _note(found: list[Exchange], path: str) -> None:
    # What is synced after the answer is too late for it.
    if found and not found[-1].answered:
        found[-1].synced.add(Path(path).name.removesuffix("-wal"))


@contextlib.contextmanager
def traced(folder: Path) -> Iterator[tuple[Promises, Path]]:
    """Run a system under strace; give who makes it promise, and the trace."""
    trace = folder / "trace"
    # -D leaves supervisord our child: strace itself would not stop on a signal.
    through = ("strace", "-D", "-f", "-yy", "-s", "64", "-e", f"trace={TRACED}", "-o", str(trace))
    with (
        running_portal() as portal,
        prepared_system(**SETTINGS, OIG_PORTAL_URL=portal.base_url) as system,
        started(system, through),
    ):
        system.wait_ready()
        numbers = itertools.count()
        yield Promises(system, lambda: owners(system, f"traced-{next(numbers)}", 1)[0]), trace


def in_order(ground: Ground, extent: Extent) -> Outcome:
    """Let a system report changes of all kinds one at a time, and read the trace."""
    if shutil.which("strace") is None:
        raise NotRun("strace is not installed: apt install strace")
    expected: list[str] = []
    with ground.folder() as folder:
        with traced(folder) as (promises, trace):
            for _ in range(extent.times):
                promises.open_session()
                promises.end_session()
                promises.change()
                promises.disconnect()
                promises.lock()
                expected += [SESSIONS, SESSIONS, SESSIONS, "", JOURNAL, GRANTS, GRANTS, GRANTS]
                # Each wrong password is counted on the disk; the next one finds the lock there.
                expected += [*[SESSIONS] * POLICY.per_source, ""]
        with trace.open(errors="replace") as lines:
            seen = exchanges(lines)
    late = [
        f"{exchange.path} before {file}"
        for exchange, file in zip(seen, expected, strict=False)
        if file and file not in exchange.synced
    ]
    reported = sum(map(bool, expected))
    met = not late and len(seen) == len(expected) and all(one.answered for one in seen)
    return Outcome(
        met,
        f"{len(late)} answers before the sync{''.join(f'; {one}' for one in late[:3])}, "
        f"{len(seen)} of {len(expected)} exchanges seen",
        f"{reported} answers",
    )


DRILLS = (
    Drill(
        "sync-before-answer",
        "system calls are traced while sessions, locks, changes and grants are stored one by one",
        "for each answer that reports a change, fsync or fdatasync has returned before the answer "
        "is written to the socket",
        Extent(times=20),
        Extent(times=2),
        in_order,
        load=True,
    ),
)
