"""What a worker remembers of the daemon's leases and of its own copies, and how much of it."""

from __future__ import annotations

import asyncio

import pytest

from server.cache.engine import Engine, Limits
from server.cache.hello import Hello
from server.cache.outcomes import (
    EXPIRED,
    PACED,
    REJECTED,
    Hit,
    Lease,
    Locked,
    Note,
    Outcome,
    Unavailable,
)
from server.cache.service import Service
from server.cache.throttle import Policy, Throttle
from server.cache.wire import Request
from server.errors import CacheUnavailable, LocalProtocolError
from server.settings.reloading import Reloading
from server.settings.table import Settings
from server.store import answers, daemon
from server.store.answers import DaemonAnswers
from server.store.copies import Copies
from server.store.daemon import DaemonStore
from server.store.fallback import LocalStore

KEYS = [bytes([number]) * 32 for number in range(4)]
ACCOUNT = b"a" * 32


@pytest.fixture
def anyio_backend():
    return "asyncio"


class FakeClient:
    """A daemon that grants whatever is asked for, and knows what it is told to know."""

    def __init__(self) -> None:
        self.generation = 1
        self.released: list[bytes] = []
        self.answered: list[bytes] = []
        self.abstained: list[bytes] = []

    async def peek(self, _key):
        return None

    async def share(self, key, _account):
        return Lease(key[:16], 35.0)

    async def acquire(self, key, _account, _source, _budget):
        return Lease(key[:16], 35.0)

    async def answer(self, key, _token, _value, _ttl):
        self.answered.append(key)
        return True

    async def abstain(self, key, _token, _reason, _retry_after):
        self.abstained.append(key)
        return True

    async def bring(self, _key, _token, _value, _ttl, _idle, _spelling):
        return True

    def release(self, key, _token):
        self.released.append(key)

    async def aclose(self):
        pass


def test_a_copy_is_lost_only_if_the_daemon_had_it_over_another_connection():
    client = FakeClient()
    copies = Copies(client, 10)
    copies.seen(KEYS[0])
    copies.unseen(KEYS[1])
    assert not copies.lost(KEYS[0])
    assert copies.lost(KEYS[1])
    assert not copies.lost(KEYS[2])
    client.generation = 2
    assert copies.lost(KEYS[0])
    copies.forget(KEYS[0])
    assert not copies.lost(KEYS[0])


def test_no_more_copies_are_remembered_than_there_are():
    copies = Copies(FakeClient(), 2)
    for key in KEYS[:3]:
        copies.unseen(key)
        copies.unseen(KEYS[0])
    assert [copies.lost(key) for key in KEYS] == [True, False, True, False]


async def test_no_more_leases_are_remembered_than_there_can_be(monkeypatch):
    monkeypatch.setattr(answers, "MAX_FETCHES", 1)
    client = FakeClient()
    store = DaemonAnswers(client, LocalStore())
    leases = [await store.share(key, ACCOUNT) for key in KEYS[:2]]
    assert not await store.answer(KEYS[0], leases[0].token, b"answer", 5.0)
    assert await store.answer(KEYS[1], leases[1].token, b"answer", 5.0)
    assert client.answered == [KEYS[1]]


async def test_a_lease_whose_answer_was_refused_can_still_be_abstained_from():
    client = FakeClient()
    store = DaemonAnswers(client, LocalStore())
    lease = await store.share(KEYS[0], ACCOUNT)

    async def refuse(*_):
        raise LocalProtocolError("ttl")

    client.answer = refuse
    with pytest.raises(LocalProtocolError):
        await store.answer(KEYS[0], lease.token, b"answer", 1e9)
    assert await store.abstain(KEYS[0], lease.token, EXPIRED, 0.0)
    assert client.abstained == [KEYS[0]]


async def test_a_session_flushed_while_it_is_handed_over_is_gone_and_its_lease_given_back():
    client = FakeClient()
    store = DaemonStore(lambda _: client, LocalStore())
    store._local.adopt(KEYS[0], ACCOUNT, Hit(b"session", 60.0))
    store._sessions.unseen(KEYS[0])

    async def acquire(key, _account, _source, _budget):
        store._flushed(None)
        return Lease(key[:16], 35.0)

    client.acquire = acquire
    assert await store.peek(KEYS[0], ACCOUNT) is None
    assert client.released == [KEYS[0]]


@pytest.mark.parametrize("end", [asyncio.CancelledError, LocalProtocolError])
async def test_a_hand_over_that_does_not_end_well_gives_its_lease_back(end):
    client = FakeClient()
    store = DaemonStore(lambda _: client, LocalStore())
    store._local.adopt(KEYS[0], ACCOUNT, Hit(b"session", 60.0))
    store._sessions.unseen(KEYS[0])

    async def bring(*_):
        raise end

    client.bring = bring
    with pytest.raises(end):
        await store.acquire(KEYS[0], ACCOUNT, "home")
    assert client.released == [KEYS[0]]


async def test_a_session_whose_lease_others_have_is_served_from_the_copy():
    client = FakeClient()
    store = DaemonStore(lambda _: client, LocalStore())
    store._local.adopt(KEYS[0], ACCOUNT, Hit(b"session", 60.0))
    store._sessions.unseen(KEYS[0])

    async def acquire(*_):
        raise CacheUnavailable("gone")

    client.acquire = acquire
    hit = await store.peek(KEYS[0], ACCOUNT)
    assert isinstance(hit, Hit)
    assert hit.value == b"session"


class FakePeer:
    def __init__(self) -> None:
        self.tickets, self.leases, self.copies, self.spells = {}, {}, False, False
        self.tag, self.differs = None, False
        self.hello = None

    def send(self, message) -> None:
        assert message.name == "epoch"

    def flush(self) -> None:
        pass


def test_only_what_a_snapshot_keeps_makes_one_due():
    engine = Engine(Limits(), Throttle(Policy(), lambda: 1000.0), lambda: 1000.0)
    service, peer = Service(engine, "1", 2, dict, Reloading(Settings)), FakePeer()

    def ask(number: int, verb: str, *args):
        service.changed = service.urgent = False
        reply = service.handle(peer, Request(number, verb, args))
        return reply, (service.changed, service.urgent)

    reply, due = ask(1, "share", KEYS[0], ACCOUNT)
    assert due == (False, False)
    _, due = ask(2, "answer", KEYS[0], reply.fields[0], b"answer", 5.0)
    assert due == (False, False)
    _, due = ask(3, "keep", KEYS[0], ACCOUNT, KEYS[1], b"note", 5.0)
    assert due == (True, False)
    _, due = ask(4, "find", KEYS[0])
    assert due == (False, False)
    _, due = ask(13, "hello", *Hello.of("mcp-0", 1, "0"))
    assert due == (False, False)


def test_what_was_dropped_is_written_down_before_anybody_is_told():
    engine = Engine(Limits(), Throttle(Policy(), lambda: 1000.0), lambda: 1000.0)
    service, peer = Service(engine, "1", 2, dict, Reloading(Settings)), FakePeer()
    service.peers.add(peer)
    order: list[str] = []
    service.on_dropped = lambda: order.append("written")
    peer.send = lambda message: order.append(message.name)

    def ask(verb: str, *args):
        service.urgent = False
        order.clear()
        return service.handle(peer, Request(1, verb, args))

    ask(
        "fulfil",
        KEYS[0],
        ask("acquire", KEYS[0], ACCOUNT, "home", ACCOUNT).fields[0],
        b"session",
        60.0,
    )
    assert (order, service.urgent) == ([], False)
    ask(
        "fulfil",
        KEYS[1],
        ask("acquire", KEYS[1], ACCOUNT, "home", ACCOUNT).fields[0],
        b"session",
        60.0,
    )
    assert (order, service.urgent) == (["written", "flushed"], True)
    ask("flush", "account", ACCOUNT)
    assert (order, service.urgent) == (["written", "flushed"], True)
    ask("keep", KEYS[2], ACCOUNT, KEYS[0], b"note", 60.0)
    ask("end_handle", KEYS[2], ACCOUNT, KEYS[0])
    assert (order, service.urgent) == (["written", "flushed"], True)
    ask("keep", KEYS[2], ACCOUNT, KEYS[0], b"note", 60.0)
    ask("end_session", KEYS[1], ACCOUNT)
    assert (order, service.urgent) == ([], False)
    ask("end_session", KEYS[0], ACCOUNT)
    assert (order, service.urgent) == (["written", "flushed"], True)
    ask("flush", "lockouts", None)
    assert (order, service.urgent) == (["unlocked"], False)
    ask("flush", "expired", None)
    assert (order, service.urgent) == ([], False)


async def test_a_caller_does_not_run_after_a_daemon_that_comes_and_goes_for_ever(monkeypatch):
    monkeypatch.setattr(daemon, "LOOK_SECONDS", 0.01)
    client = FakeClient()
    store = DaemonStore(lambda _: client, LocalStore())
    asked = []

    async def acquire(key, *_):
        asked.append(key)
        raise CacheUnavailable("gone again")

    async def ping():
        return "1", 2

    client.acquire, client.ping = acquire, ping
    assert isinstance(await store.acquire(KEYS[0], ACCOUNT, "home"), Lease)
    outcome = await asyncio.wait_for(store.acquire(KEYS[1], ACCOUNT, "home"), 60)
    assert isinstance(outcome, Unavailable)
    assert outcome.reason == PACED
    assert len(asked) == 2 + daemon.RECALLS
    await store.aclose()


async def test_a_waiting_caller_who_goes_is_not_looked_for(monkeypatch):
    monkeypatch.setattr(daemon, "LOOK_SECONDS", 0.01)
    client = FakeClient()
    store = DaemonStore(lambda _: client, LocalStore())

    async def gone(*_):
        raise CacheUnavailable("gone")

    client.acquire = client.ping = gone
    assert isinstance(await store.acquire(KEYS[0], ACCOUNT, "home"), Lease)
    waiting = asyncio.create_task(store.acquire(KEYS[1], ACCOUNT, "home"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(asyncio.wait([store._looking]), 60)
    assert store._local.queue == 0


class Away(FakeClient):
    """A daemon that answers as it is told to, and then goes away."""

    def __init__(self) -> None:
        super().__init__()
        self.outcome: Outcome | None = None

    async def acquire(self, key, _account, _source, _budget):
        if self.outcome is None:
            raise CacheUnavailable("gone")
        return Lease(key[:16], 35.0) if isinstance(self.outcome, Lease) else self.outcome

    async def fulfil(self, *_):
        return True

    async def fail(self, *_):
        raise CacheUnavailable("gone")

    async def ping(self):
        raise CacheUnavailable("gone")


OTHER, BUDGET = b"o" * 32, b"b" * 32


async def test_a_source_refused_by_the_daemon_stays_so_while_it_is_away():
    client = Away()
    store = DaemonStore(lambda _: client, LocalStore())
    client.outcome = Locked(900.0, 0.0, 900.0)
    await store.acquire(KEYS[0], ACCOUNT, "cafe")
    client.outcome = None
    refused = await store.acquire(KEYS[1], OTHER, "cafe")
    assert isinstance(refused, Locked)
    assert 890.0 < refused.source_for <= 900.0
    assert isinstance(await store.acquire(KEYS[1], OTHER, "home"), Lease)
    await store.aclose()


async def test_a_lock_by_the_daemon_holds_for_other_spellings_while_it_is_away():
    client = Away()
    store = DaemonStore(lambda _: client, LocalStore())
    client.outcome = Locked(900.0, 900.0)
    await store.acquire(KEYS[0], ACCOUNT, "cafe", BUDGET)
    client.outcome = None
    assert isinstance(await store.acquire(KEYS[1], OTHER, "elsewhere", BUDGET), Locked)
    await store.aclose()


async def test_a_source_may_fail_at_five_accounts_while_the_daemon_is_away():
    client = Away()
    store = DaemonStore(lambda _: client, LocalStore(now=lambda: 1000.0))
    client.outcome = Lease(b"", 0.0)
    for number in range(5):
        key = bytes([100 + number]) * 32
        lease = await store.acquire(key, key, "cafe")
        await store.fail(key, lease.token, REJECTED, 0.0)
    client.outcome = None
    assert isinstance(await store.acquire(KEYS[0], ACCOUNT, "cafe"), Locked)
    await store.aclose()


@pytest.mark.parametrize("login", [False, True])
async def test_of_what_the_daemon_gives_only_a_login_clears_failures_here(login):
    client = Away()
    store = DaemonStore(lambda _: client, LocalStore(now=lambda: 1000.0))
    client.outcome = Lease(b"", 0.0)
    lease = await store.acquire(KEYS[0], ACCOUNT, "cafe", BUDGET)
    await store.fail(KEYS[0], lease.token, REJECTED, 0.0)  # the daemon goes: counted here
    if login:
        lease = await store.acquire(KEYS[1], ACCOUNT, "cafe", BUDGET)
        assert await store.fulfil(KEYS[1], lease.token, b"session", 60.0)
    else:
        client.outcome = Hit(b"session", 60.0)
        assert await store.acquire(KEYS[1], ACCOUNT, "cafe", BUDGET) == client.outcome
    failures = [(row.source, row.failures) for row in store._local._throttle.lockouts()]
    assert failures == ([(None, 1)] if login else [(None, 1), ("cafe", 1)])
    await store.aclose()


async def test_what_was_flushed_on_its_way_here_leaves_no_copy():
    class Flushing(FakeClient):
        async def acquire(self, key, account, _source, _budget):
            store._flushed(account)
            return Hit(b"sealed", 60.0)

    store = DaemonStore(lambda _flushed: Flushing(), LocalStore())
    assert await store.acquire(KEYS[0], ACCOUNT, "192.0.2.1") == Hit(b"sealed", 60.0)
    assert store._local.copy(KEYS[0]) is None
    await store.aclose()


async def test_a_handle_and_its_session_that_end_on_their_way_here_leave_no_copy():
    class Ending(FakeClient):
        async def find(self, _key):
            store._flushed(ACCOUNT)
            return Note(ACCOUNT, KEYS[1], b"sealed", 60.0)

        async def peek(self, _key):
            store._flushed(ACCOUNT)
            return Hit(b"session", 60.0)

    store = DaemonStore(lambda _flushed: Ending(), LocalStore())
    assert await store.find(KEYS[0]) == Hit(b"sealed", 60.0)
    assert await store.peek(KEYS[1], ACCOUNT) == Hit(b"session", 60.0)
    assert store._local.note(KEYS[0]) is None
    assert store._local.copy(KEYS[1]) is None
    await store.aclose()


async def test_a_note_of_an_account_that_was_erased_meanwhile_leaves_no_copy():
    class Erasing(FakeClient):
        async def keep(self, _key, _account, _session, _value, _ttl):
            return False

    store = DaemonStore(lambda _flushed: Erasing(), LocalStore())
    await store.keep(KEYS[0], ACCOUNT, KEYS[1], b"sealed", 60.0)
    assert store._local.note(KEYS[0]) is None
    await store.aclose()


async def test_a_worker_forgets_with_the_daemon_what_it_counted_itself():
    client = FakeClient()
    local = LocalStore()
    store = DaemonStore(lambda _flushed: client, local)
    local.failed(ACCOUNT, "192.0.2.1", KEYS[0], ACCOUNT)
    local.proved(ACCOUNT, "192.0.2.2")
    local.adopt(KEYS[1], ACCOUNT, Hit(b"sealed", 60.0))
    client.on_erased(ACCOUNT, ACCOUNT)
    assert local.copy(KEYS[1]) is None
    assert not local._throttle.lockouts()
    assert not local._throttle.known()
    await store.aclose()
