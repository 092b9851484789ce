"""What operators' commands have counted on a shared storage."""

from __future__ import annotations

import asyncio

import msgpack
import pytest

from server.state.limits import Limits
from server.state.valkey import ValkeyStorage

from .valkey_servers import client_at, served

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


server = served("redis")


@pytest.fixture
async def operators(server):
    storage = ValkeyStorage(client_at(server.unix_url), Limits())
    await storage.open()
    yield storage.operators
    await storage.clear()
    await storage.aclose()


async def test_counts_of_commands_are_added_up(operators):
    assert await operators.read() == {}
    await operators.add({"flushed_total": 3})
    await operators.add({"flushed_total": 4, "expired_total": 1})
    await operators.add({})
    assert await operators.read() == {"flushed_total": 7, "expired_total": 1}


async def test_commands_at_the_same_time_lose_no_count(operators):
    await asyncio.gather(*(operators.add({"flushed_total": 1}) for _ in range(20)))
    assert await operators.read() == {"flushed_total": 20}


@pytest.mark.parametrize("value", [b"", b"?", bytes(8), msgpack.packb(7), b"\xc1" * 12])
async def test_a_value_of_another_version_counts_as_nothing(server, operators, value):
    with server.client() as client:
        client.set("oig:totals", value)
    assert await operators.read() == {}
    await operators.add({"flushed_total": 1})
    assert await operators.read() == {"flushed_total": 1}


async def test_what_is_no_number_counts_as_nothing(server, operators):
    with server.client() as client:
        client.set("oig:totals", bytes(8) + msgpack.packb({"flushed_total": "?", "newer": 2}))
    assert await operators.read() == {"newer": 2}
