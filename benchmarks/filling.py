"""Made-up sessions, the same in every process, and how a cache is filled with them."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from server.cache.client import CacheClient
from server.cache.hello import Hello
from server.state.limits import Limits, Policy
from server.state.redis_client import client_of as redis_client_of
from server.state.valkey import ValkeyStorage
from server.state.valkey_client import ValkeyClient
from server.state.vocabulary import Ask, Done, Fulfil, Lease
from server.storage_address import StorageAddress
from server.version import program_version

from .result import WrongAnswer

VALUE_BYTES = 200
"""A sealed session has about as many."""

RECORD_BYTES = 112
"""The sealed record of a handle has about as many."""

TTL = 43200.0
AT_ONCE = 128
"""Logins under way while filling."""

AT_ONCE_SHARED = 16
"""The same on a shared storage: this process decides them all, and gives one
up that takes a second."""

FILLING = {
    "OIG_LOGINS_PER_SECOND": "1000000",
    "OIG_LOGIN_BURST": "1000000",
    "OIG_LOGINS_AT_ONCE": str(2 * AT_ONCE),
}
"""Settings under which a daemon can be filled: the pace of logins protects a portal, not this."""

LIMITS = Limits(login_burst=10**7, logins_per_second=1e6, logins_at_once=10_000)
"""The same for whatever decides in this process."""

NETWORK = int(ipaddress.IPv4Address("10.0.0.0"))


def key(number: int) -> bytes:
    """Return the look-up key of a session."""
    return hashlib.sha256(b"key %d" % number).digest()


def account(number: int) -> bytes:
    """Return its account's key."""
    return hashlib.sha256(b"account %d" % number).digest()


def source(number: int) -> str:
    """Return the address it was opened from: everybody has their own, which costs the most."""
    return str(ipaddress.IPv4Address(NETWORK + number))


def value(number: int) -> bytes:
    """Return its sealed value."""
    return hashlib.shake_128(b"value %d" % number).digest(VALUE_BYTES)


def asked(number: int) -> Ask:
    """Return how it is asked for."""
    return Ask("login", account(number), key(number), source(number))


def client_of(path: Path) -> CacheClient:
    """Return a client of a cache daemon that waits for it on a busy machine as well."""
    hello = Hello.of("benchmarks", os.getpid(), program_version(), changes=None)
    return CacheClient(path, hello, timeout=10.0)


def shared_client_of(url: str) -> ValkeyClient:
    """Return a client of a shared storage, as a worker has it."""
    storage = ValkeyStorage(redis_client_of(StorageAddress.read(url)), LIMITS)
    return ValkeyClient(storage, LIMITS, Policy())


async def log_in(client: CacheClient | ValkeyClient, number: int, *, handle: bool = False) -> None:
    """Store a session as a login does: with a lease, and perhaps with a handle.

    Raises:
        CacheUnavailable: It cannot be stored now.
    """
    ask = asked(number)
    lease = await client.call(ask)
    if not isinstance(lease, Lease):
        raise WrongAnswer(f"a lease was expected, not {type(lease).__name__}")
    fulfil = Fulfil("login", ask.account, ask.key, lease.token, value(number), TTL)
    if handle:
        fulfil = fulfil._replace(handle=key(-number), record=bytes(RECORD_BYTES))
    done = await client.call(fulfil)
    if not isinstance(done, Done):
        raise WrongAnswer(f"a session was not stored: {type(done).__name__}")


def fill(path: Path, first: int, last: int) -> None:
    """Store the sessions from `first` to before `last` in the cache daemon, as logins do."""
    asyncio.run(_fill(lambda: client_of(path), first, last, AT_ONCE))


def fill_shared(url: str, first: int, last: int, *, handles: bool = False) -> None:
    """Store them on a shared storage, with a handle each if there are to be any."""
    connect = partial(shared_client_of, url)
    asyncio.run(_fill(connect, first, last, AT_ONCE_SHARED, handles=handles))


async def _fill(
    connect: Callable[[], CacheClient | ValkeyClient],
    first: int,
    last: int,
    at_once: int,
    *,
    handles: bool = False,
) -> None:
    client = connect()
    numbers = iter(range(first, last))

    async def some() -> None:
        for number in numbers:
            await log_in(client, number, handle=handles)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(some())
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures  # the others say the same
    finally:
        await client.aclose()
