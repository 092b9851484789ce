from __future__ import annotations

import stat

import pytest

from client.catalogue import Catalogue, Server, Tool
from client.completion import ShellCompleter
from client.history import FileHistory, Memory, history_path, memory_for
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
def test_a_line_that_is_understood_is_kept(line):
    assert memory_for(line, KNOWN) is Memory.FILE


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
        "",
        "   ",
    ],
)
@pytest.mark.parametrize("known", [KNOWN, None])
def test_a_secret_is_kept_nowhere(line, known):
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


def test_a_file_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "in the way").touch()
    history = FileHistory(tmp_path / "in the way" / "history")
    history.remember("tools", Memory.FILE)
    assert history.get_strings() == ["tools"]


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


def test_tab_offers_the_commands_before_a_server_was_seen():
    from prompt_toolkit.completion import CompleteEvent
    from prompt_toolkit.document import Document

    completer = ShellCompleter(COMMANDS, lambda: None)
    found = completer.get_completions(Document(""), CompleteEvent())
    assert [completion.text.strip() for completion in found] == list(COMMANDS)
