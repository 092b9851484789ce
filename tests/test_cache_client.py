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

from server.cache import client, wire
from server.cache import multiplexer as channel
from server.cache.blocking import BlockingClient
from server.cache.client import CacheClient
from server.cache.hello import CHANGES, PROTOCOL, Hello
from server.cache.limits import RETRY_AFTER_MAX
from server.cache.outcomes import REJECTED, Hit, Lease, Rejected, Unavailable
from server.errors import CacheBusy, CacheUnavailable, LocalProtocolError, VersionsDiffer

from .cache_process import PATIENCE, run_folder, running_cache
from .waiting import let_pass

KEY = b"k" * 32
ACCOUNT = b"a" * 32
VALUE = b"a sealed session"
SOURCE = "192.0.2.1"
AT_ONCE = PATIENCE / 2
"""Seconds within which a call has ended that did not wait for its time-out, on any machine."""
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

    def call(path: Path, **options) -> CacheClient:
        made.append(CacheClient(path, **({"timeout": PATIENCE} | options)))
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
        (found,) = blocking.call("stats")
    return found


def key_of(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def account_of(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


async def store(
    one: CacheClient, key: bytes = KEY, value: bytes = VALUE, account: bytes = ACCOUNT
) -> None:
    lease = await bounded(one.acquire(key, account, SOURCE))
    assert isinstance(lease, Lease)
    assert await bounded(one.fulfil(key, lease.token, value, 1000))


class Puppet:
    """A daemon of which the test decides every word."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: asyncio.Queue[wire.Request] = asyncio.Queue()
        self.connections = 0
        self.greeting = b""
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

    def say(self, *messages: wire.Reply | wire.Notice) -> None:
        self.say_bytes(b"".join(map(wire.encode, messages)))

    def say_bytes(self, data: bytes) -> None:
        self._writers[-1].write(data)

    async def heard(self) -> wire.Request:
        return await bounded(self.requests.get())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                (length,) = struct.unpack(">I", await reader.readexactly(4))
                self.requests.put_nowait(wire.decode_request(await reader.readexactly(length)))
        writer.close()


@pytest.fixture
async def puppet(folder):
    async with Puppet(folder / "puppet.sock") as one:
        yield one


def asking(awaitable) -> asyncio.Task:
    return asyncio.get_running_loop().create_task(awaitable)


# What it is for.


async def test_a_login_is_stored_and_found_and_forgotten(cache, connect):
    one = connect(cache.path)
    key = os.urandom(32)
    lease = await bounded(one.acquire(key, ACCOUNT, SOURCE))
    assert isinstance(lease, Lease)
    assert lease.lasts > 0
    assert await bounded(one.fulfil(key, lease.token, VALUE, 1000))
    assert not await bounded(one.fulfil(key, lease.token, VALUE, 1000))
    hit = await bounded(one.acquire(key, ACCOUNT, SOURCE))
    assert isinstance(hit, Hit)
    assert hit.value == VALUE
    assert 900 < hit.expires_in <= 1000
    assert await bounded(one.forget(key, hashlib.sha256(VALUE).digest())) == 1
    assert await bounded(one.forget(key, hashlib.sha256(VALUE).digest())) == 0


async def test_failures_reach_those_who_wait(cache, connect):
    one, other = connect(cache.path), connect(cache.path)
    key, account = os.urandom(32), os.urandom(32)
    lease = await bounded(one.acquire(key, account, SOURCE))
    waiting = asking(other.acquire(key, account, SOURCE))
    await until("it waits", lambda: stats(cache.path)["waiting"] == 1)
    assert await bounded(one.fail(key, lease.token, "tls", 1e12))
    assert await bounded(waiting) == Unavailable("tls", RETRY_AFTER_MAX)
    lease = await bounded(one.acquire(key, account, SOURCE))
    assert await bounded(one.fail(key, lease.token, REJECTED, 0))
    assert await bounded(other.acquire(key, account, SOURCE)) == Rejected()
    assert not await bounded(one.fail(key, lease.token, REJECTED, 0))


async def test_two_hundred_callers_of_one_key_make_one_login(cache, connect):
    workers = [connect(cache.path) for _ in range(4)]
    key = os.urandom(32)
    logins = 0

    async def caller(one: CacheClient) -> bytes:
        nonlocal logins
        outcome = await one.acquire(key, ACCOUNT, SOURCE)
        if isinstance(outcome, Lease):
            logins += 1
            await one.fulfil(key, outcome.token, VALUE, 1000)
            return VALUE
        assert isinstance(outcome, Hit)
        return outcome.value

    values = await bounded(asyncio.gather(*[caller(workers[i % 4]) for i in range(200)]))
    assert values == [VALUE] * 200
    assert logins == 1
    assert [one.generation for one in workers] == [1] * 4


async def test_ping_names_the_daemon(cache, connect):
    version, pid = await bounded(connect(cache.path).ping())
    assert version
    assert pid == cache.pid


async def test_wrong_arguments_are_the_callers_fault_and_cost_no_connection(cache, connect):
    one = connect(cache.path)
    await bounded(one.ping())
    with pytest.raises(LocalProtocolError):
        await bounded(one.acquire(b"short", ACCOUNT, SOURCE))
    with pytest.raises(LocalProtocolError):
        await bounded(one.acquire(KEY, ACCOUNT, "\ud800"))
    with pytest.raises(LocalProtocolError):
        await bounded(one.fulfil(KEY, b"t" * 16, b"", 1))
    await bounded(one.ping())
    assert one.generation == 1


async def test_a_flush_is_passed_on(connect):
    flushed: list[bytes | None] = []
    with running_cache() as own:
        one = connect(own.path, on_flushed=flushed.append)
        await store(one)
        with BlockingClient(own.path, PATIENCE) as tool:
            tool.call("flush", "account", ACCOUNT)
            tool.call("flush", "sessions", None)
        await until("both are told", lambda: len(flushed) == 2)
    assert flushed == [ACCOUNT, None]


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
async def test_a_flush_that_may_have_been_missed_is_told_before_anything_else(
    puppet, connect, first, then, told
):
    flushed: list[bytes | None] = []
    one = connect(puppet.path, on_flushed=flushed.append)

    async def find(epoch: tuple[bytes, int]) -> list[bytes | None]:
        found = asking(one.find(KEY))
        request = await puppet.heard()
        puppet.say(wire.Notice("epoch", epoch), wire.Reply(request.id, "missing"))
        await bounded(found)
        return flushed

    if first is not None:
        await find(first)
        flushed.clear()
        puppet.hang_up()
        await until("it has noticed", lambda: one._channel is None)
    assert await find(then) == told


async def test_a_flush_that_was_told_is_not_told_again_after_a_restart(folder, connect):
    flushed: list[bytes | None] = []
    with running_cache(folder) as own:
        one = connect(own.path, on_flushed=flushed.append)
        await store(one)
        with BlockingClient(own.path, PATIENCE) as tool:
            tool.call("flush", "account", ACCOUNT)
        await until("it is told", lambda: flushed == [ACCOUNT])
        own.stop()
    with running_cache(folder):
        await until("it has noticed", lambda: one._channel is None)
        assert await bounded(one.peek(KEY)) is None
    assert flushed == [ACCOUNT]


async def test_closing_gives_back_the_lease(cache, connect):
    one, other = connect(cache.path), connect(cache.path)
    key = os.urandom(32)
    await bounded(one.acquire(key, ACCOUNT, SOURCE))
    waiting = asking(other.acquire(key, ACCOUNT, SOURCE))
    await until("it waits", lambda: stats(cache.path)["waiting"] == 1)
    await bounded(one.aclose())
    lease = await bounded(waiting)
    assert isinstance(lease, Lease)
    await bounded(other.fail(key, lease.token, "shutdown", 0))
    with pytest.raises(CacheUnavailable, match="stops"):
        await bounded(one.ping())
    await bounded(one.aclose())


async def test_a_lease_given_back_goes_to_the_next_and_may_be_given_back_again(cache, connect):
    one, other = connect(cache.path), connect(cache.path)
    key = os.urandom(32)
    one.release(key, b"t" * 16)  # not connected: nothing to give back
    lease = await bounded(one.acquire(key, ACCOUNT, SOURCE))
    waiting = asking(other.acquire(key, ACCOUNT, SOURCE))
    await until("it waits", lambda: stats(cache.path)["waiting"] == 1)
    one.release(key, lease.token)
    next_lease = await bounded(waiting)
    assert isinstance(next_lease, Lease)
    one.release(key, lease.token)
    assert not await bounded(one.fulfil(key, lease.token, VALUE, 1000))
    assert await bounded(other.fulfil(key, next_lease.token, VALUE, 1000))


# Parts of different versions.

HELLO = Hello.of("mcp-0", 4242, "1.2.3")
WELCOME = ("1.2.3", 1, PROTOCOL, PROTOCOL, CHANGES, 0)
FORMER = "error", ("verb", "unknown verb")


async def greeted(puppet, answer: tuple[str, tuple]) -> None:
    asked = await puppet.heard()
    assert (asked.verb, asked.args) == ("hello", HELLO)
    puppet.say(wire.Reply(asked.id, *answer))


@pytest.mark.parametrize("answer", [("ok", WELCOME), ("ok", (*WELCOME, b"newer", {"a": 1}))])
async def test_hello_comes_before_all_else_and_a_newer_answer_may_be_longer(
    puppet, connect, answer
):
    one = connect(puppet.path, hello=HELLO)
    agreed = asking(one.agree())
    await greeted(puppet, answer)
    await greeted(puppet, answer)  # versions may have changed since
    await bounded(agreed)


DIFFERENT = {
    "a daemon without hello": FORMER,
    "a newer daemon": ("ok", (*WELCOME[:4], CHANGES + 1, 0)),
    "an older daemon": ("ok", (*WELCOME[:4], CHANGES - 1, 0)),
    "another worker": ("ok", (*WELCOME[:5], 1)),
}


@pytest.mark.parametrize("answer", DIFFERENT.values(), ids=DIFFERENT)
async def test_versions_that_differ_are_told_and_readings_go_on(puppet, connect, caplog, answer):
    one = connect(puppet.path, hello=HELLO)
    for _ in range(2):
        call = asking(one.agree())
        if not one.generation:
            await greeted(puppet, answer)
        await greeted(puppet, answer)
        with pytest.raises(VersionsDiffer):
            await bounded(call)
        await until("it is connected", lambda: one.generation == 1)
    peeked = asking(one.peek(KEY))
    puppet.say(wire.Reply((await puppet.heard()).id, "missing"))
    assert await bounded(peeked) is None
    assert puppet.connections == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert answer is FORMER or "of version 1.2.3" in caplog.text


@pytest.mark.parametrize("answer", [("error", ("shutdown", "it stops")), ("ok", ("1.2.3",))])
async def test_a_daemon_that_does_not_tell_its_version_is_taken_for_none(puppet, connect, answer):
    one = connect(puppet.path, hello=HELLO)
    agreed = asking(one.agree())
    for _ in range(2):
        await greeted(puppet, answer)
    with pytest.raises(CacheUnavailable) as told:
        await bounded(agreed)
    assert not isinstance(told.value, VersionsDiffer)


@pytest.mark.parametrize(("name", "said"), [("m\x1b[2J", "m[2J"), ("", "?"), ("n" * 99, "n" * 64)])
def test_a_name_that_no_terminal_should_show_is_cut(name, said):
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
        outcome = await self._one.acquire(key, account_of(key), SOURCE)
        self.counts[type(outcome).__name__.lower()] += 1
        if isinstance(outcome, Hit):
            assert outcome.value == key * 3
            return
        assert key in self._absent
        if isinstance(outcome, Lease):
            await self._one.fail(key, outcome.token, "shutdown", 0)


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


async def test_a_caller_who_gives_up_waiting_withdraws(puppet, connect):
    one = connect(puppet.path)
    task = asking(one.acquire(KEY, ACCOUNT, SOURCE))
    asked = await puppet.heard()
    puppet.say(wire.Reply(asked.id, "waiting"))
    fence = asking(one.ping())
    puppet.say(wire.Reply((await puppet.heard()).id, "ok", ("1", 2)))
    await bounded(fence)
    task.cancel()
    withdrawn = await puppet.heard()
    assert (withdrawn.verb, withdrawn.args) == ("cancel", (asked.id,))
    # A lease that crossed the cancel, then its answer: neither is anybody else's.
    puppet.say(wire.Reply(asked.id, "lease", (b"t" * 16, 35.0)), wire.Reply(withdrawn.id, "ok"))
    again = await puppet.heard()
    assert (again.verb, again.args) == ("cancel", (asked.id,))
    puppet.say(wire.Reply(again.id, "ok"))
    ping = asking(one.ping())
    puppet.say(wire.Reply((await puppet.heard()).id, "ok", ("1", 2)))
    assert await bounded(ping) == ("1", 2)
    assert one._channel is not None
    assert not one._channel._calls
    assert puppet.connections == 1
    # After that answer nothing may come under the old id.
    ping = asking(one.ping())
    await puppet.heard()
    puppet.say(wire.Reply(asked.id, "waiting"))
    with pytest.raises(CacheUnavailable, match="protocol"):
        await bounded(ping)


@pytest.mark.parametrize("before", [True, False])
async def test_a_lease_that_comes_while_its_caller_is_cancelled_is_given_back(
    puppet, connect, monkeypatch, before
):
    one = connect(puppet.path)
    task = asking(one.acquire(KEY, ACCOUNT, SOURCE))
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
    puppet.say(wire.Reply(asked.id, "lease", (b"t" * 16, 35.0)))
    with pytest.raises(asyncio.CancelledError):
        await bounded(task)
    withdrawn = await puppet.heard()
    assert (withdrawn.verb, withdrawn.args) == ("cancel", (asked.id,))


@pytest.mark.parametrize(
    "answer",
    [
        wire.encode(wire.Reply(999, "ok")),
        wire.encode(wire.Reply(999, "hit", (VALUE, 1, 0))),
        wire.encode(wire.Reply(1, "ok")) * 2,
        wire.encode(wire.Reply(1, "hit", (VALUE, 1, 0))),
        wire.encode(wire.Reply(1, "waiting")),
        wire.encode(wire.Reply(1, "lost")),
        wire.encode(wire.Reply(1, "ok", ("1.2", "pid"))),
        bytes(4),
        b"\xff\xff\xff\xff",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ],
)
async def test_an_answer_nobody_asked_for_ends_the_connection(puppet, connect, answer):
    one = connect(puppet.path)
    ping = asking(one.ping())
    assert (await puppet.heard()).id == 1
    puppet.say_bytes(answer)
    with pytest.raises(CacheUnavailable):
        await bounded(ping)
    # A new connection knows nothing of the old one.
    ping = asking(one.ping())
    asked = await puppet.heard()
    puppet.say(wire.Reply(asked.id, "ok", ("1", 2)))
    assert await bounded(ping) == ("1", 2)
    assert (one.generation, puppet.connections) == (2, 2)


async def test_answers_may_come_in_any_order_and_any_pieces(puppet, connect):
    one = connect(puppet.path)
    keys = [key_of(number) for number in range(50)]
    tasks = [asking(one.acquire(key, ACCOUNT, SOURCE)) for key in keys]
    asked = [await puppet.heard() for _ in keys]
    assert [request.args[0] for request in asked] == keys
    random.Random(1).shuffle(asked)
    stream = b"".join(wire.encode(wire.Reply(r.id, "hit", (r.args[0], 5, 0))) for r in asked)
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
            await bounded(one.acquire(KEY, ACCOUNT, SOURCE), AT_ONCE)


async def test_every_call_in_flight_ends_when_the_daemon_is_killed_and_the_next_finds_the_new_one(
    folder, connect
):
    with running_cache(folder, FAST) as first:
        one, other = connect(first.path), connect(first.path)
        await store(one)
        assert isinstance(await bounded(other.acquire(key_of(1), ACCOUNT, SOURCE)), Lease)
        waiting = [asking(one.acquire(key_of(1), ACCOUNT, SOURCE)) for _ in range(20)]
        await until("they wait", lambda: stats(first.path)["waiting"] == 20)
        first.signal(signal.SIGSTOP)
        asked = [asking(one.acquire(KEY, ACCOUNT, SOURCE)) for _ in range(20)]
        await asyncio.sleep(0)
        first.kill()
        ended = await bounded(asyncio.gather(*waiting, *asked, return_exceptions=True), AT_ONCE)
        assert [type(end) for end in ended] == [CacheUnavailable] * 40
    with running_cache(folder, FAST):
        begun = asyncio.get_running_loop().time()
        while True:
            with contextlib.suppress(CacheUnavailable):
                await bounded(one.ping())
                break
            await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() - begun < AT_ONCE
        assert one.generation == 2


async def test_an_absent_daemon_is_looked_for_no_more_than_ten_times_a_second(
    folder, connect, monkeypatch
):
    one = connect(folder / "none.sock")
    opened = []
    original = one._open
    monkeypatch.setattr(one, "_open", lambda loop: opened.append(1) or original(loop))
    begun = asyncio.get_running_loop().time()
    for _ in range(500):
        with pytest.raises(CacheUnavailable):
            await one.ping()
    lasted = asyncio.get_running_loop().time() - begun
    assert len(opened) <= 1 + lasted / client.ABSENT_SECONDS


async def test_who_drops_connections_unheard_is_not_asked_again_at_once(
    puppet, connect, monkeypatch
):
    monkeypatch.setattr(client, "ABSENT_SECONDS", PATIENCE)
    one = connect(puppet.path)
    ping = asking(one.ping())
    await puppet.heard()
    puppet.hang_up()
    with pytest.raises(CacheUnavailable, match="lost"):
        await bounded(ping)
    for _ in range(20):
        with pytest.raises(CacheUnavailable):
            await bounded(one.ping())
    assert puppet.connections == 1


async def test_a_hung_daemon_holds_up_one_caller_at_a_time_and_then_is_back_at_once(
    folder, connect, monkeypatch
):
    monkeypatch.setattr(client, "HUNG_SECONDS", PATIENCE)
    with running_cache(folder, FAST) as hung:
        one = connect(hung.path)
        await store(one)
        hung.signal(signal.SIGSTOP)
        one.timeout = 0.5
        loop = asyncio.get_running_loop()
        begun = loop.time()
        first = await asyncio.gather(
            *[one.acquire(KEY, ACCOUNT, SOURCE) for _ in range(20)], return_exceptions=True
        )
        assert {type(end) for end in first} == {CacheUnavailable}
        # All of them together, not one after another.
        assert 0.49 < loop.time() - begun < 20 * one.timeout
        # Left alone for a while: everybody else fails at once.
        one.timeout = PATIENCE
        begun = loop.time()
        for _ in range(50):
            with pytest.raises(CacheUnavailable, match="does not answer"):
                await one.acquire(KEY, ACCOUNT, SOURCE)
        assert loop.time() - begun < AT_ONCE
        # Then one finds out, and the others need not wait for it.
        let_pass(client.HUNG_SECONDS, monkeypatch)
        probe = asking(one.acquire(KEY, ACCOUNT, SOURCE))
        await asyncio.sleep(0)
        with pytest.raises(CacheUnavailable):
            await bounded(one.ping(), AT_ONCE)
        assert not probe.done()
        hung.signal(signal.SIGCONT)
        assert isinstance(await bounded(probe), Hit)
        assert isinstance(await bounded(one.acquire(KEY, ACCOUNT, SOURCE)), Hit)
        assert one.generation == 1
        # Its late answers were nobody's; the leases it may have granted went back.
        await until("nothing is left", lambda: stats(hung.path)["leases"] == 0)


async def test_a_daemon_that_stays_silent_costs_the_connection(puppet, connect, monkeypatch):
    one = connect(puppet.path)
    # Two together at first; then one at a time.
    for heard in ([1, 2], [3]):
        asked = [asking(one.ping()), asking(one.ping())]
        assert [(await puppet.heard()).id for _ in heard] == heard
        overdue(one, one.timeout, monkeypatch)
        ended = await bounded(asyncio.gather(*asked, return_exceptions=True))
        assert {type(end) for end in ended} == {CacheUnavailable}
        let_pass(client.HUNG_SECONDS, monkeypatch)
    assert channel.SILENCES == 2
    await until("it is given up", lambda: one._channel is None)
    let_pass(client.ABSENT_SECONDS, monkeypatch)
    ping = asking(one.ping())
    asked_again = await puppet.heard()
    assert asked_again.id == 1
    puppet.say(wire.Reply(1, "ok", ("1", 2)))
    assert await bounded(ping) == ("1", 2)
    assert (one.generation, puppet.connections) == (2, 2)


async def test_one_unanswered_call_among_answered_ones_is_not_a_hung_daemon(
    puppet, connect, monkeypatch
):
    one = connect(puppet.path)
    forgotten = asking(one.ping())
    await puppet.heard()
    for _ in range(4):
        overdue(one, one.timeout * 0.3, monkeypatch)
        ping = asking(one.ping())
        puppet.say(wire.Reply((await puppet.heard()).id, "ok", ("1", 2)))
        assert await bounded(ping) == ("1", 2)
    with pytest.raises(CacheUnavailable, match="in time"):
        await bounded(forgotten)
    ping = asking(one.ping())
    puppet.say(wire.Reply((await puppet.heard()).id, "ok", ("1", 2)))
    assert await bounded(ping) == ("1", 2)


async def test_an_answer_after_its_time_is_nobodys_and_harms_nobody(puppet, connect, monkeypatch):
    one = connect(puppet.path)
    late = asking(one.acquire(KEY, ACCOUNT, SOURCE))
    asked = await puppet.heard()
    overdue(one, one.timeout, monkeypatch)
    with pytest.raises(CacheUnavailable):
        await bounded(late)
    withdrawn = await puppet.heard()
    assert (withdrawn.verb, withdrawn.args) == ("cancel", (asked.id,))
    puppet.say(wire.Reply(asked.id, "hit", (VALUE, 5, 0)), wire.Reply(withdrawn.id, "ok"))
    await until("it was heard", lambda: not one._suspect)
    ping = asking(one.ping())
    puppet.say(wire.Reply((await puppet.heard()).id, "ok", ("1", 2)))
    assert await bounded(ping) == ("1", 2)
    assert one.generation == 1


async def test_who_waits_for_a_login_may_wait_longer_but_not_for_ever(puppet, connect, monkeypatch):
    monkeypatch.setattr(channel, "WAITING_SECONDS", 4 * PATIENCE)
    one = connect(puppet.path)
    task = asking(one.acquire(KEY, ACCOUNT, SOURCE))
    asked = await puppet.heard()
    puppet.say(wire.Reply(asked.id, "waiting"))
    await until("it is told", lambda: one._channel._calls[asked.id].waiting)
    overdue(one, one.timeout * 2, monkeypatch)
    await asyncio.sleep(0)
    assert not task.done()
    overdue(one, channel.WAITING_SECONDS - one.timeout * 2, monkeypatch)
    with pytest.raises(CacheUnavailable, match="in time"):
        await bounded(task)
    withdrawn = await puppet.heard()
    assert (withdrawn.verb, withdrawn.args) == ("cancel", (asked.id,))
    # The daemon has spoken; it does not count as hung.
    ping = asking(one.ping())
    puppet.say(wire.Reply((await puppet.heard()).id, "ok", ("1", 2)))
    assert await bounded(ping) == ("1", 2)


async def test_a_caller_who_gives_up_connecting_does_not_take_it_from_the_others(cache, connect):
    one = connect(cache.path)
    impatient, patient = asking(one.ping()), asking(one.ping())
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await bounded(patient))[1] == cache.pid
    assert one.generation == 1


async def test_more_calls_than_the_protocol_allows_are_refused_here(puppet, connect, monkeypatch):
    monkeypatch.setattr(wire, "MAX_IN_FLIGHT", 6)
    one = connect(puppet.path)
    tasks = [asking(one.acquire(KEY, ACCOUNT, SOURCE)) for _ in range(3)]
    for _ in tasks:
        await puppet.heard()
    for wait in (one.acquire(KEY, ACCOUNT, SOURCE), one.share(KEY, ACCOUNT)):
        with pytest.raises(CacheBusy):
            await bounded(wait)
    # What waits for nobody has the other half.
    for _ in range(3):
        tasks.append(asking(one.peek(KEY)))
        await puppet.heard()
    with pytest.raises(CacheBusy):
        await bounded(one.peek(KEY))
    # Whoever gives up can always say so.
    tasks.pop(0).cancel()
    assert (await puppet.heard()).verb == "cancel"
    puppet.hang_up()
    ended = await bounded(asyncio.gather(*tasks, return_exceptions=True))
    assert {type(end) for end in ended} == {CacheUnavailable}


@pytest.mark.parametrize("code", ["shutdown", "overload", "version"])
async def test_a_daemon_that_cannot_serve_is_unavailable(puppet, connect, code):
    one = connect(puppet.path)
    task = asking(one.acquire(KEY, ACCOUNT, SOURCE))
    puppet.say(wire.Reply((await puppet.heard()).id, "error", (code, "no")))
    with pytest.raises(CacheUnavailable, match=code):
        await bounded(task)


async def test_closing_in_the_middle_of_everything_ends_every_call(puppet, connect):
    one = connect(puppet.path)
    tasks = [asking(one.acquire(KEY, ACCOUNT, SOURCE)) for _ in range(5)]
    await puppet.heard()
    connecting = connect(puppet.path)
    tasks.append(asking(connecting.ping()))
    await asyncio.sleep(0)
    await bounded(asyncio.gather(one.aclose(), connecting.aclose()))
    ended = await bounded(asyncio.gather(*tasks, return_exceptions=True))
    assert {type(end) for end in ended} == {CacheUnavailable}


async def test_ids_go_round_without_meeting_one_in_use(puppet, connect, monkeypatch):
    monkeypatch.setattr(wire, "MAX_ID", 3)
    one = connect(puppet.path)
    held = asking(one.ping())
    assert (await puppet.heard()).id == 1
    numbers = []
    for _ in range(4):
        ping = asking(one.ping())
        numbers.append((await puppet.heard()).id)
        puppet.say(wire.Reply(numbers[-1], "ok", ("1", 2)))
        await bounded(ping)
    assert numbers == [2, 3, 2, 3]
    puppet.say(wire.Reply(1, "ok", ("held", 2)))
    assert await bounded(held) == ("held", 2)
