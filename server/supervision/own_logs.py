"""The logs that supervisord keeps open, restored by its listener where they vanish."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path


class OwnLogs:
    """The folder of the logs: without it supervisord can start no process again.

    Args:
        folder: Where supervisord writes the logs of all programs, and its own.
        reopen: Has supervisord open all logs again.
    """

    def __init__(self, folder: Path, reopen: Callable[[], None]) -> None:
        self._folder = folder
        self._reopen = reopen
        self._names: frozenset[str] = frozenset()
        self._restored = False
        self._reported = ""

    def look(self) -> Iterator[tuple[str, str]]:
        """Look once; give level and text of what is to be said.

        1. All logs are there that were: nothing is done.
        2. One is missing, or the folder with all of them: supervisord writes on to files without
           names. They are made here, and supervisord opens them. It does not survive one that it
           cannot open, so that it is not asked to if they cannot be made.
        3. supervisord or another program has just put a log aside: opening all does no harm.
        """
        if self._restored:
            # Said one look later: until then supervisord may write to the file that is gone.
            self._restored = False
            text = f"Logs in {self._folder} had vanished with their lines: they are written again."
            yield "WARNING", text
        try:
            if self._names:  # else a configuration may put them elsewhere
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            present = frozenset(path.name for path in self._folder.glob("*.log"))
            for name in self._names - present:
                os.close(os.open(self._folder / name, os.O_WRONLY | os.O_CREAT, 0o600))
        except OSError as exc:
            trouble = exc.strerror or type(exc).__name__
        else:
            trouble = ""
            self._restored = bool(self._names - present)
            self._names |= present
        if self._restored:
            self._reopen()
        if trouble and trouble != self._reported:
            yield "WARNING", f"Logs in {self._folder} have vanished and cannot be made: {trouble}."
        self._reported = trouble
