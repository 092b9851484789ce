from __future__ import annotations

import shlex
import stat

import pytest

from client.catalogue import Catalogue, Server, Tool
from client.completion import ShellCompleter
from client.history import KEPT, FileHistory, Memory, history_path, memory_for
from client.shell import COMMANDS

KNOWN = Catalogue(
    Server("s", "1", "p"),
    (
        Tool(
            "check_auth",
            "Check login",
            "",
            {
                "properties": {
                    "email": {"type": "string"},
                    "key": {"type": "string", "writeOnly": True},
                }
            },
        ),
        Tool(
            "set_mode",
            "",
            "Set the mode.",
            {"properties": {"mode": {"enum": ["eco", "home"]}, "dry_run": {"type": "boolean"}}},
        ),
    ),
)


@pytest.mark.parametrize(
    "line",
    [
        "tools",
        "help",
        "json on",
        "describe set_mode",
        "call set_mode mode=eco",
        "set_mode mode=eco dry_run:=true",
        "check_auth email=a@b.cz",
        "check-auth",
        "check-auth a@b.cz",
        "check-auth --email a@b.cz",
    ],
)
def test_a_line_that_is_understood_is_stored(line):
    assert memory_for(line, KNOWN) is Memory.FILE


@pytest.mark.parametrize(
    ("line", "memory"),
    [
        ("apply plan_AAAA", Memory.RUN),
        ("apply plan_AAAA --no-wait", Memory.RUN),
        ("apply --no-wait", Memory.FILE),
        ("apply -", Memory.FILE),
        ("apply_change plan_token=plan_AAAA", Memory.RUN),
        ("call apply_change plan_token=plan_AAAA", Memory.RUN),
        ("apply_change session=oig_AAAA", Memory.NOWHERE),
        ("apply_change", Memory.FILE),
    ],
)
def test_a_token_or_session_stays_out_of_the_file(line, memory):
    properties = {name: {"type": "string"} for name in ("plan_token", "session")}
    tool = Tool("apply_change", "", "", {"properties": properties})
    assert memory_for(line, Catalogue(Server("s", "1", "p"), (tool,))) is memory


@pytest.mark.parametrize(
    "line",
    [
        "hunter2",
        "describe hunter2",
        "check-auth hunter2",
        "check-auth a@b.cz hunter2",
        "check_auth hunter2",
        "set_mode mode=eco hunter2",
        "set_mode mod=hunter2",
        "call hunter2 a=b",
        "call",
        'set_mode mode="eco',
        "json maybe",
    ],
)
def test_a_line_that_is_not_understood_stays_out_of_the_file(line):
    assert memory_for(line, KNOWN) is Memory.RUN


@pytest.mark.parametrize(
    "line",
    [
        "check_auth email=a key=hunter2",
        "call check_auth key:='\"hunter2\"'",
        "check_auth password=hunter2",
        "nonsense PassWord = hunter2",
        'call check_auth my_password="hun',
        "check-auth --password-stdin=hunter2",
        "login --password-stdin=hunter2",
        "",
        "   ",
    ],
)
@pytest.mark.parametrize("known", [KNOWN, None])
def test_a_secret_is_never_stored(line, known):
    if known is None and "key" in line:
        assert memory_for(line, known) is Memory.RUN
    else:
        assert memory_for(line, known) is Memory.NOWHERE


def test_the_file_is_the_owners_alone_and_read_back_newest_first(tmp_path):
    path = tmp_path / "state" / "oig-client" / "history"
    history = FileHistory(path)
    history.append_string("what the editor offers")
    history.remember("tools", Memory.FILE)
    history.remember("hunter2", Memory.RUN)
    history.remember("password=x", Memory.NOWHERE)
    history.remember("help", Memory.FILE)
    assert path.read_text() == "tools\nhelp\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert history.get_strings() == ["tools", "hunter2", "help"]
    assert list(FileHistory(path).load_history_strings()) == ["help", "tools"]


def test_a_file_left_open_to_others_is_closed(tmp_path):
    path = tmp_path / "history"
    path.touch(0o644)
    FileHistory(path).remember("tools", Memory.FILE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_shell_works_without_a_writable_history_file(tmp_path):
    (tmp_path / "in the way").touch()
    history = FileHistory(tmp_path / "in the way" / "history")
    history.remember("tools", Memory.FILE)
    assert history.get_strings() == ["tools"]


def test_the_file_is_cut_to_the_lines_that_are_read(tmp_path):
    path = tmp_path / "history"
    path.write_text("".join(f"tools {number}\n" for number in range(KEPT + 5)))
    path.chmod(0o644)
    FileHistory(path).trim()
    lines = path.read_text().splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("tools 5", f"tools {KEPT + 4}", KEPT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
    before = path.stat()
    FileHistory(path).trim()
    assert path.stat() == before
    FileHistory(tmp_path / "none" / "history").trim()
    assert list(tmp_path.iterdir()) == [path]


def test_the_path_follows_xdg(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert str(history_path({"XDG_STATE_HOME": "/x"})) == "/x/oig-client/history"
    assert history_path({"XDG_STATE_HOME": "relative"}) == history_path({})
    assert history_path({}) == tmp_path / ".local/state/oig-client/history"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("to", ["tools "]),
        ("set", ["set_mode "]),
        ("call se", ["set_mode "]),
        ("describe ch", ["check_auth "]),
        ("json ", ["on ", "off "]),
        ("set_mode ", ["mode=", "dry_run="]),
        ("set_mode m", ["mode="]),
        ("call set_mode mode=", ["mode=eco ", "mode=home "]),
        ("set_mode mode=h", ["mode=home "]),
        ("set_mode mode=eco ", ["dry_run="]),
        ("set_mode dry_run=", ["dry_run=true ", "dry_run=false "]),
        ("check_auth ", ["email="]),
        ("nonsense ", []),
        ("tools ", []),
    ],
)
def test_tab_offers_what_fits(typed, offered):
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    completer = ShellCompleter(COMMANDS, lambda: KNOWN)
    found = completer.get_completions(Document(typed), CompleteEvent())
    assert [completion.text for completion in found] == offered


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("plan_change mode=", ["'Home 1' ", "'Home UPS' ", "eco "]),
        ("plan_change mode=H", ["'Home 1' ", "'Home UPS' "]),
        ("plan_change mode='Home U", ["'Home UPS' "]),
        ('plan_change mode="Home ', ["'Home 1' ", "'Home UPS' "]),
        ("plan_change mode='Home 1' ", ["box="]),
        ("plan_change mode='x", []),
    ],
)
def test_a_value_is_offered_in_the_form_to_type(typed, offered):
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    values = {"mode": {"enum": ["Home 1", "Home UPS", "eco"]}, "box": {"type": "string"}}
    tool = Tool("plan_change", "", "", {"properties": values})
    completer = ShellCompleter(COMMANDS, lambda: Catalogue(Server("s", "1", "p"), (tool,)))
    found = list(completer.get_completions(Document(typed), CompleteEvent()))
    assert [one.text.removeprefix("mode=") for one in found] == offered
    for one in found:
        line = typed[: len(typed) + one.start_position] + one.text
        assert shlex.split(line)[-1] in {"mode=Home 1", "mode=Home UPS", "mode=eco", "box="}


def test_tab_offers_the_commands_before_a_server_was_seen():
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    completer = ShellCompleter(COMMANDS, lambda: None)
    found = completer.get_completions(Document(""), CompleteEvent())
    assert [completion.text.strip() for completion in found] == list(COMMANDS)
