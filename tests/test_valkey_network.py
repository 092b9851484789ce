"""A network between a worker and the server that is slow, cuts connections, or swallows packets."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from server.errors import CacheUnavailable
from server.state import encoding, valkey_connection, valkey_notices
from server.state.copies import Copies
from server.state.fallback import WorkerAccounts
from server.state.limits import FALLBACK, Limits, Policy
from server.state.memory import MemoryStorage
from server.state.storage import TURNS, StorageAway, of_account
from server.state.valkey import ValkeyStorage
from server.state.valkey_client import ValkeyClient
from server.state.vocabulary import Ask, Done, Fail, Forget, Fulfil, Hit, Lease, Locked, Rejected

from .accounts_house import CAFE, HOME, account, key, value
from .storage_contract import entry, state, tagged
from .tcp_proxy import proxied
from .test_valkey import heard
from .test_valkey_troubles import back
from .valkey_servers import client_at, served
from .waiting import SLOW_MACHINE, until

NAME = of_account(b"a" * 32)


@pytest.fixture
def anyio_backend():
    return "asyncio"


server = served("redis")


@pytest.fixture(autouse=True)
def emptied(server, monkeypatch):
    monkeypatch.setattr(valkey_connection, "PATIENCE", 0.3)
    monkeypatch.setattr(valkey_notices, "SETTLED_SECONDS", 0.4)
    monkeypatch.setattr(valkey_notices, "MISSING_SECONDS", 0.3)
    yield
    with server.client() as client:
        client.flushall()


@pytest.fixture
async def network(server):
    async with proxied(server.socket) as proxy:
        yield proxy


@contextlib.asynccontextmanager
async def worker_at(url):
    storage = ValkeyStorage(client_at(url), Limits())
    storage._notices.quiet = 0.1
    client = ValkeyClient(storage, Limits(), Policy())
    worker = WorkerAccounts(client, Copies(MemoryStorage(FALLBACK), FALLBACK, Policy().cut()))
    worker.storage, worker.client = storage, client
    await storage.open()
    await heard(storage)
    await until("it has compared", lambda: client._drops is not None)
    try:
        yield worker
    finally:
        await worker.stop()
        await client.aclose()


@pytest.fixture
async def far(network):
    """A worker behind the network."""
    async with worker_at(network.url) as worker:
        yield worker


@pytest.fixture
async def near(server):
    """A worker beside the server."""
    async with worker_at(server.unix_url) as worker:
        yield worker


def ask(number: int, source: str = HOME, of: int | None = None) -> Ask:
    return Ask("login", account(number if of is None else of), key(number), source)


def done(number: int, lease: Lease) -> Fulfil:
    return Fulfil("login", account(number), key(number), lease.token, value(number), 3600.0)


async def log_in(worker, number: int) -> None:
    lease = await worker.call(ask(number))
    assert isinstance(lease, Lease), lease
    assert await worker.call(done(number, lease)) == Done()


class TestSplit:
    """One worker is cut off, without any sign of it on its connections; the other is not."""

    async def test_it_serves_copies_and_all_callers_wait_for_one_time_out_together(
        self, network, far
    ):
        await log_in(far, 1)
        network.split()
        begun = time.monotonic()
        outcomes = await asyncio.gather(*(far.call(ask(1)) for _ in range(50)))
        assert {type(one) for one in outcomes} == {Hit}
        assert time.monotonic() - begun < 0.3 + SLOW_MACHINE
        begun = time.monotonic()
        await asyncio.gather(*(far.call(ask(1)) for _ in range(200)))
        assert time.monotonic() - begun < 0.3

    async def test_it_is_back_within_a_second_of_the_end_of_the_split(self, network, far):
        network.split()
        with pytest.raises(CacheUnavailable):
            await far.ping()
        await asyncio.sleep(0.5)
        network.heal()
        assert await back(far.storage) < 1.0 + SLOW_MACHINE
        await far.ping()

    async def test_a_probe_that_hangs_does_not_delay_its_return(
        self, network, far, server, monkeypatch
    ):
        network.split()
        with pytest.raises(CacheUnavailable):
            await far.ping()
        monkeypatch.setattr(valkey_connection, "PATIENCE", 60.0)
        running = far.storage._connection._probes._running
        await until("two probes hang for their whole time", lambda: len(running) >= 3)
        network.pass_on()
        assert await back(far.storage) < 1.0 + SLOW_MACHINE
        assert not running
        await far.ping()

    @pytest.mark.parametrize("way", ["there", "back"])
    async def test_one_way_alone_is_a_split_as_well(self, network, far, way):
        await log_in(far, 1)
        getattr(network, way).is_lost = True
        assert isinstance(await far.call(ask(1)), Hit)
        assert far.storage.away == "it does not answer"
        network.heal()
        await back(far.storage)
        assert isinstance(await far.call(ask(1)), Hit)

    async def test_each_side_of_a_split_locks_a_guesser_and_neither_locks_the_owner(
        self, network, far, near
    ):
        for worker in (far, near):
            await log_in_or_hit(worker, 1)
        network.split()
        allowed = []
        for number in range(100, 112):
            for worker in (far, near):
                outcome = await worker.call(ask(number, CAFE, of=1))
                if isinstance(outcome, Lease):
                    allowed.append(worker)
                    fail = Fail("login", account(1), key(number), outcome.token, "rejected", 0.0)
                    await worker.call(fail)
                else:
                    assert isinstance(outcome, Locked), outcome
        assert allowed.count(near) == Policy().per_source
        assert allowed.count(far) <= Policy().cut().per_source
        for worker in (far, near):
            assert isinstance(await worker.call(ask(1)), Hit)
        network.heal()
        await back(far.storage)
        # The lock of those that were not cut off holds for the one that was.
        assert isinstance(await far.call(ask(200, CAFE, of=1)), Locked)

    async def test_a_living_holder_that_is_cut_off_costs_at_most_one_more_login(
        self, network, far, near
    ):
        """Nobody can tell it from a dead one. What it brings is not stored over the newer login."""
        lease = await far.call(ask(1))
        assert isinstance(lease, Lease)
        waiting = [asyncio.create_task(near.call(ask(1))) for _ in range(20)]
        await asyncio.sleep(0.2)
        network.refuses = True
        network.cut()
        (first,), rest = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        second = first.result()
        assert isinstance(second, Lease)
        assert await far.call(done(1, lease)) == Done()  # its caller has what it logged in for
        assert await near.call(done(1, second)) == Done()
        assert {type(await one) for one in rest} == {Hit}
        network.heal()
        await back(far.storage)
        outcome = await far.call(ask(1))
        assert isinstance(outcome, Hit)
        assert far.client.accounts.upkeep.stats()["leases_granted_total"] == 1
        assert near.client.accounts.upkeep.stats()["leases_granted_total"] == 1

    async def test_a_holder_whose_packets_are_swallowed_keeps_its_lease(self, network, far, near):
        """The server still has its connection, so nobody takes it for dead before its time."""
        lease = await far.call(ask(1))
        assert isinstance(lease, Lease)
        network.split()
        waiting = asyncio.create_task(near.call(ask(1)))
        await asyncio.sleep(1.5)
        assert not waiting.done()
        waiting.cancel()

    async def test_a_flush_reaches_the_copies_of_who_was_cut_off_when_it_is_back(
        self, network, far, near
    ):
        await log_in(far, 1)
        network.split()
        assert isinstance(await far.call(ask(1)), Hit)
        assert await near.client.accounts.upkeep.flush("sessions") == (1, 0)
        network.heal()
        await back(far.storage)
        await until("the copy is gone", lambda: far._local.found(account=account(1)) is None)
        assert isinstance(await far.call(ask(1)), Lease)

    async def test_a_rejection_during_a_split_counts_on_both_sides(self, network, far, near):
        """The open guess is a failure in the storage when its time is over: nothing is lost."""
        lease = await far.call(ask(1, CAFE))
        assert isinstance(lease, Lease)
        network.split()
        fail = Fail("login", account(1), key(1), lease.token, "rejected", 0.0)
        assert await far.call(fail) == Done()
        assert isinstance(await far.call(ask(1, CAFE)), Rejected)
        network.heal()
        await back(far.storage)
        data = await near.storage.load(of_account(account(1)))
        (guess,) = encoding.load(data).guesses
        assert guess.source == CAFE


async def log_in_or_hit(worker, number: int) -> None:
    outcome = await worker.call(ask(number))
    if isinstance(outcome, Lease):
        assert await worker.call(done(number, outcome)) == Done()


class TestSubscription:
    async def test_a_subscription_that_is_dead_without_a_sign_is_made_again(self, network, far):
        notices = far.storage._notices
        network.back.is_lost = True
        await until("it is noticed", lambda: notices.since is None)
        network.heal()
        await heard(far.storage)

    async def test_a_drop_that_was_not_heard_of_is_found_by_the_next_comparison(
        self, network, far, near
    ):
        await log_in(far, 1)
        far.storage._notices.on_drop = lambda _: None  # the message gets lost
        await near.call(Forget("login", account(1), key(1)))
        await far.client._compare()
        assert far._local.found(account=account(1)) is None

    async def test_one_that_brings_nothing_for_long_is_kept(self, far):
        since = far.storage._notices.since
        await asyncio.sleep(1.0)
        assert far.storage._notices.since == since


class TestReplies:
    @pytest.mark.parametrize("size", [0, 1, 5, 17, 40])
    async def test_a_reply_that_is_cut_is_no_loss(self, network, far, size):
        await far.storage.swap(NAME, None, state(1), entry())
        network.back.cut_after = size or None
        if not size:
            network.cut()
        assert await far.storage.swap(NAME, state(1), state(2), entry())
        assert await far.storage.load(NAME) == state(2)

    @pytest.mark.parametrize("size", [1, 20, 60])
    async def test_a_request_that_is_cut_is_no_loss(self, network, far, size):
        network.there.cut_after = size
        assert await far.storage.swap(TURNS, None, tagged(1, b"a"), entry())
        assert await far.storage.load(TURNS) == tagged(1, b"a")

    async def test_a_network_of_a_hundred_milliseconds_is_slow_and_no_trouble(self, network, far):
        network.there.delay = network.back.delay = 0.05
        begun = time.monotonic()
        await asyncio.gather(*(log_in(far, number) for number in range(4)))
        assert time.monotonic() - begun < 3.0 + SLOW_MACHINE
        assert far.storage.away is None
        clock = far.storage.now()
        assert abs(clock - time.time()) < 0.2

    async def test_connections_that_are_killed_all_the_time_lose_and_double_nothing(
        self, server, far
    ):
        stop = asyncio.Event()

        async def kill():
            with server.client() as client:
                while not stop.is_set():
                    client.client_kill_filter(_type="normal", skipme=True)
                    client.client_kill_filter(_type="pubsub", skipme=True)
                    await asyncio.sleep(0.02)

        killing = asyncio.create_task(kill())
        old, made = None, 0
        for tag in range(1, 60):
            try:
                if await far.storage.swap(NAME, old, state(tag), entry()):
                    old, made = state(tag), made + 1
                else:
                    old = await far.storage.load(NAME)
            except StorageAway:
                with contextlib.suppress(StorageAway):
                    old = await far.storage.load(NAME)
                await asyncio.sleep(0.05)
        stop.set()
        await killing
        await back(far.storage)
        assert made
        await heard(far.storage)
