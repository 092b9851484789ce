"""The worker's client of the cache daemon: nobody gets another's answer, nobody hangs."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import signal
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from server.cache import back_off, wire
from server.cache import multiplexer as channel
from server.cache.blocking import BlockingClient
from server.cache.client import CacheClient
from server.cache.hello import CHANGES, PROTOCOL, Hello, Welcome
from server.cache.verbs import Notice, Reply, Request
from server.errors import CacheBusy, CacheUnavailable, LocalProtocolError, VersionsDiffer
from server.state.decider import Listeners
from server.state.limits import RETRY_AFTER_MAX
from server.state.vocabulary import (
    REJECTED,
    Ask,
    Done,
    Fail,
    Forget,
    Fulfil,
    Get,
    Hit,
    Lease,
    Lost,
    Missing,
    Put,
    Rejected,
    Unavailable,
)

from .cache_process import PATIENCE, run_folder, running_cache
from .waiting import let_pass

KEY = b"k" * 32
ACCOUNT = b"a" * 32
VALUE = b"a sealed session"
SOURCE = "192.0.2.1"
AT_ONCE = PATIENCE / 2
"""Seconds within which a call has ended that did not wait for its time-out, on any machine."""
HELLO = Hello.of("mcp-0", 4242, "1.2.3")
ORIGIN = b"o" * 16
WELCOME = ("1.2.3", 1, PROTOCOL, PROTOCOL, CHANGES, 0, ORIGIN, 0, None, 0, 0)
FAST = {"OIG_LOGINS_PER_SECOND": "1000", "OIG_LOGIN_BURST": "1000", "OIG_LOGINS_AT_ONCE": "1000"}


@pytest.fixture(
    params=[("asyncio", {"use_uvloop": False}), ("asyncio", {"use_uvloop": True})],
    ids=["asyncio", "uvloop"],
)
def anyio_backend(request):
    return request.param


@pytest.fixture
def folder():
    with run_folder() as path:
        yield path


@pytest.fixture(scope="module")
def cache():
    with run_folder() as path, running_cache(path, FAST) as running:
        yield running


@pytest.fixture
async def connect():
    """Make clients, each closed at the end."""
    made: list[CacheClient] = []

    def call(path: Path, hello: Hello = HELLO) -> CacheClient:
        made.append(CacheClient(path, hello, timeout=PATIENCE))
        return made[-1]

    yield call
    for one in made:
        await bounded(one.aclose())


async def bounded(awaitable: Awaitable, seconds: float = PATIENCE):
    return await asyncio.wait_for(awaitable, seconds)


async def until(what: str, condition: Callable[[], bool]) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"waited in vain: {what}"
        await asyncio.sleep(0.01)  # a poll with a bound


def overdue(one: CacheClient, seconds: float, monkeypatch) -> None:
    """Let time go by on the loop's clock, however long the machine takes, and end what is due."""
    let_pass(seconds, monkeypatch)
    # uvloop's timers run on a clock of their own.
    if one._channel is not None:
        one._channel._expire()


def stats(path: Path) -> dict[str, object]:
    with BlockingClient(path, PATIENCE) as blocking:
        (found,) = blocking.call("stats", None)
    return found


def key_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def account_of(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def login(key: bytes = KEY, account: bytes = ACCOUNT) -> Ask:
    return Ask("login", account, key, SOURCE)


def fulfil(
    key: bytes, token: bytes, value: bytes = VALUE, account: bytes = ACCOUNT, ttl: float = 1000.0
) -> Fulfil:
    return Fulfil("login", account, key, token, value, ttl)


def failed(
    key: bytes, token: bytes, reason: str, retry_after: float = 0.0, account: bytes = ACCOUNT
) -> Fail:
    return Fail("login", account, key, token, reason, retry_after)


LOOK = Get(account=ACCOUNT, key=KEY)
"""What is answered at once, and here by whatever the test says."""


async def store(
    one: CacheClient, key: bytes = KEY, value: bytes = VALUE, account: bytes = ACCOUNT
) -> None:
    lease = await bounded(one.call(login(key, account)))
    assert isinstance(lease, Lease)
    assert await bounded(one.call(fulfil(key, lease.token, value, account))) == Done()


class Puppet:
    """A daemon of which the test decides every word, but for the answer to the first one.

    Attributes:
        welcome: What is answered to the hello of a connection; None to hand it to the test.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: asyncio.Queue[Request] = asyncio.Queue()
        self.connections = 0
        self.welcome: Reply | None = Reply(1, "ok", WELCOME)
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    async def __aenter__(self):
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.hang_up()
        await self._server.wait_closed()
        self.path.unlink(missing_ok=True)

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    def say(self, *messages: Reply | Notice) -> None:
        self.say_bytes(b"".join(map(wire.encode, messages)))

    def say_bytes(self, data: bytes) -> None:
        self._writers[-1].write(data)

    async def heard(self) -> Request:
        return await bounded(self.requests.get())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                (length,) = struct.unpack(">I", await reader.readexactly(4))
                read = wire.read_request(await reader.readexactly(length))
                asked = read if isinstance(read, Request) else Request(read[1], read[2], read[3:])
                if asked.verb == "hello" and asked.id == 1 and self.welcome is not None:
                    writer.write(wire.encode(self.welcome))
                else:
                    self.requests.put_nowait(asked)
        writer.close()


@pytest.fixture
async def puppet(folder):
    async with Puppet(folder / "puppet.sock") as one:
        yield one


def asking(awaitable) -> asyncio.Task:
    return asyncio.get_running_loop().create_task(awaitable)


# What it is for.


async def test_a_login_is_stored_found_and_dropped(cache, connect):
    one = connect(cache.path)
    key, account = os.urandom(32), os.urandom(32)
    lease = await bounded(one.call(login(key, account)))
    assert isinstance(lease, Lease)
    assert lease.lasts > 0
    fulfilled = fulfil(key, lease.token, account=account)
    assert [await bounded(one.call(fulfilled)) for _ in range(2)] == [Done(), Lost()]
    hit = await bounded(one.call(login(key, account)))
    assert isinstance(hit, Hit)
    assert hit.value == VALUE
    assert 900 < hit.expires_in <= 1000
    dead = Forget("session", account, key, hashlib.sha256(VALUE).digest())
    assert [await bounded(one.call(dead)) for _ in range(2)] == [Done(1), Done(0)]


async def test_failures_reach_all_waiters(cache, connect):
    one, other = connect(cache.path), connect(cache.path)
    key, account = os.urandom(32), os.urandom(32)
    lease = await bounded(one.call(login(key, account)))
    waiting = asking(other.call(login(key, account)))
    await until("it waits", lambda: stats(cache.path)["waiting"] == 1)
    told = failed(key, lease.token, "tls", 1e12, account)
    assert await bounded(one.call(told)) == Done()
    outcome = await bounded(waiting)
    assert isinstance(outcome, Unavailable)
    assert outcome.reason == "tls"
    assert RETRY_AFTER_MAX - 60.0 < outcome.retry_after <= RETRY_AFTER_MAX
    lease = await bounded(one.call(login(key, account)))
    rejected = failed(key, lease.token, REJECTED, account=account)
    assert await bounded(one.call(rejected)) == Done()
    assert await bounded(other.call(login(key, account))) == Rejected()
    assert await bounded(one.call(rejected)) == Lost()


async def test_two_hundred_callers_of_one_key_make_one_login(cache, connect):
    workers = [connect(cache.path) for _ in range(4)]
    key, account = os.urandom(32), os.urandom(32)
    logins = 0

    async def caller(one: CacheClient) -> bytes:
        nonlocal logins
        outcome = await one.call(login(key, account))
        if isinstance(outcome, Lease):
            logins += 1
            await one.call(fulfil(key, outcome.token, account=account))
            return VALUE
        assert isinstance(outcome, Hit)
        return outcome.value

    values = await bounded(asyncio.gather(*[caller(workers[i % 4]) for i in range(200)]))
    assert values == [VALUE] * 200
    assert logins == 1
    assert [one.generation for one in workers] == [1] * 4


async def test_ping_identifies_the_daemon(cache, connect):
    welcome = await bounded(connect(cache.path).ping())
    assert welcome.program
    assert welcome.pid == cache.pid


async def test_a_request_beyond_the_limits_does_not_cost_the_connection(cache, connect):
    one = connect(cache.path)
    await bounded(one.ping())
    with pytest.raises(LocalProtocolError):
        await bounded(one.call(Ask("login", ACCOUNT, KEY, "unprintable\n")))
    await bounded(one.ping())
    assert one.generation == 1


async def test_a_flush_is_reported_to_listeners(connect):
    told: list[tuple] = []
    with running_cache() as own:
        one = connect(own.path)
        one.listeners = Listeners(lambda *what: told.append(what))
        await store(one)
        with BlockingClient(own.path, PATIENCE) as tool:
            tool.call("flush", "account", ACCOUNT)
            tool.call("flush", "sessions")
        await until("both are told", lambda: len(told) == 2)
    assert told == [(ACCOUNT, None), (None, None)]


def welcome(number: int, origin: bytes = ORIGIN, drops: int = 0, **others: object) -> Reply:
    known = Welcome(*WELCOME)._replace(origin=origin, drops=drops, **others)
    return Reply(number, "ok", tuple(known))


@pytest.mark.parametrize(
    ("first", "then", "told"),
    [
        (None, (b"o" * 16, 0), []),
        (None, (b"o" * 16, 3), [None]),
        ((b"o" * 16, 3), (b"o" * 16, 3), []),
        ((b"o" * 16, 3), (b"o" * 16, 4), [None]),
        ((b"o" * 16, 0), (b"p" * 16, 0), [None]),
    ],
)
async def test_a_flush_that_may_have_been_missed_is_reported_first(
    puppet, connect, first, then, told
):
    flushed: list[bytes | None] = []
    one = connect(puppet.path)
    one.listeners = Listeners(lambda account, _: flushed.append(account))

    async def look(epoch: tuple[bytes, int]) -> list[bytes | None]:
        puppet.welcome = welcome(1, *epoch)
        looked = asking(one.call(LOOK))
        request = await puppet.heard()
        puppet.say(Reply(request.id, "missing"))
        await bounded(looked)
        return flushed

    if first is not None:
        await look(first)
        flushed.clear()
        puppet.hang_up()
        await until("it has noticed", lambda: not one._channel.usable)
    assert await look(then) == told


async def test_a_reported_flush_is_not_reported_again_after_a_restart(folder, connect):
    flushed: list[bytes | None] = []
    with running_cache(folder) as own:
        one = connect(own.path)
        one.listeners = Listeners(lambda account, _: flushed.append(account))
        await store(one)
        with BlockingClient(own.path, PATIENCE) as tool:
            tool.call("flush", "account", ACCOUNT)
        await until("it is told", lambda: flushed == [ACCOUNT])
        own.stop()
    with running_cache(folder):
        await until("it has noticed", lambda: not one._channel.usable)
        assert await bounded(one.call(LOOK)) == Missing()
    assert flushed == [ACCOUNT]


async def test_a_put_carries_the_number_of_drops_that_the_worker_knows_of(puppet, connect):
    puppet.welcome = welcome(1, drops=3)
    one = connect(puppet.path)
    # What is told before anything is known counts as of the beginning.
    for drops in (0, 3, 5):
        put = asking(one.call(Put("answer", ACCOUNT, KEY, VALUE, 30.0)))
        asked = await puppet.heard()
        assert (asked.verb, asked.args[5]) == ("put", drops)
        if drops == 3:
            puppet.say(Notice("flushed", (ACCOUNT, None, 5)))
        puppet.say(Reply(asked.id, "ok", (0,)))
        assert await bounded(put) == Done()


async def test_closing_gives_back_the_lease(cache, connect):
    one, other = connect(cache.path), connect(cache.path)
    key, account = os.urandom(32), os.urandom(32)
    await bounded(one.call(login(key, account)))
    waiting = asking(other.call(login(key, account)))
    await until("it waits", lambda: stats(cache.path)["waiting"] == 1)
    await bounded(one.aclose())
    lease = await bounded(waiting)
    assert isinstance(lease, Lease)
    await bounded(other.call(failed(key, lease.token, "shutdown", account=account)))
    with pytest.raises(CacheUnavailable, match="stops"):
        await bounded(one.ping())
    await bounded(one.aclose())


# Parts of different versions.


@pytest.mark.parametrize("more", [(), (1,), (1, b"newer", {"a": 1})])
async def test_hello_is_sent_first_and_its_answer_may_have_more_fields(puppet, connect, more):
    puppet.welcome = None
    one = connect(puppet.path)
    looked = asking(one.call(LOOK))
    asked = await puppet.heard()
    assert (asked.verb, asked.args) == ("hello", HELLO)
    puppet.say(Reply(asked.id, "ok", (*WELCOME, *more)))
    asked = await puppet.heard()
    assert asked.verb == "get"
    puppet.say(Reply(asked.id, "missing"))
    assert await bounded(looked) == Missing()


@pytest.mark.parametrize("others", [{"changes": CHANGES + 1}, {"changes": 0}, {"mixed": 1}])
async def test_changes_are_refused_and_readings_continue_while_versions_differ(
    puppet, connect, caplog, others
):
    puppet.welcome = welcome(1, **others)
    one = connect(puppet.path)
    for _ in range(2):
        agreed = asking(one.agree())
        asked = await puppet.heard()
        assert asked.verb == "hello"
        puppet.say(welcome(asked.id, **others))
        with pytest.raises(VersionsDiffer):
            await bounded(agreed)
    looked = asking(one.call(LOOK))
    puppet.say(Reply((await puppet.heard()).id, "missing"))
    assert await bounded(looked) == Missing()
    assert puppet.connections == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "of version 1.2.3" in caplog.text


async def test_a_daemon_of_another_protocol_version_is_unavailable_and_agrees_to_no_change(
    puppet, connect, caplog, monkeypatch
):
    puppet.welcome = Reply(1, "error", ("version", "only version 3 is spoken here"), 3)
    one = connect(puppet.path)
    with pytest.raises(CacheUnavailable) as told:
        await bounded(one.call(LOOK))
    assert not isinstance(told.value, VersionsDiffer)
    let_pass(back_off.ABSENT_SECONDS, monkeypatch)
    with pytest.raises(VersionsDiffer):
        await bounded(one.agree())
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_a_daemon_that_was_away_a_moment_ago_is_asked_for_its_version_before_a_change(
    folder, connect
):
    one = connect(folder / "puppet.sock")
    with pytest.raises(CacheUnavailable):
        await bounded(one.call(LOOK))
    async with Puppet(folder / "puppet.sock") as puppet:
        puppet.welcome = Reply(1, "error", ("version", "only version 3 is spoken here"), 3)
        with pytest.raises(VersionsDiffer):
            await bounded(one.agree())


@pytest.mark.parametrize("answer", [("error", ("shutdown", "it stops")), ("ok", ("1.2.3",))])
async def test_a_daemon_that_reports_no_version_is_unavailable(puppet, connect, answer):
    puppet.welcome = Reply(1, *answer)
    with pytest.raises(CacheUnavailable) as told:
        await bounded(connect(puppet.path).agree())
    assert not isinstance(told.value, VersionsDiffer)


@pytest.mark.parametrize(("name", "said"), [("m\x1b[2J", "m[2J"), ("", "?"), ("n" * 99, "n" * 64)])
def test_unprintable_and_overlong_process_names_are_cut(name, said):
    assert Hello.of(name, 1, name)[:3] == (said, 1, said)


# Nobody gets another's answer.


class Crowd:
    """Callers of one client, many of whom are cancelled at some point.

    No more than `MOST` calls are unanswered, however slow the daemon is: the client refuses what is
    too much.
    """

    MOST = 500

    def __init__(self, one: CacheClient, cached: list[bytes], absent: list[bytes]) -> None:
        self.rng = random.Random(4711)
        self.counts = dict.fromkeys(("cancelled", "hit", "lease", "unavailable"), 0)
        self._one = one
        self._cached = cached
        self._absent = absent
        self._running: list[asyncio.Task[None]] = []

    async def run(self, calls: int) -> None:
        for _ in range(calls):
            self._running.append(asking(self._call()))
            if self.rng.random() < 0.3:
                self.rng.choice(self._running).cancel()
            if len(self._running) > 50 or self.rng.random() < 0.1:
                for _ in range(self.rng.randrange(1, 5)):
                    await asyncio.sleep(0)
                await self._clear()
            if self._unanswered > self.MOST:
                await until("some are answered", lambda: self._unanswered <= self.MOST)
        await bounded(asyncio.wait(self._running))
        await self._clear()

    @property
    def _unanswered(self) -> int:
        assert self._one._channel is not None
        return len(self._one._channel._calls)

    async def _clear(self) -> None:
        for task in [task for task in self._running if task.done()]:
            self._running.remove(task)
            if task.cancelled():
                self.counts["cancelled"] += 1
            else:
                task.result()

    async def _call(self) -> None:
        key = self.rng.choice(self._cached if self.rng.random() < 0.95 else self._absent)
        outcome = await self._one.call(login(key, account_of(key)))
        self.counts[type(outcome).__name__.lower()] += 1
        if isinstance(outcome, Hit):
            assert outcome.value == key * 3
            return
        assert key in self._absent
        if isinstance(outcome, Lease):
            await self._one.call(failed(key, outcome.token, "shutdown", account=account_of(key)))


async def test_ten_thousand_random_cancels_never_mix_up_answers(cache, connect):
    one = connect(cache.path)
    cached = [os.urandom(32) for _ in range(40)]
    for key in cached:
        await store(one, key, key * 3, account_of(key))
    crowd = Crowd(one, cached, [os.urandom(32) for _ in range(4)])
    await crowd.run(40_000)
    assert crowd.counts["cancelled"] > 10_000, crowd.counts
    assert min(crowd.counts.values()) > 20, crowd.counts
    assert one.generation == 1
    assert one._channel is not None
    await until("nothing is unanswered", lambda: not one._channel._calls)
    assert stats(cache.path)["waiting"] == 0
    assert stats(cache.path)["leases"] == 0


async def test_a_caller_who_stops_waiting_withdraws_its_request(puppet, connect):
    one = connect(puppet.path)
    task = asking(one.call(login()))
    asked = await puppet.heard()
    puppet.say(Reply(asked.id, "waiting"))
    fence = asking(one.call(LOOK))
    puppet.say(Reply((await puppet.heard()).id, "missing"))
    await bounded(fence)
    task.cancel()
    withdrawn = await puppet.heard()
    assert (withdrawn.verb, withdrawn.args) == ("cancel", (asked.id,))
    # A lease that crossed the cancel, then its answer: neither is anybody else's.
    puppet.say(Reply(asked.id, "lease", (b"t" * 16, 35.0, None, 0, 0)), Reply(withdrawn.id, "ok"))
    again = await puppet.heard()
    assert (again.verb, again.args) == ("cancel", (asked.id,))
    puppet.say(Reply(again.id, "ok"))
    ping = asking(one.call(LOOK))
    puppet.say(Reply((await puppet.heard()).id, "missing"))
    assert await bounded(ping) == Missing()
    assert one._channel is not None
    assert not one._channel._calls
    assert puppet.connections == 1
    # After that answer nothing may come under the old id.
    ping = asking(one.call(LOOK))
    await puppet.heard()
    puppet.say(Reply(asked.id, "waiting"))
    with pytest.raises(CacheUnavailable, match="protocol"):
        await bounded(ping)


@pytest.mark.parametrize("before", [True, False])
async def test_a_lease_that_arrives_while_its_caller_is_cancelled_is_given_back(
    puppet, connect, monkeypatch, before
):
    one = connect(puppet.path)
    task = asking(one.call(login()))
    asked = await puppet.heard()
    assert one._channel is not None
    take = one._channel._take

    def take_and_cancel(frame: memoryview) -> None:
        # In the moment before the answer is there, or before the caller's next step.
        if before:
            task.cancel()
        take(frame)
        task.cancel()

    monkeypatch.setattr(one._channel, "_take", take_and_cancel)
    puppet.say(Reply(asked.id, "lease", (b"t" * 16, 35.0, None, 0, 0)))
    with pytest.raises(asyncio.CancelledError):
        await bounded(task)
    withdrawn = await puppet.heard()
    assert (withdrawn.verb, withdrawn.args) == ("cancel", (asked.id,))


@pytest.mark.parametrize(
    "answer",
    [
        wire.encode(Reply(999, "ok")),
        wire.encode(Reply(999, "hit", (VALUE, 1, 0, None))),
        wire.encode(Reply(2, "ok")) * 2,
        wire.encode(Reply(2, "hit", (VALUE, 1, 0, None))),
        wire.encode(Reply(2, "waiting")),
        wire.encode(Reply(2, "lost")),
        wire.encode(Reply(2, "ok", ("1.2", "pid"))),
        bytes(4),
        b"\xff\xff\xff\xff",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
async def test_an_unsolicited_answer_ends_the_connection(puppet, connect, answer):
    one = connect(puppet.path)
    ping = asking(one.call(LOOK))
    assert (await puppet.heard()).id == 2
    puppet.say_bytes(answer)
    with pytest.raises(CacheUnavailable):
        await bounded(ping)
    # A new connection knows nothing of the old one.
    ping = asking(one.call(LOOK))
    asked = await puppet.heard()
    puppet.say(Reply(asked.id, "missing"))
    assert await bounded(ping) == Missing()
    assert (one.generation, puppet.connections) == (2, 2)


async def test_answers_may_come_in_any_order_and_in_pieces_of_any_size(puppet, connect):
    one = connect(puppet.path)
    keys = [key_of(number) for number in range(50)]
    tasks = [asking(one.call(login(key))) for key in keys]
    asked = [await puppet.heard() for _ in keys]
    assert [request.args[2] for request in asked] == keys
    random.Random(1).shuffle(asked)
    stream = b"".join(wire.encode(Reply(r.id, "hit", (r.args[2], 5, 0, None))) for r in asked)
    for at in range(0, len(stream), 61):
        puppet.say_bytes(stream[at : at + 61])
        await asyncio.sleep(0)
    hits = await bounded(asyncio.gather(*tasks))
    assert [hit.value for hit in hits] == keys


# Nobody hangs.


async def test_without_a_daemon_calls_fail_at_once_and_name_the_path(folder, connect):
    one = connect(folder / "none.sock")
    for _ in range(3):
        with pytest.raises(CacheUnavailable, match=str(folder)):
            await bounded(one.call(login()), AT_ONCE)


async def test_every_call_in_flight_ends_when_the_daemon_is_killed_and_the_next_reaches_the_new_one(
    folder, connect
):
    with running_cache(folder, FAST) as first:
        one, other = connect(first.path), connect(first.path)
        await store(one)
        assert isinstance(await bounded(other.call(login(key_of(1)))), Lease)
        waiting = [asking(one.call(login(key_of(1)))) for _ in range(20)]
        await until("they wait", lambda: stats(first.path)["waiting"] == 20)
        first.signal(signal.SIGSTOP)
        asked = [asking(one.call(login())) for _ in range(20)]
        await asyncio.sleep(0)
        first.kill()
        ended = await bounded(asyncio.gather(*waiting, *asked, return_exceptions=True), AT_ONCE)
        assert [type(end) for end in ended] == [CacheUnavailable] * 40
    with running_cache(folder, FAST):
        begun = asyncio.get_running_loop().time()
        while True:
            with contextlib.suppress(CacheUnavailable):
                await bounded(one.call(LOOK))
                break
            await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() - begun < AT_ONCE
        assert one.generation == 2


async def test_an_absent_daemon_is_tried_at_most_ten_times_a_second(folder, connect, monkeypatch):
    one = connect(folder / "none.sock")
    opened = []
    original = one._open
    monkeypatch.setattr(one, "_open", lambda loop: opened.append(1) or original(loop))
    begun = asyncio.get_running_loop().time()
    for _ in range(500):
        with pytest.raises(CacheUnavailable):
            await one.call(LOOK)
    lasted = asyncio.get_running_loop().time() - begun
    assert len(opened) <= 1 + lasted / back_off.ABSENT_SECONDS


async def test_a_daemon_that_drops_connections_unanswered_is_not_tried_again_at_once(
    puppet, connect, monkeypatch
):
    monkeypatch.setattr(back_off, "ABSENT_SECONDS", PATIENCE)
    puppet.welcome = None
    one = connect(puppet.path)
    ping = asking(one.call(LOOK))
    await puppet.heard()
    puppet.hang_up()
    with pytest.raises(CacheUnavailable, match="lost"):
        await bounded(ping)
    for _ in range(20):
        with pytest.raises(CacheUnavailable):
            await bounded(one.call(LOOK))
    assert puppet.connections == 1


async def test_a_hung_daemon_delays_one_caller_at_a_time_until_it_answers(
    folder, connect, monkeypatch
):
    monkeypatch.setattr(back_off, "HUNG_SECONDS", PATIENCE)
    with running_cache(folder, FAST) as hung:
        one = connect(hung.path)
        await store(one)
        hung.signal(signal.SIGSTOP)
        one._channel.timeout = 0.5
        loop = asyncio.get_running_loop()
        begun = loop.time()
        first = await asyncio.gather(
            *[one.call(login()) for _ in range(20)], return_exceptions=True
        )
        assert {type(end) for end in first} == {CacheUnavailable}
        # All of them together, not one after another.
        assert 0.49 < loop.time() - begun < 20 * one._channel.timeout
        # Left alone for a while: everybody else fails at once.
        one._channel.timeout = PATIENCE
        begun = loop.time()
        for _ in range(50):
            with pytest.raises(CacheUnavailable, match="does not answer"):
                await one.call(login())
        assert loop.time() - begun < AT_ONCE
        # Then one finds out, and the others need not wait for it.
        let_pass(back_off.HUNG_SECONDS, monkeypatch)
        probe = asking(one.call(login()))
        await asyncio.sleep(0)
        with pytest.raises(CacheUnavailable):
            await bounded(one.call(LOOK), AT_ONCE)
        assert not probe.done()
        hung.signal(signal.SIGCONT)
        assert isinstance(await bounded(probe), Hit)
        assert isinstance(await bounded(one.call(login())), Hit)
        assert one.generation == 1
        # Its late answers were nobody's; the leases it may have granted went back.
        await until("nothing is left", lambda: stats(hung.path)["leases"] == 0)


async def test_a_daemon_that_stays_silent_loses_its_connection(puppet, connect, monkeypatch):
    one = connect(puppet.path)
    # Two together at first; then one at a time.
    for heard in ([2, 3], [4]):
        asked = [asking(one.call(LOOK)), asking(one.call(LOOK))]
        assert [(await puppet.heard()).id for _ in heard] == heard
        overdue(one, PATIENCE, monkeypatch)
        ended = await bounded(asyncio.gather(*asked, return_exceptions=True))
        assert {type(end) for end in ended} == {CacheUnavailable}
        let_pass(back_off.HUNG_SECONDS, monkeypatch)
    assert channel.SILENCES == 2
    await until("it is given up", lambda: not one._channel.usable)
    let_pass(back_off.ABSENT_SECONDS, monkeypatch)
    ping = asking(one.call(LOOK))
    asked_again = await puppet.heard()
    assert asked_again.id == 2
    puppet.say(Reply(2, "missing"))
    assert await bounded(ping) == Missing()
    assert (one.generation, puppet.connections) == (2, 2)


async def test_one_unanswered_call_among_answered_ones_does_not_mean_a_hung_daemon(
    puppet, connect, monkeypatch
):
    one = connect(puppet.path)
    forgotten = asking(one.call(LOOK))
    await puppet.heard()
    for _ in range(4):
        overdue(one, PATIENCE * 0.3, monkeypatch)
        ping = asking(one.call(LOOK))
        puppet.say(Reply((await puppet.heard()).id, "missing"))
        assert await bounded(ping) == Missing()
    with pytest.raises(CacheUnavailable, match="in time"):
        await bounded(forgotten)
    ping = asking(one.call(LOOK))
    puppet.say(Reply((await puppet.heard()).id, "missing"))
    assert await bounded(ping) == Missing()


async def test_a_late_answer_goes_to_nobody(puppet, connect, monkeypatch):
    one = connect(puppet.path)
    late = asking(one.call(login()))
    asked = await puppet.heard()
    overdue(one, PATIENCE, monkeypatch)
    with pytest.raises(CacheUnavailable):
        await bounded(late)
    withdrawn = await puppet.heard()
    assert (withdrawn.verb, withdrawn.args) == ("cancel", (asked.id,))
    puppet.say(Reply(asked.id, "hit", (VALUE, 5, 0, None)), Reply(withdrawn.id, "ok"))
    await until("it was heard", lambda: not one._back_off.suspect)
    ping = asking(one.call(LOOK))
    puppet.say(Reply((await puppet.heard()).id, "missing"))
    assert await bounded(ping) == Missing()
    assert one.generation == 1


async def test_a_daemon_that_hangs_while_all_callers_wait_is_noticed(connect, folder, monkeypatch):
    monkeypatch.setattr(channel, "QUIET_SECONDS", 0.1)
    with running_cache(folder, FAST) as hung:
        one = connect(hung.path)
        assert isinstance(await bounded(one.call(login())), Lease)
        one._channel.timeout = 0.1
        waiting = [asking(one.call(login())) for _ in range(3)]
        await until("they wait", lambda: stats(hung.path)["waiting"] == 3)
        # Probes that are answered change nothing.
        last = one._channel._last_id
        await until("it was asked", lambda: one._channel._last_id >= last + 3)
        assert not any(task.done() for task in waiting)
        hung.signal(signal.SIGSTOP)
        ended = await bounded(asyncio.gather(*waiting, return_exceptions=True))
        assert {type(end) for end in ended} == {CacheUnavailable}
        assert not one._channel.usable
        hung.signal(signal.SIGCONT)


async def test_a_caller_waits_longer_for_a_login_but_not_forever(puppet, connect, monkeypatch):
    monkeypatch.setattr(channel, "WAITING_SECONDS", 4 * PATIENCE)
    monkeypatch.setattr(channel, "QUIET_SECONDS", 8 * PATIENCE)
    one = connect(puppet.path)
    task = asking(one.call(login()))
    asked = await puppet.heard()
    puppet.say(Reply(asked.id, "waiting"))
    await until("it is told", lambda: one._channel._calls[asked.id].waiting)
    overdue(one, PATIENCE * 2, monkeypatch)
    await asyncio.sleep(0)
    assert not task.done()
    overdue(one, channel.WAITING_SECONDS - PATIENCE * 2, monkeypatch)
    with pytest.raises(CacheUnavailable, match="in time"):
        await bounded(task)
    withdrawn = await puppet.heard()
    assert (withdrawn.verb, withdrawn.args) == ("cancel", (asked.id,))
    # The daemon has spoken; it does not count as hung.
    ping = asking(one.call(LOOK))
    puppet.say(Reply((await puppet.heard()).id, "missing"))
    assert await bounded(ping) == Missing()


async def test_a_caller_who_stops_connecting_does_not_cancel_it_for_others(cache, connect):
    one = connect(cache.path)
    impatient, patient = asking(one.call(LOOK)), asking(one.call(LOOK))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await bounded(patient) == Missing()
    assert one.generation == 1


async def test_calls_beyond_the_limit_of_the_protocol_are_refused_locally(
    puppet, connect, monkeypatch
):
    monkeypatch.setattr(wire, "MAX_IN_FLIGHT", 6)
    one = connect(puppet.path)
    tasks = [asking(one.call(login())) for _ in range(3)]
    for _ in tasks:
        await puppet.heard()
    for wait in (one.call(login()), one.call(Ask("answer", ACCOUNT, KEY))):
        with pytest.raises(CacheBusy):
            await bounded(wait)
    # What waits for nobody has the other half.
    for _ in range(3):
        tasks.append(asking(one.call(LOOK)))
        await puppet.heard()
    with pytest.raises(CacheBusy):
        await bounded(one.call(LOOK))
    # Whoever gives up can always say so.
    tasks.pop(0).cancel()
    assert (await puppet.heard()).verb == "cancel"
    # What was asked over a connection that had been good is asked once more.
    puppet.hang_up()
    for _ in range(3):
        assert (await puppet.heard()).verb == "get"
    puppet.hang_up()
    ended = await bounded(asyncio.gather(*tasks, return_exceptions=True))
    assert {type(end) for end in ended} == {CacheUnavailable}


async def test_what_only_asks_is_asked_again_if_the_daemon_ends_the_connection(puppet, connect):
    one = connect(puppet.path)
    first = asking(one.call(LOOK))
    puppet.say(Reply((await puppet.heard()).id, "missing"))
    assert await bounded(first) == Missing()
    looked = asking(one.call(LOOK))
    dropped = asking(one.call(Forget("handle", ACCOUNT, KEY)))
    assert [(await puppet.heard()).verb for _ in range(2)] == ["get", "forget"]
    puppet.hang_up()
    with pytest.raises(CacheUnavailable, match="lost"):
        await bounded(dropped)
    again = await puppet.heard()
    puppet.say(Reply(again.id, "missing"))
    assert (again.verb, await bounded(looked), puppet.connections) == ("get", Missing(), 2)


@pytest.mark.parametrize("code", ["shutdown", "overload", "version"])
async def test_a_daemon_that_cannot_serve_is_unavailable(puppet, connect, code):
    one = connect(puppet.path)
    task = asking(one.call(login()))
    puppet.say(Reply((await puppet.heard()).id, "error", (code, "no")))
    with pytest.raises(CacheUnavailable, match=code):
        await bounded(task)


async def test_closing_ends_every_call_in_flight(puppet, connect):
    one = connect(puppet.path)
    tasks = [asking(one.call(login())) for _ in range(5)]
    await puppet.heard()
    connecting = connect(puppet.path)
    tasks.append(asking(connecting.call(LOOK)))
    await asyncio.sleep(0)
    await bounded(asyncio.gather(one.aclose(), connecting.aclose()))
    ended = await bounded(asyncio.gather(*tasks, return_exceptions=True))
    assert {type(end) for end in ended} == {CacheUnavailable}


async def test_ids_wrap_around_without_reusing_one_in_flight(puppet, connect, monkeypatch):
    monkeypatch.setattr(channel, "MAX_ID", 3)
    one = connect(puppet.path)
    unanswered = asking(one.call(LOOK))
    assert (await puppet.heard()).id == 2
    numbers = []
    for _ in range(4):
        look = asking(one.call(LOOK))
        numbers.append((await puppet.heard()).id)
        puppet.say(Reply(numbers[-1], "missing"))
        await bounded(look)
    assert numbers == [3, 1, 3, 1]
    puppet.say(Reply(2, "found", (ACCOUNT, None, 0, KEY, VALUE, 5, 0)))
    assert (await bounded(unanswered)).session.value == VALUE
