"""Made-up sessions, the same in every process, and how a cache is filled with them."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
from pathlib import Path

from server.cache.client import CacheClient
from server.cache.hello import Hello
from server.state.vocabulary import Ask, Fulfil, Lease
from server.version import program_version

from .result import WrongAnswer

VALUE_BYTES = 200
"""A sealed session has about as many."""

TTL = 43200.0
AT_ONCE = 128
"""Logins under way while filling."""

FILLING = {
    "OIG_LOGINS_PER_SECOND": "1000000",
    "OIG_LOGIN_BURST": "1000000",
    "OIG_LOGINS_AT_ONCE": str(2 * AT_ONCE),
}
"""Settings under which a daemon can be filled: the pace of logins protects a portal, not this."""

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


def fill(path: Path, first: int, last: int) -> None:
    """Store the sessions from `first` to before `last` in the cache daemon, as logins do."""
    asyncio.run(_fill(path, first, last))


async def _fill(path: Path, first: int, last: int) -> None:
    client = client_of(path)
    numbers = iter(range(first, last))

    async def log_in() -> None:
        for number in numbers:
            ask = asked(number)
            lease = await client.call(ask)
            if not isinstance(lease, Lease):
                raise WrongAnswer(f"a lease was expected, not {type(lease).__name__}")
            await client.call(
                Fulfil("login", ask.account, ask.key, lease.token, value(number), TTL)
            )

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(log_in())
    finally:
        await client.aclose()
