"""Where the time of a cached call goes, step by step: one caller, no network.

`python -m benchmarks.parts_of_a_call` is the process that is measured: a worker's ASGI app is
called directly, as its HTTP server does, with a cache daemon that another process runs. A step's
time is its own, without the steps within it.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib
import inspect
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import uvloop

from server.app import build_app
from server.settings.loading import load

from .calls import FROM_CACHE, LEGACY, MODERN, Account, check_auth
from .effort import Effort
from .processes import LOOPBACK, ask
from .result import Figure, Line, WrongAnswer
from .system import daemon, portal, scratch

STEPS = {
    "guard of Host and Origin": ["server.http.guard:Guard.__call__"],
    "endpoint: body read, message decoded and checked": ["server.http.endpoint:Endpoint.__call__"],
    "fast lane: is the call plain": ["server.http.fast_lane:FastLane._plain"],
    "fast lane: the rest, answer put together": [
        "server.http.fast_lane:FastLane.__call__",
        "server.http.fast_lane:FastLane._newer",
        "server.http.fast_lane:_older",
    ],
    "tool: arguments validated, result made": ["server.tools.checked:CheckedTool.outcome"],
    "who calls, and may they": ["server.tools.asking:caller", "server.auth.access:Access.open"],
    "keys of the login: HMACs": ["server.auth.sealing:Sealer.keys"],
    "asking for the session: near copies, daemon": [
        "server.state.fallback:WorkerAccounts.call",
        "server.cache.client:CacheClient.call",
    ],
    "session unsealed": ["server.auth.sealing:Sealer.open"],
    "result as JSON": ["server.tools.auth:CheckAuth.model_dump_json"],
}
"""What is told apart, and the functions of each; one that is no more is left out."""

OTHER = "all else, with what the clocks themselves take"
WHOLE = "whole call"

WARM_UP = 300
BATCH = 200
"""Calls of which the median is taken."""


def of_check_auth(effort: Effort) -> list[Line]:
    """Measure a cached `check_auth` in both revisions, and each through the SDK."""
    with scratch() as folder, portal() as simulated:
        env = {
            "OIG_RUN_DIR": str(folder),
            "OIG_GRANTS": str(folder / "grants.db"),
            "OIG_PORTAL_URL": simulated.url,
        }
        with daemon(folder, **env):
            runs = {
                (revision, lane): [
                    ask(
                        "parts_of_a_call",
                        {"revision": revision},
                        effort.seconds * 10,
                        {**env, "OIG_FAST_LANE": lane},
                    )
                    for _ in range(effort.starts)
                ]
                for revision in (MODERN, LEGACY)
                for lane in ("on", "off")
            }
    return [_line(revision, lane, seen) for (revision, lane), seen in runs.items()]


def _line(revision: str, lane: str, seen: list[dict[str, float]]) -> Line:
    how = "by the fast lane" if lane == "on" else "through the SDK"
    steps = [
        Figure(f"{revision}, {how}: {step}", "us", [1e6 * each[step] for each in seen])
        for step in seen[0]
        if step != WHOLE
    ]
    return Line(
        f"one caller's cached check_auth without network, {how}, {revision}",
        unit="us",
        values=[1e6 * each[WHOLE] for each in seen],
        figures=steps if lane == "on" else (),
        means="The time of a call that is this program's own.",
    )


class Clock:
    """The time of each step, without the steps within it. One call at a time."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._within: list[float] = []

    def watch(self, step: str, path: str) -> None:
        """Time a function, if there is one of this name."""
        module_name, _, name = path.partition(":")
        owner: Any = importlib.import_module(module_name)
        *classes, last = name.split(".")
        for each in classes:
            owner = getattr(owner, each, None)
        found = getattr(owner, last, None)
        if found is not None:
            setattr(owner, last, self._timed(step, found))

    def _timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def enter() -> float:
            self._within.append(0.0)
            return time.perf_counter()

        def leave(began: float) -> None:
            took = time.perf_counter() - began
            self.spent[step] = self.spent.get(step, 0.0) + took - self._within.pop()
            if self._within:
                self._within[-1] += took

        async def finished(awaitable: Any) -> Any:
            began = enter()
            try:
                return await awaitable
            finally:
                leave(began)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = enter()
            try:
                found = function(*args, **kwargs)
            finally:
                leave(began)
            return finished(found) if inspect.isawaitable(found) else found

        return timed


async def measure(revision: str) -> dict[str, float]:
    """Call, and return the median time of each step, in seconds."""
    clock = Clock()
    whole = statistics.median(each[WHOLE] for each in await _calls(revision, clock))
    for step, functions in STEPS.items():
        for path in functions:
            clock.watch(step, path)
    seen = await _calls(revision, clock)
    names = [step for step in STEPS if any(step in each for each in seen)]
    steps = {step: statistics.median(each.get(step, 0.0) for each in seen) for step in names}
    # Of the calls with clocks: without them the whole is shorter than the sum of its clocked steps.
    others = [each[WHOLE] - sum(each.get(step, 0.0) for step in names) for each in seen]
    return {**steps, OTHER: statistics.median(others), WHOLE: whole}


async def _calls(revision: str, clock: Clock) -> list[dict[str, float]]:
    """Call an app again and again; return the time of each step for each call."""
    app = build_app(load(os.environ))
    scope, body = _request(revision)
    seen: list[dict[str, float]] = []
    async with _Lifespan(app):
        for number in range(WARM_UP + BATCH):
            if number == 1:  # the first one logs in
                gc.collect()
                gc.freeze()
            clock.spent.clear()
            sent: list[Mapping[str, Any]] = []
            took = await _call(app, scope, body, sent)
            if number and FROM_CACHE not in sent[-1]["body"]:
                raise WrongAnswer(str(sent))
            if number >= WARM_UP:
                seen.append({**clock.spent, WHOLE: took})
    return seen


async def _call(
    app: Any, scope: Mapping[str, Any], body: bytes, sent: list[Mapping[str, Any]]
) -> float:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(event: Mapping[str, Any]) -> None:
        sent.append(event)

    began = time.perf_counter()
    await app({**scope, "state": {}}, receive, send)
    return time.perf_counter() - began


def _request(revision: str) -> tuple[dict[str, Any], bytes]:
    """Return what uvicorn makes of a request."""
    head, _, body = check_auth(revision, 8000, Account()).partition(b"\r\n\r\n")
    _, *lines = head.split(b"\r\n")
    headers = [(name.lower(), value) for name, _, value in (one.partition(b": ") for one in lines)]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": (LOOPBACK, 8000),
        "client": (LOOPBACK, 50000),
        "scheme": "http",
        "method": "POST",
        "root_path": "",
        "path": "/mcp",
        "raw_path": b"/mcp",
        "query_string": b"",
        "headers": headers,
    }
    return scope, body


class _Lifespan:
    """An ASGI app between its start and its stop."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._events: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._said: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()

    async def __aenter__(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self._task = asyncio.create_task(self._app(scope, self._events.get, self._said.put))
        await self._do("startup")

    async def __aexit__(self, *_: object) -> None:
        await self._do("shutdown")
        await self._task

    async def _do(self, what: str) -> None:
        await self._events.put({"type": f"lifespan.{what}"})
        said = await self._said.get()
        if said["type"] != f"lifespan.{what}.complete":
            raise RuntimeError(f"{said}")


if __name__ == "__main__":
    print(json.dumps(uvloop.run(measure(json.load(sys.stdin)["revision"]))))
