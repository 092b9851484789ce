"""What a caller nobody knows can send, and how long they may take for it."""

import contextlib
import resource
import time

import pytest

from server.http import refusable_connection, worker
from server.http.connection import (
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_IN_LINE,
    MAX_MESSAGE_BYTES,
)
from server.http.room import MAX_CONNECTIONS
from server.http.worker import make_worker

from .http_worker import all_of, app, connected, one_answer, running_worker
from .waiting import wait_until

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def running(monkeypatch):
    with running_worker(monkeypatch) as one:
        yield one


def sends(sock, *parts):
    # The worker may close while we still send.
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        for part in parts:
            sock.sendall(part)
    return all_of(sock)


@pytest.mark.parametrize(
    "parts",
    [
        [HEAD, *[b"x-a: %b\r\n" % (b"a" * 1000)] * 100_000],
        [HEAD + b"x-a: ", *[b"a" * 100_000] * 500],
        [b"GET /", *[b"u" * 100_000] * 500],
        [HEAD + b"x-a: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n"],
        [HEAD + b"a:\r\n" * (MAX_HEADERS + 1)],
        [HEAD, *[b"a:\r\n"] * 10_000],
        [HEAD + b"a:\r\n" * 1000 + b"\r\n"],
    ],
)
def test_oversized_headers_get_431(running, parts):
    with connected(running) as sock:
        assert sends(sock, *parts).startswith(b"HTTP/1.1 431 ")


def test_headers_below_the_limit_are_served_in_any_pieces(running):
    head = HEAD + b"x-a: " + b"a" * (MAX_HEAD_BYTES - 200) + b"\r\ncontent-length: 3\r\n\r\nabc"
    with connected(running) as sock:
        # Twice on one connection: what came before does not count.
        for size in (len(head), 1000):
            for i in range(0, len(head) - 1, size):
                sock.sendall(head[:-1][i : i + size])
            assert one_answer(sock, head[-1:]).endswith(b"\r\n\r\n3")


def test_trailers_after_a_body_are_bounded_too(running):
    begin = HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-a: "
    with connected(running) as sock:
        parts = [b"a" * 100_000] * (4 * MAX_MESSAGE_BYTES // 100_000)
        assert sends(sock, begin, *parts).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("part", "status"),
    [
        (b"", b""),
        (b"POST / HTTP/1.1\r\nHo", b"HTTP/1.1 408 "),
        (HEAD + b"content-length: 9\r\n\r\nabc", b"HTTP/1.1 408 "),
    ],
)
def test_a_connection_with_half_a_request_or_none_is_closed_in_time(
    running, monkeypatch, caplog, part, status
):
    monkeypatch.setattr(refusable_connection, "PATIENCE", 1.0)
    with connected(running) as sock:
        sock.sendall(part)
        answer = all_of(sock)
    assert answer.startswith(status)
    assert bool(answer) == bool(status)
    wait_until("it is told", lambda: "closed connections: 1 " in caplog.text)


def test_a_trickling_connection_is_closed_in_time_and_an_idle_one_is_not(running, monkeypatch):
    monkeypatch.setattr(refusable_connection, "PATIENCE", 1.0)
    with connected(running) as slow, connected(running) as idle:
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert one_answer(idle, request).endswith(b"0")
        slow.settimeout(0.05)
        slow.sendall(HEAD)
        deadline = time.monotonic() + 60
        answer = b""
        while not answer and time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                slow.sendall(b"x: y\r\n")
                answer = slow.recv(65536)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert one_answer(idle, request).endswith(b"0")


def test_a_client_that_does_not_read_its_answers_is_closed_in_time(running, monkeypatch):
    monkeypatch.setattr(refusable_connection, "PATIENCE", 0.5)
    with connected(running) as sock:
        sock.settimeout(0.2)
        with contextlib.suppress(TimeoutError, ConnectionResetError, BrokenPipeError):
            while True:
                sock.sendall(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10)
        wait_until("it is closed", lambda: not running.server_state.connections)


def test_connections_leave_descriptors_for_everything_else(monkeypatch):
    limits = {"soft": 1024}
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limits["soft"], 10_000))
    assert make_worker(app, None).server_state.most == 1024 - worker.OTHER_DESCRIPTORS
    assert "leaves 896 connections" in worker.few_descriptors()
    limits["soft"] = worker.OTHER_DESCRIPTORS
    assert make_worker(app, None).server_state.most == worker.FEWEST_CONNECTIONS
    limits["soft"] = 100_000
    assert make_worker(app, None).server_state.most == MAX_CONNECTIONS
    assert worker.few_descriptors() is None


POST = b"POST / HTTP/1.1\r\nHost: localhost\r\ncontent-length: 3\r\n\r\nabc"


@pytest.mark.parametrize(
    "data",
    [
        GET * (MAX_IN_LINE + 2),
        # 200 KiB in one piece, of which each request takes some KiB.
        GET * 6000,
        GET * (MAX_IN_LINE + 1) + POST * 3,
        GET * (MAX_IN_LINE + 1) + POST[:-2],
        GET * (MAX_IN_LINE + 2) + b"no HTTP at all",
    ],
)
def test_a_request_beyond_the_pipeline_limit_is_refused_in_order(running, caplog, data):
    with connected(running) as sock:
        received = sends(sock, data)
    # One is being answered while the others come.
    answers = received.split(b"HTTP/1.1 ")[1:]
    assert [answer[:4] for answer in answers] == [b"200 "] * (MAX_IN_LINE + 1) + [b"429 "]
    assert [answer.count(b"connection: close") for answer in answers[-2:]] == [0, 1]
    assert b"retry-after: 5" in answers[-1]
    assert b"This and all later ones were not handled." in answers[-1]
    wait_until("it is told", lambda: "1 with too many requests in line" in caplog.text)


def test_pipelined_requests_within_the_limit_are_answered_on_an_open_connection(running):
    with connected(running) as sock:
        for _ in range(3):
            sock.sendall(GET * (MAX_IN_LINE + 1))
            received = b""
            while received.count(b"\r\n\r\n0") < MAX_IN_LINE + 1:
                more = sock.recv(65536)
                assert more, received
                received += more
            assert received.count(b"HTTP/1.1 200 ") == MAX_IN_LINE + 1
