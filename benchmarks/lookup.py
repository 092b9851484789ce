"""Look-ups in the cache daemon from asyncio, against redis-py with Redis and against memcached."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

import redis.asyncio

from .effort import Effort
from .filling import FILLING, fill, key, value
from .lookup_clients import DEFAULT_POOL, ONE_CONNECTION, PARSERS
from .processes import ask, running, wait_until
from .programs import MEMCACHED as MEMCACHED_SERVER
from .programs import program
from .progress import say
from .redis_servers import redis_server
from .result import Budget, Figure, Line, NotMeasured, ratios
from .rivals.environments import MEMCACHED, folder_with
from .system import daemon, scratch

CALLERS = 64
AT_A_TIME = (1, CALLERS)
"""How many ask at the same time, in two comparisons."""

ALONE = Budget("at most", 0.8)
TOGETHER = Budget("at least", 4.0)

FINALISTS = 2

POOLS = (1, 4, 16)
"""Connections of a blocking pool of redis-py, for many callers."""

EMCACHE = {1: (1, 2), CALLERS: (1, 2, 8, 32)}
"""Connections of emcache at most, for so many callers; its own default is 2."""

THREADS = (1, 2, 4)
"""Of memcached; its own default is 4."""


@dataclass(frozen=True, slots=True, eq=False)
class Client:
    """Somebody who looks up.

    Args:
        who: In the report.
        kind: As of `lookup_clients.looking`.
        path: Of the socket.
        held: Sessions stored there.
        options: Of its kind.
    """

    who: str
    kind: str
    path: Path
    held: int
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class Runs:
    """All runs of one client."""

    who: str
    p50: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def times(self) -> Figure:
        """Return the time of a look-up."""
        return Figure(f"{self.who}: p50", "us", [1e6 * each for each in self.p50])

    def throughput(self) -> Figure:
        """Return the look-ups per second."""
        return Figure(f"{self.who}: throughput", "look-ups/s", self.rates)


def our_client(path: Path, held: int, who: str = "cache daemon") -> Client:
    """Look up in the cache daemon."""
    return Client(who, "cache daemon", path, held)


def default_redis(path: Path, held: int) -> Client:
    """Look up with redis-py as its manual shows."""
    options = {"connections": DEFAULT_POOL, "parser": "hiredis"}
    return Client(f"redis-py, {DEFAULT_POOL}", "redis-py", path, held, options)


def take_turns(
    clients: Sequence[Client],
    effort: Effort,
    *,
    callers: int = 1,
    packages: str = "",
    pairs: int | None = None,
    share: int = 1,
) -> list[Runs]:
    """Measure all clients, over new connections in each repetition.

    Args:
        clients: Who.
        effort: How much.
        callers: How many ask at the same time.
        packages: Folder with the client of memcached, if that is among them.
        pairs: Repetitions, if not as many as of `effort`.
        share: A turn has so many times fewer look-ups than of `effort`.
    """
    runs = [Runs(client.who) for client in clients]
    count = max(effort.lookups // share, 1)
    job = {
        "clients": [
            {
                "kind": client.kind,
                "path": str(client.path),
                "held": client.held,
                "options": dict(client.options),
                "packages": packages,
            }
            for client in clients
        ],
        "callers": callers,
        "warm_up": count,
        "turns": effort.turns,
        "settle": max(callers, count // 10),
        "count": count,
    }
    for _ in range(pairs or effort.pairs):
        results = ask("asking", job, (effort.turns + 1) * len(clients) * effort.seconds)
        for run, result in zip(runs, results, strict=True):
            run.p50.append(result["p50"])
            run.rates.append(result["rate"])
    return runs


def against_caches(effort: Effort) -> list[Line]:
    """Measure one caller, and 64 callers at a time, against the fastest set-up of each rival."""
    with contextlib.ExitStack() as stack:
        redis_path = stack.enter_context(redis_server()).socket
        run_dir = stack.enter_context(scratch())
        stack.enter_context(daemon(run_dir, **FILLING))
        path, held = run_dir / "cache.sock", effort.few
        fill(path, 0, held)
        asyncio.run(fill_redis(redis_path, held))
        packages, sockets, missing = "", {}, []
        try:
            program(MEMCACHED_SERVER)
            packages = str(folder_with(MEMCACHED))
            sockets = {count: stack.enter_context(_memcached(count)) for count in THREADS}
        except NotMeasured as exc:
            missing = [Line("time of a look-up, ours / memcached", why_not=str(exc))]
        lines = []
        for callers in AT_A_TIME:
            rivals = [_redis_clients(redis_path, held, callers)]
            if sockets:
                rivals.append(_memcached_clients(sockets, held, callers))
            lines += _compared(our_client(path, held), rivals, effort, callers, packages)
    return [*lines, *missing]


def _compared(
    mine: Client, rivals: Sequence[Sequence[Client]], effort: Effort, callers: int, packages: str
) -> list[Line]:
    """Let the two fastest of each rival take turns with ours; compare with the faster of them."""
    cost = _cost(callers)
    every = [client for clients in rivals for client in clients]
    say(f"{callers} at a time: looking for the fastest of {len(every)} set-ups")
    tried = take_turns(
        every, effort, callers=callers, packages=packages, pairs=effort.search, share=3
    )
    costs = dict(zip(every, map(cost, tried), strict=True))
    finals = [sorted(clients, key=costs.__getitem__)[:FINALISTS] for clients in rivals]
    everybody = [mine, *(client for two in finals for client in two)]
    runs = take_turns(everybody, effort, callers=callers, packages=packages)
    lines, first = [], 1
    for number, two in enumerate(finals):
        theirs = min(runs[first : first + len(two)], key=cost)
        first += len(two)
        lines.append(_line(runs[0], theirs, callers, against_redis=number == 0))
        say(f"{callers} at a time: {theirs.who} is the fastest")
    figure = Runs.times if callers == 1 else Runs.throughput
    figures = [figure(run) for run in runs] + [
        Figure(f"tried: {each.what}", each.unit, each.values) for each in map(figure, tried)
    ]
    return [replace(lines[0], figures=figures), *lines[1:]]


def _line(mine: Runs, theirs: Runs, callers: int, *, against_redis: bool) -> Line:
    if callers == 1:
        return Line(
            f"time of a look-up, one at a time, ours / GET by {theirs.who}",
            values=ratios(mine.p50, theirs.p50),
            budget=ALONE if against_redis else None,
            means="What a call waits for that finds nothing in its worker.",
        )
    return Line(
        f"look-ups per second, {callers} callers, ours on one connection / {theirs.who}",
        values=ratios(mine.rates, theirs.rates),
        budget=TOGETHER if against_redis else None,
        means="How many calls at the same time one worker can look up.",
    )


def _cost(callers: int) -> Callable[[Runs], float]:
    """Return by what the fastest is found: the time of one, or how many a second."""

    def cost(run: Runs) -> float:
        return statistics.median(run.p50) if callers == 1 else -statistics.median(run.rates)

    return cost


def _redis_clients(path: Path, held: int, callers: int) -> list[Client]:
    pools: list[int | str] = [DEFAULT_POOL, ONE_CONNECTION, *(POOLS if callers > 1 else (1,))]
    return [
        Client(
            f"redis-py, {_pool(connections)}, {parser}",
            "redis-py",
            path,
            held,
            {"connections": connections, "parser": parser},
        )
        for connections, parser in product(pools, PARSERS)
    ]


def _pool(connections: int | str) -> str:
    return f"blocking pool of {connections}" if isinstance(connections, int) else connections


def _memcached_clients(sockets: Mapping[int, Path], held: int, callers: int) -> list[Client]:
    clients = []
    for threads, path in sockets.items():
        server = f"memcached with {threads} thread{'s' if threads > 1 else ''}"
        for connections, batches in product(EMCACHE[callers], (False, True)):
            how = f"{connections} connection{'s' if connections > 1 else ''}"
            who = f"{server}, emcache, {how}{', batches' if batches else ''}"
            options = {"connections": connections, "batches": batches}
            clients.append(Client(who, "emcache", path, held, options))
        who = f"{server}, a plain client with one connection"
        clients.append(Client(who, "plain client", path, held))
    return clients


@contextlib.contextmanager
def _memcached(threads: int) -> Iterator[Path]:
    server = program(MEMCACHED_SERVER).path
    with scratch() as folder:
        path = folder / "memcached.sock"
        # As root it needs the name of a user.
        command = [server, "-s", str(path), "-u", getpass.getuser(), "-t", str(threads)]
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
