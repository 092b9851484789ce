"""Look-ups in the cache daemon from asyncio, against redis-py with Redis and against memcached."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import redis.asyncio

from .effort import Effort
from .filling import FILLING, fill, key, value
from .processes import ask, running, wait_until
from .programs import MEMCACHED as MEMCACHED_SERVER
from .programs import program
from .redis_servers import redis_server
from .result import Budget, Figure, Line, NotMeasured, ratios
from .rivals.environments import MEMCACHED, folder_with
from .system import daemon, scratch

CALLERS = 64
ALONE = Budget("at most", 0.8)
TOGETHER = Budget("at least", 4.0)

OURS = "cache daemon"
REDIS = "redis-py"
REDIS_SINGLE = "redis-py, one connection"
REDIS_POOL_OF_ONE = "redis-py, blocking pool of one"
MEMCACHED_CLIENT = "memcached"


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
    packages: str = "",
) -> list[Runs]:
    """Measure all contestants, over new connections in each repetition.

    Args:
        contestants: For each: name in the report, name in `asking`, socket, sessions stored there.
        effort: How much.
        callers: How many ask at the same time.
        packages: Folder with the client of memcached, if that is among them.
    """
    runs = [Runs(who) for who, *_ in contestants]
    job = {
        "contestants": [
            {"contestant": kind, "path": str(path), "held": held, "packages": packages}
            for _, kind, path, held in contestants
        ],
        "callers": callers,
        "warm_up": effort.lookups,
        "turns": effort.turns,
        "settle": max(callers, effort.lookups // 10),
        "count": effort.lookups,
    }
    for _ in range(effort.pairs):
        results = ask("asking", job, (effort.turns + 1) * len(contestants) * effort.seconds)
        for run, result in zip(runs, results, strict=True):
            run.p50.append(result["p50"])
            run.rates.append(result["rate"])
    return runs


def against_caches(effort: Effort) -> list[Line]:
    """Measure one caller, and 64 callers at a time."""
    with contextlib.ExitStack() as stack:
        redis_path = stack.enter_context(redis_server()).socket
        run_dir = stack.enter_context(scratch())
        stack.enter_context(daemon(run_dir, **FILLING))
        path = run_dir / "cache.sock"
        fill(path, 0, effort.few)
        asyncio.run(fill_redis(redis_path, effort.few))
        kinds = [(OURS, path), (REDIS, redis_path), (REDIS_SINGLE, redis_path)]
        packages, missing = "", []
        try:
            program(MEMCACHED_SERVER)
            packages = str(folder_with(MEMCACHED))
            kinds.append((MEMCACHED_CLIENT, stack.enter_context(_memcached())))
        except NotMeasured as exc:
            missing = [Line("time of a look-up, ours / memcached", why_not=str(exc))]
        contestants = [(kind, kind, at, effort.few) for kind, at in kinds]
        alone = take_turns(contestants, effort, packages=packages)
        pool_of_one = (REDIS_POOL_OF_ONE, REDIS_POOL_OF_ONE, redis_path, effort.few)
        many = take_turns([*contestants, pool_of_one], effort, callers=CALLERS, packages=packages)
    mine, redis_best, *others = _best_redis_first(alone, quick=True)
    many_mine, many_redis, *many_others = _best_redis_first(many, quick=False)
    return [
        Line(
            f"time of a look-up, one at a time, ours / GET by {redis_best.who}",
            values=ratios(mine.p50, redis_best.p50),
            budget=ALONE,
            figures=[run.times() for run in alone],
            means="What a call waits for that finds nothing in its worker.",
        ),
        *(
            Line(
                f"the same, ours / GET by {other.who}",
                values=ratios(mine.p50, other.p50),
                means="The same against a cache that many know.",
            )
            for other in others
            if other.who == MEMCACHED_CLIENT
        ),
        Line(
            f"look-ups per second, {CALLERS} callers, ours on one connection / {many_redis.who}",
            values=ratios(many_mine.rates, many_redis.rates),
            budget=TOGETHER,
            figures=[run.throughput() for run in many],
            means="How many calls at the same time one worker can look up.",
        ),
        *(
            Line(
                f"the same, ours / {other.who}",
                values=ratios(many_mine.rates, other.rates),
                means="The same against a cache that many know.",
            )
            for other in many_others
            if other.who == MEMCACHED_CLIENT
        ),
        *missing,
    ]


def _best_redis_first(runs: Sequence[Runs], *, quick: bool) -> list[Runs]:
    """Return ours, redis-py as it is best, and all others."""

    def cost(run: Runs) -> float:
        return statistics.median(run.p50) if quick else -statistics.median(run.rates)

    ours, *others = runs
    best = min((run for run in others if run.who != MEMCACHED_CLIENT), key=cost)
    return [ours, best, *(run for run in others if run is not best)]


@contextlib.contextmanager
def _memcached() -> Iterator[Path]:
    server = program(MEMCACHED_SERVER).path
    with scratch() as folder:
        path = folder / "memcached.sock"
        # As root it needs the name of a user. One thread, as redis-server has for commands.
        command = [server, "-s", str(path), "-u", getpass.getuser(), "-t", "1"]
        with running(command):
            wait_until(path.exists, "memcached")
            yield path


async def fill_redis(path: Path, sessions: int) -> None:
    """Store sessions on a Redis server as plain values."""
    async with (
        redis.asyncio.Redis(unix_socket_path=str(path)) as client,
        client.pipeline(transaction=False) as pipeline,
    ):
        for number in range(sessions):
            pipeline.set(key(number), value(number))
        await pipeline.execute()
