"""A server that is gone, frozen, restarted, full, read-only or slow; and one that comes back."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
import redis

from server.state import valkey_connection
from server.state.accounts import Accounts
from server.state.limits import Limits, Policy
from server.state.storage import TURNS, StorageAway, of_account
from server.state.valkey import ValkeyStorage
from server.state.valkey_connection import UnfitStorage
from server.state.valkey_fitness import replicas_in
from server.state.vocabulary import Ask, Fulfil, Get, Hit, Lease

from .accounts_house import HOME, account, key, value
from .storage_contract import entry, state, tagged
from .test_valkey import heard, opened
from .valkey_servers import PROGRAMS, client_at, running, served, watched
from .waiting import SLOW_MACHINE, until

NAME = of_account(b"a" * 32)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(valkey_connection, "PATIENCE", 0.3)


# What was written is there after a crash of the server, if not of the machine.
server = served(*PROGRAMS, options=("--appendonly", "yes", "--appendfsync", "no"), scope="function")


@pytest.fixture
async def storage(server):
    async with opened(server) as made:
        yield made


async def back(storage):
    """Wait until a storage is there again; return after how many seconds."""
    begun = time.monotonic()
    await until("back", lambda: storage.away is None)
    return time.monotonic() - begun


async def refused(storage, match):
    """Ask until it is away; then all requests fail at once."""
    async with asyncio.timeout(10.0):
        while storage.away is None:
            with contextlib.suppress(StorageAway):
                await storage.swap(TURNS, None, tagged(1, b"a"), entry())
    begun = time.monotonic()
    for _ in range(5):  # a time-out each would be longer
        outcomes = await asyncio.gather(
            *(storage.load(NAME) for _ in range(100)), return_exceptions=True
        )
        assert {type(one) for one in outcomes} == {StorageAway}
        assert all(match in str(one) for one in outcomes)
    assert time.monotonic() - begun < 1.0


@pytest.mark.usefixtures("impatient")
async def test_a_frozen_server_costs_one_time_out_for_all_and_then_none(storage, server):
    await storage.swap(NAME, None, state(1), entry())
    server.freeze()
    begun = time.monotonic()
    outcomes = await asyncio.gather(
        *(storage.load(NAME) for _ in range(50)), return_exceptions=True
    )
    assert {str(one) for one in outcomes} == {"it does not answer"}
    assert time.monotonic() - begun < 0.3 + SLOW_MACHINE
    await refused(storage, "it does not answer")
    server.thaw()
    assert await back(storage) < 1.0 + SLOW_MACHINE
    assert await storage.load(NAME) == state(1)


async def test_a_server_that_was_killed_is_noticed_within_a_second_of_its_return(storage, server):
    await storage.swap(NAME, None, state(1), entry())
    server.kill()
    await refused(storage, "it cannot be reached")
    server.start()
    assert await back(storage) < 1.0 + SLOW_MACHINE
    assert await storage.load(NAME) == state(1)


async def test_a_restart_while_nothing_is_asked_is_noticed_by_nobody(storage, server):
    await storage.swap(NAME, None, state(1), entry())
    server.restart()
    assert await storage.load(NAME) == state(1)
    assert await storage.swap(NAME, state(1), state(2), entry())
    await heard(storage)


async def test_connections_that_somebody_ends_are_made_again(storage, server):
    await heard(storage)
    with server.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
        client.client_kill_filter(_type="pubsub", skipme=True)
        assert await storage.load(NAME) is None
        # What the server says of it: the process itself may not have noticed yet.
        await until("it listens", lambda: client.pubsub_numsub("oig:drops")[0][1] == 1)


async def test_a_connection_that_ends_badly_does_not_stop_the_probes(storage, monkeypatch):
    pool = storage._client.connection_pool
    disconnect = pool.disconnect

    async def badly(**options: bool) -> None:
        await disconnect(**options)
        if not options:
            raise ConnectionResetError

    monkeypatch.setattr(pool, "disconnect", badly)
    storage._connection.lose("it was looked at by a test")
    await back(storage)
    monkeypatch.undo()


async def test_a_server_that_has_lost_everything_begins_again(storage, server):
    before = await storage.flush(sessions=True)
    await storage.swap(NAME, None, state(1), entry())
    with server.client() as client:
        client.flushall()
    with pytest.raises(StorageAway, match="lost"):
        await storage.load(NAME)
    await back(storage)
    assert storage.epochs.origin != before.origin
    assert await storage.load(NAME) is None


async def test_scripts_may_be_forgotten_at_any_time(storage, server):
    with server.client() as client:
        for tag in range(1, 4):
            client.script_flush()
            client.config_resetstat()
            old = None if tag == 1 else state(tag - 1)
            assert await storage.swap(NAME, old, state(tag), entry())


def restore(client, name, to):
    return lambda: client.config_set(name, to)


@pytest.mark.parametrize("why", ["OOM", "READONLY", "NOREPLICAS"])
async def test_one_that_refuses_to_write_is_away_until_it_does(storage, server, why):
    await storage.swap(NAME, None, state(1), entry())
    with server.client() as client:
        match why:
            case "OOM":
                client.config_set("maxmemory", "1")
            case "READONLY":
                client.replicaof("127.0.0.1", "1")
            case _:
                client.config_set("min-replicas-to-write", "1")
        await refused(storage, f"it refuses with {why}")
        await asyncio.sleep(0.6)
        assert (storage.away or "").startswith(f"it refuses with {why}")
        match why:
            case "OOM":
                client.config_set("maxmemory", "0")
            case "READONLY":
                client.replicaof("NO", "ONE")
            case _:
                client.config_set("min-replicas-to-write", "0")
    assert await back(storage) < 1.0 + SLOW_MACHINE
    assert await storage.load(NAME) == state(1)


async def test_one_that_drops_values_at_will_since_lately_is_away_when_it_is_looked_at(
    storage, server
):
    with server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    server.options = (*server.options, "--maxmemory-policy", "allkeys-lru")
    server.restart()
    server.kill()
    with pytest.raises(StorageAway):
        await storage.load(NAME)
    server.start()
    await asyncio.sleep(0.5)
    assert "allkeys-lru" in storage.away


@pytest.mark.usefixtures("impatient")
async def test_a_slow_reply_is_waited_for_and_a_slower_one_is_not(storage, server):
    with server.client() as client:
        client.execute_command("CLIENT", "PAUSE", 100, "ALL")
        assert await storage.load(NAME) is None
        client.execute_command("CLIENT", "PAUSE", 1500, "ALL")
    with pytest.raises(StorageAway, match="does not answer"):
        await storage.load(NAME)
    assert await back(storage) < 2.5 + SLOW_MACHINE


async def test_a_wrong_password_is_named_as_the_reason_and_not_repeated(server, caplog):
    with server.client() as client:
        client.config_set("requirepass", "right")
    storage = ValkeyStorage(client_at(f"unix://:hunter2@{server.socket}"), Limits())
    with pytest.raises(UnfitStorage, match="user and password") as caught:
        await storage.open()
    assert "hunter2" not in str(caught.value) + caplog.text
    await storage.aclose()


async def test_one_that_is_away_from_the_start_is_found_when_it_comes(server):
    server.end()
    storage = ValkeyStorage(client_at(server.unix_url), Limits())
    with pytest.raises(StorageAway, match="cannot be reached"):
        await storage.open()
    with pytest.raises(StorageAway):
        await storage.load(NAME)
    server.start()
    await back(storage)
    assert await storage.load(NAME) is None
    await storage.aclose()


async def test_nothing_is_asked_of_a_storage_that_was_closed(server):
    before = asyncio.all_tasks()
    async with opened(server) as storage:
        pass
    with pytest.raises(StorageAway, match="not used any more"):
        await storage.load(NAME)
    assert asyncio.all_tasks() == before


async def test_requests_that_wait_for_a_storage_fail_when_it_is_closed(server):
    async with opened(server) as storage:
        server.freeze()
        waiting = [asyncio.create_task(storage.load(NAME)) for _ in range(3)]
        await asyncio.sleep(0.05)
        waiting.append(asyncio.create_task(storage.load(NAME)))
        await asyncio.sleep(0)
        await storage.aclose()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert {str(one) for one in outcomes} == {"it is not used any more"}
        server.thaw()


async def test_a_withdrawn_request_takes_no_other_along(storage):
    tasks = [asyncio.create_task(storage.load(NAME)) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert await asyncio.gather(*tasks[1:]) == [None, None]


async def test_requests_about_accounts_fail_at_once_and_go_on_when_it_is_back(storage, server):
    accounts = Accounts(storage, Limits(), Policy())
    ask = Ask("login", account(1), key(1), HOME)
    lease = await accounts.call(ask)
    assert isinstance(lease, Lease)
    waiting = [asyncio.create_task(accounts.call(ask)) for _ in range(20)]
    await asyncio.sleep(0.05)
    server.kill()
    async with asyncio.timeout(10.0):
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(one) for one in outcomes} == {StorageAway}
    with pytest.raises(StorageAway):
        await accounts.call(Fulfil("login", account(1), key(1), lease.token, value(1), 60.0))
    server.start()
    await back(storage)
    # The lease of which no end could be stored is given back, and stops nobody.
    async with asyncio.timeout(10.0):
        lease = await accounts.call(ask)
    assert isinstance(lease, Lease)
    await accounts.call(Fulfil("login", account(1), key(1), lease.token, value(1), 60.0))
    assert isinstance(await accounts.call(ask), Hit)
    await accounts.stop()


async def test_turns_that_ended_while_it_was_away_stop_no_login(storage, server):
    accounts = Accounts(storage, Limits(logins_at_once=1), Policy())
    lease = await accounts.call(Ask("login", account(1), key(1), HOME))
    server.kill()
    with pytest.raises(StorageAway):
        await accounts.call(Ask("login", account(2), key(2), HOME))
    accounts.give_up(lease.token)
    await asyncio.sleep(0.1)
    server.start()
    await back(storage)
    async with asyncio.timeout(10.0):
        assert isinstance(await accounts.call(Ask("login", account(3), key(3), HOME)), Lease)
    await accounts.stop()


async def test_a_replica_takes_over_with_all_that_was_durable():
    with watched("redis") as servers:
        storage = ValkeyStorage(client_at(servers.url), Limits())
        await storage.open()
        for tag in range(1, 50):
            name = of_account(bytes([tag]) * 32)
            assert await storage.swap(name, None, state(tag), entry())
            await storage.durable(name)
        # As when their machine loses its power: the first Sentinel takes what it is sent.
        servers.sentinels[0].freeze()
        servers.primary.kill()
        await refused(storage, "")
        assert await back(storage) < 10.0 + SLOW_MACHINE
        with redis.Redis(port=servers.replica.port) as client:
            assert client.role()[0] == b"master"
        for tag in range(1, 50):
            assert await storage.load(of_account(bytes([tag]) * 32)) == state(tag)
        await storage.aclose()


async def test_a_replica_that_is_frozen_costs_one_short_wait_for_all_writers():
    with (
        running("redis") as primary,
        running("redis", replica_of=primary) as replica,
        primary.client() as client,
        replica.client() as following,
    ):
        await until("it follows", lambda: _follows(client, following))
        async with opened(primary) as storage:
            assert storage._replicas == 1
            await storage.swap(NAME, None, state(1), entry())
            client.config_resetstat()
            accounts = Accounts(storage, Limits(), Policy())
            await accounts.call(Get(account=account(1), key=key(1)))
            assert "cmdstat_wait" not in client.info("commandstats")
            replica.freeze()
            await storage.swap(NAME, state(1), state(2), entry())
            await asyncio.gather(*(storage.durable(NAME) for _ in range(20)))
            await storage.durable(NAME)
            assert client.info("commandstats")["cmdstat_wait"]["calls"] == 1
            assert storage.away is None
            replica.thaw()
            await until("it follows", lambda: _follows(client, following))
            await storage.look_again()
            assert storage._replicas == 1


def _follows(primary, replica) -> bool:
    is_up = replica.info("replication")["master_link_status"] == "up"
    return is_up and replicas_in(primary.info("replication")) == 1
