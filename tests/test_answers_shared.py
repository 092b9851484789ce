"""Shared answers and handles through a real daemon, and what a worker does without one."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from server.cache.blocking import BlockingClient
from server.errors import CacheUnavailable
from server.state.limits import ANSWER_MAX_BYTES, RECORD_MAX_BYTES
from server.state.vocabulary import (
    BUSY,
    EXPIRED,
    Ask,
    Done,
    Found,
    Fulfil,
    Get,
    Hit,
    Lease,
    Missing,
    Put,
    Unavailable,
)

from .cache_process import PATIENCE, run_folder, running_cache
from .daemon_worker import ACCOUNT, TTL, Worker, bounded
from .local_accounts import local_accounts

VALUE = b"answer"
LONG = bytes(ANSWER_MAX_BYTES)
FAST = {"OIG_LOGINS_PER_SECOND": "1000", "OIG_LOGIN_BURST": "1000", "OIG_LOGINS_AT_ONCE": "1000"}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def cache():
    """One daemon for all tests that leave nothing behind in it but counts."""
    with run_folder() as path, running_cache(path, FAST) as running:
        yield running


@pytest.fixture
def folder():
    with run_folder() as path:
        yield path


@pytest.fixture
async def worker():
    """Make workers, each closed at the end."""
    made: list[Worker] = []

    def call(path: Path) -> Worker:
        made.append(Worker(path))
        return made[-1]

    yield call
    for one in made:
        await one.aclose()


async def until(what: str, condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"waited in vain: {what}"
        await asyncio.sleep(0.01)  # a poll with a bound


def asking(awaitable) -> asyncio.Task:
    return asyncio.get_running_loop().create_task(awaitable)


def stats(path: Path) -> dict[str, int]:
    with BlockingClient(path, PATIENCE) as blocking:
        (found,) = blocking.call("stats", None)
    return found


def new_key() -> bytes:
    return os.urandom(32)


# Over the wire.


async def test_two_hundred_callers_on_two_connections_make_one_request(cache, worker):
    workers = [worker(cache.path) for _ in range(2)]
    key, account, fetches = new_key(), new_key(), 0
    before = stats(cache.path)

    async def caller(one: Worker) -> bytes:
        nonlocal fetches
        outcome = await one.ask(key, account)
        if isinstance(outcome, Lease):
            fetches += 1
            await until("all others wait", lambda: stats(cache.path)["fetches_waiting"] == 199)
            assert await one.answered(key, outcome.token, value=LONG, account=account)
            return LONG
        assert isinstance(outcome, Hit)
        return outcome.value

    values = await bounded(asyncio.gather(*[caller(workers[i % 2]) for i in range(200)]))
    assert values == [LONG] * 200
    assert fetches == 1
    after = stats(cache.path)
    assert after["fetches_total"] == before["fetches_total"] + 1
    assert after["answers_hits_total"] == before["answers_hits_total"] + 199
    # Ten megabytes at once, and nobody was taken for a slow reader.
    assert after["kicked_total"] == 0
    assert [one.remote.generation for one in workers] == [1, 1]


async def test_questions_of_one_account_are_asked_a_second_apart(cache, worker):
    one, account = worker(cache.path), new_key()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await one.leased(new_key(), account)
    await one.leased(new_key(), account)
    assert 0.9 < loop.time() - begun < PATIENCE
    await one.leased(new_key(), new_key())


async def test_a_lease_passes_on_when_its_worker_disconnects(cache, worker):
    dying, heir = worker(cache.path), worker(cache.path)
    key, account = new_key(), new_key()
    lease = await dying.leased(key, account)
    waiting = asking(heir.ask(key, account))
    await until("it waits", lambda: stats(cache.path)["fetches_waiting"] == 1)
    await bounded(dying.remote.aclose())
    inherited = await waiting
    assert isinstance(inherited, Lease)
    assert inherited.token != lease.token
    assert await heir.answered(key, inherited.token, account=account)


@pytest.mark.parametrize("reason", ["timeout", EXPIRED])
async def test_waiters_learn_why_there_is_no_answer(cache, worker, reason):
    one, other = worker(cache.path), worker(cache.path)
    key, account = new_key(), new_key()
    lease = await one.leased(key, account)
    waiting = asking(other.ask(key, account))
    await until("it waits", lambda: stats(cache.path)["fetches_waiting"] == 1)
    assert await one.unanswered(key, lease.token, reason, 3.0, account)
    outcome = await waiting
    assert isinstance(outcome, Unavailable)
    assert outcome.reason == reason
    assert 2.0 < outcome.retry_after <= 3.0


async def test_a_busy_portal_is_left_alone_by_all_workers(cache, worker):
    one, other = worker(cache.path), worker(cache.path)
    key, account = new_key(), new_key()
    lease = await one.leased(key, account)
    assert await one.unanswered(key, lease.token, BUSY, 1e12, account)
    outcome = await other.ask(new_key(), account)
    assert isinstance(outcome, Unavailable)
    assert outcome.reason == BUSY
    assert 3590.0 < outcome.retry_after <= 3600.0
    await other.leased(new_key(), new_key())


async def test_a_caller_who_gives_up_leaves_the_lease_to_the_next(cache, worker):
    one, other = worker(cache.path), worker(cache.path)
    key, account = new_key(), new_key()
    lease = await one.leased(key, account)
    impatient, patient = asking(other.ask(key, account)), asking(one.ask(key, account))
    await until("both wait", lambda: stats(cache.path)["fetches_waiting"] == 2)
    impatient.cancel()
    await until("one is gone", lambda: stats(cache.path)["fetches_waiting"] == 1)
    assert await one.answered(key, lease.token, account=account)
    outcome = await patient
    assert isinstance(outcome, Hit)
    assert outcome.value == VALUE
    assert other.remote.generation == 1


class Crowd:
    """Callers of two workers, many of whom are cancelled at some point."""

    def __init__(self, workers: list[Worker]) -> None:
        self.rng = random.Random(4711)
        self.counts = dict.fromkeys(("hit", "lease", "found", "missing", "cancelled"), 0)
        self._workers = [one.remote for one in workers]
        # Nearly each is fetched once, and not again within the gap of its account.
        self._keys = [new_key() for _ in range(90)]
        self._running: list[asyncio.Task[None]] = []

    async def run(self, calls: int) -> None:
        for _ in range(calls):
            kind = self._ask if self.rng.random() < 0.6 else self._put
            call = kind(self.rng.choice(self._workers), self.rng.choice(self._keys))
            self._running.append(asking(call))
            if self.rng.random() < 0.3:
                self.rng.choice(self._running).cancel()
            if len(self._running) > 200 or self.rng.random() < 0.1:
                for _ in range(self.rng.randrange(1, 5)):
                    await asyncio.sleep(0)
                self._clear()
        for task in self._running:
            task.cancel()
        await bounded(asyncio.wait(self._running))
        self._clear()

    def _clear(self) -> None:
        for task in [task for task in self._running if task.done()]:
            self._running.remove(task)
            self.counts["cancelled"] += task.cancelled()
            if not task.cancelled():
                task.result()

    async def _ask(self, one, key: bytes) -> None:
        account = hashlib.sha256(key).digest()
        outcome = await one.call(Ask("answer", account, key))
        if isinstance(outcome, Lease):
            self.counts["lease"] += 1
            value = key * self.rng.randrange(1, 400)
            await one.call(Fulfil("answer", account, key, outcome.token, value, 0.05))
            return
        assert isinstance(outcome, Hit)
        self.counts["hit"] += 1
        assert outcome.value == key * (len(outcome.value) // 32)

    async def _put(self, one, key: bytes) -> None:
        account = hashlib.sha256(key).digest()
        other = key[::-1]
        if self.rng.random() < 0.3:
            await one.call(Put("answer", account, other, other, 0.05))
            return
        outcome = await one.call(Get(account=account, questions=(other,)))
        self.counts[type(outcome).__name__.lower()] += 1
        if isinstance(outcome, Found):
            assert (outcome.account, outcome.answers[0].value) == (account, other)
        else:
            assert outcome == Missing()


async def test_random_cancels_never_mix_up_answers(cache, worker):
    workers = [worker(cache.path) for _ in range(2)]
    crowd = Crowd(workers)
    await crowd.run(8000)
    assert min(crowd.counts.values()) > 20, crowd.counts
    assert [one.remote.generation for one in workers] == [1, 1]
    for one in workers:
        await until("nothing is unanswered", lambda one=one: not one.remote._channel._calls)
    assert stats(cache.path)["fetches_waiting"] == 0


async def test_a_handle_is_found_by_every_worker(cache, worker):
    one, other = worker(cache.path), worker(cache.path)
    handle, account = new_key(), new_key()
    assert await other.by_handle(handle) is None
    await one.open(new_key(), account=account, handle=handle)
    found = await other.by_handle(handle)
    assert (found.account, found.record) == (account, b"record of " + handle)
    assert TTL - 10.0 < found.record_left <= TTL


async def test_get_finds_a_session_and_grants_no_lease(cache, worker):
    one = worker(cache.path)
    key, account = new_key(), new_key()
    assert await one.session(key, account) is None
    lease = await one.login(key, account)
    assert await one.session(key, account) is None
    assert await one.logged_in(key, lease.token, account=account)
    assert (await one.session(key, account)).value == b"session"
    assert await one.session(new_key(), account) is None


async def test_get_finds_an_answer_fetched_by_another_worker_and_grants_no_lease(cache, worker):
    one, other = worker(cache.path), worker(cache.path)
    key, account = new_key(), new_key()
    lease = await one.leased(key, account)
    assert await other.answer(key, account) is None
    assert await one.answered(key, lease.token, account=account)
    assert (await other.answer(key, account)).value == VALUE
    assert await other.answer(new_key(), account) is None
    assert await other.answer(key, new_key()) is None


async def test_an_answer_put_by_one_worker_is_found_by_another(cache, worker):
    one, other = worker(cache.path), worker(cache.path)
    await one.ping()
    key, account = new_key(), new_key()
    assert await one.put(key, account=account)
    assert (await other.answer(key, account)).value == VALUE


async def test_answers_end_with_the_password_they_were_fetched_with(cache, worker):
    one = worker(cache.path)
    question, account = new_key(), new_key()
    await one.open(new_key(), account=account)
    assert await one.put(question, account=account)
    assert await one.answer(question, account) is not None
    await one.open(new_key(), account=account)
    assert await one.answer(question, account) is None


async def test_handles_outlive_a_restart_and_answers_do_not(folder, worker):
    handle, question, key = new_key(), new_key(), new_key()
    with running_cache(folder, FAST) as own:
        one = worker(own.path)
        lease = await one.login(key)
        record = bytes(RECORD_MAX_BYTES)
        login = Fulfil("login", ACCOUNT, key, lease.token, b"session", 60.0, handle, record)
        assert await one.call(login) == Done()
        lease = await one.leased(question)
        await one.answered(question, lease.token)
        assert own.stop() == 0
    with running_cache(folder, FAST) as own:
        one = worker(own.path)
        assert (await one.by_handle(handle)).record == record
        await one.leased(question)


# With and without a daemon.


async def test_without_a_daemon_a_worker_asks_once_for_all_its_callers(folder, worker):
    one = worker(folder / "cache.sock")
    key, fetches = new_key(), 0

    async def caller() -> bytes:
        nonlocal fetches
        outcome = await one.ask(key)
        if isinstance(outcome, Lease):
            fetches += 1
            await asyncio.sleep(0)
            assert await one.answered(key, outcome.token)
            return VALUE
        assert isinstance(outcome, Hit)
        return outcome.value

    assert await bounded(asyncio.gather(*[caller() for _ in range(50)])) == [VALUE] * 50
    assert fetches == 1
    assert (await one.answer(key)).value == VALUE


async def test_without_a_daemon_requests_are_spaced_and_a_busy_portal_is_left_alone(folder, worker):
    one = worker(folder / "cache.sock")
    loop = asyncio.get_running_loop()
    key = new_key()
    begun = loop.time()
    first = await one.leased(key)
    await one.leased(new_key())
    assert 0.9 < loop.time() - begun < PATIENCE
    assert await one.unanswered(key, first.token, BUSY, 20.0)
    outcome = await one.ask(new_key())
    assert isinstance(outcome, Unavailable)
    assert outcome.reason == BUSY


async def test_without_a_daemon_nobody_knows_whether_versions_agree(folder, worker):
    with pytest.raises(CacheUnavailable):
        await bounded(worker(folder / "cache.sock").remote.agree())


async def test_an_answer_put_without_the_daemon_is_found_without_it(folder, worker):
    one = worker(folder / "cache.sock")
    key = new_key()
    assert await one.answer(key) is None
    await one.put(key)
    assert (await one.answer(key)).value == VALUE


async def test_handles_and_sessions_that_a_worker_has_seen_keep_working_without_the_daemon(
    folder, worker
):
    handle, key, account = new_key(), new_key(), new_key()
    with running_cache(folder) as own:
        one, other = worker(own.path), worker(own.path)
        await one.open(key, account=account, handle=handle)
        await other.by_handle(handle)
        own.kill()
        for each in (one, other):
            found = await each.by_handle(handle)
            assert (found.record, found.session.value) == (b"record of " + handle, b"of " + key)
            assert (await each.session(key, account)).value == b"of " + key
            assert await each.by_handle(new_key()) is None
            assert await each.session(new_key(), account) is None


@pytest.mark.parametrize("flushed", [False, True])
async def test_acknowledged_data_survives_a_crash_unless_it_was_flushed(folder, worker, flushed):
    handle, key, account = new_key(), new_key(), new_key()
    with running_cache(folder) as own:
        one = worker(own.path)
        await one.open(key, account=account, handle=handle)
        own.kill()
    with running_cache(folder) as own:
        if flushed:
            with BlockingClient(own.path, PATIENCE) as tool:
                tool.call("flush", "sessions")
        await one.met()
        found, session = await one.by_handle(handle), await one.session(key, account)
        assert (found is None, session is None) == (flushed, flushed)
        numbers = stats(own.path)
        assert (numbers["sessions"], numbers["leases"]) == (0 if flushed else 1, 0)


async def test_a_handle_that_the_daemon_dropped_is_not_found_in_a_copy(folder, worker):
    handle = new_key()
    with running_cache(folder) as own:
        one, other = worker(own.path), worker(own.path)
        await one.open(new_key(), handle=handle)
        await other.by_handle(handle)
        with BlockingClient(own.path, PATIENCE) as tool:
            tool.call("flush", "account", ACCOUNT)
        assert await one.by_handle(handle) is None
        assert await other.by_handle(handle) is None
        own.kill()
        assert await one.by_handle(handle) is None
        assert await other.by_handle(handle) is None


async def test_a_fetch_under_way_when_the_daemon_dies_serves_this_workers_callers(folder, worker):
    question, key = new_key(), new_key()
    with running_cache(folder) as own:
        one = worker(own.path)
        lease = await one.leased(question)
        login = await one.login(key)
        own.kill()
        assert await one.answered(question, lease.token)
        outcome = await one.ask(question)
        assert isinstance(outcome, Hit)
        assert outcome.value == VALUE
        # A login that was under way is not lost either.
        assert await one.logged_in(key, login.token)
        assert (await one.session(key)).value == b"session"


async def test_the_daemons_death_does_not_shorten_the_gap(folder, worker):
    with running_cache(folder) as own:
        one = worker(own.path)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await one.leased(new_key())
        own.kill()
        await one.leased(new_key())
        assert loop.time() - begun > 0.9


async def test_a_busy_portal_reported_by_the_daemon_is_left_alone_without_it(folder, worker):
    with running_cache(folder) as own:
        one, other = worker(own.path), worker(own.path)
        key = new_key()
        lease = await one.leased(key)
        await one.unanswered(key, lease.token, BUSY, 60.0)
        assert isinstance(await other.ask(key), Unavailable)
        own.kill()
        for each in (one, other):
            outcome = await each.ask(new_key())
            assert isinstance(outcome, Unavailable)
            assert outcome.reason == BUSY


async def test_a_failure_that_cannot_be_reported_is_no_error(folder, worker):
    with running_cache(folder) as own:
        one = worker(own.path)
        key = new_key()
        lease = await one.leased(key)
        own.kill()
        assert await one.unanswered(key, lease.token, "timeout", 1.0)


async def test_the_daemons_end_and_return_are_logged_once_each(folder, worker, caplog):
    caplog.set_level(logging.INFO, "server.state.remote")
    one = worker(folder / "cache.sock")
    for _ in range(3):
        await one.by_handle(new_key())
        with contextlib.suppress(CacheUnavailable):
            await one.ping()
    with running_cache(folder):
        await one.met()
        await one.by_handle(new_key())
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


# Callers who go while a worker is on its own.


@pytest.mark.parametrize("granted", [True, False])
async def test_the_lease_of_a_caller_who_leaves_goes_to_the_next(granted):
    local = local_accounts(gap=0.0)
    key = new_key()
    ask = Ask("answer", ACCOUNT, key)
    lease = await local.call(ask)
    gone, patient = asking(local.call(ask)), asking(local.call(ask))
    await asyncio.sleep(0)
    if granted:
        # Granted and cancelled in the same round of the loop.
        local.give_up(lease.token)
        gone.cancel()
    else:
        gone.cancel()
        local.give_up(lease.token)
    await asyncio.wait([gone])
    assert gone.cancelled()
    inherited = await bounded(patient)
    assert isinstance(inherited, Lease)
    fulfil = Fulfil("answer", ACCOUNT, key, inherited.token, VALUE, 5.0)
    assert await local.call(fulfil) == Done()
    await local.stop()
