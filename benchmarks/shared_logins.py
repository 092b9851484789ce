"""What a login's decisions take: on a shared storage by how durable it is, and in the daemon."""

from __future__ import annotations

import contextlib
import itertools
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import uvloop

from server.cache.client import CacheClient
from server.errors import CacheUnavailable
from server.state.valkey_client import ValkeyClient
from server.state.vocabulary import Hit

from .effort import Effort
from .filling import FILLING, asked, client_of, log_in, shared_client_of
from .redis_servers import AOF, DURABLE, RedisServer, redis_server
from .result import Figure, Line, WrongAnswer, ratios
from .system import daemon, scratch

Connect = Callable[[], CacheClient | ValkeyClient]

DAEMON = "cache daemon with its disk"
BARE = "server that writes nothing"
EVERYSEC = "appendfsync everysec"
ALWAYS = "appendfsync always"
REPLICA = "appendfsync always, and a replica waited for"

FIRST = 10**6
"""Where the numbers of sessions begin whose commands are counted: none of them is there."""

FROZEN_LOOKS = 20
"""Look-ups while a replica is frozen, each of which may wait for it."""

ATTEMPTS = 5
"""How often a login is tried; its time is that of all attempts."""

US, MS = 1e6, 1e3


def decisions(effort: Effort) -> list[Line]:
    """Measure the lease, the turn and the storing of a session, one login at a time."""
    with contextlib.ExitStack() as stack:
        run_dir = stack.enter_context(scratch())
        stack.enter_context(daemon(run_dir, **FILLING))
        bare, everysec, always, followed = (
            stack.enter_context(redis_server(*options))
            for options in ((), (*AOF, "everysec"), DURABLE, DURABLE)
        )
        stack.enter_context(redis_server(*DURABLE, replica_of=followed))
        contestants: dict[str, Connect] = {
            DAEMON: lambda: client_of(run_dir / "cache.sock"),
            BARE: lambda: shared_client_of(bare.url),
            EVERYSEC: lambda: shared_client_of(everysec.url),
            ALWAYS: lambda: shared_client_of(always.url),
            REPLICA: lambda: shared_client_of(followed.url),
        }
        times = uvloop.run(_logins(contestants, effort))
        counted = _commands_per_login(bare, effort)
    middle = {who: [one[len(one) // 2] for one in all_] for who, all_ in times.items()}
    late = {
        who: [ordered[len(ordered) * 99 // 100] for ordered in all_] for who, all_ in times.items()
    }
    return [
        Line(
            "time of a login's decisions, shared storage with appendfsync always / cache daemon",
            values=ratios(middle[ALWAYS], middle[DAEMON]),
            figures=[
                figure
                for who in contestants
                for figure in (
                    Figure(f"{who}: p50", "us", [US * each for each in middle[who]]),
                    Figure(f"{who}: p99", "us", [US * each for each in late[who]]),
                )
            ],
        ),
        Line("commands to the shared storage for a login's decisions", "commands", [counted]),
    ]


async def _logins(
    contestants: Mapping[str, Connect], effort: Effort
) -> dict[str, list[list[float]]]:
    """Let all log in, in turns; return the sorted times of each repetition."""
    numbers = itertools.count()
    times: dict[str, list[list[float]]] = {who: [] for who in contestants}
    async with contextlib.AsyncExitStack() as stack:
        clients = {}
        for who, connect in contestants.items():
            clients[who] = client = connect()
            stack.push_async_callback(client.aclose)
            await log_in(client, next(numbers))
        for _ in range(effort.pairs):
            found: dict[str, list[float]] = {who: [] for who in contestants}
            for _ in range(effort.turns):
                for who, client in clients.items():
                    for _ in range(effort.requests // effort.turns):
                        begin = time.perf_counter()
                        await _stored(client, numbers)
                        found[who].append(time.perf_counter() - begin)
            for who, each in found.items():
                times[who].append(sorted(each))
    return times


async def _stored(client: CacheClient | ValkeyClient, numbers: Iterator[int]) -> None:
    """Log somebody in, another one if a disk took longer than a worker waits."""
    for _ in range(ATTEMPTS - 1):
        with contextlib.suppress(CacheUnavailable):
            await log_in(client, next(numbers))
            return
    await log_in(client, next(numbers))


def _commands_per_login(server: RedisServer, effort: Effort) -> float:
    def counted() -> int:
        return sum(one["calls"] for one in server.info("commandstats").values())

    async def logins() -> int:
        async with _client(server.url) as client:
            await log_in(client, FIRST)
            before = counted()
            for number in range(effort.requests):
                await log_in(client, FIRST + 1 + number)
            return counted() - before

    # The last of them is our own question.
    return (uvloop.run(logins()) - 1) / effort.requests


def waiting_for_a_replica(effort: Effort) -> list[Line]:
    """Measure look-ups beside a replica that follows, and beside one that has just been frozen."""
    alone, followed, frozen = [], [], []
    for _ in range(effort.fills):
        with redis_server() as server:
            alone.append(uvloop.run(_looked(server.url, effort.requests)))
            with redis_server(replica_of=server) as replica:
                followed.append(uvloop.run(_looked(server.url, effort.requests)))
                with _frozen(replica):
                    frozen.append(uvloop.run(_looked(server.url, FROZEN_LOOKS)))
    return [
        Line(
            "time of a look-up on a shared storage with a replica / without",
            values=ratios(followed, alone),
            figures=[
                Figure("without a replica", "us", [US * each for each in alone]),
                Figure("with a replica", "us", [US * each for each in followed]),
            ],
        ),
        Line(
            "time of a look-up after a login while the replica is frozen",
            unit="ms",
            values=[MS * each for each in frozen],
        ),
    ]


async def _looked(url: str, count: int) -> float:
    """Log in once, then look that session up; return the median time of a look."""
    async with _client(url) as client:
        number = time.monotonic_ns() % 10**7
        await log_in(client, number)
        times = []
        for _ in range(count):
            begin = time.perf_counter()
            if not isinstance(await client.call(asked(number)), Hit):
                raise WrongAnswer("a session was not there")
            times.append(time.perf_counter() - begin)
    return sorted(times)[len(times) // 2]


@contextlib.asynccontextmanager
async def _client(url: str) -> AsyncIterator[ValkeyClient]:
    client = shared_client_of(url)
    try:
        yield client
    finally:
        await client.aclose()


@contextlib.contextmanager
def _frozen(server: RedisServer) -> Iterator[None]:
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)
