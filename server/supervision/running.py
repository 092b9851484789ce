"""What runs already: `status`, `stop` and `restart-workers`."""

from __future__ import annotations

import fcntl
import os
import shlex
import time
from collections.abc import Callable
from contextlib import suppress

from ..errors import ConfigurationError
from ..settings import Settings
from .configuration import IDENTIFIER, Folders, Layout, folders_in, shipped
from .control import Supervisord, SupervisordStopping
from .foreground import STOPPED_WITHIN, CannotStart, Interrupts, probe
from .rolling_restart import GROUP, RestartFailed, RollingRestart, is_ready
from .typed import Typed

POLL = 0.1
"""Seconds between two looks."""


class NothingRuns(Exception):
    """No supervisord of ours is there; the message says where it was looked for."""


class NotReady(Exception):
    """Something that runs is not ready; all has been said."""


def status(folders: Folders, settings: Settings, say: Callable[[str], None]) -> None:
    """Say what runs and whether it is ready.

    Args:
        folders: Where everything lies.
        settings: All settings.
        say: Called with each line for the user.

    Raises:
        NothingRuns: There is nothing.
        NotReady: Something is not ready.
        SupervisordError: supervisord does not answer.
    """
    supervisord = found(folders)
    pid, processes = supervisord.pid(), supervisord.processes()
    ready_folder = settings.run_dir / "ready"
    lines, missing = [], []
    for process in processes:
        # supervisord calls a process so for some seconds after its start; /readyz asks the daemon.
        fine = process.state in {"RUNNING", "STARTING"}
        words = f"{process.state}, process {process.pid}" if process.pid else process.state
        if process.group == GROUP:
            fine = is_ready(process, ready_folder)
            words += ", serves requests" if fine else ", serves no requests"
        elif process.group == "simulator" and process.state == "STOPPED":
            continue  # it was not asked for
        if not fine:
            missing.append(f"{process.name} is {process.state}, its log is {process.log}")
        lines.append(f"  {process.name:<10} {words}")
    layout = running_layout(supervisord, folders)
    answer = probe(layout)
    if answer is not None:
        missing.append(answer)
    verdict = "is not ready" if missing else "is ready"
    say(f"{layout.url} {verdict} (supervisord, process {pid}).")
    for line in (*lines, *missing):
        say(line)
    if missing:
        raise NotReady


def running_layout(supervisord: Supervisord, folders: Folders) -> Layout:
    """Return host, port and number of workers of what runs.

    Raises:
        ConfigurationError: Its configuration is gone.
        SupervisordError: supervisord does not answer.
    """
    if supervisord.identifier() != IDENTIFIER:
        return Layout.read(shipped(folders.project))
    try:
        return Layout.read(folders.configuration.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigurationError(
            f"{folders.configuration} cannot be read ({exc.strerror}), and it says where the "
            "server listens. Stop everything and start it again."
        ) from None


def stop(folders: Folders, say: Callable[[str], None]) -> None:
    """Stop everything that supervisord runs, and supervisord; return when it has stopped.

    Args:
        folders: Where everything lies.
        say: Called with each line for the user.

    Raises:
        NothingRuns: There is nothing.
        CannotStart: Something goes on.
        SupervisordError: supervisord does not answer.
    """
    supervisord = found(folders)
    pid = supervisord.pid()
    say(f"Stopping (supervisord, process {pid}) ...")
    with suppress(SupervisordStopping):
        supervisord.shutdown()
    deadline = time.monotonic() + STOPPED_WITHIN
    while _runs(pid, folders):
        if time.monotonic() > deadline:
            raise CannotStart(
                f"supervisord, process {pid}, has not stopped within {STOPPED_WITHIN:.0f} s. Look "
                f"into {folders.logs / 'supervisord.log'}."
            )
        time.sleep(POLL)
    say("Stopped.")


def restart_workers(
    folders: Folders, settings: Settings, typed: Typed, say: Callable[[str], None]
) -> None:
    """Restart the workers one by one.

    Args:
        folders: Where everything lies.
        settings: All settings.
        typed: How this program was started.
        say: Called with each line for the user.

    Raises:
        NothingRuns: There is nothing.
        RestartFailed: As `RollingRestart` says.
        SupervisordError: supervisord does not answer.
    """
    supervisord = found(folders)
    interrupts = Interrupts()
    with (folders.run / "rolling_restart.lock").open("w") as lock, interrupts.caught():
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RestartFailed("Another rolling restart is under way.") from None
        RollingRestart(
            supervisord,
            settings.run_dir / "ready",
            say,
            supervisorctl=_supervisorctl(folders, typed),
        ).run(lambda: bool(interrupts))


def found(folders: Folders) -> Supervisord:
    """Return the supervisord that runs.

    Raises:
        NothingRuns: There is none.
        PermissionError: It is another user's.
    """
    try:
        folders.control.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise NothingRuns(f"No server is running: there is no {folders.control}.") from None
    return Supervisord(folders.control)


def _supervisorctl(folders: Folders, typed: Typed) -> str:
    """Return how supervisorctl is typed for what runs in these folders."""
    with suppress(ConfigurationError, OSError):
        own = folders.project / "supervisord.conf"
        source = own.read_text(encoding="utf-8")
        if folders_in(source, folders.project).control == folders.control:
            return "supervisorctl -c supervisord.conf"
    configuration = shlex.quote(str(folders.configuration))
    return f"{typed.program('supervisorctl')} -c {configuration}"


def _runs(pid: int, folders: Folders) -> bool:
    # 1. supervisord removes its file as the last thing it does; until it is reaped by whoever
    #    started it, its process id goes on.
    # 2. Killed, it removes nothing.
    if not folders.pid_file.exists():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
