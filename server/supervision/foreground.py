"""The whole system in one terminal: start, say when it is ready, show the logs, stop it again."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .configuration import Folders, Layout
from .interrupts import Interrupts
from .logs import Follower, for_terminal, last_lines
from .own_port import names_itself, probe
from .rolling_restart import GROUP
from .supervisor_rpc import Process, Supervisord, SupervisordError
from .workers import is_ready

READY_WITHIN = 60.0
"""Seconds until everything must be ready, or at least a worker; three are usual."""

STOPPED_WITHIN = 60.0
"""Seconds until everything must have stopped. supervisord stops one program after the other, and
kills each after its `stopwaitsecs`: 20 for the workers, 15 for the daemon, 10 for the others."""

PARTLY_AFTER = 20.0
"""Seconds after which it goes on without what fails, if a worker is ready."""

POLL = 0.1
"""Seconds between two looks at the logs."""

LOOK = 2.0
"""Seconds between two looks at the processes, once everything runs."""

PROBE_TIMEOUT = 5.0
"""Seconds for a connection to the simulator."""


FAILING = frozenset({"BACKOFF", "FATAL"})
"""States of processes that have failed to start, and wait for the next try."""

SOCKET_TAKEN = "Another program is already listening on a port"
"""What supervisord says where somebody listens at its socket (supervisor/options.py,
`openhttpservers`)."""

SIGNALLED = " indicating exit request"
"""What supervisord logs of signals that stop it. Of supervisorctl shutdown it logs nothing."""


class CannotStart(Exception):
    """It did not start, or did not stay; the message is for the user."""


def check_free(host: str, port: int, remedy: str) -> None:
    """Return when this address can be listened at.

    Args:
        host: Address or name.
        port: Port.
        remedy: How to take another one, such as `choose another with --port`.

    Raises:
        CannotStart: It is taken, or not ours to take.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As supervisord does: connections left over from the last run do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            # Several sockets may be bound to one port until one of them listens.
            probe.listen(1)
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                who = "another program"
                if names_itself(host, port):
                    who = "another oig-cloud-mcp server, whose files lie elsewhere"
                reason = f"Port {port} is taken by {who}. Stop that program, or {remedy}."
                raise CannotStart(reason) from None
            if exc.errno == errno.EACCES:
                reason = f"Port {port} is reserved for root."
            else:
                reason = f"This machine cannot listen at {host}, port {port} ({exc.strerror})."
            raise CannotStart(f"{reason} {remedy[0].upper()}{remedy[1:]}.") from None


@dataclass(frozen=True, slots=True)
class System:
    """What is to be run.

    Args:
        folders: Where everything lies.
        layout: Host, port and number of workers.
        ready_folder: Where workers say that they are ready.
        simulator_port: Port of the portal simulator; None without.
        environ: Environment of supervisord and everything below.
    """

    folders: Folders
    layout: Layout
    ready_folder: Path
    simulator_port: int | None
    environ: Mapping[str, str]

    @property
    def log_files(self) -> list[Path]:
        """All logs, supervisord's first."""
        simulator = self.simulator_port is not None
        return self.folders.log_files(self.layout.workers, simulator=simulator)


class Foreground:
    """One run of the system, from start to stop.

    Args:
        system: What is run.
        say: Called with each line for the user; may raise OSError when the terminal is gone.
        interrupts: Asks for the stop.
    """

    def __init__(self, system: System, say: Callable[[str], None], interrupts: Interrupts) -> None:
        self._system = system
        self._to_terminal = say
        self._interrupts = interrupts
        self._supervisord = Supervisord(system.folders.control)
        self._followers = [Follower(path) for path in system.log_files]
        self._complaints: deque[str] = deque(maxlen=5)
        self._pids: list[int] = []
        self._signalled = False
        self._partly = False

    def run(self, announcement: str) -> str:
        """Start everything, show its logs, return when the user has stopped it.

        Args:
            announcement: Said when it serves; `{state}` in it is `Ready` or `Partly ready`, and
                `{seconds}` how long that took.

        Returns:
            The last line for the user: how it was stopped.

        Raises:
            CannotStart: It did not become ready, or supervisord ended by itself. Nothing runs then.
        """
        began = time.monotonic()
        with tempfile.TemporaryFile() as output, self._started(output.fileno()) as process:
            if self._became_ready(process, began):
                took = f"{time.monotonic() - began:.1f}"
                said = announcement.replace("{seconds}", took)
                said = said.replace("{state}", "Partly ready" if self._partly else "Ready")
                for line in said.splitlines():
                    self._say(line)
                self._stay(process)
            if process.poll() is not None:
                self._show_logs()
                if process.returncode == 0 and not (self._signalled or self._fatal()):
                    return "Stopped from elsewhere, in order."
                output.seek(0)
                words = output.read().decode(errors="replace").strip().splitlines()
                raise CannotStart(self._why_ended(process.returncode, words))
        return "Stopped."

    @contextmanager
    def _started(self, output: int) -> Iterator[subprocess.Popen[bytes]]:
        command = [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--silent"]
        process = subprocess.Popen(  # noqa: S603 - nobody else's words are in it
            [*command, "--configuration", str(self._system.folders.configuration)],
            cwd=self._system.folders.project,
            env=self._system.environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # In the foreground supervisord leaves the one of its configuration aside.
            umask=0o077,
            # Ctrl-C is for us: we stop supervisord, and it stops the others in their order.
            start_new_session=True,
        )
        try:
            yield process
        finally:
            self._stop(process)
            for follower in self._followers:
                follower.close()

    def _became_ready(self, process: subprocess.Popen[bytes], began: float) -> bool:
        """Wait until it serves; False when it was stopped, or ended, before.

        1. Everything is ready.
        2. A worker is, and something else has failed for a while, be it the shared storage: it goes
           on, as one part's trouble is not the others'.
        3. A worker is, and something else is still not after a longer while, though it does not
           fail: the same.
        4. No worker is after that longer while: nothing works.
        """
        while not self._interrupts and process.poll() is None:
            self._show_logs()
            missing = self._missing()
            if missing is None:
                self._show_logs()
                return True
            waited = time.monotonic() - began
            late = waited > READY_WITHIN
            if (late or waited > PARTLY_AFTER) and self._serves(late=late):
                self._partly = True
                self._say(f"Not ready after {waited:.0f} s: {missing}")
                self._say("The rest serves. What fails is tried again, without end.")
                return True
            if late:
                raise CannotStart(f"Not ready after {READY_WITHIN:.0f} s: {missing}")
            self._interrupts.wait(POLL)
        return False

    def _stay(self, process: subprocess.Popen[bytes]) -> None:
        """Show the logs until it was stopped, or ended."""
        looked = 0.0
        while not self._interrupts and process.poll() is None:
            self._show_logs()
            if time.monotonic() - looked > LOOK:
                looked = time.monotonic()
                # Everything may run on without an answer: the socket's file can be gone.
                with suppress(SupervisordError):
                    self._note_pids()
                if self._partly and self._missing() is None:
                    self._partly = False
                    self._say("Everything is ready.")
            self._interrupts.wait(POLL)

    def _serves(self, *, late: bool) -> bool:
        """Whether a worker is ready, and something else fails; when it is late, whether or not.

        Where no daemon runs, that is the shared storage if all workers are ready: it is no process
        of ours that could be seen to fail.
        """
        try:
            processes = self._supervisord.processes()
        except SupervisordError:
            return False
        folder = self._system.ready_folder
        ready = [is_ready(process, folder) for process in processes if process.group == GROUP]
        fails = any(process.state in FAILING for process in processes)
        return any(ready) and (late or fails or (all(ready) and not self._system.layout.daemon))

    def _missing(self) -> str | None:
        """Say what is not ready yet; None when everything is."""
        try:
            processes = self._note_pids()
        except SupervisordError as exc:
            return f"{exc}."
        system = self._system
        for process in processes:
            if process.group == GROUP and not is_ready(process, system.ready_folder):
                return _unready(process)
        if system.simulator_port is not None and not _accepts("127.0.0.1", system.simulator_port):
            return _unready(next(p for p in processes if p.group == "simulator"))
        answer = probe(system.layout)
        if answer is not None:
            daemon = next((p for p in processes if p.group == "cache"), None)
            return answer if daemon is None else f"{answer}\n{_unready(daemon)}"
        return None

    def _note_pids(self) -> list[Process]:
        processes = self._supervisord.processes()
        self._pids = [process.pid for process in processes if process.pid > 0]
        return processes

    def _show_logs(self) -> None:
        for follower in self._followers:
            program = follower.path.stem
            for line in follower.lines():
                self._signalled |= program == "supervisord" and line.endswith(SIGNALLED)
                shown = for_terminal(line, program)
                if shown is not None:
                    self._say(shown)
                    if program == "supervisord":
                        self._complaints.append(shown)

    def _say(self, line: str) -> None:
        try:
            self._to_terminal(line)
        except OSError:
            # The terminal, or whatever read from us, is gone.
            self._interrupts.interrupt()

    def _fatal(self) -> list[str]:
        return [line for line in self._complaints if " ERROR watch: " in line]

    def _why_ended(self, code: int, words: list[str]) -> str:
        # What others have taken since we looked:
        # 1. The port. supervisord ends with Python's own words then.
        # 2. The socket of supervisord, and with it these folders. It calls that socket a port.
        if words and words[-1].endswith("Address already in use"):
            layout = self._system.layout
            return f"Port {layout.port} at {layout.host} was taken in the meantime."
        if any(SOCKET_TAKEN in line for line in words):
            return (
                f"Another supervisord has taken {self._system.folders.control} in the meantime: "
                "the server was started there twice, and the other start goes on."
            )
        # Of a configuration that it does not take: its last line only names its help.
        words = [line for line in words if line.startswith("Error: ")] or words
        signalled = ["another process sent it a signal"] if self._signalled else []
        reasons = self._fatal() or signalled or words or list(self._complaints)
        reason = (reasons or ["no reason given"])[-1]
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"supervisord {how}, everything is stopped: {reason}"

    def _stop(self, process: subprocess.Popen[bytes]) -> None:
        already = self._interrupts.count
        if process.poll() is None:
            with suppress(SupervisordError):
                self._note_pids()
            self._say("Stopping ...")
            process.terminate()
            deadline = time.monotonic() + STOPPED_WITHIN
            while process.poll() is None:
                self._show_logs()
                if self._interrupts.count > max(already, 1) or time.monotonic() > deadline:
                    self._say("Killing what has not stopped yet.")
                    process.kill()
                    break
                self._interrupts.wait(POLL)
            process.wait()
            self._show_logs()
        if process.returncode < 0:
            # supervisord was killed; its processes do not notice.
            for pid in self._pids:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)


def _unready(process: Process) -> str:
    ending = "".join(f"\n    {line}" for line in last_lines(process.log, 5)) or " nothing."
    return f"{process.name} is {process.state}; the end of its log {process.log}:{ending}"


def _accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=PROBE_TIMEOUT).close()
    except OSError:
        return False
    return True
