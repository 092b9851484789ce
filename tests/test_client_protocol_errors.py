"""Answers that break the rules of HTTP or lead elsewhere: named so, and asked for only once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from client.answers import Answer, judge
from client.api import Endpoint
from client.failures import Failure, NotMcp, Unreachable

MODES = ("stateless", "auto", "legacy")
SLOW = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}
TOOL = {
    "name": "read",
    "inputSchema": {"type": "object"},
    "annotations": {"readOnlyHint": True, "idempotentHint": True},
}
META = {"io.modelcontextprotocol/serverInfo": {"name": "s", "version": "1"}}
GREETING = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "s", "version": "1"},
}


class Asked(BaseHTTPRequestHandler):
    """Greets and lists in old and new ways; the server's `reply` answers calls."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        method = asked["method"]
        self.server.asked.append(method)
        if "id" not in asked:
            self.answer(b"", 202)
        elif method == "initialize":
            self.result(asked["id"], GREETING)
        elif method == "tools/list":
            tool = TOOL | self.server.extra
            self.result(asked["id"], {"resultType": "complete", "tools": [tool], "_meta": META})
        elif method == "tools/call":
            self.server.reply(self, asked["id"])
        else:
            self.answer(b"", 404)

    def do_GET(self) -> None:
        self.answer(b"", 405)

    def result(self, number: int, result: Any) -> None:
        self.answer(json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode())

    def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        own = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in (own | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, reply: Callable[[Asked, int], None], **extra: Any) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.reply, self.extra = reply, extra
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}/mcp"

    def handle_error(self, *_: Any) -> None:
        """Say nothing: the client closes connections in the middle."""


@contextmanager
def serving(reply: Callable[[Asked, int], None], **extra: Any) -> Iterator[Server]:
    with Server(reply, **extra) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def raw(text: bytes) -> Callable[[Asked, int], None]:
    def reply(handler: Asked, _number: int) -> None:
        handler.close_connection = True
        handler.wfile.write(text)

    return reply


def streamed(line: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + line


LONG = b"a" * 1_000_000
BROKEN = {
    "headers": raw(b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"y" * 200_000 + b"\r\n\r\n"),
    "status line": raw(b"MCP 200\r\n\r\n"),
    "header": raw(b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n"),
    "length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"),
    "chunk": raw(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
    ),
}


def failure_of(server: Server, mode: str) -> Failure:
    with pytest.raises(Failure) as caught:
        Endpoint(server.url, timeout=20, mode=mode).call("read", {})
    return caught.value


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", BROKEN)
def test_an_answer_that_breaks_http_is_the_servers_error_and_the_call_is_not_repeated(how, mode):
    with serving(BROKEN[how]) as server:
        failure = failure_of(server, mode)
    assert isinstance(failure, NotMcp), failure
    assert failure.kind == "bad_http"
    assert "The fault is the server's" in failure.message
    assert server.asked.count("tools/call") == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("event", [b"data: " + LONG * 18, (b"data: " + LONG + b"\n") * 18])
def test_an_event_that_is_too_long_is_the_servers_error_and_the_call_is_not_repeated(event, mode):
    with serving(raw(streamed(event))) as server:
        failure = failure_of(server, mode)
    assert isinstance(failure, NotMcp), failure
    assert failure.kind == "too_long"
    assert server.asked.count("tools/call") == 1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "cut",
    [
        b"",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n1\r\n{"
        ),
    ],
)
def test_a_connection_that_ends_too_early_is_lost_and_the_call_repeated(cut, mode):
    with serving(raw(cut)) as server:
        failure = failure_of(server, mode)
    assert isinstance(failure, Unreachable), failure
    assert failure.kind == "cut_off"
    assert server.asked.count("tools/call") == 2


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_its_address_is_named(status, mode):
    def elsewhere(handler: Asked, _number: int) -> None:
        handler.answer(b"", status, Location="/elsewhere?key=k1")

    with serving(elsewhere) as server:
        failure = failure_of(server, mode)
    assert failure.kind == "redirected"
    assert f"--url {server.url.replace('/mcp', '/elsewhere')}" in failure.message
    assert "k1" not in failure.message
    assert server.asked.count("tools/call") == 1


@pytest.mark.parametrize(
    ("location", "advice"),
    [
        ("/b", "--url https://box.example/b"),
        ("//other.example/mcp", "--url https://other.example/mcp"),
        ("http://box.example/mcp/", "repair that, or try: --url https://box.example/mcp/"),
        ("https://h/$(reboot)", "--url 'https://h/$(reboot)'"),
        ("ftp://h/", "cannot be used"),
        ("https://me:s3cret@h/", "cannot be used"),
        ("http://[", "cannot be used"),
    ],
)
def test_where_a_redirect_leads_is_named_if_it_can_be_used(location, advice):
    for method in ("server/discover", "tools/list"):
        verdict = judge(Answer("https://box.example/mcp", method, 307, "", b"", location=location))
        assert verdict is not None
        assert advice in verdict.message
        assert "s3cret" not in verdict.message


@pytest.mark.parametrize("mode", MODES)
def test_no_schema_of_a_stranger_keeps_the_client_busy(mode):
    def answer(handler: Asked, number: int) -> None:
        found = {"a": "a" * 60 + "!"}
        handler.result(
            number, {"resultType": "complete", "content": [], "structuredContent": found}
        )

    with serving(answer, outputSchema=SLOW) as server:
        asking = Endpoint(server.url, timeout=20, mode=mode)
        assert asking.call("read", {}).structured == {"a": "a" * 60 + "!"}
    for schema in ({"type": "object", "$schema": 7}, {"type": "object", "properties": []}):
        with serving(answer, outputSchema=schema) as server:
            failure = failure_of(server, mode)
        # The SDK takes no list with such a schema.
        assert failure.kind == ("bad_result" if mode == "stateless" else "garbage")
