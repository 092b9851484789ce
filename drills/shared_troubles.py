"""A shared storage that refuses, in each way a server has: unavailable, and no lock is opened."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any, Final

import redis

from benchmarks.filling import account, key, shared_client_of, source
from benchmarks.redis_servers import RedisServer
from server.errors import CacheUnavailable
from server.state.limits import Policy
from server.state.valkey_client import ValkeyClient
from server.state.vocabulary import Ask, Fail, Lease, Locked, Outcome

from . import drill
from .drill import Drill, Extent
from .ground import Ground
from .shared_server import shared_server
from .waiting import PATIENCE, until

LOCKED: Final = 1
"""Number of the account that is locked for its source."""

Mend = Callable[[], object]


def scripts_flushed(_: RedisServer, client: Any) -> Mend:
    """Forget all scripts (NOSCRIPT): they are sent again, and nobody notices."""
    client.script_flush()
    return lambda: None


def connections_ended(_: RedisServer, client: Any) -> Mend:
    """End the connections of all others."""
    client.client_kill_filter(_type="normal", skipme=True)
    return lambda: None


def read_only(_: RedisServer, client: Any) -> Mend:
    """Make it a replica of nobody (READONLY)."""
    client.replicaof("127.0.0.1", "1")
    return lambda: client.replicaof("NO", "ONE")


def out_of_memory(_: RedisServer, client: Any) -> Mend:
    """Leave it no memory (OOM)."""
    client.config_set("maxmemory", "1")
    return lambda: client.config_set("maxmemory", "0")


def misconfigured(server: RedisServer, client: Any) -> Mend:
    """Let it fail to write its file (MISCONF)."""
    blocked = server.socket.parent / "dump.rdb"
    blocked.mkdir()
    client.config_set("stop-writes-on-bgsave-error", "yes")
    client.config_set("save", "3600 1000000")
    with contextlib.suppress(redis.RedisError):
        client.save()

    def mend() -> None:
        blocked.rmdir()
        client.config_set("save", "")
        client.config_set("stop-writes-on-bgsave-error", "no")

    return mend


def without_replicas(_: RedisServer, client: Any) -> Mend:
    """Want replicas that it does not have (NOREPLICAS)."""
    client.config_set("min-replicas-to-write", "1")
    return lambda: client.config_set("min-replicas-to-write", "0")


def frozen(server: RedisServer, _: Any) -> Mend:
    """Stop it (SIGSTOP)."""
    os.kill(server.process.pid, signal.SIGSTOP)
    return lambda: os.kill(server.process.pid, signal.SIGCONT)


def paused(_: RedisServer, client: Any) -> Mend:
    """Have it answer no writes, as while it fails over."""
    client.execute_command("CLIENT", "PAUSE", "60000", "WRITE")
    return lambda: client.execute_command("CLIENT", "UNPAUSE")


TROUBLES: Final = (
    *(scripts_flushed, connections_ended, read_only, out_of_memory, misconfigured),
    *(without_replicas, paused, frozen),
)


class Seen:
    """What callers got while something was wrong.

    Attributes:
        opened: What should have been refused and was not.
        refused: Typed refusals.
        locked: Answers that the account is locked.
    """

    def __init__(self, client: ValkeyClient) -> None:
        self._client = client
        self.opened: list[str] = []
        self.refused = self.locked = 0

    async def ask(self, what: str) -> Outcome | None:
        """Ask for the locked account; return None for a typed refusal."""
        try:
            found = await self._client.call(
                Ask("login", account(LOCKED), key(LOCKED), source(LOCKED))
            )
        except CacheUnavailable:
            self.refused += 1
            return None
        except Exception as exc:  # noqa: BLE001 - an error that is not typed is what is looked for
            self.opened.append(f"{what}: {exc!r}"[:150])
            return None
        if isinstance(found, Locked):
            self.locked += 1
        else:
            self.opened.append(f"{what}: {type(found).__name__}")
        return found

    async def lock(self) -> None:
        """Have the account locked for its source by as many wrong passwords as that takes."""
        for number in range(Policy().per_source):
            wrong = key(-number - 10)
            found = await self._client.call(Ask("login", account(LOCKED), wrong, source(LOCKED)))
            assert isinstance(found, Lease), found
            await self._client.call(Fail("login", account(LOCKED), wrong, found.token, "rejected"))

    async def is_locked_again(self) -> None:
        """Wait until the account is locked as before."""
        seen: list[Outcome | None] = []

        async def look() -> None:
            while not isinstance(await self.ask("after it"), Locked):
                seen.append(None)
                await asyncio.sleep(0.05)

        await asyncio.wait_for(look(), PATIENCE)


async def _troubled(server: RedisServer, rounds: int) -> tuple[Seen, list[str]]:
    client = shared_client_of(server.url)
    seen, unnoticed = Seen(client), []
    try:
        await seen.lock()
        await seen.is_locked_again()
        for number in range(rounds):
            for trouble in TROUBLES:
                with server.asked() as admin, _mended(trouble(server, admin)):
                    refused = seen.refused
                    for _ in range(10):
                        await seen.ask(trouble.__name__)
                    if trouble in REFUSING and seen.refused == refused:
                        unnoticed.append(f"{trouble.__name__} in round {number} was not noticed")
                await seen.is_locked_again()
        os.kill(server.process.pid, signal.SIGKILL)
        refused = seen.refused
        for _ in range(20):
            await seen.ask("killed")
        await until("a killed server is away", lambda: seen.refused > refused)
    finally:
        await client.aclose()
    return seen, unnoticed


REFUSING: Final = frozenset({frozen})
"""Where a reading is refused too. Where only writes are, a lock is read, and found."""


@contextlib.contextmanager
def _mended(mend: Mend) -> Iterator[None]:
    try:
        yield
    finally:
        mend()


def troubled(_: Ground, extent: Extent) -> drill.Outcome:
    """Break a server in each way, ask for a locked account meanwhile, and mend it."""
    with shared_server() as server:
        seen, unnoticed = asyncio.run(_troubled(server, extent.times))
    wrong = seen.opened + unnoticed
    return drill.Outcome(
        not wrong,
        f"{wrong[0] if wrong else 'never open'}; {seen.refused} refused as unavailable, "
        f"{seen.locked} as locked",
        f"{extent.times} x {len(TROUBLES)} troubles",
    )


DRILLS = (
    Drill(
        "valkey-troubles",
        "a shared storage is stopped, paused, read-only, full, cannot write its file, lacks "
        "replicas, forgets its scripts, ends connections, and is finally killed",
        "requests for a locked account are refused, as unavailable or as locked; none is granted",
        Extent(times=3),
        Extent(times=1),
        troubled,
    ),
)
