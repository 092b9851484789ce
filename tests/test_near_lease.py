"""For how long near copies may answer, and that no worker does once a change has been reported."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time

import pytest

from server.cache.tracking import ACKNOWLEDGE_SECONDS, NOTED_SECONDS, Tracking
from server.cache.verbs import Notice, Reply
from server.state.fallback import RENEW_SECONDS
from server.state.near_cache import COPY_LASTS, LEASE_LASTS, NearCache
from server.state.vocabulary import Ask, Found, Get, Hit

from .cache_process import PATIENCE, run_folder, running_cache
from .connected import Connected
from .daemon_worker import ACCOUNT, Worker
from .moved_clock import MovedClock
from .near_house import (
    FAST,
    KEY,
    House,
    change_password,
    end_login,
    flush_account,
    lock,
)
from .test_cache_client import WELCOME, Puppet
from .waiting import until

LOOK = Get(account=ACCOUNT, key=KEY)
FOUND_NOW = ("found", (ACCOUNT, None, 0.0, KEY, b"session", 90.0, 0.0))
MOMENT = 0.01


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def clock():
    return MovedClock()


def test_a_lease_ends_before_the_daemon_goes_on_and_a_note_after_the_copy():
    assert LEASE_LASTS < ACKNOWLEDGE_SECONDS
    assert COPY_LASTS < NOTED_SECONDS
    assert 2 * RENEW_SECONDS < LEASE_LASTS


# The copies, and a lease of which the test says when it was renewed.


def copies(clock: MovedClock) -> NearCache:
    near = NearCache(clock)
    near.learn(LOOK, Found(ACCOUNT, None, 0.0, KEY, Hit(b"session", 90.0)), near.begin())
    return near


def test_a_copy_answers_as_long_as_the_lease_is_renewed(clock):
    near, begun = copies(clock), clock.now
    while clock.now < begun + COPY_LASTS - RENEW_SECONDS:
        renewed_at = clock.now
        clock.now += RENEW_SECONDS
        assert near.find(LOOK, renewed_at) is not None
    clock.now = begun + COPY_LASTS
    assert near.find(LOOK, clock.now) is None


def test_no_copy_answers_once_the_lease_is_over_and_all_do_when_it_is_renewed(clock):
    near = copies(clock)
    renewed_at = clock.now
    clock.now += LEASE_LASTS + MOMENT
    assert near.find(LOOK, renewed_at) is None
    assert near.find(LOOK, clock.now) is not None


def test_where_changes_are_not_named_each_copy_has_the_lease_of_its_own_request(clock):
    near = copies(clock)
    clock.now += LEASE_LASTS - MOMENT
    assert near.find(LOOK, -math.inf) is not None
    clock.now += 2 * MOMENT
    assert near.find(LOOK, -math.inf) is None


def test_no_copy_answers_without_a_connection(clock):
    assert copies(clock).find(LOOK, None) is None


# A worker, and a daemon of which the test decides every word.


@contextlib.asynccontextmanager
async def puppet_and_worker(clock):
    with run_folder() as folder:
        async with Puppet(folder / "puppet.sock") as puppet:
            puppet.welcome = Reply(1, "ok", (*WELCOME, 1))
            worker = Worker(puppet.path, near=True, now=clock)
            try:
                await asked(puppet, worker)  # connects, and leaves no copy
                yield puppet, worker
            finally:
                await worker.aclose()


async def asked(puppet: Puppet, worker: Worker, request: Get = LOOK) -> None:
    """Have a request sent and answered, of which there is a copy then."""
    looked = asyncio.create_task(worker.call(request))
    puppet.say(Reply((await puppet.heard()).id, *FOUND_NOW))
    assert isinstance(await looked, Found)


def is_near(worker: Worker, request: Get = LOOK) -> bool:
    return worker.accounts.near.find(request, worker.remote.renewed_at) is not None


async def test_a_reply_renews_the_lease_from_when_its_request_was_sent(clock):
    async with puppet_and_worker(clock) as (puppet, worker):
        await asked(puppet, worker)
        clock.now += LEASE_LASTS - MOMENT
        other = LOOK._replace(key=b"o" * 32)
        looked = asyncio.create_task(worker.call(other))
        reply = Reply((await puppet.heard()).id, *FOUND_NOW)
        clock.now += 2 * MOMENT
        assert not is_near(worker), "a request that is not answered renews nothing"
        puppet.say(reply)
        await looked
        assert is_near(worker)
        clock.now += LEASE_LASTS - MOMENT
        assert not is_near(worker), "the lease began when the request was sent"


async def test_replies_in_another_order_than_their_requests_take_nothing_off_the_lease(clock):
    async with puppet_and_worker(clock) as (puppet, worker):
        first = asyncio.create_task(worker.call(Ask("login", ACCOUNT, KEY, "192.0.2.1")))
        early = Reply((await puppet.heard()).id, "hit", (b"session", 90.0, 0.0, b""))
        clock.now += 0.2
        await asked(puppet, worker)
        puppet.say(early)
        assert isinstance(await first, Hit)
        clock.now += LEASE_LASTS - MOMENT
        assert is_near(worker)


async def test_that_a_request_has_to_wait_renews_the_lease_too(clock):
    async with puppet_and_worker(clock) as (puppet, worker):
        await asked(puppet, worker)
        clock.now += 0.3
        waiting = asyncio.create_task(worker.call(Ask("login", ACCOUNT, KEY, "192.0.2.1")))
        puppet.say(Reply((await puppet.heard()).id, "waiting"))
        renewed_at = clock.now
        await until("it has heard", lambda: worker.remote.renewed_at == renewed_at)
        assert is_near(worker)
        waiting.cancel()


async def test_a_used_copy_has_the_lease_renewed_once_and_an_idle_worker_sends_nothing(clock):
    async with puppet_and_worker(clock) as (puppet, worker):
        await asked(puppet, worker)
        for _ in range(3):
            await worker.call(LOOK)
        begun = time.monotonic()
        renewal = await puppet.heard()
        assert time.monotonic() - begun < LEASE_LASTS
        assert (renewal.verb, renewal.args) == ("near", ("hits", 3))
        clock.now += LEASE_LASTS + MOMENT
        assert not is_near(worker), "a renewal that is not answered renews nothing"
        # Nothing is to be sent, and nothing is due.
        assert worker.accounts._report is None
        assert puppet.requests.empty()


async def test_an_answered_renewal_keeps_all_copies_going(clock):
    async with puppet_and_worker(clock) as (puppet, worker):
        other = LOOK._replace(key=b"o" * 32)
        await asked(puppet, worker)
        await asked(puppet, worker, other)
        clock.now += LEASE_LASTS - MOMENT
        await worker.call(LOOK)
        puppet.say(Reply((await puppet.heard()).id, "ok"))
        await until("it is renewed", lambda: worker.remote.renewed_at == clock.now)
        clock.now += LEASE_LASTS - MOMENT
        assert is_near(worker)
        assert is_near(worker, other)


async def test_a_daemon_that_stands_still_is_asked_once_the_lease_is_over(clock):
    async with puppet_and_worker(clock) as (puppet, worker):
        await asked(puppet, worker)
        clock.now += LEASE_LASTS + MOMENT
        looked = asyncio.create_task(worker.call(LOOK))
        asked_again = await puppet.heard()
        assert (asked_again.verb, asked_again.args[:2]) == ("get", ("account", ACCOUNT))
        # The stopped daemon goes on: what it sent before it stopped comes first.
        puppet.say(Notice("changed", (ACCOUNT, 1)), Reply(asked_again.id, "missing"))
        assert not isinstance(await looked, Found)
        assert not is_near(worker)


async def test_a_new_connection_has_a_lease_of_its_own_and_no_copy_of_the_last_one(clock):
    async with puppet_and_worker(clock) as (puppet, worker):
        await asked(puppet, worker)
        puppet.hang_up()
        await until("it has noticed", lambda: worker.remote.renewed_at is None)
        assert not is_near(worker)
        clock.now += 0.1
        await asked(puppet, worker)
        assert worker.remote.renewed_at == clock.now
        assert not is_near(worker), "as its request was made before there was this connection"


# The daemon's half, by a clock.


def connected(tracking: Tracking, clock: MovedClock) -> Connected:
    connection = Connected(set())  # type: ignore[arg-type]
    connection.asked_at = clock.now
    tracking.join(connection)  # type: ignore[arg-type]
    return connection


@pytest.mark.parametrize("ended", ["lost", "ended for taking no notice"])
async def test_a_connection_that_ends_is_waited_for_from_its_last_request_on(ended):
    clock = MovedClock()
    tracking = Tracking(clock)
    clock.now += NOTED_SECONDS
    gone = connected(tracking, clock)
    tracking.read(gone, ACCOUNT)
    tracking.changed(ACCOUNT)
    clock.now += ACKNOWLEDGE_SECONDS / 2
    gone.asked_at = clock.now
    clock.now += ACKNOWLEDGE_SECONDS / 2
    if ended == "lost":
        tracking.leave(gone)
    reporting = asyncio.create_task(tracking.acknowledged())
    if ended != "lost":
        await until("it is ended", lambda: gone.ended)
    await asyncio.sleep(0)
    assert not reporting.done()
    clock.now += ACKNOWLEDGE_SECONDS / 2
    await asyncio.wait_for(reporting, PATIENCE)
    # Its lease has run out by now, so nobody waits for it again.
    await asyncio.wait_for(tracking.acknowledged(), ACKNOWLEDGE_SECONDS / 2)


async def test_a_daemon_reports_nothing_while_the_one_before_may_have_left_a_lease():
    clock = MovedClock()
    tracking = Tracking(clock)
    reporting = asyncio.create_task(tracking.acknowledged())
    await asyncio.sleep(0)
    assert not reporting.done()
    clock.now += ACKNOWLEDGE_SECONDS
    await asyncio.wait_for(reporting, PATIENCE)
    await asyncio.wait_for(tracking.acknowledged(), ACKNOWLEDGE_SECONDS / 2)


# Real workers and a real daemon.


@pytest.fixture(scope="module")
def cache():
    with running_cache(settings=FAST) as cache:
        yield cache


@pytest.fixture
async def house(cache):
    house = House(cache)
    yield house
    await house.aclose()


@pytest.mark.parametrize(
    "change", [lock, flush_account, end_login, change_password], ids=lambda one: one.__name__
)
async def test_a_worker_that_does_not_read_has_no_lease_once_a_change_is_reported(house, change):
    one, other = house.worker(), house.worker()
    await house.filled(other)
    await house.warm(one)
    # As if hung: the notice stays in the socket's buffer, and the worker goes on to be asked.
    one.remote._channel._transport.pause_reading()
    renewed_at = one.remote.renewed_at
    await change(house, other)
    for request in house.looks.values():
        assert one.accounts.near.find(request, renewed_at) is None
    one.remote._channel._transport.resume_reading()


async def test_copies_go_on_for_longer_than_one_lease_while_they_are_used(house):
    one = house.worker()
    await house.filled(one)
    await house.warm(one, "login")
    begun = one.remote.renewed_at
    hits = one.accounts.near.hits
    deadline = time.monotonic() + PATIENCE
    while one.remote.renewed_at < begun + 2 * LEASE_LASTS:
        assert time.monotonic() < deadline
        await one.call(house.login)
        await asyncio.sleep(MOMENT)  # a poll with a bound
    assert one.accounts.near.hits > hits
