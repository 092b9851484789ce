"""What a worker does on a shared storage beside its calls, and replies that no server gives."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace

import pytest

from server.errors import CacheUnavailable, SecretDiffers
from server.state.limits import Limits, Policy
from server.state.storage import StorageAway
from server.state.valkey import ValkeyStorage
from server.state.valkey_client import ValkeyClient
from server.state.valkey_clock import ServerClock
from server.state.valkey_connection import Connection
from server.state.valkey_reasons import UNEXPECTED
from server.state.valkey_reports import UNREADABLE, Reports, reports_of, sums
from server.state.vocabulary import Get

from .valkey_servers import PROGRAMS, client_at, served
from .waiting import until

pytestmark = pytest.mark.anyio

TAG = b"t" * 32

ASKED = Get(account=b"a" * 32)


@pytest.fixture
def anyio_backend():
    return "asyncio"


server = served(*PROGRAMS)


@contextlib.asynccontextmanager
async def worker(server):
    storage = ValkeyStorage(client_at(server.unix_url), Limits())
    client = ValkeyClient(storage, Limits(), Policy(), tag=TAG, about=lambda: {"name": "mcp-0"})
    try:
        await client.ping()
        yield client, storage
    finally:
        await client.aclose()
        with server.client() as other:
            other.flushall()


@pytest.mark.parametrize("report", [b"garbage", b"", b"\x92\x01\x81\xa1a\x01", b"\x81\x01\x02"])
async def test_a_report_that_cannot_be_read_is_counted_and_stops_nobody(server, report):
    async with worker(server) as (client, storage):
        with server.client() as other:
            other.zadd("oig:members", {"XX": 0.0})
            other.set("oig:wXX", report)
            dropped = []
            client.listeners.dropped = lambda *whose: dropped.append(whose)
            await client._reports.report()
            assert sums(await reports_of(storage))[UNREADABLE] == 1
            assert len(await storage.members.all()) == 2
            await ValkeyStorage.flush(storage, sessions=True)
            client._drops = b"another", 0  # as if this process had not heard of it
            await client._reports.report()
            assert dropped
            other.config_set("maxmemory-policy", "allkeys-lru")
            await client._reports.report()
            assert "allkeys-lru" in str(storage.away)
            other.config_set("maxmemory-policy", "noeviction")


async def test_a_worker_refuses_all_calls_once_another_secret_is_in_the_storage(server):
    async with worker(server) as (client, storage):
        with server.client() as other:
            other.flushall()
            other.set("oig:k", b"another")
        with pytest.raises(CacheUnavailable):
            await client.call(ASKED)
        await until("it is there again", lambda: storage.away is None)
        with pytest.raises(SecretDiffers):
            await client.call(ASKED)


async def test_work_that_fails_stops_no_other_and_is_logged_once(caplog):
    done = []

    async def fails():
        raise ValueError

    async def is_away():
        raise StorageAway

    async def works():
        done.append(True)

    storage = SimpleNamespace(look_again=fails)
    reports = Reports(storage, None, dict, lambda _: None, works)
    reports._chores = fails, is_away, works
    for _ in range(3):
        await reports.report()
    assert (len(done), len(caplog.records)) == (3, 1)


class Saying:
    """A client whose server gives the same replies to whatever is asked."""

    def __init__(self, said):
        self._said = said
        self.connection_pool = SimpleNamespace(disconnect=self._end)

    async def _end(self, **_):
        pass

    def pipeline(self, **_):
        return self

    def execute_command(self, *_):
        pass

    async def execute(self, **_):
        if isinstance(self._said, Exception):
            raise self._said
        return self._said

    aclose = _end


AT = (1, 1)


@pytest.mark.parametrize(
    "said",
    [
        *([], [AT], [AT, [b"x"], b"y"], [AT, [b"x", b"y"]], [AT, 7, []], [AT, [b"x", 7], []]),
        *([7, [b"x", b"y"], []], [AT, [b"x", b"y"], 7], [AT, [b"x", b"y"], [7]]),
        *([AT, [b"x", b"y"], [], []], ValueError("hunter2"), KeyError("hunter2")),
    ],
    ids=repr,
)
async def test_a_reply_that_no_server_gives_fails_all_who_wait_and_the_storage_is_away(said):
    async def greet():
        raise StorageAway(UNEXPECTED)

    connection = Connection(Saying(said), greet, ServerClock())
    connection.away = None
    asked = [connection.get(b"1"), connection.get(b"2"), connection.ask("ZRANGE", b"3", 0, -1)]
    async with asyncio.timeout(5.0):
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert StorageAway in {type(one) for one in outcomes}
    assert all(isinstance(one, (StorageAway, bytes)) for one in outcomes)
    assert connection.away == UNEXPECTED
    await connection.aclose()
