"""A hostile server's words: read they may be, but nothing else."""

from __future__ import annotations

import io
import json
import sys

import pytest

from client.__main__ import main
from client.exit_codes import ExitCode
from client.readable import MARK, clean, escaped, one_line

pytest_plugins = ("tests.client_servers", "tests.terminal")

HIDING = (
    "\x00\x1b\x7f\x9b\u061c\u200b\u200e\u2028\u2029\u202e\u2069\ufeff\U000e0041\U000e01ef"
    "\u034f\u115f\u1160\u17b4\u180b\u180f\u2065\u3164\ufe00\ufe0f\uffa0\ufff0"
)
CLIENT = [sys.executable, "-m", "client"]


@pytest.mark.parametrize("character", HIDING)
def test_characters_that_move_reverse_or_hide_text_become_a_mark(character):
    assert clean(f"a{character}b") == f"a{MARK}b"
    document = json.dumps({"a": character}, ensure_ascii=False)
    assert character not in escaped(document)
    assert json.loads(escaped(document)) == {"a": character}


def test_words_of_any_language_are_unchanged():
    text = "P\u0159\u00edli\u0161 \u017elu\u0165ou\u010dk\u00fd, \u4f60\u597d, \U0001f50b"
    assert clean(text) == one_line(text) == escaped(text) == text


def test_a_line_stays_one_line():
    assert clean("a\r\n\tb\r") == f"a\n\tb{MARK}"
    assert one_line("a\r\n\tb\nc") == "a b c"


def harmless(raw):
    assert b"EVIL" in raw
    assert b"\x1b[31mEVIL" not in raw
    for character in "\x9b\u202e\u061c":
        assert character.encode() not in raw
    assert b"\x1b]8" not in raw


PLANNED = ["plan", "--mode", "home_1", "--box", "1", "--email", "a@b.cz"]


@pytest.mark.parametrize(
    "argv",
    [
        ["tools", "-v"],
        ["call", "say"],
        ["call", "say", "--json"],
        ["live"],
        ["history", "solar", "--from", "2026-11-20", "--csv", "-"],
        PLANNED,
        [*PLANNED, "--apply", "--yes-apply-to", "1", "--wait", "2"],
    ],
)
def test_no_command_prints_terminal_control_characters(terminal, hostile_server, argv):
    argv = [*CLIENT, *argv, "--no-keyring", "--url", hostile_server.url]
    screen = terminal(argv, {"OIG_PASSWORD": "pw"})
    assert screen.wait() in {ExitCode.OK, ExitCode.TOOL}
    harmless(screen.raw)


def test_no_prompt_prints_terminal_control_characters(terminal, hostile_server):
    for tool in ("ask", "hide"):
        screen = terminal([*CLIENT, "call", tool, "--url", hostile_server.url])
        screen.expect("p\ufffd[31mEVIL")
        screen.send("x\r" if tool == "hide" else "x\r\x03")
        screen.wait()
        harmless(screen.raw)


def test_the_shell_does_not_print_terminal_control_characters(terminal, hostile_server, tmp_path):
    env = {"XDG_STATE_HOME": str(tmp_path), "OIG_MCP_URL": hostile_server.url}
    screen = terminal(CLIENT, env)
    screen.expect("your bank")
    screen.expect("oig> ")
    screen.send("\t\t")
    screen.send("\x03")
    screen.send("exit\r")
    assert screen.wait() == 0
    harmless(screen.raw)


def test_a_line_of_the_client_cannot_be_forged(capsys, monkeypatch, hostile_server):
    monkeypatch.setattr("client.control.waiting.FIRST_LOOK", 0)
    monkeypatch.setattr("client.control.waiting.PAUSE", 0)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    plan = ["plan", "--mode", "home_1", "--box", "1"]
    for argv, said in (
        (["notifications"], "automatic on"),
        (plan, "automatic on"),
        ([*plan, "--apply", "--yes-apply-to", "1"], "Could not look"),
    ):
        main([*argv, "--no-keyring", "--url", hostile_server.url])
        told = "".join(capsys.readouterr())
        assert said in told
        assert not any(line.startswith("Bypass") for line in told.splitlines())
