"""Follow log files while supervisord writes and rotates them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

SUPERVISORD_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ (\w{4}) (.*)")

ROUTINE = (
    "Supervisor is running as root",
    "Server 'unix_http_server' running without any",
    "received SIGTERM",
    "stopped: ",
)
"""Lines that supervisord calls critical or a warning: the first two come with each start
(supervisord.conf says why), the others with each stop that was asked for."""

OWN_TIME = re.compile(r"\d{4}-\d\d-\d\d")
"""How the lines of our programs and of supervisord begin."""

TAIL_BYTES = 8192
"""How much of the end of a log is searched for its last lines."""


class Follower:
    """The lines that are written to one log from now on.

    Args:
        path: The log; it may come into being later, and lie where nobody can read it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        with suppress(OSError):
            self._file = path.open("rb")
            self._file.seek(0, os.SEEK_END)

    def lines(self) -> Iterator[str]:
        """Give the lines that are complete since the last call, over a rotation too."""
        yield from self._read()
        try:
            now = self.path.stat()
        except OSError:
            return
        if self._file is None or not _same(self._file, now.st_ino):
            self.close()
            # Something else in its place means no log; everything runs on.
            with suppress(OSError):
                self._file = self.path.open("rb")
            yield from self._read()

    def close(self) -> None:
        """Close the file. It is opened again, from its beginning, at the next call."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self) -> Iterator[str]:
        if self._file is None:
            return
        *complete, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in complete:
            yield line.decode(errors="replace").rstrip("\r")


def _same(file: BinaryIO, inode: int) -> bool:
    return os.fstat(file.fileno()).st_ino == inode


def for_terminal(line: str, program: str) -> str | None:
    """Return a line of a log as a person at a terminal should see it; None if they should not.

    Args:
        line: The line.
        program: Whose log it is from. Lines that do not begin with a time, such as a traceback,
            do not say it.
    """
    match = SUPERVISORD_LINE.fullmatch(line) if program == "supervisord" else None
    if match is not None:
        level, text = match.groups()
        routine = level not in {"WARN", "ERRO", "CRIT"} or text.startswith(ROUTINE)
        return None if routine else f"{line[:19]} {level} supervisord: {text}"
    return line if OWN_TIME.match(line) else f"{program}: {line}"


def last_lines(log: Path, count: int) -> list[str]:
    """Return the last lines of a log that are not empty; none if there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]
