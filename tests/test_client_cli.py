"""The commands as scripts use them: exit codes, streams, JSON; nothing secret anywhere."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from client.__main__ import main
from client.exit_codes import ExitCode

pytest_plugins = ("tests.client_servers",)

ROOT = Path(__file__).parent.parent
PATIENCE = 60
SECRET = "hunter2"
PLAIN = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    # A desktop's own keyring would ask the person at the screen.
    "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
}


@pytest.fixture
def client(capsys, monkeypatch):
    """Run the client in this process; return exit code, stdout and stderr."""
    # The keyring of the user who runs the tests is not read.
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setattr("keyring.core._keyring_backend", None)
    for name in ("OIG_PASSWORD", "OIG_MCP_URL", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)

    def run(*argv, stdin=b"", **environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        source = io.TextIOWrapper(io.BytesIO(stdin)) if isinstance(stdin, bytes) else stdin
        monkeypatch.setattr(sys, "stdin", source)
        code = main(argv)
        out, err = capsys.readouterr()
        assert SECRET not in out + err
        assert "\x1b" not in out + err
        assert "Traceback" not in err
        return code, out, err

    return run


def program(*argv, env=None, stdout=subprocess.PIPE):
    """Run the client as a program of its own."""
    return subprocess.run(
        [sys.executable, "-m", "client", *argv],
        cwd=ROOT,
        env=PLAIN | (env or {}),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_login_is_confirmed_with_the_password_from_the_environment(client, mcp_server):
    code, out, err = client(
        "check-auth", "--email", "a@b.cz", "--url", mcp_server.url, OIG_PASSWORD=SECRET
    )
    assert (code, err) == (ExitCode.OK, "")
    assert "a@b.cz" in out
    assert "7 characters" in out
    assert "in 12 h" in out


def test_a_login_is_confirmed_with_the_password_from_a_file(client, mcp_server, tmp_path):
    argv = ("check-auth", "--email", "a@b.cz", "--url", mcp_server.url)
    file = tmp_path / "password"
    file.write_bytes(SECRET.encode() + b"\r\nno part of it")
    code, out, _ = client(*argv, OIG_PASSWORD_FILE=str(file))
    assert code == 0
    assert "Login confirmed" in out


@pytest.mark.parametrize(
    ("content", "more", "words"),
    [
        (None, {}, "cannot be read"),
        (b"\n", {}, "The password is empty"),
        (b"\xff\xfe", {}, "not valid UTF-8"),
        (b"x" * 100_000, {}, "longer than"),
        (b"right", {"OIG_PASSWORD": "right"}, "are both set"),
    ],
)
def test_a_file_without_a_password_is_refused_with_the_reason(
    client, mcp_server, tmp_path, content, more, words
):
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    argv = ("check-auth", "--email", "a@b.cz", "--url", mcp_server.url)
    code, _, err = client(*argv, OIG_PASSWORD_FILE=str(file), **more)
    assert code == 2
    assert words in err


def test_a_login_is_confirmed_with_the_password_from_stdin_as_json(client, mcp_server):
    code, out, err = client(
        *("--json", "check-auth", "--password-stdin", "--email", "a@b.cz"),
        stdin=f" {SECRET} \r\nrest".encode(),
        OIG_MCP_URL=mcp_server.url,
        OIG_PASSWORD="other",
    )
    assert (code, err) == (ExitCode.OK, "")
    found = json.loads(out)
    assert found["password_length"] == len(SECRET) + 2
    assert found["expires_at"].endswith("Z")


@pytest.mark.parametrize(
    ("stdin", "message"),
    [(b"", "empty"), (b"\n", "empty"), (b"x" * 5000, "4096"), (b"\xff\n", "UTF-8")],
)
def test_an_impossible_password_is_refused(client, mcp_server, stdin, message):
    argv = ("check-auth", "--email", "a", "--password-stdin", "--url", mcp_server.url)
    code, _, err = client(*argv, stdin=stdin)
    assert code == ExitCode.USAGE
    assert message in err


def test_a_rejected_login_is_the_tools_error(client, mcp_server):
    argv = ("check-auth", "--email", "a@b.cz", "--url", mcp_server.url)
    code, out, err = client(*argv, OIG_PASSWORD="wrong")
    assert (code, out) == (ExitCode.TOOL, "")
    assert "OIG Cloud rejected this e-mail and password" in err
    code, out, err = client(*argv, "--json", OIG_PASSWORD="wrong")
    assert (code, err) == (ExitCode.TOOL, "")
    assert json.loads(out)["error"]["kind"] == "credentials_rejected"
    assert json.loads(out)["error"]["exit_code"] == 1


def test_without_a_terminal_nothing_is_asked(client, mcp_server):
    code, _, err = client("check-auth", "--url", mcp_server.url)
    assert code == ExitCode.USAGE
    assert "--email" in err
    code, _, err = client("check-auth", "--url", mcp_server.url, "--email", "a@b.cz")
    assert code == ExitCode.USAGE
    assert "OIG_PASSWORD" in err
    code, _, err = client("call", "add", "a=1", "--url", mcp_server.url)
    assert code == ExitCode.USAGE
    assert "add needs b" in err


def test_tools_and_describe_print_plain_lines_for_pipes(client, mcp_server):
    code, out, err = client("tools", "--url", mcp_server.url)
    assert (code, err) == (ExitCode.OK, "")
    assert [line.split()[0] for line in out.splitlines()[:2]] == ["Tool", "check_auth"]
    assert all(line == line.rstrip() for line in out.splitlines())
    code, out, _ = client("describe", "set_mode", "--url", mcp_server.url)
    assert code == ExitCode.OK
    assert "one of eco, home_ups, grid" in out
    assert "at most 24" in out


def test_tools_and_describe_as_json(client, mcp_server):
    _, out, _ = client("tools", "--json", "--url", mcp_server.url)
    listed = json.loads(out)
    assert listed["server"]["name"] == "test-battery"
    assert listed["tools"][0]["inputSchema"]["required"] == ["email", "password"]
    _, out, _ = client("describe", "add", "--json", "--url", mcp_server.url)
    assert json.loads(out)["annotations"]["readOnlyHint"] is True


def test_a_call_sends_values_of_the_right_types(client, mcp_server):
    words = ["mode=eco", "hours=2", "tags=a,b", 'window:={"start":1,"end":2}', "dry_run=on"]
    code, out, _ = client("call", "set_mode", *words, "--yes", "--json", "--url", mcp_server.url)
    assert code == ExitCode.OK
    assert json.loads(out)["structured_content"] == {
        "mode": "eco",
        "hours": 2.0,
        "dry_run": True,
        "tags": ["a", "b"],
        "window": {"start": 1, "end": 2},
    }


def test_without_a_terminal_a_destructive_tool_is_called_only_with_yes(client, mcp_server):
    argv = ("call", "set_mode", "mode=eco", "--json", "--url", mcp_server.url)
    code, out, _ = client(*argv)
    assert code == ExitCode.USAGE
    assert json.loads(out)["error"]["kind"] == "not_confirmed"
    assert "--yes" in json.loads(out)["error"]["message"]
    lines = b"set_mode mode=eco\ncall set_mode mode=eco\nset_mode mode=grid --yes\n"
    code, out, err = client("shell", "--url", mcp_server.url, stdin=lines)
    assert code == ExitCode.USAGE
    assert "eco" not in out
    assert "grid" in out
    assert err.count("Nothing was called.") == 2


def test_a_text_result_is_printed_without_terminal_control_characters(client, mcp_server):
    code, out, _ = client("call", "say", f"text={'x' * 200}", "--url", mcp_server.url)
    assert code == ExitCode.OK
    assert out == f"said [bold]{'x' * 200}[/bold] \ufffd[31mred\ufffd[0m\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["call", "check_auth", f"password={SECRET}"], "is secret and is not taken"),
        (["call", "check_auth", f'password:="{SECRET}"'], "is secret and is not taken"),
        (["call", "check_auth", f"pasword={SECRET}"], "Did you mean password"),
        (["call", "check_auth", SECRET], "key=value"),
        (["call", "chek_auth", "email=a"], "Did you mean check_auth"),
        (["describe", "ad"], "Did you mean add"),
        (["call", "add", "a=x"], "a must be an integer, not 'x'"),
        (["check-auth", "--password", SECRET], "never taken as an argument"),
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
def test_wrong_usage_is_explained(client, mcp_server, argv, message, as_json):
    argv = [*argv, "--url", mcp_server.url, *(["--json"] if as_json else [])]
    code, out, err = client(*argv)
    assert code == ExitCode.USAGE
    assert message in (json.loads(out)["error"]["message"] if as_json else err)
    assert (err if as_json else out) == ""


def test_without_a_terminal_and_a_password_nothing_is_asked_of_the_server(client, closed_port):
    url = f"http://127.0.0.1:{closed_port}/mcp"
    code, out, err = client("check-auth", "--email", "a@b.cz", "--url", url)
    assert (code, out) == (ExitCode.USAGE, "")
    assert "There is no terminal to ask for the password on. Set OIG_PASSWORD or use" in err


@pytest.mark.parametrize(
    "argv", [["call", "check_auth", "email=a@b.cz"], ["call", "check_auth", "--email", "a@b.cz"]]
)
def test_no_tool_is_called_with_half_a_login(client, mcp_server, argv):
    code, out, err = client(*argv, "-v", "--url", mcp_server.url)
    assert (code, out) == (ExitCode.USAGE, "")
    assert "There is no terminal to ask for the password on." in err
    assert "tools/call" not in err


@pytest.mark.parametrize("argv", [["call", "nosuch"], ["describe", "nosuch"]])
def test_commands_in_a_failure_are_those_of_the_command_line(client, mcp_server, argv):
    code, _, err = client(*argv, "--url", mcp_server.url)
    assert code == ExitCode.USAGE
    assert "`oig-client tools` lists them." in err


def test_an_unreachable_server_exits_with_3(client, closed_port):
    code, out, err = client("tools", "--url", f"http://127.0.0.1:{closed_port}/mcp")
    assert (code, out) == (ExitCode.UNREACHABLE, "")
    assert "oig-cloud-mcp serve" in err
    assert "--url" in err


def test_a_server_that_does_not_speak_mcp_exits_with_4(client, odd_server):
    code, out, _ = client("--json", "tools", "--url", odd_server.url.replace("mcp", "status/421"))
    assert code == ExitCode.NOT_MCP
    error = json.loads(out)["error"]
    assert (error["kind"], error["exit_code"]) == ("http_421", 4)
    assert "OIG_ALLOWED_HOSTS" in error["message"]


def test_verbose_output_does_not_contain_the_password(client, mcp_server):
    code, _, err = client(
        "check-auth", "-v", "--email", "a@b.cz", "--url", mcp_server.url, OIG_PASSWORD=SECRET
    )
    assert code == ExitCode.OK
    assert "tools/call -> 200" in err
    assert "2026-07-28" in err


def test_a_bug_is_reported_without_the_values_that_caused_it(client, mcp_server, monkeypatch):
    def explode(*_args, **_more):
        raise LookupError(SECRET)

    monkeypatch.setattr("client.commands.check_auth", explode)
    code, _, err = client("check-auth", "--email", "a", "--url", mcp_server.url, "-v")
    assert code == ExitCode.INTERNAL
    assert "LookupError" in err
    assert "test_client_cli.py" in err


def test_a_script_runs_line_by_line_and_ends_with_the_last_failure(client, mcp_server):
    lines = [
        "# a comment",
        "",
        "add a=1 b=2",
        "call add a=x b=2",
        "json on",
        "add a=20 b=22",
        "check-auth a@b.cz",
        "nonsense",
        f"check-auth a@b.cz {SECRET}",
        f"check-auth password={SECRET}",
        'add "',
        "json off",
        "help",
        "tools",
        "exit",
        "never reached",
    ]
    code, out, err = client(
        "shell", "--url", mcp_server.url, stdin="\n".join(lines).encode(), OIG_PASSWORD="wrong"
    )
    assert code == ExitCode.USAGE
    assert out.startswith("3\n{")
    results = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert results[0]["structured_content"] == {"result": 42}
    kinds = [result["error"]["kind"] for result in results[1:]]
    assert kinds == [
        "credentials_rejected",
        "unknown_command",
        "usage",
        "secret_on_command_line",
        "usage",
    ]
    assert "a must be an integer" in err
    assert "Commands:" in out


def test_a_script_goes_on_when_the_server_comes_back(client, mortal_server):
    def lines():
        yield "add a=1 b=2"
        mortal_server.vanish()
        yield "add a=3 b=4"
        mortal_server.come_back()
        yield "add a=5 b=6"

    class Script(io.StringIO):
        def __iter__(self):
            return lines()

    code, out, err = client("--url", mortal_server.url, stdin=Script())
    assert code == ExitCode.UNREACHABLE
    assert out.split() == ["3", "11"]
    assert "connection refused" in err


def test_help_and_version_load_neither_sdk_nor_rich():
    check = (
        "import sys; from client.__main__ import main;"
        "main(['--help']); main(['--version']); main(['call', '--help']);"
        "print({'mcp', 'httpx2', 'rich', 'prompt_toolkit', 'keyring', 'plotext'}"
        " & sys.modules.keys())"
    )
    found = subprocess.run(
        [sys.executable, "-c", check],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert found.stdout.splitlines()[-1] == "set()"
    assert "oig-client " in found.stdout


def test_colour_is_for_terminals_unless_forced(mcp_server):
    argv = ("call", "set_mode", "mode=eco", "--yes", "--url", mcp_server.url)
    forced = program(*argv, env={"FORCE_COLOR": "1"})
    assert forced.returncode == 0
    assert "\x1b[1m" in forced.stdout
    assert forced.stderr == ""  # no spinner where nobody watches
    assert "\x1b" not in program(*argv).stdout


@pytest.mark.parametrize("command", ["tools", "doctor"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks://127.0.0.1:1080"),
        ("ALL_PROXY", "socks5://127.0.0.1:1080"),
        ("SSL_CERT_FILE", "/nowhere/root.pem"),
        ("SSL_CERT_FILE", __file__),
    ],
)
def test_a_mistake_in_the_environment_is_not_reported_as_a_bug(client, command, name, value):
    if value.startswith("socks5:") and importlib.util.find_spec("socksio"):
        pytest.skip("SOCKS works here")
    code, _, err = client(command, "--url", "http://battery.example/mcp", **{name: value})
    assert code == ExitCode.USAGE
    assert name in err


@pytest.mark.parametrize("argv", [["config", "cursor"], ["apply", "plan_x"]])
def test_without_a_home_the_client_says_what_to_set(client, monkeypatch, argv):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    code, _, err = client(*argv)
    assert code == ExitCode.USAGE
    assert "Set HOME" in err


FULL_DISK = "oig-client: input or output failed: No space left on device\n"


@pytest.mark.parametrize(
    ("streams", "code", "err"),
    [
        ("2>&-", ExitCode.UNREACHABLE, ""),
        (">&-", ExitCode.UNREACHABLE, ""),
        ("<&-", ExitCode.UNREACHABLE, ""),
        ("<&- >&- 2>&-", ExitCode.UNREACHABLE, ""),
        (">/dev/full", ExitCode.TOOL, FULL_DISK),
    ],
)
def test_streams_that_are_closed_or_full_do_no_harm(closed_port, streams, code, err):
    line = f'exec "$@" --json tools --url http://127.0.0.1:{closed_port}/mcp {streams}'
    found = subprocess.run(
        ["sh", "-c", line, "sh", sys.executable, "-m", "client"],
        cwd=ROOT,
        env=PLAIN,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (found.returncode, found.stderr) == (code, err)


def test_undecodable_bytes_are_handled_like_any_other_line(client, mcp_server):
    stdin = io.TextIOWrapper(io.BytesIO(b"add a=1 b=\xff\nadd a=1 b=2\n"), "utf-8", "strict")
    code, out, err = client("shell", "--url", mcp_server.url, stdin=stdin)
    assert (code, out) == (ExitCode.USAGE, "3\n")
    assert "b must be an integer" in err


def test_a_closed_output_pipe_is_not_an_error():
    reader, writer = os.pipe()
    os.close(reader)
    try:
        found = program("--help", stdout=writer)
    finally:
        os.close(writer)
    assert (found.returncode, found.stderr) == (ExitCode.BROKEN_PIPE, "")


def test_ctrl_c_is_quiet_and_json_stays_one_object(mcp_server):
    process = subprocess.Popen(
        [sys.executable, "-m", "client", "call", "sleep", "--json", "-v", "--url", mcp_server.url],
        cwd=ROOT,
        env=PLAIN,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    killer = threading.Timer(PATIENCE, process.kill)
    killer.start()
    assert process.stderr is not None
    with process:
        # Who answered is the last thing told before the call that never ends.
        while ", protocol " not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    killer.cancel()
    assert process.returncode == ExitCode.INTERRUPTED
    assert json.loads(out)["error"]["kind"] == "interrupted"
    assert "Traceback" not in err
