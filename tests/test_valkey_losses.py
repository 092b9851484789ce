"""A server that has lost its latest writes, or has other values than ours; and a clock set back."""

from __future__ import annotations

import contextlib
import shutil

import msgpack
import pytest

from server.state.accounts import Accounts
from server.state.limits import Limits, Policy
from server.state.storage import EPOCHS, TURNS, StorageAway, of_account
from server.state.valkey import ValkeyStorage
from server.state.valkey_clock import ServerClock
from server.state.valkey_epochs import BEHIND
from server.state.vocabulary import Ask, AskTurn, Done, Fail, Fulfil, Hit, Lease, Locked, Turn

from .accounts_house import CAFE, HOME, account, key, value
from .storage_contract import entry, state, tagged
from .test_valkey import NAME, opened
from .test_valkey_troubles import back
from .valkey_servers import client_at, served

HOUR = 3600.0


@pytest.fixture
def anyio_backend():
    return "asyncio"


server = served("redis", options=("--appendonly", "yes", "--appendfsync", "everysec"))


@pytest.fixture(autouse=True)
def emptied(server):
    yield
    with server.client() as client:
        client.flushall()


@pytest.fixture
async def storage(server):
    async with opened(server) as made:
        yield made


def ask(number: int, source: str = HOME, of: int | None = None) -> Ask:
    return Ask("login", account(number if of is None else of), key(number), source)


async def log_in(accounts: Accounts, number: int) -> None:
    lease = await accounts.call(ask(number))
    assert isinstance(lease, Lease), lease
    done = Fulfil("login", account(number), key(number), lease.token, value(number), 43200.0)
    assert await accounts.call(done) == Done()


async def reject(accounts: Accounts, number: int, of: int) -> None:
    lease = await accounts.call(ask(number, CAFE, of))
    assert isinstance(lease, Lease), lease
    await accounts.call(Fail("login", account(of), key(number), lease.token, "rejected", 0.0))


class TestLosses:
    async def test_what_a_crash_lost_is_logged_in_for_again_and_no_flush_comes_undone(
        self, server, storage, tmp_path
    ):
        """As `appendfsync everysec` may lose it: the files are those of some writes before."""
        accounts = Accounts(storage, Limits(), Policy())
        await log_in(accounts, 1)
        shutil.copytree(server.folder / "appendonlydir", tmp_path / "before")
        await log_in(accounts, 2)
        waiting = await accounts.call(ask(3))
        server.kill()
        shutil.rmtree(server.folder / "appendonlydir")
        shutil.copytree(tmp_path / "before", server.folder / "appendonlydir")
        server.start()
        assert isinstance(await accounts.call(ask(1)), Hit)
        await log_in(accounts, 2)
        lost = Fulfil("login", account(3), key(3), waiting.token, value(3), 60.0)
        assert await accounts.call(lost) != Done()
        await log_in(accounts, 3)

    async def test_a_flush_that_a_replica_lacks_is_made_there_again(self, server, storage):
        accounts = Accounts(storage, Limits(), Policy())
        await log_in(accounts, 1)
        for number in range(10, 15):
            await reject(accounts, number, of=2)
        with server.client() as client:
            before = client.get(b"oig:" + EPOCHS)
            await accounts.upkeep.flush("all")
            flushed = storage.epochs
            client.set(b"oig:" + EPOCHS, before)  # as on a replica that lacks the flush
        with pytest.raises(StorageAway, match=BEHIND):
            await storage.load(NAME)
        await back(storage)
        assert storage.epochs == flushed
        assert isinstance(await accounts.call(ask(1)), Lease)
        assert isinstance(await accounts.call(ask(20, CAFE, of=2)), Lease)
        async with opened(server) as other:
            assert other.epochs == flushed

    async def test_a_state_of_an_epoch_that_was_lost_has_no_session(self, storage):
        accounts = Accounts(storage, Limits(), Policy())
        await storage.swap(NAME, None, state(1, flushed=7, value=b"x", expires=9e9), entry())
        lease = await accounts.call(Ask("login", NAME[1:], b"k" * 32, HOME))
        assert isinstance(lease, Lease)


class TestOthers:
    """Values that were written by another program, or by a newer version of this one."""

    @pytest.mark.parametrize(
        "value",
        [
            b"garbage",
            b"",
            b"t" * 8 + msgpack.packb(7),
            b"t" * 8 + msgpack.packb([b"o" * 16, 1, 2, 3, 4, 5]),
            b"t" * 8 + msgpack.packb([b"o" * 16, "x", "y", "z"]),
            b"t" * 8 + msgpack.packb([b"o" * 16, 1, 2**32, 3]),
            b"t" * 8 + msgpack.packb([b"o" * 16, 1, 2, -3]),
            b"t" * 8 + msgpack.packb([b"o" * 16, 1, True, 3]),
            b"t" * 8 + msgpack.packb([b"o" * 16, 2**64 - 1, 2, 3]),
            b"t" * 8 + msgpack.packb([[1], 1, 2, 3]),
        ],
    )
    async def test_a_server_whose_epochs_cannot_be_read_is_away_until_they_can(self, server, value):
        with server.client() as client:
            client.set(b"oig:" + EPOCHS, value)
            storage = ValkeyStorage(client_at(server.unix_url), Limits())
            with pytest.raises(StorageAway, match="what was flushed cannot be read"):
                await storage.open()
            client.delete(b"oig:" + EPOCHS)
        await back(storage)
        await storage.aclose()

    async def test_a_server_whose_epochs_become_unreadable_is_away(self, server, storage):
        with server.client() as client:
            client.set(b"oig:" + EPOCHS, b"garbage!")
        with pytest.raises(StorageAway, match="what was flushed cannot be read"):
            await storage.load(NAME)

    @pytest.mark.parametrize("data", [b"garbage", b"g" * 200, state(1)[:40], state(1)[:-1]])
    async def test_a_state_that_cannot_be_read_concerns_its_account_alone(
        self, server, storage, data
    ):
        accounts = Accounts(storage, Limits(), Policy())
        with server.client() as client:
            client.set(b"oig:" + of_account(account(1)), data)
        with pytest.raises(StorageAway):
            await accounts.call(ask(1))
        await log_in(accounts, 2)
        assert storage.away is None

    async def test_turns_of_a_newer_version_stop_no_login_for_long(self, server, storage):
        """Workers of the older version log in at their own small pace, as if it were away."""
        accounts = Accounts(storage, Limits(), Policy())
        await storage.swap(TURNS, None, tagged(1, msgpack.packb([99])), entry())
        with pytest.raises(StorageAway):
            await accounts.call(ask(1))
        with server.client() as client:
            client.delete(b"oig:" + TURNS)
        await log_in(accounts, 1)


class Shifted(ServerClock):
    """A server's clock that a test sets."""

    shift = 0.0

    def learn(self, seconds: float, sent: float) -> None:
        super().learn(seconds + self.shift, sent)


@contextlib.asynccontextmanager
async def clock_of(server):
    clock = Shifted()
    async with opened(server, clock=clock) as storage:
        clock.accounts = Accounts(storage, Limits(), Policy())
        yield clock


@pytest.fixture
async def clock(server):
    async with clock_of(server) as made:
        yield made


class TestClock:
    async def test_a_lock_begins_again_at_most_and_ends(self, clock):
        for number in range(10, 15):
            await reject(clock.accounts, number, of=1)
        assert isinstance(await clock.accounts.call(ask(20, CAFE, of=1)), Locked)
        clock.shift -= 10 * HOUR
        lock = await clock.accounts.call(ask(20, CAFE, of=1))
        assert isinstance(lock, Locked)
        assert 20.0 < lock.retry_after <= 30.0
        clock.shift += 31.0
        assert isinstance(await clock.accounts.call(ask(20, CAFE, of=1)), Lease)

    async def test_logins_and_requests_go_on(self, clock):
        accounts = clock.accounts
        for number in range(1, 5):  # as many as may be under way
            assert isinstance(await accounts.call(ask(number)), Lease)
        assert await accounts.call(AskTurn(account(50))) == Turn()
        clock.shift -= 10 * HOUR
        assert await accounts.call(AskTurn(account(50))) == Turn()
        for token in list(accounts._rounds.room.leases):
            accounts.give_up(token)
        for number in range(5, 9):
            await log_in(accounts, number)

    async def test_the_first_decision_after_the_step_is_made_by_the_new_time(self, clock, server):
        """A lock that another process made after the step is none of the future, nor over."""
        async with opened(server, clock=(other := Shifted())) as storage:
            others = Accounts(storage, Limits(), Policy())
            clock.shift = other.shift = -HOUR
            for number in range(10, 15):
                await reject(others, number, of=1)
            assert isinstance(await clock.accounts.call(ask(20, CAFE, of=1)), Locked)

    async def test_a_session_lasts_no_longer_than_it_may(self, clock):
        await log_in(clock.accounts, 1)
        clock.shift -= 100 * HOUR
        hit = await clock.accounts.call(ask(1))
        assert isinstance(hit, Hit)
        assert hit.expires_in <= 43200.0
        assert hit.idle >= 0.0
