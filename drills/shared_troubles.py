"""A shared storage that refuses, in each way a server has: unavailable, and no lock is opened."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from benchmarks.filling import account, key, shared_client_of, source
from benchmarks.redis_servers import RedisServer
from server.errors import CacheUnavailable
from server.state.limits import Policy
from server.state.valkey_client import ValkeyClient
from server.state.valkey_reasons import code_of
from server.state.vocabulary import Ask, Fail, Lease, Locked, Outcome

from . import drill
from .drill import Drill, Extent
from .ground import Ground
from .shared_server import shared_server
from .waiting import PATIENCE, until, wait_until

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
    blocked.unlink(missing_ok=True)
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


def cut_off(_: RedisServer, client: Any) -> Mend:
    """Make it a replica that gives nothing old away (MASTERDOWN)."""
    client.config_set("replica-serve-stale-data", "no")
    client.replicaof("127.0.0.1", "1")

    def mend() -> None:
        client.replicaof("NO", "ONE")
        client.config_set("replica-serve-stale-data", "yes")

    return mend


def busy(server: RedisServer, client: Any) -> Mend:
    """Let a script of somebody else run for ever (BUSY)."""
    client.config_set("busy-reply-threshold", "1")
    running = _meanwhile(server, "EVAL", "while true do end", "0")
    _await_refusal(server, "BUSY")

    def mend() -> None:
        client.script_kill()
        running.join(PATIENCE)

    return mend


def loading(server: RedisServer, client: Any) -> Mend:
    """Have it load its data again, slowly (LOADING)."""
    names = [f"filling {number}" for number in range(VALUES)]
    client.mset(dict.fromkeys(names, os.urandom(INTERVAL)))
    client.config_set("loading-process-events-interval-bytes", INTERVAL)
    client.config_set("key-load-delay", round(1e6 * LOAD_SECONDS / VALUES))
    running = _meanwhile(server, "DEBUG", "RELOAD")
    _await_refusal(server, "LOADING")

    def mend() -> None:
        client.config_set("key-load-delay", "0")
        running.join(PATIENCE)
        client.delete(*names)

    return mend


def locked_up(_: RedisServer, client: Any) -> Mend:
    """Have it want a password that nobody has (NOAUTH)."""
    client.config_set("requirepass", "wanted")
    client.client_kill_filter(_type="normal", skipme=True)
    return lambda: client.config_set("requirepass", "")


def without_rights(_: RedisServer, client: Any) -> Mend:
    """Take all rights from the user that workers are (NOPERM)."""
    client.execute_command("ACL", "SETUSER", "default", "-@all", "+acl")
    return lambda: client.execute_command("ACL", "SETUSER", "default", "+@all")


def _impatient(server: RedisServer) -> Any:
    """Return a client that does not try again."""
    path, once = str(server.socket), Retry(NoBackoff(), 0)
    return redis.Redis(unix_socket_path=path, retry=once, socket_timeout=PATIENCE)


def _meanwhile(server: RedisServer, *command: str) -> threading.Thread:
    """Send a command that blocks its connection; return the thread that waits for the reply."""

    def send() -> None:
        with (
            contextlib.closing(_impatient(server)) as client,
            contextlib.suppress(redis.ResponseError),
        ):
            client.execute_command(*command)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def _await_refusal(server: RedisServer, code: str) -> None:
    """Wait until everybody is refused with a code."""
    with contextlib.closing(_impatient(server)) as client:

        def refused() -> bool:
            try:
                client.get("any")
            except redis.RedisError as exc:
                return code_of(exc) == code
            return False

        wait_until(f"it refuses with {code}", refused)


TROUBLES: Final = (
    *(scripts_flushed, connections_ended, read_only, out_of_memory, misconfigured),
    *(without_replicas, cut_off, busy, loading, locked_up, without_rights, paused, frozen),
)

VALUES, INTERVAL = 64, 1024
"""Values that are there while the server loads, and after how many bytes it looks at requests."""

LOAD_SECONDS: Final = 30.0
"""For how long it would load, unless it was mended before."""


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


async def _clustered() -> Seen:
    """Ask a node of a cluster, which has none of the data at first (CLUSTERDOWN), then all."""
    with shared_server("--cluster-enabled", "yes") as server, server.asked() as admin:
        client = shared_client_of(server.url)
        seen = Seen(client)
        try:
            for given in (lambda: None, lambda: admin.cluster("addslotsrange", 0, 16383)):
                given()
                for _ in range(10):
                    await seen.ask("a cluster")
        finally:
            await client.aclose()
    return seen


REFUSING: Final = frozenset({cut_off, busy, loading, locked_up, without_rights, frozen})
"""Where a reading is refused too. Where only writes are, a lock is read, and found."""


@contextlib.contextmanager
def _mended(mend: Mend) -> Iterator[None]:
    try:
        yield
    finally:
        mend()


def troubled(_: Ground, extent: Extent) -> drill.Outcome:
    """Break a server in each way, ask for a locked account meanwhile, and mend it."""
    with shared_server("--enable-debug-command", "local") as server:
        seen, unnoticed = asyncio.run(_troubled(server, extent.times))
    cluster = asyncio.run(_clustered())
    wrong = seen.opened + unnoticed + cluster.opened
    return drill.Outcome(
        not wrong,
        f"{wrong[0] if wrong else 'never open'}; {seen.refused + cluster.refused} refused as "
        f"unavailable, {seen.locked} as locked",
        f"{extent.times} x {len(TROUBLES)} troubles, and a cluster",
    )


DRILLS = (
    Drill(
        "valkey-troubles",
        "a shared storage is stopped, paused, read-only, full, loading, busy with a script, a "
        "replica without its primary, or part of a cluster, wants a password, takes rights away, "
        "cannot write its file, lacks replicas, forgets its scripts, ends connections, and is "
        "finally killed",
        "requests for a locked account are refused, as unavailable or as locked; none is granted",
        Extent(times=3),
        Extent(times=1),
        troubled,
        place="aside",
    ),
)
