"""The secret of a process that uses it, and the state of its file meanwhile.

A process that uses the secret has a shared lock on its file, so that `rotation.py` replaces it
only when no process uses it; and checks the file now and then. What a check may find:

1. The file is unchanged: nothing is done. That costs one `lstat`.
2. No file, or no folder: the same bytes are restored. Otherwise the next process to start would
   create another secret, and refuse everything made with this one. A hard link puts the file in
   place, so one of several processes is first, and none replaces the file of another.
3. No file, and the folder is on another file system than before: nothing is written. A secret on a
   disk that was unmounted must not be written to the disk below.
4. The file cannot be written, for example on a full disk: reported once, retried at every check.
5. Another file with the same secret, for example from a backup: it is locked in place of the old.
6. Another secret: somebody has put it there. Reported once and left alone. This process stays with
   its secret; one that starts now uses the other.
7. A link, a folder, a file of another user or open to others: as 6, with the message of
   `secret.read_secret`.
"""

from __future__ import annotations

import asyncio
import fcntl
import hmac
import logging
import os
from collections.abc import Callable
from pathlib import Path

from ..errors import ConfigurationError
from .secret import leads_to, load_secret, open_secret, put_secret, read_content

CHECK_SECONDS = 2.0
"""How often the file is checked. A restart of a worker takes about as long."""

logger = logging.getLogger(__name__)

Seen = tuple[int, ...]
"""What identifies a file, and its state: it differs after a change."""


class SecretUse:
    """The secret, and the lock that says somebody works with it.

    Args:
        path: The file; made when missing, as `load_secret` does.
        make: As for `load_secret`.

    Attributes:
        secret: Its content, without white space around it.

    Raises:
        ConfigurationError: As `load_secret`.
    """

    def __init__(self, path: Path, make: Callable[[Path], None] | None = None) -> None:
        self._path = path
        self._complaint = ""
        while True:
            load_secret(path, make)
            # A moment passes until we have the lock, in which it may have been replaced.
            try:
                self._fd = open_secret(path, os.O_RDONLY)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(self._fd, fcntl.LOCK_SH)
                if leads_to(path, self._fd):
                    self._content = read_content(path)
                    self._seen = _seen(path)
                    self._device = path.parent.stat().st_dev
                    self.secret = self._content.strip()
                    return
            except BaseException:
                self.close()
                raise
            self.close()

    def look(self) -> None:
        """Look at the file once, and do what the case asks for; never fails.

        Not in a thread: it nearly always ends with its first system call, and when the file has
        vanished it writes less than a page.
        """
        seen = _seen(self._path)
        if seen == self._seen:
            return
        if not seen:
            self._write_back()
            seen = _seen(self._path)
        if seen:
            self._judge(seen)

    async def keep_checked(self) -> None:
        """Look every `CHECK_SECONDS`, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            self.look()

    def close(self) -> None:
        """Give up the lock; safe to repeat."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write_back(self) -> None:
        try:
            if _device(self._path.parent) != self._device:
                self._complain(
                    f"The secret {self._path} has vanished together with its file system. It is "
                    "not written to another one: mount it again."
                )
                return
            is_back = put_secret(self._path, self._content)
        except (ConfigurationError, OSError) as exc:
            self._complain(
                f"The secret {self._path} has vanished and cannot be written back, which is tried "
                f"again every {CHECK_SECONDS:g} s. Until then no worker can start. {exc}"
            )
            return
        if is_back:
            logger.warning("The secret %s had vanished: it is written back.", self._path)

    def _judge(self, seen: Seen) -> None:
        try:
            content = read_content(self._path)
            same = hmac.compare_digest(content.strip(), self.secret)
            self._lock()
        except BlockingIOError:
            return  # it is being replaced
        except (ConfigurationError, OSError) as exc:
            if not _seen(self._path):
                return  # gone meanwhile: the next look writes it back
            self._complain(
                f"{exc} This process goes on with the secret that it uses; none can start with "
                "this file."
            )
            return
        # A file that changes while we read it is looked at again.
        self._seen = seen
        if same:
            if self._complaint:
                self._complaint = ""
                logger.info("The secret %s is as it was.", self._path)
            return
        self._complain(
            f"Somebody has put another secret at {self._path}. It was left alone, and this process "
            "goes on with its own; a process that starts now takes the other one, and the "
            "two refuse each other. If that was meant, restart the whole server; if not, put the "
            "old file back, or delete the new one: then the old one is written back."
        )

    def _lock(self) -> None:
        # Whatever lies there: it must not be replaced while we run.
        fd = open_secret(self._path, os.O_RDONLY)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BaseException:
            os.close(fd)
            raise
        self.close()
        self._fd = fd

    def _complain(self, what: str) -> None:
        if what != self._complaint:
            self._complaint = what
            logger.error("%s", what)


def _seen(path: Path) -> Seen:
    """Return what identifies the file and its state; () without one."""
    try:
        found = path.lstat()
    except OSError:
        return ()
    return (
        *(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns),
        *(found.st_mode, found.st_uid),
    )


def _device(folder: Path) -> int:
    """Return the file system of a folder, or of the nearest one above it that exists.

    Raises:
        OSError: It cannot be found out.
    """
    for one in (folder, *folder.parents):
        try:
            return one.stat().st_dev
        except FileNotFoundError:
            continue
    raise FileNotFoundError(folder)
