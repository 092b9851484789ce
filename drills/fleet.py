"""Daemon, simulator and workers on one socket, without supervisord: fast to start and break."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil

from benchmarks.interruption import held

from .simulated_portal import RunningPortal, running_portal
from .waiting import PATIENCE, wait_until

ROOT = Path(__file__).resolve().parent.parent

T = TypeVar("T")


@dataclass
class Fleet:
    """A whole system of processes.

    Attributes:
        folder: Its run folder: socket, secret, sessions, logs.
        portal: The simulator.
        url: Address of the MCP endpoint.
        workers: Worker processes by name.
        daemon: The cache daemon, if it runs.
        descriptors: Most descriptors that a worker may open; None for the usual limit.
    """

    folder: Path
    portal: RunningPortal
    listener: socket.socket
    environment: dict[str, str]
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    daemon: subprocess.Popen[bytes] | None = None
    descriptors: int | None = None

    @property
    def url(self) -> str:
        """Address of the MCP endpoint."""
        return f"http://localhost:{self.listener.getsockname()[1]}/mcp"

    @property
    def socket_path(self) -> Path:
        """The daemon's socket."""
        return self.folder / "cache.sock"

    def start_daemon(self, code: Path = ROOT) -> None:
        """Start the daemon, of the program that lies in a folder."""
        self.daemon = self._start("cache", ["-m", "server.cache"], subprocess.DEVNULL, code=code)
        wait_until("daemon listens", self._daemon_listens)

    def kill_daemon(self, sig: int = signal.SIGKILL) -> None:
        """End the daemon by a signal, and wait until it is gone."""
        assert self.daemon is not None
        self.daemon.send_signal(sig)
        self.daemon.wait(PATIENCE)
        self.daemon = None

    def start_worker(
        self, name: str, *, code: Path = ROOT, listener: socket.socket | None = None
    ) -> None:
        """Start a worker, of the program that lies in a folder, on a socket of its own or ours."""
        sock = (listener or self.listener).fileno()
        self.workers[name] = self._start(name, ["-m", "server"], sock, self.descriptors, code)

    def stop_worker(self, name: str, sig: int = signal.SIGTERM) -> None:
        """End a worker by a signal, and wait until it is gone."""
        process = self.workers.pop(name)
        process.send_signal(sig)
        process.wait(PATIENCE)

    def wait_worker(self, name: str) -> None:
        """Wait until a worker says that it serves."""
        pid = str(self.workers[name].pid)
        ready = self.folder / "ready" / name
        wait_until(f"{name} is ready", lambda: ready.exists() and ready.read_text().strip() == pid)

    def of_each(self, ask: Callable[[], T]) -> list[T]:
        """Return what each worker answers; the others stand still meanwhile, and accept nothing."""
        answers = []
        for name in self.workers:
            others = [process for other, process in self.workers.items() if other != name]
            try:
                for process in others:
                    process.send_signal(signal.SIGSTOP)
                wait_until("the others stand still", functools.partial(all_stand, others))
                answers.append(ask())
            finally:
                for process in others:
                    process.send_signal(signal.SIGCONT)
        return answers

    def logs(self) -> str:
        """Return the logs of all processes."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        """Stop everybody.

        Raises:
            AssertionError: Somebody had to be killed, or left something open.
        """
        everyone = {**self.workers, **({"cache": self.daemon} if self.daemon else {})}
        for process in everyone.values():
            process.terminate()
        killed = []
        for name, process in everyone.items():
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                killed.append(name)
        logs = self.logs()
        assert not killed, f"{killed} did not stop in {PATIENCE} s:\n{logs}"
        # How Python tells of a ResourceWarning in a destructor, where nobody could catch it.
        assert "Exception ignored" not in logs, logs

    def _start(
        self,
        name: str,
        arguments: list[str],
        stdin: int,
        descriptors: int | None = None,
        code: Path = ROOT,
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-W", "error::ResourceWarning", *arguments]
        if descriptors is not None:
            command = ["sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh", *command]
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=code,
                env={**self.environment, "SUPERVISOR_PROCESS_NAME": name},
                stdin=stdin,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    def _daemon_listens(self) -> bool:
        assert self.daemon is not None
        assert self.daemon.poll() is None, self.logs()
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.socket_path)) == 0


def all_stand(processes: list[subprocess.Popen[bytes]]) -> bool:
    """Whether all of these processes are stopped by SIGSTOP."""
    return all(map(_stands, processes))


def _stands(process: subprocess.Popen[bytes]) -> bool:
    return psutil.Process(process.pid).status() == psutil.STATUS_STOPPED


@contextlib.contextmanager
def running_fleet(
    workers: int = 2, *, daemon: bool = True, descriptors: int | None = None, **settings: str
) -> Iterator[Fleet]:
    """Run a fleet and stop it at the end.

    Args:
        workers: How many, named worker-0 and up.
        daemon: Whether to start the cache daemon.
        descriptors: Most descriptors that a worker may open; None for the usual limit.
        settings: Further settings, such as `OIG_SESSION_TTL="5"`.
    """
    # A Unix socket's path is short; pytest's own folders are not.
    folder = Path(tempfile.mkdtemp(prefix="oig"))
    with running_portal() as portal, socket.create_server(("127.0.0.1", 0)) as listener:
        (folder / "oig-cloud-mcp").mkdir(exist_ok=True)
        (folder / "oig-cloud-mcp" / "settings.env").touch()
        (folder / "state").mkdir(mode=0o700)
        environment = {
            "PATH": os.environ["PATH"],
            # An empty settings file, by a variable that the version before takes as well.
            "XDG_CONFIG_HOME": str(folder),
            "OIG_RUN_DIR": str(folder),
            # Journal, grants and logs: a drill leaves those of the checkout alone.
            "OIG_STATE_DIR": str(folder / "state"),
            "OIG_PORTAL_URL": portal.base_url,
            # Tests call as fast as the machine can.
            "OIG_CALLS_PER_MINUTE": "0",
            **settings,
        }
        fleet = Fleet(folder, portal, listener, environment, descriptors=descriptors)
        try:
            if daemon:
                fleet.start_daemon()
            for number in range(workers):
                fleet.start_worker(f"worker-{number}")
            for name in list(fleet.workers):
                fleet.wait_worker(name)
            yield fleet
        finally:
            with held():
                try:
                    fleet.stop()
                finally:
                    shutil.rmtree(folder)
