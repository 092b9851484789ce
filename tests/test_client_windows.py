"""The client where Windows' names and habits hold: tests/windows_like says how far they do."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from client.exit_codes import ExitCode
from client.outages import no_way
from client.quoting import joined, split

from .fleet import running_fleet
from .portal_simulator import DEMO_BOX

pytest_plugins = ("tests.terminal",)

ROOT = Path(__file__).parent.parent
LIKE = ROOT / "tests" / "windows_like"
YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
PYTHON = [sys.executable, "-W", "error"]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    journal = tmp_path_factory.mktemp("journal") / "journal.db"
    with running_fleet(1, OIG_CONTROL="on", OIG_JOURNAL=str(journal), OIG_LIVE_TTL="1") as fleet:
        fleet.portal.switch(delay=0)
        yield fleet


@pytest.fixture
def env(fleet, tmp_path):
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "APPDATA": str(tmp_path / "Roaming"),
        "LOCALAPPDATA": str(tmp_path / "Local"),
        "PYTHONPATH": f"{LIKE}{os.pathsep}{ROOT}",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "OIG_MCP_URL": fleet.url,
        "OIG_EMAIL": "demo@example.com",
        "OIG_PASSWORD": "demo",
    }


@pytest.fixture
def client(env, tmp_path):
    def run(*argv, stdin=b"", program="client", **more):
        found = subprocess.run(
            [*PYTHON, "-m", program, *argv],
            cwd=tmp_path,
            env=env | more,
            input=stdin,
            capture_output=True,
            timeout=40,
            check=False,
        )
        out, err = (text.decode("cp1250") for text in (found.stdout, found.stderr))
        for text in (out, err):
            assert "Traceback" not in text
            assert "\x1b" not in text
            assert text.count("\n") == text.count("\r\n") == text.count("\r")
        return found.returncode, out.replace("\r\n", "\n"), err.replace("\r\n", "\n")

    return run


@pytest.fixture
def seated(env, terminal):
    """Run the client at a terminal; only there, since what makes the terminal is not of Windows."""

    def run(argv, **more):
        kept = {name: value for name, value in env.items() if name != "PYTHONPATH"}
        path = f"PYTHONPATH={env['PYTHONPATH']}"
        return terminal(["env", path, *PYTHON, "-m", "client", *argv], kept, **more)

    return run


def test_the_interpreter_lacks_what_windows_lacks(client):
    lacking = (
        "import asyncio, os, signal, sys; assert sys.platform == 'win32'\n"
        "assert not any(hasattr(os, name) for name in ('O_NOFOLLOW', 'fchmod', 'geteuid'))\n"
        "assert not hasattr(signal, 'SIGHUP')\n"
        "for name in ('fcntl', 'termios', 'pwd', 'resource'):\n"
        "    try: __import__(name)\n"
        "    except ImportError: continue\n"
        "    sys.exit(name)\n"
        "async def main(): asyncio.get_running_loop().add_signal_handler(2, print)\n"
        "try: asyncio.run(main())\n"
        "except NotImplementedError: print('as on Windows')\n"
    )
    path = {"PATH": os.environ["PATH"], "PYTHONPATH": str(LIKE)}
    said = subprocess.check_output([*PYTHON, "-c", lacking], env=path, text=True)
    assert said == "as on Windows\n"


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        ("--version", "oig-client "),
        ("check-auth", "Login confirmed by OIG Cloud"),
        ("live --detail", f"Box {DEMO_BOX}"),
        ("status", f"Box {DEMO_BOX}: "),
        ("energy", "kWh"),
        ("notifications", "Přetížení zálohované části."),
        (f"history solar --from {YESTERDAY}", "+-----"),
        ("changes", "Nothing was changed"),
        ("doctor --as cursor", "Protocol 2025-11-25"),
    ],
)
def test_a_command_shows_the_same_in_a_code_page(client, argv, shown):
    code, out, err = client(*argv.split())
    assert (code, err) == (ExitCode.OK, "")
    assert shown in out
    assert "\\u" not in out


def test_json_is_plain_ascii_in_a_code_page(client):
    code, out, _ = client("notifications", "--json", TEST_CODE_PAGE="cp437")
    assert code == ExitCode.OK
    assert out.isascii()
    titles = [one["portal_title"] for one in json.loads(out)["notifications"]]
    assert any("Ruční" in title for title in titles)


def test_a_table_is_the_same_in_a_file_and_in_a_pipe(client, tmp_path):
    wanted = ("history", "solar", "--from", YESTERDAY, "--csv")
    assert client(*wanted, "table.csv")[0] == ExitCode.OK
    held = (tmp_path / "table.csv").read_bytes()
    assert held.count(b"\n") == held.count(b"\r\n") == held.count(b"\r") > 200
    code, out, _ = client(*wanted, "-")
    assert code == ExitCode.OK
    assert list(csv.reader(out.splitlines())) == list(csv.reader(held.decode().splitlines()))


def test_a_shell_reads_utf8_with_a_mark_and_folders_between_backslashes(client, tmp_path):
    lines = f"status\nenergy --csv ř\\x.csv --from {YESTERDAY}\nhelp\nexit\n"
    code, out, err = client(stdin=lines.encode("utf-8-sig").replace(b"\n", b"\r\n"))
    assert code == ExitCode.OK, err
    assert f"Box {DEMO_BOX}: " in out
    assert "Commands:" in out
    assert (tmp_path / "ř\\x.csv").read_text().startswith("day,")


def test_a_password_is_taken_from_a_pipe_with_a_mark_before_it(client):
    code, out, err = client("check-auth", "--password-stdin", stdin=b"\xef\xbb\xbfdemo\r\n")
    assert (code, err) == (ExitCode.OK, "")
    assert "4 characters" in out


def test_a_plan_is_stored_in_the_local_profile_and_applied(client, fleet, tmp_path):
    house = {"OIG_EMAIL": "house@example.com", "OIG_PASSWORD": "pw"}
    fleet.portal.add_account(*house.values())
    code, out, err = client("plan", "--mode", "home_ups", **house)
    assert (code, err) == (ExitCode.OK, "")
    box = re.search(r"Plan for box (\d+)", out)[1]
    token = re.search(r"oig-client apply (plan_[\w-]+)", out)[1]
    (kept,) = (tmp_path / "Local" / "oig-client").iterdir()
    assert kept.name == "plans.json"
    assert token not in kept.read_text()
    code, out, err = client("apply", token, "--yes-apply-to", box, **house)
    assert code == ExitCode.OK, err
    assert "Home UPS" in out


def test_claude_desktops_file_is_found_where_its_package_sees_it(client, tmp_path):
    plain = tmp_path / "Roaming" / "Claude" / "claude_desktop_config.json"
    assert client("config", "claude-desktop", "--write")[0] == ExitCode.OK
    assert json.loads(plain.read_bytes())["mcpServers"]["oig-cloud"]["command"] == "npx"
    package = tmp_path / "Local" / "Packages" / "Claude_pzs8sxrjxfjjc"
    package.mkdir(parents=True)
    code, out, _ = client("config", "claude-desktop", "--write")
    inside = package / "LocalCache" / "Roaming" / "Claude" / "claude_desktop_config.json"
    assert code == ExitCode.OK
    assert f"Written: {inside}\n" in out
    assert inside.read_bytes() == plain.read_bytes()


def test_a_file_that_a_virus_scanner_has_open_is_written_a_moment_later(client, tmp_path):
    file = tmp_path / ".cursor" / "mcp.json"
    code, _, err = client("config", "cursor", "--write", TEST_HELD_OPEN=file.name)
    assert (code, err) == (ExitCode.OK, "")
    assert "oig-cloud" in file.read_text()
    assert list(file.parent.iterdir()) == [file]


def test_no_password_is_asked_for_when_input_is_nul(env):
    with Path(os.devnull).open("r+b") as nul:
        asked = subprocess.run(
            [*PYTHON, "-m", "client", "check-auth", "--json"],
            env={name: value for name, value in env.items() if name != "OIG_PASSWORD"},
            stdin=nul,
            stdout=subprocess.PIPE,
            stderr=nul,
            timeout=40,
            check=False,
        )
    assert asked.returncode == ExitCode.USAGE
    assert json.loads(asked.stdout)["error"]["kind"] == "missing_secret"


def test_a_closed_output_pipe_ends_the_client_quietly(env):
    read, write = os.pipe()
    os.close(read)
    found = subprocess.run(
        [*PYTHON, "-m", "client", "--help"],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=40,
        check=False,
    )
    os.close(write)
    assert (found.returncode, found.stderr) == (ExitCode.BROKEN_PIPE, b"")


def test_ctrl_break_stops_as_ctrl_c_does(seated):
    screen = seated(["live", "--watch"])
    screen.expect(f"Box {DEMO_BOX}")
    screen.process.send_signal(signal.SIGUSR1)  # the number that Ctrl-Break has there
    assert screen.wait() == ExitCode.OK


def test_the_password_is_asked_for_without_echo_and_confirmed(env, seated, tmp_path):
    del env["OIG_PASSWORD"]
    with (tmp_path / "out").open("wb") as file:
        screen = seated(["plan", "--mode", "home_ups", "--apply"], stdout=file.fileno())
        screen.expect("password (not shown)")
        screen.send("demo\r")
        screen.expect("type the last 4 digits")
        screen.send("1234\r")
        assert screen.wait() == ExitCode.USAGE
    assert "Nothing was changed." in screen.text


def test_commands_are_read_even_where_the_line_editor_has_no_console(seated, tmp_path):
    with (tmp_path / "out").open("wb") as file:
        screen = seated([], stdout=file.fileno())
        screen.expect("there is no line editor; type a command")
        screen.send("status\rexit\r")
        assert screen.wait() == ExitCode.OK
    assert f"Box {DEMO_BOX}: ".encode() in (tmp_path / "out").read_bytes()


def test_the_shells_history_is_stored_in_the_local_profile(env, tmp_path):
    remembered = (
        "import os\nfrom client.history import FileHistory, Memory, history_path\n"
        "history = FileHistory(history_path(os.environ))\n"
        "for _ in range(2): history.remember('tools', Memory.FILE)\n"
        "history.trim()\n"
    )
    subprocess.run([*PYTHON, "-c", remembered], env=env, cwd=tmp_path, timeout=40, check=True)
    path = tmp_path / "Local" / "oig-client" / "history"
    assert path.read_text() == "tools\ntools\n"
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    subprocess.run([*PYTHON, "-c", remembered], env=env, cwd=tmp_path, timeout=40, check=True)
    assert not (tmp_path / "elsewhere").exists()


def test_cachectl_says_in_one_line_that_it_is_not_for_windows(client):
    code, out, err = client("stats", program="cachectl")
    assert (code, out) == (1, "")
    assert err.startswith("cachectl: Windows has no cache daemon")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("word", "there"),
    [
        ("http://localhost:8000/mcp", "http://localhost:8000/mcp"),
        ("a@b.cz", "a@b.cz"),
        ("https://b.cz/mcp?a=1&b=2", '"https://b.cz/mcp?a=1&b=2"'),
        ("two words", '"two words"'),
        ("@splat", '"@splat"'),
        ("", '""'),
        ("it's $HOME", "'it''s $HOME'"),
    ],
)
def test_a_line_to_copy_is_quoted_for_windows_shells(word, there):
    assert joined(["oig-client", word], "win32") == f"oig-client {there}"
    assert split(joined([word], "linux")) == [word]


def test_an_unreachable_network_is_recognised_by_windows_error_numbers(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    unreachable = OSError(errno.EINVAL, "The network location cannot be reached")
    unreachable.winerror = 1231
    assert no_way([unreachable]) == "The network location cannot be reached"
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    refused.winerror = 1225
    assert no_way([unreachable, refused]) is None
