"""Answers that nobody takes: how many bytes of them a worker holds, and who still gets theirs."""

import contextlib
import json
import select
import socket

import psutil
import pytest

from server.http import refusable_connection
from server.http.events import HEADERS as EVENTS
from server.http.shares import MAX_BUFFERED, MAX_BUFFERED_OF_SOURCE, MIB, UNCOUNTED
from server.http.signals import gone

from .fleet import check_auth, running_fleet
from .http_worker import all_of, connected, one_answer, running_worker
from .waiting import wait_until

pytestmark = pytest.mark.load

HEAD = b" HTTP/1.1\r\nHost: localhost\r\n"
SMALL = 4096
"""Bytes of a caller's buffer, so that its system takes little of an answer for it."""


class Answers:
    """An app that answers with as many bytes as the path says, and counts how often it began.

    /stream/N answers with an event, /parts/N in parts of 64 KiB. At /gone/0 `end` ends the
    connection, which the app can see before the request is told, and there is no answer.
    """

    def __init__(self):
        self.begun = 0
        self.end = None

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            for word in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{word}.complete"})
            return
        self.begun += 1
        *_, kind, size = scope["path"].split("/")
        if kind == "gone":
            assert not gone(scope)
            self.end()
            assert gone(scope)
            return
        # As Forwarded does.
        for name, value in scope["headers"]:
            if name == b"x-from":
                scope["client"] = value.decode(), 0
        left = int(size)
        headers = [(b"content-length", str(left).encode())]
        headers += EVENTS if kind == "stream" else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        part = 65536 if kind == "parts" else left
        while left > part:
            left -= part
            await send({"type": "http.response.body", "body": b"x" * part, "more_body": True})
        await send({"type": "http.response.body", "body": b"x" * left})


@pytest.fixture
def answers():
    return Answers()


@pytest.fixture
def running(monkeypatch, caplog, answers):
    caplog.set_level("INFO")
    source = {"192.0.2.1": "192.0.2.1", "192.0.2.2": "192.0.2.2"}.get
    with running_worker(monkeypatch, source=source, app=answers) as one:
        yield one
    assert one.server_state.unread.total == 0
    told = [one.getMessage() for one in caplog.get_records("call") if one.levelname == "ERROR"]
    # What uvicorn says of a stop is no concern of this file.
    assert not [line for line in told if not line.startswith("Cancel ")]


@pytest.fixture
def callers():
    with contextlib.ExitStack() as stack:
        yield stack


def asked(callers, address, path, *headers, method=b"GET", times=1):
    """Ask, and take nothing of the answer."""
    sock = callers.enter_context(socket.socket())
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    sock.settimeout(60)
    sock.connect(address)
    lines = b"".join(b"%b\r\n" % header for header in headers)
    sock.sendall((method + b" " + path + HEAD + lines + b"\r\n") * times)
    return sock


def crowd(callers, running, answers, count, path, *headers, **more):
    """Ask over so many connections, each when the answer to the last is made."""
    socks = []
    for _ in range(count):
        before = answers.begun
        socks.append(asked(callers, running.address, path, *headers, **more))
        wait_until("it is begun", lambda before=before: answers.begun > before)
    return socks


def is_cut_off(sock):
    """Read to the end; say whether the connection ended before its answer did."""
    head, _, body = all_of(sock).partition(b"\r\n\r\n")
    return len(body) < int(head.lower().partition(b"content-length: ")[2].split()[0])


CLOSE = b"Connection: close"


@pytest.mark.parametrize("kind", [b"GET /body/", b"GET /stream/", b"GET /parts/", b"POST /body/"])
def test_the_sum_of_unread_answers_is_bounded(running, answers, callers, kind):
    method, path = kind.split()
    state = running.server_state
    path += b"%d" % (MIB if b"parts" not in path else 4 * MIB)
    headers = [CLOSE, *([b"Content-Length: 0"] if method == b"POST" else [])]
    count = 2 * MAX_BUFFERED // MIB if b"parts" not in path else 40
    socks = crowd(callers, running, answers, count, path, *headers, method=method)
    if b"parts" in path:
        # One part at a time is made of each, so they are far from the bound.
        assert state.unread.total <= count * 3 * 65536
        return
    wait_until("some are closed", lambda: len(state.connections) <= MAX_BUFFERED // MIB)
    assert state.unread.total <= MAX_BUFFERED
    cut = [is_cut_off(sock) for sock in socks]
    # Those who have held theirs for longest, of equal ones.
    assert cut == [True] * (count - MAX_BUFFERED // MIB) + [False] * (MAX_BUFFERED // MIB)


def test_the_unread_answers_of_one_source_are_bounded_on_any_path(running, answers, callers):
    mine = crowd(callers, running, answers, 6, b"/body/%d" % MIB, b"X-From: 192.0.2.1", CLOSE)
    other = crowd(callers, running, answers, 2, b"/body/%d" % MIB, b"X-From: 192.0.2.2", CLOSE)
    exempt = crowd(callers, running, answers, 6, b"/body/%d" % MIB, CLOSE)
    most = MAX_BUFFERED_OF_SOURCE // MIB
    assert [is_cut_off(sock) for sock in mine] == [True] * (6 - most) + [False] * most
    assert not any(is_cut_off(sock) for sock in other + exempt)


def test_a_slow_reader_gets_its_answer_while_a_crowd_reads_none(running, answers, callers):
    slow = asked(callers, running.address, b"/body/100000", CLOSE)
    wait_until("it is begun", lambda: answers.begun == 1)
    received = slow.recv(1)
    for _ in range(4):
        crowd(callers, running, answers, MAX_BUFFERED // MIB // 2, b"/body/%d" % MIB)
        received += slow.recv(1)
    assert not received.startswith(b"x")
    received += all_of(slow)
    assert received.partition(b"\r\n\r\n")[2] == b"x" * 100_000


def test_small_answers_and_answers_already_read_do_not_count(running, answers, callers):
    state = running.server_state
    crowd(callers, running, answers, 50, b"/body/%d" % (UNCOUNTED - 500))
    assert state.unread.total == 0
    sock = asked(callers, running.address, b"/body/%d" % MIB)
    wait_until("it counts", lambda: state.unread.total == MIB)
    received = b""
    while len(received) < MIB:
        received += sock.recv(1 << 20)
    wait_until("it counts no longer", lambda: state.unread.total == 0)
    assert one_answer(sock, b"GET /body/1" + HEAD + b"\r\n").endswith(b"x")


def test_no_request_begins_before_the_answer_to_the_previous_one_is_read(running, answers, callers):
    sock = asked(callers, running.address, b"/body/%d" % MIB, times=5)
    with connected(running) as other:
        for _ in range(20):
            assert one_answer(other, b"GET /body/1" + HEAD + b"\r\n").endswith(b"x")
    assert answers.begun == 21
    received = 0
    while received < 5 * MIB:
        received += len(sock.recv(1 << 20))
    assert answers.begun == 25


@pytest.mark.parametrize("ends", [lambda sock: sock.close(), lambda sock: sock.shutdown(2)])
def test_a_request_behind_an_unread_answer_never_begins(
    running, answers, callers, ends, monkeypatch
):
    monkeypatch.setattr(refusable_connection, "PATIENCE", 0.5)
    sock = asked(callers, running.address, b"/body/%d" % MIB, times=5)
    wait_until("it counts", lambda: running.server_state.unread.total == MIB)
    ends(sock)
    wait_until("it is gone", lambda: not running.server_state.connections)
    assert answers.begun == 1


@pytest.mark.parametrize("times", [1, 5])
def test_a_stop_ends_connections_that_read_nothing(running, answers, callers, times):
    running.config.timeout_graceful_shutdown = 1
    asked(callers, running.address, b"/body/%d" % MIB, times=times)
    wait_until("it counts", lambda: running.server_state.unread.total == MIB)
    running.should_exit = True
    running.thread.join(60)
    assert not running.thread.is_alive()
    assert answers.begun == 1


@pytest.mark.parametrize("how", ["abort", "close"])
def test_an_application_that_notices_a_hang_up_first_logs_no_error(running, answers, callers, how):
    def end():
        for one in running.server_state.connections:
            getattr(one.transport, how)()

    answers.end = end
    for times in (1, 3):
        sock = asked(callers, running.address, b"/gone/0", times=times)
        assert all_of(sock) == b""
    assert answers.begun == 2


LISTS = json.dumps(
    [{"jsonrpc": "2.0", "id": number, "method": "tools/list"} for number in range(20)]
).encode()


@pytest.mark.parametrize(
    ("source", "accept"),
    [
        (None, "application/json"),
        ("198.51.100.7", "text/event-stream"),
        ("198.51.{}.7", "application/json"),
        ("198.51.{}.7", "text/event-stream"),
    ],
    ids=["this machine", "one, events", "many", "many, events"],
)
def test_batches_with_unread_answers_use_little_memory(callers, source, accept):
    """They took half a MiB each, in the worker or in its system."""
    with running_fleet(1, OIG_TRUSTED_PROXIES="127.0.0.1") as fleet:
        check_auth(fleet.url)
        process = psutil.Process(fleet.workers["worker-0"].pid)
        before = process.memory_info().rss
        address = fleet.listener.getsockname()
        socks = []
        for number in range(300):
            lines = [
                b"Content-Type: application/json",
                b"Accept: %b" % accept.encode(),
                b"Content-Length: %d" % len(LISTS),
            ]
            if source:
                lines.append(b"X-Forwarded-For: %b" % source.format(number % 250).encode())
            socks.append(asked(callers, address, b"/mcp", *lines, method=b"POST"))
            socks[-1].sendall(LISTS)
        assert not check_auth(fleet.url).get("isError")
        for sock in socks:
            # Its answer has begun to come, or will not.
            assert select.select([sock], [], [], 30)[0]
        assert process.memory_info().rss - before < 80 * MIB
        callers.close()
        assert "ERROR" not in fleet.logs()
