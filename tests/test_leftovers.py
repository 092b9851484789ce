"""What a killed supervisord or a removed folder leaves: it is told and ended, and nothing else."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from server.pid_file import PidFile, holder
from server.settings.places import ROOT
from server.supervision.configuration import Folders
from server.supervision.leftovers import Left, Leftovers, Search
from server.supervision.options import Typed
from server.supervision.proc import (
    DAEMON,
    SIMULATOR,
    SUPERVISORD,
    WORKER,
    is_alive,
    part_of,
    secret_holders,
)
from server.supervision.running import words
from server.supervision.supervisor_rpc import Supervisord
from server.supervision.workers import UNMARKED_SECONDS

from .fleet import check_auth
from .system import (
    alive,
    another_user,
    family,
    give_away,
    prepared_system,
    started,
    temporary_folder,
)
from .waiting import PATIENCE, wait_until

SOCKET_GONE = "supervisor.sock has vanished"


@contextmanager
def supervised(*, workers=2, user=(), **settings):
    """Run a system; at the end nothing of it is left, however it was broken."""
    with prepared_system(workers=workers, **settings) as system, ExitStack() as stack:
        if user:
            system.project.parent.chmod(0o755)
            for path in (system.project, *system.project.rglob("*")):
                give_away(path)
        supervisord = stack.enter_context(started(system, through=user))
        everything = []
        stack.callback(lambda: [left.kill() for left in alive(everything)])
        system.wait_ready()
        everything += family(supervisord.pid)
        yield system, supervisord, everything


def command(system, *arguments):
    """Run oig-cloud-mcp with the settings that the copy's supervisord.conf agrees with."""
    return system.run(sys.executable, "-m", "server.supervision", *arguments, within=PATIENCE)


def as_user(system, user, verb):
    program = [sys.executable, "-m", "server.supervision", verb]
    return system.run(*user, *program, within=PATIENCE)


def innocent(stack):
    """Start a process that must survive."""
    process = stack.enter_context(subprocess.Popen(["sleep", "600"]))
    stack.callback(process.kill)
    return process


def test_every_command_reports_processes_of_a_killed_supervisord_and_stop_ends_them():
    with supervised() as (system, supervisord, everything), ExitStack() as stack:
        pids = {name: system.pid(name) for name in ("mcp-0", "mcp-1", "cache", "simulator")}
        bystander = innocent(stack)
        supervisord.send_signal(signal.SIGKILL)
        supervisord.wait(PATIENCE)
        (system.run_dir / "supervisord.pid").write_text(f"{bystander.pid}\n")
        for arguments, code in (
            (("serve",), 1),
            (("serve", "--port", str(system.port + 1)), 1),
            (("status",), 1),
            (("restart-workers",), 1),
            (("check",), 1),
        ):
            said = command(system, *arguments)
            assert said.returncode == code, (arguments, said)
            assert "supervisord has ended without stopping the rest" in said.stderr, arguments
            for pid in pids.values():
                assert f"(process {pid})" in said.stderr, arguments
            assert "-m server.supervision stop" in said.stderr
        script = system.run("./start_server.sh", "--no-install")
        assert script.returncode == 1
        assert "supervisord has ended without" in script.stderr
        # They serve on, and nobody has touched them.
        assert check_auth(system.url)["structuredContent"]["cache_status"]

        stopped = command(system, "stop")
        assert stopped.returncode == 0, stopped.stderr
        assert stopped.stdout.endswith("Stopped.\n")
        for pid in pids.values():
            assert f"(process {pid})" in stopped.stdout
        # In order: the daemon last, so that workers can hand over to it.
        assert stopped.stdout.index("worker") < stopped.stdout.index("cache daemon")
        assert not alive(everything)
        assert bystander.poll() is None
        # Ended in order, it removes its socket; its log went to the supervisord that is dead.
        assert not (system.run_dir / "cache.sock").exists()
        # The stale files neither stop the next command nor name anybody.
        assert command(system, "stop").returncode == 0
        status = command(system, "status")
        assert status.returncode == 3
        assert "which was left over" in status.stderr
        assert bystander.poll() is None


def test_processes_hidden_by_proc_are_reported_and_ended_even_a_lone_daemon():
    # Not root, which may read everything of anybody's: to their own user the workers and the daemon
    # show a command line and no more.
    user = another_user()
    with supervised(workers=1, user=user) as (system, supervisord, everything):
        worker, daemon = system.pid("mcp-0"), system.pid("cache")
        supervisord.send_signal(signal.SIGKILL)
        supervisord.wait(PATIENCE)
        said = as_user(system, user, "status")
        assert f"the rest: worker (process {worker}), simulator" in said.stderr
        assert "keep the port" in said.stderr
        for process in alive(everything):
            if process.pid != daemon:
                process.kill()
        wait_until("only the daemon lives", lambda: [p.pid for p in alive(everything)] == [daemon])
        said = as_user(system, user, "status")
        assert said.returncode == 1
        assert f"the rest: cache daemon (process {daemon}). They go on, and nobody" in said.stderr
        assert as_user(system, user, "stop").returncode == 0
        assert not alive(everything)


def test_a_removed_run_folder_is_restored_except_for_supervisords_socket():
    with supervised() as (system, supervisord, everything):
        assert check_auth(system.url)["structuredContent"]["cache_status"] == "new_session_created"
        pids = {name: system.pid(name) for name in ("mcp-0", "mcp-1", "cache")}
        secret = (system.run_dir / "secret").read_bytes()
        shutil.rmtree(system.run_dir)
        ready = [system.run_dir / "ready" / name for name in ("mcp-0", "mcp-1")]
        wait_until("the pid file is back", lambda: holder(system.run_dir / "supervisord.pid"))
        wait_until("the ready files are back", lambda: all(holder(path) for path in ready))
        wait_until("the secret is back", (system.run_dir / "secret").exists)
        wait_until("the daemon answers", lambda: system.cachectl("ping").returncode == 0)
        wait_until("the sessions are back", (system.run_dir / "sessions.db").exists)
        wait_until("it is said", lambda: SOCKET_GONE in system.log("supervisord"))

        assert (system.run_dir / "secret").read_bytes() == secret
        assert [holder(path) for path in ready] == [pids["mcp-0"], pids["mcp-1"]]
        assert holder(system.run_dir / "supervisord.pid") == supervisord.pid
        assert system.run_dir.stat().st_mode & 0o777 == 0o700
        assert check_auth(system.url)["structuredContent"]["cache_status"] == "session_from_cache"
        # Nobody had to be started again for it.
        assert all(is_alive(pid) for pid in pids.values())
        assert system.log("supervisord").count(SOCKET_GONE) == 1

        for verb in ("status", "restart-workers", "serve", "check"):
            said = command(system, verb)
            assert said.returncode == 1, (verb, said)
            assert f"The server runs (supervisord (process {supervisord.pid}))" in said.stderr
            assert "supervisor.sock is gone" in said.stderr
        stopped = command(system, "stop")
        assert stopped.returncode == 0, stopped.stderr
        assert supervisord.wait(PATIENCE) == 0
        assert not alive(everything)
        assert not (system.run_dir / "supervisord.pid").exists()


def test_every_command_says_that_the_server_is_still_stopping():
    with supervised() as (system, supervisord, everything):
        quick, slow = system.pid("mcp-0"), system.pid("mcp-1")
        os.kill(slow, signal.SIGSTOP)  # so that the stop takes its time
        try:
            supervisord.terminate()
            wait_until("it stops", lambda: not is_alive(quick))
            verbs = ("serve", "status", "stop", "restart-workers", "check")
            with ThreadPoolExecutor() as pool:
                answers = list(pool.map(partial(command, system), verbs))
        finally:
            os.kill(slow, signal.SIGCONT)
        for said in answers:
            assert said.returncode == 1, said
            assert said.stderr.endswith(
                f": The server is still stopping (supervisord, process {supervisord.pid}). "
                "Try again in a few seconds.\n"
            ), said
        assert supervisord.wait(PATIENCE) == 0
        assert not alive(everything)


def test_a_supervisord_with_nothing_left_to_run_is_said_to_be_stopping(tmp_path):
    left = Leftovers((Left(4242, SUPERVISORD),))
    said = words(left, Folders(tmp_path, tmp_path, tmp_path), Typed("it", "it", {}))
    assert said == (
        "The server is still stopping (supervisord, process 4242). Try again in a few seconds."
    )


def test_a_ready_file_that_cannot_be_written_stops_neither_start_nor_restart():
    with supervised() as (system, _, _):
        before = system.pid("mcp-0")
        shutil.rmtree(system.run_dir / "ready")
        (system.run_dir / "ready").write_text("a file in its place")
        control: Supervisord = system.control
        wait_until(
            "both have run for long enough",
            lambda: all(p.age >= UNMARKED_SECONDS for p in control.processes("mcp")),
        )
        said = command(system, "status")
        assert said.returncode == 0, said
        assert said.stdout.count("serves requests") == 2
        assert "Workers cannot say that they are ready" in said.stdout
        system.supervisorctl("restart", "mcp:mcp-0")
        wait_until("it serves", lambda: "worker ready" in system.log("mcp-0").split("stopped")[-1])
        assert system.pid("mcp-0") != before
        wait_until("it is said", lambda: "cannot be written" in system.log("mcp-0"))
        (system.run_dir / "ready").unlink()
        wait_until("both are marked", system.is_ready)


def test_the_holder_of_a_taken_port_is_named_only_if_it_is_a_server_of_this_program():
    with supervised(workers=1) as (system, _, everything), temporary_folder() as other:
        environ = {**system.environ, "OIG_STATE_DIR": str(other / "state")}
        shape = ["--port", str(system.port), "--host", "127.0.0.1"]

        def elsewhere(*arguments):
            return subprocess.run(
                [sys.executable, "-m", "server.supervision", *arguments],
                check=False,
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )

        said = elsewhere("serve", *shape)
        assert said.returncode == 1
        assert "taken by another oig-cloud-mcp server, whose files lie elsewhere" in said.stderr
        assert "No server is running" in elsewhere("stop").stdout
        assert len(alive(everything)) == len(everything)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = str(listener.getsockname()[1])
            listener.close()
        server = subprocess.Popen(
            [sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until("it listens", lambda: _connects(int(port)))
            said = elsewhere("serve", "--port", port, "--host", "127.0.0.1")
            assert "is taken by another program" in said.stderr
            assert "No server is running" in elsewhere("stop").stdout
            assert server.poll() is None
        finally:
            server.kill()
            server.wait()


def _connects(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("python3 -m server --workers 2", WORKER),
        ("/v/bin/python3 -W error -m server", WORKER),
        ("python3 -m server.cache", DAEMON),
        ("python3 -m simulator", SIMULATOR),
        ("python3 -m server.portal.simulator", SIMULATOR),
        ("/v/bin/python /v/bin/supervisord -c supervisord.conf", SUPERVISORD),
        ("/v/bin/python -m supervisor.supervisord --nodaemon", SUPERVISORD),
        ("supervisord -n", SUPERVISORD),
        ("python3 -m server.supervision stop", None),
        ("python3 -m server.supervision.watch", None),
        ("python3 -m http.server", None),
        ("python3 script.py -m server", None),
        ("less supervisord.log", None),
        ("python3 -m", None),
        ("", None),
    ],
)
def test_a_part_is_identified_by_its_command(line, part):
    assert part_of(line.split()) == part


class Shown:
    """A folder that shows processes as /proc does, with ids of processes that live."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.proc.mkdir()
        state = folder / "state"
        (state / "run" / "ready").mkdir(parents=True)
        self.folders = Folders(folder / "project", state, state / "log")
        self.run = state / "run"
        self.secret = self.run / "secret"
        self.secret.write_text("x")
        self.search = Search(
            self.folders, self.run, self.run / "cache.sock", self.secret, proc=self.proc
        )

    def show(self, pid, line, *, parent=1, uid=None, socket="", state="S"):
        one = self.proc / str(pid)
        one.mkdir()
        (one / "cmdline").write_bytes(b"\0".join(word.encode() for word in line.split()) + b"\0")
        user = os.geteuid() if uid is None else uid
        (one / "status").write_text(f"Name:\tx\nPPid:\t{parent}\nUid:\t{user}\t{user}\t0\t0\n")
        (one / "stat").write_text(f"{pid} (a) b) {state} {parent} 0\n")
        if socket is not None:
            (one / "environ").write_bytes(f"A=1\0SUPERVISOR_SERVER_URL={socket}\0".encode())


@pytest.fixture
def shown(tmp_path):
    return Shown(tmp_path)


@pytest.fixture
def living():
    with ExitStack() as stack:
        yield [innocent(stack).pid for _ in range(4)]


def test_the_environment_distinguishes_processes_of_another_installation(shown, living):
    ours, theirs, foreign, hidden = living
    url = f"unix://{shown.folders.control}"
    shown.show(ours, "python3 -m server", socket=url)
    shown.show(theirs, "python3 -m server", socket="unix:///srv/other/run/supervisor.sock")
    shown.show(foreign, "python3 -m server", socket=url, uid=os.geteuid() + 1)
    shown.show(hidden, "python3 -m server.cache", socket=None)
    found = shown.search.find()
    assert found.certain == (Left(ours, WORKER),)
    assert found.doubtful == (Left(hidden, DAEMON),)
    assert f"kill {hidden}" in found.doubts()[0]


def test_hidden_processes_are_recognised_by_supervisord_secret_or_locked_file(shown, living):
    parent, child, holds, marked = living
    configuration = shown.folders.configuration
    shown.show(parent, f"python3 -m supervisor.supervisord --configuration {configuration}")
    shown.show(child, "python3 -m server", parent=parent, socket=None)
    shown.show(holds, "python3 -m server.cache", socket=None)
    shown.show(marked, "python3 -m server", socket=None)
    status = shown.secret.stat()
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    (shown.proc / "locks").write_text(
        f"1: FLOCK  ADVISORY  READ {holds} {device} 0 EOF\n"
        f"1: -> FLOCK  ADVISORY  WRITE {child} {device} 0 EOF\n"
        f"2: POSIX  ADVISORY  READ {child} {device} 0 EOF\n"
        f"3: FLOCK  ADVISORY  READ {child} 00:01:7 0 EOF\n"
    )
    assert secret_holders(shown.secret, shown.proc) == {holds}
    marker = PidFile(shown.run / "ready" / "mcp-0", marked)
    marker.keep()
    assert set(shown.search.find().certain) == {
        Left(parent, SUPERVISORD),
        Left(child, WORKER),
        Left(holds, DAEMON),
        Left(marked, WORKER),
    }
    marker.remove()
    assert shown.search.find().doubtful == (Left(marked, WORKER),)


def test_a_locked_file_identifies_a_hidden_process_but_no_other(shown, living):
    hidden, other, unheld, zombie = living
    markers = [
        PidFile(shown.run / "ready" / f"mcp-{number}", pid)
        for number, pid in enumerate((hidden, other, zombie))
    ]
    for marker in markers:
        marker.keep()
    (shown.run / "ready" / "mcp-9").write_text(f"{unheld}\n")
    # The id of another container, and one that only waits to be reaped.
    shown.show(other, "postgres -D /var/lib")
    shown.show(zombie, "python3 -m server", socket=None, state="Z")
    assert shown.search.find().certain == (Left(hidden, WORKER),)
    for marker in markers:
        marker.remove()


def test_processes_of_another_supervisord_are_not_leftovers(shown, living):
    parent, child = living[:2]
    shown.show(parent, "supervisord -c /srv/other/supervisord.conf")
    shown.show(child, "python3 -m server", parent=parent, socket=None)
    found = shown.search.find()
    assert (found.certain, found.doubtful) == ((), ())


def test_a_worker_started_by_hand_is_not_a_leftover(shown, living):
    by_hand = living[0]
    marker = PidFile(shown.run / "ready" / "worker", by_hand)
    marker.keep()
    shown.show(by_hand, "python3 -m server --port 8001", socket="")
    assert shown.search.find().certain == ()
    marker.remove()
