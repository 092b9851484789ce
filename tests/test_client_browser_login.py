"""The client at the project's own server, where owners log in with a browser."""

from __future__ import annotations

import io
import json
import sys

import pytest

from client.__main__ import main
from client.exit_codes import ExitCode

from .fleet import running_fleet

EMAIL, PASSWORD = "demo@example.com", "demo"
WALK = (
    *("challenge", "resource", "issuer", "openid", "register"),
    *("token", "login page", "header"),
)


@pytest.fixture(scope="module")
def hard():
    """Run a server with a public address, that takes no passwords as arguments."""
    with running_fleet(0) as fleet:
        fleet.environment |= {
            "OIG_PUBLIC_URL": fleet.url.removesuffix("/mcp"),
            "OIG_CHAT_PASSWORDS": "off",
            "OIG_CHAT_HOSTS": "127.0.0.1",
            "OIG_CONTROL": "on",
        }
        fleet.start_worker("worker-0")
        fleet.wait_worker("worker-0")
        yield fleet


@pytest.fixture
def client(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("OIG_EMAIL", "OIG_PASSWORD", "OIG_MCP_URL", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setattr("keyring.core._keyring_backend", None)

    def run(*argv, password=PASSWORD, url=None):
        if password is not None:
            monkeypatch.setenv("OIG_EMAIL", EMAIL)
            monkeypatch.setenv("OIG_PASSWORD", password)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        code = main([*argv, "--json", "--url", url])
        out, err = capsys.readouterr()
        assert err == ""
        return code, json.loads(out)

    return run


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize(
    "argv",
    [
        ("check-auth",),
        ("tools",),
        ("boxes",),
        ("live",),
        ("call", "log_out"),
        ("plan", "--charge-to", "80"),
        ("changes",),
    ],
)
def test_commands_work_with_and_without_a_browser_login_at_the_address(client, hard, name, argv):
    code, told = client(*argv, url=hard.url.replace("localhost", name))
    assert code == ExitCode.OK, told


def test_a_wrong_password_is_reported_as_one(client, hard):
    code, told = client("check-auth", password="wrong", url=hard.url)
    assert (code, told["error"]["kind"]) == (ExitCode.TOOL, "credentials_rejected")


def test_without_a_login_only_its_absence_is_reported(client, hard):
    code, told = client("tools", password=None, url=hard.url)
    assert (code, told["error"]["kind"]) == (ExitCode.USAGE, "no_login")


def test_the_doctor_walks_as_a_client_does(client, hard):
    code, report = client("doctor", url=hard.url)
    marks = {step["step"]: step["status"] for step in report["steps"]}
    assert code == ExitCode.OK, report
    assert {marks[name] for name in (*WALK, "protocol", "older", "tools", "login")} == {"ok"}


def test_the_doctor_has_one_line_for_a_second_address_without_browser_login(client, hard):
    code, report = client("doctor", url=hard.url.replace("localhost", "127.0.0.1"))
    marks = {step["step"]: step["status"] for step in report["steps"]}
    assert (code, marks["challenge"]) == (ExitCode.OK, "skipped"), report
    assert not {*WALK[1:]} & marks.keys()


def test_config_asks_the_server(client, hard):
    _, entry = client("config", "claude-code", url=hard.url)
    assert entry["mcpServers"]["oig-cloud"] == {"type": "http", "url": hard.url}
    _, entry = client("config", "claude-code", url=hard.url.replace("localhost", "127.0.0.1"))
    assert "headers" in entry["mcpServers"]["oig-cloud"]
