"""What workers hand to a daemon that lost it, and what they must not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import pytest

from server.cache.blocking import BlockingClient
from server.cache.client import CacheClient
from server.cache.outcomes import Hit, Lease
from server.store.daemon import DaemonStore
from server.store.local import LocalStore

from .cache_process import PATIENCE, run_folder, running_cache

OLD, NEW = b"o" * 32, b"n" * 32
ACCOUNT = b"a" * 32
HOME = "192.0.2.1"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def folder():
    with run_folder() as path:
        yield path


@pytest.fixture
async def worker(folder):
    """Make stores as workers have them, each closed at the end."""
    made: list[DaemonStore] = []

    def call() -> DaemonStore:
        path = folder / "cache.sock"
        made.append(
            DaemonStore(
                lambda flushed: CacheClient(path, timeout=PATIENCE, on_flushed=flushed),
                LocalStore(),
            )
        )
        return made[-1]

    yield call
    for one in made:
        await bounded(one.aclose())


async def bounded(awaitable: Awaitable):
    return await asyncio.wait_for(awaitable, PATIENCE)


async def look_up(store: DaemonStore, key: bytes):
    return await bounded(store.acquire(key, ACCOUNT, HOME))


async def log_in(store: DaemonStore, key: bytes) -> None:
    """Log in as `Sessions` does; fails if there is a session already."""
    lease = await look_up(store, key)
    assert isinstance(lease, Lease), lease
    assert await bounded(store.fulfil(key, lease.token, b"of " + key, 3600.0))


async def has(store: DaemonStore, key: bytes) -> bool:
    """Whether there is a session; a lease to get one is given back."""
    outcome = await look_up(store, key)
    if isinstance(outcome, Lease):
        await bounded(store.fail(key, outcome.token, "shutdown", 0.0))
        return False
    assert isinstance(outcome, Hit), outcome
    assert outcome.value == b"of " + key
    return True


def tell(path: Path, verb: str, *args):
    with BlockingClient(path, PATIENCE) as client:
        return client.call(verb, *args)


async def test_of_two_passwords_used_without_a_daemon_neither_copy_ousts_the_other(folder, worker):
    first, second = worker(), worker()
    await log_in(first, OLD)
    await log_in(second, NEW)
    with running_cache(folder):
        assert await has(first, OLD)
        # Only the portal knows which of them is right now.
        assert not await has(second, NEW)
        assert await has(first, OLD)
        await log_in(second, NEW)
        assert not await has(first, OLD)
        assert await has(second, NEW)
