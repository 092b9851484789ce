"""The running server: `status`, `stop` and `restart-workers`.

`typed` is how this program was started, and `say` is called with each line for the user.
"""

from __future__ import annotations

import fcntl
import shlex
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from ..errors import ConfigurationError
from ..settings.table import Settings
from .configuration import IDENTIFIER, Folders, Layout, folders_in, shipped
from .foreground import STOPPED_WITHIN, CannotStart
from .interrupts import Interrupts
from .leftovers import Left, Leftovers, Search, end
from .options import Typed
from .own_port import probe
from .proc import PROC, WORKER, is_alive
from .rolling_restart import GROUP, RestartFailed, RollingRestart
from .supervisor_rpc import Supervisord, SupervisordError, SupervisordStopping
from .wanted import secure_origin
from .workers import differing, is_ready, seen_of_storage, why_unwritable

POLL = 0.1
"""Seconds between two looks."""


class NothingRuns(Exception):
    """No supervisord of this installation runs; the message says where it was looked for."""


class OutOfReach(Exception):
    """Processes run that no supervisord can be asked about; the message names them."""


class NotReady(Exception):
    """Something that runs is not ready; all has been said."""


def status(folders: Folders, settings: Settings, typed: Typed, say: Callable[[str], None]) -> None:
    """Say what runs and whether it is ready.

    Raises:
        NothingRuns: There is nothing.
        OutOfReach: There are leftovers only.
        NotReady: Something is not ready, or a worker differs from the others.
        SupervisordError: supervisord does not answer.
    """
    supervisord = found(folders, settings, typed)
    pid, processes = supervisord.pid(), supervisord.processes()
    ready_folder = settings.run_dir / "ready"
    lines, missing = [], []
    # /readyz is answered by any of the workers, for itself.
    seen, storage = seen_of_storage(settings)
    others = differing(settings, seen)
    here = {None, socket.gethostname()}
    refusing = {one.pid for one in others if one.secret and one.host in here}
    for process in processes:
        # supervisord calls a process so for some seconds after its start; /readyz asks the daemon.
        fine = process.state in {"RUNNING", "STARTING"}
        words = f"{process.state}, process {process.pid}" if process.pid else process.state
        if process.group == GROUP:
            fine = is_ready(process, ready_folder)
            serves = "refuses all calls" if process.pid in refusing else "serves requests"
            words += f", {serves}" if fine else ", serves no requests"
        elif process.group == "simulator" and process.state == "STOPPED":
            continue  # it was not asked for
        if not fine:
            missing.append(f"{process.name} is {process.state}, its log is {process.log}")
        lines.append(f"  {process.name:<10} {words}")
    layout = running_layout(supervisord, folders)
    secure = secure_origin(settings, layout.port)
    layout = replace(layout, secure=secure, public=settings.public_url)
    answer = probe(layout)
    if answer is not None:
        missing.append(answer)
    # The first line is what /readyz says; who differs is named also where it does not matter there.
    unready = any(one.unready and one.host in here for one in others)
    verdict = "is not ready" if missing or unready else "is ready"
    missing.extend(map(str, others))
    say(f"{layout.url} {verdict} (supervisord, process {pid}).{layout.elsewhere}")
    for line in (*lines, *([] if storage is None else [storage]), *missing):
        say(line)
    why = why_unwritable(ready_folder)
    if why is not None:
        say(
            f"Workers cannot say that they are ready: {ready_folder} cannot be written to ({why}). "
            "One that has run for some seconds is taken for ready."
        )
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


def stop(folders: Folders, settings: Settings, say: Callable[[str], None]) -> None:
    """Stop everything that supervisord runs, and supervisord; return when it has stopped.

    Where supervisord cannot be asked, or was killed, what is certainly ours is ended without it.

    Raises:
        NothingRuns: There is nothing.
        CannotStart: Something goes on.
        SupervisordStopping: It is being stopped already.
    """
    search = Search.of(folders, settings)
    supervisord = Supervisord(folders.control)
    try:
        _refuse_foreign(folders)
        pid = supervisord.pid()
    except SupervisordStopping:
        raise still_stopping(search) from None
    except SupervisordError as exc:
        left = search.find()
        if not left.certain:
            raise _nothing(folders, left) from exc
        _say_end(end(search, say), say)
        return
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
    # What an earlier supervisord has left was not its to stop.
    _say_end(end(search, say), say)


def _say_end(left: Leftovers, say: Callable[[str], None]) -> None:
    if left.certain:
        going_on = ", ".join(map(str, left.certain))
        raise CannotStart(f"These go on, though they were killed: {going_on}.")
    for line in left.doubts():
        say(line)
    say("Stopped.")


def restart_workers(
    folders: Folders, settings: Settings, typed: Typed, say: Callable[[str], None]
) -> None:
    """Restart the workers one by one.

    Raises:
        NothingRuns: There is nothing.
        OutOfReach: There are leftovers only.
        RestartFailed: As `RollingRestart` says.
        SupervisordError: supervisord does not answer.
    """
    if not _is_there(folders.control):
        found(folders, settings, typed)
    interrupts = Interrupts()
    with _only_one(folders.run / "rolling_restart.lock"), interrupts.caught():
        RollingRestart(
            found(folders, settings, typed),
            settings.run_dir / "ready",
            say,
            supervisorctl=_supervisorctl(folders, typed),
        ).run(lambda: bool(interrupts))


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Keep a second rolling restart out."""
    try:
        file = path.open("w")
    except PermissionError:
        raise
    except OSError as exc:
        raise RestartFailed(
            f"{path} cannot be written ({exc.strerror}), so two rolling restarts could meet."
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RestartFailed("Another rolling restart is under way.") from None
        yield


def found(folders: Folders, settings: Settings, typed: Typed) -> Supervisord:
    """Return the supervisord that runs.

    Raises:
        NothingRuns: There is none, and nothing else of this installation.
        OutOfReach: There are leftovers only.
        PermissionError: It is another user's.
        SupervisordStopping: It stops.
        SupervisordError: It is there and does not answer.
    """
    _refuse_foreign(folders)
    supervisord = Supervisord(folders.control)
    try:
        supervisord.pid()
    except SupervisordStopping:
        raise still_stopping(Search.of(folders, settings)) from None
    except SupervisordError:
        left = Search.of(folders, settings).find()
        if left.supervisord and _listens(folders.control):
            raise
        if left.certain:
            raise OutOfReach(words(left, folders, typed)) from None
        raise _nothing(folders, left) from None
    return supervisord


def still_stopping(search: Search) -> SupervisordStopping:
    """Return the failure of a command that came while the server stops."""
    return SupervisordStopping(_stopping(search.find().supervisord))


def _stopping(supervisord: Left | None) -> str:
    which = f" ({supervisord.part}, process {supervisord.pid})" if supervisord else ""
    return f"The server is still stopping{which}. Try again in a few seconds."


def words(left: Leftovers, folders: Folders, typed: Typed) -> str:
    """Say what runs without a supervisord that can be asked, and how to end it.

    A supervisord that has nothing left to run is about to end: it removes its socket last.
    """
    if left.supervisord and left.certain == (left.supervisord,):
        return "\n".join([_stopping(left.supervisord), *left.doubts()])
    names = ", ".join(str(one) for one in left.certain if one != left.supervisord)
    if left.supervisord:
        why = (
            "its socket is not answered"
            if _is_there(folders.control)
            else f"its socket {folders.control} is gone"
        )
        text = (
            f"The server runs ({left.supervisord}), and {why}: it goes on serving, and only a "
            "restart of everything brings the socket back."
        )
    else:
        port = " and keep the port" if any(one.part == WORKER for one in left.certain) else ""
        text = (
            f"The server's supervisord has ended without stopping the rest: {names}. "
            f"They go on{port}, and nobody starts them again when they end."
        )
    text += f" To end them: {typed.command('stop')} and start again: {typed.command('serve')}"
    return "\n".join([text, *left.doubts()])


def _nothing(folders: Folders, left: Leftovers) -> NothingRuns:
    why = f"there is no {folders.control}."
    if _is_there(folders.control):
        why = f"nobody answers at {folders.control}, which was left over."
    return NothingRuns(" ".join([f"No server is running: {why}", *left.doubts()]))


def _refuse_foreign(folders: Folders) -> None:
    """Raise PermissionError where the socket lies in a folder that we may not enter."""
    with suppress(FileNotFoundError, NotADirectoryError):
        folders.control.stat()


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _listens(path: Path) -> bool:
    """Whether somebody takes connections at a socket, however slowly."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe_socket:
        probe_socket.settimeout(POLL)
        try:
            probe_socket.connect(str(path))
        except (TimeoutError, BlockingIOError):
            return True
        except OSError:
            return False
    return True


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
    # 1. Until its parent has reaped it, its process id goes on.
    # 2. supervisord removes its file as the last thing it does. A missing file proves nothing: it
    #    may have been removed before.
    # 3. Where the system does not show that a process waits to be reaped, the file must do.
    if not is_alive(pid):
        return False
    return PROC.is_dir() or folders.pid_file.exists()
