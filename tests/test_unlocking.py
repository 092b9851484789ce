"""What an operator unlocks is unlocked in the workers as well, and stays so without the daemon."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import aclosing

import pytest

from server.cache.blocking import BlockingClient
from server.cache.client import CacheClient
from server.cache.outcomes import REJECTED, Hit, Lease, Locked
from server.settings.places import ROOT
from server.store.daemon import DaemonStore
from server.store.fallback import LocalStore

from .cache_process import PATIENCE, running_cache
from .fleet import check_auth, running_fleet
from .system import clean_environment

HOME, CAFE = "192.0.2.1", "203.0.113.7"
JANA, PETR = b"j" * 32, b"p" * 32
RIGHT = b"r" * 32

LOCKS = {
    "a pair": {"OIG_WRONG_PER_SOURCE": "1"},
    "an account": {"OIG_WRONG_PER_ACCOUNT": "1"},
    "a source": {"OIG_WRONG_ACCOUNTS_PER_SOURCE": "1"},
}
"""What is locked for HOME and JANA after a wrong password there, with these settings."""

UNLOCKS = {
    "unlock EMAIL": ("unlock", JANA),
    "unlock --source": ("unlock_source", HOME),
    "flush --lockouts": ("flush", "lockouts", None),
    "flush --all": ("flush", "all", None),
}

OTHERS = {
    "unlock of another account": ("unlock", PETR),
    "unlock of another source": ("unlock_source", CAFE),
    "flush": ("flush", "sessions", None),
}


@pytest.fixture
def anyio_backend():
    return "asyncio"


def key(number: int) -> bytes:
    return bytes([number]) * 32


async def bounded(awaitable):
    return await asyncio.wait_for(awaitable, PATIENCE)


async def after(settings: dict[str, str], verb: str, *arguments: object) -> object:
    """Return what the right password gets of a worker alone that was locked, and then unlocked."""
    with running_cache(settings=settings) as cache:
        store = DaemonStore(
            lambda flushed: CacheClient(cache.path, timeout=PATIENCE, on_flushed=flushed),
            LocalStore(),
        )
        async with aclosing(store):
            lease = await bounded(store.acquire(key(1), JANA, HOME))
            assert isinstance(lease, Lease)
            assert await bounded(store.fail(key(1), lease.token, REJECTED, 0.0))
            assert isinstance(await bounded(store.acquire(key(2), JANA, HOME)), Locked)
            with BlockingClient(cache.path, PATIENCE) as client:
                client.call(verb, *arguments)
            await bounded(store.ping())  # the notice came before this answer
            cache.kill()
            return await bounded(store.acquire(RIGHT, JANA, HOME))


@pytest.mark.parametrize("lock", LOCKS)
@pytest.mark.parametrize("unlock", UNLOCKS)
async def test_what_is_unlocked_is_so_in_a_worker_that_is_left_alone(lock, unlock):
    outcome = await after(LOCKS[lock], *UNLOCKS[unlock])
    if (lock, unlock) == ("an account", "unlock --source"):
        # As at the daemon: what is counted over all sources stays.
        assert isinstance(outcome, Locked)
    else:
        assert isinstance(outcome, Lease)


@pytest.mark.parametrize("other", OTHERS)
async def test_what_is_not_unlocked_stays_locked_there(other):
    assert isinstance(await after(LOCKS["a pair"], *OTHERS[other]), Locked)


@pytest.mark.parametrize("unlock", UNLOCKS)
async def test_what_a_worker_counted_by_itself_is_forgotten_too(unlock):
    with running_cache() as cache:
        client = CacheClient(cache.path, timeout=PATIENCE)
        local = LocalStore()
        store = DaemonStore(lambda _: client, local)
        async with aclosing(store):
            assert await bounded(store.find(key(9))) is None  # connected from now on
            for number in range(2):
                local.failed(JANA, HOME, key(number), JANA)
            local.proved(JANA, CAFE)
            with BlockingClient(cache.path, PATIENCE) as operator:
                operator.call(*UNLOCKS[unlock])
            await bounded(store.ping())
            cache.kill()
            assert isinstance(await bounded(store.acquire(RIGHT, JANA, HOME)), Lease)
            assert local._throttle.known()


class LateClient:
    """A daemon whose answer was on its way when somebody unlocked everything."""

    generation = 1

    async def acquire(self, _key, _account, _source, _budget):
        self.on_unlocked(None, None)
        return Locked(600.0, 600.0, 600.0)

    async def aclose(self):
        pass


async def test_a_lock_that_arrives_after_it_was_opened_is_not_kept():
    local = LocalStore()
    store = DaemonStore(lambda _: LateClient(), local)
    async with aclosing(store):
        assert isinstance(await store.acquire(RIGHT, JANA, HOME), Locked)
        assert isinstance(await local.acquire(RIGHT, JANA, HOME), Lease)


async def test_sessions_stay_where_only_failures_are_forgotten():
    with running_cache() as cache:
        store = DaemonStore(
            lambda flushed: CacheClient(cache.path, timeout=PATIENCE, on_flushed=flushed),
            LocalStore(),
        )
        async with aclosing(store):
            lease = await bounded(store.acquire(RIGHT, JANA, HOME))
            assert await bounded(store.fulfil(RIGHT, lease.token, b"session", 3600.0))
            with BlockingClient(cache.path, PATIENCE) as client:
                for unlock in ("unlock EMAIL", "unlock --source", "flush --lockouts"):
                    client.call(*UNLOCKS[unlock])
            await bounded(store.ping())
            cache.kill()
            assert isinstance(await bounded(store.acquire(RIGHT, JANA, HOME)), Hit)


@pytest.mark.parametrize(
    "command", [["unlock", "demo@example.com"], ["unlock", "--source", "127.0.0.1"]]
)
def test_the_right_password_is_let_in_by_every_worker_after_cachectl_unlock(command):
    with running_fleet(2, OIG_WRONG_PER_SOURCE="1") as fleet:

        def texts(password: str) -> set[str]:
            told = [check_auth(fleet.url, password=password) for _ in range(12)]
            return {one["content"][0]["text"] for one in told if one["isError"]}

        check_auth(fleet.url, password="wrong")
        assert all("Too many failed logins" in text for text in texts("demo"))
        done = subprocess.run(
            [sys.executable, "-m", "cachectl", *command],
            cwd=ROOT,
            env=clean_environment(OIG_RUN_DIR=str(fleet.folder)),
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        fleet.kill_daemon()
        assert texts("demo") == set()
