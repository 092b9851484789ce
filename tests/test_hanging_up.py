"""What a worker holds for callers that hang up, or stay, with requests that wait for a login."""

import asyncio
import contextlib
import json
import socket
import threading

import psutil
import pytest

from server.auth.login_waits import MAX_WAITING_OF_SOURCE
from server.cache.blocking import BlockingClient
from server.codes import Code
from server.http.signals import gone
from server.http.worker import OTHER_DESCRIPTORS
from server.tool_failure import KEY

from .fleet import call_body, check_auth, running_fleet
from .http_worker import all_of, app, connected, running_worker
from .waiting import wait_until

MIB = 1024 * 1024
MOST = MAX_WAITING_OF_SOURCE
SOON = 30.0
"""Seconds; a login waits for 40 if nobody withdraws it."""


@contextlib.contextmanager
def at_a_slow_portal():
    """One worker; what guesses take is no concern of this file."""
    with running_fleet(
        1, OIG_TRUSTED_PROXIES="127.0.0.1", OIG_WRONG_ACCOUNTS_PER_SOURCE="1000"
    ) as fleet:
        check_auth(fleet.url)
        fleet.portal.fault("slow", latency=0.6)
        yield fleet
        assert "ERROR" not in fleet.logs()
        assert "cut off" not in fleet.logs()


@pytest.fixture
def fleet():
    with at_a_slow_portal() as fleet:
        yield fleet


@pytest.fixture(scope="module")
def lasting_fleet():
    with at_a_slow_portal() as fleet:
        yield fleet


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
        return client.call("stats", None)[0]["waiting"]


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
def test_a_queued_login_is_withdrawn_when_its_caller_hangs_up(lasting_fleet, shape):
    fleet, place = lasting_fleet, list(SHAPES).index(shape)
    with contextlib.ExitStack() as callers:
        for number in range(60):
            # No account that was tried in another shape: its password is known to be wrong.
            body, headers = SHAPES[shape](f"{place}-{number}")
            sock = callers.enter_context(socket.create_connection(fleet.listener.getsockname()))
            sock.sendall(request(body, f"10.{number}.7.7", *headers))
        wait_until("most wait", lambda: waiting(fleet) >= 30)
    # Those that are with the portal by now go on.
    wait_until("none waits", lambda: waiting(fleet) == 0, SOON)


def long_batch(number):
    return [login(f"{number}-{k}", k, _meta={"x": "\U0001f600" + "a" * 2700}) for k in range(20)]


@pytest.mark.parametrize(("stays", "grows_by"), [(False, 40), (True, 160)])
def test_waiting_requests_use_little_memory(fleet, stays, grows_by):
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


def test_a_request_is_cancelled_when_its_caller_hangs_up_and_knows_why(monkeypatch):
    noting = Noting()
    held = b"GET /held HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with running_worker(monkeypatch, app=noting) as running:
        with connected(running) as sock:
            sock.sendall(held)
            assert noting.begun.wait(60)
            assert noting.ends == []
        wait_until("it is told", lambda: noting.ends == [True])
        wait_until("nothing is left", lambda: not running.server_state.tasks)


def test_a_request_without_a_connection_is_not_reported_as_hung_up():
    assert not gone({"type": "http"})


class Blockade:
    """Connections over each of which logins of invented accounts follow, each from a network."""

    def __init__(self, fleet, count, batch):
        self._address = fleet.listener.getsockname()
        self._over = threading.Event()
        self._batch = batch
        self._threads = [threading.Thread(target=self._attack, args=(n,)) for n in range(count)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _attack(self, number):
        turn = 0
        while not self._over.is_set():
            turn += 1
            calls = [login(f"{number}-{turn}-{k}", k) for k in range(self._batch)]
            body = request(calls, f"10.{number % 16}.{number // 16}.{1 + turn % 200}")
            with contextlib.suppress(OSError), socket.create_connection(self._address) as sock:
                sock.sendall(body)
                sock.settimeout(0.2)
                while not self._over.is_set():
                    with contextlib.suppress(TimeoutError):
                        sock.recv(65536)
                        break


def test_a_crowd_of_waiting_logins_shuts_no_owner_out():
    """Two workers with room for 20 each; before, an owner came in after a minute or not at all."""
    with running_fleet(
        2, OIG_TRUSTED_PROXIES="127.0.0.1", descriptors=OTHER_DESCRIPTORS + 20
    ) as fleet:
        fleet.portal.fault("slow", latency=0.6)
        check_auth(fleet.url)
        call = request(call_body(), "192.0.2.1", "Connection: close")
        with Blockade(fleet, 100, batch=20):
            wait_until("they wait", lambda: waiting(fleet) >= 15)
            for _ in range(3):
                with socket.create_connection(fleet.listener.getsockname(), timeout=40) as sock:
                    sock.sendall(call)
                    assert all_of(sock).startswith(b"HTTP/1.1 200 ")
        assert "ERROR" not in fleet.logs()


def test_a_source_that_sends_many_logins_has_most_refused_at_once(fleet):
    owners = request(call_body(), "198.51.100.7", "Connection: close")
    with contextlib.ExitStack() as callers:
        owner = callers.enter_context(socket.create_connection(fleet.listener.getsockname()))
        owner.sendall(owners)
        assert b"session_from_cache" in all_of(owner)
        socks = []
        for number in range(60):
            sock = callers.enter_context(socket.create_connection(fleet.listener.getsockname()))
            sock.sendall(request(login(number), "198.51.100.7", "Connection: close"))
            sock.settimeout(SOON)
            socks.append(sock)
        wait_until("they are refused", lambda: len(answered(socks)) >= 60 - MOST - 10, SOON)
        wait_until("no more than may wait do so", lambda: waiting(fleet) <= MOST, SOON)
        for body in answered(socks):
            failure = body["result"]["_meta"][KEY]
            if failure["code"] != Code.CREDENTIALS_REJECTED:
                assert failure["code"] == Code.SERVER_BUSY
                assert failure["retry_after_s"] > 0
        # An owner who is known at that very address is served: the session is there.
        owner = callers.enter_context(socket.create_connection(fleet.listener.getsockname()))
        owner.sendall(owners)
        assert b"session_from_cache" in all_of(owner)


def answered(socks):
    """Return the answers that have come, without waiting."""
    found = []
    for sock in socks:
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            data = sock.recv(1 << 20, socket.MSG_PEEK)
            _, end, body = data.partition(b"\r\n\r\n")
            if end and body.endswith(b"}"):
                found.append(json.loads(body))
    return found


def test_failed_calls_do_not_each_write_a_log_line(fleet):
    for number in range(20):
        result = check_auth(fleet.url, "demo2@example.com", f"wrong-{number}")
        assert result["isError"]
    assert "no session" not in fleet.logs()
