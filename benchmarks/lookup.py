"""Look-ups in the cache daemon from asyncio, against redis-py with a Redis server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import redis.asyncio

from .effort import Effort
from .filling import FILLING, fill, key, value
from .processes import ask
from .redis_servers import redis_server
from .result import Budget, Figure, Line, ratios
from .system import daemon, scratch

CALLERS = 64
ALONE = Budget("at most", 0.9)
TOGETHER = Budget("at least", 4.0)

OURS = "cache daemon"
REDIS = "redis-py"
REDIS_SINGLE = "redis-py, one connection"
REDIS_POOL_OF_ONE = "redis-py, blocking pool of one"


@dataclass(slots=True)
class Runs:
    """All runs of one contestant."""

    who: str
    p50: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def times(self) -> Figure:
        """Return the time of a look-up."""
        return Figure(f"{self.who}: p50", "us", [1e6 * each for each in self.p50])

    def throughput(self) -> Figure:
        """Return the look-ups per second."""
        return Figure(f"{self.who}: throughput", "look-ups/s", self.rates)


def take_turns(
    contestants: Sequence[tuple[str, str, Path, int]],
    effort: Effort,
    *,
    callers: int = 1,
    loop: str = "uvloop",
) -> list[Runs]:
    """Measure all contestants, over new connections in each repetition.

    Args:
        contestants: For each: name in the report, name in `asking`, socket, sessions stored there.
        effort: How much.
        callers: How many ask at the same time.
        loop: `uvloop`, as in the workers, or `asyncio`.
    """
    runs = [Runs(who) for who, *_ in contestants]
    job = {
        "contestants": [
            {"contestant": kind, "path": str(path), "held": held}
            for _, kind, path, held in contestants
        ],
        "callers": callers,
        "warm_up": effort.lookups,
        "turns": effort.turns,
        "settle": max(callers, effort.lookups // 10),
        "count": effort.lookups,
        "loop": loop,
    }
    for _ in range(effort.pairs):
        results = ask("asking", job, (effort.turns + 1) * len(contestants) * effort.seconds)
        for run, result in zip(runs, results, strict=True):
            run.p50.append(result["p50"])
            run.rates.append(result["rate"])
    return runs


def against_redis(effort: Effort) -> list[Line]:
    """Measure one caller, and 64 callers on one connection."""
    with redis_server() as server, scratch() as run_dir, daemon(run_dir, **FILLING):
        path, redis_path = run_dir / "cache.sock", server.socket
        fill(path, 0, effort.few)
        asyncio.run(fill_redis(redis_path, effort.few))
        ours = (OURS, OURS, path, effort.few)
        plain = (REDIS, REDIS, redis_path, effort.few)
        single = (REDIS_SINGLE, REDIS_SINGLE, redis_path, effort.few)
        pool_of_one = (REDIS_POOL_OF_ONE, REDIS_POOL_OF_ONE, redis_path, effort.few)
        mine, theirs, theirs_single = take_turns([ours, plain, single], effort)
        mine_asyncio, theirs_asyncio = take_turns([ours, plain], effort, loop="asyncio")
        many, many_single, many_pool_of_one, many_plain = take_turns(
            [ours, single, pool_of_one, plain], effort, callers=CALLERS
        )
    return [
        Line(
            "time of a look-up, one at a time, ours / redis-py's GET",
            values=ratios(mine.p50, theirs.p50),
            budget=ALONE,
            figures=[mine.times(), theirs.times(), theirs_single.times()],
        ),
        Line(
            "the same / redis-py with single_connection_client",
            values=ratios(mine.p50, theirs_single.p50),
        ),
        Line(
            "the same / redis-py's GET, both on asyncio's own loop instead of uvloop",
            values=ratios(mine_asyncio.p50, theirs_asyncio.p50),
            figures=[mine_asyncio.times(), theirs_asyncio.times()],
        ),
        Line(
            f"look-ups per second, {CALLERS} callers on one connection, ours / redis-py's",
            values=ratios(many.rates, many_single.rates),
            budget=TOGETHER,
            figures=[
                many.throughput(),
                many_single.throughput(),
                many_pool_of_one.throughput(),
                many_plain.throughput(),
            ],
        ),
        Line(
            "the same / redis-py with a blocking pool of one connection",
            values=ratios(many.rates, many_pool_of_one.rates),
        ),
        Line(
            f"the same / redis-py's default pool, which opens up to {CALLERS} connections",
            values=ratios(many.rates, many_plain.rates),
        ),
    ]


async def fill_redis(path: Path, sessions: int) -> None:
    """Store sessions on a Redis server as plain values."""
    async with (
        redis.asyncio.Redis(unix_socket_path=str(path)) as client,
        client.pipeline(transaction=False) as pipeline,
    ):
        for number in range(sessions):
            pipeline.set(key(number), value(number))
        await pipeline.execute()
