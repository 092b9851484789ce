"""Requests that offer to go on in another protocol: Java's HTTP client, browsers."""

import json
import socket

import pytest

from .fleet import call_body, running_fleet
from .http_worker import all_of, connected, one_answer, running_worker

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
WEBSOCKET = b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"


@pytest.fixture
def running(monkeypatch):
    with running_worker(monkeypatch) as one:
        yield one


def request(body, *, offer, path=b"/"):
    head = b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return head + offer + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize("offer", [H2C, WEBSOCKET])
@pytest.mark.parametrize("piece", [10_000, 100, 7, 1])
def test_an_upgrade_offer_is_ignored_in_any_pieces(running, offer, piece):
    with connected(running) as sock:
        for length in (3, 0, 500):
            sent = request(b"x" * length, offer=offer)
            for at in range(0, len(sent) - 1, piece):
                sock.sendall(sent[:-1][at : at + piece])
            assert one_answer(sock, sent[-1:]).endswith(b"\r\n\r\n%d" % length)
            assert one_answer(sock, request(b"ab", offer=b"")).endswith(b"\r\n\r\n2")


def test_a_chunked_body_after_an_upgrade_offer_is_read(running):
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\n" + H2C + b"Transfer-Encoding: chunked\r\n\r\n"
    with connected(running) as sock:
        assert one_answer(sock, head + b"3\r\nabc\r\n0\r\n\r\n").endswith(b"\r\n\r\n3")


def test_pipelined_requests_with_upgrade_offers_are_all_answered(running):
    last = request(b"abc", offer=H2C + b"Connection: close\r\n")
    with connected(running) as sock:
        sock.sendall(request(b"a", offer=H2C) + request(b"ab", offer=WEBSOCKET) + last)
        answers = all_of(sock)
    assert [answers.count(b"\r\n\r\n%d" % n) for n in (1, 2, 3)] == [1, 1, 1]
    assert answers.startswith(b"HTTP/1.1 200 ")


def test_a_connect_request_is_refused(running):
    with connected(running) as sock:
        sock.sendall(b"CONNECT other.test:443 HTTP/1.1\r\nHost: other.test\r\n\r\n")
        assert all_of(sock).startswith(b"HTTP/1.1 400 ")


def test_a_call_with_an_offer_is_answered_and_so_is_the_next():
    body = json.dumps(call_body()).encode()
    with running_fleet(1) as fleet, connected_to(fleet) as sock:
        for offer in (H2C, b"", WEBSOCKET):
            answer = one_answer(sock, request(body, offer=offer, path=b"/mcp"))
            assert b'"isError":false' in answer
        assert "upgrade" not in fleet.logs()


def connected_to(fleet):
    return socket.create_connection(fleet.listener.getsockname(), timeout=60)
