"""Whether a Valkey or Redis server may be used as it is set up, asked over each new connection.

1. It evicts values when it is full: any lock may be gone at any time.
2. It is a Cluster: what is read together lies on several of its servers.
3. It refuses the login, or a command that is needed: nothing that is done there would be whole.

A server that is away, still loading, full or read-only is not unfit: it is waited for.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import redis
from redis.asyncio import Redis

from .valkey_connection import AWAY_CODES, UnfitStorage, code_of

EVICTS: Final = "its maxmemory-policy is {}, so it may drop any session or lock: set noeviction"
CLUSTERED: Final = "it is a Cluster, which cannot read keys of several slots together: use Sentinel"
NO_LOGIN: Final = "it does not accept the user and password of the address"
NO_RIGHT: Final = "the user of the address has no right to {}: allow it all keys, channels and {}"

NEEDED: Final = (
    "+eval +get +getrange +mget +set +del +unlink +pexpire +scan +zadd +zcard +zrange +zrem "
    "+publish +subscribe +pubsub +wait +time +info +ping"
)
"""Rights of a user, as ACL SETUSER takes them. What every connection needs (AUTH, SELECT) is not
counted."""

FORBIDDEN: Final = ("can't run this command", "ACL failure in script", "unknown command")
"""What Redis and Valkey say of a command within a script, and of one that was renamed."""


class Greeting(NamedTuple):
    """What a server answered.

    Attributes:
        time: Seconds since 1970 on its clock.
        value: What there is under the key that was asked for.
        replicas: How many follow it.
    """

    time: float
    value: bytes | None
    replicas: int


async def greet(
    client: Redis, key: bytes, first: bytes, script: str, probe: bytes, channel: bytes
) -> Greeting:
    """Look at a server, and use once whatever is used later.

    Args:
        client: Leads there.
        key: Read; and set, where nothing is there yet.
        first: The value for it.
        script: Run with its arguments such that it deletes `probe` and publishes.
        probe: A key that is never there.
        channel: A channel of this process alone.

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
        ("SET", key, first, "NX"),
        ("GET", key),
        ("PUBLISH", channel, b"?"),
        ("PUBSUB", "NUMSUB", channel),
        ("EVAL", script, 1, probe, b"", b"", 1, b"?", channel),
    )
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    try:
        replies = await pipeline.execute(raise_on_error=False)
    except redis.RedisError as exc:
        if code_of(exc) in {"NOAUTH", "WRONGPASS"}:
            raise UnfitStorage(NO_LOGIN) from None
        raise
    for command, reply in zip(commands, replies, strict=True):
        if isinstance(reply, Exception) and _is_forbidden(reply):
            raise UnfitStorage(NO_RIGHT.format(command[0], NEEDED))
    memory, cluster, replication, at, _, value, *_ = replies
    if isinstance(memory, dict) and memory.get("maxmemory_policy") != "noeviction":
        raise UnfitStorage(EVICTS.format(memory.get("maxmemory_policy", "unknown")))
    if isinstance(cluster, dict) and cluster.get("cluster_enabled"):
        raise UnfitStorage(CLUSTERED)
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return Greeting(at[0] + at[1] / 1e6, value, replication.get("connected_slaves", 0))


def _is_forbidden(reply: Exception) -> bool:
    """Whether the server would refuse a command at any time.

    1. NOPERM. 2. The same within a script. 3. It was renamed, or is not known.
    """
    code = code_of(reply)
    if code in {"NOPERM", "NOAUTH", "WRONGPASS"}:
        return True
    return code not in AWAY_CODES and any(one in str(reply) for one in FORBIDDEN)
