"""Starts with a shared storage: what is refused, what is left out, and what runs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import msgpack
import psutil
import pytest

from server.errors import ConfigurationError
from server.keys.secret import make_secret
from server.settings.loading import find
from server.settings.table import Settings
from server.shared_secret import look_at_storage
from server.shared_storage import refuse_records
from server.storage_address import StorageAddress
from server.supervision import foreground
from server.supervision.__main__ import main
from server.supervision.configuration import Folders, Layout, folders_in, render
from server.supervision.interrupts import Interrupts
from server.supervision.options import parse
from server.supervision.preflight import disagreement, unused
from server.supervision.supervisor_rpc import Process
from server.supervision.wanted import Wanted
from server.worker_accounts import worker_accounts

from .fleet import check_auth
from .system import (
    clean_environment,
    copy_project,
    family,
    free_port,
    started_command,
    temporary_folder,
)
from .test_start_server import Terminal
from .valkey_servers import running
from .waiting import wait_until

ROOT = Path(__file__).resolve().parent.parent
CONFIGURATION = (ROOT / "supervisord.conf").read_text()
WITHOUT_DAEMON = CONFIGURATION.replace("[program:cache]", "[program:another]")
ADDRESS = "redis://:hunter2@valkey.invalid"
SHARED = {"OIG_CONFIG": os.devnull, "OIG_CACHE_URL": ADDRESS}


@pytest.fixture(scope="module")
def server():
    with running("redis", "--requirepass", "hunter2") as started:
        yield started


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "OIG_LOGIN is browser: connected clients .* Set OIG_LOGIN=chat"),
        ({"login": "chat", "control": "on"}, "OIG_CONTROL is on: changes .* Set OIG_CONTROL=off"),
        ({"login": "chat"}, None),
    ],
)
def test_what_needs_records_is_refused_with_the_reason(given, told):
    settings = Settings(cache_url=StorageAddress.read(ADDRESS), **given)
    for refuse in (refuse_records, worker_accounts):
        if told is None:
            refuse(settings)
        else:
            with pytest.raises(ConfigurationError, match=told):
                refuse(settings)
    refuse_records(Settings(**given))


@pytest.mark.parametrize(
    ("command", "given", "control", "login"),
    [
        ("demo", {}, "off", "chat"),
        ("demo", {"OIG_CONTROL": "on"}, "on", "chat"),
        ("demo", {"OIG_LOGIN": "browser"}, "off", "browser"),
        ("serve", {}, "off", "browser"),
    ],
)
def test_a_demo_logs_in_as_in_a_chat_unless_it_is_told_otherwise(command, given, control, login):
    wanted = Wanted.of(parse([command], "oig-cloud-mcp"), {**SHARED, **given})
    assert (wanted.settings.control, wanted.settings.login) == (control, login)
    passed = wanted.handed_on()
    assert find(passed).settings(passed).login == login


def test_the_copy_of_the_configuration_has_no_daemon():
    wanted = Wanted.of(parse(["serve"], "oig-cloud-mcp"), SHARED)
    assert not wanted.layout.daemon
    text = render(CONFIGURATION, wanted.folders, wanted.layout, python="p", simulator=False)
    assert "server.cache" not in text
    assert "program:cache" not in text
    assert not Layout.read(text).daemon


@pytest.mark.parametrize(
    ("source", "given", "told"),
    [
        (CONFIGURATION, {}, None),
        (CONFIGURATION, SHARED, "OIG_CACHE_URL is set, with which no cache daemon runs"),
        (WITHOUT_DAEMON, SHARED, None),
        (WITHOUT_DAEMON, {}, r"supervisord.conf has no section \[program:cache\]"),
    ],
)
def test_supervisord_alone_runs_a_daemon_where_and_only_where_one_is_asked(source, given, told):
    found = find({"OIG_CONFIG": os.devnull, **given})
    folders = folders_in(source, Path("/srv/oig"))
    said = disagreement(found, found.settings({}), Layout.read(source), folders)
    assert said is None if told is None else told.replace("\\", "") in said


def test_a_configuration_without_a_daemon_is_not_used_where_one_is_wanted():
    folders = folders_in(WITHOUT_DAEMON, Path("/srv/oig"))
    with pytest.raises(ConfigurationError, match="program:cache"):
        render(WITHOUT_DAEMON, folders, Layout("0.0.0.0", 1, 2), python="p", simulator=False)


def test_a_look_says_what_is_wrong_with_a_server_and_nothing_of_its_password(server, tmp_path):
    def look(address):
        shared = StorageAddress.read(address)
        return look_at_storage(Settings(cache_url=shared, login="chat", run_dir=tmp_path))

    make_secret(tmp_path / "secret")
    url = f"redis://:hunter2@127.0.0.1:{server.port}"
    assert look(url).warnings == ()
    (away,) = look(f"redis://:hunter2@127.0.0.1:{free_port()}").warnings
    assert "cannot be reached" in away
    assert "hunter2" not in away
    with pytest.raises(ConfigurationError, match="does not accept the user") as refused:
        look(url.replace("hunter2", "hunter3"))
    assert "hunter3" not in str(refused.value)


def client_of(server):
    """Return a client of its own, of a server that has nothing: as the first host finds it."""
    client = server.client()
    client.connection_pool.connection_kwargs["password"] = "hunter2"
    client.flushall()
    return client


@pytest.fixture
def check(server, monkeypatch, capsys):
    """Run `check --show` with some settings; return the exit code and what was said."""
    with temporary_folder() as folder, client_of(server):
        monkeypatch.setenv("OIG_CONFIG", os.devnull)
        monkeypatch.setenv("OIG_STATE_DIR", str(folder / "state"))
        monkeypatch.setenv("OIG_PORT", str(free_port()))
        monkeypatch.setenv("OIG_LOGIN", "chat")

        def run(url):
            monkeypatch.setenv("OIG_CACHE_URL", url)
            code = main(["check", "--show"])
            printed = capsys.readouterr()
            assert "hunter" not in printed.out + printed.err
            return code, printed.out + printed.err

        run.state = folder / "state"
        yield run


def test_check_tries_the_server_and_shows_no_password(check, server):
    code, said = check(f"unix://:hunter2@{server.socket}")
    assert code == 0
    assert "OIG_CACHE_URL " in said
    assert "(set)" in said
    assert f"Shared storage unix://{server.socket}: no worker works with it yet." in said
    assert "Warning: there is no secret at" in said
    assert not check.state.exists()
    with client_of(server) as client:
        assert client.keys() == []
    code, said = check(f"redis://:hunter2@127.0.0.1:{free_port()}")
    assert code == 64
    assert "none is made" in said
    (check.state / "run").mkdir(mode=0o700, parents=True)
    make_secret(check.state / "run" / "secret")
    code, said = check(f"redis://:hunter2@127.0.0.1:{free_port()}")
    assert code == 0
    assert "Warning: the shared storage redis://127.0.0.1:" in said
    code, said = check(f"unix://:hunter3@{server.socket}")
    assert code == 64
    assert "does not accept the user and password" in said
    code, said = check("redis:/:hunter2@h")
    assert code == 64
    assert "OIG_CACHE_URL must be the address" in said


def test_check_says_that_a_secret_has_to_be_copied(check, server):
    with client_of(server) as client:
        client.set("oig:k", b"another host's")
    code, said = check(f"unix://:hunter2@{server.socket}")
    assert code == 64
    assert "There is no secret at" in said
    assert "ssh root@HOST cat" in said


def test_an_address_in_a_file_is_read_without_its_line_break_and_must_not_be_given_twice(
    check, monkeypatch, server
):
    with temporary_folder() as folder:
        file = folder / "address"
        file.write_text(f"unix://:hunter2@{server.socket}\n")
        file.chmod(0o600)
        monkeypatch.setenv("OIG_CACHE_URL_FILE", str(file))
        code, said = check("")
        assert (code, "Warning: all users" in said) == (0, False)
        file.chmod(0o644)
        folder.chmod(0o755)
        code, said = check("")
        assert code == 0
        assert f"all users of this machine can read {file}, which holds OIG_CACHE_URL" in said
        code, said = check("redis://:hunter2@h")
        assert code == 64
        assert "Both OIG_CACHE_URL and OIG_CACHE_URL_FILE are given" in said


@pytest.mark.parametrize(
    ("daemon", "ready", "serves"),
    [
        (False, {"mcp-0", "mcp-1"}, True),  # what is missing is the storage
        (False, {"mcp-0"}, False),  # the other worker may only be slow
        (False, set(), False),
        (True, {"mcp-0", "mcp-1"}, False),  # the daemon may only be slow
    ],
)
def test_a_start_goes_on_without_a_storage_that_is_away(
    monkeypatch, tmp_path, daemon, ready, serves
):
    monkeypatch.setattr(foreground, "is_ready", lambda process, _: process.name in ready)
    layout = Layout("127.0.0.1", 1, 2, daemon=daemon)
    system = foreground.System(Folders(ROOT, tmp_path, tmp_path), layout, tmp_path, None, {})
    starting = foreground.Foreground(system, print, Interrupts())
    processes = [Process("mcp", f"mcp-{n}", "RUNNING", 1, tmp_path) for n in range(2)]
    monkeypatch.setattr(starting._supervisord, "processes", lambda: processes)
    assert starting._serves(late=False) is serves


def everywhere(folder, processes):
    """Give all that others than the server's user may come to see, and what is on the disk."""
    yield from (path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for one in processes:
        with contextlib.suppress(psutil.Error):
            yield " ".join(one.cmdline()).encode()
            yield repr(one.environ()).encode()


def test_a_demo_on_a_server_runs_without_a_daemon_and_shows_no_password_anywhere(server):
    with temporary_folder() as folder, client_of(server) as client:
        project, port = copy_project(folder), free_port()
        (folder / "address").write_text(f"redis://:hunter2@127.0.0.1:{server.port}\n")
        (folder / "address").chmod(0o600)
        environ = clean_environment(
            OIG_CACHE_URL_FILE=str(folder / "address"), OIG_PORT=str(port), OIG_CONFIG=os.devnull
        )
        state = environ["OIG_STATE_DIR"] = str(folder / "state")
        said = []

        def run(*command):
            ended = subprocess.run(
                [sys.executable, "-m", *command],
                cwd=project,
                env={**environ, "OIG_LOGIN": "chat"},
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            said.append(ended.stdout + ended.stderr)
            return ended.returncode

        with started_command(project, environ, "demo") as process:
            terminal = Terminal(process)
            try:
                terminal.wait_for("Stop       Ctrl-C")
                assert "Login      in the chat" in terminal.shown
                url = f"http://localhost:{port}/mcp"
                for status in ("new_session_created", "session_from_cache"):
                    assert check_auth(url)["structuredContent"]["cache_status"] == status
                # A worker of another host that goes by another secret.
                report = {"name": "mcp-7", "host": "other", "pid": 7, "secret_differs": True}
                client.set("oig:wplanted", msgpack.packb({"versions": [report]}))
                client.zadd("oig:members", {"planted": 1})
                assert run("server.supervision", "status") == 1
                told = "mcp-7 on other, process 7, works with another secret than all others"
                assert told in said[-1]
                # /readyz of this host says the same: it is another's that refuses calls.
                assert f"{url} is ready (supervisord" in said[-1]
                assert f"Shared storage redis://127.0.0.1:{server.port}: 2 workers of " in said[-1]
                ready = f"Storage    redis://127.0.0.1:{server.port}; no other host works with it"
                assert ready in terminal.shown
                assert run("server.supervision", "check", "--show") == 0
                client.config_set("requirepass", "hunter3")
                client.client_kill_filter(_type="normal", skipme=True)
                check_auth(url)
                wait_until("it is logged", lambda: "does not accept" in terminal.shown)
                assert run("cachectl", "stats") == 1
                assert "does not accept the user and password" in said[-1]
                processes = family(process.pid)
                lines = [" ".join(one.cmdline()) for one in processes]
                assert not any("server.cache" in line for line in lines)
                assert sum("-m server " in line for line in lines) == 2
                found = [*everywhere(folder / "state", processes), repr(said).encode()]
                assert len(found) > 20
                assert not any(b"hunter" in content for content in found)
                process.send_signal(2)
                assert terminal.ended() == 0
            finally:
                client.config_set("requirepass", "hunter2")
                for left in family(process.pid):
                    left.kill()
        found = [*everywhere(Path(state), []), terminal.shown.encode()]
        assert not any(b"hunter" in content for content in found)


def test_a_daemon_does_not_start_where_nobody_would_ask_it(tmp_path):
    environ = clean_environment(**SHARED, OIG_STATE_DIR=str(tmp_path), OIG_LOGIN="chat")
    command = [sys.executable, "-m", "server.cache"]
    ended = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 64
    assert "OIG_CACHE_URL is set" in ended.stderr
    assert "hunter2" not in ended.stderr
    assert list(tmp_path.iterdir()) == []


def test_settings_of_the_daemon_are_named_as_without_effect():
    given = {"OIG_CACHE_SOCKET": "/s", "OIG_SNAPSHOT_FILE": "/f", "OIG_MAX_SESSIONS": "5"}
    found = find({**SHARED, **given, "OIG_WORKERS": "3"})
    said = list(unused(found, found.settings({})))
    assert [one.partition(" ")[0] for one in said] == list(given)
    assert all("has no effect with OIG_CACHE_URL: " in one for one in said)
    alone = find({"OIG_CONFIG": os.devnull, **given})
    assert list(unused(alone, alone.settings({}))) == []
