"""Answers that are given before their request was read, to callers that still send."""

import contextlib
import http.client
import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from server.http import lingering, refusable_connection
from server.http.connection import MAX_HEAD_BYTES, MAX_MESSAGE_BYTES
from server.http.request import MAX_BODY_BYTES

from .fleet import call_body, running_fleet
from .http_worker import all_of, connected, one_answer, running_worker
from .waiting import PATIENCE, wait_until

MIB = 1024 * 1024
TIMES = 10
HOST = b" HTTP/1.1\r\nHost: localhost\r\n"
NODE = Path(sys.executable).parent / "node"

FETCH = """
const [url, size, form, times] = process.argv.slice(1);
for (let i = 0; i < Number(times); i++) {
  const bytes = new Uint8Array(Number(size)).fill(120);
  const options = {method: "POST", headers: {"content-type": "application/json"}, body: bytes};
  if (form == "chunked") {
    options.duplex = "half";
    options.body = new ReadableStream({start(to) {
      for (let at = 0; at < bytes.length; at += 65536) to.enqueue(bytes.slice(at, at + 65536));
      to.close();
    }});
  }
  try {
    const answer = await fetch(url, options);
    const text = await answer.text();
    console.log(answer.status, text.includes("longer than 1048576 bytes. Send a smaller one."));
  } catch (error) {
    console.log(String(error.cause?.code ?? error));
  }
}
"""


@pytest.fixture(scope="module")
def fleet():
    with running_fleet(1, OIG_ALLOWED_ORIGINS="https://app.test") as fleet:
        yield fleet


@pytest.fixture
def running(monkeypatch):
    with running_worker(monkeypatch) as one:
        yield one


def address(fleet):
    return "127.0.0.1", fleet.listener.getsockname()[1]


def sent_whole(fleet, size, *, chunked=False, method="POST", path="/mcp", **headers):
    """Send a request as http.client does: the answer is looked for when everything was sent."""
    given = {"Content-Type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    body = b"x" * size
    caller = http.client.HTTPConnection(*address(fleet), timeout=60)
    with contextlib.closing(caller):
        if chunked:
            parts = (body[at : at + 65536] for at in range(0, size, 65536))
            caller.request(method, path, parts, given, encode_chunked=True)
        else:
            caller.request(method, path, body, given)
        answer = caller.getresponse()
        return answer.status, answer.headers, answer.read()


@pytest.mark.parametrize("keeping", ["keep-alive", "close"])
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
@pytest.mark.parametrize("size", [2 * MIB, 10 * MIB, 30 * MIB], ids=lambda size: f"{size // MIB}M")
def test_http_client_reads_that_its_body_is_too_long_ten_of_ten(fleet, size, chunked, keeping):
    for _ in range(TIMES):
        status, headers, body = sent_whole(fleet, size, chunked=chunked, Connection=keeping)
        assert status == 413
        assert headers["connection"] == "close"
        assert str(MAX_BODY_BYTES) in json.loads(body)["error"]


@pytest.mark.parametrize("form", ["announced", "chunked"])
@pytest.mark.parametrize("size", [3 * MIB, 10 * MIB], ids=lambda size: f"{size // MIB}M")
def test_node_reads_that_its_body_is_too_long_ten_of_ten(fleet, size, form):
    command = [str(NODE), "--input-type=module", "-e", FETCH, "--"]
    seen = subprocess.run(
        [*command, fleet.url, str(size), form, str(TIMES)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert seen.stdout.split("\n") == ["413 true"] * TIMES + [""], seen.stderr


def test_a_body_of_the_greatest_length_is_read(fleet):
    whole = json.dumps(call_body()).encode()
    body = whole + b" " * (MAX_BODY_BYTES - len(whole))
    caller = http.client.HTTPConnection(*address(fleet), timeout=60)
    with contextlib.closing(caller):
        for _ in range(2):
            caller.request("POST", "/mcp", body, {"Content-Type": "application/json"})
            answer = caller.getresponse()
            assert (answer.status, answer.headers["connection"]) == (200, None)
            answer.read()


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
@pytest.mark.parametrize(
    ("status", "how"),
    [
        (403, {"Origin": "https://evil.test"}),
        (404, {"path": "/mcp/x"}),
        (405, {"method": "PUT"}),
        (405, {"path": "/healthz"}),
        (406, {"Accept": "text/html"}),
        (415, {"Content_Type": "text/plain"}),
        (415, {"Content_Encoding": "gzip"}),
        (421, {"Host": "evil.test"}),
    ],
)
def test_every_refusal_of_an_unread_body_can_be_read(fleet, status, how, chunked):
    for _ in range(3):
        seen, headers, body = sent_whole(fleet, 10 * MIB, chunked=chunked, **how)
        assert seen == status
        assert headers["connection"] == "close"
        assert json.loads(body)["error"]


def test_a_refusal_of_a_complete_body_keeps_the_connection_open(fleet):
    with socket.create_connection(address(fleet), timeout=60) as sock:
        head = b"POST /mcp" + HOST + b"content-type: text/plain\r\ncontent-length: 3\r\n\r\nabc"
        for _ in range(3):
            answer = one_answer(sock, head)
            assert answer.startswith(b"HTTP/1.1 415 ")
            assert b"connection: close" not in answer


def expecting(length, content_type=b"application/json"):
    return (
        b"POST /mcp" + HOST + b"Content-Type: %b\r\nContent-Length: %d\r\n"
        b"Expect: 100-continue\r\n\r\n" % (content_type, length)
    )


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (expecting(MAX_BODY_BYTES + 1), b"413"),
        (expecting(10, b"text/plain"), b"415"),
    ],
)
def test_a_refusal_replaces_100_continue_and_ends_the_connection(fleet, request_head, status):
    with socket.create_connection(address(fleet), timeout=60) as sock:
        sock.sendall(request_head)
        answer = all_of(sock)
    assert answer.startswith(b"HTTP/1.1 %b " % status)
    assert b"100 Continue" not in answer
    assert b"connection: close" in answer


def test_a_body_that_will_be_read_is_requested_with_100_continue(fleet):
    body = json.dumps(call_body()).encode()
    with socket.create_connection(address(fleet), timeout=60) as sock:
        for _ in range(2):
            sock.sendall(expecting(len(body)))
            assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            assert one_answer(sock, body).startswith(b"HTTP/1.1 200 ")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_refused_curl_does_not_wait_for_100_continue(fleet, tmp_path):
    (tmp_path / "body").write_bytes(b"x" * (3 * MIB))
    command = ["curl", "-s", "--noproxy", "*", "-w", "%{http_code} %{size_upload}", "-o", "answer"]
    command += ["-H", "Expect: 100-continue", "-H", "Content-Type: application/json"]
    command += ["--expect100-timeout", "600", "--data-binary", "@body", fleet.url]
    seen = subprocess.run(command, capture_output=True, timeout=60, check=True, cwd=tmp_path)
    assert seen.stdout == b"413 0"
    assert "1048576" in (tmp_path / "answer").read_text()


def test_a_caller_that_never_stops_sending_is_cut_off_after_a_limit(running, monkeypatch):
    monkeypatch.setattr(lingering, "LINGER_BYTES", 4 * MIB)
    sent = 0
    with connected(running) as sock:
        sock.sendall(b"POST /early" + HOST + b"content-length: 1000000000\r\n\r\n")
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while sent < 1000 * MIB:
                sent += sock.send(b"x" * 65536)
    # What the two systems hold on the way comes on top.
    assert 4 * MIB < sent < 100 * MIB
    wait_until("it is closed", lambda: not running.server_state.connections)


def test_a_caller_that_trickles_is_cut_off_after_some_time(running, monkeypatch):
    monkeypatch.setattr(lingering, "LINGER_SECONDS", 0.5)
    with connected(running) as sock:
        answer = one_answer(sock, b"POST /early" + HOST + b"content-length: 1000\r\n\r\n")
        assert b"connection: close" in answer
        began = time.monotonic()
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            while time.monotonic() < began + PATIENCE:
                sock.sendall(b"x")
                time.sleep(0.02)  # trickling is what this is about
    assert 0.4 < time.monotonic() - began < PATIENCE


def test_a_caller_that_closes_after_its_refusal_is_forgotten_at_once(running, monkeypatch):
    monkeypatch.setattr(lingering, "LINGER_SECONDS", 10 * PATIENCE)
    with connected(running) as sock:
        one_answer(sock, b"POST /early" + HOST + b"content-length: 1000\r\n\r\n")
    wait_until("it is closed", lambda: not running.server_state.connections)


def test_headers_still_arriving_do_not_hide_the_431(running):
    for _ in range(TIMES):
        with connected(running) as sock:
            sock.sendall(b"GET /" + HOST + b"x-a: " + b"a" * (5 * MIB))
            assert all_of(sock).startswith(b"HTTP/1.1 431 ")


def test_a_body_still_arriving_does_not_hide_the_408(running, monkeypatch):
    monkeypatch.setattr(refusable_connection, "PATIENCE", 1.0)
    with connected(running) as sock:
        sock.sendall(b"POST /" + HOST + b"content-length: 1000000\r\n\r\n")
        assert sock.recv(9, socket.MSG_PEEK)
        sock.sendall(b"x" * 1000000)
        assert all_of(sock).startswith(b"HTTP/1.1 408 ")


def test_anything_but_http_gets_an_explanation_however_long_it_is(running):
    for _ in range(TIMES):
        with connected(running) as sock:
            sock.sendall(b"\x16\x03\x01 hello\r\n" + b"x" * (5 * MIB))
            assert all_of(sock).startswith(b"HTTP/1.1 400 ")


@pytest.fixture
def bounded(monkeypatch):
    """A worker that takes one connection of a source."""
    with running_worker(monkeypatch, source=str) as one:
        one.server_state.of_source.most = 1
        yield one


def test_excess_connections_get_an_explanation_whatever_they_send(bounded):
    with connected(bounded) as first:
        assert one_answer(first, b"GET /" + HOST + b"\r\n")
        for _ in range(TIMES):
            with connected(bounded) as second:
                sent = b"POST /" + HOST + b"content-length: 100000\r\n\r\n" + b"x" * 100000
                sock_answer = sends(second, sent)
            assert sock_answer.startswith(b"HTTP/1.1 429 ")


def sends(sock, data):
    sock.sendall(data)
    return all_of(sock)


def test_far_too_many_connections_are_closed_at_once(bounded, monkeypatch):
    monkeypatch.setattr(refusable_connection, "REFUSED_AT_ONCE", 0)
    monkeypatch.setattr(lingering, "LINGER_SECONDS", 10 * PATIENCE)
    with connected(bounded) as first:
        assert one_answer(first, b"GET /" + HOST + b"\r\n")
        with connected(bounded) as second:
            assert all_of(second).startswith(b"HTTP/1.1 429 ")
            wait_until("it is closed", lambda: len(bounded.server_state.connections) == 1)


def test_requests_in_one_segment_are_not_added_up(running):
    get = b"GET /" + HOST + b"x-a: " + b"a" * 20_000 + b"\r\n\r\n"
    count = MAX_MESSAGE_BYTES // len(get) + 10
    with connected(running) as sock:
        sock.settimeout(60)
        received = b""
        for _ in range(count // 5):
            sock.sendall(get * 5)
            while received.count(b"\r\n\r\n0") % 5 or not received.endswith(b"\r\n\r\n0"):
                received += sock.recv(65536)
            sock.sendall(get[:-1])
            sock.sendall(get[-1:])
            received += sock.recv(65536)
            received = b""
    assert count * len(get) > MAX_MESSAGE_BYTES > MAX_HEAD_BYTES


GARBAGE = [b"x", b"\x00\xff\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n", b"GET\r\n\r\n"]


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("before", [1, 2])
def test_a_whole_request_gets_its_own_answer_whatever_follows_it(running, garbage, before):
    request = b"POST /" + HOST + b"Content-Length: 3\r\n\r\nabc"
    with connected(running) as sock:
        sock.sendall(request * before + garbage)
        said = all_of(sock)
    assert said.count(b"HTTP/1.1 200 OK") == before
    assert b"400 Bad Request" not in said
    assert said.lower().count(b"connection: close") == 1


def test_garbage_after_a_call_causes_no_error_in_the_log(fleet):
    body = json.dumps(call_body()).encode()
    head = HOST + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    for path in (b"POST /mcp", b"POST /nowhere", b"DELETE /mcp"):
        place = urlsplit(fleet.url)
        with socket.create_connection((place.hostname, place.port), 10) as sock:
            sock.sendall(path + head + body + b"x" * 5)
            assert b"400 Bad Request" not in all_of(sock)
    assert "ERROR" not in fleet.logs()


def test_a_body_garbled_before_its_answer_gets_400(running):
    with connected(running) as sock:
        sock.sendall(b"POST /" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
        assert all_of(sock).startswith(b"HTTP/1.1 400 ")
