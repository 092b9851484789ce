"""A worker that speaks TLS: every bound of a connection holds before the handshake and after it."""

import contextlib
import json
import socket
import ssl

import pytest

from server.http import refusable_connection
from server.http.connection import MAX_MESSAGE_BYTES
from server.http.refusable_connection import REFUSED_AT_ONCE
from server.http.shares import MIB
from server.tls.renewal import Renewal
from server.tls.secured import (
    MOST_HANDSHAKE_BYTES,
    MOST_UNASKED_BYTES,
    SecuredTransport,
    TooMuchUnasked,
)

from .http_worker import all_of, app, connected, one_answer, running_worker
from .tls_files import TlsFiles
from .waiting import wait_until

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def telling(scope, receive, send):
    """Answer /scheme with the scheme of the scope, /long with 8 MiB, and the rest as usual."""
    if scope.get("path") not in {"/scheme", "/long"}:
        await app(scope, receive, send)
        return
    body = scope["scheme"].encode() if scope["path"] == "/scheme" else b"x" * 8 * MIB
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return TlsFiles.made(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def shared(files):
    """One worker for all; `sources` says where connections come from, `None` for nowhere."""
    sources = {"": None}
    with pytest.MonkeyPatch.context() as patch:
        certificate = Renewal(files.pair)
        source = lambda _: sources[""]  # noqa: E731
        with running_worker(patch, app=telling, source=source, certificate=certificate) as one:
            one.sources, one.certificate = sources, certificate
            yield one


@pytest.fixture
def running(shared, files):
    most = shared.server_state.most
    wait_until("it is idle", lambda: not shared.server_state.connections)
    yield shared
    shared.server_state.most = most
    shared.sources[""] = None
    files.renew()


def secured_by(context, running):
    plain = connected(running)
    try:
        return context.wrap_socket(plain, server_hostname="localhost")
    except BaseException:
        plain.close()
        raise


@pytest.fixture
def call(running, files):
    """Give a function that connects and shakes hands."""
    with contextlib.ExitStack() as stack:
        trusting = files.trusting
        yield lambda: stack.enter_context(secured_by(trusting, running))


def hello(context=None):
    """Return how a client begins."""
    outgoing = ssl.MemoryBIO()
    client = (context or ssl.create_default_context()).wrap_bio(
        ssl.MemoryBIO(), outgoing, server_hostname="localhost"
    )
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def answer_of(received):
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), head, body


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_requests_are_answered_and_their_scheme_is_https(running, files, version):
    context = files.trusting
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with secured_by(context, running) as sock:
        for _ in range(2):
            request = GET.replace(b"/ ", b"/scheme ", 1)
            assert one_answer(sock, request).endswith(b"\r\n\r\nhttps")
        assert sock.version() == version.replace("_", ".")


def test_nothing_older_than_tls_1_2_is_spoken(running, files, recwarn):
    context = files.trusting
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    recwarn.clear()  # Python calls these versions old
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol|version"):
        secured_by(context, running)


def test_http_1_1_is_negotiated_and_http_2_is_not(running, files):
    context = files.trusting
    context.set_alpn_protocols(["h2", "http/1.1"])
    with secured_by(context, running) as sock:
        assert sock.selected_alpn_protocol() == "http/1.1"


def test_close_notify_is_sent_so_that_no_answer_is_truncated_unnoticed(call):
    sock = call()
    last = one_answer(sock, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert last.startswith(b"HTTP/1.1 200 ")
    # A connection that just ends would raise SSLEOFError here.
    assert sock.recv(1) == b""


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "PRI"])
def test_plain_http_gets_a_400_that_says_what_is_wrong(running, method):
    request = f"{method} /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with connected(running) as sock:
        sock.sendall(request + b"x" * 100_000)
        status, head, body = answer_of(all_of(sock))
    assert status == 400
    assert b"\r\nconnection: close" in head
    assert "https://" in json.loads(body)["error"]


@pytest.mark.parametrize("sent", [b"\x16\x03\x01", b"\x00" * 100, b"\x80\x2e\x01\x00\x02" * 20])
def test_anything_but_tls_gets_only_an_alert(running, monkeypatch, sent):
    monkeypatch.setattr(refusable_connection, "PATIENCE", 0.5)
    with connected(running) as sock:
        sock.sendall(sent)
        assert len(all_of(sock)) <= 7
    wait_until("it is gone", lambda: not running.server_state.connections)


def test_an_unfinished_handshake_is_closed_in_time(running, monkeypatch):
    monkeypatch.setattr(refusable_connection, "PATIENCE", 0.5)
    beginning = hello()
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connected(running)) for _ in range(4)]
        for sock, sent in zip(socks, (b"", beginning[:1], beginning[:-1], beginning), strict=True):
            sock.sendall(sent)
        for sock in socks:
            all_of(sock)  # until it is closed
    wait_until("all are gone", lambda: not running.server_state.connections)


def test_an_oversized_handshake_is_cut_off(running, caplog):
    # A ClientHello of 128 KiB, which OpenSSL would take, in records of 16 KiB.
    body = b"\x03\x03" + bytes(32) + b"\x00\x00\x02\x13\x01\x01\x00"
    message = b"\x01\x01\xff\xff" + body
    message += b"\xff\xff" + bytes(2 * MOST_HANDSHAKE_BYTES)
    record = b"\x16\x03\x01\x40\x00"
    with connected(running) as sock, contextlib.suppress(ConnectionError):
        for start in range(0, len(message) - 0x4000, 0x4000):
            sock.sendall(record + message[start : start + 0x4000])
        all_of(sock)
    running._reported_at = 0  # the log says it once a minute
    wait_until("it is told", lambda: "1 with more for TLS than anybody" in caplog.text)


def test_a_connection_without_a_handshake_is_evicted_for_a_new_one(running, monkeypatch, call):
    monkeypatch.setattr("server.http.room.NEWCOMER", 0.0)
    running.server_state.most = 3
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connected(running)) for _ in range(3)]
        wait_until("all have places", lambda: len(running.server_state.connections) == 3)
        assert one_answer(call(), GET).startswith(b"HTTP/1.1 200 ")
        assert len(running.server_state.connections) <= 3
        del silent


def test_a_source_with_too_many_connections_learns_it_after_the_handshake(
    running, call, monkeypatch
):
    running.sources[""] = "somebody"
    monkeypatch.setattr(running.server_state.of_source, "most", 2)
    # Those that have not shaken hands count as well.
    with connected(running), connected(running):
        wait_until("both have places", lambda: len(running.server_state.connections) == 2)
        status, _, body = answer_of(all_of(call()))
    assert status == 429
    assert "Too many connections" in json.loads(body)["error"]
    assert REFUSED_AT_ONCE > 1


def test_a_refused_caller_reads_why_even_when_its_request_ends_the_handshake(
    running, files, monkeypatch
):
    running.sources[""] = "somebody"
    monkeypatch.setattr(running.server_state.of_source, "most", 1)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = files.trusting.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with connected(running), connected(running) as sock:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65536))
        client.write(HEAD + b"content-length: 1000000\r\n\r\n" + b"x" * 1_000_000)
        sock.sendall(outgoing.read())
        incoming.write(all_of(sock))
    assert answer_of(client.read(65536))[0] == 429


def test_a_caller_still_sending_can_read_why_it_is_refused(running, call):
    sock = call()
    sock.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    chunk = b"fff0\r\n" + b"x" * 0xFFF0 + b"\r\n"
    for _ in range(4 * MAX_MESSAGE_BYTES // len(chunk)):
        sock.sendall(chunk)
    status, _, _ = answer_of(all_of(sock))
    assert status == 413


def test_an_unread_answer_counts_and_a_read_one_does_not(running, call):
    sock = call()
    sock.sendall(GET.replace(b"/ ", b"/long ", 1))
    unread = running.server_state.unread
    wait_until("it is counted", lambda: unread.total > 2 * MIB)
    received = len(sock.recv(MIB).partition(b"\r\n\r\n")[2])
    while received < 8 * MIB:
        received += len(sock.recv(MIB))
    wait_until("it is counted no more", lambda: not unread.total)
    assert one_answer(sock, GET).startswith(b"HTTP/1.1 200 ")


def test_a_caller_that_ends_tls_is_gone_even_with_an_open_socket(running, call):
    sock = call()
    one_answer(sock, GET)
    plain = sock.unwrap()
    assert plain.recv(1) == b""
    wait_until("it is gone", lambda: not running.server_state.connections)


def test_a_refused_certificate_is_reported_to_the_operator(running, caplog):
    with pytest.raises(ssl.SSLCertVerificationError):
        secured_by(ssl.create_default_context(), running)
    running._reported_at = 0  # the log says it once a minute
    wait_until("it is told", lambda: "does not trust our certificate" in caplog.text)


def test_a_new_certificate_is_for_new_connections_and_old_ones_go_on(running, files, call):
    before = call()
    files.renew()
    running.certificate.look()
    running.certificate.look()
    after = call()
    assert before.getpeercert(binary_form=True) != after.getpeercert(binary_form=True)
    for sock in (before, after):
        assert one_answer(sock, GET).startswith(b"HTTP/1.1 200 ")


def test_output_that_openssl_generates_is_bounded(files):
    """Who makes it answer again and again, and takes no answer, would fill the memory."""
    sent = []

    class Plain:
        write = staticmethod(sent.append)

        def is_closing(self):
            return False

    class KeyUpdated:
        """What OpenSSL does at a KeyUpdate that asks for another: Python's client sends none."""

        def read(self, _):
            transport._outgoing.write(b"x" * 30)
            raise ssl.SSLWantReadError

    transport = SecuredTransport(Plain(), Renewal(files.pair).context)
    transport.is_ready, transport._tls = True, KeyUpdated()
    for _ in range(MOST_UNASKED_BYTES // 30):
        transport.received(b"an update")
    with pytest.raises(TooMuchUnasked):
        transport.received(b"one more")
    assert len(b"".join(sent)) <= MOST_UNASKED_BYTES + 30


def test_a_stopping_worker_answers_received_requests_and_then_closes(files, monkeypatch):
    with running_worker(monkeypatch, certificate=Renewal(files.pair)) as one:
        idle, busy = secured_by(files.trusting, one), secured_by(files.trusting, one)
        with idle, busy, socket.create_connection(one.address) as silent:
            one_answer(idle, GET)
            busy.sendall(HEAD + b"content-length: 3\r\n\r\n")
            wait_until("all are there", lambda: len(one.server_state.connections) == 3)
            one.should_exit = True
            assert idle.recv(1) == b""
            assert silent.recv(1) == b""
            busy.sendall(b"abc")
            answer = all_of(busy)
    assert answer.endswith(b"\r\n\r\n3")
    assert b"connection: close" in answer
