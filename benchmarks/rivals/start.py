"""Starting rivals, each with one of its configurations; the listening socket is descriptor 0."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

from ..calls import LEGACY, MODERN, check_auth, message
from ..probe import answered
from ..processes import ROOT, listening, port_of, running
from ..system import Served, scratch, workers
from .environments import FASTMCP, FASTMCP_1, TYPESCRIPT, node_with, python_with

SESSION = b"mcp-session-id:"

BARE_BYTES = 540
"""What the bare process answers: as much as a `check_auth` without its text."""


@dataclass(frozen=True, slots=True)
class Setup:
    """One configuration of a rival.

    Args:
        state: `stateless`, or `sessions`, which requests name.
        answers: `json`, or `events`.
        loop: `asyncio` or `uvloop`; empty for what is not Python.
    """

    state: str
    answers: str
    loop: str

    def __str__(self) -> str:
        return ", ".join(filter(None, (self.state, self.answers, self.loop)))

    @property
    def arguments(self) -> list[str]:
        """For a rival's command line."""
        return [one for one in (self.state, self.answers, self.loop) if one]


STATES, ANSWERS, LOOPS = ("sessions", "stateless"), ("json", "events"), ("asyncio", "uvloop")
EVERY = tuple(Setup(*each) for each in product(STATES, ANSWERS, LOOPS))
STATELESS = tuple(each for each in EVERY if each.state == "stateless")


@dataclass(frozen=True, slots=True)
class Rival:
    """Somebody to be compared with.

    Args:
        name: In the report.
        setups: All its configurations.
        start: Runs it with one of them.
        revisions: Those of the protocol that it speaks.
    """

    name: str
    setups: Sequence[Setup]
    start: Callable[[Setup], AbstractContextManager[Served]]
    revisions: Sequence[str] = (LEGACY, MODERN)


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
def fastmcp(packages: Sequence[str], setup: Setup) -> Iterator[Served]:
    """Run one process of a FastMCP."""
    command = [str(python_with(packages)), "-m", "benchmarks.rivals.fastmcp_app"]
    with _process([*command, *setup.arguments]) as served:
        yield _initialized(served, setup)


@contextlib.contextmanager
def typescript(setup: Setup) -> Iterator[Served]:
    """Run one node process of the TypeScript SDK."""
    node, folder = node_with(TYPESCRIPT)
    program = shutil.copy(ROOT / "benchmarks" / "rivals" / "typescript.mjs", folder)
    with _process([node, str(program), *setup.arguments]) as served:
        yield _initialized(served, setup)


@contextlib.contextmanager
def bare() -> Iterator[Served]:
    """Run one process of uvicorn that gives a fixed answer."""
    command = [sys.executable, "-m", "benchmarks.rivals.bare", str(BARE_BYTES)]
    with _process(command) as served:
        answered(served.port, check_auth(MODERN, served.port))
        yield served


SDK_TWO = Rival(
    "SDK app, 2 workers",
    # A session lives in one of the workers, and a request may reach the other.
    STATELESS,
    partial(sdk_app, count=2),
)
SDK_ONE = Rival("SDK app, 1 worker", EVERY, partial(sdk_app, count=1))
FASTMCP_OLD = Rival("FastMCP 1.30", EVERY, partial(fastmcp, FASTMCP_1), (LEGACY,))
FASTMCP_NEW = Rival("fastmcp 4.2.3", EVERY, partial(fastmcp, FASTMCP))
TYPESCRIPT_SDK = Rival(
    "TypeScript SDK 1.32",
    tuple(Setup(state, answers, "") for state, answers in product(STATES, ANSWERS)),
    typescript,
    (LEGACY,),
)


@contextlib.contextmanager
def _process(command: Sequence[str]) -> Iterator[Served]:
    with listening() as listener:
        port = port_of(listener)
        with running(command, stdin=listener) as process:
            yield Served(port, (process.pid,), (process.pid,))


def _initialized(served: Served, setup: Setup) -> Served:
    """Wait until it answers; open a session if it has such."""
    port = served.port
    if setup.state == "stateless":
        # The socket listens already: the answer comes when it serves.
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
