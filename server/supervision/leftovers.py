"""Finds, names and ends processes of this installation that no supervisord controls.

supervisord may have been killed while its processes run on; or its socket's file was removed, and
it cannot be asked. The cases:

1. supervisord answers at its socket: nothing here is needed.
2. It runs and its socket is gone: its pid file, locked by its listener (`own_files.py`), names it.
   A SIGTERM to it ends everything in order.
3. It is dead, and workers run: each has locked the file that says it is ready. They are ended
   first, the daemon last.
4. It is dead, and only the daemon runs: the daemon has the lock of its socket.
5. All are dead, and files are left: a file that is not locked names nobody.
6. A file names an id that now belongs to another process: as 5. A process is never signalled
   because of an id in a file alone.
7. Another program has the port: no file here names it, and it is left alone.
8. Another installation has the port: as 7. Its files are in another folder, and its environment
   names another socket.

A process belongs to this installation if it has locked one of its files, or if `/proc` shows a
command of this program with this supervisord's socket in its environment, as a child of this
supervisord, or as a user of this secret. If `/proc` shows only the command, because it hides the
environment of hardened processes, the process is named and left alone.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from ..cache.socket_file import daemon_pid
from ..pid_file import holder
from ..settings.table import Settings
from .configuration import Folders
from .proc import (
    DAEMON,
    PROC,
    SIMULATOR,
    SUPERVISORD,
    WORKER,
    Seen,
    configuration_of,
    is_alive,
    look,
    secret_holders,
)

BY_HAND = "worker"
"""Name of the ready file of a worker that was started without supervisord."""

ORDER = (SUPERVISORD, WORKER, SIMULATOR, DAEMON)
"""In which parts are ended: supervisord starts again what ends before it, and workers hand over to
the daemon what they have cached."""

ENDS_WITHIN = {SUPERVISORD: 60.0, WORKER: 20.0, SIMULATOR: 10.0, DAEMON: 15.0}
"""Seconds until each is killed: as in supervisord.conf, and supervisord after all of them."""

KILLED_WITHIN = 10.0
"""Seconds for the system to end what was killed."""

POLL = 0.05
"""Seconds between two looks."""


@dataclass(frozen=True, slots=True)
class Left:
    """A process of this installation.

    Args:
        pid: Its id.
        part: `supervisord`, `worker`, `cache daemon` or `simulator`.
    """

    pid: int
    part: str

    def __str__(self) -> str:
        return f"{self.part} (process {self.pid})"


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What was found.

    Args:
        certain: Of this installation, in the order in which they are ended.
        doubtful: Started by a command of this program, perhaps of another installation.
    """

    certain: tuple[Left, ...] = ()
    doubtful: tuple[Left, ...] = ()

    @property
    def supervisord(self) -> Left | None:
        """The supervisord, if it lives."""
        return next((left for left in self.certain if left.part == SUPERVISORD), None)

    def doubts(self) -> list[str]:
        """Return a line for the user on each process that is not known to be ours."""
        return [
            f"Process {left.pid} may be a {left.part} of this server or of another one; it was "
            f"left alone. If it is of this one: kill {left.pid}"
            for left in self.doubtful
        ]


@dataclass(frozen=True, slots=True)
class Search:
    """Looks for the processes of one installation.

    Args:
        folders: Where supervisord has its files.
        run: `OIG_RUN_DIR`.
        cache_socket: `OIG_CACHE_SOCKET`.
        secret: `OIG_SECRET_FILE`.
        proc: Where the system shows processes.
    """

    folders: Folders
    run: Path
    cache_socket: Path
    secret: Path
    proc: Path = field(default=PROC)

    @classmethod
    def of(cls, folders: Folders, settings: Settings) -> Search:
        """Make the search from the settings."""
        return cls(folders, settings.run_dir, settings.cache_socket, settings.secret_file)

    def find(self) -> Leftovers:
        """Look once."""
        seen = {one.pid: one for one in self._seen()}
        parts = {pid: one for pid, one in seen.items() if one.part and pid != os.getpid()}
        certain = self._vouched(seen)
        holders = secret_holders(self.secret, self.proc)
        holders -= {holder(self.run / "ready" / BY_HAND) or 0}
        server = f"unix://{self.folders.control}"
        for pid, one in parts.items():
            holds = one.socket is None and pid in holders
            if one.part != SUPERVISORD and (one.socket == server or holds):
                certain.setdefault(pid, str(one.part))
        parents = {seen[pid].parent for pid in certain if pid in seen}
        for pid, one in parts.items():
            if one.part == SUPERVISORD and (pid in parents or self._is_configured(one)):
                certain.setdefault(pid, SUPERVISORD)
        rest = {pid: one for pid, one in parts.items() if one.part != SUPERVISORD}
        for pid, one in rest.items():
            if certain.get(one.parent) == SUPERVISORD:
                certain.setdefault(pid, str(one.part))
        # What another supervisord runs is nobody's leftover.
        supervised = {pid for pid, one in parts.items() if one.part == SUPERVISORD}
        hidden = {
            pid: str(one.part)
            for pid, one in rest.items()
            if one.socket is None and one.parent not in supervised
        }
        return Leftovers(
            _ordered(certain),
            _ordered({pid: part for pid, part in hidden.items() if pid not in certain}),
        )

    def _vouched(self, seen: Mapping[int, Seen]) -> dict[int, str]:
        """Return the processes that have locked files of this installation, each with its part."""
        found = {}
        for pid, part in self._locked():
            if pid == os.getpid() or not is_alive(pid, self.proc):
                continue
            # 1. /proc hides it: the lock speaks for it.
            # 2. It shows something else: a shared folder has ids of another container.
            hidden = not (self.proc / str(pid) / "cmdline").exists()
            if hidden or (pid in seen and seen[pid].part == part):
                found[pid] = part
        return found

    def _locked(self) -> Iterator[tuple[int, str]]:
        """Give the ids in locked files, each with the part that has locked it."""
        pid = holder(self.folders.pid_file)
        if pid is not None:
            yield pid, SUPERVISORD
        pid = daemon_pid(self.cache_socket)
        if pid is not None:
            yield pid, DAEMON
        with suppress(OSError):
            for path in sorted((self.run / "ready").iterdir()):
                pid = holder(path)
                if pid is not None and path.name != BY_HAND:
                    yield pid, WORKER

    def _seen(self) -> Iterator[Seen]:
        """Give the processes of our user, as far as they are shown."""
        try:
            names = [entry.name for entry in self.proc.iterdir()]
        except OSError:
            return
        for name in names:
            one = look(int(name), self.proc) if name.isdecimal() else None
            if one is not None and one.uid == os.geteuid():
                yield one

    def _is_configured(self, one: Seen) -> bool:
        """Whether a supervisord was started with the configuration of this installation."""
        given = configuration_of(one.command)
        if given is None:
            return False
        path = Path(given)
        if not path.is_absolute():
            if one.cwd is None:
                return False
            path = one.cwd / path
        mine = [self.folders.configuration]
        # In a checkout that is the file it has, unless the state lies elsewhere.
        if self.folders.state == self.folders.project / "var":
            mine.append(self.folders.project / "supervisord.conf")
        return os.path.realpath(path) in {os.path.realpath(own) for own in mine}


def end(search: Search, say: Callable[[str], None]) -> Leftovers:
    """End what is certainly ours, part by part; return what is left then.

    Each is sent SIGTERM, and SIGKILL if it goes on for longer than its part may take.

    Args:
        search: Finds them, also again before each signal.
        say: Called with each line for the user.
    """
    for part in ORDER:
        found = [left for left in search.find().certain if left.part == part]
        if not found:
            continue
        say(f"Stopping {', '.join(map(str, found))} ...")
        _signal(search, found, signal.SIGTERM)
        _wait(found, ENDS_WITHIN[part])
        slow = [left for left in found if is_alive(left.pid)]
        if slow:
            say(f"Killing what has not stopped: {', '.join(map(str, slow))}.")
            _signal(search, slow, signal.SIGKILL)
            _wait(slow, KILLED_WITHIN)
    return search.find()


def _signal(search: Search, lefts: Iterable[Left], number: signal.Signals) -> None:
    """Signal those that still are what they were taken for."""
    handles = {}
    for left in lefts:
        # The id cannot go to another process between the look and the signal.
        if hasattr(os, "pidfd_open"):
            with suppress(OSError):
                handles[left.pid] = os.pidfd_open(left.pid)
    try:
        still = search.find().certain
        for left in lefts:
            if left not in still:
                continue
            with suppress(ProcessLookupError):
                if left.pid in handles:
                    signal.pidfd_send_signal(handles[left.pid], number)
                else:
                    os.kill(left.pid, number)
    finally:
        for handle in handles.values():
            os.close(handle)


def _wait(lefts: Iterable[Left], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(is_alive(left.pid) for left in lefts) and time.monotonic() < deadline:
        time.sleep(POLL)


def _ordered(found: dict[int, str]) -> tuple[Left, ...]:
    lefts = [Left(pid, part) for pid, part in found.items()]
    return tuple(sorted(lefts, key=lambda left: (ORDER.index(left.part), left.pid)))
