"""Whether a Valkey or Redis server may be used as it is set up, asked over each new connection.

1. It evicts values when it is full: any lock may be gone at any time.
2. It is a Cluster: what is read together lies on several of its servers.
3. It refuses the login, the database, or a command or channel that is needed.
4. Its certificate is not accepted, or that of a Sentinel.
5. Its Sentinels cannot lead there: see `valkey_sentinels`.

A server that is away, still loading, full or read-only is not unfit: it is waited for.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import redis
from redis.asyncio import Redis

from .valkey_connection import UnfitStorage
from .valkey_reasons import AWAY_CODES, code_of
from .valkey_swap import Swap

EVICTS: Final = "its maxmemory-policy is {}, so it may drop any session or lock: set noeviction"
CLUSTERED: Final = "it is a Cluster, which cannot read keys of several slots together: use Sentinel"
NO_LOGIN: Final = "it does not accept the user and password of the address"
NO_DATABASE: Final = "it has no database of the number in the address"
NO_RIGHT: Final = (
    "the user of the address has no right to {}: allow it keys and channels oig:* and {}"
)
NO_TRUST: Final = "its certificate is not accepted ({})"

NEEDED: Final = (
    "+eval +get +getrange +strlen +mget +set +del +unlink +pexpire +scan +zadd +zcard +zrange "
    "+zrem +publish +subscribe +pubsub +wait +time +info +ping"
)
"""Rights of a user, as ACL SETUSER takes them. SELECT is needed for another database than 0."""

FORBIDDEN: Final = ("can't run this command", "ACL failure in script", "unknown command")
"""Texts of Redis and Valkey for a command within a script, and for one that was renamed."""


MOST_LAG: Final = 2
"""Seconds since the last acknowledgement of a replica that keeps up."""


class Greeting(NamedTuple):
    """What a server answered.

    Attributes:
        time: Seconds since 1970 on its clock.
        value: What there is under the key that was asked for.
        replicas: How many keep up with it.
    """

    time: float
    value: bytes | None
    replicas: int


async def greet(
    client: Redis,
    key: bytes,
    first: bytes | None,
    probe: bytes,
    channels: tuple[bytes, ...],
) -> Greeting:
    """Look at a server, and use every command once that is used later.

    Args:
        client: Connects to the server.
        key: Read; and set, where nothing is there yet.
        first: The value for it; None leaves everything on the server as it is.
        probe: A key of this process alone, which is never there.
        channels: To be subscribed to; the first belongs to this process alone.

    Raises:
        UnfitStorage: It must not be used as it is set up.
        RedisError: It cannot be used now.
        OSError: It cannot be reached.
    """
    commands: tuple[tuple[Any, ...], ...] = (
        ("INFO", "memory"),
        ("INFO", "cluster"),
        ("INFO", "replication"),
        ("TIME",),
        # This writes, or would: a replica refuses it, and a server that is full.
        ("SET", probe, b"?", "NX") if first is None else ("SET", key, first, "NX"),
        ("GET", key),
        ("PUBLISH", channels[0], b"?"),
        ("PUBSUB", "NUMSUB", channels[0]),
        *(("MGET", probe), ("GETRANGE", probe, 0, 7), ("STRLEN", probe), ("UNLINK", probe)),
        *(("ZADD", probe, 0, b"?"), ("PEXPIRE", probe, 1000), ("ZCARD", probe)),
        *(("ZRANGE", probe, 0, -1), ("ZREM", probe, b"?"), ("DEL", probe)),
        *(("SCAN", 0, "MATCH", probe, "COUNT", 1), ("WAIT", 0, 1), ("PING",)),
        Swap(probe, None, None, 1, b"?", channels[0]).command(),
    )
    try:
        replies = await _replies(client, commands)
        for command, reply in zip(commands, replies, strict=True):
            if isinstance(reply, Exception) and _is_forbidden(reply):
                raise UnfitStorage(NO_RIGHT.format(command[0], NEEDED))
        memory, cluster, replication, at, _, value, *_ = replies
        if isinstance(memory, dict):
            refuse_eviction(memory)
        if isinstance(cluster, dict) and cluster.get("cluster_enabled"):
            raise UnfitStorage(CLUSTERED)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        await _subscribe(client, channels)
    except redis.RedisError as exc:
        refuse_connection(exc)
        raise
    return Greeting(at[0] + at[1] / 1e6, value, replicas_in(replication))


def replicas_in(replication: dict[str, Any]) -> int:
    """Return how many replicas keep up, by `INFO replication`: each acknowledges every second."""
    found = (replication.get(f"slave{n}") for n in range(replication["connected_slaves"]))
    return sum(
        isinstance(one, dict) and one.get("state") == "online" and one.get("lag", 0) <= MOST_LAG
        for one in found
    )


def refuse_eviction(memory: dict[str, Any]) -> None:
    """Raise `UnfitStorage` for a server that drops values at will, by its `INFO memory`."""
    policy = memory.get("maxmemory_policy", "unknown")
    if policy != "noeviction":
        raise UnfitStorage(EVICTS.format(policy))


async def _replies(client: Redis, commands: tuple[tuple[Any, ...], ...]) -> list[Any]:
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    return await pipeline.execute(raise_on_error=False)


async def _subscribe(client: Redis, channels: tuple[bytes, ...]) -> None:
    """Subscribe once; a user without the right is refused by the reply."""
    async with client.pubsub() as subscription:
        await subscription.subscribe(*channels)
        for _ in channels:
            try:
                await subscription.get_message(timeout=None)
            except redis.exceptions.NoPermissionError:
                raise UnfitStorage(NO_RIGHT.format("SUBSCRIBE", NEEDED)) from None


def refuse_connection(exc: redis.RedisError) -> None:
    """Raise `UnfitStorage` if a connection failed in a way that only an operator can mend."""
    code = code_of(exc)
    if code in {"NOAUTH", "WRONGPASS"}:
        raise UnfitStorage(NO_LOGIN) from None
    if code == "NOPERM":  # the commands themselves were looked at before
        raise UnfitStorage(NO_RIGHT.format("SELECT", NEEDED + " +select")) from None
    if "DB index" in str(exc):
        raise UnfitStorage(NO_DATABASE) from None
    for one in _causes(exc):
        why = getattr(one, "verify_message", None)  # of ssl.SSLCertVerificationError
        if why:
            raise UnfitStorage(NO_TRUST.format(why)) from None


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__


def _is_forbidden(reply: Exception) -> bool:
    """Whether the server would refuse a command at any time.

    1. NOPERM. 2. The same within a script. 3. It was renamed, or is not known.
    """
    code = code_of(reply)
    if code in {"NOPERM", "NOAUTH", "WRONGPASS"}:
        return True
    return code not in AWAY_CODES and any(one in str(reply) for one in FORBIDDEN)
