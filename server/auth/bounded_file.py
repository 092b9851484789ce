"""A file to which several processes append lines, and which is rotated when it is full."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

MAX_BYTES = 10 * 1024 * 1024
"""Size from which the file is renamed, as supervisord does with the other logs."""

NOWHERE = Path(os.devnull)

KEPT = 5
"""How many renamed files stay, `.1` the latest; an older one is removed."""


class BoundedFile:
    """Appends whole lines; every process may have one of its own on the same path.

    Others may also move the file away at any time: it is then created again.

    Args:
        path: The file.
        max_bytes: Size from which it is renamed.
        kept: How many renamed files stay.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, kept: int = KEPT) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._kept = kept
        self._file: BinaryIO | None = None

    def append(self, line: str) -> None:
        """Write one line.

        Raises:
            OSError: It cannot be written, or the file is full and cannot be renamed: nothing is
                written then, so that it never grows without bound.
        """
        file = self._current()
        if os.fstat(file.fileno()).st_size >= self._max_bytes:
            self._rename(file)
            file = self._current()
        # One call in append mode: lines of other processes never come in between.
        file.write(line.encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _current(self) -> BinaryIO:
        """Return the file that the path leads to now."""
        if self._file is not None and not _leads_to(self._path, self._file):
            self.close()
        if self._file is None:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Not blocking: a FIFO that nobody reads would stop the whole process.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
            file = open(os.open(self._path, flags, 0o666), "ab", buffering=0)  # noqa: PTH123, SIM115 - a descriptor, stays open
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode) and self._path != NOWHERE:
                file.close()
                raise OSError(0, "it is no regular file")
            self._file = file
        return self._file

    def _rename(self, full: BinaryIO) -> None:
        """Rename the full file, unless another process has done so already."""
        fcntl.flock(full, fcntl.LOCK_EX)
        try:
            if not _leads_to(self._path, full):
                return
            # The path leads to the full file until the last step, so nobody else gets here.
            for number in range(self._kept, 1, -1):
                with suppress(FileNotFoundError):
                    self._numbered(number - 1).replace(self._numbered(number))
            self._path.replace(self._numbered(1))
        finally:
            fcntl.flock(full, fcntl.LOCK_UN)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _leads_to(path: Path, file: BinaryIO) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(file.fileno()))
