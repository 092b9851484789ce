"""Head and body of an answer reach the caller in one piece."""

import asyncio
import contextlib
import socket
import struct
import sys

import pytest

from .http_worker import all_of, app, connected, reset, running_worker
from .waiting import wait_until

DATA_SEGMENTS_IN = 152
"""Where in Linux's `struct tcp_info` the number of segments with data stands that have come."""

REQUEST = b"%b %b HTTP/1.1\r\nHost: localhost\r\ncontent-length: %d\r\n\r\n%b"
END = b"\r\n\r\n"


async def answering(scope, receive, send):
    """As `app`; /halves answers in two parts, /fails not to the end, /empty without a body.

    /late sends its body when the caller has gone.
    """
    begun = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]}
    match scope.get("path"):
        case "/halves":
            await send(begun)
            await send({"type": "http.response.body", "body": b"ab", "more_body": True})
            await send({"type": "http.response.body", "body": b"cd"})
        case "/fails":
            await send(begun)
            raise OSError
        case "/late":
            await send(begun)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            await send({"type": "http.response.body", "body": b"late"})
            scope["state"]["sent"].append(True)
        case "/empty":
            await send({**begun, "status": 204, "headers": []})
            await send({"type": "http.response.body"})
        case _:
            await app(scope, receive, send)


@pytest.fixture
def running(monkeypatch):
    with running_worker(monkeypatch, app=answering) as one:
        yield one


def request(path=b"/", method=b"POST", body=b"abc"):
    return REQUEST % (method, path, len(body), body)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count segments elsewhere")
def test_an_answer_comes_in_one_segment(running):
    with connected(running) as sock:
        for _ in range(10):
            sock.sendall(request())
            received = b""
            while not received.endswith(END + b"3"):
                received += sock.recv(65536)
        seen = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        assert struct.unpack_from("I", seen, DATA_SEGMENTS_IN) == (10,)


def test_answers_to_requests_in_line_come_whole_and_in_order(running):
    with connected(running) as sock:
        sock.sendall(b"".join(request(body=b"a" * length) for length in range(8)))
        received = b""
        while received.count(b"HTTP/1.1 200 ") < 8 or not received.endswith(END + b"7"):
            received += sock.recv(65536)
        assert [one.rpartition(END)[2] for one in received.split(b"HTTP/1.1 ")[1:]] == [
            b"%d" % length for length in range(8)
        ]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        (b"HEAD", b"/", b""),
        (b"HEAD", b"/halves", b""),
        (b"POST", b"/halves", b"abcd"),
        (b"POST", b"/empty", b""),
    ],
)
def test_a_head_waits_for_no_body_that_does_not_come(running, method, path, body):
    with connected(running) as sock:
        for _ in range(2):
            sock.sendall(request(path, method, b""))
            received = b""
            while not (received.count(END) and received.endswith(END + body)):
                received += sock.recv(65536)
            assert received.startswith(b"HTTP/1.1 20")


def test_a_head_is_sent_although_its_body_never_comes(running, caplog):
    with connected(running) as sock:
        sock.sendall(request(b"/fails"))
        assert all_of(sock).startswith(b"HTTP/1.1 200 ")
    assert "Exception in ASGI application" in caplog.text


@pytest.mark.parametrize("leave", [reset, lambda sock: sock.close()], ids=["reset", "closed"])
def test_a_head_whose_caller_has_gone_is_dropped(running, caplog, leave):
    sent = running.lifespan.state["sent"] = []
    sock = connected(running)
    sock.sendall(request(b"/late"))
    wait_until("it has begun", lambda: [c for c in running.server_state.connections if c.cycle])
    leave(sock)
    wait_until("the body was sent", lambda: sent)
    wait_until("it is over", lambda: not running.server_state.tasks)
    assert not [one for one in caplog.records if one.levelname != "INFO"]


def test_a_caller_that_waits_to_be_asked_is_asked_before_the_answer(running):
    with connected(running) as sock:
        sock.sendall(
            b"POST / HTTP/1.1\r\nHost: a\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n"
        )
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"x")
        assert sock.recv(65536).endswith(END + b"1")
