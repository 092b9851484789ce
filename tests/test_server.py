"""Workers over real HTTP with the real daemon: protocol, tool, guards."""

import asyncio
import errno
import json
import resource
import signal
import socket
import subprocess
import sys

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from server.http.listening import is_listening
from server.process import DESCRIPTORS
from server.tool_failure import KEY

from .fleet import NO_TLS, ROOT, call_body, check_auth, post, running_fleet, wait_until
from .system import free_port

PLANTED = "Planted-Passw0rd-7f3a"
MODERN = "2026-07-28"
LEGACY = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]


@pytest.fixture(scope="module")
def fleet():
    with running_fleet(
        2, OIG_ALLOWED_HOSTS="oig.test", OIG_ALLOWED_ORIGINS="https://app.test"
    ) as f:
        yield f


@pytest.fixture(autouse=True)
def portal_as_at_its_start(request):
    if "fleet" in request.fixturenames:
        request.getfixturevalue("fleet").portal.reset()


def account(fleet, name):
    """Add an account of this test's own, so that no lock of another test holds it."""
    email = f"{name}@example.com"
    fleet.portal.add_account(email, "right")
    return email


@pytest.mark.parametrize("mode", ["legacy", MODERN, "auto"])
async def test_the_sdk_client_of_either_era_logs_in_and_is_cached(fleet, mode):
    email = account(fleet, f"sdk-{mode}")
    async with Client(fleet.url, mode=mode) as client:
        tools = (await client.list_tools()).tools
        first = await client.call_tool("check_auth", {"email": email, "password": "right"})
        second = await client.call_tool("check_auth", {"email": email, "password": "right"})
    assert [tool.name for tool in tools] == [
        "check_auth",
        "log_out",
        "list_boxes",
        "get_live_data",
        "get_history",
        "get_energy",
        "get_notifications",
        "get_status",
    ]
    assert not first.is_error
    assert list(first.structured_content) == [
        "email",
        "password_length",
        "cache_status",
        "session_id_preview",
        "expires_at",
        "session",
        "now",
        "warnings",
    ]
    assert first.structured_content["cache_status"] == "new_session_created"
    assert second.structured_content["cache_status"] == "session_from_cache"
    assert first.structured_content["password_length"] == 5
    assert first.structured_content["expires_at"][19:] in {"+01:00", "+02:00"}
    assert json.loads(first.content[0].text) == first.structured_content
    assert (
        second.structured_content["session_id_preview"]
        == first.structured_content["session_id_preview"]
    )


async def test_the_tool_is_described_for_a_model(fleet):
    async with Client(fleet.url) as client:
        tool = (await client.list_tools()).tools[0]
    assert tool.title
    assert tool.annotations.read_only_hint is True
    assert all("description" in p for p in tool.input_schema["properties"].values())
    assert "required" not in tool.input_schema
    assert "Without arguments" in tool.description
    assert "Omit email and password" in tool.input_schema["properties"]["email"]["description"]


@pytest.mark.parametrize("revision", LEGACY)
def test_every_older_revision_needs_no_session(fleet, revision):
    hello = {
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": revision,
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "0"},
        },
    }
    welcome = post(fleet.url, hello)
    assert welcome.json()["result"]["protocolVersion"] == revision
    assert welcome.json()["result"]["serverInfo"]["name"] == "oig-cloud"
    assert "mcp-session-id" not in welcome.headers
    assert (
        post(fleet.url, {"jsonrpc": "2.0", "method": "notifications/initialized"}).status_code
        == 202
    )
    for _ in range(4):
        answer = post(fleet.url, call_body(), MCP_Protocol_Version=revision)
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.json()["result"]["isError"] is False


def test_the_curl_example_of_the_documents_works(fleet):
    page = (ROOT / "docs" / "connecting.md").read_text()
    command = page.split("```sh\ncurl -s", 1)[1].split("```", 1)[0]
    command = "curl -s" + command.replace("http://localhost:8000/mcp", fleet.url)
    answer = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60, check=True)
    assert json.loads(answer.stdout)["result"]["structuredContent"]["email"] == "demo@example.com"


def test_the_python_example_of_the_documents_works(fleet):
    page = (ROOT / "docs" / "connecting.md").read_text()
    program = page.split("```python\n", 1)[1].split("```", 1)[0]
    program = program.replace("http://localhost:8000/mcp", fleet.url)
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, timeout=60, check=True, text=True
    )
    assert "'cache_status'" in answer.stdout


@pytest.mark.parametrize("revision", [*LEGACY, MODERN])
def test_a_client_of_any_revision_that_takes_only_events_gets_events(fleet, revision):
    meta = {
        "io.modelcontextprotocol/protocolVersion": revision,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    answer = post(
        fleet.url,
        call_body(_meta=meta),
        Accept="text/event-stream",
        MCP_Protocol_Version=revision,
        Mcp_Method="tools/call",
        Mcp_Name="check_auth",
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    (data,) = [line for line in answer.text.splitlines() if line.startswith("data: {")]
    assert json.loads(data[6:])["result"]["isError"] is False


@pytest.mark.parametrize("revision", [*LEGACY, MODERN])
@pytest.mark.parametrize(
    ("content_type", "accept"),
    [
        ("APPLICATION/JSON", "APPLICATION/JSON, TEXT/EVENT-STREAM"),
        ('Application/Json; Charset="UTF-8"', "Application/*;Q=0.9"),
        ("application/JSON", "Text/*, */*;q=0.1"),
    ],
)
def test_media_types_mean_the_same_in_any_case(fleet, revision, content_type, accept):
    meta = {
        "io.modelcontextprotocol/protocolVersion": revision,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    answer = post(
        fleet.url,
        call_body(_meta=meta),
        Content_Type=content_type,
        Accept=accept,
        MCP_Protocol_Version=revision,
        Mcp_Method="tools/call",
        Mcp_Name="check_auth",
    )
    assert answer.status_code == 200
    assert answer.json()["result"]["isError"] is False


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "OPTIONS"])
def test_other_methods_are_405_at_once(fleet, method):
    answer = httpx2.request(method, fleet.url, trust_env=False, verify=NO_TLS, timeout=60)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert "MCP" in answer.json()["error"]


def test_other_refusals_have_their_own_status(fleet):
    base = fleet.url.removesuffix("/mcp")
    assert httpx2.get(base + "/", trust_env=False, verify=NO_TLS).status_code == 404
    assert post(base + "/mcp/x", call_body()).status_code == 404
    assert post(fleet.url, call_body(), Accept="text/html").status_code == 406
    assert post(fleet.url, {"x": "y" * 2_000_000}).status_code == 413
    assert post(base + "/mcp/", call_body()).status_code == 200


def test_foreign_hosts_are_421_and_the_log_names_host_and_setting(fleet):
    answer = post(fleet.url, call_body(), Host="evil.test:8000")
    assert answer.status_code == 421
    assert "OIG_ALLOWED_HOSTS" in answer.json()["error"]
    wait_until("log line", lambda: "'evil.test:8000'" in fleet.logs())
    for host in ("oig.test", "192.0.2.8:8000", "[::1]:8000"):
        assert post(fleet.url, call_body(), Host=host).status_code == 200


def test_foreign_origins_are_403_and_allowed_ones_get_cors(fleet):
    assert post(fleet.url, call_body(), Origin="https://evil.test").status_code == 403
    assert post(fleet.url, call_body(), Origin="null").status_code == 403
    answer = post(fleet.url, call_body(), Origin="https://app.test")
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.test"
    preflight = httpx2.options(
        fleet.url,
        headers={
            "Origin": "https://app.test",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,mcp-protocol-version",
        },
        trust_env=False,
    )
    assert preflight.status_code == 200
    assert "POST" in preflight.headers["access-control-allow-methods"]


def test_health_and_readiness_answer(fleet):
    base = fleet.url.removesuffix("/mcp")
    alive = httpx2.get(base + "/healthz", trust_env=False, verify=NO_TLS)
    assert (alive.status_code, alive.json()) == (200, {"status": "ok", "program": "oig-cloud-mcp"})
    ready = httpx2.get(base + "/readyz", trust_env=False, verify=NO_TLS)
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "degraded": {}})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"password": PLANTED}, "`email` is missing"),
        ({"email": "user@example.com"}, "`password` is missing"),
        ({"email": PLANTED, "password": PLANTED}, "`email` must be an e-mail address"),
        ({"email": 5, "password": [PLANTED]}, "`password` must be a string"),
        ({"email": "a@b.cz", "password": {"secret": PLANTED}}, "`password` must be a string"),
        ({"email": "a@b.cz", "password": ""}, "`password` is missing: e-mail"),
        ({"email": "a@b.cz", "password": PLANTED * 100}, "at most 1024 characters"),
        ({"email": "a" * 300 + "@b.cz", "password": PLANTED}, "at most 254 characters"),
        (
            {PLANTED: PLANTED, "email": "a@b.cz"},
            "it does not have. It takes `email` and `password`",
        ),
        ({"email": f"{PLANTED}@b.cz\n", "password": None}, "`password` is missing"),
    ],
)
@pytest.mark.parametrize("mode", ["legacy", MODERN])
async def test_wrong_arguments_are_reported_and_never_repeated(fleet, mode, arguments, words):
    async with Client(fleet.url, mode=mode) as client:
        result = await client.call_tool("check_auth", arguments)
    assert result.is_error
    assert words in result.content[0].text
    assert PLANTED not in result.model_dump_json()
    assert PLANTED not in fleet.logs()


@pytest.mark.parametrize("arguments", [{}, {PLANTED: PLANTED}])
def test_the_error_of_a_call_without_a_login_says_where_and_how_to_log_in(fleet, arguments):
    body = call_body()
    body["params"]["arguments"] = arguments
    response = post(fleet.url, body)
    assert response.status_code == 401
    assert 'scope="oig:read"' in response.headers["www-authenticate"]
    assert "Authorization: Basic" in response.json()["error"]["message"]
    assert PLANTED not in response.text + fleet.logs()


@pytest.mark.parametrize(
    "body",
    [
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": PLANTED},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "check_auth"}},
        {"jsonrpc": "2.0", "id": 1, "method": PLANTED},
        {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"_meta": PLANTED}},
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": PLANTED}},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"cursor": [PLANTED]}},
        {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": [PLANTED]}},
        {"jsonrpc": "2.0", "id": 1, "result": {"password": PLANTED}},
        {"jsonrpc": "1.0", "id": 1, "method": "tools/call", "params": {"p": PLANTED}},
        [{"password": PLANTED}],
        PLANTED,
        {"password": PLANTED},
    ],
)
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("revision", [None, "2025-11-25", MODERN, "1999-01-01"])
def test_a_malformed_message_is_never_repeated(fleet, body, accept, revision):
    headers = {"Accept": accept}
    if revision is not None:
        headers["MCP_Protocol_Version"] = revision
    answer = post(fleet.url, body, **headers)
    assert answer.status_code < 500
    assert PLANTED not in answer.text
    assert PLANTED not in fleet.logs()


def test_repeated_wrong_passwords_lock_the_account_for_every_password(fleet):
    email = account(fleet, "locked")
    assert not check_auth(fleet.url, email, "right")["isError"]
    for i in range(5):
        text = check_auth(fleet.url, email, f"{PLANTED} {i}")["content"][0]["text"]
        assert "rejected this e-mail and password" in text
        assert "do not try the same pair again" in text
        assert PLANTED not in text
    right = check_auth(fleet.url, email, "right")
    wrong = check_auth(fleet.url, email, "another")
    assert right["isError"]
    assert wrong["isError"]
    for result in (right, wrong):
        assert "Too many failed logins" in result["content"][0]["text"]
        told = result["_meta"][KEY]
        assert told["code"] == "locked"
        assert 1 <= told["retry_after_s"] <= 30
        assert f"Wait {told['retry_after_s']} seconds" in result["content"][0]["text"]
    assert fleet.portal.logins(email)["attempts"] == 6
    assert PLANTED not in fleet.logs()


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("html", "portal_unexpected", "page"),
        ("error", "portal_error", "500"),
        ("drop", "portal_unreachable", "connection"),
        ("no_cookie", "portal_unexpected", "session"),
        ("redirect", "portal_unexpected", "redirect"),
    ],
)
def test_every_portal_failure_has_its_own_message(fleet, kind, code, words):
    email = account(fleet, f"fault-{kind}")
    fleet.portal.fault(kind, logins=1)
    result = check_auth(fleet.url, email, PLANTED)
    text = result["content"][0]["text"]
    assert result["isError"]
    assert words in text.lower()
    told = result["_meta"][KEY]
    assert told["code"] == code
    assert f"{told['retry_after_s']} seconds" in text
    assert "rejected" not in text
    assert PLANTED not in text + fleet.logs()
    assert not check_auth(fleet.url, email, "right")["isError"]


@pytest.mark.parametrize(
    ("kind", "members", "words", "cause"),
    [
        ("unavailable", {}, "wait 60 seconds", "was overloaded or being worked on"),
        ("unavailable", {"retry_after": "40"}, "wait 40 seconds", "was overloaded"),
        ("too_many", {"retry_after": "30"}, "wait 30 seconds", "asked this server to slow down"),
    ],
)
def test_no_further_login_is_sent_when_the_portal_asks_for_fewer(
    fleet, kind, members, words, cause
):
    email = account(fleet, f"busy-{kind}-{len(words)}-{len(members)}")
    fleet.portal.fault(kind, logins=1, **members)
    first = check_auth(fleet.url, email, "right")
    assert first["isError"]
    assert words in first["content"][0]["text"].lower()
    sent = fleet.portal.logins(email)
    for password in ("right", "wrong"):
        again = check_auth(fleet.url, email, password)
        assert again["isError"]
        assert cause in again["content"][0]["text"]
        assert 1 <= again["_meta"][KEY]["retry_after_s"] <= 60
        assert again["_meta"][KEY]["code"] == "portal_busy"
    assert fleet.portal.logins(email) == sent


@pytest.mark.parametrize("password", ["null", "[1234]", "{}", '"quoted"', "true", "[]", "12345678"])
def test_a_password_that_looks_like_json_is_sent_unchanged(fleet, password):
    email = f"json-{password.encode().hex()}@example.com"
    fleet.portal.add_account(email, password)
    result = check_auth(fleet.url, email, password)
    assert not result["isError"], result
    assert result["structuredContent"]["password_length"] == len(password)


async def test_200_simultaneous_first_calls_cause_one_login(fleet):
    email = account(fleet, "stampede")
    fleet.portal.fault("slow", latency=0.3, logins=1, email=email)
    async with httpx2.AsyncClient(
        trust_env=False, timeout=60, limits=httpx2.Limits(max_connections=200)
    ) as http:
        answers = await asyncio.gather(
            *(http.post(fleet.url, json=call_body(email, "right")) for _ in range(200))
        )
    results = [answer.json()["result"]["structuredContent"] for answer in answers]
    assert [r["cache_status"] for r in results].count("new_session_created") == 1
    assert len({r["session_id_preview"] for r in results}) == 1
    assert fleet.portal.logins(email)["attempts"] == 1


def test_a_forwarded_address_is_believed_only_from_a_trusted_proxy():
    def locked_out(**settings):
        with running_fleet(1, **settings) as fleet:
            for i in range(5):
                post(fleet.url, call_body(password=f"wrong {i}"), X_Forwarded_For="192.0.2.66")
            answer = post(fleet.url, call_body(), X_Forwarded_For="192.0.2.67")
            return answer.json()["result"]["isError"]

    assert locked_out()
    assert not locked_out(OIG_TRUSTED_PROXIES="127.0.0.1")


def test_a_worker_uses_its_inherited_socket_with_the_right_family():
    """Called AF_UNIX, as uvicorn does it, it would have no TCP_NODELAY and answer in 40 ms."""
    program = (
        "from server.http.listening import inherited_socket\n"
        "s = inherited_socket(); print(s.family.name, s.proto)"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answer = subprocess.run(
            [sys.executable, "-c", program],
            stdin=listener,
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
    assert answer.stdout.split() == ["AF_INET", str(socket.IPPROTO_TCP)]


def test_a_worker_accepts_a_socket_that_was_shut_down_and_can_listen_again():
    program = "from server.http.listening import inherited_socket as i; print(i().getsockname()[1])"
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.shutdown(socket.SHUT_RDWR)
        assert not is_listening(listener)
        answer = subprocess.run(
            [sys.executable, "-c", program],
            stdin=listener,
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        )
        assert answer.stdout.strip() == str(port)
        listener.listen()
        assert socket.create_connection(("127.0.0.1", port), timeout=60).close() is None


@pytest.mark.parametrize("stdin", [subprocess.DEVNULL, subprocess.PIPE])
def test_descriptor_0_is_ignored_unless_it_is_a_listening_socket(stdin):
    program = "from server.http.listening import inherited_socket as i; print(i())"
    answer = subprocess.run(
        [sys.executable, "-c", program],
        stdin=stdin,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert answer.stdout.strip() == "None"


def test_a_closed_descriptor_0_counts_as_no_socket():
    program = "from server.http.listening import inherited_socket as i; print(i())"
    answer = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" <&-', sys.executable, program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert (answer.stdout.strip(), answer.stderr) == ("None", "")


def test_sockets_that_never_listened_and_have_no_port_are_ignored():
    program = "from server.http.listening import inherited_socket as i; print(i())"
    one, other = socket.socketpair()
    with one, other, socket.socket() as unbound, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        for given in (one, unbound, datagrams):
            answer = subprocess.run(
                [sys.executable, "-c", program],
                stdin=given,
                capture_output=True,
                text=True,
                cwd=ROOT,
                check=True,
            )
            assert answer.stdout.strip() == "None"


class OfMacOS(socket.socket):
    """A socket that does not tell whether it listens, as on macOS."""

    def getsockopt(self, *_):
        raise OSError(errno.ENOPROTOOPT, "Protocol not available")


@pytest.mark.parametrize("kind", [socket.socket, OfMacOS])
def test_a_listening_socket_is_recognised_with_and_without_the_socket_option(kind):
    def again(given):
        return kind(fileno=given.detach())

    with (
        again(socket.create_server(("127.0.0.1", 0))) as listener,
        again(socket.create_connection(listener.getsockname())) as caller,
        again(listener.accept()[0]) as called,
        again(socket.socket(type=socket.SOCK_DGRAM)) as datagrams,
    ):
        found = [is_listening(one) for one in (listener, caller, called, datagrams)]
    assert found == [True, False, False, False]


def test_a_worker_raises_its_limit_of_descriptors():
    program = (
        "import resource as r; from server.process import raise_descriptors as raise_\n"
        "hard = r.getrlimit(r.RLIMIT_NOFILE)[1]; r.setrlimit(r.RLIMIT_NOFILE, (256, hard))\n"
        "raise_(); raise_(); print(*r.getrlimit(r.RLIMIT_NOFILE), hard)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    soft, kept, hard = map(int, answer.stdout.split())
    assert kept == hard
    assert soft == (DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard))


def test_a_taken_port_is_reported_in_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        answer = subprocess.run(
            [sys.executable, "-m", "server", "--host", "127.0.0.1", "--port", port],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    assert answer.returncode == 69
    assert answer.stderr.count("\n") == 1
    assert "another program listens there" in answer.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_stopped_exits_with_0_and_without_a_traceback(number):
    with running_fleet(1) as fleet:
        process = fleet.workers["worker-0"]
        check_auth(fleet.url)
        fleet.stop_worker("worker-0", number)
        assert process.returncode == 0
        assert "worker stopped" in fleet.logs()
        assert "Traceback" not in fleet.logs()


def test_a_worker_whose_application_cannot_start_exits_with_3():
    program = """
import sys
from server import __main__, app
async def failing(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "x"})
app.build_app = lambda *_, **__: failing
sys.exit(__main__.main(["--port", "0", "--host", "127.0.0.1"]))
"""
    answer = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert answer.returncode == 3
    assert "Application startup failed" in answer.stderr


def test_wrong_usage_of_a_worker_exits_with_2():
    answer = subprocess.run(
        [sys.executable, "-m", "server", "--no-such-option"],
        capture_output=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 2


def test_a_wrong_setting_stops_a_worker_with_one_line(monkeypatch):
    monkeypatch.setenv("OIG_SESSION_TTL", "soon")
    answer = subprocess.run(
        [sys.executable, "-m", "server", "--port", "0"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert answer.returncode == 64
    assert answer.stderr == "worker: OIG_SESSION_TTL must be a number above 0.\n"


async def test_an_explicit_transport_of_the_sdk_works_too(fleet):
    async with Client(streamable_http_client(fleet.url)) as client:
        assert (await client.list_tools()).tools
