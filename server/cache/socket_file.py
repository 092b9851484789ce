"""The daemon's socket in the file system: safe to bind, to reach and to remove.

In this order: the folder is made or checked, a lock is taken for life, a stale socket is removed,
and the new one is bound, readable by nobody else. Anything that is not provably the daemon's own
and dead is left alone.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from ..errors import ConfigurationError
from ..pid_file import PidFile, holder, lock, read_pid
from ..settings.table import SOCKET_PATH_MAX_BYTES

BACKLOG: Final = 64
"""Connections that wait in the kernel to be accepted: all workers starting at once."""

PROBE_SECONDS: Final = 1.0
"""A socket found at the path counts as alive if it takes longer than this to refuse."""


class PathTaken(ConfigurationError):
    """Something else is in the socket's place."""


class AlreadyRunning(PathTaken):
    """Another cache daemon serves this path."""


class SocketFile:
    """A listening Unix socket, and the lock that makes it the only one.

    The lock is beside it, named with `.lock` at the end; it stays, and contains the process id.
    `tighten` closes a folder that others can enter (it is the project's own) instead of refusing
    it (it may be shared on purpose). `socket` is non-blocking and listening, once it is bound.
    """

    def __init__(self, path: Path, *, tighten: bool = False) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._lock = PidFile(_lock_path(path))
        self._tighten = tighten
        self._identity: tuple[int, int] | None = None

    @classmethod
    def bind(cls, path: Path, *, tighten: bool = False) -> Self:
        """Take a path; the arguments are those of the class.

        Raises:
            AlreadyRunning: Another daemon has it.
            ConfigurationError: The folder or the path cannot be used; the text says what to do.
        """
        length = len(os.fsencode(path))
        if length > SOCKET_PATH_MAX_BYTES:
            raise ConfigurationError(
                f"The path of the cache socket has {length} bytes and a Unix socket allows "
                f"{SOCKET_PATH_MAX_BYTES}: {path}"
            )
        file = cls(path, tighten=tighten)
        try:
            file.restore()
        except BaseException:
            file.close()
            raise
        return file

    def is_in_place(self) -> bool:
        """Return whether socket and lock at the path are still these."""
        return self._is_ours() and self._lock.leads_here()

    def restore(self) -> None:
        """Take the path, or what of it has vanished, for example with the whole folder.

        1. Socket and lock lead here: nothing is done.
        2. The lock's file is gone: it is made and taken again.
        3. The socket's file is gone, or nobody listens on the one there: a new socket is bound and
           replaces `socket`, which is closed. Accepted connections stay.
        4. Another daemon has the lock, or something else is in the socket's place: both are left
           alone.

        Raises:
            PathTaken: The fourth case.
            ConfigurationError: The folder is open to others, or cannot be written to.
        """
        if self.is_in_place():
            return
        try:
            prepare_folder(self.path.parent, tighten=self._tighten)
            self._take_lock()
            if not self._is_ours():
                _clear(self.path)
                bound = _listen(self.path)
                self.socket.close()
                self.socket = bound
                self._identity = _identity(self.path)
        except OSError as exc:
            raise ConfigurationError(
                f"The cache socket {self.path} cannot be made: {exc.strerror}."
            ) from exc

    def withdraw(self) -> None:
        """Stop listening, and remove the path if it still leads here. Connections stay.

        The path is removed first, so that a process listens wherever there is one.
        """
        if self._is_ours():
            self.path.unlink(missing_ok=True)
        self._identity = None
        self.socket.close()

    def close(self) -> None:
        """Withdraw, and let the next daemon in."""
        self.withdraw()
        # The lock file stays: after its removal two daemons could lock two files of one name.
        self._lock.close()

    def _is_ours(self) -> bool:
        return self._identity is not None and _identity(self.path) == self._identity

    def _take_lock(self) -> None:
        try:
            self._lock.keep()
        except OSError:
            if not self._lock.leads_here():  # as on a full disk: it is locked without the id
                raise
        if not self._lock.leads_here():
            raise _already_running(self.path)


def refuse_unmakeable(folder: Path) -> None:
    """Return when a folder is there, or could be made with those above it.

    Raises:
        OSError: It could not.
    """
    for place in (folder, *folder.parents):
        if os.path.lexists(place):
            if place == folder:
                return
            if not place.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
            if not os.access(place, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
            return


def prepare_folder(folder: Path, *, tighten: bool, only_looks: bool = False) -> None:
    """Make a folder that only this user can enter.

    Args:
        folder: Where.
        tighten: Whether one that others can enter is closed to them.
        only_looks: Whether it is neither made nor closed.

    Raises:
        ConfigurationError: It belongs to another user, is a link, or is open to others.
        OSError: It cannot be made.
    """
    if only_looks:
        refuse_unmakeable(folder)
        if not os.path.lexists(folder):
            return
    else:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    if folder.is_symlink() or not folder.is_dir():
        raise ConfigurationError(f"{folder} must be a folder, not a link or a file.")
    # The checks and the change are made on one open folder, whatever happens to its name.
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        status = os.fstat(fd)
        if status.st_uid != os.geteuid():
            raise ConfigurationError(
                f"{folder} belongs to user {status.st_uid}, and this is user {os.geteuid()}. Use a "
                "folder of your own: OIG_RUN_DIR."
            )
        if status.st_mode & 0o077:
            if not tighten:
                raise ConfigurationError(f"Other users can enter {folder}. Run: chmod 700 {folder}")
            if not only_looks:
                os.fchmod(fd, 0o700)
    finally:
        os.close(fd)


@contextlib.contextmanager
def no_daemon(path: Path) -> Iterator[None]:
    """Keep cache daemons from starting on the socket at `path`.

    Raises:
        AlreadyRunning: One is running.
        ConfigurationError: It is not known whether one is.
    """
    try:
        fd = lock(_lock_path(path))
    except OSError as exc:
        raise ConfigurationError(
            f"Whether a cache daemon runs on {path} cannot be found out: {exc.strerror}."
        ) from None
    if fd is None:
        raise _already_running(path)
    try:
        # The id in it is that of a daemon that is gone; nobody must take it for this process's.
        os.ftruncate(fd, 0)
        yield
    finally:
        os.close(fd)


def daemon_pid(path: Path) -> int | None:
    """Return the id of the daemon on the socket at `path`; None if there is none, or no id."""
    return holder(_lock_path(path))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _already_running(path: Path) -> AlreadyRunning:
    pid = read_pid(_lock_path(path))
    who = "" if pid is None else f" (process {pid})"
    return AlreadyRunning(f"Another cache daemon runs on {path}{who}; it goes on undisturbed.")


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens on; refuse anything else."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.geteuid():
        raise PathTaken(
            f"{path} is there and is not a socket of ours. It was left alone: move it away, or set "
            "OIG_CACHE_SOCKET to another path."
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except FileNotFoundError:
            return
        except (TimeoutError, BlockingIOError):
            pass  # somebody listens and is busy
        except OSError as exc:
            if exc.errno != errno.EPROTOTYPE:
                raise
            raise PathTaken(
                f"{path} is a socket of another kind. It was left alone: move it away, or set "
                "OIG_CACHE_SOCKET to another path."
            ) from exc
    raise AlreadyRunning(f"Something listens on {path} already; it goes on undisturbed.")


def _listen(path: Path) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # 0600 from the start: before a later chmod others could connect.
        before = os.umask(0o177)
        try:
            bound.bind(os.fspath(path))
        finally:
            os.umask(before)
        bound.listen(BACKLOG)
        bound.setblocking(False)
    except BaseException:
        bound.close()
        raise
    return bound
