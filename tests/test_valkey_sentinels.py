"""Sentinels that do not answer, do not know the primary, or are too few."""

from __future__ import annotations

import pytest
import redis

from server.keys.secret import make_secret
from server.settings.table import Settings
from server.shared_secret import look_at_storage
from server.state.valkey_connection import UnfitStorage
from server.state.valkey_reasons import reason
from server.state.valkey_sentinels import Answer, doubts, lost_primary
from server.storage_address import StorageAddress

from .system import free_port, temporary_folder
from .valkey_servers import client_at, watched

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def sentinels():
    with watched("redis") as started:
        yield started


def look(url):
    with temporary_folder() as folder:
        make_secret(folder / "secret")
        address = StorageAddress.read(url)
        return look_at_storage(Settings(cache_url=address, run_dir=folder), only_looks=True)


def test_sentinels_in_order_are_not_mentioned(sentinels):
    seen = look(sentinels.url)
    assert (seen.away, seen.warnings) == (None, ())
    assert str(seen) == f"Shared storage {sentinels.url}: no worker works with it yet."


def test_each_sentinel_that_does_not_answer_is_named_though_others_lead_to_the_primary(sentinels):
    ports = sentinels.sentinels[0].port, free_port(), free_port()
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    seen = look(f"redis+sentinel://{hosts}/main")
    assert seen.away is None
    for warning, port in zip(seen.warnings, ports[1:], strict=True):
        assert warning.startswith(f"the Sentinel 127.0.0.1:{port} is of no use: it cannot be")


def test_fewer_than_three_sentinels_are_too_few(sentinels):
    (warning,) = look(f"redis+sentinel://127.0.0.1:{sentinels.sentinels[0].port}/main").warnings
    assert "names 1 of the three Sentinels or more that are needed" in warning
    place = f"127.0.0.1:{sentinels.sentinels[0].port}"
    assert look(f"redis+sentinel://{place},{place},{place}/main").warnings == (warning,)


def test_a_server_without_sentinels_wants_none():
    assert doubts([], "") == []


def test_a_sentinel_that_watches_another_primary_is_named():
    frozen = Answer("[2001:db8::1]:26379", None, redis.TimeoutError("hunter2"))
    answers = [Answer("a:1", frozenset({"main"}), None), Answer("b:1", frozenset(), None), frozen]
    assert doubts(answers, "main") == [
        "the Sentinel [2001:db8::1]:26379 is of no use: it does not answer.",
        "the Sentinel b:1 knows no primary main.",
    ]


class Asked:
    """A Sentinel that answers in one way."""

    def __init__(self, answer):
        self.connection_pool = type("Pool", (), {"connection_kwargs": {"host": "h", "port": 1}})
        self.answer = answer

    async def sentinel_masters(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


GONE, REFUSED = redis.ConnectionError("hunter2"), redis.AuthenticationError("hunter2")


@pytest.mark.parametrize(
    ("answers", "kind", "told"),
    [
        ([GONE, OSError("hunter2")], "StorageAway", "no Sentinel answers"),
        ([GONE, {"main": {}}], "StorageAway", "no Sentinel that answers has a primary that is up"),
        ([GONE, {"other": {}}], "UnfitStorage", "no Sentinel knows a primary of the name"),
        ([REFUSED, GONE], "UnfitStorage", "do not accept sentinel_username"),
        ([REFUSED, {"main": {}}], "StorageAway", "no Sentinel that answers has a primary"),
    ],
)
async def test_why_no_sentinel_leads_to_a_primary(answers, kind, told):
    client = client_at("redis+sentinel://h/main")
    client.connection_pool.sentinel_manager.sentinels = list(map(Asked, answers))
    why = await lost_primary(client)
    assert type(why).__name__ == kind
    assert told in (str(why) if isinstance(why, UnfitStorage) else reason(why))
    assert "hunter" not in str(why)
