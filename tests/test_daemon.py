"""The cache daemon as a process: what it serves, what it refuses, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgpack
import pytest

from server.cache import daemon, snapshot, wire
from server.cache.blocking import BlockingClient, RefusedError
from server.cache.engine import Engine, Limits
from server.cache.hello import CHANGES, UNTOLD, Hello, Welcome, welcome
from server.cache.keeper import Keeper
from server.cache.limits import TTL_MAX, VALUE_MAX_BYTES
from server.cache.outdated import Outdated
from server.cache.throttle import Policy, Throttle
from server.errors import CacheUnavailable, RemoteProtocolError
from server.version import program_version

from .cache_process import PATIENCE, ROOT, run_folder, running_cache, starting_cache

KEY = b"k" * 32
ACCOUNT = b"a" * 32
VALUE = b"a sealed session"
SOURCE = "192.0.2.1"
FAST = {"OIG_LOGINS_PER_SECOND": "1000", "OIG_LOGIN_BURST": "1000", "OIG_LOGINS_AT_ONCE": "1000"}

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def anyio_backend():
    return "asyncio"


def patched(**values: object) -> list[str]:
    """Return a command for a daemon with other limits than the settings offer."""
    code = """
import dataclasses, runpy, sys
from server.cache import daemon, server_connection, snapshot
values = {values}
def limits():
    def given(limits):
        names = [field.name for field in dataclasses.fields(limits)]
        return {{name: values[name] for name in names if name in values}}
    return original(**given(original), peer=limits_of(**given(limits_of)))
limits_of = server_connection.PeerLimits
original, daemon.DaemonLimits = daemon.DaemonLimits, limits
for name in values:
    if name.isupper():
        setattr(daemon, name, values[name])
if "files" in values:
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (values["files"], values["files"]))
if "disk_hangs" in values:
    import threading
    snapshot.write = lambda path, data: threading.Event().wait()
if "plain" in values:
    sys.modules["uvloop"] = None
if "tell_dumpable" in values:
    from server import process
    run = daemon.Daemon.run
    def telling(self):
        daemon.logger.info("dumpable: %s", process.is_dumpable())
        return run(self)
    daemon.Daemon.run = telling
sys.argv = ["cache"]
runpy.run_module("server.cache", run_name="__main__")
"""
    return [sys.executable, "-c", code.format(values=values)]


class Wire:
    """A connection on which anything can be said, and nothing is waited for too long."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self.reader = wire.FrameReader(wire.MAX_REPLY_BYTES)
        self.messages: list[wire.Reply | wire.Notice] = []
        self.epochs: list[wire.Notice] = []

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, number: int, verb: str, *args: object, version: int = wire.VERSION) -> None:
        body = msgpack.packb([version, number, verb, *args], use_bin_type=True)
        self.socket.sendall(struct.pack(">I", len(body)) + body)

    def hear(self) -> wire.Reply | wire.Notice | None:
        """Return the next message, or None when the daemon closed the connection."""
        while not self.messages:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            for frame in self.reader.feed(data):
                message = wire.decode_reply(bytes(frame))
                if isinstance(message, wire.Notice) and message.name == "epoch":
                    self.epochs.append(message)
                else:
                    self.messages.append(message)
        return self.messages.pop(0)

    def ask(self, number: int, verb: str, *args: object) -> wire.Reply | wire.Notice | None:
        self.say(number, verb, *args)
        return self.hear()

    def acquire(self, number: int, key: bytes = KEY) -> wire.Reply | wire.Notice | None:
        # An account has one session: that under another key would take its place.
        account = ACCOUNT if key == KEY else key
        return self.ask(number, "acquire", key, account, SOURCE, account)

    def lease(self, number: int, key: bytes = KEY) -> bytes:
        reply = self.acquire(number, key)
        assert isinstance(reply, wire.Reply)
        assert reply.status == "lease"
        return reply.fields[0]

    def store(self, key: bytes = KEY, value: bytes = VALUE) -> None:
        token = self.lease(1, key)
        assert self.ask(2, "fulfil", key, token, value, 1000) == wire.Reply(2, "ok")

    def is_closed(self) -> bool:
        return self.hear() is None


def status(reply: object) -> str:
    assert isinstance(reply, wire.Reply)
    return reply.status


def stats(path: Path) -> dict[str, object]:
    with BlockingClient(path, PATIENCE) as client:
        (found,) = client.call("stats")
    return found


def wait_for(what: str, condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        select.select([], [], [], 0.01)  # a poll with a bound


@pytest.fixture(scope="module")
def shared():
    """One daemon for all tests that leave nothing behind in it."""
    with run_folder() as folder, running_cache(folder, FAST) as cache:
        yield cache


@pytest.fixture
def folder():
    with run_folder() as path:
        yield path


# What it serves.


def test_it_says_where_it_is_ready_and_when_it_has_stopped(folder):
    with running_cache(folder) as cache:
        assert cache.stop() == daemon.EXIT_OK
    assert f"cache daemon ready on {cache.path}, 0 sessions from the snapshot" in cache.log[0]
    assert cache.log[-1].endswith("cache daemon stopped")
    assert not cache.path.exists()


def test_a_login_is_stored_found_and_forgotten(shared):
    key = b"1" * 32
    with Wire(shared.path) as one:
        token = one.lease(1, key)
        assert one.ask(2, "fulfil", key, token, VALUE, 1000) == wire.Reply(2, "ok")
        assert one.ask(3, "fulfil", key, token, VALUE, 1000) == wire.Reply(3, "lost")
        reply = one.acquire(4, key)
        assert isinstance(reply, wire.Reply)
        assert reply.status == "hit"
        assert reply.fields[0] == VALUE
        assert 900 < reply.fields[1] <= 1000
        assert one.ask(5, "forget", key, b"x" * 32) == wire.Reply(5, "ok", (0,))


HELLO = Hello.of("mcp-0", 4242, "1.2.3")
NEWER = HELLO._replace(name="mcp-1", program="1.3.0", changes=CHANGES + 1)


def test_hello_is_answered_with_the_daemons_versions_and_listed(folder):
    with running_cache(folder) as cache, Wire(cache.path) as one, Wire(cache.path) as other:
        reply = one.ask(1, "hello", *HELLO)
        assert isinstance(reply, wire.Reply)
        assert welcome(reply.fields) == Welcome(program_version(), CHANGES, 0)
        # What is behind the known arguments is of a version to come.
        assert status(other.ask(1, "hello", *NEWER, b"fingerprint", None, 7)) == "ok"
        first = {"name": "mcp-0", "pid": 4242, "version": "1.2.3", "protocol": 3}
        second = {**first, "name": "mcp-1", "version": "1.3.0", "changes": CHANGES + 1}
        listed = [{**first, "changes": CHANGES}, second]
        found = stats(cache.path)
        told = [{key: row[key] for key in listed[0]} for row in found["versions"]]
        assert (told, found["mixed"]) == (listed, 1)
        differ = ("secret_differs", "settings_differ", "changes_differ")
        flags = [tuple(row[key] for key in differ) for row in found["versions"]]
        assert flags == [(0, 0, 0), (0, 0, 1)]
        # Said again, it stands in place of the first.
        assert status(other.ask(2, "hello", *HELLO)) == "ok"
        assert stats(cache.path)["mixed"] == 0


def former(one: Wire) -> None:
    """Ask for what a worker of a version without hello asks for."""
    assert status(one.ask(900, "find", KEY)) == "missing"


OTHERS = {
    "newer": (lambda one: one.ask(900, "hello", *NEWER), CHANGES + 1),
    "former": (former, UNTOLD),
}


@pytest.mark.parametrize("other", OTHERS)
def test_while_workers_differ_each_is_told_so_and_all_else_goes_on(folder, other):
    begin, changes = OTHERS[other]
    with running_cache(folder, FAST) as cache, Wire(cache.path) as one:
        one.ask(1, "hello", *HELLO)
        with Wire(cache.path) as odd:
            begin(odd)
            assert [row["changes"] for row in stats(cache.path)["versions"]].count(changes) == 1
            reply = one.ask(2, "hello", *HELLO)
            assert isinstance(reply, wire.Reply)
            assert not welcome(reply.fields).agrees
            for number, asking in enumerate((one, odd), start=3):
                asking.store(bytes([number + 100]) * 32)
                assert status(asking.acquire(20, bytes([number + 100]) * 32)) == "hit"
                assert status(asking.ask(21, "share", bytes([number]) * 32, ACCOUNT)) in {
                    "lease",
                    "waiting",
                }
        wait_for("it is gone", lambda: stats(cache.path)["mixed"] == 0)
        reply = one.ask(30, "hello", *HELLO)
        assert isinstance(reply, wire.Reply)
        assert welcome(reply.fields).agrees


def test_cachectl_is_no_worker_of_another_version(folder):
    with running_cache(folder) as cache, Wire(cache.path) as one, Wire(cache.path) as operator:
        one.ask(1, "hello", *HELLO)
        for number, asked in enumerate((("ping",), ("stats",), ("flush", "sessions", None)), 1):
            assert status(operator.ask(number, *asked)) == "ok"
        assert stats(cache.path)["mixed"] == 0


@pytest.mark.parametrize("version", [wire.VERSION + 1, wire.VERSION - 1])
def test_a_frame_of_a_version_that_is_not_spoken_is_refused(folder, version):
    with running_cache(folder) as cache, Wire(cache.path) as one:
        one.say(1, "hello", *HELLO, version=version)
        reply = one.hear()
        assert isinstance(reply, wire.Reply)
        assert (reply.status, reply.fields[0]) == ("error", "version")
        assert one.is_closed()


def test_who_waits_is_told_so_and_answered_under_the_same_id_later(shared):
    key = b"2" * 32
    with Wire(shared.path) as one, Wire(shared.path) as other:
        token = one.lease(1, key)
        assert other.acquire(7, key) == wire.Reply(7, "waiting")
        assert status(other.ask(8, "ping")) == "ok"
        one.ask(2, "fulfil", key, token, VALUE, 1000)
        reply = other.hear()
        assert isinstance(reply, wire.Reply)
        assert (reply.id, reply.status, reply.fields[0]) == (7, "hit", VALUE)


def test_a_failed_login_is_told_to_those_who_wait(shared):
    key = b"3" * 32
    with Wire(shared.path) as one, Wire(shared.path) as other:
        token = one.lease(1, key)
        assert status(other.acquire(1, key)) == "waiting"
        assert one.ask(2, "fail", key, token, "timeout", 5) == wire.Reply(2, "ok")
        assert other.hear() == wire.Reply(1, "unavailable", ("timeout", 5))


def test_a_lease_goes_to_who_waits_when_its_holder_is_gone(shared):
    key = b"4" * 32
    with Wire(shared.path) as other:
        with Wire(shared.path) as one:
            one.lease(1, key)
            assert status(other.acquire(5, key)) == "waiting"
        reply = other.hear()
        assert isinstance(reply, wire.Reply)
        assert (reply.id, reply.status) == (5, "lease")
        other.ask(6, "fail", key, reply.fields[0], "shutdown", 0)


def test_who_waits_can_withdraw_and_is_not_answered(shared):
    key = b"5" * 32
    with Wire(shared.path) as one, Wire(shared.path) as other:
        token = one.lease(1, key)
        assert status(other.acquire(5, key)) == "waiting"
        assert other.ask(6, "cancel", 5) == wire.Reply(6, "ok")
        one.ask(2, "fulfil", key, token, VALUE, 1000)
        assert status(other.ask(7, "ping")) == "ok"
        assert other.ask(8, "cancel", 5) == wire.Reply(8, "ok")


def test_a_lease_granted_to_who_withdraws_goes_to_the_next(shared):
    key = b"6" * 32
    with Wire(shared.path) as one, Wire(shared.path) as other:
        token = one.lease(1, key)
        assert status(other.acquire(5, key)) == "waiting"
        assert one.ask(2, "cancel", 1) == wire.Reply(2, "ok")
        reply = other.hear()
        assert isinstance(reply, wire.Reply)
        assert reply.status == "lease"
        assert one.ask(3, "fulfil", key, token, VALUE, 1000) == wire.Reply(3, "lost")
        other.ask(6, "fail", key, reply.fields[0], "shutdown", 0)


def test_a_lease_used_up_cannot_be_withdrawn_afterwards(shared):
    key = b"7" * 32
    with Wire(shared.path) as one:
        token = one.lease(1, key)
        one.ask(2, "fulfil", key, token, VALUE, 1000)
        assert one.ask(3, "cancel", 1) == wire.Reply(3, "ok")
        assert status(one.acquire(4, key)) == "hit"


def test_a_flush_is_told_to_those_who_acquire_and_to_nobody_else():
    with running_cache() as cache, Wire(cache.path) as worker, Wire(cache.path) as tool:
        worker.store()
        assert tool.ask(1, "flush", "lockouts", None) == wire.Reply(1, "ok", (0, 0))
        assert worker.hear() == wire.Notice("unlocked", (None, None))
        assert tool.ask(2, "flush", "account", ACCOUNT) == wire.Reply(2, "ok", (1, 0))
        assert worker.hear() == wire.Notice("flushed", (ACCOUNT, 1))
        assert tool.ask(3, "flush", "all", None) == wire.Reply(3, "ok", (0, 0))
        assert worker.hear() == wire.Notice("unlocked", (None, None))
        assert worker.hear() == wire.Notice("flushed", (None, 2))
        assert status(worker.ask(3, "ping")) == "ok"
        assert [notice.fields[1] for notice in worker.epochs] == [0]
        assert tool.epochs == []


def test_the_control_verbs_answer_as_documented(shared):
    with BlockingClient(shared.path, PATIENCE) as client:
        version, pid = client.call("ping")
        assert isinstance(version, str)
        assert pid == shared.pid
        total, rows = client.call("sessions", 1)
        assert isinstance(total, int)
        for row in rows:
            assert set(row) == {"account", "age", "expires_in", "idle", "hits", "bytes"}
        client.call("flush", "lockouts", None)
        assert client.call("lockouts", 5) == (0, ())
        assert client.call("unlock", ACCOUNT) == (0,)
        assert client.call("flush", "expired", None) == (0, 0)


def test_the_statistics_are_those_of_the_protocol_document(shared):
    text = (ROOT / "docs" / "protocol.md").read_text().partition("## Statistics")[2]
    documented = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    found = stats(shared.path)
    assert set(found) == documented
    requests = found["requests"]
    assert isinstance(requests, dict)
    assert set(requests) == set(wire.ARGUMENTS)
    for summary in requests.values():
        assert set(summary) == {"total", "p50_us", "p99_us"}
    with BlockingClient(shared.path, PATIENCE) as client:
        client.call("ping")
    ping = stats(shared.path)["requests"]["ping"]  # type: ignore[index]
    assert ping["total"] == requests["ping"]["total"] + 1
    assert 0 < ping["p50_us"] <= ping["p99_us"]


@pytest.mark.parametrize(
    ("verb", "args", "code"),
    [
        ("get", (), "verb"),
        ("ping", (1,), "arguments"),
        ("acquire", (b"", b"", "", b""), "arguments"),
    ],
)
def test_a_refused_request_leaves_the_connection_open(shared, verb, args, code):
    with Wire(shared.path) as one:
        reply = one.ask(5, verb, *args)
        assert isinstance(reply, wire.Reply)
        assert (reply.id, reply.status, reply.fields[0]) == (5, "error", code)
        assert status(one.ask(6, "ping")) == "ok"


def test_another_version_is_answered_and_then_closed(shared):
    with Wire(shared.path) as one:
        one.say(5, "ping", version=wire.VERSION + 1)
        reply = one.hear()
        assert isinstance(reply, wire.Reply)
        assert (reply.status, reply.fields[0]) == ("error", "version")
        assert one.is_closed()


def test_the_blocking_client_is_closed_by_an_answer_to_another_question(shared):
    with BlockingClient(shared.path, PATIENCE) as client:
        client._id = 7
        answer, end = socket.socketpair(socket.AF_UNIX)
        assert client._socket is not None
        client._socket.close()
        client._socket = end
        with answer:
            answer.sendall(wire.encode(wire.Reply(8, "error", ("shutdown", "it stops"))))
            with pytest.raises(RefusedError, match="shutdown") as caught:
                client.call("ping")
            assert caught.value.code == "shutdown"
            answer.sendall(wire.encode(wire.Reply(8, "ok", ("another's",))))
            with pytest.raises(RemoteProtocolError):
                client.call("ping")
        with pytest.raises(CacheUnavailable, match="closed"):
            client.call("ping")


def test_the_blocking_client_names_the_path_where_nobody_is(folder):
    path = folder / "none.sock"
    with pytest.raises(CacheUnavailable, match=str(path)), BlockingClient(path):
        pass


def test_the_blocking_client_gives_up_in_time_on_who_does_not_answer(folder):
    folder.mkdir(mode=0o700)
    path = folder / "mute.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mute:
        mute.bind(str(path))
        mute.listen()
        with (
            BlockingClient(path, 0.05) as client,
            pytest.raises(CacheUnavailable, match="no answer in"),
        ):
            client.call("ping")


def test_the_blocking_client_does_without_asyncio():
    code = "import sys, server.cache.blocking; sys.exit('asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_confirmed_flush_has_been_told_even_if_the_daemon_dies_then():
    for _ in range(2):
        with running_cache() as cache, contextlib.ExitStack() as stack:
            workers = [stack.enter_context(Wire(cache.path)) for _ in range(8)]
            for number, worker in enumerate(workers):
                worker.store(bytes([number]) * 32)
            with Wire(cache.path) as tool:
                tool.say(1, "flush", "sessions", None)
                tool.hear()
                cache.kill()
            heard = [worker.hear() for worker in workers]
            assert heard == [wire.Notice("flushed", (None, 1))] * 8


# What it refuses.


@pytest.mark.parametrize(
    "bad",
    [
        bytes(4),
        b"\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00\x00\x00\x01\x05",
        b"\x00\x00\x00\x05\xdd\xff\xff\xff\xff",
        struct.pack(">I", 60000) + b"\x91" * 60000,
        random.Random(1).randbytes(4000),
    ],
    ids=lambda bad: repr(bad[:12]),
)
def test_bytes_that_are_not_the_protocol_close_that_connection_alone(shared, bad):
    before = stats(shared.path)["protocol_errors_total"]
    with Wire(shared.path) as good, Wire(shared.path) as one:
        assert status(good.ask(1, "ping")) == "ok"
        one.socket.sendall(bad)
        assert one.is_closed()
        assert status(good.ask(2, "ping")) == "ok"
    assert stats(shared.path)["protocol_errors_total"] == before + 1


def test_requests_before_bad_bytes_are_answered(shared):
    with Wire(shared.path) as one:
        one.socket.sendall(wire.encode(wire.Request(1, "ping")) + bytes(4))
        assert status(one.hear()) == "ok"
        assert one.is_closed()


def test_an_id_in_use_cannot_be_used_again(shared):
    key = b"8" * 32
    with Wire(shared.path) as one, Wire(shared.path) as other:
        one.lease(1, key)
        assert status(other.acquire(5, key)) == "waiting"
        other.say(5, "acquire", key, ACCOUNT, SOURCE, ACCOUNT)
        assert other.is_closed()


def test_too_many_requests_in_flight_end_the_connection(shared):
    key = b"9" * 32
    with Wire(shared.path) as one, Wire(shared.path) as other:
        one.lease(1, key)
        frames = b"".join(
            wire.encode(wire.Request(number, "acquire", (key, ACCOUNT, SOURCE, ACCOUNT)))
            for number in range(1, wire.MAX_IN_FLIGHT + 2)
        )
        threading.Thread(target=other.socket.sendall, args=(frames,), daemon=True).start()
        for number in range(1, wire.MAX_IN_FLIGHT + 1):
            assert other.hear() == wire.Reply(number, "waiting")
        reply = other.hear()
        assert isinstance(reply, wire.Reply)
        assert (reply.status, reply.fields[0]) == ("error", "overload")
        assert other.is_closed()


def test_half_a_frame_is_waited_for_no_longer_than_its_time(folder):
    with starting_cache(folder, command=patched(frame_seconds=0.2)) as cache:
        cache.wait_ready()
        frame = wire.encode(wire.Request(1, "ping"))
        with Wire(cache.path) as good, Wire(cache.path) as half, Wire(cache.path) as length:
            half.socket.sendall(frame[:7])
            length.socket.sendall(frame[:3])
            assert half.is_closed()
            assert length.is_closed()
            # An idle connection between frames has all the time in the world, while there is room.
            assert status(good.ask(1, "ping")) == "ok"
        assert stats(cache.path)["kicked_total"] == 2


def test_a_frame_that_drips_in_gets_no_further_time_for_each_drop(folder):
    with starting_cache(folder, command=patched(frame_seconds=0.3)) as cache:
        cache.wait_ready()
        with Wire(cache.path) as one:
            frame = wire.encode(wire.Request(1, "fulfil", (KEY, b"t" * 16, b"v" * 16000, 1)))
            begun = time.monotonic()
            with contextlib.suppress(OSError):
                for byte in frame:
                    one.socket.sendall(bytes([byte]))
                    if select.select([one.socket], [], [], 0.05)[0]:
                        break
            assert one.is_closed()
            assert time.monotonic() - begun < PATIENCE / 2


def test_who_does_not_read_is_cut_off_and_memory_stays_flat(folder):
    limits = patched(unread_seconds=0.3, unread_bytes=300_000)
    with starting_cache(folder, FAST, limits) as cache:
        cache.wait_ready()
        with Wire(cache.path) as good:
            good.store(KEY, b"v" * VALUE_MAX_BYTES)
            ask = wire.encode(wire.Request(1, "acquire", (KEY, ACCOUNT, SOURCE, ACCOUNT)))
            before = resident(cache.pid)
            with Wire(cache.path) as slow, Wire(cache.path) as greedy:
                # Some replies more than the kernel keeps: kicked by time.
                slow.socket.sendall(ask * 20)
                # Many more: kicked by size.
                with contextlib.suppress(OSError):
                    greedy.socket.sendall(ask * 20_000)
                wait_for("both cut off", lambda: stats(cache.path)["kicked_total"] == 2)
            assert status(good.acquire(3)) == "hit"
            assert resident(cache.pid) - before < 20_000_000


def resident(pid: int) -> int:
    """Return the bytes of memory a process uses; 0 where the system does not say it this way."""
    with contextlib.suppress(FileNotFoundError):
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize()
    return 0


def test_a_reader_that_is_slow_for_a_moment_gets_everything(folder):
    with running_cache(folder, FAST) as cache, Wire(cache.path) as one:
        one.store(KEY, b"v" * 10_000)
        count = 300
        ask = [
            wire.Request(i, "acquire", (KEY, ACCOUNT, SOURCE, ACCOUNT))
            for i in range(10, 10 + count)
        ]
        one.socket.sendall(b"".join(map(wire.encode, ask)))
        heard = [one.hear() for _ in range(count)]
        assert [reply.id for reply in heard if isinstance(reply, wire.Reply)] == [
            request.id for request in ask
        ]


def test_connections_over_the_limit_are_closed_unread_and_room_is_given_back(folder):
    with starting_cache(folder, command=patched(connections=3)) as cache:
        cache.wait_ready()
        with contextlib.ExitStack() as stack:
            first = [stack.enter_context(Wire(cache.path)) for _ in range(3)]
            assert [status(one.ask(1, "ping")) for one in first] == ["ok"] * 3
            for _ in range(2):
                with Wire(cache.path) as extra:
                    assert extra.is_closed()
            (reply,) = [first[0].ask(2, "stats")]
            assert isinstance(reply, wire.Reply)
            found = reply.fields[0]
            assert (found["connections"], found["refused_total"]) == (3, 2)
            assert found["connections_total"] == 3
            assert found["limit_connections"] == 3
            first[1].socket.close()
            wait_for("room for another", lambda: serves(cache.path))
        assert len([line for line in cache.log if "refused" in line]) == 1


def test_who_connects_and_asks_nothing_is_closed_and_who_asked_once_is_not(folder):
    with starting_cache(folder, command=patched(silent_seconds=2.0)) as cache:
        cache.wait_ready()
        with Wire(cache.path) as good, Wire(cache.path) as silent, Wire(cache.path) as begun:
            assert status(good.ask(1, "ping")) == "ok"
            begun.socket.sendall(wire.encode(wire.Request(1, "ping"))[:7])
            assert silent.is_closed()
            assert begun.is_closed()
            assert status(good.ask(2, "ping")) == "ok"
        assert stats(cache.path)["kicked_total"] == 2


def test_without_room_the_longest_idle_connection_gives_way(folder):
    with starting_cache(folder, FAST, patched(connections=4, idle_seconds=0.0)) as cache:
        cache.wait_ready()
        with contextlib.ExitStack() as stack:
            lease, wait, old, young = (stack.enter_context(Wire(cache.path)) for _ in range(4))
            token = lease.lease(1)
            assert status(wait.acquire(1)) == "waiting"
            assert status(old.ask(1, "ping")) == "ok"
            assert status(young.ask(1, "ping")) == "ok"
            new = stack.enter_context(Wire(cache.path))
            assert status(new.ask(1, "ping")) == "ok"
            assert old.is_closed()
            assert status(young.ask(2, "ping")) == "ok"
            # Who holds a lease or waits is not idle, however long ago it asked.
            assert status(lease.ask(2, "fulfil", KEY, token, VALUE, 1000)) == "ok"
            assert status(wait.hear()) == "hit"
            reply = new.ask(2, "stats")
            assert isinstance(reply, wire.Reply)
            assert (reply.fields[0]["connections"], reply.fields[0]["kicked_total"]) == (4, 1)
            assert reply.fields[0]["refused_total"] == 0
        cache.wait_logged("gave way")


def test_idle_connections_in_any_number_keep_nobody_out(folder):
    limits = patched(connections=8, idle_seconds=0.2)
    with starting_cache(folder, command=limits) as cache, contextlib.ExitStack() as stack:
        cache.wait_ready()
        for _ in range(8):
            assert status(stack.enter_context(Wire(cache.path)).ask(1, "ping")) == "ok"
        wait_for("another one is served", lambda: serves(cache.path))


def serves(path: Path) -> bool:
    with Wire(path) as one, contextlib.suppress(OSError):
        return one.ask(1, "ping") is not None
    return False


def test_few_descriptors_mean_few_connections(folder):
    with starting_cache(folder, command=patched(files=40)) as cache:
        cache.wait_ready()
        assert stats(cache.path)["limit_connections"] == 8


def test_without_descriptors_it_serves_on_and_does_not_spin(folder):
    # A cap that is no cap, so that the system's limit is met.
    limits = patched(files=40, SPARE_DESCRIPTORS=-200, ACCEPT_PAUSE_SECONDS=0.2)
    with starting_cache(folder, command=limits) as cache:
        cache.wait_ready()
        with contextlib.ExitStack() as stack, Wire(cache.path) as good:
            assert status(good.ask(1, "ping")) == "ok"
            for _ in range(45):
                stack.enter_context(Wire(cache.path))
            cache.wait_logged("cannot accept connections")
            before = processor_seconds(cache.pid)
            select.select([], [], [], 0.5)
            assert processor_seconds(cache.pid) - before < 0.2
            assert status(good.ask(2, "ping")) == "ok"
        wait_for("it accepts again", lambda: serves(cache.path))
        assert len([line for line in cache.log if "cannot accept" in line]) == 1


def processor_seconds(pid: int) -> float:
    with contextlib.suppress(FileNotFoundError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


@as_root
def test_another_user_is_turned_away_before_a_byte_is_read(folder):
    with running_cache(folder) as cache:
        for path, mode in ((folder.parent, 0o711), (folder, 0o711), (cache.path, 0o666)):
            path.chmod(mode)
        code = (
            "import os, socket, sys; os.setgid(65534); os.setuid(65534)\n"
            "s = socket.socket(socket.AF_UNIX); s.settimeout(60); s.connect(sys.argv[1])\n"
            "try: s.sendall(bytes.fromhex(sys.argv[2])); data = s.recv(100)\n"
            "except (BrokenPipeError, ConnectionResetError): data = b''\n"
            "sys.exit(len(data))"
        )
        frame = wire.encode(wire.Request(1, "ping")).hex()
        command = [sys.executable, "-c", code, str(cache.path), frame]
        assert subprocess.run(command, check=False, timeout=PATIENCE).returncode == 0
        cache.wait_logged("user 65534 was refused")
        found = stats(cache.path)
        assert found["refused_total"] == 1
        assert found["requests"]["ping"]["total"] == 0  # type: ignore[index]


# How it starts and ends.


def test_a_second_daemon_says_so_in_one_line_and_leaves_the_first_alone(folder):
    with running_cache(folder) as first, Wire(first.path) as one:
        one.store()
        inode = first.path.stat().st_ino
        with starting_cache(folder) as second:
            assert second.wait() == daemon.EXIT_ALREADY_RUNNING
        assert len(second.log) == 1
        assert "Another cache daemon runs" in second.log[0]
        assert first.path.stat().st_ino == inode
        assert status(one.acquire(3)) == "hit"
        assert serves(first.path)


def test_after_a_kill_the_next_daemon_takes_the_stale_socket(folder):
    with running_cache(folder) as first:
        first.kill()
        assert first.path.exists()
    with running_cache(folder) as second:
        assert serves(second.path)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"OIG_SESSION_TTL": "hunter2"}, "OIG_SESSION_TTL must be a number above 0"),
        ({"OIG_MAX_SESSION": "1"}, "Did you mean OIG_MAX_SESSIONS"),
        ({"OIG_CACHE_SOCKET": "/tmp/" + "x" * 120}, "bytes"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(folder, settings, text):
    with starting_cache(folder, settings) as cache:
        assert cache.wait() == daemon.EXIT_USAGE
    assert len(cache.log) == 1
    assert text in cache.log[0]
    assert "hunter2" not in cache.log[0]


def test_an_unusable_place_is_named_in_one_line(folder):
    folder.mkdir(mode=0o700)
    (folder / "cache.sock").write_text("precious")
    with starting_cache(folder) as cache:
        assert cache.wait() == daemon.EXIT_CANNOT_CREATE
    assert len(cache.log) == 1
    assert cache.path.read_text() == "precious"
    cache.path.unlink()
    folder.chmod(0o750)
    with starting_cache(folder) as cache:
        assert cache.wait() == daemon.EXIT_CANNOT_CREATE
    assert f"chmod 700 {folder}" in cache.log[0]


def test_help_tells_the_exit_codes_and_a_wrong_command_line_is_refused():
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "server.cache", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    helped = run("--help")
    assert helped.returncode == 0
    codes = [value for name, value in vars(daemon).items() if name.startswith("EXIT_")]
    assert len(codes) == 6
    for code in codes:
        assert re.search(rf"^ +{code} +\w", helped.stdout, re.MULTILINE), code
    wrong = run("--port", "1")
    assert wrong.returncode == daemon.EXIT_USAGE
    assert len(wrong.stderr.splitlines()) == 1


@pytest.mark.parametrize("loop", ["uvloop", "plain"])
def test_a_signal_to_stop_is_told_to_those_who_wait(folder, loop):
    command = patched(plain=True) if loop == "plain" else []
    with contextlib.ExitStack() as stack:
        cache = stack.enter_context(starting_cache(folder, command=command))
        cache.wait_ready()
        one, other = [stack.enter_context(Wire(cache.path)) for _ in range(2)]
        one.lease(1)
        assert status(other.acquire(5)) == "waiting"
        assert cache.stop() == 0
        assert other.hear() == wire.Reply(5, "unavailable", ("shutdown", 1.0))
        assert other.is_closed()
        assert one.is_closed()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_under_load_it_stops_in_time(folder, number):
    with running_cache(folder, FAST) as cache:
        with Wire(cache.path) as one:
            one.store()
        frames = b"".join(
            wire.encode(wire.Request(i, "acquire", (KEY, ACCOUNT, SOURCE, ACCOUNT)))
            for i in range(1, 50)
        )
        answered = threading.Event()

        def load() -> None:
            with contextlib.suppress(OSError), Wire(cache.path) as one:
                while True:
                    one.socket.sendall(frames)
                    for _ in range(49):
                        if one.hear() is None:
                            return
                    answered.set()

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        assert answered.wait(PATIENCE)
        begun = time.monotonic()
        cache.signal(number)
        assert cache.wait() == 0
        assert time.monotonic() - begun < 20
        for thread in threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()


def test_a_peer_that_does_not_read_cannot_hold_up_the_stop(folder):
    with running_cache(folder, FAST) as cache, Wire(cache.path) as one, Wire(cache.path) as slow:
        one.store(KEY, b"v" * VALUE_MAX_BYTES)
        slow.socket.sendall(
            wire.encode(wire.Request(1, "acquire", (KEY, ACCOUNT, SOURCE, ACCOUNT))) * 50
        )
        wait_for("it is stuck", lambda: stats(cache.path)["hits_total"] == 50)
        cache.signal(signal.SIGTERM)
        assert cache.wait() == 0


def test_a_disk_that_hangs_does_not_hold_up_the_stop(folder):
    with starting_cache(folder, command=patched(disk_hangs=True)) as cache:
        cache.wait_ready()
        cache.signal(signal.SIGTERM)
        assert cache.wait() == 0
    assert any("could not be written in 3 s" in line for line in cache.log)
    assert not cache.path.exists()


def test_a_second_signal_ends_it_at_once(folder):
    with starting_cache(folder, command=patched(disk_hangs=True)) as cache:
        cache.wait_ready()
        cache.signal(signal.SIGTERM)
        cache.wait_logged("SIGTERM: stopping")
        cache.signal(signal.SIGTERM)
        assert cache.wait() == daemon.EXIT_FORCED
    assert not cache.path.exists()


def test_a_hangup_is_survived_and_logged(folder):
    with running_cache(folder) as cache:
        cache.signal(signal.SIGHUP)
        cache.wait_logged("SIGHUP")
        assert serves(cache.path)


def test_a_daemon_whose_path_is_taken_stops_for_a_restart(folder):
    with starting_cache(folder, command=patched(path_seconds=0.1)) as cache:
        cache.wait_ready()
        aside = folder / "aside"
        aside.write_text("not ours")
        aside.replace(cache.path)
        assert cache.wait() == daemon.EXIT_SUPPLANTED
    assert any("does not lead to this daemon" in line for line in cache.log)
    assert cache.path.exists()


def test_a_daemon_comes_back_with_everything_when_its_folder_was_removed(folder):
    with starting_cache(folder, command=patched(path_seconds=0.1)) as cache:
        cache.wait_ready()
        with Wire(cache.path) as one:
            one.store()
            for lost in (cache.snapshot.parent, cache.path):
                if lost.is_dir():
                    shutil.rmtree(lost)
                else:
                    lost.unlink()
                wait_for("the socket is back", cache.path.exists)
                wait_for("the snapshot is back", cache.snapshot.exists)
                with Wire(cache.path) as two:
                    assert status(two.acquire(1)) == "hit"
            # Whoever was connected still is.
            assert status(one.acquire(2)) == "hit"
        assert cache.stop() == 0
    assert sum("had vanished: it is back" in line for line in cache.log) == 2


# What it keeps.


def test_sessions_outlive_a_restart(folder):
    with running_cache(folder) as cache:
        with Wire(cache.path) as one:
            one.store()
        assert cache.stop() == 0
    assert cache.snapshot.stat().st_mode & 0o777 == 0o600
    with running_cache(folder) as cache, Wire(cache.path) as one:
        assert "1 session from the snapshot" in cache.log[0]
        reply = one.acquire(1)
        assert isinstance(reply, wire.Reply)
        assert (reply.status, reply.fields[0]) == ("hit", VALUE)
        found = stats(cache.path)
        assert found["snapshot_bytes"] == cache.snapshot.stat().st_size
        assert isinstance(found["snapshot_age"], float)


@pytest.mark.parametrize("damage", ["torn", "foreign", "unreadable"])
def test_a_bad_snapshot_is_set_aside_and_does_not_stop_the_start(folder, damage):
    with running_cache(folder) as cache:
        with Wire(cache.path) as one:
            one.store()
        cache.stop()
    match damage:
        case "torn":
            cache.snapshot.write_bytes(cache.snapshot.read_bytes()[:-10])
        case "foreign":
            cache.snapshot.write_bytes(b"something else")
        case "unreadable":
            cache.snapshot.unlink()
            cache.snapshot.symlink_to("/dev/zero")
    with running_cache(folder) as cache, Wire(cache.path) as one:
        assert len(cache.log) == 2
        assert "set aside" in cache.log[0]
        assert status(one.acquire(1)) == "lease"
        assert not cache.snapshot.is_symlink()
        assert cache.snapshot.with_name("sessions.snapshot.bad").is_symlink() == (
            damage == "unreadable"
        )


def newer_snapshot(folder: Path) -> bytes:
    """Leave a snapshot with one session, as a newer version would have written it."""
    with running_cache(folder) as cache:
        with Wire(cache.path) as one:
            one.store()
        cache.stop()
    written = cache.snapshot.read_bytes()
    newer = snapshot.MAGIC + (snapshot.FORMAT + 1).to_bytes(2, "big") + written[10:]
    cache.snapshot.write_bytes(newer)
    return newer


def test_a_snapshot_of_a_newer_version_is_set_aside_by_name_and_stays(folder):
    newer = newer_snapshot(folder)
    aside = folder / "sessions.snapshot.v7-set-aside"
    for lines in (2, 1):  # the second start finds its own snapshot
        with running_cache(folder) as cache, Wire(cache.path) as one:
            assert len(cache.log) == lines
            assert status(one.acquire(1)) == "lease"
            cache.stop()
        assert aside.read_bytes() == newer
    with running_cache(folder) as cache:
        assert "0 sessions from the snapshot" in cache.log[0]
    aside.replace(folder / "sessions.snapshot")
    with running_cache(folder) as cache:
        (line,) = (line for line in cache.log if "WARNING" in line)
        assert "has format 7, of a newer version of the program; this one reads up to 6" in line
        assert f"set aside as {aside}" in line


def test_what_is_dropped_goes_from_a_snapshot_that_was_set_aside_too(folder):
    newer_snapshot(folder)
    with running_cache(folder) as cache:
        with BlockingClient(cache.path) as client:
            client.call("flush", "sessions", None)
        assert not (folder / "sessions.snapshot.v7-set-aside").exists()


def test_a_newer_snapshot_that_is_older_than_a_flush_is_not_put_where_it_may_be_read(folder):
    newer_snapshot(folder)
    Outdated(folder / "sessions.snapshot").set()
    with running_cache(folder) as cache:
        assert "sessions.snapshot.bad" in cache.log[0]
        assert not (folder / "sessions.snapshot.v7-set-aside").exists()


def test_a_snapshot_that_cannot_be_written_does_not_stop_the_stop(folder):
    missing = str(folder / "nowhere" / "snapshot")
    with running_cache(folder, {"OIG_SNAPSHOT_FILE": missing}) as cache:
        assert cache.stop() == 0
    assert any("snapshot cannot be written" in line for line in cache.log)


def keeper(path: Path, engine: Engine | None = None) -> Keeper:
    return Keeper(engine or Engine(Limits(), Throttle(Policy())), path, period=0.01)


async def test_failing_snapshots_are_counted_each_and_logged_once_per_change(folder, caplog):
    caplog.set_level("INFO", "server.cache.keeper")
    kept = keeper(folder / "snapshot")
    for _ in range(3):
        await kept.write()
    assert kept.errors == 3
    assert kept.age() is None
    folder.mkdir()
    for _ in range(2):
        await kept.write()
    assert kept.errors == 3
    assert kept.size == (folder / "snapshot").stat().st_size
    assert kept.age() is not None
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


async def test_a_snapshot_is_written_when_something_changed_and_only_then(folder, monkeypatch):
    folder.mkdir()
    written = []
    monkeypatch.setattr(snapshot, "write", lambda _path, data: written.append(data))
    changes = [False, True, False, False]
    kept = keeper(folder / "snapshot")
    enough = asyncio.Event()

    def take_change() -> bool:
        if not changes:
            enough.set()
            return False
        return changes.pop(0)

    keeping = asyncio.get_running_loop().create_task(kept.keep(take_change))
    await asyncio.wait_for(enough.wait(), PATIENCE)
    keeping.cancel()
    await asyncio.wait([keeping])
    assert len(written) == 1


async def test_snapshots_that_are_urgent_again_and_again_have_some_time_between_them(
    folder, monkeypatch
):
    folder.mkdir()
    times: list[float] = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(snapshot, "write", lambda _path, _data: times.append(loop.time()))
    rest = 0.2
    kept = Keeper(
        Engine(Limits(), Throttle(Policy())), folder / "snapshot", period=3600.0, rest=rest
    )
    keeping = loop.create_task(kept.keep(lambda: True))
    began = loop.time()
    while len(times) < 4:
        kept.hurry()
        await asyncio.wait([keeping], timeout=0.001)
        assert loop.time() - began < PATIENCE
    assert all(after - before >= 0.9 * rest for before, after in itertools.pairwise(times))
    keeping.cancel()
    await asyncio.wait([keeping])


@pytest.mark.parametrize(
    ("name", "seconds"),
    [("snapshot.bad", snapshot.BAD_SECONDS), ("snapshot.v7-set-aside", TTL_MAX)],
)
async def test_a_snapshot_that_was_set_aside_goes_when_it_is_of_no_use(folder, name, seconds):
    folder.mkdir()
    bad = folder / name
    bad.write_bytes(b"sealed")
    late = time.time() + seconds
    looks = asyncio.Queue[float]()

    def wall() -> float:
        looks.put_nowait(late)
        return late

    async def look() -> bool:
        for _ in range(2):  # the first may be under way
            await asyncio.wait_for(looks.get(), PATIENCE)
        return bad.exists()

    kept = Keeper(Engine(Limits(), Throttle(Policy())), folder / "snapshot", period=0.01, wall=wall)
    keeping = asyncio.get_running_loop().create_task(kept.keep(lambda: False))
    late -= 60
    assert await look()
    late += 120
    await look()
    assert not await look()
    keeping.cancel()
    await asyncio.wait([keeping])


async def test_two_snapshots_are_written_one_after_the_other(folder, monkeypatch):
    at_once, most = [], []

    def write(_path: Path, data: bytes) -> None:
        at_once.append(data)
        most.append(len(at_once))
        at_once.remove(data)

    monkeypatch.setattr(snapshot, "write", write)
    kept = keeper(folder / "snapshot")
    await asyncio.wait_for(asyncio.gather(*[kept.write() for _ in range(5)]), PATIENCE)
    assert most == [1] * 5


async def test_a_system_without_a_thread_to_spare_costs_that_snapshot_and_no_other(
    folder, monkeypatch
):
    folder.mkdir()
    kept = keeper(folder / "snapshot")

    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        await asyncio.wait_for(kept.write(), PATIENCE)
    assert (kept.errors, kept.size) == (1, None)
    await asyncio.wait_for(kept.write(), PATIENCE)
    assert (kept.errors, kept.size) == (1, (folder / "snapshot").stat().st_size)


def engine_with_a_session() -> Engine:
    engine = Engine(Limits(), Throttle(Policy()))
    lease = engine.acquire(KEY, ACCOUNT, SOURCE, "worker")
    assert engine.fulfil(KEY, lease.token, VALUE, 1000.0)
    return engine


async def test_a_flush_that_no_snapshot_shows_yet_is_not_undone_by_a_crash(folder, caplog):
    folder.mkdir()
    engine = engine_with_a_session()
    kept = keeper(folder / "snapshot", engine)
    assert await kept.begin() == 0
    engine.flush("sessions")
    kept.outdate()
    next_engine = Engine(Limits(), Throttle(Policy()))
    assert await keeper(folder / "snapshot", next_engine).begin() == 0
    assert "older than a flush" in caplog.text
    # Who has copies is told that they may have been flushed; and that only once.
    assert next_engine.epoch.origin != engine.epoch.origin
    third_engine = Engine(Limits(), Throttle(Policy()))
    await keeper(folder / "snapshot", third_engine).begin()
    assert third_engine.epoch == next_engine.epoch


async def test_a_snapshot_written_after_a_flush_is_read_as_ever(folder):
    folder.mkdir()
    engine = engine_with_a_session()
    kept = keeper(folder / "snapshot", engine)
    engine.flush("account", b"b" * 32)
    kept.outdate()
    await kept.write()
    next_engine = Engine(Limits(), Throttle(Policy()))
    assert await keeper(folder / "snapshot", next_engine).begin() == 1
    assert next_engine.epoch == engine.epoch
    assert [one.name for one in folder.iterdir()] == ["snapshot"]


async def test_a_snapshot_begun_before_a_flush_and_ended_after_it_stays_outdated(
    folder, monkeypatch
):
    folder.mkdir()
    engine = engine_with_a_session()
    kept = keeper(folder / "snapshot", engine)
    may_end, write = threading.Event(), snapshot.write

    def slow(path: Path, data: bytes) -> None:
        may_end.wait(PATIENCE)
        write(path, data)

    monkeypatch.setattr(snapshot, "write", slow)
    writing = asyncio.get_running_loop().create_task(kept.write())
    await asyncio.sleep(0)
    engine.flush("sessions")
    kept.outdate()
    may_end.set()
    await asyncio.wait_for(writing, PATIENCE)
    assert await keeper(folder / "snapshot").begin() == 0


async def test_a_flush_goes_on_where_no_mark_can_be_made(folder, caplog):
    keeper(folder / "nowhere" / "snapshot").outdate()
    assert "A flush is undone if" in caplog.text


# What it hides.


def test_neither_log_nor_command_line_nor_environment_shows_what_passed_through(folder):
    marks = [b"KEYMARK-" * 4, b"ACCTMARK" * 4, b"VALUEMARKVALUEMARK", b"10.MARK.99"]
    key, account, value, source = marks
    with running_cache(folder, {**FAST, "OIG_LOG_LEVEL": "DEBUG"}) as cache:
        with Wire(cache.path) as one:
            one.say(1, "acquire", key, account, source.decode(), account)
            reply = one.hear()
            assert isinstance(reply, wire.Reply)
            one.ask(2, "fulfil", key, reply.fields[0], value, 1000)
            one.ask(3, "acquire", key, account, source.decode(), account)
            one.ask(4, value.decode(), key)
            one.ask(5, "sessions", 10)
            one.socket.sendall(struct.pack(">I", 100) + b"\x93\x01\x02\xa9" + value * 10)
            assert one.is_closed()
        shown = [Path(f"/proc/{cache.pid}/{name}") for name in ("cmdline", "environ")]
        texts = [path.read_bytes() for path in shown if path.exists()]
        cache.stop()
    texts.append("\n".join(cache.log).encode())
    for text in texts:
        assert b"MARK" not in text


@pytest.mark.skipif(sys.platform != "linux", reason="a matter of Linux")
def test_its_memory_cannot_be_dumped_or_read(folder):
    with starting_cache(folder, command=patched(tell_dumpable=True)) as cache:
        cache.wait_ready()
        assert cache.wait_logged("dumpable").endswith("False")
        limits = Path(f"/proc/{cache.pid}/limits").read_text()
        assert re.search(r"Max core file size +0 +0 ", limits)
