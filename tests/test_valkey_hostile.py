"""Whatever another program writes under the keys of a shared storage: nobody else is concerned."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drills.fuzz_rows import READERS
from server.state import valkey_reports
from server.state.storage import SOURCE, TURNS, StorageAway, Unreadable, of_account, of_source
from server.state.valkey_answers import _load as answer_of
from server.state.valkey_reports import reports_of, sums, versions
from server.state.vocabulary import Lease, Put

from .accounts_house import CAFE, Ticket, account, key, value
from .valkey_house import houses_over
from .valkey_servers import running

SAID = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=4)
    | st.binary(max_size=16),
    lambda more: (
        st.lists(more, max_size=5) | st.dictionaries(st.text(max_size=2), more, max_size=3)
    ),
    max_leaves=12,
)
ROWS = st.lists(SAID, max_size=8)
PACKED = (SAID | ROWS | ROWS.map(lambda fields: [1, *fields])).map(msgpack.packb)
BYTES = st.binary(max_size=120) | PACKED | PACKED.map(lambda packed: b"t" * 8 + packed)
CUTS = st.tuples(st.floats(0, 1), st.integers(0, 9), st.binary(max_size=9))
"""Where bytes are put into a good value, and in place of how many."""

OTHERS = {
    "a list": lambda client, name: client.rpush(name, b"x"),
    "a set": lambda client, name: client.sadd(name, b"x"),
    "a hash": lambda client, name: client.hset(name, b"x", b"y"),
    "a sorted set": lambda client, name: client.zadd(name, {b"oig:mepochs": 0.0, b"": 1.0}),
    "nothing": lambda client, name: None,
}
"""What is no value at all."""

KINDS = {
    "account": lambda name: name.startswith(of_account(account(1))),
    "source": lambda name: name == of_source(CAFE),
    "turns": lambda name: name == TURNS,
    "handle": lambda name: name[:1] == b"h",
    "answer": lambda name: name[:1] in b"fp",
    "index": lambda name: name[:1] == b"i",
    "report": lambda name: name[:1] == b"w",
    "members": lambda name: name == b"members",
}


def cut(data, where, size, put):
    at = round(where * len(data))
    return data[:at] + put + data[at + size :]


@given(BYTES)
def test_bytes_are_read_or_they_cannot_be_and_nothing_else_is_raised(data):
    for read in READERS.values():
        with contextlib.suppress(Unreadable):
            read(data)
    answer_of(data)
    report = valkey_reports.load(data)
    assert sums([report])
    assert all(isinstance(one, dict) for one in versions([report]))


@pytest.fixture(scope="module")
def damaged():
    with running("redis") as server, server.client() as client, houses_over(server) as build:
        yield Damaged(client, build())


class Damaged:
    """A house, of whose stored values one is replaced, and put back again.

    Attributes:
        kept: What was stored, as the server dumps it, by name.
        logged: What was logged with an exception, or as an error.
    """

    def __init__(self, client, house):
        self.client, self.house, self.logged = client, house, []
        self.storage = house.shared
        house.store(1)
        house.store(2)
        house.put_handle(9)
        house.reject(5, source=CAFE, of=1)
        house.reject(6, source=CAFE, of=3)
        house.run(5.0)
        lease = house.fetch(7)
        assert house.fulfil(key(7), lease.token, value(7), 3600.0)
        house.run(5.0)
        assert house.does(Put("answer", account(1), key(8), value(8), 3600.0))
        house.loop.wait(self.storage.members.report(msgpack.packb({"hits_total": 1}), 60.0, 1.0))
        self.start = self.storage._prefix
        names = client.keys(self.start + b"*")
        self.kept = {one[len(self.start) :]: (client.dump(one), client.type(one)) for one in names}

    def of(self, kind):
        """Return the names of a kind; every kind has some."""
        names = sorted(name for name in self.kept if KINDS[kind](name))
        assert names, kind
        return names

    def good(self, name):
        _, is_of = self.kept[name]
        return self.client.get(self.start + name) if is_of == b"string" else b""

    @contextlib.contextmanager
    def replaced(self, name, write) -> Iterator[None]:
        """Have another program write something, for the time of a `with`."""
        self.storage._handles._accounts.clear()
        self.client.delete(self.start + name)
        write(self.client, self.start + name)
        handler = logging.Handler()
        handler.emit = self.logged.append
        logging.getLogger("server").addHandler(handler)
        try:
            yield
        finally:
            logging.getLogger("server").removeHandler(handler)
            for one in self.client.keys(self.start + b"*"):
                if one[len(self.start) :] not in self.kept:
                    self.client.delete(one)
            for one, (dumped, _) in self.kept.items():
                if one != b"mepochs":
                    self.client.restore(self.start + one, 0, dumped, replace=True)

    def tried(self, do, *args, **more):
        """Do something that may find what it needs unreadable, and leave nothing of it."""
        with contextlib.suppress(StorageAway):
            outcome = do(*args, **more)
            if isinstance(outcome, Lease):
                self.house.loop.do(lambda: self.house.accounts.give_up(outcome.token))
            if isinstance(outcome, Ticket):
                self.house.withdraw(outcome)
        self.house.loop.settle()

    def use(self):
        """Do all that reads values."""
        house, wait = self.house, self.house.loop.wait
        self.tried(house.acquire, 1)
        self.tried(house.acquire, 5, source=CAFE, of=1)
        self.tried(house.acquire, 4, source=CAFE)
        self.tried(house.get, key(7), handle=key(9))
        self.tried(house.ask_answer, 7)
        self.tried(house.ask_answer, 8)
        self.tried(lambda: house.does(Put("answer", account(1), key(8), value(8), 3600.0)))
        self.tried(house.unlock_source, CAFE)
        self.tried(house.unlock, account(1))
        self.tried(house.forget, "account", 1, budget=account(1))
        house.sessions()
        house.lockouts()
        wait(house.accounts.upkeep.walk.totals())
        self.tried(lambda: wait(reports_of(self.storage)))


def look_at(damaged, kind, name, write):
    house = damaged.house
    with damaged.replaced(name, write):
        damaged.use()
        assert house.shared.away is None
        if kind != "turns":  # without them nobody may log in, and all the others are served
            assert house.get(account=account(2), key=key(2)).session.value == value(2)
        else:
            assert house.peek(2) is not None
    assert not [one for one in damaged.logged if one.exc_info or one.levelno >= logging.ERROR]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", OTHERS)
def test_what_is_no_value_at_all_concerns_itself_alone(damaged, kind, other):
    for name in damaged.of(kind):
        look_at(damaged, kind, name, OTHERS[other])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(sorted(KINDS)), st.integers(0, 9), BYTES | CUTS)
def test_any_bytes_concern_what_they_stand_for_alone(damaged, kind, number, data):
    names = damaged.of(kind)
    name = names[number % len(names)]
    new = cut(damaged.good(name), *data) if isinstance(data, tuple) else data
    look_at(damaged, kind, name, lambda client, key: client.set(key, new))


def test_an_operator_can_end_all_sessions_and_is_told_what_was_skipped(damaged):
    house, walk = damaged.house, damaged.house.accounts.upkeep.walk
    for name in (of_account(b"X"), SOURCE + b"192.0.2.200"):
        walk.unreadable.clear()
        with damaged.replaced(name, lambda client, key: client.set(key, b"abc")):
            house.lockouts()
            house.sessions()
            assert walk.unreadable == {name}
    with damaged.replaced(of_account(b"X"), lambda client, key: client.set(key, b"abc")):
        assert house.flush("all")[0] == 2
        assert house.peek(2) is None


def test_the_log_says_once_what_cannot_be_read(damaged):
    with damaged.replaced(TURNS, lambda client, key: client.set(key, b"abc")):
        before = len(damaged.logged)
        damaged.house.accounts._rounds.room.turns._unreadable._logged.clear()
        for number in (11, 12):
            damaged.tried(damaged.house.acquire, number)
        said = [one.getMessage() for one in damaged.logged[before:]]
        assert [one for one in said if "the order of logins cannot be read" in one] == said[:1]
