"""Look-ups from asyncio, in a process of its own: `python -m benchmarks.asking` reads a job.

Contestants take turns of a fraction of a second, as in `generator`.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import itertools
import json
import random
import sys
import time
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import redis.asyncio
import uvloop
from redis.asyncio.connection import UnixDomainSocketConnection

from server.state.vocabulary import Ask, Hit, Outcome

from .filling import asked, client_of, key, shared_client_of, value

Look = Callable[[int], Awaitable[bytes | None]]

SEED = 20_26
"""Which sessions are asked for, and in which order: the same for every contestant."""

DISTINCT = 4096
"""Sessions asked for; prepared beforehand, so that only the asking is measured."""

PATIENCE = 60.0
"""Seconds after which a caller of a pool with a single connection gives up."""


@asynccontextmanager
async def cache_daemon(path: str, numbers: list[int]) -> AsyncIterator[Look]:
    """Look up in the cache daemon over one connection."""
    client = client_of(Path(path))
    try:
        yield _looks(client.call, numbers)
    finally:
        await client.aclose()


@asynccontextmanager
async def shared_storage(path: str, numbers: list[int]) -> AsyncIterator[Look]:
    """Look up on a shared storage, as a worker does."""
    client = shared_client_of(f"unix://{path}")
    try:
        yield _looks(client.call, numbers)
    finally:
        await client.aclose()


def _looks(call: Callable[[Ask], Awaitable[Outcome]], numbers: list[int]) -> Look:
    requests = {number: asked(number) for number in numbers}

    async def look(number: int) -> bytes | None:
        outcome = await call(requests[number])
        return outcome.value if type(outcome) is Hit else None

    return look


@asynccontextmanager
async def redis_client(
    numbers: list[int], make: Callable[[], redis.asyncio.Redis]
) -> AsyncIterator[Look]:
    """Look up in a Redis server with redis-py."""
    client = make()
    asked = {number: key(number) for number in numbers}

    async def look(number: int) -> bytes | None:
        found: bytes | None = await client.get(asked[number])
        return found

    try:
        yield look
    finally:
        await client.aclose()


@asynccontextmanager
async def memcached(path: str, packages: str, numbers: list[int]) -> AsyncIterator[Look]:
    """Look up in memcached with emcache, over one connection unless it wants another."""
    sys.path.append(packages)
    emcache: Any = importlib.import_module("emcache")
    client = await emcache.create_client([emcache.MemcachedUnixSocketPath(path)], timeout=PATIENCE)
    asked = {number: key(number).hex().encode() for number in numbers}

    async def look(number: int) -> bytes | None:
        found = await client.get(asked[number])
        return None if found is None else found.value

    try:
        for number in {*numbers}:
            await client.set(asked[number], value(number))
        yield look
    finally:
        await client.close()


def contestant(job: dict[str, Any], numbers: list[int]) -> Any:
    """Return the context in which a job's contestant looks up."""
    path = job["path"]
    match job["contestant"]:
        case "cache daemon":
            return cache_daemon(path, numbers)
        case "shared storage":
            return shared_storage(path, numbers)
        case "memcached":
            return memcached(path, job["packages"], numbers)
        case "redis-py":
            # What the manual shows. Sequential calls find the same connection in the pool.
            return redis_client(numbers, lambda: redis.asyncio.Redis(unix_socket_path=path))
        case "redis-py, one connection":
            return redis_client(
                numbers,
                lambda: redis.asyncio.Redis(unix_socket_path=path, single_connection_client=True),
            )
        case "redis-py, blocking pool of one":
            return redis_client(
                numbers,
                lambda: redis.asyncio.Redis.from_pool(
                    redis.asyncio.BlockingConnectionPool(
                        max_connections=1,
                        timeout=PATIENCE,
                        connection_class=UnixDomainSocketConnection,
                        path=path,
                    )
                ),
            )
    raise ValueError(job["contestant"])


class Asked:
    """One contestant over all its turns.

    Args:
        look: Looks up one session.
        numbers: The sessions to look up.
        callers: How many look up at the same time.
    """

    def __init__(self, look: Look, numbers: list[int], callers: int) -> None:
        self._look = look
        self._numbers = numbers
        self._expected = [value(number) for number in numbers]
        self._callers = callers
        self._times = array("d")
        self._seconds = 0.0
        self._next = 0

    async def turn(self, count: int, *, counts: bool = True) -> None:
        """Look up `count` sessions.

        Raises:
            RuntimeError: One was not found, or another was.
        """
        left = itertools.repeat(None, count)
        times = array("d")
        begin = time.perf_counter()
        if self._callers == 1:
            await self._call(left, times)
        else:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._callers):
                    group.create_task(self._call(left, times))
        if counts:
            self._seconds += time.perf_counter() - begin
            self._times.extend(times)

    def result(self) -> dict[str, float]:
        """Return what all turns together gave."""
        ordered = sorted(self._times)
        return {"p50": ordered[len(ordered) // 2], "rate": len(ordered) / self._seconds}

    async def _call(self, left: Iterator[None], times: array[float]) -> None:
        for _ in left:
            turn = self._next
            self._next = (turn + 1) % DISTINCT
            begin = time.perf_counter()
            found = await self._look(self._numbers[turn])
            times.append(time.perf_counter() - begin)
            if found != self._expected[turn]:
                raise RuntimeError(f"session {self._numbers[turn]} was not found, or another was")


async def measure(job: dict[str, Any]) -> list[dict[str, float]]:
    """Carry out a job and return the result of each contestant.

    Args:
        job: `contestants`, each with `contestant`, `path` and `held` (sessions there); `turns` for
            each of them, each of `settle` look-ups that are not counted and `count` that are, by
            `callers`; `warm_up` look-ups before them.
    """
    async with AsyncExitStack() as stack:
        asked = []
        for each in job["contestants"]:
            picked = random.Random(SEED)
            numbers = [picked.randrange(each["held"]) for _ in range(DISTINCT)]
            look = await stack.enter_async_context(contestant(each, numbers))
            asked.append(Asked(look, numbers, job["callers"]))
        for one in asked:
            await one.turn(job["warm_up"], counts=False)
        gc.collect()
        gc.freeze()
        for _ in range(job["turns"]):
            for one in asked:
                await one.turn(job["settle"], counts=False)
                await one.turn(job["count"])
        return [one.result() for one in asked]


def main() -> None:
    """Read the job, write the result."""
    job = json.load(sys.stdin)
    print(json.dumps(uvloop.run(measure(job))))


if __name__ == "__main__":
    main()
