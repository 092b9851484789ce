"""What a worker gives a daemon that is back, and what it must not."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from server.cache.blocking import BlockingClient
from server.state.vocabulary import REJECTED, Hit, Lease, Locked

from .cache_process import PATIENCE, run_folder, running_cache
from .daemon_worker import ACCOUNT, TTL, Worker, bounded

OLD, NEW = b"o" * 32, b"n" * 32
HANDLE, OLDER_HANDLE = b"h" * 32, bytes(32)
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
    """Make workers, each closed at the end."""
    made: list[Worker] = []

    def call() -> Worker:
        made.append(Worker(folder / "cache.sock"))
        return made[-1]

    yield call
    for one in made:
        await one.aclose()


async def until(what: str, condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"waited in vain: {what}"
        await asyncio.sleep(0.01)  # a poll with a bound


async def has(worker: Worker, key: bytes) -> bool:
    """Whether there is a session; a lease to get one is given back."""
    outcome = await worker.login(key)
    if isinstance(outcome, Lease):
        await worker.failed(key, outcome.token, "gone")
        return False
    assert isinstance(outcome, Hit), outcome
    assert outcome.value == b"of " + key
    return True


def tell(path: Path, verb: str, *args):
    with BlockingClient(path, PATIENCE) as client:
        return client.call(verb, *args)


@pytest.mark.parametrize("newer_first", [True, False])
async def test_the_later_of_two_passwords_used_without_a_daemon_wins(folder, worker, newer_first):
    first, second = worker(), worker()
    await first.open(OLD, ttl=TTL_AFTER_A_MINUTE)
    await second.open(NEW)
    with running_cache(folder):
        for one in (second, first) if newer_first else (first, second):
            await one.met()
        assert await has(second, NEW)
        assert not await has(first, OLD)
        assert await has(first, NEW)


async def test_a_session_and_handle_opened_without_a_daemon_are_handed_over_by_themselves(
    folder, worker
):
    one, other = worker(), worker()
    await one.open(NEW, handle=HANDLE)
    with running_cache(folder):

        def handed_over() -> bool:
            return tell(folder / "cache.sock", "stats", None)[0]["notes"] == 1

        await until("it is handed over", handed_over)
        await other.met()
        assert isinstance(await other.session(NEW), Hit)
        assert (await other.by_handle(HANDLE)).key == NEW


@pytest.mark.parametrize("key", [OLD, NEW], ids=["same password", "another password"])
async def test_a_returning_daemon_with_an_older_session_receives_the_newer_one(folder, worker, key):
    one, other = worker(), worker()
    with running_cache(folder) as cache:
        await one.open(OLD, value=b"older", ttl=TTL_AFTER_A_MINUTE, handle=OLDER_HANDLE)
        cache.stop()
    await one.forget(OLD, hashlib.sha256(b"older").digest())
    await one.open(key, handle=HANDLE)
    with running_cache(folder):
        await one.met()
        # By its handle, as whoever was given it does.
        found = await one.by_handle(HANDLE)
        assert (found.key, found.session.value) == (key, b"of " + key)
        assert await has(await other.met(), key)
        assert await other.by_handle(HANDLE) is not None
        # What led to the old password's session has ended with it.
        assert (await other.by_handle(OLDER_HANDLE) is None) == (key == NEW)


async def test_a_killed_daemon_loses_nothing_it_had_acknowledged(folder, worker):
    one = worker()
    with running_cache(folder) as cache:
        await one.open(OLD)
        cache.kill()
    with running_cache(folder) as cache:
        assert await has(await one.met(), OLD)
        assert await has(worker(), OLD)


async def test_a_replaced_password_stays_wrong_for_a_worker_that_was_disconnected(folder, worker):
    away, other = worker(), worker()
    with running_cache(folder) as cache:
        await away.open(OLD)
        cache.stop()
    with running_cache(folder):
        await other.open(NEW)
        assert not await has(await away.met(), OLD)
        assert await has(other, NEW)


async def test_a_replaced_password_stays_wrong_after_the_new_session_has_ended(folder, worker):
    away, other = worker(), worker()
    with running_cache(folder) as cache:
        await away.open(OLD)
        cache.stop()
    with running_cache(folder) as cache:
        await other.open(NEW)
        await other.forget(NEW, hashlib.sha256(b"of " + NEW).digest())
        assert not await has(await away.met(), OLD)


async def test_a_flush_reaches_a_disconnected_worker_after_any_number_of_restarts(folder, worker):
    one = worker()
    with running_cache(folder) as cache:
        await one.open(OLD)
        cache.stop()
    with running_cache(folder) as cache:
        tell(folder / "cache.sock", "flush", "all")
        cache.stop()
    with running_cache(folder):
        assert not await has(await one.met(), OLD)


async def test_a_session_opened_before_the_first_connection_is_not_handed_over_after_a_flush(
    folder, worker
):
    one = worker()
    await one.open(OLD)
    with running_cache(folder):
        tell(folder / "cache.sock", "flush", "sessions")
        assert not await has(await one.met(), OLD)


async def test_a_login_begun_before_a_missed_flush_is_not_stored(folder, worker):
    one = worker()
    with running_cache(folder) as cache:
        lease = await one.login(OLD)
        cache.stop()
    with running_cache(folder):
        tell(folder / "cache.sock", "flush", "sessions")
        assert not await has(await one.met(), NEW)
        assert not await one.logged_in(OLD, lease.token, value=b"of " + OLD)
        assert not await has(await one.met(), OLD)


async def test_handles_survive_a_crash_and_end_with_a_flush(folder, worker):
    one = worker()
    with running_cache(folder) as cache:
        await one.open(OLD, handle=HANDLE)
        cache.kill()
    with running_cache(folder) as cache:
        assert await (await one.met()).by_handle(HANDLE) is not None
        cache.stop()
    with running_cache(folder):
        tell(folder / "cache.sock", "flush", "account", ACCOUNT)
        assert await (await one.met()).by_handle(HANDLE) is None


async def test_a_kill_right_after_a_flush_does_not_undo_it(folder, worker):
    away = worker()
    with running_cache(folder) as cache:
        await away.open(OLD)
        cache.stop()
    with running_cache(folder) as cache:
        tell(folder / "cache.sock", "flush", "sessions")
        cache.kill()
    with running_cache(folder):
        assert not await has(worker(), OLD)
        assert not await has(await away.met(), OLD)


async def test_a_kill_right_after_a_password_change_does_not_restore_the_old_one(folder, worker):
    away, other = worker(), worker()
    with running_cache(folder) as cache:
        await away.open(OLD)
        cache.stop()
    with running_cache(folder) as cache:
        await other.open(NEW)
        cache.kill()
    with running_cache(folder):
        assert not await has(worker(), OLD)
        assert not await has(await away.met(), OLD)


async def test_an_account_lock_applies_to_new_addresses_without_a_daemon(folder, worker):
    one = worker()
    with running_cache(folder, FAST) as cache:
        await one.open(OLD)
        for number in range(20):
            wrong, guesser = bytes([number]) * 32, f"198.51.100.{number // 4}"
            lease = await one.login(wrong, ACCOUNT, guesser)
            await one.failed(wrong, lease.token, REJECTED)
        told = await one.login(OLD, ACCOUNT, "198.51.100.98")
        assert isinstance(told, Locked)
        cache.kill()
    for key in (OLD, NEW):
        assert isinstance(await one.login(key, ACCOUNT, "198.51.100.99"), Locked)
    assert await has(one, OLD)  # from home


async def test_waiting_logins_ask_the_daemon_as_soon_as_it_is_back(folder, worker):
    one = worker()
    first = await one.login(OLD)
    assert isinstance(first, Lease)
    same = asyncio.create_task(one.login(OLD))
    others = [
        asyncio.create_task(one.login(bytes([number]) * 32, bytes([number]) * 32))
        for number in range(8)
    ]
    await until("they wait", lambda: one.local.upkeep.stats()["waiting"] == 9)
    with running_cache(folder, FAST):
        # Alone, this worker makes one login at a time, and one is under way.
        outcomes = await bounded(asyncio.gather(*others))
        assert all(isinstance(outcome, Lease) for outcome in outcomes)
        # For whom somebody logs in already, nobody else does.
        assert not same.done()
        assert await one.logged_in(OLD, first.token)
        assert isinstance(await bounded(same), Hit)
