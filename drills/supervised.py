"""The whole system under real supervisord, in a copy of the project on free ports of this machine.

    with running_system() as system:
        async with Client(system.url) as client:
            ...

Everything in it is real: supervisord, daemon, workers, HTTP, the portal simulator's HTTP server.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.interruption import held
from server.settings.places import ROOT
from server.supervision.configuration import Layout
from server.supervision.own_port import probe
from server.supervision.supervisor_rpc import Process, Supervisord, SupervisordError
from server.supervision.workers import is_ready

COPIED = (
    *("server", "simulator", "cachectl", "client"),
    *("supervisord.conf", "start_server.sh", "pyproject.toml"),
)

SUPERVISORD = (sys.executable, "-m", "supervisor.supervisord", "-n", "-c", "supervisord.conf")


READY_WITHIN = 120.0
STOPPED_WITHIN = 120.0


# Below those that the system itself hands out (32768 and up), and for each process its own: a port
# that nobody has right now is not taken by a parallel test before its server has it.
BLOCK = 40
FIRST = 10000 + os.getpid() % 550 * BLOCK
PORTS = itertools.cycle(range(FIRST, FIRST + BLOCK))


def free_port() -> int:
    """Return a port of the loopback address that nobody has right now."""
    for port in itertools.islice(PORTS, BLOCK):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("all ports of this process are taken")


def clean_environment(**settings: str) -> dict[str, str]:
    """Return this process's environment with these settings and no others."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OIG_")}
    environ["OIG_CONFIG"] = os.devnull
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
    return {**environ, **settings}


def copy_project(folder: Path) -> Path:
    """Copy what a running server needs; the copy has its own `var` and no `.venv`."""
    project = folder / "project"
    project.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, project / name)
        else:
            shutil.copy2(source, project / name)
    for name in ("run", "log"):
        (project / "var" / name).mkdir(parents=True)
    return project


def family(pid: int) -> list[psutil.Process]:
    """Return a process and everything below it."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Return those of the processes that still run."""
    return [process for process in processes if _is_alive(process)]


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended between the two looks
        return False


class RunningSystem:
    """One running system.

    Args:
        project: The copy of the project that it runs in.
        port: Port of the workers.
        workers: Number of workers.
        environ: Environment of supervisord, `supervisorctl` and `cachectl`.
        host: The address of this machine that the workers listen at.
    """

    def __init__(
        self,
        project: Path,
        port: int,
        workers: int,
        environ: Mapping[str, str],
        host: str = "127.0.0.1",
    ) -> None:
        self.project = project
        self.host = host
        self.port = port
        self.workers = workers
        self.environ = dict(environ)
        self.run_dir = project / "var" / "run"
        self.log_dir = project / "var" / "log"
        self.control = Supervisord(self.run_dir / "supervisor.sock")

    @property
    def url(self) -> str:
        """Address of the MCP endpoint."""
        return f"http://{self.host}:{self.port}/mcp"

    @property
    def portal_url(self) -> str:
        """Address of the portal simulator; its administrator's paths are under `_admin/`."""
        return self.environ["OIG_PORTAL_URL"]

    def process(self, name: str) -> Process:
        """Return one process as supervisord sees it, by its name, such as `mcp-0`."""
        return next(p for p in self.control.processes() if p.name == name)

    def start_now(self, process: Process) -> None:
        """Start a process whose next start supervisord puts off.

        1. It waits for its next try, or has none left. 2. It was stopped because supervisord had
        just begun to start it when its wait was to be ended. 3. Otherwise it runs, or soon will.
        """
        if process.state in {"BACKOFF", "FATAL"}:
            self.control.end_pause(process.full_name)
        elif process.state == "STOPPED":
            self.control.start(process.full_name)

    def pid(self, name: str) -> int:
        """Return the process id of `cache`, `mcp-0` ..."""
        return self.process(name).pid

    def is_ready(self) -> bool:
        """Whether all workers serve and reach the daemon, and the simulator answers."""
        try:
            workers = self.control.processes("mcp")
        except SupervisordError:
            return False
        ready = self.run_dir / "ready"
        if not all(is_ready(worker, ready) for worker in workers):
            return False
        if probe(Layout(self.host, self.port, self.workers)) is not None:
            return False
        with suppress(OSError, http.client.HTTPException):
            return bool(self.portal_state())
        return False

    def wait_ready(self) -> None:
        """Wait until everything is ready."""
        deadline = time.monotonic() + READY_WITHIN
        while not self.is_ready():
            assert time.monotonic() < deadline, f"not ready, logs:\n{self.all_logs()}"
            time.sleep(0.05)

    def run(self, *command: str, within: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command in the copy, with its environment."""
        return subprocess.run(
            command,
            check=False,
            cwd=self.project,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
        )

    def supervisorctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `supervisorctl -c supervisord.conf ...`."""
        command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", "supervisord.conf"]
        return self.run(*command, *arguments)

    def cachectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `cachectl ...` against this system's daemon."""
        return self.run(sys.executable, "-m", "cachectl", *arguments)

    def portal(self, method: str, path: str, body: object = None) -> Any:
        """Send JSON to a path of the portal simulator and return its JSON."""
        host = self.portal_url.removeprefix("http://").rstrip("/")
        connection = http.client.HTTPConnection(host, timeout=READY_WITHIN)
        try:
            content = None if body is None else json.dumps(body)
            headers = {} if body is None else {"Content-Type": "application/json"}
            connection.request(method, f"/{path}", content, headers)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def portal_state(self) -> Any:
        """Return what the portal simulator counts."""
        return self.portal("GET", "_admin/state")

    def log(self, name: str) -> str:
        """Return the log of `cache`, `mcp-0`, `simulator`, `supervisord`."""
        return (self.log_dir / f"{name}.log").read_text()

    def all_logs(self) -> str:
        """Return all logs, one after the other."""
        return "\n".join(f"== {p.name}\n{p.read_text()}" for p in sorted(self.log_dir.glob("*")))


def configure(project: Path, port: int, workers: int, simulator: bool = True) -> None:
    """Write port, number of workers and whether the simulator starts into supervisord.conf."""
    path = project / "supervisord.conf"
    text = path.read_text()
    for pattern, new in (
        (r"(?m)^socket=.*$", f"socket=tcp://127.0.0.1:{port}"),
        (r"(?m)^numprocs=.*$", f"numprocs={workers}"),
        (r"(?m)^autostart=false$", f"autostart={str(simulator).lower()}"),
    ):
        text, count = re.subn(pattern, new, text)
        assert count == 1, pattern
    path.write_text(text)


@contextmanager
def temporary_folder(name: str = "oig") -> Iterator[Path]:
    """Give a folder with a path short enough for Unix sockets, gone afterwards."""
    # macOS gives every user a folder whose path fills half a socket's.
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir="/tmp")).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def prepared_system(*, workers: int = 2, **settings: str) -> Iterator[RunningSystem]:
    """Give a system that is ready to be started, in a temporary copy of the project.

    Args:
        workers: Number of workers.
        settings: Further `OIG_` variables. With `OIG_PORTAL_URL` it has no simulator of its own.
    """
    portal_port = free_port()
    ours = {
        "OIG_SIMULATOR_PORT": str(portal_port),
        "OIG_PORTAL_URL": f"http://127.0.0.1:{portal_port}/",
    }
    environ = clean_environment(**ours | settings)
    with temporary_folder() as folder:
        project = copy_project(folder)
        port = free_port()
        configure(project, port, workers, "OIG_PORTAL_URL" not in settings)
        yield RunningSystem(project, port, workers, environ)


@contextmanager
def started(
    system: RunningSystem, through: Sequence[str] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a system's supervisord in the foreground, and end it with everything below it.

    Args:
        system: The system.
        through: A command that supervisord's own is appended to.
    """
    with (system.log_dir / "terminal.log").open("wb") as terminal:
        supervisord = subprocess.Popen(
            [*through, *SUPERVISORD],
            cwd=system.project,
            env=system.environ,
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
    try:
        yield supervisord
    finally:
        with held():
            stop(supervisord)


def stop(process: subprocess.Popen[Any], number: int = signal.SIGTERM) -> None:
    """Signal a process; kill it and what is below it when that does not end it in time."""
    below = family(process.pid)
    process.send_signal(number)
    try:
        process.wait(STOPPED_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        for left in alive(below):
            with suppress(psutil.NoSuchProcess):
                left.kill()


@contextmanager
def running_system(*, workers: int = 2, **settings: str) -> Iterator[RunningSystem]:
    """Give a running system that is ready.

    Args:
        workers: Number of workers.
        settings: Further `OIG_` variables.
    """
    with prepared_system(workers=workers, **settings) as system, started(system):
        system.wait_ready()
        yield system
