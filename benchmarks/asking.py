"""Look-ups from asyncio, in a process of its own: `python -m benchmarks.asking` reads a job."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import random
import sys
import time
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import redis.asyncio
import uvloop
from redis.asyncio.connection import UnixDomainSocketConnection

from server.cache.client import CacheClient
from server.cache.outcomes import Hit

from .held import account, key, source, value

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
    client = CacheClient(Path(path), timeout=5.0)
    asked = {number: (key(number), account(number), source(number)) for number in numbers}

    async def look(number: int) -> bytes | None:
        outcome = await client.acquire(*asked[number])
        return outcome.value if type(outcome) is Hit else None

    try:
        yield look
    finally:
        await client.aclose()


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


def contestant(job: dict[str, Any], numbers: list[int]) -> Any:
    """Return the context in which a job's contestant looks up."""
    path = job["path"]
    match job["contestant"]:
        case "cache daemon":
            return cache_daemon(path, numbers)
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


async def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Carry out a job and return what was measured.

    Args:
        job: `contestant`, `path`, `held` (sessions there), `callers`, `warm_up`, `count`.
    """
    picked = random.Random(SEED)
    numbers = [picked.randrange(job["held"]) for _ in range(DISTINCT)]
    expected = {number: value(number) for number in numbers}
    times = array("d")
    async with contestant(job, numbers) as look:

        async def call(left: itertools.count[int], count: int) -> None:
            while (turn := next(left)) < count:
                number = numbers[turn % DISTINCT]
                begin = time.perf_counter()
                found = await look(number)
                times.append(time.perf_counter() - begin)
                if found != expected[number]:
                    raise RuntimeError(f"session {number} was not found, or another was")

        async def all_callers(count: int) -> float:
            del times[:]
            turns = itertools.count()
            begin = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                for _ in range(job["callers"]):
                    group.create_task(call(turns, count))
            return time.perf_counter() - begin

        await all_callers(job["warm_up"])
        gc.collect()
        gc.freeze()
        seconds = await all_callers(job["count"])
    ordered = sorted(times)
    return {
        "seconds": seconds,
        "p50": ordered[len(ordered) // 2],
        "cpu": time.process_time(),
    }


def main() -> None:
    """Read the job, write the result."""
    job = json.load(sys.stdin)
    run = uvloop.run if job["loop"] == "uvloop" else asyncio.run
    print(json.dumps(run(measure(job))))


if __name__ == "__main__":
    main()
