"""The files of supervisord itself in its folder, restored by its listener."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..pid_file import PidFile, read_pid


class OwnFiles:
    """What supervisord itself has in its folder: it writes its files once and never looks again.

    The pid file is written again where it vanishes, and locked: while it is, its supervisord lives,
    as this process ends with it. The socket cannot be restored.
    """

    def __init__(self, pid: int, pid_file: Path, socket: Path) -> None:
        self._pid = pid
        self._path = pid_file
        self._file = PidFile(pid_file, pid)
        self._socket = socket
        self._reported = ""
        self._gone = False

    def look(self) -> Iterator[tuple[str, str]]:
        """Look once; give level and text of what is to be said."""
        # The file of another supervisord, or of a configuration that puts ours elsewhere.
        if read_pid(self._path) in {None, self._pid}:
            try:
                written, trouble = self._file.keep(), ""
            except OSError as exc:
                written, trouble = False, exc.strerror or type(exc).__name__
            if written:
                yield "INFO", f"{self._path} had vanished: it is written back."
            if trouble and trouble != self._reported:
                yield "WARNING", f"{self._path} has vanished and cannot be written: {trouble}."
            self._reported = trouble
        gone = not os.path.lexists(self._socket)
        if gone and not self._gone:
            text = (
                f"{self._socket} has vanished, and comes back only with a restart of everything. "
                "All goes on; supervisorctl, oig-cloud-mcp status and restart-workers find nobody. "
                f"oig-cloud-mcp stop ends everything, and so does kill {self._pid}."
            )
            yield "WARNING", text
        self._gone = gone
