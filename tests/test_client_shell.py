"""Commands of the program that work in the shell too."""

from __future__ import annotations

import io
import json
import sys

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from client.__main__ import main
from client.completion import ShellCompleter
from client.dispatch import COMMANDS as DISPATCH
from client.exit_codes import ExitCode
from client.history import Memory, memory_for
from client.login import Login
from client.shell import COMMANDS, help_text

from .client_battery import ID
from .client_keyring import environment

pytest_plugins = ("tests.client_servers",)


@pytest.fixture
def script(capsys, monkeypatch, tmp_path, box_server):
    """Run lines in the shell, with a login that is kept."""
    for name in ("OIG_EMAIL", "OIG_PASSWORD", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    ring = tmp_path / "keyring.json"
    ring.write_text(json.dumps({f"oig-client {box_server.url}": Login("a@b.cz", "pw").packed()}))
    for name, value in environment("InFile", ring).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("keyring.core._keyring_backend", None)
    # The server of this run is the one of the command line, not of the environment.
    monkeypatch.setenv("OIG_MCP_URL", "http://nowhere.invalid/mcp")

    def run(*lines, more=()):
        source = io.TextIOWrapper(io.BytesIO("\n".join(lines).encode()))
        monkeypatch.setattr(sys, "stdin", source)
        code = main(["shell", "--url", box_server.url, *more])
        return code, *capsys.readouterr()

    run.ring = ring  # type: ignore[attr-defined]
    return run


def test_older_notifications_are_asked_for_in_the_shell_as_on_the_command_line(script):
    code, out, err = script("notifications --limit 3 --before 0123456789abcdef")
    assert code == ExitCode.TOOL
    assert "the id of a notification that the portal still has" in out + err
    assert "--before" in script("help notifications")[1]


def test_the_box_is_shown_and_the_login_removed(script):
    code, out, err = script("live", "json on", "history solar --from 2026-11-20", "logout", "live")
    assert out.startswith(f"Box {ID}")
    series, removed, failure = (json.loads(line) for line in out.splitlines()[-3:])
    assert series["series"] == "solar"
    assert removed["removed"] is True
    assert "give --email" in failure["error"]["message"]
    assert json.loads(script.ring.read_text()) == {}
    assert (code, err) == (ExitCode.USAGE, "")


def test_the_boxes_are_listed_in_the_shell_as_on_the_command_line(script):
    code, out, err = script("boxes", "json on", "boxes")
    table, told = out.splitlines()[:2], json.loads(out.splitlines()[-1])
    assert table[0].split() == ["Box", "Model", "Panels", "Capacity", "Charge", "Online"]
    assert table[1].startswith(ID)
    assert [one["id"] for one in told["boxes"]] == [ID]
    assert (code, err) == (ExitCode.OK, "")


def test_status_in_the_shell_sets_the_exit_code(script):
    code, out, err = script("status", f"status --box {ID}")
    assert out.count(f"Box {ID}: fine as far as known") == 2
    assert (code, err) == (ExitCode.IN_DOUBT, "")


def test_a_command_in_the_shell_uses_the_time_limit_of_the_shell(script, monkeypatch):
    seen = []
    monkeypatch.setitem(DISPATCH, "doctor", lambda _session, options: seen.append(options.timeout))
    script("doctor", more=("--timeout", "7"))
    assert seen == [7.0]


def test_help_is_shown_and_global_options_are_refused(script):
    code, out, err = script("history --help", "live --url http://other/mcp", "live")
    assert "--csv FILE" in out
    assert "Unknown option --url" in err
    assert f"Box {ID}" in out
    assert code == ExitCode.USAGE


def test_a_command_that_fails_without_an_error_sets_the_exit_code_of_the_script(script):
    code, out, _ = script("json on", "doctor --as claude-desktop", "live")
    doctor, live = (json.loads(line) for line in out.splitlines()[-2:])
    assert doctor["first_wrong"] is not None
    assert live["box_id"] == ID
    assert code == doctor["exit_code"] == ExitCode.NOT_MCP


@pytest.mark.parametrize(
    ("line", "memory"),
    [
        ("live --watch 5", Memory.FILE),
        ("history solar --from 2026-11-20 --to 2026-11-21", Memory.FILE),
        ("login --email a@b.cz", Memory.FILE),
        ("logout", Memory.FILE),
        ("log-out --email a@b.cz", Memory.FILE),
        ("login hunter2", Memory.RUN),
        ("history solar", Memory.RUN),
        ("login --password hunter2", Memory.NOWHERE),
    ],
)
def test_only_a_line_that_is_understood_is_remembered(line, memory):
    assert memory_for(line, None) is memory


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("history ", {"solar", "battery", "grid", "load"}),
        ("live --w", {"--watch"}),
        ("history solar --f", {"--from"}),
        ("log", {"login", "logout", "log-out"}),
        ("log-out --e", {"--email"}),
    ],
)
def test_commands_and_their_options_are_completed(line, words):
    completer = ShellCompleter(COMMANDS, lambda: None)
    found = completer.get_completions(Document(line), CompleteEvent())
    assert {one.text.strip() for one in found} == words


def test_the_help_names_every_command_in_its_column():
    lines = help_text().splitlines()
    for name in COMMANDS:
        assert any(line.startswith(f"  {name} ") for line in lines)
    assert max(map(len, lines)) <= 80


def test_help_for_a_command_is_that_of_the_command(script):
    code, out, _ = script("help live", "help tools", "help get_history")
    assert code == ExitCode.OK
    assert "--watch [SECONDS]" in out
    assert "tools: list the tools" in out
    assert "Parameters" in out


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("tools x", "Usage: tools: list"),
        ("exit x", "Usage: exit: leave"),
        ("call", "Usage: call TOOL"),
    ],
)
def test_the_usage_separates_each_command_from_its_meaning(script, line, told):
    assert told in script(line)[2]
