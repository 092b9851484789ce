"""docs/deploy/nginx.conf and Caddyfile: real proxies with these files, in front of real workers."""

import json
import re
import socket
import ssl
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from server.control import waits
from server.http.request import MAX_BODY_BYTES
from server.http.worker import DRAIN, KEEP_ALIVE
from server.oauth import metadata
from server.portal import client
from server.upstream import energy_reader

from .fleet import NO_TLS, call_body, running_fleet
from .front_proxies import DEPLOY, FRONTS, NAME
from .waiting import PATIENCE, wait_until

CALLER = "127.0.0.2"
"""An address of this machine that is no trusted proxy's."""

CALLERS = 4
"""Callers that go on while a worker is restarted."""

MANY = 20
"""Calls over connections of their own, of which each of two workers gets some."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "auth.log"
    with running_fleet(
        2,
        OIG_ALLOWED_HOSTS=NAME,
        OIG_TRUSTED_PROXIES="127.0.0.1",
        OIG_LOGIN_BURST="100",
        OIG_AUTH_LOG=str(log),
    ) as fleet:
        yield fleet


def running(kind, port):
    found, run = FRONTS[kind]
    if found is None:
        pytest.skip(f"{kind} is missing: install the Debian package {kind}")
    return run(port)


@pytest.fixture(scope="module", params=list(FRONTS))
def front(request, fleet):
    with running(request.param, fleet.listener.getsockname()[1]) as front:
        yield front


@pytest.fixture(autouse=True)
def portal_as_at_its_start(fleet):
    fleet.portal.reset()


def account(fleet, request):
    """Have an account of the test's own."""
    email = re.sub(r"\W+", "-", request.node.name).strip("-") + "@example.com"
    fleet.portal.add_account(email, "right")
    return email


def outcome(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]["structuredContent"]


def test_a_call_over_https_logs_in_and_its_handle_serves_the_next(front, fleet, request):
    with front.client() as caller:
        first = outcome(caller.post(call_body(account(fleet, request), "right")))
        assert first["cache_status"] == "new_session_created"
        boxes = {"name": "list_boxes", "arguments": {"session": first["session"]}}
        body = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": boxes}
        assert outcome(caller.post(body))["boxes"]


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-For": "203.0.113.9, 127.0.0.1"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-For": "nobody"},
        {"X-Real-IP": "203.0.113.9", "Forwarded": "for=203.0.113.9"},
    ],
    ids=str,
)
def test_a_failed_login_is_logged_with_the_callers_address_whatever_it_sent(
    front, fleet, request, sent
):
    log = Path(fleet.environment["OIG_AUTH_LOG"])
    before = log.read_text() if log.exists() else ""
    with front.client(CALLER) as caller:
        answer = caller.post(call_body(account(fleet, request), "wrong"), **sent)
    assert answer.json()["result"]["isError"] is True
    wait_until("it is logged", lambda: log.exists() and len(log.read_text()) > len(before))
    line = log.read_text().removeprefix(before)
    assert f" failed login from {CALLER} account " in line, line


def test_a_caller_on_the_proxys_own_machine_cannot_name_another_address(front, fleet, request):
    log = Path(fleet.environment["OIG_AUTH_LOG"])
    with front.client("127.0.0.1") as caller:
        sent = {"X-Forwarded-For": "198.51.100.23"}
        answer = caller.post(call_body(account(fleet, request), "wrong"), **sent)
    assert answer.json()["result"]["isError"] is True
    wait_until("it is logged", lambda: "from 127.0.0.1 " in log.read_text())
    assert "198.51.100.23" not in log.read_text()


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
def test_an_answer_as_events_comes_as_the_server_sent_it(front, path):
    events = {"Accept": "text/event-stream"}
    with front.client() as caller:
        answer = caller.request("POST", path, json=call_body(), headers=events)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in answer.headers
    kind, data = answer.text.split("\r\n")[:2]
    assert kind == "event: message"
    assert json.loads(data.removeprefix("data: "))["result"]["isError"] is False


def test_a_client_that_takes_compressed_answers_gets_plain_ones(front):
    with front.client() as caller:
        listed = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        answer = caller.post(listed, Accept_Encoding="gzip, br, zstd, deflate")
    assert "content-encoding" not in answer.headers
    assert len(answer.content) > 10_000
    assert answer.json()["result"]["tools"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("GET", "/mcp", 405),
        ("GET", "/", 404),
        ("GET", "/mcp/more", 404),
        ("GET", "/healthz/more", 404),
        ("GET", "/.well-known/openid-configuration", 404),
        ("GET", f"{metadata.PROTECTED_RESOURCE}/more", 404),
        ("GET", f"{metadata.AUTHORIZE}/", 404),
        ("GET", "/_admin/state", 404),
    ],
)
def test_the_servers_paths_lead_to_it_and_all_others_nowhere(front, method, path, status):
    with front.client() as caller:
        answer = caller.request(method, path)
    assert answer.status_code == status
    if status == 404:
        assert "MCP" not in answer.text  # the proxy's answer, not the server's


LOGIN = {
    *(metadata.AUTHORIZE, metadata.TOKEN, metadata.REGISTER, metadata.REVOKE),
    metadata.CONNECTIONS,
    *(metadata.PROTECTED_RESOURCE, f"{metadata.PROTECTED_RESOURCE}/mcp"),
    *(metadata.AUTHORIZATION_SERVER, f"{metadata.AUTHORIZATION_SERVER}/mcp"),
}


@pytest.mark.parametrize("path", sorted(LOGIN))
def test_the_paths_of_browser_login_lead_to_the_server_with_their_queries(front, path):
    with front.client() as caller:
        for method in ("GET", "POST"):
            answer = caller.request(method, f"{path}?state=a%2Fb")
            # This server has no browser login, so that it says itself that nothing is there.
            assert answer.status_code == 404
            assert "MCP endpoint" in answer.text


def test_a_page_of_the_same_name_may_call_and_another_may_not(front):
    with front.client() as caller:
        own = caller.post(call_body(), Origin=f"https://{NAME}:{front.port}")
        foreign = caller.post(call_body(), Origin="https://page.example.net")
        plain = caller.post(call_body(), Origin=f"http://{NAME}:{front.port}")
    assert [own.status_code, foreign.status_code, plain.status_code] == [200, 403, 403]


def test_a_client_that_does_not_know_the_name_gets_no_certificate(front):
    for name in ("other.example.org", "localhost", f"www.{NAME}"):
        with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized|internal error|alert"):
            front.connected(name)


def test_http_2_is_offered_and_nothing_older_than_tls_1_2(front):
    with front.connected(protocols=("h2", "http/1.1")) as sock:
        assert sock.selected_alpn_protocol() == "h2"
        assert sock.version() in {"TLSv1.2", "TLSv1.3"}


def test_a_call_over_http_2_is_a_call_like_any_other(front):
    answer = subprocess.run(
        [
            *("curl", "-sS", "--http2", "--noproxy", "*", "--cacert", front.folder / "ca.pem"),
            *("--resolve", f"{NAME}:{front.port}:127.0.0.1", "-d", json.dumps(call_body())),
            *("-H", "Content-Type: application/json", "-H", "Accept: application/json"),
            *("-w", "\n%{http_version} %{http_code}", f"https://{NAME}:{front.port}/mcp"),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    body, _, told = answer.stdout.rpartition("\n")
    assert told == "2 200"
    assert json.loads(body)["result"]["structuredContent"]["email"] == "demo@example.com"


def test_http_is_not_redirected_to_https(front):
    if front.plain_port is None:
        return  # Caddy listens there only while it gets a certificate
    answer = httpx2.post(
        f"http://127.0.0.1:{front.plain_port}/mcp",
        json=call_body(),
        headers={"Host": NAME},
        trust_env=False,
        verify=NO_TLS,
        timeout=PATIENCE,
    )
    assert answer.status_code == 403
    assert "location" not in answer.headers
    assert answer.text == "Use https.\n"


def test_nginx_answers_acme_challenges_without_tls(front):
    if front.plain_port is None:
        return  # Caddy answers them itself
    folder = front.folder / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True)
    (folder / "token").write_text("token.key")
    answer = httpx2.get(
        f"http://127.0.0.1:{front.plain_port}/.well-known/acme-challenge/token",
        headers={"Host": NAME},
        trust_env=False,
        verify=NO_TLS,
        timeout=PATIENCE,
    )
    assert (answer.status_code, answer.text) == (200, "token.key")


def test_a_new_configuration_is_loaded_without_a_restart(front):
    reloaded = front.reload()
    assert reloaded.returncode == 0, reloaded.stderr
    with front.client() as caller:
        assert caller.request("GET", "/healthz").status_code == 200


def padded(size):
    """A call whose body has so many bytes."""
    body = json.dumps(call_body()).encode()
    return body + b" " * (size - len(body))


@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "in chunks"])
@pytest.mark.parametrize(
    ("size", "status"),
    [
        (MAX_BODY_BYTES, 200),
        (MAX_BODY_BYTES + 1, 413),
        (3 * MAX_BODY_BYTES, 413),
    ],
)
def test_a_body_of_one_mib_passes_and_a_longer_one_gets_413(front, size, status, chunked):
    content = padded(size)
    headers = {"Content-Type": "application/json"}
    with front.client() as caller:
        answer = caller.request(
            "POST", "/mcp", content=iter([content]) if chunked else content, headers=headers
        )
    assert answer.status_code == status, answer.text
    if status == 200:
        assert outcome(answer)["email"] == "demo@example.com"


def test_the_proxy_buffers_no_body_and_no_answer_in_a_file(front):
    with front.client() as caller:
        headers = {"Content-Type": "application/json"}
        for content in (padded(MAX_BODY_BYTES), iter([padded(MAX_BODY_BYTES)])):
            answer = caller.request("POST", "/mcp", content=content, headers=headers)
            assert answer.status_code == 200
    files = [path for path in front.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if path.parent.name in {"client_body", "proxy"}]
    assert "temporary file" not in front.logs()


def test_the_access_log_contains_no_query_and_no_header(front):
    with front.client(CALLER) as caller:
        answer = caller.request(
            "POST",
            "/mcp?token=Planted-7f3a",
            json=call_body(),
            headers={"Authorization": "Basic UGxhbnRlZC03ZjNh", "X-Planted": "Planted-7f3a"},
        )
    assert answer.status_code in {200, 400, 401}
    caller_is_logged = re.compile(re.escape(CALLER) + r".*/mcp[^/?]")
    log = wait_until(
        "it is logged",
        lambda: (
            front.access_log.exists()
            and caller_is_logged.search(text := front.access_log.read_text())
            and text
        ),
    )
    assert "/mcp" in log
    assert "lanted" not in front.logs()
    assert "UGxhbnRlZC03ZjNh" not in front.logs()


def test_a_slow_call_is_not_cut_off(front, fleet, request):
    email = account(fleet, request)
    fleet.portal.fault("slow", latency=5.0, logins=1, email=email)
    with front.client() as caller:
        answer = caller.post(call_body(email, "right"))
    assert outcome(answer)["cache_status"] == "new_session_created"
    assert answer.elapsed.total_seconds() >= 5.0


@pytest.mark.load
def test_calls_of_many_callers_are_shared_by_both_workers(front, fleet):
    def refused_page(number):
        with front.client() as caller:
            page = f"https://{front.port}-{number}.example.net"
            return caller.post(call_body(), Origin=page).status_code

    def all_have_refused_one():
        # The quicker worker may take all calls of a round, on a machine that does much else.
        with ThreadPoolExecutor(MANY) as callers:
            assert set(callers.map(refused_page, range(MANY))) == {403}
        # A worker's log names the pages that it has refused.
        logs = [(fleet.folder / f"{name}.log").read_text() for name in fleet.workers]
        return all(f"//{front.port}-" in log for log in logs)

    wait_until("each worker has refused one", all_have_refused_one)


def test_restarting_a_worker_behind_the_proxy_loses_no_call(front, fleet):
    stop = threading.Event()

    def calls():
        done = 0
        with front.client() as caller:
            while not stop.is_set():
                answer = caller.post(call_body())
                assert answer.status_code == 200, (answer.status_code, answer.text, front.logs())
                assert answer.json()["result"]["isError"] is False, answer.text
                done += 1
        return done

    with ThreadPoolExecutor(CALLERS) as pool:
        running = [pool.submit(calls) for _ in range(CALLERS)]
        try:
            fleet.stop_worker("worker-0")
            fleet.start_worker("worker-0")
            fleet.wait_worker("worker-0")
        finally:
            stop.set()
        assert all(each.result(PATIENCE) for each in running)


def seconds(name, pattern):
    """Read a time off a file of docs/deploy."""
    (number, unit), *more = re.findall(pattern + r" (\d+)(ms|s|m)\b", (DEPLOY / name).read_text())
    assert not more
    return int(number) * {"ms": 0.001, "s": 1, "m": 60}[unit]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("nginx.conf", "proxy_read_timeout"),
        ("Caddyfile", "response_header_timeout"),
        ("Caddyfile", "read_body"),
        ("Caddyfile", "write"),
    ],
)
def test_the_longest_call_ends_before_a_proxy_times_out(name, key):
    assert seconds(name, key) > max(waits.LONGEST, energy_reader.MOST_S) + client.TIMEOUT


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("nginx.conf", r"\n    keepalive_timeout"),
        ("Caddyfile", "keepalive"),
        ("Caddyfile-hosts", "keepalive"),
    ],
)
def test_a_proxy_closes_an_idle_connection_before_even_a_worker_that_stops_does(name, key):
    assert seconds(name, key) * 2 <= min(DRAIN, KEEP_ALIVE)


def test_the_file_for_two_hosts_differs_in_what_it_leads_to_alone():
    def rest(name):
        text = (DEPLOY / name).read_text()
        return re.sub(
            r"(?s)\A.*?\n\{|(# Each name .*?)?reverse_proxy .*?dial_timeout \d+s", "", text
        )

    assert rest("Caddyfile-hosts") == rest("Caddyfile")


def one_request(listener):
    """Accept a connection from the proxy and read the request's head off it."""
    connection, _ = listener.accept()
    connection.settimeout(PATIENCE)
    received = b""
    while b"\r\n\r\n" not in received:
        more = connection.recv(65536)
        assert more, received
        received += more
    return connection


def read_until(sock, text, received=b""):
    while text not in received:
        more = sock.recv(65536)
        assert more, received
        received += more
    return received


@pytest.fixture(params=list(FRONTS))
def asked(request):
    """A request over a proxy, and the connection on which the proxy has passed it on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        with (
            running(request.param, listener.getsockname()[1]) as front,
            front.connected(protocols=("http/1.1",)) as sock,
        ):
            sock.sendall(f"GET /mcp HTTP/1.1\r\nHost: {NAME}:{front.port}\r\n\r\n".encode())
            with one_request(listener) as connection:
                yield sock, connection


def test_an_event_is_passed_on_at_once(asked):
    sock, connection = asked
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    connection.sendall(head + b"d\r\ndata: first\n\n\r\n")
    received = read_until(sock, b"data: first")
    # Only now there is a second one.
    connection.sendall(b"e\r\ndata: second\n\n\r\n0\r\n\r\n")
    read_until(sock, b"data: second", received)


def test_a_hang_up_of_the_caller_reaches_the_server(asked):
    sock, connection = asked
    sock.close()
    assert connection.recv(1) == b""
