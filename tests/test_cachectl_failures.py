"""What cachectl says, and with which exit code, when the daemon or its operator fails it.

The daemons here are played by a thread: real ones do not misbehave on demand.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from cachectl.__main__ import main
from cachectl.values import MAX_SOCKET_PATH
from server.as_user import user_name
from server.cache import wire
from server.cache.verbs import Reply
from server.keys.fingerprint import account_key
from server.keys.secret import load_secret

from .messages import request_of

WELCOME = ("0.1.0", 12, 4, 4, 2, 0, b"o" * 16, 0, None, 0, 0, 0)
"""What a daemon answers to a hello."""

EMAIL = "jana.novakova@example.cz"
COMMANDS = [
    ["stats"],
    ["ping"],
    ["sessions"],
    ["lockouts"],
    ["flush"],
    ["flush", "--all", "--yes"],
    ["unlock", EMAIL],
    ["forget-owner", EMAIL],
]


@pytest.fixture(autouse=True)
def run_dir(monkeypatch) -> Iterator[Path]:
    """Give cachectl a folder of its own, with a path short enough for a socket."""
    for name in [name for name in os.environ if name.startswith("OIG_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OIG_CONFIG", os.devnull)
    with TemporaryDirectory(prefix="ctl") as folder:
        monkeypatch.setenv("OIG_RUN_DIR", folder)
        monkeypatch.setenv("OIG_STATE_DIR", folder)
        load_secret(Path(folder) / "secret")
        yield Path(folder)


@contextmanager
def listening(path: Path, serve: Callable[[socket.socket], None]) -> Iterator[None]:
    """Accept one connection after the other and have each served."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(60)
                serve(connection)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(60)
        assert not thread.is_alive()


def answering(status: str, *fields: object) -> Callable[[socket.socket], None]:
    """Answer each request of a connection alike."""
    return answering_by_verb(defaultdict(lambda: fields), status)


def answering_by_verb(
    fields: Mapping[str, Sequence[object]], status: str = "ok"
) -> Callable[[socket.socket], None]:
    """Answer each request of a connection with the fields of its verb."""

    def serve(connection: socket.socket) -> None:
        reader = wire.FrameReader(wire.MAX_REQUEST_BYTES)
        while data := connection.recv(65536):
            for body in reader.feed(data):
                request = request_of(body)
                reply = Reply(request.id, status, tuple(fields[request.verb]))
                connection.sendall(wire.encode(reply))

    return serve


def complaint(capsys, argv, code) -> str:
    """Run a command that must fail with this exit code, in text and in JSON with the same words."""
    assert main(argv) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("cachectl: ")
    assert err.count("\n") == 1
    assert main([*argv, "--json"]) == code
    out, json_err = capsys.readouterr()
    assert json_err == ""
    error = json.loads(out)["error"]
    assert error["kind"] == {1: "refused", 2: "usage", 3: "unreachable"}[code]
    assert f"cachectl: {error['message']}\n" == err
    return err


# -- no daemon


@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_without_a_daemon_every_command_says_where_it_looked_and_how_to_start_one(
    capsys, run_dir, argv
):
    words = complaint(capsys, argv, 3)
    assert f"not running: there is no socket {run_dir}/cache.sock." in words
    assert "oig-cloud-mcp serve" in words
    assert "python -m server.cache" in words


def test_a_socket_that_a_dead_daemon_left_behind_counts_as_not_running(capsys, run_dir):
    left = socket.socket(socket.AF_UNIX)
    left.bind(f"{run_dir}/cache.sock")
    left.close()
    words = complaint(capsys, ["ping"], 3)
    assert f"not running: nobody listens at {run_dir}/cache.sock." in words


def test_a_file_in_place_of_the_folder_counts_as_not_running(capsys, run_dir):
    argv = ["--socket", f"{run_dir}/secret/cache.sock", "ping"]
    assert "not running" in complaint(capsys, argv, 3)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may connect to everything")
def test_a_socket_of_another_user_is_reported_as_such(capsys, run_dir):
    with listening(run_dir / "cache.sock", answering("ok", *WELCOME)):
        (run_dir / "cache.sock").chmod(0)
        assert "permission denied" in complaint(capsys, ["ping"], 3)


def test_permission_denied_says_whom_to_run_as(capsys, monkeypatch):
    def denied(*_args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("socket.socket.connect", denied)
    words = complaint(capsys, ["ping"], 3)
    assert "permission denied" in words
    assert f"belongs to {user_name(os.geteuid())}" in words
    assert "as that user" in words


# -- a daemon that misbehaves


def test_a_daemon_that_never_answers_is_distinguished_from_one_that_is_not_running(
    capsys, run_dir, monkeypatch
):
    monkeypatch.setattr("cachectl.daemon.TIMEOUT", 0.2)
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(f"{run_dir}/cache.sock")
        hung.listen()
        words = complaint(capsys, ["stats"], 3)
    assert "is there and does not answer within 0.2 s" in words
    assert "supervisorctl -c supervisord.conf restart cache" in words
    assert "not running" not in words


@pytest.mark.parametrize("does", ["does not answer", "closes the connection"])
@pytest.mark.parametrize(
    ("argv", "changes"),
    [(["stats"], False), (["flush"], True), (["unlock", "--source", "192.0.2.1"], True)],
)
def test_what_was_asked_without_an_answer_may_still_be_done(
    capsys, run_dir, monkeypatch, does, argv, changes
):
    monkeypatch.setattr("cachectl.daemon.TIMEOUT", 0.1)
    waits = does == "does not answer"

    def serve(connection: socket.socket) -> None:
        while connection.recv(65536) and waits:
            pass

    with listening(run_dir / "cache.sock", serve):
        words = complaint(capsys, argv, 3)
    assert does.replace("closes", "closed") in words
    assert ("may be done all the same" in words) == changes


@pytest.mark.parametrize(
    "argv",
    [
        ["flush"],
        ["flush", "--all", "--yes"],
        ["flush", "--lockouts"],
        ["flush", "--account", EMAIL],
        ["unlock", EMAIL],
        ["unlock", "--source", "192.0.2.1"],
    ],
    ids=" ".join,
)
def test_what_is_dropped_in_memory_only_is_no_success(capsys, run_dir, argv):
    dropped = {"hello": WELCOME, "stats": ({"backing_failing": 1},), "unlock": (2,)}
    with listening(run_dir / "cache.sock", answering_by_verb({**dropped, "flush": (2, 2)})):
        words = complaint(capsys, argv, 1)
    assert "what was dropped comes back" in words
    assert "2 " in words


def test_what_has_expired_does_no_harm_on_the_disk(capsys, run_dir):
    fields = {"flush": (2, 0), "stats": ({"backing_failing": 1},)}
    with listening(run_dir / "cache.sock", answering_by_verb(fields)):
        assert main(["flush", "--expired"]) == 0


def test_the_advice_to_restart_fits_the_server_that_runs(capsys, run_dir, monkeypatch, tmp_path):
    state = tmp_path / "our state"
    (state / "run").mkdir(parents=True)
    (state / "run" / "oig-cloud-mcp.conf").touch()
    monkeypatch.setenv("OIG_STATE_DIR", str(state))
    monkeypatch.setattr("cachectl.daemon.TIMEOUT", 0.2)
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(f"{run_dir}/cache.sock")
        hung.listen()
        words = complaint(capsys, ["stats"], 3)
    assert f"supervisorctl -c '{state}/run/oig-cloud-mcp.conf' restart cache" in words


def test_a_full_connection_queue_is_reported_as_no_answer(capsys, run_dir, monkeypatch):
    monkeypatch.setattr("cachectl.daemon.TIMEOUT", 0.2)
    with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as first:
        full.bind(f"{run_dir}/cache.sock")
        full.listen(0)
        first.connect(f"{run_dir}/cache.sock")
        assert "does not answer within" in complaint(capsys, ["ping"], 3)


def test_a_daemon_that_hangs_up_is_reported(capsys, run_dir):
    with listening(run_dir / "cache.sock", lambda connection: None):
        assert "closed the connection" in complaint(capsys, ["ping"], 3)


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\x00\x00\x01\xc1",
        wire.encode(Reply(77, "ok", WELCOME)),
        wire.encode(Reply(1, "ok", ())),
        wire.encode(Reply(1, "waiting", ())),
    ],
    ids=["http", "garbage", "another's reply", "too few fields", "another status"],
)
def test_another_program_behind_the_socket_is_recognised(capsys, run_dir, reply):
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(reply)

    with listening(run_dir / "cache.sock", serve):
        words = complaint(capsys, ["ping"], 3)
    assert "does not speak this version of the cache protocol" in words


@pytest.mark.parametrize("fields", [("many", []), (["a"], {}), (None, None), (True, 1)])
@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_answers_of_other_types_are_attributed_to_another_program(capsys, run_dir, argv, fields):
    with listening(run_dir / "cache.sock", answering("ok", *fields)):
        words = complaint(capsys, argv, 3)
    assert "does not speak this version of the cache protocol" in words


@pytest.mark.parametrize("rows", [[1], 1, {}])
@pytest.mark.parametrize("argv", [["sessions"], ["lockouts"]], ids=" ".join)
def test_malformed_rows_are_attributed_to_another_program(capsys, run_dir, argv, rows):
    with listening(run_dir / "cache.sock", answering("ok", 5, rows)):
        assert "does not speak this version" in complaint(capsys, argv, 3)


def test_a_refusal_by_the_daemon_is_exit_code_1(capsys, run_dir):
    with listening(run_dir / "cache.sock", answering("error", "overload", "too many \x1b[2J")):
        words = complaint(capsys, ["stats"], 1)
    assert "overload" in words
    assert "\x1b" not in words


def test_a_stopping_daemon_is_unreachable(capsys, run_dir):
    with listening(run_dir / "cache.sock", answering("error", "shutdown", "going")):
        assert "just stopping" in complaint(capsys, ["ping"], 3)


def test_more_fields_from_a_newer_daemon_do_no_harm(capsys, run_dir):
    with listening(run_dir / "cache.sock", answering("ok", "9.9.9", *WELCOME[1:], "more")):
        assert main(["ping"]) == 0
    assert capsys.readouterr().out.startswith("The cache daemon 9.9.9 (pid 12) answered in ")


# -- a command line or environment that is wrong


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["dance"],
        ["stats", "--watch", "0"],
        ["stats", "--watch", "nan"],
        ["stats", "--watch", "soon"],
        ["sessions", "--limit", "0"],
        ["sessions", "--limit", "2001"],
        ["lockouts", "--limit", "many"],
        ["flush", "--all", "--expired"],
        ["flush", "--account"],
        ["flush", "--a", EMAIL],
        ["unlock"],
        ["unlock", EMAIL, "--source", "192.0.2.7"],
        ["--socket", "", "ping"],
        ["--socket", "/" + "x" * MAX_SOCKET_PATH, "ping"],
        ["ping", "more"],
        ["ping", "--loud"],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_exit_code_2(capsys, argv):
    complaint(capsys, argv, 2)


@pytest.mark.parametrize(
    "wrong",
    ["hunter2", "hunter2@", "@hunter2", "a@b@hunter2", "hunter2 @x", "hunter2@x\x1b[2J", ""],
)
@pytest.mark.parametrize("argv", [["unlock"], ["flush", "--account"]])
def test_anything_but_an_email_is_refused_and_not_repeated(capsys, argv, wrong):
    words = complaint(capsys, [*argv, wrong], 2)
    assert "is not an e-mail address" in words
    assert "hunter2" not in words


@pytest.mark.parametrize("wrong", ["hunter2", "192.0.2.0/64", "2001:db8::/48", "", "*"])
def test_anything_but_an_address_is_refused_and_not_repeated(capsys, wrong):
    words = complaint(capsys, ["unlock", "--source", wrong], 2)
    assert "is not an address such as" in words
    assert "hunter2" not in words


def test_a_password_after_the_email_is_not_repeated(capsys):
    assert "hunter2" not in complaint(capsys, ["unlock", EMAIL, "hunter2"], 2)
    assert "hunter2" not in complaint(capsys, ["unlock", EMAIL, "--password=hunter2"], 2)


def test_a_wrong_environment_is_a_usage_error(capsys, monkeypatch):
    monkeypatch.setenv("OIG_CACHE_SOKET", "/tmp/x.sock")
    assert "Did you mean OIG_CACHE_SOCKET?" in complaint(capsys, ["ping"], 2)


def test_a_socket_on_the_command_line_needs_no_environment(capsys, monkeypatch, run_dir):
    monkeypatch.setenv("OIG_CACHE_SOKET", "/tmp/x.sock")
    with listening(run_dir / "other.sock", answering("ok", *WELCOME)):
        assert main(["--socket", f"{run_dir}/other.sock", "ping"]) == 0
        assert main(["ping", "--socket", f"{run_dir}/other.sock", "--json"]) == 0
        assert main(["--json", "ping", "--socket", f"{run_dir}/other.sock"]) == 0
    _, first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first)["pid"] == json.loads(second)["pid"] == 12


# -- the secret


@pytest.mark.parametrize("argv", [["unlock", EMAIL], ["flush", "--account", EMAIL]])
def test_without_a_secret_none_is_created_and_the_reason_is_given(capsys, run_dir, argv):
    (run_dir / "secret").unlink()
    words = complaint(capsys, argv, 1)
    assert "no server has run here yet" in words
    assert EMAIL not in words
    assert not (run_dir / "secret").exists()


def test_an_open_secret_is_refused_with_the_command_that_helps(capsys, run_dir):
    (run_dir / "secret").chmod(0o644)
    assert f"chmod 600 {run_dir}/secret" in complaint(capsys, ["unlock", EMAIL], 1)


@pytest.mark.parametrize("argv", [["unlock", EMAIL], ["flush", "--account", EMAIL]])
def test_an_email_never_crosses_the_socket(capsys, run_dir, argv):
    received = bytearray()

    def serve(connection: socket.socket) -> None:
        for number, fields in ((1, WELCOME), (2, (1, 0)), (3, ({},))):
            received.extend(connection.recv(65536))
            connection.sendall(wire.encode(Reply(number, "ok", fields)))

    with listening(run_dir / "cache.sock", serve):
        assert main(argv) == 0
    assert account_key(load_secret(run_dir / "secret"), EMAIL) in received
    assert b"jana" not in received.lower()
    assert EMAIL not in "".join(capsys.readouterr())


# -- the process


def cachectl(*argv: str, **options) -> subprocess.CompletedProcess[str]:
    # Buffered, as for everybody: what is left in the buffer must not make Python complain.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    return subprocess.run(
        [sys.executable, "-m", "cachectl", *argv],
        stdin=subprocess.DEVNULL,
        env=environment,
        text=True,
        timeout=60,
        check=False,
        **options,
    )


def test_flush_all_without_a_terminal_to_ask_on_is_refused(run_dir):
    with listening(run_dir / "cache.sock", answering("ok", 1, 1)):
        done = cachectl("flush", "--all", capture_output=True)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "no terminal" in done.stderr
    assert "--yes" in done.stderr


def test_help_and_version_need_neither_daemon_nor_environment(monkeypatch):
    monkeypatch.setenv("OIG_WRONG", "1")
    for argv in (["--help"], ["--version"], *([command[0], "--help"] for command in COMMANDS[:5])):
        done = cachectl(*argv, capture_output=True)
        assert (done.returncode, done.stderr) == (0, ""), argv
        assert done.stdout


def test_help_names_every_command_with_examples_and_exit_codes(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert re.search(rf"^    {command[0]}( |$)", text, re.MULTILINE)
    assert "examples:" in text
    assert "exit codes:" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_closed_output_pipe_is_not_an_error(run_dir):
    with listening(run_dir / "cache.sock", answering("ok", {"version": "0.1.0"})):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = cachectl("stats", stdout=writer, stderr=subprocess.PIPE)
        finally:
            os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")
def test_a_full_disk_is_reported(run_dir):
    path = run_dir / "cache.sock"
    with listening(path, answering("ok", *WELCOME)), Path("/dev/full").open("w") as full:
        done = cachectl("ping", stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr == ("cachectl: input or output failed: No space left on device\n")


def test_ping_imports_nothing_slow(run_dir):
    probe = (
        "import sys\nfrom cachectl.__main__ import main\ncode = main(['ping'])\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))\nsys.exit(code)"
    )
    with listening(run_dir / "cache.sock", answering("ok", *WELCOME)):
        done = subprocess.run(
            [sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True
        )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "cachectl" in loaded
    slow = {"mcp", "asyncio", "httpx2", "httpx", "rich", "cryptography", "pydantic", "starlette"}
    # shutil brings every compressor, importlib.metadata half the e-mail package.
    slow |= {"uvicorn", "anyio", "prompt_toolkit", "json", "shutil", "email", "ssl"}
    assert loaded & slow == set()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["stat"], "there is no such command. Did you mean stats? Commands: stats, flush, "),
        (["connections", "edn"], "there is no such command. Did you mean end? Commands: end "),
        (["stats", "--jsn"], "cachectl stats has no option --jsn. Did you mean --json?"),
        (["flush", "--al"], "cachectl flush has no option --al. Did you mean --all?"),
        (["frobnicate"], "there is no such command. Commands: stats, "),
    ],
)
def test_the_command_or_option_nearest_to_a_wrong_one_is_suggested(capsys, argv, said):
    assert said in complaint(capsys, argv, 2)


def test_a_word_in_the_place_of_a_command_is_not_repeated(capsys):
    assert EMAIL not in complaint(capsys, [EMAIL], 2)
