"""A server that answers nobody without a login: when the client shows it, and to whom."""

from __future__ import annotations

import json
import sys

import httpx2
import pytest

from client.answers import Answer, judge
from client.exit_codes import ExitCode
from client.failures import LoginWanted, NotMcp, Refused
from client.identity import Identity
from client.login import Login

from .client_keyring import environment
from .client_runner import client_runner

pytest_plugins = ("tests.client_servers", "tests.terminal")

EMAIL = "a@b.cz"
SECRET = "hunter2"
ASKED = (
    'Bearer resource_metadata="https://battery.example/.well-known/oauth-protected-resource/mcp", '
    'scope="oig:read"'
)


@pytest.fixture
def ring(tmp_path):
    return tmp_path / "keyring.json"


@pytest.fixture
def client(capsys, monkeypatch, ring):
    return client_runner(capsys, monkeypatch, ring, SECRET)


@pytest.fixture
def kept(ring, closed_server):
    login = Login(EMAIL, SECRET)
    ring.write_text(json.dumps({f"oig-client {closed_server.url}": login.packed()}))
    return login


GIVEN = {"OIG_EMAIL": EMAIL, "OIG_PASSWORD": SECRET}


@pytest.mark.parametrize(
    "argv",
    [
        ("tools",),
        ("describe", "check_auth"),
        ("check-auth",),
        ("call", "check_auth"),
        ("call", "who"),
        ("boxes",),
        ("live",),
        ("status",),
        ("energy", "--from", "2026-11-21", "--to", "2026-11-21"),
        ("history", "solar", "--from", "2026-11-21"),
        ("notifications",),
    ],
)
def test_each_command_sends_the_stored_login(client, closed_server, kept, argv):
    code, out, err = client(*argv, "--json", "--url", closed_server.url)
    # `status` has a verdict of its own about the box.
    assert code in {ExitCode.OK, ExitCode.NOT_FINE, ExitCode.IN_DOUBT}, out
    assert err == ""


def test_every_way_to_give_a_login_works(client, closed_server):
    where = ("--json", "--url", closed_server.url)
    code, out, _ = client("call", "who", *where, **GIVEN)
    assert (code, json.loads(out)["structured_content"]["email"]) == (ExitCode.OK, EMAIL)
    piped = ("call", "who", "--email", EMAIL, "--password-stdin", *where)
    code, out, _ = client(*piped, stdin=SECRET.encode())
    assert json.loads(out)["structured_content"] == {"email": EMAIL, "password_length": 7}
    code, out, _ = client("tools", "--email", EMAIL, *where, OIG_PASSWORD=SECRET)
    assert (code, "check_auth" in out) == (ExitCode.OK, True)


def test_a_login_for_another_account_is_sent_when_it_is_named(client, closed_server, kept):
    argv = ("call", "who", "--email", "c@d.cz", "--json", "--url", closed_server.url)
    _, out, _ = client(*argv, OIG_PASSWORD="four")
    assert json.loads(out)["structured_content"] == {"email": "c@d.cz", "password_length": 4}
    argv = ("check-auth", "--email", "c@d.cz", "--json", "--url", closed_server.url)
    _, out, _ = client(*argv, OIG_PASSWORD="four")
    assert json.loads(out)["email"] == "c@d.cz"


@pytest.mark.parametrize("argv", [("tools",), ("check-auth",), ("live",), ("call", "who")])
def test_without_a_login_the_error_says_what_the_server_wants_and_what_to_do(
    client, closed_server, argv
):
    code, out, _ = client(*argv, "--json", "--url", closed_server.url)
    error = json.loads(out)["error"]
    assert (code, error["kind"]) == (ExitCode.USAGE, "no_login")
    assert "OIG_EMAIL" in error["message"]
    assert "oig-client login" in error["message"]
    if argv != ("check-auth",):  # which asks nobody before it knows whose login it is
        assert "requires a login for every request" in error["message"]


def test_a_login_is_checked_in_the_header_and_stored(client, closed_server, ring):
    argv = ("login", "--email", EMAIL, "--json", "--url", closed_server.url)
    code, out, _ = client(*argv, OIG_PASSWORD=SECRET)
    assert (code, json.loads(out)["email"]) == (ExitCode.OK, EMAIL)
    (packed,) = json.loads(ring.read_text()).values()
    assert Login.unpacked(packed) == Login(EMAIL, SECRET)
    code, out, _ = client(*argv, OIG_PASSWORD="wrong")
    assert (code, json.loads(out)["error"]["kind"]) == (ExitCode.TOOL, "credentials_rejected")
    (packed,) = json.loads(ring.read_text()).values()
    assert Login.unpacked(packed) == Login(EMAIL, SECRET)


def test_the_password_is_asked_for_once(terminal, closed_server, ring):
    argv = [sys.executable, "-m", "client", "login", "--url", closed_server.url]
    screen = terminal(argv, environment("InFile", ring))
    screen.expect("email:")
    screen.send(f"{EMAIL}\r")
    screen.expect_hidden("password (not shown):")
    screen.send(f"{SECRET}\r")
    assert screen.wait() == 0
    assert screen.text.count("password (not shown):") == 1
    assert "Login kept in the keyring" in screen.text


def test_the_shell_does_not_resend_a_rejected_login(client, closed_server):
    lines = b"check-auth\ncheck-auth\n"
    given = {"OIG_EMAIL": EMAIL, "OIG_PASSWORD": "wrong"}
    code, _, err = client("shell", "--verbose", "--url", closed_server.url, stdin=lines, **given)
    assert code == ExitCode.TOOL
    assert err.count("requires a login for every request: with one") == 2


def test_a_proxy_that_removes_the_header_is_reported_as_the_cause(client, closed_server):
    url = closed_server.url.replace("/mcp", "/stripped/mcp")
    code, out, _ = client("tools", "--json", "--url", url, **GIVEN)
    error = json.loads(out)["error"]
    assert (code, error["kind"]) == (ExitCode.NOT_MCP, "http_401")
    assert "takes the header Authorization out" in error["message"]


def test_no_login_is_sent_in_the_clear_even_when_the_server_wants_one(
    client, closed_server, kept, monkeypatch
):
    monkeypatch.setattr("client.session.is_here", lambda _url: False)
    code, out, err = client("tools", "--json", "--url", closed_server.url)
    assert (code, json.loads(out)["error"]["kind"]) == (ExitCode.USAGE, "plain_http")
    assert "https://" in json.loads(out)["error"]["message"]
    assert err == ""


def examined(client, url):
    code, out, err = client("doctor", "--json", "--url", url)
    assert err == ""
    return code, {step["step"]: step["status"] for step in json.loads(out)["steps"]}


TOLD = ("protocol", "older", "tools", "refusal", "login")


def test_the_doctor_sends_the_stored_login(client, closed_server, kept):
    code, steps = examined(client, closed_server.url)
    assert {steps[name] for name in (*TOLD, "endpoint", "challenge")} == {"ok"}
    # The challenge leads to another address than the one that is asked.
    assert (code, steps["resource"]) == (ExitCode.TOOL, "wrong")


def test_the_doctor_says_when_it_has_no_login_to_send(client, closed_server):
    _, steps = examined(client, closed_server.url)
    assert {steps[name] for name in TOLD} == {"skipped"}


@pytest.mark.parametrize(
    ("method", "url", "sent"),
    [
        ("POST", "https://h/mcp", True),
        ("GET", "https://h/mcp", True),
        ("DELETE", "https://h/mcp", True),
        ("POST", "http://h/mcp", False),
        ("POST", "https://h:8443/mcp", False),
        ("POST", "https://h/mcp2", False),
        ("POST", "https://h.evil.example/mcp", False),
        ("GET", "https://other/mcp", False),
    ],
)
def test_the_login_is_sent_with_every_request_to_its_url_only(method, url, sent):
    login = Login(EMAIL, SECRET)
    request = httpx2.Request(method, url, json={"method": "initialize"})
    (passed,) = Identity("https://h/mcp", login, always=True).auth_flow(request)
    assert passed.headers.get("Authorization") == (login.basic if sent else None)


def answered(status, challenge, *, with_login=False):
    return judge(
        Answer(
            "https://battery.example/mcp",
            "initialize",
            status,
            "application/json",
            b'{"error": "invalid_token"}',
            challenge,
            with_login,
        )
    )


@pytest.mark.parametrize(
    ("status", "challenge", "kind", "words"),
    [
        (401, ASKED, "no_login", "requires a login"),
        (401, ASKED.replace("Bearer ", 'Bearer error="invalid_token", '), "invalid_token", "token"),
        (
            403,
            ASKED.replace("Bearer ", 'Bearer error="insufficient_scope", ').replace(
                "oig:read", "oig:read oig:control"
            ),
            "insufficient_scope",
            "https://battery.example/connections",
        ),
    ],
)
def test_each_challenge_of_the_server_is_explained_in_words(status, challenge, kind, words):
    verdict = answered(status, challenge)
    assert isinstance(verdict, LoginWanted | Refused)
    assert verdict.kind == kind
    assert words in verdict.message


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        'Basic realm="proxy"',
        "Bearer",
        'Bearer realm="other", scope="oig:read"',
        ASKED.replace("oig:read", "files:read"),
        ASKED.replace("oig:read", "oig:reader"),
        ASKED.replace('"oig:read"', '"oig:read'),
    ],
)
def test_a_server_with_another_kind_of_challenge_does_not_get_the_login(challenge):
    verdict = answered(401, challenge)
    assert isinstance(verdict, NotMcp)
    assert verdict.kind == "http_401"
