"""Logging in once: what is kept, where it is sent, and where it never is."""

from __future__ import annotations

import base64
import json
import sys

import httpx2
import pytest

from client.exit_codes import ExitCode
from client.failures import NoKeyring
from client.identity import Identity
from client.login import Login, server_name
from client.vault import Vault

from .client_keyring import environment
from .client_runner import client_runner

REJECTED_OF_OLD = "OIG Cloud rejected this e-mail and password. Call check_auth again."
"""What `client_servers` says without a code, or with one that is not known here."""

pytest_plugins = ("tests.client_servers", "tests.terminal")

SECRET = "hunter2 se:cret"
EMAIL = "a@b.cz"
BASIC = "Basic " + base64.b64encode(f"{EMAIL}:{SECRET}".encode()).decode()


@pytest.fixture
def keyring_file(tmp_path):
    return tmp_path / "keyring.json"


@pytest.fixture
def client(capsys, monkeypatch, keyring_file):
    return client_runner(capsys, monkeypatch, keyring_file, SECRET, BASIC.split()[1])


@pytest.fixture
def logged_in(client, mcp_server):
    code, out, err = client("login", "--email", EMAIL, "--url", mcp_server.url, OIG_PASSWORD=SECRET)
    assert (code, err) == (ExitCode.OK, "")
    assert "Login kept in the keyring" in out
    assert EMAIL in out


def kept(path):
    return json.loads(path.read_text()) if path.exists() else {}


def test_a_login_is_stored_for_its_server_and_removed_again(
    client, mcp_server, logged_in, keyring_file
):
    (name, secret), *more = kept(keyring_file).items()
    assert not more
    assert name == f"oig-client {mcp_server.url}"
    assert Login.unpacked(secret) == Login(EMAIL, SECRET)
    code, out, _ = client("logout", "--url", mcp_server.url)
    assert (code, kept(keyring_file)) == (ExitCode.OK, {})
    assert "Removed" in out
    code, out, _ = client("logout", "--json", "--url", mcp_server.url)
    assert json.loads(out)["removed"] is False
    assert code == ExitCode.OK


def test_a_wrong_password_is_not_stored(client, mcp_server, keyring_file):
    code, _, err = client("login", "--email", EMAIL, "--url", mcp_server.url, OIG_PASSWORD="wrong")
    assert code == ExitCode.TOOL
    assert "rejected" in err
    assert kept(keyring_file) == {}


def test_a_login_from_standard_input_replaces_the_stored_one(
    client, mcp_server, logged_in, keyring_file
):
    argv = ("login", "--json", "--password-stdin", "--email", "c@d.cz", "--url", mcp_server.url)
    code, out, _ = client(*argv, stdin=f"{SECRET}\n".encode())
    assert code == ExitCode.OK
    assert json.loads(out)["replaced"] == EMAIL
    assert [Login.unpacked(text) for text in kept(keyring_file).values()] == [
        Login("c@d.cz", SECRET)
    ]


def test_later_commands_use_the_stored_login_without_asking(client, mcp_server, logged_in):
    code, out, err = client("check-auth", "--json", "--url", mcp_server.url)
    assert (code, err) == (ExitCode.OK, "")
    assert json.loads(out)["email"] == EMAIL
    assert json.loads(out)["password_length"] == len(SECRET)
    code, out, _ = client("check-auth", "--email", EMAIL, "--json", "--url", mcp_server.url)
    assert json.loads(out)["password_length"] == len(SECRET)
    code, out, _ = client("call", "check_auth", "--json", "--url", mcp_server.url)
    assert json.loads(out)["structured_content"]["email"] == EMAIL


def test_a_given_login_takes_precedence_over_the_stored_one(client, mcp_server, logged_in):
    argv = ("check-auth", "--json", "--url", mcp_server.url)
    _, out, _ = client(*argv, OIG_PASSWORD="four")
    assert json.loads(out)["password_length"] == 4
    assert json.loads(out)["email"] == EMAIL
    code, out, _ = client(*argv, "--email", "other@b.cz")
    assert code == ExitCode.USAGE  # another account's password is asked for, and nobody is there
    assert "OIG_PASSWORD" in json.loads(out)["error"]["message"]


def test_the_no_keyring_option_ignores_the_stored_login(client, mcp_server, logged_in):
    code, _, err = client("check-auth", "--no-keyring", "--url", mcp_server.url)
    assert code == ExitCode.USAGE
    assert "--email" in err
    for command in (["login", "--email", EMAIL], ["logout"]):
        code, out, _ = client("--no-keyring", *command, "--json", "--url", mcp_server.url)
        assert code == ExitCode.TOOL
        assert json.loads(out)["error"]["kind"] == "no_keyring"


@pytest.mark.parametrize(
    ("ring", "kind", "words"),
    [
        ("fail", "no_keyring", "no keyring that oig-client could use"),
        ("Plain", "no_keyring", "no keyring that oig-client could use"),
        ("PlainChain", "no_keyring", "no keyring that oig-client could use"),
        ("Locked", "keyring_locked", "locked"),
        ("Forgetful", "keyring_broken", "does not give it back"),
        ("Broken", "keyring_broken", "LookupError"),
        ("Missing", "keyring_broken", "PYTHON_KEYRING_BACKEND"),
    ],
)
def test_without_a_keyring_nothing_is_written_and_the_user_learns_it(
    client, mcp_server, keyring_file, ring, kind, words
):
    argv = ("login", "--email", EMAIL, "--json", "--url", mcp_server.url)
    code, out, _ = client(*argv, ring=ring, OIG_PASSWORD=SECRET)
    error = json.loads(out)["error"]
    assert (code, error["kind"]) == (ExitCode.TOOL, kind)
    assert words in error["message"]
    assert not keyring_file.exists()
    # Commands that can do without go on without.
    code, out, err = client("call", "add", "a=1", "b=2", "--url", mcp_server.url, ring=ring)
    assert (code, out, err) == (ExitCode.OK, "3\n", "")


@pytest.mark.parametrize(
    "use", [Vault.find, Vault.remove, lambda vault: vault.keep(Login(EMAIL, SECRET))]
)
def test_without_the_package_keyring_the_extra_that_installs_it_is_named(monkeypatch, use):
    monkeypatch.setitem(sys.modules, "keyring", None)  # as an import of what is not installed
    with pytest.raises(NoKeyring, match=r"extra `keyring` .* OIG_EMAIL and OIG_PASSWORD") as told:
        use(Vault("http://localhost:8000/mcp"))
    assert told.value.kind == "no_keyring"


def test_of_several_keyrings_only_a_safe_one_gets_the_login(client, mcp_server, keyring_file):
    argv = ("login", "--email", EMAIL, "--url", mcp_server.url)
    code, _, _ = client(*argv, ring="MixedChain", OIG_PASSWORD=SECRET)
    assert code == ExitCode.OK
    assert len(kept(keyring_file)) == 1
    assert not keyring_file.with_name(f"{keyring_file.name}.plain").exists()
    _, out, _ = client("call", "who", "--json", "--url", mcp_server.url, ring="MixedChain")
    assert json.loads(out)["structured_content"]["email"] == EMAIL


def test_a_tool_without_email_and_password_gets_the_login_in_its_header(
    client, mcp_server, logged_in
):
    code, out, _ = client("call", "who", "--json", "--url", mcp_server.url)
    assert code == ExitCode.OK
    assert json.loads(out)["structured_content"] == {"email": EMAIL, "password_length": len(SECRET)}
    code, out, _ = client("call", "who", "--no-keyring", "--json", "--url", mcp_server.url)
    assert json.loads(out)["structured_content"] == {"email": "", "password_length": 0}


def test_another_login_for_one_call_is_named_by_its_email(client, mcp_server, logged_in):
    argv = ("call", "who", "--email", "c@d.cz", "--json", "--url", mcp_server.url)
    _, out, _ = client(*argv, OIG_PASSWORD="four")
    assert json.loads(out)["structured_content"] == {"email": "c@d.cz", "password_length": 4}


def test_a_given_password_is_used_with_the_stored_email(client, mcp_server, logged_in):
    argv = ("call", "who", "--json", "--url", mcp_server.url)
    whose = {"email": EMAIL, "password_length": 4}
    _, out, _ = client(*argv, OIG_PASSWORD="four")
    assert json.loads(out)["structured_content"] == whose
    _, out, _ = client(*argv, "--password-stdin", stdin=b"four\n")
    assert json.loads(out)["structured_content"] == whose
    _, out, _ = client(*argv, "--email", EMAIL, OIG_PASSWORD="four")
    assert json.loads(out)["structured_content"] == whose


def test_only_the_call_itself_contains_the_login(client, mcp_server, logged_in):
    for mode in ("first", "second"):
        code, out, _ = client("call", "seen", "--json", "--url", mcp_server.url)
        assert code == ExitCode.OK, mode
    # The calls themselves are the only requests that came with a header.
    assert set(json.loads(out)["structured_content"]["result"]) == {"tools/call"}


def test_no_other_url_is_given_the_login(client, mcp_server, mortal_server, logged_in):
    for url in (mortal_server.url, mcp_server.url.replace("127.0.0.1", "localhost")):
        _, out, _ = client("call", "who", "--json", "--url", url)
        assert json.loads(out)["structured_content"]["email"] == ""


@pytest.mark.parametrize(
    ("method", "url", "body", "sent"),
    [
        ("POST", "http://h/mcp", {"method": "tools/call"}, True),
        ("POST", "http://h/mcp", {"method": "tools/list"}, False),
        ("POST", "http://h/mcp", [1], False),
        ("GET", "http://h/mcp", {"method": "tools/call"}, False),
        ("POST", "https://h/mcp", {"method": "tools/call"}, False),
        ("POST", "http://h/mcp2", {"method": "tools/call"}, False),
        ("POST", "http://h:8000/mcp", {"method": "tools/call"}, False),
        ("POST", "http://h.evil.example/mcp", {"method": "tools/call"}, False),
    ],
)
def test_the_header_goes_to_one_url_with_calls_alone(method, url, body, sent):
    request = httpx2.Request(method, url, json=body)
    (passed,) = Identity("http://h/mcp", Login(EMAIL, SECRET)).auth_flow(request)
    assert passed.headers.get("Authorization") == (BASIC if sent else None)


def test_plain_http_to_another_machine_is_warned_of_once(
    client, mcp_server, logged_in, monkeypatch
):
    monkeypatch.setattr("client.session.is_here", lambda _url: False)
    lines = b"who\ncheck_auth\nwho\nexit\n"
    code, _, err = client("shell", "--verbose", "--url", mcp_server.url, stdin=lines)
    assert code == ExitCode.OK
    assert err.count("http:// sends the password unencrypted") == 1


def test_a_redirect_is_not_followed_with_the_login(client, odd_server, keyring_file):
    url = odd_server.url.replace("/mcp", "/moved")
    keyring_file.write_text(json.dumps({f"oig-client {url}": Login(EMAIL, SECRET).packed()}))
    code, _, _ = client("call", "who", "--url", url)
    assert code in {ExitCode.NOT_MCP, ExitCode.UNREACHABLE}


def test_a_rejected_stored_login_says_how_to_renew_it(client, mcp_server, keyring_file):
    keyring_file.write_text(
        json.dumps({f"oig-client {mcp_server.url}": Login(EMAIL, "wrong").packed()})
    )
    code, _, err = client("check-auth", "--url", mcp_server.url)
    assert code == ExitCode.TOOL
    assert "oig-client login" in err


@pytest.mark.parametrize(
    ("password", "kind", "forgotten"),
    [
        ("wrong", "credentials_rejected", True),
        ("wrong, without a code", "tool_error", False),
        ("wrong, in a newer way", "credentials_outdated", False),
    ],
)
def test_only_the_servers_error_code_makes_the_client_forget_a_login(
    client, mcp_server, keyring_file, monkeypatch, password, kind, forgotten
):
    keyring_file.write_text(
        json.dumps({f"oig-client {mcp_server.url}": Login(EMAIL, password).packed()})
    )
    gone = []
    monkeypatch.setattr("client.session.Session.forget", lambda _self, login: gone.append(login))
    code, out, _ = client("check-auth", "--json", "--url", mcp_server.url)
    error = json.loads(out)["error"]
    assert (code, error["kind"]) == (ExitCode.TOOL, kind)
    assert gone == ([Login(EMAIL, password)] if forgotten else [])
    assert ("oig-client login" in error["message"]) is forgotten
    # What is not known here is shown as it is, orders to an assistant and all.
    assert error["message"].endswith(REJECTED_OF_OLD) is not forgotten


def test_the_password_is_asked_for_only_where_it_can_be_stored(terminal, mcp_server, keyring_file):
    argv = [sys.executable, "-m", "client", "login", "--url", mcp_server.url]
    screen = terminal(argv, environment("fail", keyring_file))
    assert screen.wait() == ExitCode.TOOL
    assert "No keyring" in screen.text
    assert "email:" not in screen.text
    screen = terminal(argv, environment("InFile", keyring_file))
    screen.expect("email:")
    screen.send(f"{EMAIL}\r")
    screen.expect_hidden("password (not shown):")
    screen.send(f"{SECRET}\r")
    assert screen.wait() == 0
    assert "Login kept in the keyring" in screen.text
    assert SECRET.encode() not in screen.raw
    assert len(kept(keyring_file)) == 1


ASKING = (["live"], ["history", "solar", "--from", "2026-11-20"], ["live", "--watch"])


@pytest.mark.parametrize("argv", ASKING)
def test_without_a_keyring_email_and_password_are_asked_for_and_no_session(
    terminal, box_server, keyring_file, argv
):
    argv = [sys.executable, "-m", "client", *argv, "--url", box_server.url]
    screen = terminal(argv, environment("fail", keyring_file), rows=40)
    screen.expect("email:")
    screen.send(f"{EMAIL}\r")
    screen.expect_hidden("password (not shown):")
    screen.send(f"{SECRET}\r")
    screen.expect("2206237016")
    assert "session (" not in screen.text


def test_the_environment_is_enough_without_a_keyring(client, box_server):
    argv = ("live", "--json", "--url", box_server.url)
    code, out, _ = client(*argv, ring="fail", OIG_EMAIL=EMAIL, OIG_PASSWORD=SECRET)
    assert code == ExitCode.OK
    assert json.loads(out)["box_id"]
    code, out, _ = client(*argv, ring="fail", OIG_PASSWORD=SECRET)
    assert code == ExitCode.USAGE
    assert "give --email" in json.loads(out)["error"]["message"]
    code, out, _ = client(*argv, ring="fail", OIG_EMAIL=EMAIL)
    assert code == ExitCode.USAGE
    assert "OIG_PASSWORD" in json.loads(out)["error"]["message"]


def test_an_email_in_the_environment_takes_precedence_over_the_stored_one(
    client, mcp_server, logged_in
):
    environ = {"OIG_EMAIL": "c@d.cz", "OIG_PASSWORD": "four"}
    _, out, _ = client("check-auth", "--json", "--url", mcp_server.url, **environ)
    assert json.loads(out)["email"] == "c@d.cz"


def test_a_login_that_worked_is_not_asked_for_again_in_the_same_shell(
    terminal, box_server, keyring_file, tmp_path
):
    env = environment("fail", keyring_file) | {"XDG_STATE_HOME": str(tmp_path)}
    screen = terminal([sys.executable, "-m", "client", "--url", box_server.url], env)

    def enter(line):
        screen.until(lambda: screen.lines[screen.screen.cursor.y] == "oig>", "an empty prompt")
        screen.send(f"{line}\r")

    enter(f"live --email {EMAIL}")
    screen.expect_hidden("password (not shown):")
    screen.send(f"{SECRET}\r")
    enter("json on")
    enter("notifications")
    screen.expect('"warnings"')
    enter("exit")
    assert screen.wait() == 0
    assert screen.raw.count(b"password (not shown)") == 1
    assert b"email: " not in screen.raw


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://Localhost:8000/mcp/", "http://localhost:8000/mcp"),
        ("https://h/mcp", "https://h:443/mcp"),
        ("http://[::1]/mcp", "http://[::1]:80/mcp"),
        ("https://h:444/mcp?key=1", "https://h:444/mcp?key=1"),
    ],
)
def test_a_server_has_one_name_in_the_keyring(url, name):
    assert server_name(url) == name


@pytest.mark.parametrize("text", ["", "[]", '{"email": "a"}', '{"email": 1, "password": "x"}'])
def test_a_foreign_keyring_entry_is_not_taken_for_a_login(text):
    assert Login.unpacked(text) is None


def test_the_header_is_utf8_and_the_password_is_not_in_the_repr():
    login = Login("a@b.cz", "p\u0159:")
    assert base64.b64decode(login.basic.removeprefix("Basic ")).decode() == "a@b.cz:p\u0159:"
    assert "p\u0159" not in repr(login)
