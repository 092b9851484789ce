"""What a worker holds for callers that hang up, or stay, with requests that wait for a login."""

import asyncio
import contextlib
import json
import socket
import threading

import psutil
import pytest

from server.cache.blocking import BlockingClient
from server.departure import gone

from .fleet import call_body, check_auth, running_fleet
from .http_worker import app, connected, running_worker
from .waiting import wait_until

MIB = 1024 * 1024
SOON = 10.0
"""Seconds; a login waits for 40 if nobody withdraws it."""


@pytest.fixture
def fleet():
    """One worker at a slow portal."""
    with running_fleet(1, OIG_TRUSTED_PROXIES="127.0.0.1") as fleet:
        check_auth(fleet.url)
        fleet.portal.fault("slow", latency=0.6)
        yield fleet
        assert "ERROR" not in fleet.logs()
        assert "cut off" not in fleet.logs()


def request(body, source, *headers):
    data = json.dumps(body, ensure_ascii=False).encode()
    lines = [
        "POST /mcp HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        f"Content-Length: {len(data)}",
        f"X-Forwarded-For: {source}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + data


def login(number, at=1, **params):
    return {**call_body(f"nobody-{number}@example.org", "Summer2026", **params), "id": at}


def waiting(fleet):
    with BlockingClient(fleet.socket_path) as client:
        return client.call("stats")[0]["waiting"]


def modern(body):
    """Return a call as in revision 2026-07-28, and its headers."""
    body["params"]["_meta"] = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = ["MCP-Protocol-Version: 2026-07-28", "Mcp-Method: tools/call", "Mcp-Name: check_auth"]
    return body, headers


SHAPES = {
    "no revision": lambda number: (login(number), []),
    "2025-06-18": lambda number: (login(number), ["MCP-Protocol-Version: 2025-06-18"]),
    "2026-07-28": lambda number: modern(login(number)),
    "a batch": lambda number: ([login(f"{number}-{k}", k) for k in range(20)], []),
    "events": lambda number: (login(number), ["Accept: text/event-stream"]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_login_that_waits_is_withdrawn_when_its_caller_goes(fleet, shape):
    with contextlib.ExitStack() as callers:
        for number in range(60):
            body, headers = SHAPES[shape](number)
            sock = callers.enter_context(socket.create_connection(fleet.listener.getsockname()))
            sock.sendall(request(body, f"10.{number}.7.7", *headers))
        wait_until("most wait", lambda: waiting(fleet) >= 30)
    # Those that are with the portal by now go on.
    wait_until("none waits", lambda: waiting(fleet) == 0, SOON)


def long_batch(number):
    return [login(f"{number}-{k}", k, _meta={"x": "\U0001f600" + "a" * 2700}) for k in range(20)]


@pytest.mark.parametrize(("stays", "grows_by"), [(False, 40), (True, 160)])
def test_long_requests_that_wait_take_little_memory(fleet, stays, grows_by):
    """A thousand of them took 370 MiB, whether their callers stayed or not."""
    worker = psutil.Process(fleet.workers["worker-0"].pid)
    before = worker.memory_info().rss
    with contextlib.ExitStack() as callers:
        for number in range(1000):
            sock = callers.enter_context(socket.create_connection(fleet.listener.getsockname()))
            sock.sendall(request(long_batch(number), f"198.51.{number % 2}.{1 + number // 2 % 5}"))
            if not stays:
                sock.close()
        check_auth(fleet.url)
        assert worker.memory_info().rss - before < grows_by * MIB


class Noting:
    """The usual app; it notes what becomes of requests for /held, which it answers never."""

    def __init__(self):
        self.ends = []
        self.begun = threading.Event()

    async def __call__(self, scope, receive, send):
        if scope.get("path") != "/held":
            await app(scope, receive, send)
            return
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.ends.append(gone(scope))
            raise


def test_a_request_is_cancelled_when_its_caller_goes_and_can_tell_so(monkeypatch):
    noting = Noting()
    held = b"GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with running_worker(monkeypatch, app=noting) as running:
        with connected(running) as sock:
            sock.sendall(held)
            assert noting.begun.wait(20)
            assert noting.ends == []
        wait_until("it is told", lambda: noting.ends == [True])
        wait_until("nothing is left", lambda: not running.server_state.tasks)


def test_a_request_over_no_connection_has_a_caller():
    assert not gone({"type": "http"})
