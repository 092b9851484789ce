"""The daemon's socket in the file system: who may bind it, find it and remove it.

Order: the folder is made or checked, a lock is taken for life, a stale socket is removed, the new
one is bound readable by nobody else. What is not provably ours and dead is never touched.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from ..errors import ConfigurationError
from ..pid_file import holder, read_pid
from ..settings.table import SOCKET_PATH_MAX_BYTES

BACKLOG: Final = 64
"""Connections the kernel keeps until they are accepted: a fleet of workers that starts at once."""

PROBE_SECONDS: Final = 1.0
"""How long a socket found at the path has to take a connection before it counts as alive."""


class AlreadyRunning(ConfigurationError):
    """Another cache daemon serves this path."""


class Supplanted(ConfigurationError):
    """Something else lies where our socket was, or another daemon has our lock."""


class SocketFile:
    """A bound, listening Unix socket and the lock that makes it the only one.

    Attributes:
        path: Where clients find it.
        socket: Non-blocking and listening.
    """

    def __init__(
        self, path: Path, bound: socket.socket, lock: int, *, tighten: bool = False
    ) -> None:
        self.path = path
        self.socket = bound
        self._lock = lock
        self._tighten = tighten
        self._identity = _identity(path)

    @classmethod
    def bind(cls, path: Path, *, tighten: bool = False) -> Self:
        """Take the path.

        Args:
            path: Of the socket. The lock lies beside it, with `.lock` at its end, and stays; our
                process id stands in it.
            tighten: Whether a folder of ours that others can enter is closed (it is the project's
                own) instead of being refused (it may be shared on purpose).

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
        try:
            prepare_folder(path.parent, tighten=tighten)
            lock = _lock(_lock_path(path))
            try:
                _sign(lock)
                _clear(path)
                return cls(path, _listen(path), lock, tighten=tighten)
            except BaseException:
                os.close(lock)
                raise
        except OSError as exc:
            raise ConfigurationError(
                f"The cache socket {path} cannot be made: {exc.strerror}."
            ) from exc

    def is_ours(self) -> bool:
        """Say whether the path still leads to this socket."""
        return self._identity is not None and _identity(self.path) == self._identity

    def has_lock(self) -> bool:
        """Say whether the lock we hold is still the one that the next daemon would ask for."""
        if self._lock < 0:
            return False
        status = os.fstat(self._lock)
        return _identity(_lock_path(self.path)) == (status.st_dev, status.st_ino)

    def restore(self) -> bool:
        """Put back what has vanished, such as with the whole folder; say whether anything had.

        1. Socket and lock lead here: nothing is done.
        2. The lock's file is gone: it is made and taken again.
        3. The socket's file is gone: a new socket is bound and takes the place of `socket`, which
           is closed. Connections that were accepted stay.
        4. Another daemon has the lock, or something else lies in the socket's place: they stay as
           they are.

        Raises:
            Supplanted: The fourth case.
            ConfigurationError: The folder is not ours alone.
            OSError: It cannot be written to.
        """
        if self.is_ours() and self.has_lock():
            return False
        prepare_folder(self.path.parent, tighten=self._tighten)
        if not self.has_lock():
            try:
                lock = _lock(_lock_path(self.path))
            except AlreadyRunning as exc:
                raise Supplanted(str(exc)) from None
            os.close(self._lock)
            self._lock = lock
            _sign(lock)
        if not self.is_ours():
            if _identity(self.path) is not None:
                raise Supplanted(f"{self.path} leads to something else.")
            bound = _listen(self.path)
            self.socket.close()
            self.socket = bound
            self._identity = _identity(self.path)
        return True

    def withdraw(self) -> None:
        """Stop listening; the path is removed if it still leads here. Connections stay.

        Removed before closed, so that whoever finds the path finds somebody behind it.
        """
        if self.is_ours():
            self.path.unlink(missing_ok=True)
        self._identity = None
        self.socket.close()

    def close(self) -> None:
        """Withdraw, and let the next daemon in."""
        self.withdraw()
        if self._lock >= 0:
            # The lock file stays: removing it would let two daemons lock two files of one name.
            os.close(self._lock)
            self._lock = -1


def prepare_folder(folder: Path, *, tighten: bool) -> None:
    """Make sure that only we can enter `folder`, or make it so.

    Raises:
        ConfigurationError: It belongs to another user, is a link, or is open to others.
        OSError: It cannot be made.
    """
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
            os.fchmod(fd, 0o700)
    finally:
        os.close(fd)


@contextlib.contextmanager
def no_daemon(path: Path) -> Iterator[None]:
    """Keep cache daemons from starting on the socket at `path`.

    Raises:
        AlreadyRunning: One runs.
        ConfigurationError: It cannot be found out.
    """
    try:
        lock = _lock(_lock_path(path))
    except OSError as exc:
        raise ConfigurationError(
            f"Whether a cache daemon runs on {path} cannot be found out: {exc.strerror}."
        ) from None
    try:
        # The id in it is that of a daemon that is gone, and nobody may take it for ours.
        os.ftruncate(lock, 0)
        yield
    finally:
        os.close(lock)


def daemon_pid(path: Path) -> int | None:
    """Return the id of the daemon that has the lock of the socket at `path`.

    Returns:
        None if none has, or if it has not written its id there.
    """
    return holder(_lock_path(path))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _lock_path(path: Path) -> Path:
    return path.with_name(path.name + ".lock")


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        pid = read_pid(path)
        who = "" if pid is None else f" (process {pid})"
        raise AlreadyRunning(
            f"Another cache daemon runs on {path.with_suffix('')}{who}; it goes on undisturbed."
        ) from None
    except BaseException:
        os.close(fd)
        raise
    return fd


def _sign(lock: int) -> None:
    """Write our process id into the lock, for those who look for its holder."""
    os.ftruncate(lock, 0)
    with contextlib.suppress(OSError):  # as on a full disk: the lock holds without it
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens on; refuse anything else."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.geteuid():
        raise ConfigurationError(
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
            pass  # somebody holds it and is busy
        except OSError as exc:
            if exc.errno != errno.EPROTOTYPE:
                raise
            raise ConfigurationError(
                f"{path} is a socket of another kind. It was left alone: move it away, or set "
                "OIG_CACHE_SOCKET to another path."
            ) from exc
    raise AlreadyRunning(f"Something listens on {path} already; it goes on undisturbed.")


def _listen(path: Path) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # 0600 from birth: a chmod afterwards would leave a moment for others.
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
