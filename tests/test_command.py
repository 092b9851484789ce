"""oig-cloud-mcp: what it says, what it starts and stops, and how settings reach everything."""

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from server.errors import ConfigurationError
from server.settings.loading import at_next_start, find, load
from server.settings.other_variables import PINNED
from server.settings.places import ROOT
from server.settings.reloading import Reloading
from server.supervision.__main__ import main
from server.supervision.configuration import Folders, Layout, folders_in
from server.supervision.inspection import closing, rows, warnings
from server.supervision.options import Typed, parse
from server.supervision.preflight import check_agreement, disagreement
from server.supervision.start_server import main as start_server
from server.supervision.wanted import Wanted

from .fleet import check_auth
from .system import (
    SUPERVISORD,
    alive,
    another_user,
    clean_environment,
    copy_project,
    family,
    free_port,
    give_away,
    prepared_system,
    started,
    started_command,
    stop,
    temporary_folder,
)
from .test_start_server import Terminal
from .waiting import wait_until

PLANTED = "planted.owner@example.com"


@pytest.fixture
def state(monkeypatch):
    with temporary_folder() as folder:
        monkeypatch.setenv("OIG_STATE_DIR", str(folder / "state"))
        yield folder / "state"


def command(project, *arguments, environ):
    return subprocess.run(
        [sys.executable, "-m", "server.supervision", *arguments],
        check=False,
        cwd=project,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
    )


def test_demo_status_restart_and_stop_work_from_a_path_with_special_characters():
    # A space, other letters, and what supervisord takes for the beginning of a placeholder.
    with temporary_folder("dům č. 1 100%s 5%") as folder:
        project = copy_project(folder)
        port = free_port()
        state = folder / "stav 50%"
        (folder / "settings.env").write_text(
            f"OIG_PORT={port}\nOIG_HOST=127.0.0.1\nOIG_STATE_DIR='{state}'\n"
        )
        environ = clean_environment(OIG_CONFIG=str(folder / "settings.env"), OIG_PASSWORD="x")
        environ["PATH"] += f"{os.pathsep}/100%{os.pathsep}/%(here)s"
        before = sorted(path for path in (project / "var").rglob("*"))
        with started_command(project, environ, "demo", "--workers", "2") as process:
            terminal = Terminal(process)
            everything = []
            try:
                terminal.wait_for("Stop       Ctrl-C")
                everything = family(process.pid)
                url = f"http://localhost:{port}/mcp"
                assert check_auth(url)["structuredContent"]["cache_status"] == "new_session_created"

                said = command(project, "status", environ=environ)
                assert said.returncode == 0, said.stderr
                assert said.stdout.startswith(f"{url} is ready (supervisord, process ")
                assert said.stdout.count("serves requests") == 2

                again = command(project, "serve", environ=environ)
                assert again.returncode == 1
                assert "is running already" in again.stderr
                assert again.stderr.endswith("-m server.supervision stop\n")

                settings = folder / "settings.env"
                settings.write_text(settings.read_text().replace(str(port), str(free_port())))
                with settings.open("a") as file:
                    file.write(f"OIG_SIMULATOR_PORT={free_port()}\n")
                reloaded = subprocess.run(
                    [sys.executable, "-m", "cachectl", "reload"],
                    cwd=project,
                    env=environ,
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=True,
                )
                told = "Only a restart of the server changes OIG_PORT, OIG_SIMULATOR_PORT."
                assert told in reloaded.stdout

                restarted = command(project, "restart-workers", environ=environ)
                assert restarted.returncode == 0, restarted.stderr
                assert "All 2 workers were restarted" in restarted.stdout

                checked = command(project, "check", environ=environ)
                assert checked.returncode == 0, checked.stderr
                assert "the server runs (supervisord" in checked.stdout

                stopped = command(project, "stop", environ=environ)
                assert stopped.stdout.endswith("Stopped.\n"), stopped.stderr
                assert terminal.ended() == 0
                assert terminal.shown.endswith("Stopped from elsewhere, in order.\n")
                wait_until("all processes are gone", lambda: not alive(everything))
            finally:
                for left in alive([*everything, *family(process.pid)]):
                    left.kill()
        assert command(project, "status", environ=environ).returncode == 3
        assert command(project, "stop", environ=environ).returncode == 0
        assert sorted(path for path in (project / "var").rglob("*")) == before
        assert {path.name for path in (state / "log").iterdir()} >= {"cache.log", "mcp-0.log"}
        assert (state / "run" / "secret").exists()
        assert state.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            {"OIG_PORT": "8123"},
            r"OIG_PORT is 8123 \(environment\), and .* says \d+\.",
        ),
        ({"OIG_WORKERS": "3"}, r"OIG_WORKERS is 3 \(environment\), and .* says 2\."),
        ({"OIG_STATE_DIR": "/s"}, r"OIG_STATE_DIR is /s \(environment\), and .* says /.*/var\."),
    ],
)
def test_supervisord_alone_stops_with_one_line_on_a_conflicting_setting(settings, told):
    with prepared_system(**settings) as system:
        with started(system) as supervisord:
            everything = family(supervisord.pid)
            supervisord.wait(40)
        (line,) = [x for x in system.log("supervisord").splitlines() if " ERROR watch: " in x]
        assert re.search(told, line), line
        assert "oig-cloud-mcp serve" in line
        assert not alive(everything)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", system.port))


CONFIGURATION = (ROOT / "supervisord.conf").read_text()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, None),
        ({"OIG_PORT": "8000", "OIG_HOST": "0.0.0.0", "OIG_WORKERS": "2"}, None),
        ({"OIG_STATE_DIR": "/srv/oig/var", "OIG_LOG_DIR": "/srv/oig/var/log"}, None),
        ({"OIG_RUN_DIR": "/run/oig"}, None),
        ({"OIG_HOST": "127.0.0.1"}, "OIG_HOST is 127.0.0.1"),
        ({"OIG_PORT": "8001"}, "OIG_PORT is 8001"),
        ({"OIG_WORKERS": "1"}, "OIG_WORKERS is 1"),
        ({"OIG_STATE_DIR": "/s"}, "OIG_STATE_DIR is /s"),
        ({"OIG_LOG_DIR": "/l"}, "OIG_LOG_DIR is /l"),
    ],
)
def test_settings_on_the_command_line_are_compared_with_the_running_supervisord(given, told):
    environ = {"OIG_CONFIG": os.devnull, **given}
    found = find(environ)
    folders = folders_in(CONFIGURATION, Path("/srv/oig"))
    said = disagreement(found, found.settings(environ), Layout.read(CONFIGURATION), folders)
    assert said is None if told is None else said.startswith(told)


def test_a_worker_compares_its_settings_with_its_actual_socket():
    environ = {"OIG_CONFIG": os.devnull, "SUPERVISOR_ENABLED": "1", "OIG_HOST": "127.0.0.1"}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        for name, value, agrees in (("PORT", port, True), ("PORT", "8000", port == "8000")):
            given = {**environ, f"OIG_{name}": value}
            found = find(given)
            settings = found.settings(given)
            if agrees:
                check_agreement(given, found, settings, listener=listener, workers=2)
            else:
                with pytest.raises(ConfigurationError, match=f"OIG_PORT is 8000 .* says {port}"):
                    check_agreement(given, found, settings, listener=listener, workers=2)
            # What oig-cloud-mcp has made of the settings agrees with them; alone nobody is asked.
            made = {**given, "OIG_SUPERVISORD_CONF": "/run/oig-cloud-mcp.conf"}
            check_agreement(made, found, settings, listener=listener, workers=7)
            alone = {k: v for k, v in given.items() if k != "SUPERVISOR_ENABLED"}
            check_agreement(alone, found, settings, listener=listener, workers=7)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs the files of processes")
@pytest.mark.parametrize("name", ["OIG_PORT", "OIG_WORKERS", "OIG_HOST"])
def test_supervisord_in_the_foreground_ends_by_naming_an_unknown_setting(name):
    value = {"OIG_PORT": "18521", "OIG_WORKERS": "3", "OIG_HOST": "127.0.0.2"}[name]
    with prepared_system(workers=1) as system:
        system.environ[name] = value
        ended = system.run(*SUPERVISORD)
        told = (
            rf"(?m)^watch: {name} is {re.escape(value)} \(environment\), and supervisord\.conf says"
        )
        assert re.search(told, ended.stderr)
        assert f"Z ERROR watch: {name} is {value}" in system.log("supervisord")


def wanted(environ, *arguments):
    return Wanted.of(parse(["check", *arguments], "oig-cloud-mcp"), environ)


def test_options_override_settings_and_settings_override_supervisord_conf():
    environ = {"OIG_CONFIG": os.devnull, "OIG_PORT": "8001", "OIG_WORKERS": "3"}
    assert wanted(environ).layout == Layout("0.0.0.0", 8001, 3)
    arguments = ("--port", "8002", "--host", "localhost")
    assert wanted(environ, *arguments).layout == Layout("127.0.0.1", 8002, 3)


def test_passed_settings_apply_in_any_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("allowed.txt").write_text("jana@example.cz\n")
    Path("port").write_text("8003\n")
    Path("settings.env").write_text(f"OIG_LOG_DIR={tmp_path}/l\n")
    environ = {
        "PATH": "/usr/bin",
        "OIG_ALLOWED_EMAILS": "allowed.txt",
        "OIG_PORT_FILE": "port",
        "OIG_STATE_DIR": "state",
        "OIG_PASSWORD": "secret",
        "OIG_WORKERS": " ",
    }
    passed = wanted(environ, "--config", "settings.env").handed_on()
    assert {name: value for name, value in passed.items() if name.startswith("OIG_")} == {
        "OIG_ALLOWED_EMAILS": f"{tmp_path}/allowed.txt",
        "OIG_CONFIG": f"{tmp_path}/settings.env",
        "OIG_HOST": "0.0.0.0",
        "OIG_LOG_DIR": f"{tmp_path}/l",
        "OIG_PINNED": "OIG_HOST=0.0.0.0 OIG_WORKERS=2 OIG_LOG_DIR=",
        "OIG_PORT": "8003",
        "OIG_STATE_DIR": f"{tmp_path}/state",
        "OIG_SUPERVISORD_CONF": f"{tmp_path}/state/run/oig-cloud-mcp.conf",
        "OIG_WORKERS": "2",
    }
    monkeypatch.chdir("/")
    assert find(passed).settings(passed).port == 8003


@pytest.mark.parametrize(
    ("before", "after", "restart"),
    [
        ("OIG_PORT=8003", "OIG_PORT=8003", ()),
        ("OIG_PORT=8003", "OIG_PORT=8004", ("OIG_PORT",)),
        ("OIG_PORT=8003", "", ("OIG_PORT",)),
        ("", "OIG_PORT=8003", ("OIG_PORT",)),
        ("OIG_PORT=8000", "", ()),
        ("", "OIG_HOST=127.0.0.1", ("OIG_HOST",)),
        ("", "OIG_WORKERS=5", ("OIG_WORKERS",)),
        ("", "OIG_LOG_DIR=/l 2", ("OIG_LOG_DIR",)),
        (
            "OIG_STATE_DIR=/s 1\nOIG_LOG_DIR=/l",
            "OIG_STATE_DIR=/s 2\nOIG_LOG_DIR=/l",
            ("OIG_STATE_DIR",),
        ),
        ("", "OIG_CONTROL=on", ("OIG_CONTROL",)),
    ],
)
@pytest.mark.parametrize("given", [{}, {"OIG_LIVE_TTL": "20"}])
def test_settings_that_need_a_restart_are_named_even_when_fixed_by_the_start(
    tmp_path, before, after, restart, given
):
    file = tmp_path / "settings.env"
    file.write_text(before)
    environ = wanted({"OIG_CONFIG": str(file), **given}).handed_on()
    reloading = Reloading(lambda: load(environ), lambda: at_next_start(environ))
    file.write_text(after)
    assert reloading.reload() == {"changed": (), "restart": restart}
    assert reloading.reload() == {"changed": (), "restart": restart}


def test_a_restart_does_not_change_a_setting_from_an_option_or_the_environment(tmp_path):
    file = tmp_path / "settings.env"
    file.write_text("")
    environ = wanted(
        {"OIG_CONFIG": str(file), "OIG_HOST": "127.0.0.1"}, "--port", "8003"
    ).handed_on()
    reloading = Reloading(lambda: load(environ), lambda: at_next_start(environ))
    file.write_text("OIG_PORT=8004\nOIG_HOST=127.0.0.2\nOIG_WORKERS=3\n")
    assert reloading.reload()["restart"] == ("OIG_WORKERS",)
    file.write_text("OIG_WORKERS=many\n")
    with pytest.raises(ConfigurationError, match="OIG_WORKERS"):
        reloading.reload()


def test_check_shows_every_setting_and_its_source_but_no_address_of_a_person(tmp_path):
    file = tmp_path / "settings.env"
    file.write_text(f"OIG_ALLOWED_EMAILS={PLANTED}\nOIG_LIVE_TTL=20\n")
    environ = {"OIG_CONFIG": str(file), "OIG_WORKERS": "3", "OIG_STATE_DIR": "/s"}
    told = {row.variable: row for row in rows(wanted(environ, "--port", "8123"))}
    assert told["OIG_PORT"][1:] == ("8123", "--port")
    assert told["OIG_WORKERS"][1:] == ("3", "environment")
    assert told["OIG_LIVE_TTL"][1:] == ("20", f"{file}, line 2")
    assert told["OIG_HISTORY_TTL"][1:] == ("300", "default")
    assert told["OIG_JOURNAL"][1:] == ("/s/journal.db", "default")
    assert told["OIG_ALLOWED_EMAILS"][1:] == ("(1 entries)", f"{file}, line 1")
    assert PLANTED not in str(told)


def test_check_shows_invisible_characters_in_a_value_as_escapes(tmp_path):
    file = tmp_path / "a\x1b[2Jb.env"
    file.write_text("OIG_JOURNAL='/s/\u202ej.db'\n")
    environ = {"OIG_CONFIG": str(file), "OIG_LOG_DIR": "/l\x1b[31m", "OIG_STATE_DIR": "/a\nb"}
    told = {row.variable: row for row in rows(wanted(environ))}
    assert told["OIG_LOG_DIR"].value == "/l\\x1b[31m"
    assert told["OIG_STATE_DIR"].value == "/a\\nb"
    assert told["OIG_SECRET_FILE"].value == "/a\\nb/run/secret"
    assert told["OIG_JOURNAL"][1:] == ("/s/\\u202ej.db", f"{tmp_path}/a\\x1b[2Jb.env, line 1")


@pytest.mark.parametrize("given", ["--host=", "--host= ", "--port=", "--workers=", "--config="])
@pytest.mark.parametrize(
    "program",
    [
        lambda given: parse(["serve", given], "oig-cloud-mcp"),
        lambda given: parse(["check", given], "oig-cloud-mcp"),
        lambda given: start_server([given]),
    ],
    ids=["serve", "check", "start_server.sh"],
)
def test_an_option_without_a_value_is_refused_and_nothing_starts(program, given, capsys):
    with pytest.raises(SystemExit) as ended:
        program(given)
    assert ended.value.code == 2
    assert f"argument {given.partition('=')[0]}: must" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["--host=", "--host= ", "--port=", "--workers="])
def test_a_worker_refuses_an_option_without_a_value(given):
    ended = subprocess.run(
        [sys.executable, "-m", "server", given],
        check=False,
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 2
    assert f"argument {given.partition('=')[0]}: " in ended.stderr


def checked(capsys, *arguments):
    """What `check` says where nothing is wrong."""
    assert main(["check", *arguments]) == 0
    said = capsys.readouterr().out
    assert "Settings and files are in order" in said
    assert PLANTED not in said
    return said


@pytest.fixture
def reachable(state):
    """A folder that all users may enter."""
    state.parent.chmod(0o755)
    folder = state.parent / "etc"
    folder.mkdir(mode=0o755)
    return folder


def listing(folder, how):
    """Write settings that list an e-mail in one of the ways; return them and what holds it."""
    file = folder / "settings.env"
    held = folder / "allowed"
    held.write_text(f"{PLANTED}\n")
    held.chmod(0o600)
    line = {
        "inline": f"OIG_ALLOWED_EMAILS={PLANTED}",
        "a path": f"OIG_ALLOWED_EMAILS={held}",
        "by _FILE": f"OIG_ALLOWED_EMAILS_FILE={held}",
    }[how]
    file.write_text(f"{line}\nOIG_PORT={free_port()}\n")
    file.chmod(0o600)
    return file, file if how == "inline" else held


@pytest.mark.parametrize("how", ["inline", "a path", "by _FILE"])
@pytest.mark.parametrize(("mode", "told"), [(0o600, False), (0o640, False), (0o644, True)])
def test_check_warns_of_personal_addresses_that_all_users_can_read(
    reachable, capsys, how, mode, told
):
    file, holds = listing(reachable, how)
    holds.chmod(mode)
    said = checked(capsys, "--config", str(file))
    assert ("Warning: all users of this machine can read" in said) is told
    assert (f"{holds}, which holds OIG_ALLOWED_EMAILS. Run: chmod o-r {holds}" in said) is told
    assert ("OIG_ALLOWED_EMAILS_FILE" in said) is (told and how == "inline")


@pytest.mark.parametrize("how", ["a path", "by _FILE"])
def test_a_settings_file_that_only_names_the_list_may_be_readable(reachable, capsys, how):
    file, _ = listing(reachable, how)
    file.chmod(0o644)
    assert "Warning" not in checked(capsys, "--config", str(file))


@pytest.mark.parametrize("mode", [0o700, 0o750])
def test_a_file_in_a_private_folder_causes_no_warning(reachable, capsys, mode):
    file, _ = listing(reachable, "inline")
    file.chmod(0o644)
    reachable.chmod(mode)
    assert "Warning" not in checked(capsys, "--config", str(file))


def test_the_advice_to_close_a_file_keeps_it_readable_for_the_server(tmp_path, monkeypatch):
    file = tmp_path / "settings.env"
    file.touch(mode=0o644)
    found = file.stat()
    monkeypatch.setattr(os, "geteuid", lambda: found.st_uid + 1)
    monkeypatch.setattr(os, "getegid", lambda: found.st_gid + 1)
    monkeypatch.setattr(os, "getgroups", list)
    assert closing(file, found) == (
        f"Run as root: chgrp {found.st_gid + 1} {file} && chmod g+r,o-r {file}"
    )
    monkeypatch.setattr(os, "getgroups", lambda: [found.st_gid])
    assert closing(file, found) == f"Run: chmod o-r {file}"


@pytest.mark.parametrize("name", ["the settings file", "OIG_ALLOWED_EMAILS", "OIG_CA_FILE"])
@pytest.mark.parametrize(
    ("of_file", "of_folder", "group", "told"),
    [
        (0o602, 0o711, None, "file"),
        (0o622, 0o711, None, "file"),
        (0o620, 0o711, 12345, "file"),
        (0o600, 0o777, None, "folder"),
        (0o600, 0o1777, None, None),
        (0o620, 0o711, None, None),
        (0o644, 0o755, 12345, None),
    ],
)
def test_check_warns_of_a_file_of_settings_that_others_can_change(
    name, of_file, of_folder, group, told, monkeypatch
):
    with temporary_folder() as folder:
        folder.chmod(0o711)
        place = folder / "named"
        place.mkdir()
        files = {"OIG_ALLOWED_EMAILS": place / "list", "the settings file": place / "settings.env"}
        files["OIG_CA_FILE"] = place / "ca.pem"
        others = folder / "others"
        others.mkdir()
        for one, file in files.items():
            if one != name:
                files[one] = others / file.name
        files["OIG_ALLOWED_EMAILS"].write_text("jana@example.cz\n")
        files["OIG_CA_FILE"].write_text("")
        config = files["the settings file"]
        config.write_text(
            f"OIG_ALLOWED_EMAILS='{files['OIG_ALLOWED_EMAILS']}'\n"
            f"OIG_CA_FILE='{files['OIG_CA_FILE']}'\nOIG_STATE_DIR='{folder}/state'\n"
        )
        for file in files.values():
            file.chmod(0o600)
        others.chmod(0o700)
        files[name].chmod(of_file)
        place.chmod(of_folder)
        if group is not None:
            # Only root may give a file away: to others, their own group is made another.
            monkeypatch.setattr(os, "getegid", lambda: group)
            if os.geteuid() == 0:
                os.chown(files[name], 0, group + 1)
        wanted = Wanted.of(parse(["check", "--config", str(config)], "x"), clean_environment())
        said = [one for one in warnings(wanted) if "others than its owner" in one]
        expected = {"file": files[name], "folder": place, None: None}[told]
        if expected is None:
            assert said == []
        else:
            (line,) = said
            assert f"can change {expected.resolve()}, and so {name}." in line
            assert line.endswith(f"chmod go-w {expected.resolve()}")


@pytest.mark.parametrize("name", ["journal.db", "grants.db"])
@pytest.mark.parametrize("content", [b"no database\n" * 100, b""], ids=["text", "nothing"])
def test_check_reports_an_unusable_record(state, monkeypatch, capsys, content, name):
    monkeypatch.setenv("OIG_PORT", str(free_port()))
    state.mkdir()
    assert name not in checked(capsys)
    (state / name).write_bytes(content)
    said = checked(capsys)
    assert "Warning: " in said
    assert f"{state}/{name}" in said


def test_check_exits_with_1_for_a_taken_port_and_with_64_for_a_wrong_setting(
    state, monkeypatch, capsys
):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("OIG_HOST", "127.0.0.1")
        monkeypatch.setenv("OIG_PORT", str(listener.getsockname()[1]))
        assert main(["check"]) == 1
        assert "is taken by another program" in capsys.readouterr().err
    monkeypatch.setenv("OIG_HOST", "::1")
    assert main(["check"]) == 64
    assert "OIG_HOST must be an IPv4 address: supervisord" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "named"),
    [("a%(here)sb", "or %(here)s in"), ("a ;b", "space before ;"), ("a\nb", "a line break")],
)
def test_a_folder_that_supervisord_cannot_use_is_refused_with_the_reason(
    tmp_path, monkeypatch, capsys, name, named
):
    monkeypatch.setenv("OIG_STATE_DIR", str(tmp_path / name))
    assert main(["check"]) == 64
    told = capsys.readouterr().err
    assert named in told
    assert told.count("\n") == 1
    assert not (tmp_path / name).exists()


def test_a_folder_that_cannot_be_created_is_reported_with_its_setting(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("OIG_STATE_DIR", str(tmp_path / "file" / "state"))
    assert main(["check"]) == 64
    told = capsys.readouterr().err
    assert "Set OIG_STATE_DIR" in told
    assert told.count("\n") == 1


def test_check_creates_nothing_in_the_folder_of_another_user(state, monkeypatch, capsys):
    state.mkdir()
    if os.geteuid() == 0:
        os.chown(state, 12345, 12345)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert main(["check"]) == 64
    assert "Do this as that user" in capsys.readouterr().err
    assert list(state.iterdir()) == []


def test_a_checkout_of_another_user_is_used_without_writing_in_it():
    with temporary_folder() as folder, temporary_folder("home") as home:
        project = copy_project(folder)
        give_away(home)
        for path in (folder, *folder.rglob("*")):
            path.chmod(path.stat().st_mode & ~0o222)
        environ = clean_environment(HOME=str(home), OIG_PORT=str(free_port()))
        environ.pop("XDG_STATE_HOME", None)
        checked = subprocess.run(
            [*another_user(), sys.executable, "-m", "server.supervision", "check", "--show"],
            check=False,
            cwd=project,
            env=environ,
            capture_output=True,
            text=True,
            timeout=30,
        )
        for path in (folder, *folder.rglob("*")):
            path.chmod(path.stat().st_mode | 0o700)
        assert checked.returncode == 0, checked.stderr
        state = home / ".local" / "state" / "oig-cloud-mcp"
        assert re.search(rf"OIG_STATE_DIR +{state} +default", checked.stdout)
        assert re.search(rf"OIG_LOG_DIR +{state}/log +default", checked.stdout)
        assert not state.exists()
        assert [path for path in (project / "var").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("verb", ["status", "restart-workers"])
def test_without_a_running_server_the_answer_says_how_to_start_one(state, capsys, verb):
    assert main([verb]) == 3
    assert f"No server is running: there is no {state}/run/supervisor.sock." in (
        told := capsys.readouterr().err
    )
    assert told.endswith(" serve\n")


def test_a_stop_without_a_server_succeeds(state, capsys):
    assert main(["stop"]) == 0
    assert "No server is running" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["start"], "there is no command start. Did you mean serve? Commands: demo, serve,"),
        (["stat"], "there is no command stat. Did you mean status?"),
        (["frobnicate"], "there is no command frobnicate. Commands: demo, serve,"),
        (["serve", "--port", "0"], "--port: must be a number from 1 to 65535"),
        (["serve", "--workers", "65"], "--workers: must be a number from 1 to 64"),
        (["stop", "--port", "8000"], "unrecognized arguments: --port"),
        (["serve", "--show"], "unrecognized arguments: --show"),
    ],
)
def test_wrong_usage_is_explained_and_exits_with_2(capsys, arguments, said):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--version"], ["check", "--version"]])
def test_the_command_prints_its_version(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    assert re.fullmatch(r"oig-cloud-mcp \d+\.\d+\.\d+\n", capsys.readouterr().out)


HERE = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("argv0", "environ", "typed"),
    [
        (f"{HERE}/oig-cloud-mcp", {"PATH": str(HERE)}, "oig-cloud-mcp stop"),
        (f"{HERE}/oig-cloud-mcp", {"PATH": "/usr/bin"}, f"{HERE}/oig-cloud-mcp stop"),
        # uvx puts a folder on the PATH that the user's shell does not have.
        (
            f"{HERE}/oig-cloud-mcp",
            {"PATH": str(HERE), "UV": "/usr/bin/uv"},
            f"{HERE}/oig-cloud-mcp stop",
        ),
        ("/a b/oig-cloud-mcp", {"PATH": "/usr/bin"}, "'/a b/oig-cloud-mcp' stop"),
        (
            "/x/server/supervision/__main__.py",
            {},
            f"{Path(sys.executable).name} -m server.supervision stop",
        ),
    ],
)
def test_other_commands_are_written_the_way_the_user_typed_this_one(argv0, environ, typed):
    assert Typed.of(argv0, environ).command("stop") == typed


def test_a_user_of_start_server_sees_its_options():
    typed = Typed.script({"PATH": "/usr/bin"})
    assert typed.command("serve") == "./start_server.sh"
    assert typed.command("restart-workers") == "./start_server.sh --restart-workers"
    stop = typed.command("stop")
    assert shlex.split(stop)[-1] == "stop"
    assert "oig-cloud-mcp" in stop or "server.supervision" in stop


def test_folders_of_the_checkouts_configuration_are_found():
    assert folders_in(CONFIGURATION, Path("/srv/oig")) == Folders(
        Path("/srv/oig"), Path("/srv/oig/var"), Path("/srv/oig/var/log")
    )
    with pytest.raises(ConfigurationError, match=r"\[fcgi-program:mcp\] .* stdout_logfile"):
        folders_in(CONFIGURATION.replace("stdout_logfile=", "x="), Path("/srv/oig"))


STATE_FILES = ["run/oig-cloud-mcp.conf", "run/supervisord.pid"]
LOG_FILES = ["log/supervisord.log", "log/cache.log", "log/mcp-1.log"]


@pytest.mark.parametrize("verb", ["serve", "check"])
@pytest.mark.parametrize("name", [*STATE_FILES, "run/supervisor.sock", *LOG_FILES])
def test_a_folder_in_place_of_a_file_is_reported_in_one_line(
    state, monkeypatch, capsys, name, verb
):
    monkeypatch.setenv("OIG_HOST", "127.0.0.1")
    monkeypatch.setenv("OIG_PORT", str(free_port()))
    (state / name).mkdir(parents=True)
    assert main([verb]) == 64
    told = capsys.readouterr().err
    assert re.search(
        rf"{state}/{name} cannot be written to: (Is|It is) a (directory|folder)\.", told
    )
    assert ("OIG_LOG_DIR" if name in LOG_FILES else "OIG_STATE_DIR") in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("name", [*STATE_FILES, *LOG_FILES])
def test_a_dangling_link_is_reported_with_its_target(state, monkeypatch, capsys, name):
    monkeypatch.setenv("OIG_PORT", str(free_port()))
    path = state / name
    path.parent.mkdir(parents=True)
    path.symlink_to("gone/file")
    assert main(["check"]) == 64
    assert f"{path}, a link to gone/file, cannot be written to: No such file" in (
        capsys.readouterr().err
    )
    (path.parent / "gone").mkdir()  # supervisord makes the file there itself
    assert main(["check"]) == 0


def test_a_file_of_another_user_is_reported_in_one_line():
    with temporary_folder() as folder:
        state = folder / "state"
        for name in ("run", "log"):
            (state / name).mkdir(parents=True)
        for path in (folder, state, state / "run", state / "log"):
            path.chmod(0o700)
            give_away(path)
        for name in (*STATE_FILES, *LOG_FILES):
            (state / name).touch(0o400)
            environ = clean_environment(OIG_STATE_DIR=str(state), OIG_PORT=str(free_port()))
            checked = subprocess.run(
                [*another_user(), sys.executable, "-m", "server.supervision", "check"],
                check=False,
                cwd=ROOT,
                env=environ,
                capture_output=True,
                text=True,
                timeout=30,
            )
            assert checked.returncode == 64, checked.stderr
            assert f"{state}/{name} cannot be written to: Permission denied." in checked.stderr
            assert checked.stderr.count("\n") == 1
            (state / name).unlink()


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("server.supervision", ["check", "--show"]),
        ("server.supervision", ["check"]),
        ("server.supervision", ["stop"]),
        ("server.supervision", ["serve"]),
        ("server.supervision.start_server", ["--no-install"]),
    ],
)
def test_a_closed_output_pipe_is_not_an_error(state, program, arguments):
    environ = clean_environment(OIG_STATE_DIR=str(state), OIG_PORT=str(free_port()))
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            [sys.executable, "-m", program, *arguments],
            check=False,
            cwd=ROOT,
            env=environ,
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=60,
        )
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_one_of_two_simultaneous_starts_serves_and_the_other_says_so():
    with temporary_folder() as folder:
        environ = clean_environment(OIG_STATE_DIR=str(folder / "state"), OIG_HOST="127.0.0.1")
        ports = [str(free_port()), str(free_port())]
        starts = [started_command(ROOT, environ, "demo", "--port", port) for port in ports]
        try:
            wait_until("one has ended", lambda: any(s.poll() is not None for s in starts))
            (lost,) = [start for start in starts if start.poll() is not None]
            (won,) = [start for start in starts if start is not lost]
            terminal = Terminal(won)
            terminal.wait_for("Stop       Ctrl-C")
            assert lost.returncode == 1
            told = lost.stdout.read().splitlines()[-1]
            assert "The server is running already (supervisord, process " in told
            said = command(ROOT, "status", environ=environ)
            port = ports[starts.index(won)]
            assert said.stdout.startswith(f"http://localhost:{port}/mcp is ready"), said.stderr
            assert command(ROOT, "stop", environ=environ).returncode == 0
            assert terminal.ended() == 0
        finally:
            for start in starts:
                if start.poll() is None:
                    stop(start)
                start.stdout.close()


@pytest.mark.parametrize(("command", "host"), [("demo", "127.0.0.1"), ("serve", "0.0.0.0")])
def test_a_reload_compares_with_the_address_that_a_new_start_would_use(command, host):
    environ = {"HOME": "/nonexistent", "OIG_CONFIG": os.devnull}
    passed = Wanted.of(parse([command], "oig-cloud-mcp"), environ).handed_on()
    assert passed["OIG_HOST"] == host
    assert f"OIG_HOST={host}" in passed[PINNED].split()
    assert at_next_start(passed)["OIG_HOST"] == host


@pytest.mark.parametrize(
    ("command", "file", "environ", "runs", "next_start"),
    [
        ("demo", "", {}, "on", "on"),
        ("demo", "OIG_CONTROL=off\n", {}, "off", "off"),
        ("demo", "", {"OIG_CONTROL": "off"}, "off", None),
        ("serve", "", {}, "off", None),
    ],
)
def test_a_demo_allows_control_unless_it_is_switched_off(
    command, file, environ, runs, next_start, tmp_path
):
    (tmp_path / "settings.env").write_text(file)
    environ = {"HOME": "/nonexistent", "OIG_CONFIG": str(tmp_path / "settings.env"), **environ}
    wanted = Wanted.of(parse([command], "oig-cloud-mcp"), environ)
    assert wanted.settings.control == runs
    passed = wanted.handed_on()
    assert load(passed).control == runs
    assert at_next_start(passed).get("OIG_CONTROL") == next_start


def test_a_reload_of_a_demo_says_that_control_needs_a_restart(tmp_path):
    file = tmp_path / "settings.env"
    file.write_text("")
    environ = {"HOME": "/nonexistent", "OIG_CONFIG": str(file)}
    passed = Wanted.of(parse(["demo"], "oig-cloud-mcp"), environ).handed_on()
    reloading = Reloading(lambda: load(passed), lambda: at_next_start(passed))
    assert reloading.reload()["restart"] == ()
    file.write_text("OIG_CONTROL=off\n")
    assert reloading.reload()["restart"] == ("OIG_CONTROL",)


def test_check_warns_of_a_public_address_without_a_named_proxy(state, monkeypatch, capsys):
    monkeypatch.setenv("OIG_PUBLIC_URL", "https://oig.example.org")
    assert "OIG_TRUSTED_PROXIES" in checked(capsys)
    monkeypatch.setenv("OIG_TRUSTED_PROXIES", "127.0.0.1")
    assert "OIG_TRUSTED_PROXIES" not in checked(capsys)
