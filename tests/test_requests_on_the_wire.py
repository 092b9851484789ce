"""Requests and outcomes as messages of the cache protocol, there and back; and with no storage."""

from __future__ import annotations

import asyncio

import pytest

from server.cache import verbs
from server.cache.connections import Connections
from server.cache.messages import AWAY, answer_to, asked, reply_to, said
from server.cache.service import Service
from server.cache.verbs import Reply, Request
from server.settings.reloading import Reloading
from server.settings.table import Settings
from server.state.limits import RETRY_AFTER_MAX
from server.state.memory import MemoryStorage
from server.state.storage import StorageAway, of_account
from server.state.vocabulary import (
    Ask,
    AskTurn,
    Away,
    Done,
    Erased,
    Fail,
    Forget,
    Found,
    Fulfil,
    Get,
    Hit,
    Lease,
    Locked,
    Lost,
    Missing,
    Put,
    Rejected,
    Turn,
    Unavailable,
    Unlock,
    Waiting,
)

from .accounts_house import houses
from .connected import Connected

ACCOUNT, KEY, TAG = b"a" * 32, b"k" * 32, b"s" * 16
TOKEN, VALUE, RECORD = b"t" * 16, b"sealed", b"record"
SESSION = Hit(VALUE, 12.5, 600.0)
ANSWER = Hit(b"answer", 30.0)

REQUESTS = [
    Ask("login", ACCOUNT + TAG, KEY, "192.0.2.1", KEY),
    Ask("login", ACCOUNT, KEY, "192.0.2.1"),
    Ask("answer", ACCOUNT, KEY),
    Fulfil("login", ACCOUNT, KEY, TOKEN, VALUE, 60.0),
    Fulfil("login", ACCOUNT, KEY, TOKEN, VALUE, 60.0, KEY, RECORD),
    Fulfil("answer", ACCOUNT, KEY, TOKEN, VALUE, 60.0),
    Fail("login", ACCOUNT, KEY, TOKEN, "rejected", 1.0),
    Fail("answer", ACCOUNT, KEY, TOKEN, "expired", 1.0),
    Fail("turn", ACCOUNT, None, None, "busy", 1.0),
    AskTurn(ACCOUNT),
    Get(KEY),
    Get(KEY, None, None, (KEY, ACCOUNT)),
    Get(None, ACCOUNT, KEY),
    Get(None, ACCOUNT, None, (KEY,) * 4),
    Put("handle", ACCOUNT, KEY, RECORD, 60.0, session=KEY, drops=3),
    Put("session", ACCOUNT, KEY, VALUE, 60.0, idle=5.0, spelling=TAG, drops=0),
    Put("answer", ACCOUNT, KEY, VALUE, 60.0, drops=2),
    Forget("session", ACCOUNT, KEY, digest=KEY),
    Forget("login", ACCOUNT, KEY),
    Forget("handle", ACCOUNT, KEY),
    Forget("account", ACCOUNT, budget=KEY),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=repr)
def test_a_request_is_the_same_at_the_other_end(request_):
    verb, args = said(request_, 7)
    assert verbs.refusal(Request(1, verb, args)) is None
    assert asked(verb, args) == request_


def test_a_copy_without_a_number_of_drops_is_sent_with_that_of_the_process():
    verb, args = said(Put("answer", ACCOUNT, KEY, VALUE, 60.0), 7)
    assert asked(verb, args) == Put("answer", ACCOUNT, KEY, VALUE, 60.0, drops=7)


def test_a_wait_beyond_what_the_protocol_allows_is_cut_so_that_the_lease_is_given_back():
    verb, args = said(Fail("turn", ACCOUNT, None, None, "busy", 1e9), 0)
    assert asked(verb, args) == Fail("turn", ACCOUNT, None, None, "busy", RETRY_AFTER_MAX)


@pytest.mark.parametrize(
    ("verb", "outcome"),
    [
        ("ask", Hit(VALUE, 12.5, 600.0, TAG)),
        ("ask", Lease(TOKEN, 35.0)),
        ("ask", Lease(TOKEN, 35.0, SESSION)),
        ("ask", Rejected()),
        ("ask", Unavailable("paced", 3.0)),
        ("ask", Locked(30.0, 30.0, 0.0)),
        ("turn", Turn()),
        ("turn", Unavailable("busy", 3.0)),
        ("get", Found(ACCOUNT, RECORD, 12.5, KEY, SESSION)),
        ("get", Found(ACCOUNT, None, 0.0, None, None, (None, ANSWER, None))),
        ("get", Missing()),
        ("fulfil", Done()),
        ("fail", Lost()),
        ("put", Done(1)),
        ("forget", Done(3)),
        ("forget", Erased(1, 2, 3, 4, 5, 6, 7)),
    ],
    ids=repr,
)
def test_an_outcome_is_the_same_at_the_other_end(verb, outcome):
    reply = reply_to(1, outcome)
    assert verbs.is_in_order(reply)
    answer = answer_to(verb, reply)
    assert answer == outcome
    assert getattr(answer, "spelling", None) == getattr(outcome, "spelling", None)


@pytest.mark.parametrize(
    ("verb", "reply"),
    [
        ("ask", Reply(1, "found", (ACCOUNT, None, 0, None, None, 0, 0))),
        ("ask", reply_to(1, Done())),
        ("get", reply_to(1, Lost())),
        ("get", reply_to(1, SESSION)),
        ("turn", reply_to(1, Rejected())),
        ("put", Reply(1, "ok")),
        ("put", Reply(1, "ok", ("text",))),
        ("forget", Reply(1, "ok", ({"sessions": 1},))),
        ("forget", Reply(1, "ok", (1, 2))),
        ("fail", reply_to(1, Waiting())),
        ("fail", reply_to(1, Away())),
    ],
    ids=repr,
)
def test_an_answer_to_another_question_is_none(verb, reply):
    assert answer_to(verb, reply) is None


def test_no_worker_asks_what_is_for_operators():
    with pytest.raises(AssertionError):
        said(Unlock(KEY), 0)


class AwayStorage(MemoryStorage):
    """A storage that cannot be asked, in whichever way."""

    async def load(self, name):
        raise StorageAway(name)

    async def flush(self, **_):
        raise StorageAway

    async def accounts(self, latest=None):
        raise StorageAway(latest)
        yield

    def peek_handle(self, handle):
        raise StorageAway(handle)


@pytest.mark.parametrize(
    ("verb", "args"),
    [
        ("ask", ("login", ACCOUNT, KEY, "192.0.2.1", None)),
        ("turn", (ACCOUNT,)),
        ("get", ("handle", KEY)),
        ("put", ("handle", ACCOUNT, KEY, RECORD, 60.0, 0, KEY)),
        ("forget", ("account", ACCOUNT, KEY)),
        ("list", ("sessions", 5)),
        ("list", ("lockouts", 5)),
        ("flush", ("all",)),
        ("unlock", ("source", "192.0.2.1")),
        ("unlock", ("budget", KEY)),
    ],
)
def test_a_request_is_answered_though_the_storage_cannot_be_asked(verb, args):
    with houses() as build:
        house = build(storage=lambda limits, loop: AwayStorage(limits, loop.time))
        connections = Connections("1", 2, lambda: house.storage.epochs, lambda: b"d" * 16)
        service = Service(house.accounts, connections, dict, Reloading(Settings))
        connection = Connected(connections)
        house.loop.do(lambda: service.handle(connection, Request(7, verb, args)))
        house.loop.settle()
        assert connection.sent == [Reply(7, "error", AWAY)]
        assert connection.waiting == {}


class CountingStorage(MemoryStorage):
    """A storage that counts how many go through its accounts at once."""

    going, most = 0, 0

    async def accounts(self, latest=None):
        self.going += 1
        self.most = max(self.most, self.going)
        for _ in range(3):
            await asyncio.sleep(0)
            yield of_account(ACCOUNT), bytes(200)
        self.going -= 1


def test_lists_of_one_connection_are_made_one_after_another():
    with houses() as build:
        house = build(storage=lambda limits, loop: CountingStorage(limits, loop.time))
        connections = Connections("1", 2, lambda: house.storage.epochs, lambda: b"d" * 16)
        service = Service(house.accounts, connections, dict, Reloading(Settings))
        first, second, ended = (Connected(connections) for _ in range(3))

        def ask():
            for number in range(1, 6):
                service.handle(first, Request(number, "list", ("sessions", 5)))
            service.handle(second, Request(1, "list", ("sessions", 5)))
            service.handle(ended, Request(1, "list", ("sessions", 5)))
            service.drop(ended)

        house.loop.do(ask)
        house.loop.settle()
        assert house.storage.most == 2
        assert first.sent == [Reply(number, "ok", (0, [])) for number in range(1, 6)]
        assert (second.sent, ended.sent) == ([Reply(1, "ok", (0, []))], [])
