"""Shared answers and notes through a real daemon, and what a worker does without one."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from server.cache.blocking import BlockingClient
from server.cache.client import CacheClient
from server.cache.hello import Hello
from server.cache.limits import ANSWER_MAX_BYTES
from server.cache.outcomes import BUSY, EXPIRED, Hit, Lease, Note, Unavailable
from server.errors import CacheUnavailable, LocalProtocolError
from server.store import AnswerStore, SessionStore, VersionAgreement
from server.store.daemon import DaemonStore
from server.store.fallback import LocalStore

from .cache_process import PATIENCE, run_folder, running_cache

ACCOUNT = b"a" * 32
HELLO = Hello.of("mcp-0", 1, "0-test")
SESSION = b"s" * 32
VALUE = b"a sealed answer"
SOURCE = "192.0.2.1"
LONG = bytes(ANSWER_MAX_BYTES)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def cache():
    """One daemon for all tests that leave nothing behind in it but counts."""
    with run_folder() as path, running_cache(path) as running:
        yield running


@pytest.fixture
def folder():
    with run_folder() as path:
        yield path


@pytest.fixture
async def connect():
    """Make clients, each closed at the end."""
    made: list[CacheClient] = []

    def call(path: Path, **options) -> CacheClient:
        made.append(CacheClient(path, **({"timeout": PATIENCE, "hello": HELLO} | options)))
        return made[-1]

    yield call
    for one in made:
        await bounded(one.aclose())


@pytest.fixture
async def worker():
    """Make stores as workers have them, each closed at the end."""
    made: list[DaemonStore] = []

    def call(path: Path) -> DaemonStore:
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


async def bounded(awaitable: Awaitable, seconds: float = PATIENCE):
    return await asyncio.wait_for(awaitable, seconds)


async def until(what: str, condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"waited in vain: {what}"
        await asyncio.sleep(0.01)  # a poll with a bound


def asking(awaitable) -> asyncio.Task:
    return asyncio.get_running_loop().create_task(awaitable)


def stats(path: Path) -> dict[str, int]:
    with BlockingClient(path, PATIENCE) as blocking:
        (found,) = blocking.call("stats")
    return found


def new_key() -> bytes:
    return os.urandom(32)


async def leased(one, key: bytes, account: bytes = ACCOUNT) -> Lease:
    outcome = await bounded(one.share(key, account))
    assert isinstance(outcome, Lease), outcome
    return outcome


# Over the wire.


async def test_two_hundred_callers_on_two_connections_make_one_request(cache, connect):
    workers = [connect(cache.path) for _ in range(2)]
    key, fetches = new_key(), 0
    before = stats(cache.path)

    async def caller(one: CacheClient) -> bytes:
        nonlocal fetches
        outcome = await one.share(key, new_account)
        if isinstance(outcome, Lease):
            fetches += 1
            await until("all others wait", lambda: stats(cache.path)["fetches_waiting"] == 199)
            assert await one.answer(key, outcome.token, LONG, 30.0)
            return LONG
        assert isinstance(outcome, Hit)
        return outcome.value

    new_account = new_key()
    values = await bounded(asyncio.gather(*[caller(workers[i % 2]) for i in range(200)]))
    assert values == [LONG] * 200
    assert fetches == 1
    after = stats(cache.path)
    assert after["fetches_total"] == before["fetches_total"] + 1
    assert after["answers_hits_total"] == before["answers_hits_total"] + 199
    # Ten megabytes at once, and nobody was taken for a slow reader.
    assert after["kicked_total"] == 0
    assert [one.generation for one in workers] == [1, 1]


async def test_the_questions_of_one_account_are_a_second_apart(cache, connect):
    one, account = connect(cache.path), new_key()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await leased(one, new_key(), account)
    await leased(one, new_key(), account)
    assert 0.9 < loop.time() - begun < PATIENCE
    other = new_key()
    await leased(one, new_key(), other)


async def test_the_holders_end_passes_the_lease_on(cache, connect):
    dying, heir = connect(cache.path), connect(cache.path)
    key, account = new_key(), new_key()
    lease = await leased(dying, key, account)
    waiting = asking(heir.share(key, account))
    await until("it waits", lambda: stats(cache.path)["fetches_waiting"] == 1)
    await bounded(dying.aclose())
    inherited = await bounded(waiting)
    assert isinstance(inherited, Lease)
    assert inherited.token != lease.token
    assert not await bounded(heir.answer(key, lease.token, VALUE, 30.0))
    assert await bounded(heir.answer(key, inherited.token, VALUE, 30.0))


@pytest.mark.parametrize("reason", ["timeout", EXPIRED])
async def test_who_waits_learns_why_there_is_no_answer(cache, connect, reason):
    one, other = connect(cache.path), connect(cache.path)
    key, account = new_key(), new_key()
    lease = await leased(one, key, account)
    waiting = asking(other.share(key, account))
    await until("it waits", lambda: stats(cache.path)["fetches_waiting"] == 1)
    assert await bounded(one.abstain(key, lease.token, reason, 3.0))
    assert await bounded(waiting) == Unavailable(reason, 3.0)
    assert not await bounded(one.abstain(key, lease.token, reason, 3.0))


async def test_a_busy_portal_is_left_alone_by_all_workers(cache, connect):
    one, other = connect(cache.path), connect(cache.path)
    key, account = new_key(), new_key()
    lease = await leased(one, key, account)
    assert await bounded(one.abstain(key, lease.token, BUSY, 1e12))
    outcome = await bounded(other.share(new_key(), account))
    assert isinstance(outcome, Unavailable)
    assert outcome.reason == BUSY
    assert 3590.0 < outcome.retry_after <= 3600.0
    assert stats(cache.path)["accounts_busy"] == 1
    await leased(other, new_key(), new_key())


async def test_who_gives_up_leaves_the_lease_to_the_next(cache, connect):
    one, other = connect(cache.path), connect(cache.path)
    key, account = new_key(), new_key()
    lease = await leased(one, key, account)
    impatient, patient = asking(other.share(key, account)), asking(one.share(key, account))
    await until("both wait", lambda: stats(cache.path)["fetches_waiting"] == 2)
    impatient.cancel()
    await until("one is gone", lambda: stats(cache.path)["fetches_waiting"] == 1)
    assert await bounded(one.answer(key, lease.token, VALUE, 30.0))
    outcome = await bounded(patient)
    assert isinstance(outcome, Hit)
    assert outcome.value == VALUE
    assert other.generation == 1


class Crowd:
    """Callers of two workers, many of whom are cancelled at some point."""

    def __init__(self, workers: list[CacheClient]) -> None:
        self.rng = random.Random(4711)
        self.counts = dict.fromkeys(("hit", "lease", "note", "missing", "cancelled"), 0)
        self._workers = workers
        # Nearly each is fetched once, and not again within the gap of its account.
        self._keys = [new_key() for _ in range(90)]
        self._running: list[asyncio.Task[None]] = []

    async def run(self, calls: int) -> None:
        for _ in range(calls):
            kind = self._share if self.rng.random() < 0.6 else self._note
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

    async def _share(self, one: CacheClient, key: bytes) -> None:
        outcome = await one.share(key, hashlib.sha256(key).digest())
        if isinstance(outcome, Lease):
            self.counts["lease"] += 1
            await one.answer(key, outcome.token, key * self.rng.randrange(1, 400), 0.05)
            return
        assert isinstance(outcome, Hit)
        self.counts["hit"] += 1
        assert outcome.value == key * (len(outcome.value) // 32)

    async def _note(self, one: CacheClient, key: bytes) -> None:
        account = hashlib.sha256(key).digest()
        if self.rng.random() < 0.3:
            await one.keep(key, account, SESSION, key[::-1], 0.05)
            return
        found = await one.find(key)
        self.counts["missing" if found is None else "note"] += 1
        assert found is None or (found.account, found.value) == (account, key[::-1])


async def test_random_cancels_never_mix_up_answers(cache, connect):
    workers = [connect(cache.path) for _ in range(2)]
    crowd = Crowd(workers)
    await crowd.run(8000)
    assert min(crowd.counts.values()) > 20, crowd.counts
    assert [one.generation for one in workers] == [1, 1]
    for one in workers:
        await until("nothing is unanswered", lambda one=one: not one._channel._calls)
    assert stats(cache.path)["fetches_waiting"] == 0


async def test_a_note_is_found_by_every_worker(cache, connect):
    one, other = connect(cache.path), connect(cache.path)
    key = new_key()
    assert await bounded(other.find(key)) is None
    await bounded(one.keep(key, ACCOUNT, SESSION, VALUE, 60.0))
    note = await bounded(other.find(key))
    assert isinstance(note, Note)
    assert (note.account, note.value) == (ACCOUNT, VALUE)
    assert 50.0 < note.expires_in <= 60.0


async def test_a_peek_finds_a_session_and_gets_no_lease(cache, connect):
    one = connect(cache.path)
    key, account = new_key(), new_key()
    assert await bounded(one.peek(key)) is None
    lease = await bounded(one.acquire(key, account, SOURCE))
    assert await bounded(one.peek(key)) is None
    assert await bounded(one.fulfil(key, lease.token, VALUE, 60.0))
    hit = await bounded(one.peek(key))
    assert isinstance(hit, Hit)
    assert hit.value == VALUE


async def test_a_peek_at_an_answer_finds_what_another_fetched_and_gets_no_lease(cache, connect):
    one, other = connect(cache.path), connect(cache.path)
    lease = await leased(one, key := new_key(), new_key())
    assert await bounded(other.peek_answer(key)) is None
    assert await bounded(one.answer(key, lease.token, VALUE, 60.0))
    hit = await bounded(other.peek_answer(key))
    assert isinstance(hit, Hit)
    assert hit.value == VALUE
    assert await bounded(other.peek_answer(new_key())) is None


async def test_an_answer_fetched_without_the_daemon_is_peeked_at_without_it(folder, worker):
    store = worker(folder / "cache.sock")
    key = new_key()
    assert await bounded(store.peek_answer(key)) is None
    lease = await bounded(store.share(key, new_key()))
    assert await bounded(store.answer(key, lease.token, VALUE, 60.0))
    assert (await bounded(store.peek_answer(key))).value == VALUE


async def test_what_one_puts_another_finds_and_nobody_waited_for(cache, connect):
    one, other = connect(cache.path), connect(cache.path)
    key = new_key()
    assert await bounded(one.put_answer(key, ACCOUNT, VALUE, 60.0))
    hit = await bounded(other.peek_answer(key))
    assert isinstance(hit, Hit)
    assert hit.value == VALUE


async def test_what_is_put_without_the_daemon_is_found_without_it(folder, worker):
    store = worker(folder / "cache.sock")
    key = new_key()
    await bounded(store.put_answer(key, ACCOUNT, VALUE, 60.0))
    assert (await bounded(store.peek_answer(key))).value == VALUE


async def test_what_breaks_the_limits_is_the_callers_fault_and_costs_no_connection(cache, connect):
    one = connect(cache.path)
    lease = await leased(one, key := new_key(), new_key())
    for wrong in (
        one.share(b"short", ACCOUNT),
        one.answer(key, lease.token, LONG + b"x", 30.0),
        one.abstain(key, lease.token, "rejected", 1.0),
        one.keep(key, ACCOUNT, SESSION, b"", 30.0),
    ):
        with pytest.raises(LocalProtocolError):
            await bounded(wrong)
    assert await bounded(one.answer(key, lease.token, LONG, 30.0))
    assert one.generation == 1


async def test_a_flush_is_told_to_whoever_may_have_copies(connect):
    with running_cache() as own, BlockingClient(own.path, PATIENCE) as tool:
        told: dict[str, list[bytes | None]] = {"share": [], "find": [], "peek": [], "ping": []}
        ones = {verb: connect(own.path, on_flushed=told[verb].append) for verb in told}
        await bounded(ones["share"].share(new_key(), ACCOUNT))
        await bounded(ones["find"].find(new_key()))
        await bounded(ones["peek"].peek(new_key()))
        await bounded(ones["ping"].ping())
        tool.call("flush", "account", ACCOUNT)
        tool.call("flush", "sessions", None)
        await until("three are told", lambda: sum(map(len, told.values())) == 6)
        assert told == {verb: [] if verb == "ping" else [ACCOUNT, None] for verb in told}


async def test_notes_outlive_a_restart_and_answers_do_not(folder, connect):
    note, question = new_key(), new_key()
    with running_cache(folder) as own:
        one = connect(own.path)
        await bounded(one.keep(note, ACCOUNT, SESSION, LONG, 60.0))
        lease = await leased(one, question)
        await bounded(one.answer(question, lease.token, VALUE, 60.0))
        assert own.stop() == 0
    with running_cache(folder) as own:
        one = connect(own.path)
        found = await bounded(one.find(note))
        assert isinstance(found, Note)
        assert found.value == LONG
        await leased(one, question)


# With and without a daemon.


def test_one_object_is_all_the_stores_that_a_worker_needs():
    def needed(_: SessionStore, __: AnswerStore, ___: VersionAgreement) -> None: ...

    store = DaemonStore(lambda flushed: CacheClient(Path("none"), on_flushed=flushed), LocalStore())
    needed(store, store, store)


async def test_without_a_daemon_a_worker_asks_once_for_all_its_callers(folder, worker):
    store = worker(folder / "cache.sock")
    key, fetches = new_key(), 0

    async def caller() -> bytes:
        nonlocal fetches
        outcome = await store.share(key, ACCOUNT)
        if isinstance(outcome, Lease):
            fetches += 1
            await asyncio.sleep(0)
            assert await store.answer(key, outcome.token, VALUE, 30.0)
            return VALUE
        assert isinstance(outcome, Hit)
        return outcome.value

    assert await bounded(asyncio.gather(*[caller() for _ in range(50)])) == [VALUE] * 50
    assert fetches == 1


async def test_without_a_daemon_the_gap_is_kept_and_a_busy_portal_left_alone(folder, worker):
    store = worker(folder / "cache.sock")
    loop = asyncio.get_running_loop()
    key = new_key()
    begun = loop.time()
    first = await leased(store, key)
    await leased(store, new_key())
    assert 0.9 < loop.time() - begun < PATIENCE
    assert await store.abstain(key, first.token, BUSY, 20.0)
    outcome = await bounded(store.share(new_key(), ACCOUNT))
    assert isinstance(outcome, Unavailable)
    assert outcome.reason == BUSY


async def test_without_a_daemon_nobody_knows_whether_versions_agree(folder, worker):
    store = worker(folder / "cache.sock")
    with pytest.raises(CacheUnavailable):
        await bounded(store.agree())


async def test_handles_and_sessions_that_a_worker_has_seen_work_on_without_the_daemon(
    folder, worker
):
    handle, session, account = new_key(), new_key(), new_key()
    with running_cache(folder) as own:
        one, other = worker(own.path), worker(own.path)
        lease = await bounded(one.acquire(session, account, SOURCE))
        await bounded(one.keep(handle, account, session, b"note", 60.0))
        await bounded(one.fulfil(session, lease.token, b"session", 60.0))
        assert (await bounded(other.find(handle))).value == b"note"
        assert (await bounded(other.peek(session, account))).value == b"session"
        own.kill()
        for store in (one, other):
            assert (await bounded(store.find(handle))).value == b"note"
            assert (await bounded(store.peek(session, account))).value == b"session"
            assert await bounded(store.find(new_key())) is None
            assert await bounded(store.peek(new_key(), account)) is None


async def test_what_was_opened_without_a_daemon_is_handed_to_it_when_it_is_back(folder, worker):
    handle, session, account = new_key(), new_key(), new_key()
    one, other = worker(folder / "cache.sock"), worker(folder / "cache.sock")
    lease = await bounded(one.acquire(session, account, SOURCE))
    await bounded(one.keep(handle, account, session, b"note", 60.0))
    assert await bounded(one.fulfil(session, lease.token, b"session", 60.0))
    with running_cache(folder):
        await until_back(one)
        assert (await bounded(one.find(handle))).value == b"note"
        assert (await bounded(one.peek(session, account))).value == b"session"
        assert (await bounded(other.find(handle))).value == b"note"
        assert (await bounded(other.peek(session, account))).value == b"session"


@pytest.mark.parametrize("flushed", [False, True])
async def test_what_a_daemon_lost_in_a_crash_is_handed_back_unless_it_was_flushed(
    folder, worker, flushed
):
    handle, session, account = new_key(), new_key(), new_key()
    with running_cache(folder) as own:
        one = worker(own.path)
        lease = await bounded(one.acquire(session, account, SOURCE))
        await bounded(one.keep(handle, account, session, b"note", 60.0))
        await bounded(one.fulfil(session, lease.token, b"session", 60.0))
        own.kill()
    with running_cache(folder) as own:
        if flushed:
            with BlockingClient(own.path, PATIENCE) as tool:
                tool.call("flush", "sessions", None)
        await until_back(one)
        found, peeked = await bounded(one.find(handle)), await bounded(one.peek(session, account))
        assert (found is None, peeked is None) == (flushed, flushed)
        numbers = stats(own.path)
        assert (numbers["notes"], numbers["sessions"]) == ((0, 0) if flushed else (1, 1))
        assert numbers["leases"] == 0


async def test_a_note_that_the_daemon_dropped_is_not_found_in_a_copy(folder, worker):
    handle = new_key()
    with running_cache(folder) as own:
        one, other = worker(own.path), worker(own.path)
        await bounded(one.keep(handle, ACCOUNT, SESSION, b"note", 60.0))
        await bounded(other.find(handle))
        with BlockingClient(own.path, PATIENCE) as tool:
            tool.call("flush", "account", ACCOUNT)
        assert await bounded(one.find(handle)) is None
        assert await bounded(other.find(handle)) is None
        own.kill()
        assert await bounded(one.find(handle)) is None
        assert await bounded(other.find(handle)) is None


async def test_a_fetch_under_way_when_the_daemon_dies_serves_this_workers_callers(folder, worker):
    key, session = new_key(), new_key()
    with running_cache(folder) as own:
        store = worker(own.path)
        lease = await leased(store, key)
        login = await bounded(store.acquire(session, ACCOUNT, SOURCE))
        own.kill()
        assert await bounded(store.answer(key, lease.token, VALUE, 30.0))
        outcome = await bounded(store.share(key, ACCOUNT))
        assert isinstance(outcome, Hit)
        assert outcome.value == VALUE
        # A login that was under way is not lost either.
        assert await bounded(store.fulfil(session, login.token, b"session", 60.0))
        assert (await bounded(store.peek(session, ACCOUNT))).value == b"session"


async def test_the_daemons_death_does_not_shorten_the_gap(folder, worker):
    with running_cache(folder) as own:
        store = worker(own.path)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await leased(store, new_key())
        own.kill()
        await leased(store, new_key())
        assert loop.time() - begun > 0.9


async def test_what_the_daemon_said_of_a_busy_portal_holds_without_it(folder, worker):
    with running_cache(folder) as own:
        one, other = worker(own.path), worker(own.path)
        key = new_key()
        lease = await leased(one, key)
        await bounded(one.abstain(key, lease.token, BUSY, 60.0))
        assert isinstance(await bounded(other.share(key, ACCOUNT)), Unavailable)
        own.kill()
        for store in (one, other):
            outcome = await bounded(store.share(new_key(), ACCOUNT))
            assert isinstance(outcome, Unavailable)
            assert outcome.reason == BUSY


async def test_an_abstention_that_cannot_be_told_is_no_error(folder, worker):
    with running_cache(folder) as own:
        store = worker(own.path)
        key = new_key()
        lease = await leased(store, key)
        own.kill()
        assert await bounded(store.abstain(key, lease.token, "timeout", 1.0))


async def test_the_daemons_end_and_return_are_logged_once_each(folder, worker, caplog):
    caplog.set_level(logging.INFO, "server.store.reach")
    store = worker(folder / "cache.sock")
    for _ in range(3):
        await bounded(store.find(new_key()))
        with contextlib.suppress(CacheUnavailable):
            await bounded(store.agree())
    with running_cache(folder):
        await until_back(store)
        await bounded(store.find(new_key()))
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def until_back(store: DaemonStore) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        with contextlib.suppress(CacheUnavailable):
            return await bounded(store.ping())
        assert asyncio.get_running_loop().time() < deadline, "waited in vain: the daemon is back"
        await asyncio.sleep(0.02)  # a poll with a bound


# Callers who go while a worker is on its own.


async def test_a_lease_for_a_caller_who_has_gone_goes_to_the_next(anyio_backend):
    clock = [1000.0]
    store = LocalStore(now=lambda: clock[0])
    key = new_key()
    lease = await leased(store, key)
    gone, patient = asking(store.share(key, ACCOUNT)), asking(store.share(key, ACCOUNT))
    await asyncio.sleep(0)
    clock[0] += 1.0
    # Granted and cancelled in the same round of the loop.
    store._engine.release(key, lease.token)
    store._settle()
    gone.cancel()
    await asyncio.wait([gone])
    assert gone.cancelled()
    clock[0] += 1.0
    store._settle()
    inherited = await bounded(patient)
    assert isinstance(inherited, Lease)
    assert await store.answer(key, inherited.token, VALUE, 5.0)
    await store.aclose()


async def test_a_caller_who_was_cancelled_first_is_granted_nothing(anyio_backend):
    clock = [1000.0]
    store = LocalStore(now=lambda: clock[0])
    key = new_key()
    lease = await leased(store, key)
    gone, patient = asking(store.share(key, ACCOUNT)), asking(store.share(key, ACCOUNT))
    await asyncio.sleep(0)
    clock[0] += 1.0
    gone.cancel()
    store._engine.release(key, lease.token)
    store._settle()
    await asyncio.wait([gone])
    clock[0] += 1.0
    store._settle()
    assert isinstance(await bounded(patient), Lease)
    await store.aclose()
