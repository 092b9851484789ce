"""start_server.sh: what it installs, what it starts, what it says, and that it leaves nothing."""

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from server.as_user import user_name
from server.errors import ConfigurationError
from server.settings.other_variables import CLIENTS
from server.settings.places import ROOT
from server.supervision import environment, foreground
from server.supervision.configuration import Folders, Layout, render, shipped
from server.supervision.environment import Environment, InstallationFailed
from server.supervision.foreground import CannotStart, Foreground, System, check_free
from server.supervision.interrupts import Interrupts
from server.supervision.logs import Follower, for_terminal, last_lines
from server.supervision.options import Typed
from server.supervision.serve import announcement
from server.supervision.start_server import main
from server.supervision.supervisor_rpc import Supervisord, SupervisordError

from .fleet import check_auth
from .system import (
    RunningSystem,
    alive,
    breakable,
    clean_environment,
    copy_project,
    family,
    free_port,
    prepared_system,
    started,
    stop,
    temporary_folder,
)
from .waiting import wait_until

CONFIGURATION = (ROOT / "supervisord.conf").read_text()


class Terminal:
    """A running start_server.sh and the lines that it has shown so far."""

    def __init__(self, process):
        self.process = process
        self.shown = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.shown += line

    def wait_for(self, text, within=60.0):
        with suppress(AssertionError):  # it is made below, with what was shown
            wait_until("", lambda: text in self.shown or self.process.poll() is not None, within)
        self._reader.join(0 if text in self.shown else 5)
        assert text in self.shown, self.shown

    def ended(self, within=60.0):
        code = self.process.wait(within)
        self._reader.join(60)
        return code


@contextmanager
def start_server(project, *arguments, **settings):
    process = subprocess.Popen(
        [str(project / "start_server.sh"), "--no-install", *arguments],
        cwd="/",
        env=clean_environment(**settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield Terminal(process)
    finally:
        if process.poll() is None:
            stop(process)
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def project():
    with temporary_folder("oig test") as folder:  # a space, as in many a home
        yield copy_project(folder)


def test_the_demo_says_when_it_is_ready_and_how_to_connect_and_ctrl_c_stops_it(project):
    port = free_port()
    untouched = (project / "supervisord.conf").read_text()
    arguments = ("--demo", "--port", str(port), "--workers", "3")
    secrets = {"OIG_BASIC": "a client's", "OIG_PASSWORD": "a client's"}
    with start_server(project, *arguments, **secrets) as terminal:
        terminal.wait_for("Stop       Ctrl-C")
        supervisord = psutil.Process(int((project / "var/run/supervisord.pid").read_text()))
        assert not secrets.keys() & supervisord.environ().keys()
        url = f"http://localhost:{port}/mcp"
        assert f"s: {url}\n" in terminal.shown
        assert f"check-auth --email demo@example.com --url {url}\n" in terminal.shown
        assert "The password is demo." in terminal.shown
        assert "cachectl' stats" in terminal.shown or "cachectl stats" in terminal.shown
        assert f"claude mcp add --transport http --scope user oig-cloud {url}\n" in terminal.shown
        assert len(re.findall(r"INFO mcp-\d: worker ready", terminal.shown)) == 3
        assert check_auth(url)["structuredContent"]["cache_status"] == "new_session_created"

        system = RunningSystem(project, port, 3, clean_environment())
        assert len(system.supervisorctl("status").stdout.splitlines()) == 6
        again = system.run("./start_server.sh", "--no-install", "--demo")
        assert again.returncode == 1
        assert again.stderr.startswith("start_server.sh: The server is running already")
        assert again.stderr.count("\n") == 1

        everything = family(terminal.process.pid)
        assert len(everything) == 8
        os.killpg(terminal.process.pid, signal.SIGINT)
        assert terminal.ended() == 0
    assert terminal.shown.endswith("Stopped.\n")
    assert "Traceback" not in terminal.shown
    assert alive(everything) == []
    assert (project / "supervisord.conf").read_text() == untouched


def test_a_killed_supervisord_stops_everything_and_the_reason_is_printed(project):
    with start_server(project, "--demo", "--port", str(free_port())) as terminal:
        terminal.wait_for("Stop       Ctrl-C")
        everything = family(terminal.process.pid)
        os.kill(int((project / "var/run/supervisord.pid").read_text()), signal.SIGKILL)
        assert terminal.ended() == 1
    assert "supervisord was killed by signal 9" in terminal.shown.splitlines()[-1]
    wait_until("all processes are gone", lambda: not alive(everything))


@pytest.mark.parametrize("how", ["supervisorctl shutdown", "a signal"])
def test_a_stop_from_elsewhere_is_reported(project, how):
    with start_server(project, "--demo", "--port", str(free_port())) as terminal:
        terminal.wait_for("Stop       Ctrl-C")
        if how == "a signal":
            os.kill(int((project / "var/run/supervisord.pid").read_text()), signal.SIGTERM)
        else:
            RunningSystem(project, 0, 2, clean_environment()).supervisorctl("shutdown")
        assert terminal.ended() == (1 if how == "a signal" else 0)
    told = {
        "supervisorctl shutdown": "Stopped from elsewhere, in order.",
        "a signal": "start_server.sh: supervisord ended with code 0, everything is stopped: "
        "another process sent it a signal",
    }
    assert terminal.shown.splitlines()[-1] == told[how]


def test_one_missing_answer_of_supervisord_stops_nothing(monkeypatch):
    interrupts = Interrupts()
    unanswered: list[int] = []
    asked = Supervisord.processes

    def processes(self, group=None):
        if "ready" not in said:
            return asked(self, group)
        unanswered.append(1)
        if len(unanswered) > 1:
            interrupts.interrupt()
        raise SupervisordError("supervisord does not answer: timed out")

    monkeypatch.setattr(foreground, "LOOK", 0.1)
    monkeypatch.setattr(Supervisord, "processes", processes)
    monkeypatch.setattr(Foreground, "_missing", lambda self: None)
    said: list[str] = []
    with system_that_never_gets_ready() as system:
        Foreground(system, said.append, interrupts).run("ready")
    assert len(unanswered) > 1


def test_the_start_ends_with_the_reason_when_all_workers_fail(project):
    path = project / "supervisord.conf"
    text = path.read_text().replace("-m server --workers", "-m server.missing --workers")
    path.write_text(text.replace("supervision.watch", "supervision.watch --end-after 3"))
    with start_server(project, "--demo", "--port", str(free_port())) as terminal:
        assert terminal.ended() == 1
    last = terminal.shown.splitlines()[-1]
    assert last.startswith("start_server.sh: supervisord ended with code 0, everything is stopped")
    assert "No worker has come up in the last 3 s: mcp-0, mcp-1 failed each time" in last
    assert "No module named server.missing" in last


@pytest.mark.parametrize("part", ["mcp-1", "cache"])
def test_a_failing_process_is_named_while_the_others_serve(monkeypatch, part):
    monkeypatch.setattr(foreground, "LOOK", 0.1)
    interrupts = Interrupts()
    said: list[str] = []

    def say(line):
        said.append(line)
        serving = {"mcp-0", "mcp-1"} - {part}
        if serving <= {path.name for path in (system.run_dir / "ready").glob("*")}:
            monkeypatch.setattr(foreground, "PARTLY_AFTER", 0.0)
        if line == "Partly ready":
            broken.unlink()
        if line == "Everything is ready.":
            interrupts.interrupt()

    with prepared_system() as system:
        broken = breakable(system, part)
        broken.touch()
        text = (system.project / "supervisord.conf").read_text()
        text = text.replace("supervision.watch", "supervision.watch --longest-pause 1")
        Foreground(rendered(system, text), say, interrupts).run("{state}")
    (missing,) = [line for line in said if line.startswith("Not ready after ")]
    assert re.search(
        "answers 503" if part == "cache" else "mcp-1 is (BACKOFF|STARTING)", missing
    ), missing
    assert missing.endswith("it is broken")
    assert any(f"WARNING watch: {part} has failed to start" in line for line in said)
    assert "The rest serves. What fails is tried again, without end." in said
    assert said.index("Partly ready") < said.index("Everything is ready.")


def test_a_taken_port_is_reported_in_one_line(project):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with start_server(project, "--demo", "--port", str(port)) as terminal:
            assert terminal.ended() == 1
    assert terminal.shown == (
        f"start_server.sh: Port {port} is taken by another program. "
        "Stop that program, or choose another with --port.\n"
    )


def test_a_taken_simulator_port_is_reported(project):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = str(listener.getsockname()[1])
        port = str(free_port())
        with start_server(project, "--demo", "--port", port, OIG_SIMULATOR_PORT=taken) as terminal:
            assert terminal.ended() == 1
    assert terminal.shown.count("\n") == 1
    assert f"Port {taken} is taken" in terminal.shown
    assert "OIG_SIMULATOR_PORT" in terminal.shown


def test_a_wrong_setting_is_reported_in_one_line_before_anything_starts(project):
    with start_server(project, OIG_SESION_TTL="5") as terminal:
        assert terminal.ended() == 64
    assert terminal.shown == (
        "start_server.sh: There is no setting OIG_SESION_TTL. Did you mean OIG_SESSION_TTL?\n"
    )


def test_an_unusable_file_is_reported_in_one_line_before_anything_starts(project):
    secret = project / "secret"
    secret.write_text("s" * 64)
    secret.chmod(0o644)
    port = str(free_port())
    with start_server(project, "--port", port, OIG_SECRET_FILE=str(secret)) as terminal:
        assert terminal.ended() == 64
    assert terminal.shown == (
        f"start_server.sh: The secret {secret} is open to other users (mode 0644): "
        f"chmod 600 {secret}\n"
    )


def rendered(system, text, port=None):
    layout = Layout("127.0.0.1", port or system.port, 2)
    folders = Folders(system.project, system.project / "var", system.log_dir)
    folders.configuration.write_text(
        render(text, folders, layout, python=sys.executable, simulator=False)
    )
    return System(
        folders=folders,
        layout=layout,
        ready_folder=system.run_dir / "ready",
        simulator_port=None,
        environ=system.environ,
    )


@contextmanager
def system_that_never_gets_ready(*, workers="all"):
    with prepared_system() as system:
        text = (system.project / "supervisord.conf").read_text()
        program = "sleep 100"
        if workers == "one":
            program = (
                "sh -c 'test $SUPERVISOR_PROCESS_NAME = mcp-0 && exec python3 -m server;sleep 100'"
            )
        yield rendered(system, re.sub(r"(?m)python3 -m server --workers.*$", program, text))


def test_a_process_not_ready_in_time_is_named_and_stopped(monkeypatch):
    monkeypatch.setattr(foreground, "READY_WITHIN", 8.0)
    said: list[str] = []
    with (
        system_that_never_gets_ready() as system,
        pytest.raises(CannotStart, match=r"Not ready after 8 s: mcp-0 is (STARTING|RUNNING); the"),
    ):
        Foreground(system, said.append, Interrupts()).run("ready")
    assert "ready" not in said
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", system.layout.port))


def test_one_worker_that_hangs_at_its_start_is_named_and_the_other_serves(monkeypatch):
    interrupts = Interrupts()
    said: list[str] = []

    def say(line):
        said.append(line)
        if "mcp-0: worker ready" in line:
            monkeypatch.setattr(foreground, "READY_WITHIN", 3.0)
        if line == "Partly ready":
            interrupts.interrupt()

    with system_that_never_gets_ready(workers="one") as system:
        Foreground(system, say, interrupts).run("{state}")
    (missing,) = [line for line in said if line.startswith("Not ready after ")]
    assert re.search(r"mcp-1 is (STARTING|RUNNING); the end of its log", missing)


def test_a_port_that_was_taken_in_the_meantime_is_named():
    with prepared_system() as system:
        run = rendered(system, CONFIGURATION)
        with (
            socket.create_server(("127.0.0.1", system.port)),
            pytest.raises(CannotStart, match=f"^Port {system.port} at 127.0.0.1 was taken in the"),
        ):
            Foreground(run, lambda _: None, Interrupts()).run("ready")


def test_a_concurrent_start_in_the_same_folders_is_named_and_not_the_port():
    with prepared_system() as system:
        run = rendered(system, CONFIGURATION, free_port())
        with started(system):
            wait_until("the first one answers", run.folders.control.exists)
            with pytest.raises(CannotStart) as told:
                Foreground(run, lambda _: None, Interrupts()).run("ready")
        assert f"Another supervisord has taken {run.folders.control}" in str(told.value)
        assert "ort " not in str(told.value)


@pytest.mark.parametrize("what", ["folder", "link that leads nowhere", "link to itself"])
def test_anything_but_a_file_in_place_of_a_log_has_no_lines(tmp_path, what):
    log = tmp_path / "mcp-0.log"
    put = {
        "folder": log.mkdir,
        "link that leads nowhere": lambda: log.symlink_to("gone"),
        "link to itself": lambda: log.symlink_to(log),
    }[what]
    put()
    follower = Follower(log)
    assert list(follower.lines()) == []
    log.rmdir() if what == "folder" else log.unlink()
    log.write_text("one\n")
    assert list(follower.lines()) == ["one"]
    log.unlink()
    put()
    assert list(follower.lines()) == []
    follower.close()


def test_an_interrupt_before_it_is_ready_stops_it(monkeypatch):
    interrupts = Interrupts()
    said: list[str] = []

    def say(line):
        said.append(line)
        if "cache daemon ready" in line:
            interrupts.interrupt()

    with system_that_never_gets_ready() as system:
        Foreground(system, say, interrupts).run("ready")
    assert "ready" not in said


def test_a_closed_terminal_does_not_stop_it_under_nohup():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interrupts = Interrupts()
    try:
        with interrupts.caught():
            os.kill(os.getpid(), signal.SIGHUP)
            assert not interrupts
            os.kill(os.getpid(), signal.SIGTERM)
            assert interrupts
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_closed_terminal_stops_it():
    def say(_):
        raise BrokenPipeError

    with system_that_never_gets_ready() as system:
        interrupts = Interrupts()
        Foreground(system, say, interrupts).run("ready")
    assert interrupts


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "0"], "--port: must be a number from 1 to 65535"),
        (["--port", "http"], "--port: must be a number from 1 to 65535"),
        (["--port", "-1"], "--port: must be a number from 1 to 65535"),
        (["--workers", "0"], "--workers: must be a number from 1 to 64"),
        (["--workers", "8000"], "--workers: must be a number from 1 to 64"),
        (["--workers", "٣"], "--workers: must be a number from 1 to 64"),
        (["--dem"], "unrecognized arguments: --dem"),
        (["--demo", "--restart-workers"], "not allowed with argument --demo"),
        (["--restart-workers", "--workers", "3"], "changes neither host, port nor workers"),
        (["--restart-workers", "--host", "127.0.0.1"], "changes neither host, port nor workers"),
        (["--dev"], "--dev goes with --setup"),
        (["--setup", "--no-install"], "contradict each other"),
    ],
)
def test_wrong_usage_is_explained_and_exits_with_2(capsys, arguments, said):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("closed", ["supervisor.sock", "rolling_restart.lock"])
def test_a_restart_by_another_user_is_refused_in_one_line(tmp_path, monkeypatch, capsys, closed):
    path = tmp_path / "run" / closed
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "supervisor.sock").touch()

    def refused(given):
        def refuse(self, *arguments, **named):
            if self == path:
                raise PermissionError(errno.EACCES, "Permission denied", str(self))
            return given(self, *arguments, **named)

        return refuse

    monkeypatch.setenv("OIG_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(Path, "stat", refused(Path.stat))
    monkeypatch.setattr(Path, "open", refused(Path.open))
    assert main(["--restart-workers"]) == 1
    assert capsys.readouterr().err == (
        f"start_server.sh: No permission for {path}. {path.parent} belongs to "
        f"{user_name(os.geteuid())}. Do this as that user\n"
    )


def test_help_needs_nothing_installed():
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    command = [sys.executable, "-S", "-m", "server.supervision.start_server", "--help"]
    shown = subprocess.run(
        command, check=True, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60
    )
    assert "--restart-workers" in shown.stdout


def test_the_copy_of_the_configuration_differs_in_numbers_places_and_python(tmp_path):
    folders = Folders(tmp_path, tmp_path / "state", tmp_path / "log")
    text = render(
        CONFIGURATION, folders, Layout("0.0.0.0", 8123, 5), python="/a b/python3", simulator=True
    )
    assert Layout.read(text) == Layout("0.0.0.0", 8123, 5)
    assert "%(here)s" not in text
    assert "/usr/bin/env" not in text
    assert "command='/a b/python3' -m server.cache\n" in text
    assert f"directory={tmp_path}\n" in text
    assert f"stdout_logfile={tmp_path}/log/cache.log\n" in text
    assert f"file={tmp_path}/state/run/supervisor.sock\n" in text
    assert f"serverurl=unix://{tmp_path}/state/run/supervisor.sock\n" in text
    assert "autostart=true" in text
    plain = render(
        CONFIGURATION, folders, Layout.read(CONFIGURATION), python="python3", simulator=False
    )
    assert re.findall("autostart=.*", plain) == ["autostart=false"]
    assert Layout.read(plain) == Layout("0.0.0.0", 8000, 2)


READ_BY_SUPERVISORD = """
import json, sys
from supervisor.options import ServerOptions
options = ServerOptions()
options.realize(["--configuration", sys.argv[1]])
processes = [one for group in options.process_group_configs for one in group.process_configs]
json.dump({
    "environment": options.configroot.supervisord.environment,
    "logs": [one.stdout_logfile for one in processes if one.stdout_logfile],
    "folders": [one.directory for one in processes],
    "pid file": options.pidfile,
}, sys.stdout)
"""


def as_supervisord_reads(configuration, path):
    """Return what supervisord makes of a configuration when it is started with this PATH."""
    read = subprocess.run(
        [sys.executable, "-c", READ_BY_SUPERVISORD, str(configuration)],
        check=False,
        env={"PATH": path, "SALT": "100% %s"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert read.returncode == 0, read.stderr
    return json.loads(read.stdout)


PATHS_THAT_NEED_CARE = ["/a%b:/usr/bin", "/100%", "/%(here)s:/%(ENV_HOME)s", "/%s:/%%", "/5% off"]


GIVEN = dict.fromkeys(sorted(CLIENTS), "") | {"PYTHONNODEBUGRANGES": "1"}
"""What all processes get: nothing of what a client takes from the environment, and what spares
memory."""


@pytest.mark.parametrize("path", PATHS_THAT_NEED_CARE)
def test_supervisord_alone_accepts_percent_signs_in_the_path(project, path):
    read = as_supervisord_reads(project / "supervisord.conf", path)
    assert read["environment"] == {"PATH": f"{project}/.venv/bin:{path}", **GIVEN}


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize(
    ("path", "name"),
    [
        *((path, "100%") for path in (*PATHS_THAT_NEED_CARE, '/a"b', "/a ;b:/it's", "/a\nb")),
        *(("/usr/bin", name) for name in ("plain", "a%s b%%c", "%(ENV_PATH)s", "%(x)d")),
    ],
)
def test_the_copy_accepts_any_path_including_percent_signs(tmp_path, path, name, before):
    folders = Folders(tmp_path / name, tmp_path / name / "var", tmp_path / name / "log")
    for folder in (folders.run, folders.logs):
        folder.mkdir(parents=True)
    source = CONFIGURATION
    if before:  # of an operator who has an older one, and has added to it
        source = source.replace("%%(ENV_PATH)s", "%(ENV_PATH)s").replace(
            "environment=", 'environment=OURS="%(here)s",SALT="%(ENV_SALT)s",'
        )
        assert source.count("%(ENV_") == 2
    layout = Layout.read(source)
    folders.configuration.write_text(
        render(source, folders, layout, python=sys.executable, simulator=False)
    )
    read = as_supervisord_reads(folders.configuration, path)
    added = {"OURS": str(folders.project), "SALT": "100% %s"}
    assert read["environment"] == (added if before else {}) | GIVEN
    assert {Path(log).parent for log in read["logs"]} == {folders.logs}
    assert set(read["folders"]) == {str(folders.project)}
    assert read["pid file"] == str(folders.pid_file)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("[fcgi-program:mcp]", "[fcgi-program:other]"),
        ("socket=tcp://0.0.0.0:8000", "socket=unix:///tmp/mcp.sock"),
        ("socket=tcp://0.0.0.0:8000", "socket=tcp://0.0.0.0"),
        ("numprocs=2", "numprocs=many"),
        ("[supervisord]", "[supervisord"),
    ],
)
def test_an_unreadable_configuration_is_reported(old, new):
    with pytest.raises(ConfigurationError, match=r"supervisord\.conf"):
        Layout.read(CONFIGURATION.replace(old, new))


def test_the_address_for_people_is_one_they_can_open():
    assert Layout("0.0.0.0", 8000, 2).url == "http://localhost:8000/mcp"
    assert Layout("192.168.1.5", 8000, 2).url == "http://192.168.1.5:8000/mcp"


def told_once_ready(layout, **more):
    typed = Typed("oig-cloud-mcp", "oig-cloud-mcp", {})
    return announcement(layout, typed, None, demo=False, **{"browser": True, **more})


def test_a_public_address_is_the_one_that_people_give_their_clients():
    behind = Layout("127.0.0.1", 8000, 2, public="https://oig.example.org")
    told = told_once_ready(behind)
    assert told.count("https://oig.example.org/mcp") == 3
    assert "localhost" not in told
    assert behind.elsewhere == " Clients call https://oig.example.org/mcp."
    itself = Layout("0.0.0.0", 443, 2, "https://oig.example.org", "https://oig.example.org")
    for layout in (itself, Layout("127.0.0.1", 8000, 2)):
        assert (layout.called, layout.elsewhere) == (layout.url, "")


@pytest.mark.parametrize("browser", [True, False])
def test_the_command_for_the_browser_login_is_shown_where_there_is_one(browser):
    told = told_once_ready(Layout("127.0.0.1", 8000, 2), browser=browser)
    assert ("claude mcp login oig-cloud" in told) is browser


def placed(folder):
    return Folders(Path("/srv/oig"), Path(folder), Path("/var/log/oig"))


def test_a_folder_path_too_long_for_sockets_is_reported():
    placed("/" + "x" * 74).check()
    with pytest.raises(ConfigurationError, match=r"too long by 4 bytes .* Set OIG_STATE_DIR"):
        placed("/" + "x" * 78).check()


@pytest.mark.parametrize(
    "folder", ["/our ;things", "/our\t# 1", "/our\nthings", '/our "things"', "/%(here)s"]
)
def test_a_folder_that_supervisord_cannot_use_is_reported_in_one_line(folder):
    with pytest.raises(ConfigurationError, match="supervisord cannot use a folder") as told:
        placed(folder).check()
    assert "\n" not in str(told.value)


def test_listening_on_the_address_of_another_machine_is_reported():
    with pytest.raises(CannotStart, match=r"cannot listen at 192\.0\.2\.1, port 8000 .* Do this"):
        check_free("192.0.2.1", 8000, "do this")


def test_a_privileged_port_is_reported_without_naming_a_program_to_stop(monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(CannotStart) as told:
        check_free("127.0.0.1", 80, "choose another with --port")
    assert str(told.value) == "Port 80 is reserved for root. Choose another with --port."


class Pip:
    """Stands in for running commands; remembers those that would have changed something."""

    def __init__(self, monkeypatch, missing=()):
        self.missing = missing
        self.did: list[str] = []
        monkeypatch.setattr(environment, "run", self)

    def __call__(self, command, *, quiet=False):
        words = " ".join(command[1:])
        if any(part in words for part in self.missing):
            return False
        python = Path(command[0])
        if ".venv" in python.parts and not python.exists():
            return False
        if "-m venv" in words:
            python = Path(command[-1]) / "bin" / "python3"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.touch()
        if not quiet:
            self.did.append("make" if "-m venv" in words else words.rpartition("--no-input ")[2])
        return True


INSTALLED = ["--require-hashes -r requirements.lock", "-r requirements.txt"]


@pytest.fixture
def bare(tmp_path):
    for name in (*environment.PROGRAM, *environment.CHECKS):
        (tmp_path / name).write_text(name)
    return Environment(tmp_path, lambda _: None)


def test_the_operators_configuration_is_used_or_else_that_of_the_package(tmp_path):
    text = (ROOT / "supervisord.conf").read_text()
    assert shipped(tmp_path) == text
    (tmp_path / "supervisord.conf").write_text("changed")
    assert shipped(tmp_path) == "changed"
    assert shipped(ROOT) == text


def test_the_environment_is_created_and_installed_once(bare, monkeypatch):
    pip = Pip(monkeypatch)
    assert bare.prepare(checks=False)
    assert not bare.prepare(checks=False)
    assert pip.did == ["make", *INSTALLED]


@pytest.mark.parametrize("name", ["requirements.lock", "requirements.txt", "pyproject.toml"])
def test_changed_requirements_are_installed(bare, monkeypatch, name):
    pip = Pip(monkeypatch)
    bare.prepare(checks=False)
    (bare.project / name).write_text("changed")
    assert bare.prepare(checks=False)
    assert pip.did == ["make", *INSTALLED, *INSTALLED]


def test_development_packages_are_installed_only_for_the_checks(bare, monkeypatch):
    pip = Pip(monkeypatch)
    bare.prepare(checks=False)
    assert bare.prepare(checks=True)
    assert pip.did[-1] == "-r requirements.txt -r requirements-dev.txt"
    assert not bare.prepare(checks=False)
    assert not bare.prepare(checks=True)


def test_a_folder_that_was_moved_gets_a_new_environment(bare, monkeypatch):
    pip = Pip(monkeypatch)
    bare.prepare(checks=False)
    moved = bare.project.with_name("moved")
    bare.project.rename(moved)
    Environment(moved, lambda _: None).prepare(checks=False)
    assert pip.did == ["make", *INSTALLED] * 2


def test_a_half_finished_environment_is_rebuilt(bare, monkeypatch):
    pip = Pip(monkeypatch)
    bare.prepare(checks=False)
    (bare.project / ".venv" / "pyvenv.cfg").touch()
    assert bare.prepare(checks=False)
    assert pip.did == ["make", *INSTALLED] * 2
    (bare.project / ".venv" / "bin" / "activate").touch()
    assert not bare.prepare(checks=False)


def test_an_unwritable_environment_is_reported(bare, monkeypatch):
    Pip(monkeypatch)
    (bare.project / ".venv" / "installed.json").mkdir(parents=True)
    with pytest.raises(InstallationFailed, match=r"installed\.json cannot be written .*no-install"):
        bare.prepare(checks=False)


def test_ctrl_c_while_the_environment_is_made_leaves_no_process_and_no_traceback():
    code = (
        "import sys; from server.supervision.environment import run\n"
        "child = 'import time; print(1, flush=True); time.sleep(100)'\n"
        "try: run([sys.executable, '-c', child])\n"
        "except KeyboardInterrupt: sys.exit(130)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline() == "1\n"
        everything = family(process.pid)
        assert len(everything) == 2
        os.killpg(process.pid, signal.SIGINT)
        shown, _ = process.communicate(timeout=60)
    finally:
        for left in alive(family(process.pid)):
            left.kill()
    assert (process.returncode, shown) == (130, "")
    assert alive(everything) == []


def test_without_ensurepip_an_outer_pip_is_used(bare, monkeypatch):
    commands = []
    pip = Pip(monkeypatch, missing=("import ensurepip",))

    def run(command, *, quiet=False):
        commands.append(list(command))
        if command[0] == str(bare.python) and "pip" in command:
            return False
        return pip(command, quiet=quiet)

    monkeypatch.setattr(environment, "run", run)
    assert bare.prepare(checks=False)
    assert any("--without-pip" in command for command in commands)
    assert commands[-1][1:5] == ["-m", "pip", "--python", str(bare.python)]


def test_without_any_pip_the_missing_package_is_named(bare, monkeypatch):
    Pip(monkeypatch, missing=("import ensurepip", "pip --version"))
    with pytest.raises(InstallationFailed, match="apt-get install python3-venv"):
        bare.prepare(checks=False)


def test_a_failed_installation_is_tried_again_next_time(bare, monkeypatch):
    Pip(monkeypatch, missing=("pip install",))
    with pytest.raises(InstallationFailed, match="could not install"):
        bare.prepare(checks=False)
    pip = Pip(monkeypatch)
    assert bare.prepare(checks=False)
    assert pip.did == INSTALLED


HERE = sys.version_info[:2]


@pytest.mark.parametrize(
    ("newest", "locked"),
    [((3, 99), True), (HERE, True), ((HERE[0], HERE[1] - 1), False), ((2, 99), False)],
)
def test_a_python_newer_than_the_lock_gets_versions_that_fit(bare, monkeypatch, newest, locked):
    pip = Pip(monkeypatch)
    monkeypatch.setattr(environment, "NEWEST_LOCKED", newest)
    bare.prepare(checks=False)
    assert pip.did == ["make", *(INSTALLED if locked else INSTALLED[1:])]


def test_an_uninstallable_locked_version_is_reported_with_a_workaround(bare, monkeypatch):
    pip = Pip(monkeypatch, missing=("--require-hashes",))
    with pytest.raises(InstallationFailed, match="takes others that fit, and --no-install keeps"):
        bare.prepare(checks=False)
    assert pip.did == ["make"]


def test_a_log_is_followed_from_its_end_and_across_rotation(tmp_path):
    log = tmp_path / "cache.log"
    log.write_text("yesterday\n")
    follower = Follower(log)
    with log.open("a") as file:
        file.write("one\ntw")
        file.flush()
        assert list(follower.lines()) == ["one"]
        file.write("o\n")
    log.rename(tmp_path / "cache.log.1")
    with (tmp_path / "cache.log.1").open("a") as file:
        file.write("three\n")
    log.write_text("four\n")
    assert list(follower.lines()) == ["two", "three", "four"]
    follower.close()


def test_a_log_that_appears_later_is_followed_from_its_beginning(tmp_path):
    follower = Follower(tmp_path / "mcp-0.log")
    assert list(follower.lines()) == []
    (tmp_path / "mcp-0.log").write_text("ready\n")
    assert list(follower.lines()) == ["ready"]
    follower.close()


@pytest.mark.parametrize(
    ("line", "program", "shown"),
    [
        (
            "2026-11-22T10:00:00Z INFO mcp-0: ready",
            "mcp-0",
            "2026-11-22T10:00:00Z INFO mcp-0: ready",
        ),
        (
            "Traceback (most recent call last):",
            "mcp-0",
            "mcp-0: Traceback (most recent call last):",
        ),
        ("2026-11-22 10:00:00,123 INFO spawned: 'cache' with pid 1", "supervisord", None),
        ("2026-11-22 10:00:00,123 CRIT Supervisor is running as root.  x", "supervisord", None),
        ("2026-11-22 10:00:00,123 WARN received SIGTERM indicating exit", "supervisord", None),
        (
            "2026-11-22 10:00:00,123 WARN exited: cache (terminated by SIGKILL)",
            "supervisord",
            "2026-11-22 10:00:00 WARN supervisord: exited: cache (terminated by SIGKILL)",
        ),
        (
            "2026-11-22T10:00:00Z ERROR watch: No worker has come up",
            "supervisord",
            "2026-11-22T10:00:00Z ERROR watch: No worker has come up",
        ),
    ],
)
def test_the_log_shown_to_a_user_omits_routine_lines(line, program, shown):
    assert for_terminal(line, program) == shown


def test_a_missing_log_has_no_last_lines(tmp_path):
    assert last_lines(tmp_path / "none.log", 5) == []
