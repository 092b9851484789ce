"""What a worker gives again for some seconds without asking the daemon, and what ends that."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import inspect
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from server.cache import tracking
from server.cache.blocking import BlockingClient
from server.cache.client import CacheClient
from server.cache.connections import Connections
from server.cache.tracking import ACKNOWLEDGE_SECONDS, NOTED_SECONDS, Tracking
from server.cache.verbs import Notice, Reply
from server.state import near_cache
from server.state.limits import SPELLING_BYTES
from server.state.near_cache import COPY_LASTS, NearCache
from server.state.storage import PATIENCE as DISK_PATIENCE
from server.state.storage import Epochs
from server.state.vocabulary import (
    Ask,
    Done,
    Forget,
    Found,
    Fulfil,
    Get,
    Hit,
    Lease,
    Locked,
    Missing,
)

from .cache_process import PATIENCE, ROOT, run_folder, running_cache
from .connected import Connected
from .daemon_worker import ACCOUNT, HELLO, HOME, Worker
from .moved_clock import MovedClock
from .near_house import (
    FAST,
    HANDLE,
    KEY,
    OTHER_KEY,
    QUESTION,
    House,
    change_password,
    end_dead_session,
    end_handle,
    end_login,
    erase,
    flush_account,
    flush_all,
    lock,
    replace_answer,
)
from .test_cache_client import WELCOME, Puppet
from .test_daemon import Wire
from .waiting import until

SESSION = Hit(b"session", 100.0, 5.0, b"")
LOGIN = Ask("login", ACCOUNT, KEY, HOME)
BY_HANDLE = Get(handle=HANDLE, questions=(QUESTION,))
RENEWED = math.inf
"""A lease that does not run out: tests/test_near_lease.py is about those that do."""
FOUND = Found(ACCOUNT, b"record", 50.0, KEY, SESSION, (Hit(b"answer", 20.0),))


@pytest.fixture
def anyio_backend():
    return "asyncio"


# The copies alone.


@pytest.fixture
def clock():
    return MovedClock()


@pytest.fixture
def near(clock):
    return NearCache(clock)


def keep(near: NearCache, request, outcome) -> None:
    near.learn(request, outcome, near.begin())


def test_a_copy_is_as_old_as_its_request_was_sent(near, clock):
    keep(near, LOGIN, SESSION)
    keep(near, BY_HANDLE, FOUND)
    keep(near, Ask("answer", ACCOUNT, QUESTION), Hit(b"answer", 20.0))
    clock.now += 0.25
    aged = Hit(b"session", 99.75, 5.25, b"")
    assert near.find(LOGIN, RENEWED) == aged
    assert near.find(BY_HANDLE, RENEWED) == FOUND._replace(
        record_left=49.75, session=aged, answers=(Hit(b"answer", 19.75),)
    )
    assert near.find(Ask("answer", ACCOUNT, QUESTION), RENEWED) == Hit(b"answer", 19.75)
    assert near.hits == 3


def test_a_copy_answers_for_some_seconds_from_when_its_request_was_sent(near, clock):
    begun = near.begin()
    clock.now += COPY_LASTS / 2
    near.learn(LOGIN, SESSION, begun)
    clock.now += COPY_LASTS / 2 - 0.01
    assert near.find(LOGIN, RENEWED) is not None
    clock.now += 0.02
    assert near.find(LOGIN, RENEWED) is None


def test_an_outcome_that_came_late_is_no_copy(near, clock):
    begun = near.begin()
    clock.now += COPY_LASTS + 0.01
    near.learn(LOGIN, SESSION, begun)
    assert len(near) == 0


@pytest.mark.parametrize("account", [ACCOUNT, b"o" * 32, None])
def test_the_outcome_of_a_request_sent_before_a_change_is_no_copy(near, account):
    begun = near.begin()
    near.drop(account)
    near.learn(LOGIN, SESSION, begun)
    assert near.find(LOGIN, RENEWED) is None


@pytest.mark.parametrize(
    ("request_", "outcome"),
    [
        (LOGIN, Hit(b"session", 0.4, 0.0, b"")),
        (BY_HANDLE, FOUND._replace(record_left=0.4)),
        (BY_HANDLE, FOUND._replace(session=Hit(b"session", 0.4))),
        (BY_HANDLE, FOUND._replace(answers=(Hit(b"answer", 0.4),))),
    ],
    ids=["session", "handle", "session of a handle", "answer"],
)
def test_a_copy_ends_when_any_part_of_it_runs_out(near, clock, request_, outcome):
    keep(near, request_, outcome)
    clock.now += 0.3
    assert near.find(request_, RENEWED) is not None
    clock.now += 0.11
    assert near.find(request_, RENEWED) is None


SPELLED = ACCOUNT + b"s" * SPELLING_BYTES


@pytest.mark.parametrize(
    ("request_", "outcome", "is_kept"),
    [
        (LOGIN, SESSION, True),
        (LOGIN._replace(budget=ACCOUNT), SESSION, True),
        (LOGIN._replace(budget=b"b" * 32), SESSION, False),
        (LOGIN, Hit(b"session", 100.0, 0.0, None), False),
        (LOGIN, Hit(b"session", 100.0, 0.0, SPELLED[32:]), False),
        (LOGIN._replace(account=SPELLED), Hit(b"session", 100.0, 0.0, SPELLED[32:]), True),
        (LOGIN._replace(account=SPELLED), SESSION, False),
        (LOGIN, Locked(30.0), False),
        (LOGIN, Lease(b"t" * 16, 30.0), False),
        (LOGIN, None, False),
        (BY_HANDLE, FOUND, True),
        (BY_HANDLE, FOUND._replace(session=None), False),
        (BY_HANDLE, FOUND._replace(answers=(None,)), True),
        (BY_HANDLE, Missing(), False),
        (Get(account=ACCOUNT, questions=(QUESTION,)), FOUND._replace(session=None), True),
        (Get(account=ACCOUNT, key=KEY), FOUND._replace(session=None, answers=()), False),
    ],
)
def test_a_copy_is_kept_of_what_takes_no_more_than_a_look(near, request_, outcome, is_kept):
    keep(near, request_, outcome)
    assert (near.find(request_, RENEWED) is not None) is is_kept


def test_the_number_and_the_bytes_of_copies_are_bounded(near, monkeypatch):
    monkeypatch.setattr(near_cache, "MOST", 3)
    monkeypatch.setattr(near_cache, "MOST_BYTES", 100)
    requests = [Ask("answer", bytes([number]) * 32, QUESTION) for number in range(6)]
    for request in requests[:5]:
        keep(near, request, Hit(b"answer", 9.0))
    kept = [near.find(one, RENEWED) is not None for one in requests[:5]]
    assert kept == [False, False, True, True, True]
    keep(near, requests[5], Hit(bytes(95), 9.0))
    assert [near.find(one, RENEWED) is not None for one in requests] == [*[False] * 5, True]
    near.drop(requests[5].account)
    assert (len(near), near._bytes, near._accounts) == (0, 0, {})


def test_copies_that_are_over_make_way_for_the_next_one(near, clock):
    for number in range(5):
        keep(near, Ask("answer", bytes([number]) * 32, QUESTION), Hit(b"answer", 9.0))
    clock.now += COPY_LASTS / 2
    keep(near, LOGIN, SESSION)
    assert len(near) == 6
    clock.now += COPY_LASTS / 2
    keep(near, BY_HANDLE, FOUND)
    assert [near.find(one, RENEWED) is not None for one in (LOGIN, BY_HANDLE)] == [True, True]
    assert len(near) == 2


def test_what_this_worker_does_to_an_account_ends_the_copies_of_that_account(near):
    other = LOGIN._replace(account=b"o" * 32)
    keep(near, other, SESSION)
    for request in (
        Fulfil("answer", ACCOUNT, QUESTION, b"t" * 16, b"answer", 9.0),
        Forget("handle", ACCOUNT, HANDLE),
        LOGIN._replace(key=OTHER_KEY),
    ):
        keep(near, LOGIN, SESSION)
        keep(near, request, Done())
        assert near.find(LOGIN, RENEWED) is None
    assert near.find(other, RENEWED) is not None


# Who is told of changes.


def tracked(now: Callable[[], float], number: int = 1) -> tuple[Tracking, list[Connected]]:
    one = Tracking(now)
    connections = Connections("1", 1, lambda: Epochs(b"o" * 16), bytes, one)
    made = [Connected(connections) for _ in range(number)]
    for connection in made:
        one.join(connection)  # type: ignore[arg-type]
    return one, made


def named(connection: Connected) -> list[bytes | None]:
    return [notice.fields[0] for notice in connection.sent if isinstance(notice, Notice)]


def read(one: Tracking, connection: Connected, account: bytes) -> None:
    one.read(connection, account)  # type: ignore[arg-type]


def test_a_change_is_named_once_to_those_who_have_read_the_account(clock):
    one, (first, second, third) = tracked(clock, 3)
    read(one, first, ACCOUNT)
    read(one, second, ACCOUNT)
    read(one, third, b"o" * 32)
    for _ in range(2):
        one.changed(ACCOUNT)
    assert [named(each) for each in (first, second, third)] == [[ACCOUNT], [ACCOUNT], []]
    one.changed(None)
    assert [named(each)[-1] for each in (first, second, third)] == [None] * 3


def test_a_read_is_noted_for_longer_than_a_copy_lasts_and_not_for_ever(clock):
    one, (first,) = tracked(clock)
    for number in range(40):
        read(one, first, b"o" * 32)  # others read on, and periods go by
        account = bytes([number]) * 32
        read(one, first, account)
        clock.now += COPY_LASTS + 0.05 * (number % 2)
        read(one, first, b"o" * 32)
        one.changed(account)
        assert named(first)[-1] == account
    read(one, first, ACCOUNT)
    for _ in range(3):
        clock.now += NOTED_SECONDS
        read(one, first, b"o" * 32)
    assert ACCOUNT not in one._recent | one._older


def test_a_hundred_thousand_accounts_asked_in_turn_are_noted_within_bounds(clock):
    one, (first,) = tracked(clock)
    for number in range(100_000):
        clock.now += 1e-4
        read(one, first, hashlib.sha256(b"%d" % number).digest())
        assert len(one._recent) + len(one._older) <= 2 * tracking.MOST
    assert len(named(first)) <= 100_000 / tracking.MOST


def test_too_many_accounts_end_all_copies_and_the_table_begins_again(clock, monkeypatch):
    monkeypatch.setattr(tracking, "MOST", 8)
    one, (first, second) = tracked(clock, 2)
    for number in range(9):
        read(one, first, bytes([number]) * 32)
    assert (named(first), named(second)) == ([None], [None])
    assert not one._recent | one._older


def test_a_connection_in_place_of_one_that_has_ended_is_told_of_its_own_reads(clock):
    one, (first, second) = tracked(clock, 2)
    one.leave(first)  # type: ignore[arg-type]
    third = Connected(Connections("1", 1, lambda: Epochs(b"o" * 16), bytes, one))
    one.join(third)  # type: ignore[arg-type]
    read(one, third, ACCOUNT)
    one.changed(ACCOUNT)
    assert (named(first), named(second), named(third)) == ([], [], [ACCOUNT])


# Two workers and a daemon.


@pytest.fixture(scope="module")
def cache():
    with running_cache(settings=FAST) as cache:
        yield cache


@pytest.fixture
async def house(cache):
    house = House(cache)
    yield house
    await house.aclose()


CHANGES = {
    lock: {"login": Locked},
    flush_all: dict.fromkeys(("login", "session", "handle", "answer", "answers"), (Lease, Missing)),
    flush_account: dict.fromkeys(("login", "session", "handle", "answers"), (Lease, Missing)),
    erase: dict.fromkeys(("login", "session", "handle", "answers"), (Lease, Missing)),
    end_login: dict.fromkeys(("login", "session", "handle", "answers"), (Lease, Missing)),
    end_handle: dict.fromkeys(("login", "session", "handle", "answers"), (Lease, Missing)),
    end_dead_session: {"session": Missing, "login": Lease},
    change_password: dict.fromkeys(("session", "handle", "answers"), Missing),
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda one: one.__name__)
async def test_once_a_change_is_reported_no_worker_answers_from_before(house, change):
    one, other = house.worker(), house.worker()
    await house.filled(other)
    await house.warm(one)
    await change(house, other)
    for name, kind in CHANGES[change].items():
        outcome = await one.call(house.looks[name])
        assert isinstance(outcome, kind), (name, outcome)


async def test_an_answer_that_was_replaced_is_given_by_no_worker(house):
    one, other = house.worker(), house.worker()
    await house.filled(other)
    await house.warm(one)
    await replace_answer(house, other)
    asked = await one.call(house.looks["answer"])
    assert isinstance(asked, Hit)
    assert asked.value == b"newer"


async def test_a_lock_is_no_less_of_one_where_failures_are_counted_elsewhere(house):
    """Under the key of the folded e-mail: such a login is asked for each time."""
    budget = house.account[:16] + house.account[:16]
    house.login = house.looks["login"] = house.login._replace(budget=budget)
    one, other = house.worker(), house.worker()
    await house.filled(other)
    for _ in range(3):
        assert isinstance(await one.call(house.login), Hit)
    assert one.accounts.near.hits == 0
    await lock(house, other)
    assert isinstance(await one.call(house.login), Locked)


async def test_a_copy_does_not_outlive_its_connection(house):
    with running_cache(settings=FAST) as cache:
        house.cache = cache
        one = house.worker()
        await house.filled(one)
        await house.warm(one)
        cache.kill()
        deadline = time.monotonic() + PATIENCE
        while one.remote.renewed_at is not None:
            assert time.monotonic() < deadline
            await asyncio.sleep(0)
        hits = one.accounts.near.hits
        # What it keeps for the time without a daemon answers, but not as if the daemon had.
        assert isinstance(await one.call(house.login), Hit)
        assert one.accounts.near.hits == hits


async def test_the_daemon_counts_what_near_copies_have_answered(house):
    one = house.worker()
    await house.filled(one)
    with BlockingClient(house.cache.path, PATIENCE) as client:

        def said():
            return client.call("stats", None)[0]

        before = said()["near_hits_total"]
        await house.warm(one)
        near = before + one.accounts.near.hits
        assert near >= before + len(house.looks)
        # Although the worker sends no further request.
        await until("near hits are reported", lambda: said()["near_hits_total"] == near)
        stats = said()
    hits, misses = stats["hits_total"], stats["misses_total"]
    assert stats["hit_ratio"] == pytest.approx((hits + near) / (hits + near + misses))


async def test_a_worker_without_near_copies_hears_of_no_change_and_is_not_waited_for(house):
    old, other = house.worker(near=False), house.worker()
    await old.ping()
    await house.filled(other)
    await house.warm(other)
    assert old.remote.renewed_at is None
    heard: list[object] = []
    for _ in range(2):
        old.remote.listeners.changed = heard.append
        assert isinstance(await old.call(house.login), Hit)
    await flush_account(house, other)
    assert isinstance(await old.call(house.looks["session"]), Missing)
    assert heard == []
    assert old.accounts.near.hits == 0


# A daemon of which the test decides every word.

FOUND_NOW = ("found", (ACCOUNT, None, 0.0, KEY, b"session", 90.0, 0.0))
LOOK = Get(account=ACCOUNT, key=KEY)


@contextlib.asynccontextmanager
async def puppet_and_worker(*more: object):
    with run_folder() as folder:
        async with Puppet(folder / "puppet.sock") as puppet:
            puppet.welcome = Reply(1, "ok", (*WELCOME, *more))
            worker = Worker(puppet.path, near=True)
            try:
                yield puppet, worker
            finally:
                await worker.aclose()


@pytest.mark.parametrize("more", [(), (0,)], ids=["older", "without"])
async def test_a_daemon_that_names_no_changes_is_asked_each_time(more):
    async with puppet_and_worker(*more) as (puppet, worker):
        for _ in range(2):
            looked = asyncio.create_task(worker.call(LOOK))
            puppet.say(Reply((await puppet.heard()).id, *FOUND_NOW))
            assert isinstance(await looked, Found)


@pytest.mark.parametrize("account", [ACCOUNT, None])
@pytest.mark.parametrize("first", ["notice", "reply"])
async def test_a_notice_that_crosses_a_reply_leaves_no_copy_and_is_acknowledged(account, first):
    async with puppet_and_worker(1) as (puppet, worker):
        looked = asyncio.create_task(worker.call(LOOK))
        reply = Reply((await puppet.heard()).id, *FOUND_NOW)
        notice = Notice("changed", (account, 7))
        puppet.say(*((notice, reply) if first == "notice" else (reply, notice)))
        assert isinstance(await looked, Found)
        assert (await puppet.heard()).args == ("heard", 7)
        again = asyncio.create_task(worker.call(LOOK))
        puppet.say(Reply((await puppet.heard()).id, "missing"))
        assert isinstance(await again, Missing)


def test_a_worker_that_takes_no_notice_delays_a_flush_briefly_and_loses_its_connection(cache):
    account = b"q" * 32
    with Wire(cache.path) as silent, BlockingClient(cache.path, PATIENCE) as operator:
        silent.ask(1, "hello", *HELLO._replace(near=1))
        drops = operator.hello("tests").drops
        operator.call("put", "session", account, KEY, b"value", 60.0, drops, 0.0, None)
        assert silent.ask(2, "get", "account", account, KEY) is not None
        begun = time.monotonic()
        operator.call("flush", "account", account)
        assert time.monotonic() - begun >= 0.9 * ACKNOWLEDGE_SECONDS
        heard = []
        while (one := silent.hear()) is not None:
            heard.append(one)
        assert isinstance(heard[0], Notice)
        assert (heard[0].name, heard[0].fields[0]) == ("changed", account)


def test_the_wait_for_an_acknowledgement_ends_before_the_patience_of_other_workers():
    timeout = inspect.signature(CacheClient).parameters["timeout"].default
    assert 0.75 * timeout >= ACKNOWLEDGE_SECONDS + DISK_PATIENCE


def test_a_worker_that_was_stopped_gives_nothing_from_before_when_it_goes_on(cache):
    command = [sys.executable, "-m", "tests.near_worker", str(cache.path)]
    with BlockingClient(cache.path, PATIENCE) as operator:
        drops = operator.hello("tests").drops
        operator.call("put", "session", ACCOUNT, KEY, b"value", 60.0, drops, 0.0, None)
        with subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as worker:
            assert worker.stdin is not None
            assert worker.stdout is not None

            def look() -> str:
                worker.stdin.write(f"{KEY.hex()}\n")
                worker.stdin.flush()
                return worker.stdout.readline().strip()

            try:
                deadline = time.monotonic() + PATIENCE
                while look() != "near there":
                    assert time.monotonic() < deadline
                worker.send_signal(signal.SIGSTOP)
                operator.call("flush", "account", ACCOUNT)
                worker.send_signal(signal.SIGCONT)
                assert look() == "asked gone"
            finally:
                worker.kill()
