"""The Sentinels that lead to a primary: which of them answer, and why none leads there.

1. None answers: it is waited for.
2. Some answer and know the primary's name: another is being elected, which is waited for.
3. Some answer and none knows the name, or all that answer refuse the login: only an operator can
   mend that.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

import redis
from redis.asyncio import Redis

from .storage import StorageAway
from .valkey_connection import UnfitStorage
from .valkey_fitness import refuse_connection
from .valkey_reasons import code_of, reason

NO_LOGIN: Final = "the Sentinels do not accept sentinel_username and sentinel_password"
NO_PRIMARY: Final = "no Sentinel knows a primary of the name in the address"
NONE_ANSWERS: Final = "no Sentinel answers"
NONE_IS_UP: Final = "no Sentinel that answers has a primary that is up"

ENOUGH: Final = 3
"""Sentinels of which two are left when one is lost: a majority, which elects a primary."""


class Answer(NamedTuple):
    """The answer of one Sentinel, or why there is none.

    Attributes:
        place: Its host and port.
        names: The primaries that it knows; None if it did not answer.
        failure: Why it did not.
    """

    place: str
    names: frozenset[str] | None
    failure: redis.RedisError | OSError | None


async def answers_of(client: Redis) -> list[Answer]:
    """Ask all Sentinels of a client at once; nothing comes back where there are none."""
    watching: Any = getattr(client.connection_pool, "sentinel_manager", None)
    sentinels = [] if watching is None else watching.sentinels
    return list(await asyncio.gather(*map(_answer, sentinels)))


async def _answer(sentinel: Any) -> Answer:
    options = sentinel.connection_pool.connection_kwargs
    host, port = options["host"], options["port"]
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        return Answer(place, frozenset(await sentinel.sentinel_masters()), None)
    except (redis.RedisError, OSError) as exc:
        return Answer(place, None, exc)


async def lost_primary(client: Redis) -> UnfitStorage | StorageAway:
    """Return why the Sentinels lead to no primary."""
    name = client.connection_pool.service_name  # type: ignore[attr-defined]
    answers = await answers_of(client)
    answered = [one.names for one in answers if one.names is not None]
    if answered:
        is_known = any(name in names for names in answered)
        return StorageAway(NONE_IS_UP) if is_known else UnfitStorage(NO_PRIMARY)
    refused = [unfit for one in answers if (unfit := _refused(one.failure)) is not None]
    return refused[0] if refused else StorageAway(NONE_ANSWERS)


def _refused(failure: redis.RedisError | OSError | None) -> UnfitStorage | None:
    """Return why a Sentinel will not answer until somebody acts; None if it may."""
    if not isinstance(failure, redis.RedisError):
        return None
    if code_of(failure) in {"NOAUTH", "WRONGPASS", "NOPERM"}:
        return UnfitStorage(NO_LOGIN)
    try:
        refuse_connection(failure)
    except UnfitStorage as unfit:
        return unfit
    return None


def doubts(answers: list[Answer], name: str) -> list[str]:
    """Return what is wrong with the Sentinels even if some of them lead to the primary.

    Args:
        answers: Of all in the address.
        name: What the primary is called.
    """
    said = [
        f"the Sentinel {one.place} is of no use: {reason(one.failure)}."
        for one in answers
        if one.failure is not None
    ]
    said += [
        f"the Sentinel {one.place} knows no primary {name}."
        for one in answers
        if one.names is not None and name not in one.names
    ]
    if answers and len({one.place for one in answers}) < ENOUGH:
        said.append(
            f"OIG_CACHE_URL names {len({one.place for one in answers})} of the three Sentinels or "
            "more that are needed, each on a machine of its own: with fewer, one that is lost "
            "leaves no majority to elect a primary, or nobody who leads the workers to it."
        )
    return said
