"""Workers of two hosts over one server: what one drops the others hear, and what is left of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import get_args

import pytest

from server.errors import CacheUnavailable
from server.state.copies import Copies
from server.state.decider import Listeners
from server.state.fallback import WorkerAccounts
from server.state.limits import FALLBACK, Limits, Policy
from server.state.memory import MemoryStorage
from server.state.near_cache import LEASE_LASTS
from server.state.valkey import ValkeyStorage
from server.state.valkey_client import ValkeyClient
from server.state.vocabulary import (
    REJECTED,
    Ask,
    Done,
    Fail,
    Forget,
    Fulfil,
    Get,
    Hit,
    Lease,
    Locked,
    Missing,
    Outcome,
    Put,
    Unlock,
)

from .accounts_house import HOME, account, key, value
from .test_valkey import heard
from .valkey_servers import client_at, served
from .waiting import PATIENCE, until


@pytest.fixture
def anyio_backend():
    return "asyncio"


server = served("redis", options=("--appendonly", "yes", "--appendfsync", "no"), scope="function")


class Heard(Listeners):
    """Listeners that write down what they hear."""

    def __init__(self) -> None:
        self.lines: list[tuple] = []
        super().__init__(
            lambda *whose: self.lines.append(("dropped", *whose)),
            lambda *whose: self.lines.append(("unlocked", *whose)),
        )


@contextlib.asynccontextmanager
async def client_over(server, *, near=False):
    storage = ValkeyStorage(client_at(server.unix_url), Limits())
    client = ValkeyClient(storage, Limits(), Policy(), near=near)
    client.listeners = Heard()
    client.storage = storage
    await storage.open()
    await heard(storage)
    await until("it has compared", lambda: client._drops is not None)
    try:
        yield client
    finally:
        await client.aclose()


@pytest.fixture
async def two(server):
    async with client_over(server) as one, client_over(server) as other:
        yield one, other


def ask(number: int) -> Ask:
    return Ask("login", account(number), key(number), HOME)


async def log_in(client, number):
    lease = await client.call(ask(number))
    assert isinstance(lease, Lease)
    request = Fulfil("login", account(number), key(number), lease.token, value(number), 3600.0)
    assert await client.call(request) == Done()


async def said(client, line):
    await until(f"heard {line}", lambda: line in client.listeners.lines)


async def test_what_one_drops_the_others_hear(two):
    one, other = two
    await log_in(one, 1)
    await one.call(Forget("login", account(1), key(1)))
    await said(other, ("dropped", account(1), None))
    await one.call(Forget("account", account(1)))
    await said(other, ("dropped", account(1), account(1)))
    await one.call(Unlock(account(2)))
    await said(other, ("unlocked", account(2), None))
    await one.accounts.upkeep.flush("all")
    await said(other, ("dropped", None, None))
    await said(other, ("unlocked", None, None))
    assert one.listeners.lines == other.listeners.lines


def worker_over(client):
    return WorkerAccounts(client, Copies(MemoryStorage(FALLBACK), FALLBACK, Policy().cut()))


async def near_hit(worker, request):
    """Return when a near copy has answered."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    hits = worker.near.hits
    while worker.near.hits == hits:
        assert asyncio.get_running_loop().time() < deadline
        assert isinstance(await worker.call(request), Hit)


@pytest.mark.parametrize("change", ["flush", "forget", "lock"])
async def test_what_was_ended_on_another_host_is_given_for_less_than_a_second(server, change):
    async with client_over(server, near=True) as one, client_over(server, near=True) as other:
        first, second = worker_over(one), worker_over(other)
        await log_in(first, 1)
        await near_hit(first, ask(1))
        await near_hit(second, ask(1))
        if change == "flush":
            await one.accounts.upkeep.flush("all")
        elif change == "forget":
            await first.call(Forget("login", account(1), key(1)))
        else:
            while not isinstance(await first.call(ask(1)), Locked):
                wrong = ask(1)._replace(key=os.urandom(32))
                lease = await first.call(wrong)
                if isinstance(lease, Lease):
                    fail = Fail("login", account(1), wrong.key, lease.token, REJECTED, 0.0)
                    await first.call(fail)
        ended = asyncio.get_running_loop().time()
        assert not isinstance(await first.call(ask(1)), Hit)
        while True:
            at = asyncio.get_running_loop().time()
            if not isinstance(await second.call(ask(1)), Hit):
                break
            assert at < ended + LEASE_LASTS
            await asyncio.sleep(0.01)  # a poll with a bound
        for worker in (first, second):
            await worker.stop()


async def test_who_was_cut_off_while_something_was_dropped_drops_all_copies(two):
    one, other = two
    await log_in(one, 1)
    await other.storage._notices.aclose()
    await one.call(Forget("login", account(1), key(1)))
    other.storage._notices.restart()
    await said(other, ("dropped", None, None))


async def test_who_was_cut_off_and_missed_nothing_keeps_its_copies(two):
    one, other = two
    await log_in(one, 1)
    await one.call(Forget("login", account(1), key(1)))
    await said(other, ("dropped", account(1), None))
    before = other._drops
    await other.storage._notices.aclose()
    other._drops, compared = before, asyncio.Event()
    other.storage.on_announced(
        other._announced, lambda: (other._subscribed(), compared.set()), other._count
    )
    other.storage._notices.restart()
    await compared.wait()
    await asyncio.gather(*other._tasks)
    assert other.listeners.lines == [("dropped", account(1), None)]


async def test_a_server_that_is_away_is_reported_like_a_daemon_that_is(two, server):
    one, _ = two
    assert one.generation == 1
    server.kill()
    for asked in (lambda: one.call(ask(1)), one.ping):
        with pytest.raises(CacheUnavailable, match="cannot be reached"):
            await asked()
    server.start()
    await until("back", lambda: one.storage.away is None)
    await one.ping()
    assert one.generation == 2


async def test_a_server_that_is_unfit_is_not_used_and_the_log_says_why(server, caplog):
    with server.client() as connection:
        connection.config_set("maxmemory-policy", "allkeys-lru")
        client = ValkeyClient(
            ValkeyStorage(client_at(server.unix_url), Limits()), Limits(), Policy()
        )
        reporting = asyncio.create_task(client.keep_compared())
        for _ in range(2):
            with pytest.raises(CacheUnavailable, match="allkeys-lru"):
                await client.call(ask(1))
        connection.config_set("maxmemory-policy", "noeviction")
        async with asyncio.timeout(PATIENCE):
            while not isinstance(await found(client), Lease):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        reporting.cancel()
        await client.aclose()
    (told,) = caplog.messages
    assert told.startswith("the shared storage is not used: its maxmemory-policy is allkeys-lru")


async def found(client):
    with contextlib.suppress(CacheUnavailable):
        return await client.call(ask(1))


async def test_a_worker_serves_copies_and_logs_in_alone_and_hands_over(two, server):
    one, other = two
    worker = WorkerAccounts(one, Copies(MemoryStorage(FALLBACK), FALLBACK, Policy().cut()))
    await log_in(worker, 1)
    server.kill()
    assert isinstance(await worker.call(ask(1)), Hit)
    await log_in(worker, 2)
    server.start()
    await until("back", lambda: other.storage.away is None)
    outcome = None

    async def look():
        nonlocal outcome
        while not isinstance(outcome, Hit):
            outcome = await other.call(ask(2))
            if isinstance(outcome, Lease):  # it came before the hand-over
                other.accounts.give_up(outcome.token)
            await asyncio.sleep(0.1)

    async with asyncio.timeout(30.0):
        await look()
    assert outcome.value == value(2)
    await worker.stop()


async def test_a_session_and_its_answers_take_two_trips(two, server):
    def trips() -> int:
        with server.client() as client:
            return client.info("commandstats")["cmdstat_mget"]["calls"]

    one, _ = two
    asked = Get(account=account(1), key=key(1), questions=(key(2), key(3), key(4)))
    await one.call(asked)
    before = trips()
    assert isinstance(await one.call(asked), Missing)
    assert trips() == before + 2


async def test_a_drop_is_announced_though_its_process_ends_in_that_moment(two):
    one, other = two
    await one.storage.flush(dropped=True, whose=(account(1), None))  # and nothing after it
    await said(other, ("dropped", account(1), None))
    assert other._drops == (one.storage.epochs.origin, one.storage.epochs.drops)


async def test_drops_of_both_at_once_leave_no_gap_whatever_the_order_they_are_heard_in(two):
    one, other = two
    for client in two:
        await asyncio.gather(*(client.storage.flush(dropped=True) for _ in range(5)))
    await asyncio.gather(*(client.storage.flush(dropped=True) for client in two * 5))
    drops = (await one.storage.flush(dropped=True)).drops
    await until("all are heard", lambda: {one._drops[1], other._drops[1]} == {drops})
    for client in two:
        client.listeners.lines.clear()
        await client._compare()
        assert client.listeners.lines == []


async def test_a_message_that_nobody_understands_drops_all_copies_and_ends_nothing(two, server):
    one, other = two
    with server.client() as connection:
        for message in (b"", b"x", b"o" * 8 + b"\xc1", b"o" * 8 + b"\x92\xa6raised\x01"):
            connection.publish(b"oig:drops", message)
    await said(other, ("dropped", None, None))
    since = other.storage._notices.since
    await one.call(Unlock(account(2)))
    await said(other, ("unlocked", account(2), None))
    assert other.storage._notices.since == since


async def test_a_server_that_was_emptied_drops_the_copies_of_all_hosts(two, server):
    for client in two:
        await client.ping()
    with server.client() as connection:
        connection.flushall()
    for client in two:
        with pytest.raises(CacheUnavailable, match="lost everything"):
            await client.call(ask(1))
        await said(client, ("dropped", None, None))


@pytest.mark.parametrize("turns", range(0, 12, 3))
async def test_every_request_under_way_is_answered_when_the_client_is_closed(server, turns):
    requests = (
        ask(1),
        ask(1),  # waits for the other one's lease
        Get(account=account(2), key=key(2)),
        Get(handle=key(3)),
        Put("answer", account(4), key(4), value(4), 3600.0),
        Forget("login", account(5), key(5)),
    )
    async with client_over(server) as client:
        calls = [asyncio.create_task(client.call(one)) for one in requests]
        for _ in range(turns):
            await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE):
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    typed = (*get_args(Outcome), CacheUnavailable)
    assert [one for one in outcomes if not isinstance(one, typed)] == []
