"""Logging out with oig-client: what ends at the server, and what is forgotten here."""

from __future__ import annotations

import io
import json
import sys

import pytest

from client.__main__ import main
from client.exit_codes import ExitCode
from client.login import Login

from .client_keyring import environment
from .fleet import check_auth, running_fleet

pytest_plugins = ("tests.client_servers",)

EMAIL = "demo@example.com"
FROM_CACHE, NEW = "session_from_cache", "new_session_created"


@pytest.fixture(scope="module")
def fleet():
    with running_fleet(1) as fleet:
        yield fleet


@pytest.fixture
def ring(tmp_path):
    return tmp_path / "keyring.json"


@pytest.fixture
def client(capsys, monkeypatch, ring):
    """Run the client in this process; return exit code, stdout and stderr."""
    for name in ("OIG_EMAIL", "OIG_PASSWORD", "OIG_MCP_URL", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*argv, stdin=b"", keyring="InFile"):
        for name, value in environment(keyring, ring).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("keyring.core._keyring_backend", None)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        return main(argv), *capsys.readouterr()

    return run


def keep(ring, url, email=EMAIL, password="demo"):
    ring.write_text(json.dumps({f"oig-client {url}": Login(email, password).packed()}))


def status(fleet):
    return check_auth(fleet.url)["structuredContent"]["cache_status"]


@pytest.mark.parametrize("command", ["logout", "log-out"])
def test_the_stored_login_ends_at_the_server_and_is_forgotten(client, fleet, ring, command):
    keep(ring, fleet.url)
    status(fleet)
    assert status(fleet) == FROM_CACHE
    code, out, err = client(command, "--url", fleet.url)
    assert (code, err) == (ExitCode.OK, "")
    assert "Removed the login" in out
    assert "ended at the server" in out
    assert json.loads(ring.read_text()) == {}
    assert status(fleet) == NEW
    code, out, _ = client(command, "--json", "--url", fleet.url)
    told = json.loads(out)
    assert (code, told["removed"], told["ended"], told["why"]) == (0, False, False, None)
    assert status(fleet) == FROM_CACHE


def test_a_login_that_is_not_stored_ends_as_well(client, fleet, ring):
    status(fleet)
    argv = ("log-out", "--email", EMAIL, "--password-stdin", "--json", "--url", fleet.url)
    for keyring in ("InFile", "fail"):
        code, out, _ = client(*argv, stdin=b"demo\n", keyring=keyring)
        told = json.loads(out)
        assert (code, told["removed"], told["ended"]) == (ExitCode.OK, False, True)
        assert status(fleet) == NEW
    assert not ring.exists()


def test_the_stored_login_of_another_account_stays(client, fleet, ring):
    keep(ring, fleet.url, "demo2@example.com")
    argv = ("log-out", "--email", EMAIL, "--password-stdin", "--json", "--url", fleet.url)
    assert json.loads(client(*argv, stdin=b"demo\n")[1])["removed"] is False
    assert len(json.loads(ring.read_text())) == 1


def test_the_stored_login_goes_even_when_the_server_cannot_be_reached(client, ring, closed_port):
    url = f"http://127.0.0.1:{closed_port}/mcp"
    keep(ring, url)
    code, out, _ = client("logout", "--json", "--url", url)
    told = json.loads(out)
    assert code == ExitCode.UNREACHABLE
    assert (told["removed"], told["ended"]) == (True, False)
    assert told["why"]
    assert json.loads(ring.read_text()) == {}
    keep(ring, url)
    code, out, err = client("logout", "--url", url)
    assert (code, err) == (ExitCode.UNREACHABLE, "")
    assert "The server has not ended it" in out


def test_a_server_without_log_out_is_not_a_failure(client, ring, mcp_server):
    keep(ring, mcp_server.url)
    code, out, _ = client("logout", "--json", "--url", mcp_server.url)
    told = json.loads(out)
    assert (code, told["removed"], told["ended"]) == (ExitCode.OK, True, False)
    assert "log_out" in told["why"]


def test_the_shell_logs_out_and_needs_a_new_login_afterwards(client, fleet, ring):
    keep(ring, fleet.url)
    lines = b"json on\nlist_boxes\nlog-out\nlist_boxes\n"
    code, out, _ = client("shell", "--url", fleet.url, stdin=lines)
    boxes, told, after = (json.loads(line) for line in out.splitlines()[-3:])
    assert boxes["structured_content"]["boxes"]
    assert (told["removed"], told["ended"]) == (True, True)
    assert after["error"]["kind"] == "no_login"
    assert code == ExitCode.USAGE


def test_the_tool_itself_can_be_called_and_needs_no_confirmation(client, fleet, ring):
    keep(ring, fleet.url)
    status(fleet)
    code, out, _ = client("call", "log_out", "--json", "--url", fleet.url)
    assert code == ExitCode.OK
    told = json.loads(out)["structured_content"]
    assert told == {"ended": "login", "session_kept": False}
    assert status(fleet) == NEW


def test_a_warning_of_check_auth_is_shown(client, ring):
    with running_fleet(1, OIG_SESSION_IDLE="0.001") as fleet:
        keep(ring, fleet.url)
        client("check-auth", "--url", fleet.url)
        fleet.portal.fault("error", endpoint="live", requests=1)
        code, out, _ = client("check-auth", "--url", fleet.url)
    assert code == ExitCode.OK
    assert "may have ended" in out
