"""Starting rivals, each with one of its configurations; the listening socket is descriptor 0."""

from __future__ import annotations

import contextlib
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

from ..calls import LEGACY, MODERN, check_auth, message
from ..probe import answered
from ..processes import ROOT, listening, port_of, running, wait_until
from ..system import WORKERS, Served, scratch, workers
from .environments import (
    FASTMCP,
    FASTMCP_1,
    TYPESCRIPT_1,
    TYPESCRIPT_2,
    node_with,
    python_with,
)

SESSION = b"mcp-session-id:"

BARE_BYTES = 540
"""What the bare process answers: as much as a `check_auth` without its text."""


@dataclass(frozen=True, slots=True)
class Setup:
    """One configuration of a rival.

    Args:
        state: `sessions`, which requests name, `stateless`, or `handler`, which is stateless too.
        answers: `json`, `events`, or what else a rival calls its way of answering.
        loop: `asyncio` or `uvloop`; empty for what is not Python.
    """

    state: str
    answers: str
    loop: str = ""

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.state, self.answers, self.loop)))

    @property
    def arguments(self) -> list[str]:
        """For a rival's command line."""
        return [one for one in (self.state, self.answers, self.loop) if one]

    @property
    def has_sessions(self) -> bool:
        """Whether requests name a session, which one process alone knows."""
        return self.state == "sessions"


STATES, ANSWERS, LOOPS = ("sessions", "stateless"), ("json", "events"), ("asyncio", "uvloop")
EVERY = tuple(Setup(*each) for each in product(STATES, ANSWERS, LOOPS))
STATELESS = tuple(each for each in EVERY if not each.has_sessions)
"""The newer revision has no sessions."""

PYTHON = {LEGACY: EVERY, MODERN: STATELESS}
TRANSPORT = tuple(Setup(*each) for each in product(STATES, ANSWERS))
HANDLER = tuple(Setup("handler", answers) for answers in ("auto", "json", "sse"))
"""How the entry of TypeScript SDK 2 shapes answers of the newer revision; those of older ones are
events however this is set."""


@dataclass(frozen=True, slots=True, eq=False)
class Rival:
    """Somebody to be compared with.

    Args:
        name: In the report.
        setups: All its configurations with each revision of the protocol that it speaks.
        start: Runs so many processes of it with one of them.
    """

    name: str
    setups: Mapping[str, Sequence[Setup]]
    start: Callable[[Setup, int], AbstractContextManager[Served]]


@contextlib.contextmanager
def sdk_app(setup: Setup, count: int) -> Iterator[Served]:
    """Run workers of the plain SDK app."""
    module = ["benchmarks.rivals.sdk_app", *setup.arguments]
    with (
        scratch() as ready,
        workers(module, ready, {"RIVAL_READY": str(ready)}, count) as served,
    ):
        yield _initialized(served, setup)


@contextlib.contextmanager
def fastmcp(packages: Sequence[str], setup: Setup, count: int) -> Iterator[Served]:
    """Run processes of a FastMCP."""
    command = [str(python_with(packages)), "-m", "benchmarks.rivals.fastmcp_app"]
    with _processes([*command, *setup.arguments], count) as served:
        yield _initialized(served, setup)


@contextlib.contextmanager
def typescript(packages: Sequence[str], module: str, setup: Setup, count: int) -> Iterator[Served]:
    """Run node processes of a TypeScript SDK."""
    node, folder = node_with(packages)
    for name in (module, "check_auth.mjs"):
        shutil.copy(ROOT / "benchmarks" / "rivals" / name, folder)
    with _processes([node, str(folder / module), *setup.arguments], count) as served:
        yield _initialized(served, setup)


@contextlib.contextmanager
def bare() -> Iterator[Served]:
    """Run one process of uvicorn that gives a fixed answer."""
    command = [sys.executable, "-m", "benchmarks.rivals.bare", str(BARE_BYTES)]
    with _processes(command, 1) as served:
        answered(served.port, check_auth(MODERN, served.port))
        yield served


SDK = Rival("SDK app", PYTHON, sdk_app)
FASTMCP_OLD = Rival("FastMCP 1.30", {LEGACY: EVERY}, partial(fastmcp, FASTMCP_1))
FASTMCP_NEW = Rival("fastmcp 4.2.3", PYTHON, partial(fastmcp, FASTMCP))
TYPESCRIPT_OLD = Rival(
    "TypeScript SDK 1.32",
    {LEGACY: TRANSPORT},
    partial(typescript, TYPESCRIPT_1, "typescript1.mjs"),
)
TYPESCRIPT_NEW = Rival(
    "TypeScript SDK 2.4",
    {LEGACY: (*TRANSPORT, HANDLER[0]), MODERN: HANDLER},
    partial(typescript, TYPESCRIPT_2, "typescript2.mjs"),
)
RIVALS = (SDK, FASTMCP_OLD, FASTMCP_NEW, TYPESCRIPT_OLD, TYPESCRIPT_NEW)

PROCESSES = (1, WORKERS)
"""How many processes each of them is compared with, on one listening socket. The documents of all
say that it can be answered by several processes where it keeps no sessions."""


@contextlib.contextmanager
def _processes(command: Sequence[str], count: int) -> Iterator[Served]:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(listening())
        port = port_of(listener)
        processes = [
            stack.enter_context(running(command, stdin=listener, stdout=subprocess.PIPE))
            for _ in range(count)
        ]
        for process in processes:
            # All are sent SIGTERM before the first is waited for.
            stack.callback(process.terminate)
        for process in processes:
            _says_ready(process, command)
        pids = tuple(process.pid for process in processes)
        yield Served(port, pids, pids)


def _says_ready(process: subprocess.Popen[bytes], command: Sequence[str]) -> None:
    """Wait until a process has printed that it accepts connections: an answer is of one of them."""
    said = process.stdout
    assert said is not None
    wait_until(lambda: bool(select.select([said], [], [], 0)[0]), command[-1])
    if not said.readline():
        raise RuntimeError(f"{' '.join(command)} ended before it served")


def _initialized(served: Served, setup: Setup) -> Served:
    """Wait until it answers; open a session if it has such."""
    port = served.port
    if not setup.has_sessions:
        answered(port, check_auth(LEGACY, port))
        return served
    params = {
        "protocolVersion": LEGACY,
        "capabilities": {},
        "clientInfo": {"name": "benchmark", "version": "1"},
    }
    head, _, _ = answered(port, message(LEGACY, port, "initialize", params)).partition(b"\r\n\r\n")
    (line,) = (one for one in head.split(b"\r\n") if one.lower().startswith(SESSION))
    session = line[len(SESSION) :].strip().decode()
    ready = message(
        LEGACY,
        port,
        "notifications/initialized",
        {},
        headers={"Mcp-Session-Id": session},
        notice=True,
    )
    answered(port, ready)
    return replace(served, session=session)
