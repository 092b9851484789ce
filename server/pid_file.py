"""A file with the id of a running process, which locks it for as long as it runs.

An id alone proves nothing. A killed process leaves its file behind, and the system gives its id to
another process. The lock ends with the process, whatever ends it, so the id in a locked file is
that of its holder. This needs no `/proc`, in which a hardened system hides processes.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

LOOK_SECONDS = 2.0
"""How often a process looks whether its file is still there."""

MAX_BYTES = 32


class PidFile:
    """Keeps one such file.

    Args:
        path: The file. Its folder is made where it is missing.
        pid: The id to write; this process's own unless given.
    """

    def __init__(self, path: Path, pid: int | None = None) -> None:
        self._path = path
        self._content = f"{os.getpid() if pid is None else pid}\n".encode()
        self._fd = -1
        self._written = False

    def keep(self) -> bool:
        """Make sure that the file is there; return whether it had to be written.

        1. It is as we left it: nothing is done. That costs one `lstat`.
        2. It is missing, or another file lies in its place: that is locked and gets our id.
        3. Another living process has locked it: it is left alone.
        4. It was made and could not be filled, as on a full disk: that is tried again.

        Raises:
            OSError: It cannot be written.
        """
        if self._written and self.leads_here():
            return False
        if not self.leads_here():
            self.close()
            fd = lock(self._path)
            if fd is None:
                return False
            self._fd = fd
        if os.pread(self._fd, MAX_BYTES, 0) != self._content:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, self._content, 0)
            self._written = True
            return True
        self._written = True
        return False

    def leads_here(self) -> bool:
        """Say whether the path leads to the file that is locked here."""
        if self._fd < 0:
            return False
        try:
            found = self._path.lstat()
        except OSError:
            return False
        return os.path.samestat(found, os.fstat(self._fd))

    def remove(self) -> None:
        """Remove the file if it is still ours; safe to repeat.

        Raises:
            OSError: It cannot be removed.
        """
        try:
            if self.leads_here():
                self._path.unlink(missing_ok=True)
        finally:
            self.close()

    def close(self) -> None:
        """Unlock the file and leave it where it is; safe to repeat."""
        self._written = False
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def lock(path: Path) -> int | None:
    """Lock a file, made if there is none, and return its descriptor, which has the lock.

    Args:
        path: The file. Its folder is made where it is missing.

    Returns:
        None if another living process has it.

    Raises:
        OSError: It cannot be opened, or is a link.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    return fd


def holder(path: Path) -> int | None:
    """Return the id of the living process that locks a file; None if none is known."""
    return read_pid(path) if is_locked(path) else None


def is_locked(path: Path) -> bool | None:
    """Say whether a living process has locked a file; None when that is not known.

    A stopped process lives. A missing file is locked by nobody.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    else:
        return False
    finally:
        os.close(fd)


def read_pid(path: Path) -> int | None:
    """Return the id in a file, whether or not its process lives; None if there is none."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return None
    # 0 and negative numbers stand for groups of processes, wherever they are signalled.
    return int(text) if text.isdecimal() and int(text) > 0 else None
