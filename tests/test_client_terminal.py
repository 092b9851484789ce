"""What a person sees and what the machine keeps, on a real pseudo-terminal of 80x24."""

from __future__ import annotations

import re
import stat
import sys

import pytest

from client.history import KEPT

pytest_plugins = ("tests.client_servers", "tests.terminal")

CLIENT = [sys.executable, "-m", "client"]
SECRET = "hunter2-secret"
CTRL_C, CTRL_D, TAB = "\x03", "\x04", "\t"


@pytest.fixture
def shell(terminal, tmp_path, mcp_server):
    """Start the shell with a history of its own."""

    def start(url=mcp_server.url, **more):
        env = {"XDG_STATE_HOME": str(tmp_path), "OIG_MCP_URL": url}
        return terminal(CLIENT, env, **more)

    return start


def expect_line(screen, line):
    """Wait until the line being edited is `line`."""

    def edited():
        prompts = [shown for shown in screen.lines if shown.startswith("oig>")]
        return prompts[-1:] == [f"oig> {line}".rstrip()]

    screen.until(edited, f"{line!r} at the prompt")


def enter(screen, line):
    """Type a command once the prompt is there: keys typed before it reach no editor."""
    expect_line(screen, "")
    screen.send(f"{line}\r")


@pytest.fixture
def history(tmp_path):
    return tmp_path / "oig-client" / "history"


def test_check_auth_asks_for_what_is_missing_and_hides_the_password(terminal, mcp_server):
    env = {"OIG_MCP_URL": mcp_server.url, "TZ": "Pacific/Auckland"}
    screen = terminal([*CLIENT, "check-auth"], env)
    screen.expect("email: ")
    assert screen.echoes
    screen.send("user@example.com\r")
    screen.expect_hidden("password (not shown): ")
    screen.send(f"{SECRET}\r")
    assert screen.wait() == 0
    assert "Login confirmed" in screen.text
    assert "14 characters" in screen.text
    assert re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0[12]:00 \(in 12 h", screen.text)
    assert SECRET.encode() not in screen.raw
    assert b"\x1b[32m" in screen.raw  # the frame is green


def test_a_spinner_turns_on_stderr_and_ctrl_c_ends_it_quietly(terminal, mcp_server, tmp_path):
    with (tmp_path / "stdout").open("wb") as stdout:
        screen = terminal(
            [*CLIENT, "call", "sleep", "--url", mcp_server.url],
            {"NO_COLOR": "1"},
            stdout=stdout.fileno(),
        )
        screen.expect("sleep: waiting for 127.0.0.1")
        screen.send(CTRL_C)
        assert screen.wait() == 130
    assert screen.text in {"", "^C"}
    assert b"\x1b[3" not in screen.raw
    assert (tmp_path / "stdout").read_bytes() == b""


def test_no_question_is_asked_where_it_would_not_be_seen(terminal, mcp_server, tmp_path):
    told = tmp_path / "stderr"
    line = f'exec "$@" call add a=1 --url {mcp_server.url} 2>{told}'
    screen = terminal(["sh", "-c", line, "sh", *CLIENT])
    assert screen.wait() == 2
    assert "add needs b" in told.read_text()


def test_ctrl_c_at_the_password_gives_the_terminal_back(terminal, mcp_server):
    screen = terminal([*CLIENT, "check-auth", "--email", "a", "--url", mcp_server.url])
    screen.expect_hidden("password")
    screen.send(CTRL_C)
    assert screen.wait() == 130
    assert "Traceback" not in screen.text


def test_ctrl_d_at_the_password_ends_its_line(terminal, mcp_server):
    screen = terminal([*CLIENT, "check-auth", "--email", "a", "--url", mcp_server.url])
    screen.expect_hidden("password")
    screen.send(CTRL_D)
    assert screen.wait() == 2
    question, frame = screen.lines[:2]
    assert question == "password (not shown):"
    assert frame.startswith("\u256d")


def test_a_name_typed_before_the_question_calls_nothing(terminal, mcp_server):
    screen = terminal([*CLIENT, "call", "set_mode", "mode=eco", "--url", mcp_server.url])
    screen.send("set_mode\r")
    screen.expect("Type its name")
    screen.send(CTRL_D)
    assert screen.wait() == 2
    assert "Nothing was called." in screen.text


def test_the_shell_completes_asks_calls_and_remembers_nothing_secret(shell, history):
    screen = shell()
    screen.expect("oig> ")
    screen.expect("test-battery 9.8.7, 9 tools")

    screen.send("set_" + TAB)
    expect_line(screen, "set_mode")
    screen.send("mo" + TAB)
    expect_line(screen, "set_mode mode=")
    screen.send("e" + TAB)
    expect_line(screen, "set_mode mode=eco")
    screen.send("\r")
    screen.expect("Type its name")
    screen.send("set_mode\r")
    screen.expect("│ eco")

    enter(screen, "add a=1")
    screen.expect("b (integer): ")
    screen.send("x\r")
    screen.expect("b must be an integer")
    screen.send("41\r")
    screen.expect("42")

    enter(screen, "check_auth email=a@b.cz")
    screen.expect_hidden("password (not shown): ")
    screen.send(f"{SECRET}\r")
    screen.expect("new_session_created")

    enter(screen, f"check_auth password={SECRET}")
    screen.expect("is secret and is not taken")

    enter(screen, "sleep")
    screen.expect("sleep: waiting")
    screen.send(CTRL_C)
    enter(screen, "json on")
    enter(screen, "add a=2 b=3")
    screen.expect('"structured_content"')
    expect_line(screen, "")
    screen.send(CTRL_D)
    assert screen.wait() == 0

    assert history.read_text().splitlines() == [
        "set_mode mode=eco",
        "add a=1",
        "check_auth email=a@b.cz",
        "sleep",
        "json on",
        "add a=2 b=3",
    ]
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


@pytest.mark.parametrize(("typed", "code"), [("\r", 2), ("y\r", 2), (CTRL_D, 2), (CTRL_C, 130)])
def test_only_typing_its_name_confirms_a_destructive_tool(terminal, mcp_server, typed, code):
    screen = terminal([*CLIENT, "call", "set_mode", "mode=eco", "--url", mcp_server.url])
    screen.expect("Type its name")
    screen.send(typed)
    assert screen.wait() == code
    assert "Nothing was called." in screen.text
    assert "│ eco" not in screen.text


def test_the_shell_truncates_a_long_history(shell, history):
    history.parent.mkdir()
    history.write_text("tools\n" * 3000)
    screen = shell()
    enter(screen, "exit")
    assert screen.wait() == 0
    assert history.read_text().splitlines() == ["tools"] * KEPT + ["exit"]


def test_the_shell_outlives_the_server(shell, mortal_server):
    mortal_server.vanish()
    screen = shell(mortal_server.url)
    screen.expect("connection refused")
    screen.expect("Every command tries again")
    screen.expect("not connected, last try: refused")
    mortal_server.come_back()
    enter(screen, "add a=1 b=2")
    screen.expect("test-battery 9.8.7, 9 tools")
    screen.expect("\n3\n")
    mortal_server.stop()
    mortal_server.start()
    enter(screen, "add a=3 b=4")
    screen.expect("\n7\n")
    enter(screen, "exit")
    assert screen.wait() == 0


def test_results_fit_eighty_columns(terminal, mcp_server):
    # The screen is wider than the client knows, so that it would show what does not fit.
    screen = terminal([*CLIENT, "tools", "--url", mcp_server.url], rows=60, seen=200)
    assert screen.wait() == 0
    assert screen.lines[0].startswith("╭")
    assert screen.lines[0].endswith("╮")
    assert max(map(len, screen.lines)) == 80
    assert "check_auth" in screen.text
