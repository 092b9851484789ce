"""What workers hand to a daemon that lost it, and what they must not."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from server.cache.blocking import BlockingClient
from server.cache.client import CacheClient
from server.cache.outcomes import REJECTED, Hit, Lease, Locked
from server.errors import CacheUnavailable
from server.store.daemon import DaemonStore
from server.store.fallback import LocalStore

from .cache_process import PATIENCE, run_folder, running_cache

OLD, NEW = b"o" * 32, b"n" * 32
ACCOUNT = b"a" * 32
SESSION = b"s" * 32
HOME = "192.0.2.1"
TTL = 3600.0
TTL_AFTER_A_MINUTE = TTL - 60.0
"""What is left of a session opened a minute ago. Sessions are compared by the seconds left, which
stand still while they are sent: of two of the same second either may count as the later."""
FAST = {"OIG_LOGINS_PER_SECOND": "1000", "OIG_LOGIN_BURST": "1000", "OIG_LOGINS_AT_ONCE": "1000"}


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


async def until(what: str, condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"waited in vain: {what}"
        await asyncio.sleep(0.01)  # a poll with a bound


async def look_up(store: DaemonStore, key: bytes):
    return await bounded(store.acquire(key, ACCOUNT, HOME))


async def log_in(store: DaemonStore, key: bytes, ttl: float = TTL) -> None:
    """Log in as `Sessions` does; fails if there is a session already."""
    lease = await look_up(store, key)
    assert isinstance(lease, Lease), lease
    assert await bounded(store.fulfil(key, lease.token, b"of " + key, ttl))


async def has(store: DaemonStore, key: bytes) -> bool:
    """Whether there is a session; a lease to get one is given back."""
    outcome = await look_up(store, key)
    if isinstance(outcome, Lease):
        await bounded(store.fail(key, outcome.token, "shutdown", 0.0))
        return False
    assert isinstance(outcome, Hit), outcome
    assert outcome.value == b"of " + key
    return True


async def met(store: DaemonStore) -> DaemonStore:
    """Return when a store has found out that there is another daemon."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        try:
            await bounded(store.ping())
        except CacheUnavailable:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.01)  # a poll with a bound
        else:
            return store


def tell(path: Path, verb: str, *args):
    with BlockingClient(path, PATIENCE) as client:
        return client.call(verb, *args)


@pytest.mark.parametrize("newer_first", [True, False])
async def test_of_two_passwords_used_without_a_daemon_that_of_the_later_login_stays(
    folder, worker, newer_first
):
    first, second = worker(), worker()
    await log_in(first, OLD, TTL_AFTER_A_MINUTE)
    await log_in(second, NEW)
    with running_cache(folder):
        for store in (second, first) if newer_first else (first, second):
            await met(store)
        assert await has(second, NEW)
        assert not await has(first, OLD)
        assert await has(first, NEW)


async def test_a_session_and_handle_opened_without_a_daemon_are_handed_over_unasked(folder, worker):
    store, other = worker(), worker()
    await bounded(store.keep(SESSION, ACCOUNT, NEW, b"note", TTL))
    await log_in(store, NEW)
    with running_cache(folder):

        def handed_over() -> bool:
            return tell(folder / "cache.sock", "stats")[0]["sessions"] == 1

        await until("it is handed over", handed_over)
        assert isinstance(await bounded((await met(other)).peek(NEW, ACCOUNT)), Hit)
        assert isinstance(await bounded(other.find(SESSION)), Hit)


@pytest.mark.parametrize("key", [OLD, NEW], ids=["same password", "another password"])
async def test_a_daemon_that_comes_back_with_an_older_session_gets_the_one_opened_meanwhile(
    folder, worker, key
):
    store, other = worker(), worker()
    with running_cache(folder) as cache:
        lease = await look_up(store, OLD)
        assert await bounded(store.fulfil(OLD, lease.token, b"older", TTL_AFTER_A_MINUTE))
        await bounded(store.keep(bytes(32), ACCOUNT, OLD, b"older note", TTL))
        cache.stop()
    await bounded(store.forget(OLD, hashlib.sha256(b"older").digest()))
    await bounded(store.keep(SESSION, ACCOUNT, key, b"note", TTL))
    await log_in(store, key)
    with running_cache(folder):
        await met(store)
        # By its handle, as whoever was given it does.
        assert isinstance(await bounded(store.find(SESSION)), Hit)
        assert (await bounded(store.peek(key, ACCOUNT))).value == b"of " + key
        assert await has(await met(other), key)
        assert isinstance(await bounded(other.find(SESSION)), Hit)
        # What led to the old password's session has ended with it.
        assert (await bounded(other.find(bytes(32))) is None) == (key == NEW)


async def test_what_a_killed_daemon_lost_is_handed_to_the_next(folder, worker):
    store = worker()
    with running_cache(folder) as cache:
        await log_in(store, OLD)
        cache.kill()
    with running_cache(folder) as cache:
        assert await has(await met(store), OLD)
        assert await has(worker(), OLD)


async def test_a_replaced_password_stays_wrong_for_a_worker_that_was_away(folder, worker):
    away, other = worker(), worker()
    with running_cache(folder) as cache:
        await log_in(away, OLD)
        cache.stop()
    with running_cache(folder):
        await log_in(other, NEW)
        assert not await has(await met(away), OLD)
        assert await has(other, NEW)


async def test_a_replaced_password_stays_wrong_when_the_new_session_is_gone_too(folder, worker):
    away, other = worker(), worker()
    with running_cache(folder) as cache:
        await log_in(away, OLD)
        cache.stop()
    with running_cache(folder) as cache:
        await log_in(other, NEW)
        await bounded(other.forget(NEW, hashlib.sha256(b"of " + NEW).digest()))
        assert not await has(await met(away), OLD)


async def test_a_flush_stays_one_for_a_worker_that_was_away_over_any_number_of_restarts(
    folder, worker
):
    store = worker()
    with running_cache(folder) as cache:
        await log_in(store, OLD)
        cache.stop()
    with running_cache(folder) as cache:
        tell(folder / "cache.sock", "flush", "all", None)
        cache.stop()
    with running_cache(folder):
        assert not await has(await met(store), OLD)


async def test_a_session_opened_before_any_daemon_was_met_is_not_handed_over_after_a_flush(
    folder, worker
):
    store = worker()
    await log_in(store, OLD)
    with running_cache(folder):
        tell(folder / "cache.sock", "flush", "sessions", None)
        assert not await has(await met(store), OLD)


async def test_a_login_begun_before_a_flush_that_was_missed_is_not_kept_afterwards(folder, worker):
    store = worker()
    with running_cache(folder) as cache:
        lease = await look_up(store, OLD)
        cache.stop()
    with running_cache(folder):
        tell(folder / "cache.sock", "flush", "sessions", None)
        assert not await has(await met(store), NEW)
        assert not await bounded(store.fulfil(OLD, lease.token, b"of " + OLD, TTL))
        assert not await has(await met(store), OLD)


async def test_notes_come_back_after_a_crash_and_not_after_a_flush(folder, worker):
    store = worker()
    with running_cache(folder) as cache:
        await bounded(store.keep(OLD, ACCOUNT, SESSION, b"note", TTL))
        cache.kill()
    with running_cache(folder) as cache:
        assert isinstance(await bounded((await met(store)).find(OLD)), Hit)
        cache.stop()
    with running_cache(folder):
        tell(folder / "cache.sock", "flush", "account", ACCOUNT)
        assert await bounded((await met(store)).find(OLD)) is None


async def test_a_flush_is_not_undone_by_a_kill_in_the_next_moment(folder, worker):
    away = worker()
    with running_cache(folder) as cache:
        await log_in(away, OLD)
        cache.stop()
    with running_cache(folder) as cache:
        tell(folder / "cache.sock", "flush", "sessions", None)
        cache.kill()
    with running_cache(folder):
        assert not await has(worker(), OLD)
        assert not await has(await met(away), OLD)


async def test_a_new_password_is_not_forgotten_for_the_old_by_a_kill_in_the_next_moment(
    folder, worker
):
    away, other = worker(), worker()
    with running_cache(folder) as cache:
        await log_in(away, OLD)
        cache.stop()
    with running_cache(folder) as cache:
        await log_in(other, NEW)
        cache.kill()
    with running_cache(folder):
        assert not await has(worker(), OLD)
        assert not await has(await met(away), OLD)


async def test_a_lock_of_the_whole_account_holds_for_addresses_never_seen_without_a_daemon(
    folder, worker
):
    store = worker()
    with running_cache(folder, FAST) as cache:
        await log_in(store, OLD)
        for number in range(20):
            wrong, guesser = bytes([number]) * 32, f"198.51.100.{number // 4}"
            lease = await bounded(store.acquire(wrong, ACCOUNT, guesser))
            await bounded(store.fail(wrong, lease.token, REJECTED, 0.0))
        told = await bounded(store.acquire(OLD, ACCOUNT, "198.51.100.98"))
        assert isinstance(told, Locked)
        cache.kill()
    for key in (OLD, NEW):
        assert isinstance(await bounded(store.acquire(key, ACCOUNT, "198.51.100.99")), Locked)
    assert await has(store, OLD)  # from home


async def test_who_waits_for_a_login_without_a_daemon_asks_it_as_soon_as_it_is_back(folder, worker):
    store = worker()
    first = await look_up(store, OLD)
    assert isinstance(first, Lease)
    same = asyncio.create_task(store.acquire(OLD, ACCOUNT, HOME))
    others = [
        asyncio.create_task(store.acquire(bytes([number]) * 32, bytes([number]) * 32, HOME))
        for number in range(8)
    ]
    await until("they wait", lambda: len(store._local._waiting) == 9)
    with running_cache(folder, FAST):
        # Alone, this worker makes one login at a time, and one is under way.
        outcomes = await bounded(asyncio.gather(*others))
        assert all(isinstance(outcome, Lease) for outcome in outcomes)
        # For whom somebody logs in already, nobody else does.
        assert not same.done()
        assert await bounded(store.fulfil(OLD, first.token, b"session", TTL))
        assert isinstance(await bounded(same), Hit)


async def test_a_caller_who_goes_during_a_hand_over_leaves_the_lease_to_the_next(
    folder, worker, monkeypatch
):
    store = worker()
    with running_cache(folder) as cache:
        await log_in(store, OLD)
        cache.kill()
    with running_cache(folder):
        await met(store)
        begun = asyncio.Event()

        async def bring(*_):
            begun.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(store._client, "bring", bring)
        gone = asyncio.create_task(store.acquire(OLD, ACCOUNT, HOME))
        await bounded(begun.wait())
        gone.cancel()
        await asyncio.wait([gone])
        assert isinstance(await look_up(worker(), OLD), Lease)
