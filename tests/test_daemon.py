"""The cache daemon as a process: what it serves, what it refuses, and how it ends."""

from __future__ import annotations

import contextlib
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

from server.cache import daemon, verbs, wire
from server.cache.blocking import BlockingClient, RefusedError
from server.cache.hello import CHANGES, PROTOCOL, Hello, Welcome
from server.cache.verbs import Notice, Reply, Request
from server.errors import CacheUnavailable, RemoteProtocolError
from server.state.limits import VALUE_MAX_BYTES
from server.version import program_version

from .cache_process import PATIENCE, ROOT, run_folder, running_cache, starting_cache
from .messages import reply_of

KEY = b"k" * 32
ACCOUNT = b"a" * 32
VALUE = b"a sealed session"
SOURCE = "192.0.2.1"
FAST = {"OIG_LOGINS_PER_SECOND": "1000", "OIG_LOGIN_BURST": "1000", "OIG_LOGINS_AT_ONCE": "1000"}

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def patched(**values: object) -> list[str]:
    """Return a command for a daemon with other limits than the settings offer."""
    code = """
import dataclasses, runpy, sys
from server.cache import daemon, listener, state_file
values = {values}
names = [field.name for field in dataclasses.fields(daemon.ConnectionLimits)]
limits = daemon.ConnectionLimits(**{{name: values[name] for name in names if name in values}})
daemon.ConnectionLimits = lambda: limits
for name in values:
    for module in (daemon, listener):
        if hasattr(module, name):
            setattr(module, name, values[name])
if "files" in values:
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (values["files"], values["files"]))
if "lease_lasts" in values:
    limits_of = daemon.limits_of
    daemon.limits_of = lambda settings: dataclasses.replace(
        limits_of(settings), lease_lasts=values["lease_lasts"]
    )
if "disk_hangs" in values:
    import threading
    state_file.StateFile.write = lambda *_: threading.Event().wait()
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


def asking(number: int, key: bytes = KEY) -> Request:
    """Return the question for a login; each key is of an account of its own.

    An account has one session: that under another key would take its place.
    """
    account = ACCOUNT if key == KEY else key
    return Request(number, "ask", ("login", account, key, SOURCE, account))


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
        self.messages: list[Reply | Notice] = []

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, number: int, verb: str, *args: object, version: int = PROTOCOL) -> None:
        body = msgpack.packb([version, number, verb, *args], use_bin_type=True)
        self.socket.sendall(struct.pack(">I", len(body)) + body)

    def hear(self) -> Reply | Notice | None:
        """Return the next message, or None when the daemon closed the connection."""
        while not self.messages:
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return None
            for frame in self.reader.feed(data):
                self.messages.append(reply_of(bytes(frame)))
        return self.messages.pop(0)

    def ask(self, number: int, verb: str, *args: object) -> Reply | Notice | None:
        self.say(number, verb, *args)
        return self.hear()

    def ping(self, number: int) -> str:
        """Ask what changes nothing; return the status of the reply."""
        return status(self.ask(number, "cancel", 4321))

    def login(self, number: int, key: bytes = KEY) -> Reply | Notice | None:
        return self.ask(number, "ask", *asking(number, key).args)

    def lease(self, number: int, key: bytes = KEY) -> bytes:
        reply = self.login(number, key)
        assert isinstance(reply, Reply)
        assert reply.status == "lease"
        return reply.fields[0]

    def fulfil(
        self, number: int, token: bytes, key: bytes = KEY, value: bytes = VALUE
    ) -> Reply | Notice | None:
        account = ACCOUNT if key == KEY else key
        args = ("login", account, key, token, value, 1000, None, None)
        return self.ask(number, "fulfil", *args)

    def fail(self, number: int, token: bytes, key: bytes, *why: object) -> Reply | Notice | None:
        account = ACCOUNT if key == KEY else key
        return self.ask(number, "fail", "login", account, key, token, *why)

    def store(self, key: bytes = KEY, value: bytes = VALUE) -> None:
        token = self.lease(1, key)
        assert self.fulfil(2, token, key, value) == Reply(2, "ok", (0,))

    def is_closed(self) -> bool:
        return self.hear() is None


def status(reply: object) -> str:
    assert isinstance(reply, Reply)
    return reply.status


def stats(path: Path) -> dict[str, object]:
    with BlockingClient(path, PATIENCE) as client:
        (found,) = client.call("stats", None)
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
    assert f"cache daemon ready on {cache.path}, 0 sessions from the disk" in cache.log[0]
    assert cache.log[-1].endswith("cache daemon stopped")
    assert not cache.path.exists()


def test_a_login_is_stored_found_and_forgotten(shared):
    key = b"1" * 32
    with Wire(shared.path) as one:
        token = one.lease(1, key)
        assert one.fulfil(2, token, key) == Reply(2, "ok", (0,))
        assert one.fulfil(3, token, key) == Reply(3, "lost")
        reply = one.login(4, key)
        assert isinstance(reply, Reply)
        assert reply.status == "hit"
        assert reply.fields[0] == VALUE
        assert 900 < reply.fields[1] <= 1000
        other = b"x" * 32
        assert one.ask(5, "forget", "session", key, key, other) == Reply(5, "ok", (0,))


HELLO = Hello.of("mcp-0", 4242, "1.2.3")
NEWER = HELLO._replace(name="mcp-1", program="1.3.0", changes=CHANGES + 1)
OLDER = ("mcp-2", 4242, "0.1.0", 3, 3, 1)


def welcomed(one: Wire, number: int, *hello: object) -> Welcome:
    reply = one.ask(number, "hello", *hello)
    assert isinstance(reply, Reply)
    found = Welcome.read(reply.fields)
    assert found is not None
    return found


def test_hello_is_answered_with_the_daemons_versions_and_listed(folder):
    with running_cache(folder) as cache, Wire(cache.path) as one, Wire(cache.path) as other:
        met = welcomed(one, 1, *HELLO)
        assert (met.program, met.pid, met.agrees) == (program_version(), cache.pid, True)
        assert (met.drops, met.tag, met.secret_held, met.settings_differ) == (0, None, 0, 0)
        # What is behind the known arguments is of a version to come.
        assert welcomed(other, 1, *NEWER, b"more", None, 7).mixed == 1
        listed = [
            {"name": "mcp-0", "pid": 4242, "version": "1.2.3", "protocol": 4, "changes": CHANGES},
            {"name": "mcp-1", "pid": 4242, "version": "1.3.0", "protocol": 4, "changes": 3},
        ]
        found = stats(cache.path)
        told = [{key: row[key] for key in listed[0]} for row in found["versions"]]
        assert (told, found["mixed"]) == (listed, 1)
        differ = ("secret_differs", "settings_differ", "changes_differ")
        flags = [tuple(row[key] for key in differ) for row in found["versions"]]
        assert flags == [(0, 0, 0), (0, 0, 1)]
        # Said again, it stands in place of the first.
        assert welcomed(other, 2, *HELLO).agrees
        assert stats(cache.path)["mixed"] == 0


def test_differing_workers_are_notified_and_everything_else_goes_on(folder):
    with running_cache(folder, FAST) as cache, Wire(cache.path) as one:
        assert welcomed(one, 1, *HELLO).agrees
        with Wire(cache.path) as odd:
            assert not welcomed(odd, 1, *NEWER).agrees
            assert not welcomed(one, 2, *HELLO).agrees
            for number, asked in enumerate((one, odd), start=3):
                asked.store(bytes([number + 100]) * 32)
                assert status(asked.login(20, bytes([number + 100]) * 32)) == "hit"
        wait_for("it is gone", lambda: welcomed(one, 30, *HELLO).agrees)


@pytest.mark.parametrize(
    ("asked", "changes"),
    [
        (("hello", *OLDER), 1),
        (("hello", *OLDER[:3], 3, 3, 0, b"what versions to come say"), 0),
        (("hello", "half a hello"), 0),
        (("acquire", KEY, ACCOUNT, SOURCE, ACCOUNT), 0),
    ],
)
@pytest.mark.parametrize("version", [3, PROTOCOL + 1])
def test_a_client_of_another_version_is_refused_in_that_version_and_no_box_is_changed(
    shared, version, asked, changes
):
    with Wire(shared.path) as one, Wire(shared.path) as other:
        for number in (5, 6):  # it may go on, and is told the same
            other.say(number, *asked, version=version)
            reply = other.hear()
            assert isinstance(reply, Reply)
            assert (reply.id, reply.version, reply.status) == (number, version, "error")
            assert reply.fields == ("version", "only version 4 of the protocol is spoken here")
        assert not welcomed(one, 1, *HELLO).agrees
        assert [row["changes"] for row in stats(shared.path)["versions"]].count(changes) == 1
    wait_for("both are gone", lambda: stats(shared.path)["versions"] == ())


def test_cachectl_is_no_worker(shared):
    with Wire(shared.path) as one, Wire(shared.path) as operator:
        asked = (("hello", *HELLO._replace(changes=None)), ("stats", None), ("list", "sessions", 1))
        for number, verb in enumerate(asked, 1):
            assert status(operator.ask(number, *verb)) == "ok"
        assert welcomed(one, 1, *HELLO).agrees
        assert len(stats(shared.path)["versions"]) == 1


def test_a_waiter_is_answered_twice_under_one_id_first_that_it_waits(shared):
    key = b"2" * 32
    with Wire(shared.path) as one, Wire(shared.path) as other:
        token = one.lease(1, key)
        assert other.login(7, key) == Reply(7, "waiting")
        assert other.ping(8) == "ok"
        one.fulfil(2, token, key)
        reply = other.hear()
        assert isinstance(reply, Reply)
        assert (reply.id, reply.status, reply.fields[0]) == (7, "hit", VALUE)


@pytest.mark.parametrize("spelling", [b"", b"c" * 16])
def test_a_worker_learns_with_which_spelling_a_session_was_opened(shared, spelling):
    key = b"spelled" + bytes([len(spelling)]) * 25
    with Wire(shared.path) as one, Wire(shared.path) as other:
        asked = "ask", "login", key + spelling, key, SOURCE, None
        lease = one.ask(1, *asked)
        assert isinstance(lease, Reply)
        assert status(other.ask(1, *asked)) == "waiting"
        fulfil = "fulfil", "login", key + spelling, key, lease.fields[0], VALUE, 1000, None, None
        assert one.ask(2, *fulfil) == Reply(2, "ok", (0,))
        for hit in (other.hear(), one.ask(3, *asked)):
            assert isinstance(hit, Reply)
            assert (hit.status, hit.fields[0], hit.fields[3]) == ("hit", VALUE, spelling)


def test_waiters_are_notified_of_a_failed_login(shared):
    key = b"3" * 32
    with Wire(shared.path) as one, Wire(shared.path) as other:
        token = one.lease(1, key)
        assert status(other.login(1, key)) == "waiting"
        assert one.fail(2, token, key, "timeout", 5) == Reply(2, "ok", (0,))
        assert other.hear() == Reply(1, "unavailable", ("timeout", 5))


def test_a_lease_passes_to_a_waiter_when_its_connection_is_lost(shared):
    key = b"4" * 32
    with Wire(shared.path) as other:
        with Wire(shared.path) as one:
            one.lease(1, key)
            assert status(other.login(5, key)) == "waiting"
        reply = other.hear()
        assert isinstance(reply, Reply)
        assert (reply.id, reply.status) == (5, "lease")
        other.fail(6, reply.fields[0], key, "shutdown", 0)


def test_a_waiter_that_withdraws_is_not_answered(shared):
    key = b"5" * 32
    with Wire(shared.path) as one, Wire(shared.path) as other:
        token = one.lease(1, key)
        assert status(other.login(5, key)) == "waiting"
        assert other.ask(6, "cancel", 5) == Reply(6, "ok")
        one.fulfil(2, token, key)
        assert other.ping(7) == "ok"
        assert other.ask(8, "cancel", 5) == Reply(8, "ok")


def test_a_lease_granted_to_a_waiter_that_withdraws_passes_to_the_next(shared):
    key = b"6" * 32
    with Wire(shared.path) as one, Wire(shared.path) as other:
        token = one.lease(1, key)
        assert status(other.login(5, key)) == "waiting"
        assert one.ask(2, "cancel", 1) == Reply(2, "ok")
        reply = other.hear()
        assert isinstance(reply, Reply)
        assert reply.status == "lease"
        assert one.fulfil(3, token, key) == Reply(3, "lost")
        other.fail(6, reply.fields[0], key, "shutdown", 0)


def test_a_lease_used_up_cannot_be_withdrawn_afterwards(shared):
    key = b"7" * 32
    with Wire(shared.path) as one:
        token = one.lease(1, key)
        one.fulfil(2, token, key)
        assert one.ask(3, "cancel", 1) == Reply(3, "ok")
        assert status(one.login(4, key)) == "hit"


def test_workers_and_nobody_else_are_notified_of_a_flush():
    with running_cache() as cache, Wire(cache.path) as worker, Wire(cache.path) as tool:
        assert welcomed(worker, 9, *HELLO).drops == 0
        worker.store()
        assert tool.ask(1, "flush", "lockouts") == Reply(1, "ok", (0, 0))
        assert worker.hear() == Notice("unlocked", (None, None))
        assert tool.ask(2, "flush", "account", ACCOUNT) == Reply(2, "ok", (1, 0))
        assert worker.hear() == Notice("flushed", (ACCOUNT, None, 1))
        assert tool.ask(3, "flush", "all") == Reply(3, "ok", (0, 0))
        assert worker.hear() == Notice("unlocked", (None, None))
        assert worker.hear() == Notice("flushed", (None, None, 2))
        assert welcomed(worker, 3, *HELLO).drops == 2


def test_the_control_verbs_answer_as_documented(shared):
    with BlockingClient(shared.path, PATIENCE) as client:
        version, pid, *_ = client.hello("tests")
        assert isinstance(version, str)
        assert pid == shared.pid
        total, rows = client.call("list", "sessions", 1)
        assert isinstance(total, int)
        for row in rows:
            assert set(row) == {"account", "age", "expires_in", "idle", "hits", "bytes"}
        client.call("flush", "lockouts")
        assert client.call("list", "lockouts", 5) == (0, ())
        assert client.call("unlock", "budget", ACCOUNT) == (0,)
        assert client.call("unlock", "source", SOURCE) == (0,)
        assert client.call("flush", "expired") == (0, 0)


def test_an_odd_answer_of_the_portal_is_counted_by_its_shape(shared):
    before = stats(shared.path)
    with Wire(shared.path) as one:
        for number, kind in enumerate(("lacking", "unknown", "lacking"), 1):
            assert one.ask(number, "stats", kind) == Reply(number, "ok")
    after = stats(shared.path)
    grown = [after[key] - before[key] for key in ("answers_lacking_total", "answers_unknown_total")]
    assert grown == [2, 1]


def test_the_statistics_are_those_of_the_protocol_document(shared):
    text = (ROOT / "docs" / "protocol.md").read_text().partition("## Statistics")[2]
    documented = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    found = stats(shared.path)
    assert set(found) == documented
    requests = found["requests"]
    assert isinstance(requests, dict)
    assert set(requests) == set(verbs.ARGUMENTS)
    for summary in requests.values():
        assert set(summary) == {"total", "p50_us", "p99_us"}
    with Wire(shared.path) as one:
        assert one.ping(1) == "ok"
    cancel = stats(shared.path)["requests"]["cancel"]  # type: ignore[index]
    assert cancel["total"] == requests["cancel"]["total"] + 1
    assert 0 < cancel["p50_us"] <= cancel["p99_us"]


@pytest.mark.parametrize(
    ("verb", "args", "code"),
    [
        ("acquire", (), "verb"),
        ("reload", (1,), "arguments"),
        ("ask", ("login", b"", b"", "", b""), "arguments"),
    ],
)
def test_a_refused_request_leaves_the_connection_open(shared, verb, args, code):
    with Wire(shared.path) as one:
        reply = one.ask(5, verb, *args)
        assert isinstance(reply, Reply)
        assert (reply.id, reply.status, reply.fields[0]) == (5, "error", code)
        assert one.ping(6) == "ok"


def test_the_blocking_client_is_closed_by_an_answer_to_another_question(shared):
    with BlockingClient(shared.path, PATIENCE) as client:
        client._id = 7
        answer, end = socket.socketpair(socket.AF_UNIX)
        assert client._socket is not None
        client._socket.close()
        client._socket = end
        with answer:
            answer.sendall(wire.encode(Reply(8, "error", ("shutdown", "it stops"))))
            with pytest.raises(RefusedError, match="shutdown") as caught:
                client.call("reload")
            assert caught.value.code == "shutdown"
            answer.sendall(wire.encode(Reply(8, "ok", ("another's",))))
            with pytest.raises(RemoteProtocolError):
                client.call("reload")
        with pytest.raises(CacheUnavailable, match="closed"):
            client.call("reload")


def test_the_blocking_client_names_the_path_where_nobody_is(folder):
    path = folder / "none.sock"
    with pytest.raises(CacheUnavailable, match=str(path)), BlockingClient(path):
        pass


def test_the_blocking_client_gives_up_in_time_when_nothing_answers(folder):
    folder.mkdir(mode=0o700)
    path = folder / "mute.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mute:
        mute.bind(str(path))
        mute.listen()
        with (
            BlockingClient(path, 0.05) as client,
            pytest.raises(CacheUnavailable, match="no answer in"),
        ):
            client.call("reload")


def test_the_blocking_client_does_without_asyncio():
    code = "import sys, server.cache.blocking; sys.exit('asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_workers_know_of_a_confirmed_flush_even_if_the_daemon_dies_then():
    for _ in range(2):
        with running_cache() as cache, contextlib.ExitStack() as stack:
            workers = [stack.enter_context(Wire(cache.path)) for _ in range(8)]
            for number, worker in enumerate(workers):
                worker.ask(9, "hello", *HELLO)
                worker.store(bytes([number]) * 32)
            with Wire(cache.path) as tool:
                tool.say(1, "flush", "sessions")
                tool.hear()
                cache.kill()
            heard = [worker.hear() for worker in workers]
            assert heard == [Notice("flushed", (None, None, 1))] * 8


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
        assert good.ping(1) == "ok"
        one.socket.sendall(bad)
        assert one.is_closed()
        assert good.ping(2) == "ok"
    assert stats(shared.path)["protocol_errors_total"] == before + 1


def test_requests_before_bad_bytes_are_answered(shared):
    with Wire(shared.path) as one:
        one.socket.sendall(wire.encode(Request(1, "cancel", (4321,))) + bytes(4))
        assert status(one.hear()) == "ok"
        assert one.is_closed()


def test_an_id_in_use_cannot_be_used_again(shared):
    key = b"8" * 32
    with Wire(shared.path) as one, Wire(shared.path) as other:
        one.lease(1, key)
        assert status(other.login(5, key)) == "waiting"
        other.say(5, "ask", *asking(5, key).args)
        assert other.is_closed()


def test_too_many_requests_in_flight_end_the_connection(shared):
    key = b"9" * 32
    with Wire(shared.path) as one, Wire(shared.path) as other:
        one.lease(1, key)
        frames = b"".join(
            wire.encode(asking(number, key)) for number in range(1, wire.MAX_IN_FLIGHT + 2)
        )
        threading.Thread(target=other.socket.sendall, args=(frames,), daemon=True).start()
        reply = other.hear()
        while isinstance(reply, Reply) and reply.status == "waiting":
            reply = other.hear()
        assert isinstance(reply, Reply)
        assert (reply.id, reply.status) == (wire.MAX_IN_FLIGHT + 1, "error")
        assert reply.fields[0] == "overload"
        assert other.is_closed()


def test_half_a_frame_is_waited_for_no_longer_than_its_time(folder):
    with starting_cache(folder, command=patched(frame_seconds=0.2)) as cache:
        cache.wait_ready()
        frame = wire.encode(Request(1, "cancel", (4321,)))
        with Wire(cache.path) as good, Wire(cache.path) as half, Wire(cache.path) as length:
            half.socket.sendall(frame[:7])
            length.socket.sendall(frame[:3])
            assert half.is_closed()
            assert length.is_closed()
            # An idle connection between frames has all the time in the world, while there is room.
            assert good.ping(1) == "ok"
        assert stats(cache.path)["kicked_total"] == 2


def test_a_frame_that_drips_in_gets_no_further_time_for_each_drop(folder):
    with starting_cache(folder, command=patched(frame_seconds=0.3)) as cache:
        cache.wait_ready()
        with Wire(cache.path) as one:
            args = ("login", ACCOUNT, KEY, b"t" * 16, b"v" * 16000, 1, None, None)
            frame = wire.encode(Request(1, "fulfil", args))
            begun = time.monotonic()
            with contextlib.suppress(OSError):
                for byte in frame:
                    one.socket.sendall(bytes([byte]))
                    if select.select([one.socket], [], [], 0.05)[0]:
                        break
            assert one.is_closed()
            assert time.monotonic() - begun < PATIENCE / 2


def test_a_client_that_does_not_read_is_disconnected_and_memory_stays_flat(folder):
    limits = patched(unread_seconds=0.3, unread_bytes=300_000)
    with starting_cache(folder, FAST, limits) as cache:
        cache.wait_ready()
        with Wire(cache.path) as good:
            good.store(KEY, b"v" * VALUE_MAX_BYTES)
            ask = wire.encode(asking(1))
            before = resident(cache.pid)
            with Wire(cache.path) as slow, Wire(cache.path) as greedy:
                # Some replies more than the kernel keeps: kicked by time.
                slow.socket.sendall(ask * 20)
                # Many more: kicked by size.
                with contextlib.suppress(OSError):
                    greedy.socket.sendall(ask * 20_000)
                wait_for("both cut off", lambda: stats(cache.path)["kicked_total"] == 2)
            assert status(good.login(3)) == "hit"
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
        ask = [asking(i) for i in range(10, 10 + count)]
        one.socket.sendall(b"".join(map(wire.encode, ask)))
        heard = [one.hear() for _ in range(count)]
        assert [reply.id for reply in heard if isinstance(reply, Reply)] == [
            request.id for request in ask
        ]


def test_connections_over_the_limit_are_closed_unread_and_room_is_given_back(folder):
    with starting_cache(folder, command=patched(connections=3)) as cache:
        cache.wait_ready()
        with contextlib.ExitStack() as stack:
            first = [stack.enter_context(Wire(cache.path)) for _ in range(3)]
            assert [one.ping(1) for one in first] == ["ok"] * 3
            for _ in range(2):
                with Wire(cache.path) as extra:
                    assert extra.is_closed()
            reply = first[0].ask(2, "stats", None)
            assert isinstance(reply, Reply)
            found = reply.fields[0]
            assert (found["connections"], found["refused_total"]) == (3, 2)
            assert found["connections_total"] == 3
            assert found["limit_connections"] == 3
            first[1].socket.close()
            wait_for("room for another", lambda: serves(cache.path))
        assert len([line for line in cache.log if "refused" in line]) == 1


def test_a_connection_without_a_request_is_closed_and_one_with_a_request_is_not(folder):
    with starting_cache(folder, command=patched(silent_seconds=2.0)) as cache:
        cache.wait_ready()
        with Wire(cache.path) as good, Wire(cache.path) as silent, Wire(cache.path) as begun:
            assert good.ping(1) == "ok"
            begun.socket.sendall(wire.encode(Request(1, "cancel", (4321,)))[:7])
            assert silent.is_closed()
            assert begun.is_closed()
            assert good.ping(2) == "ok"
        assert stats(cache.path)["kicked_total"] == 2


def test_without_room_the_longest_idle_connection_gives_way(folder):
    with starting_cache(folder, FAST, patched(connections=4, idle_seconds=0.0)) as cache:
        cache.wait_ready()
        with contextlib.ExitStack() as stack:
            lease, wait, old, young = (stack.enter_context(Wire(cache.path)) for _ in range(4))
            token = lease.lease(1)
            assert status(wait.login(1)) == "waiting"
            assert old.ping(1) == "ok"
            assert young.ping(1) == "ok"
            new = stack.enter_context(Wire(cache.path))
            assert new.ping(1) == "ok"
            assert old.is_closed()
            assert young.ping(2) == "ok"
            # Who has a lease or waits is not idle, however long ago it asked.
            assert status(lease.fulfil(2, token, KEY)) == "ok"
            assert status(wait.hear()) == "hit"
            reply = new.ask(2, "stats", None)
            assert isinstance(reply, Reply)
            assert (reply.fields[0]["connections"], reply.fields[0]["kicked_total"]) == (4, 1)
            assert reply.fields[0]["refused_total"] == 0
        cache.wait_logged("gave way")


def test_a_connection_whose_leases_ran_out_is_idle(folder):
    limits = patched(connections=2, idle_seconds=0.0, lease_lasts=0.1)
    with starting_cache(folder, FAST, limits) as cache, contextlib.ExitStack() as stack:
        cache.wait_ready()
        for key in (KEY, b"K" * 32):
            assert stack.enter_context(Wire(cache.path)).lease(1, key)
        wait_for("another one is served", lambda: serves(cache.path))


def test_no_number_of_idle_connections_shuts_anybody_out(folder):
    limits = patched(connections=8, idle_seconds=0.2)
    with starting_cache(folder, command=limits) as cache, contextlib.ExitStack() as stack:
        cache.wait_ready()
        for _ in range(8):
            assert stack.enter_context(Wire(cache.path)).ping(1) == "ok"
        wait_for("another one is served", lambda: serves(cache.path))


def serves(path: Path) -> bool:
    with Wire(path) as one, contextlib.suppress(OSError):
        return one.ask(1, "cancel", 4321) is not None
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
            assert good.ping(1) == "ok"
            for _ in range(45):
                stack.enter_context(Wire(cache.path))
            cache.wait_logged("cannot accept connections")
            before = processor_seconds(cache.pid)
            select.select([], [], [], 0.5)
            assert processor_seconds(cache.pid) - before < 0.2
            assert good.ping(2) == "ok"
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
        frame = wire.encode(Request(1, "cancel", (4321,))).hex()
        command = [sys.executable, "-c", code, str(cache.path), frame]
        assert subprocess.run(command, check=False, timeout=PATIENCE).returncode == 0
        cache.wait_logged("user 65534 was refused")
        found = stats(cache.path)
        assert found["refused_total"] == 1
        assert found["requests"]["cancel"]["total"] == 0  # type: ignore[index]


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
        assert status(one.login(3)) == "hit"
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


def test_help_lists_the_exit_codes_and_a_wrong_command_line_is_refused():
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
    assert len(codes) == 7
    for code in codes:
        assert re.search(rf"^ +{code} +\w", helped.stdout, re.MULTILINE), code
    wrong = run("--port", "1")
    assert wrong.returncode == daemon.EXIT_USAGE
    assert len(wrong.stderr.splitlines()) == 1


@pytest.mark.parametrize("loop", ["uvloop", "plain"])
def test_waiters_are_notified_when_a_signal_stops_the_daemon(folder, loop):
    command = patched(plain=True) if loop == "plain" else []
    with contextlib.ExitStack() as stack:
        cache = stack.enter_context(starting_cache(folder, command=command))
        cache.wait_ready()
        one, other = [stack.enter_context(Wire(cache.path)) for _ in range(2)]
        one.lease(1)
        assert status(other.login(5)) == "waiting"
        assert cache.stop() == 0
        assert other.hear() == Reply(5, "unavailable", ("shutdown", 1.0))
        assert other.is_closed()
        assert one.is_closed()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_under_load_it_stops_in_time(folder, number):
    with running_cache(folder, FAST) as cache:
        with Wire(cache.path) as one:
            one.store()
        frames = b"".join(wire.encode(asking(i)) for i in range(1, 50))
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


def test_a_client_that_does_not_read_cannot_delay_the_stop(folder):
    with running_cache(folder, FAST) as cache, Wire(cache.path) as one, Wire(cache.path) as slow:
        one.store(KEY, b"v" * VALUE_MAX_BYTES)
        slow.socket.sendall(wire.encode(asking(1)) * 50)
        wait_for("it is stuck", lambda: stats(cache.path)["hits_total"] == 50)
        cache.signal(signal.SIGTERM)
        assert cache.wait() == 0


def test_a_disk_that_hangs_does_not_hold_up_the_stop(folder):
    with starting_cache(folder, command=patched(disk_hangs=True)) as cache:
        cache.wait_ready()
        cache.signal(signal.SIGTERM)
        assert cache.wait() == 0
    assert any("the disk does not answer" in line for line in cache.log)
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
    with starting_cache(folder, command=patched(PATH_SECONDS=0.1)) as cache:
        cache.wait_ready()
        aside = folder / "aside"
        aside.write_text("not ours")
        aside.replace(cache.path)
        assert cache.wait() == daemon.EXIT_SUPPLANTED
    assert any("does not lead to this daemon" in line for line in cache.log)
    assert cache.path.exists()


def test_a_daemon_comes_back_with_everything_when_its_folder_was_removed(folder):
    with starting_cache(folder, command=patched(PATH_SECONDS=0.1)) as cache:
        cache.wait_ready()
        with Wire(cache.path) as one:
            one.store()
            for lost in (cache.database.parent, cache.path):
                if lost.is_dir():
                    shutil.rmtree(lost)
                else:
                    lost.unlink()
                wait_for("the socket is back", cache.path.exists)
                wait_for("the file is back", cache.database.exists)
                with Wire(cache.path) as two:
                    assert status(two.login(1)) == "hit"
            # Whoever was connected still is.
            assert status(one.login(2)) == "hit"
        assert cache.stop() == 0
    assert sum("had vanished: it is back" in line for line in cache.log) == 2


# What it keeps.


def test_sessions_outlive_a_restart(folder):
    with running_cache(folder) as cache:
        with Wire(cache.path) as one:
            one.store()
        assert cache.stop() == 0
    assert cache.database.stat().st_mode & 0o777 == 0o600
    with running_cache(folder) as cache, Wire(cache.path) as one:
        assert "1 session from the disk" in cache.log[0]
        reply = one.login(1)
        assert isinstance(reply, Reply)
        assert (reply.status, reply.fields[0]) == ("hit", VALUE)
        found = stats(cache.path)
        assert found["backing_rows"] > 0
        one.store(b"2" * 32)
        assert isinstance(stats(cache.path)["backing_age"], float)


def test_a_disk_that_cannot_be_written_does_not_stop_the_stop(folder):
    with running_cache(folder) as cache:
        cache.database.unlink()
        cache.database.mkdir()
        with Wire(cache.path) as one:
            one.store()
        wait_for("it is noticed", lambda: stats(cache.path)["backing_failing"] == 1)
        assert cache.stop() == 0


def test_without_a_file_that_may_have_locks_it_ends_in_one_line_and_has_them_later(folder):
    with running_cache(folder) as cache:
        with Wire(cache.path) as one:
            one.store()
        assert cache.stop() == 0
    cache.database.chmod(0o620)
    with starting_cache(folder) as cache:
        assert cache.wait() == daemon.EXIT_FILE_UNUSABLE
    assert len(cache.log) == 1
    assert "sessions.db can be written by others" in cache.log[0]
    cache.database.chmod(0o600)
    with running_cache(folder) as cache, Wire(cache.path) as one:
        assert status(one.login(1)) == "hit"


# What it hides.


def test_neither_log_nor_command_line_nor_environment_shows_what_passed_through(folder):
    marks = [b"KEYMARK-" * 4, b"ACCTMARK" * 4, b"VALUEMARKVALUEMARK", b"10.MARK.99"]
    key, account, value, source = marks
    with running_cache(folder, {**FAST, "OIG_LOG_LEVEL": "DEBUG"}) as cache:
        with Wire(cache.path) as one:
            asked = ("login", account, key, source.decode(), account)
            reply = one.ask(1, "ask", *asked)
            assert isinstance(reply, Reply)
            one.ask(2, "fulfil", "login", account, key, reply.fields[0], value, 1000, None, None)
            one.ask(3, "ask", *asked)
            one.ask(4, value.decode(), key)
            one.ask(5, "list", "sessions", 10)
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
