"""The document of a client, fetched from a server with TLS on this machine.

A test resolves names and opens connections in place of the system; the program itself has no
option for that.
"""

import http.client
import socket
import ssl
import subprocess
import sys
import threading

import pytest

from server.oauth.document_fetch import MAX_BYTES, NONE, UNREACHED, NotFetched, OutOfReach, fetch
from server.settings.places import ROOT

from .certificates import Certified
from .system import clean_environment

URL = "https://client.example/oauth/client.json"
PUBLIC = "93.184.215.14"
OTHER = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def whole(body=b"{}", head=JSON):
    return head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


class Site:
    """Answers every connection with the same bytes, or with some of them and silence."""

    def __init__(self, folder, certified):
        self.answer, self.silent, self.received = whole(), False, []
        (folder / "chain.pem").write_bytes(certified.pem)
        (folder / "key.pem").write_bytes(certified.key_pem)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        while True:
            plain, _ = self._listener.accept()
            with plain:
                if self._closed.is_set():
                    return
                plain.settimeout(10)
                try:
                    with self._context.wrap_socket(plain, server_side=True) as tls:
                        self.received.append(tls.recv(65536))
                        tls.sendall(self.answer)
                        if self.silent:
                            tls.recv(1)
                except OSError:
                    continue

    def close(self):
        self._closed.set()
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._listener.close()


@pytest.fixture(scope="module")
def root():
    return Certified.root()


@pytest.fixture(scope="module")
def site(root, tmp_path_factory):
    served = Site(tmp_path_factory.mktemp("site"), root.server("client.example"))
    yield served
    served.close()


@pytest.fixture
def fetching(site, root):
    site.answer, site.silent = whole(), False
    site.received.clear()
    context = ssl.create_default_context(cadata=root.pem.decode())

    class Fetching:
        resolved, connected = [], []
        addresses = (PUBLIC,)

        def __call__(self, url=URL):
            def resolve(name):
                self.resolved.append(name)
                return self.addresses

            def connect(address):
                self.connected.append(address)
                return socket.create_connection(("127.0.0.1", site.port), 10)

            return fetch(url, resolve=resolve, connect=connect, context=context)

    Fetching.resolved, Fetching.connected = [], []
    return Fetching()


def test_a_document_is_fetched_from_the_address_that_was_judged(fetching, site):
    site.answer = whole(b'{"client_id": "x"}')
    fetching.addresses = (PUBLIC, OTHER)
    assert fetching() == b'{"client_id": "x"}'
    # The resolver is asked once: a name that leads elsewhere a moment later leads nowhere.
    assert fetching.resolved == ["client.example"]
    assert fetching.connected == [PUBLIC]
    (request,) = site.received
    assert request.startswith(b"GET /oauth/client.json HTTP/1.1\r\nHost: client.example\r\n")
    assert b"Cookie" not in request
    assert b"Authorization" not in request


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%eth0"],
        [PUBLIC, "192.168.1.1"],
        ["192.168.1.1", PUBLIC],
        [OTHER, "::1"],
        ["no address"],
        [],
    ],
)
def test_a_name_that_resolves_to_a_private_network_is_not_fetched(fetching, addresses):
    fetching.addresses = addresses
    with pytest.raises(OutOfReach):
        fetching()
    assert fetching.connected == []


@pytest.mark.parametrize(
    "url",
    [
        "http://client.example/oauth/client.json",
        "https://client.example:8443/oauth/client.json",
        "https://client.example/",
        "https://client.example",
        "https://93.184.215.14/client.json",
        "https://[2606:2800::1]/client.json",
        "https://localhost/client.json",
        "https://client.example/client.json?x",
        "https://client.example/client.json#x",
        "https://jana@client.example/client.json",
        "https://client.example/a/../client.json",
        "file:///etc/passwd",
        "--help",
        "",
    ],
)
def test_an_invalid_document_address_is_not_even_resolved(fetching, url):
    with pytest.raises(NotFetched):
        fetching(url)
    assert fetching.resolved == []


@pytest.mark.parametrize("body", [b"x" * MAX_BYTES, b""])
def test_a_document_may_have_five_kibibytes(fetching, site, body):
    site.answer = whole(body)
    assert fetching() == body


def test_a_document_may_come_in_chunks_and_be_of_a_kind_of_json(fetching, site):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/cimd+json; charset=utf-8\r\n"
    site.answer = head + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
    assert fetching() == b"{}"


@pytest.mark.parametrize(
    "answer",
    [
        whole(b"x" * (MAX_BYTES + 1)),
        JSON + b"\r\n" + b"x" * 100_000,
        JSON + b"Transfer-Encoding: chunked\r\n\r\n" + b"ffff\r\n" + b"x" * 0xFFFF + b"\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n\r\n",
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: https://client.example/x\r\n\r\n",
        whole(head=JSON.replace(b"200 OK", b"404 Not Found")),
        whole(head=JSON.replace(b"200 OK", b"500 Oops")),
        whole(head=JSON.replace(b"200 OK", b"203 Copy")),
        whole(head=b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"),
        whole(head=b"HTTP/1.1 200 OK\r\n"),
    ],
)
def test_any_other_answer_is_not_a_document(fetching, site, answer):
    site.answer = answer
    with pytest.raises(NotFetched):
        fetching()
    assert len(fetching.connected) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (whole(head=JSON.replace(b"200 OK", b"404 Not Found")), NONE),
        (whole(head=JSON.replace(b"200 OK", b"503 Oops")), UNREACHED),
        (b"", UNREACHED),
    ],
)
def test_the_program_distinguishes_a_missing_document_from_a_missing_answer(
    fetching, site, root, tmp_path, answer, code
):
    site.answer = answer
    assert program(site, root, tmp_path).returncode == code


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000,
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000,
        JSON + b"Content-Length: 10\r\n\r\n{}",
        JSON + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_a_broken_or_non_http_answer_is_handled(fetching, site, answer):
    site.answer = answer
    with pytest.raises((http.client.HTTPException, OSError, NotFetched)):
        fetching()


def test_a_server_without_a_valid_certificate_is_not_asked(fetching, site):
    with pytest.raises(ssl.SSLCertVerificationError):
        fetching("https://other.example/oauth/client.json")
    assert site.received in ([], [b""])


def program(site, root, tmp_path, url=URL, seconds=5):
    """Run the program with a resolver and a connection of the test's."""
    (tmp_path / "root.pem").write_bytes(root.pem)
    code = (
        "import socket, sys\n"
        "from server.oauth import document_fetch as program\n"
        f"program.SECONDS = {seconds}\n"
        f"program._resolved = lambda name: [{PUBLIC!r}]\n"
        "program._connected = lambda address: "
        f"socket.create_connection(('127.0.0.1', {site.port}), 30)\n"
        f"sys.exit(program.main([{url!r}]))"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=ROOT,
        env=clean_environment(SSL_CERT_FILE=str(tmp_path / "root.pem")),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )


def test_the_program_writes_what_it_fetched(fetching, site, root, tmp_path):
    site.answer = whole(b'{"client_id": "x"}')
    ended = program(site, root, tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b'{"client_id": "x"}', b"")


def test_the_program_ends_in_time_whatever_the_server_does(fetching, site, root, tmp_path):
    site.answer, site.silent = JSON + b"X-Slow: ", True
    ended = program(site, root, tmp_path, seconds=1)
    assert ended.returncode not in {0, NONE}
    assert ended.stdout == b""


@pytest.mark.parametrize("argument", ["https://127.0.0.1/client.json", "--insecure"])
def test_the_program_has_no_option_and_calls_no_address(argument):
    ended = subprocess.run(
        [sys.executable, "-m", "server.oauth.document_fetch", argument],
        check=False,
        cwd=ROOT,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (NONE, b"", b"")
