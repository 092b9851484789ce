"""Probes of a server that is away, and Sentinels that several of them ask at once."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from server.state import valkey_probes
from server.state.redis_client import client_of
from server.state.valkey_probes import Probes
from server.storage_address import StorageAddress


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(valkey_probes, "PROBE_SECONDS", 0.005)


async def test_the_first_probe_that_succeeds_ends_those_that_hang():
    begun, ended = [], []

    async def probe():
        begun.append(len(begun))
        number = begun[-1]
        try:
            if number < 3:
                await asyncio.Event().wait()
        finally:
            ended.append(number)
        return True

    before = asyncio.all_tasks()
    await Probes(probe).run()
    assert begun == [0, 1, 2, 3]
    assert sorted(ended) == begun
    assert asyncio.all_tasks() == before


async def test_a_probe_that_fails_at_once_is_followed_by_one_at_the_next_beat():
    loop = asyncio.get_running_loop()
    times = []

    async def probe():
        times.append(loop.time())
        return len(times) == 4

    await Probes(probe).run()
    assert all(later - earlier >= 0.004 for earlier, later in itertools.pairwise(times))


async def test_no_more_probes_run_at_once_than_begin_within_their_time():
    running, most, begun = 0, 0, 0

    async def probe():
        nonlocal running, most, begun
        running, begun = running + 1, begun + 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        return begun > 20

    await Probes(probe).run()
    assert most <= 0.02 / 0.005 + 1


async def test_one_that_is_cancelled_while_probes_hang_leaves_none():
    before = asyncio.all_tasks()
    probes = Probes(asyncio.Event().wait)
    running = asyncio.create_task(probes.run())
    await asyncio.sleep(0.02)
    running.cancel()
    await probes.aclose()
    await asyncio.wait([running])
    assert asyncio.all_tasks() == before


async def test_no_sentinel_is_lost_when_several_connections_ask_at_once():
    client = client_of(StorageAddress.read("redis+sentinel://a:1,b:1,c:1/main"))
    watching = client.connection_pool.sentinel_manager
    all_of_them = set(watching.sentinels)
    first, *others = watching.sentinels
    first.sentinel_masters = lambda: asyncio.sleep(0, {})
    known = {"is_master": True, "is_sdown": False, "is_odown": False, "num-other-sentinels": 2}
    for one in others:
        one.sentinel_masters = lambda: asyncio.sleep(0, {"main": known | {"ip": "d", "port": 2}})
    addresses = await asyncio.gather(*(watching.discover_master("main") for _ in range(5)))
    assert set(addresses) == {("d", 2)}
    assert set(watching.sentinels) == all_of_them
    await client.aclose()
