"""Workers, as supervisord sees them: whether one serves, and whether any remains when one stops."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from ..pid_file import read_pid
from .supervisor_rpc import Process, Supervisord, SupervisordStopping

UNMARKED_SECONDS = 10
"""How long a worker must have run to count as ready where no file can say that it is. Three are
usual, and supervisord calls it running after five."""

GONE = frozenset({"STOPPING", "STOPPED", "FATAL"})
"""States of processes that supervisord does not start again by itself. One that has just died is
`EXITED` or in `BACKOFF`, and comes back."""


def is_ready(worker: Process, ready_folder: Path) -> bool:
    """Whether a worker serves requests.

    1. Its process id is in its file: it does.
    2. No id or another one is there, and the folder can be written to: it does not yet.
    3. The same, and nothing can be written there, as on a full disk or a read-only one, where the
       file of an earlier process stays as well: one that supervisord calls running counts as ready
       after a while. A file that nobody needs for serving must not stop the server from starting.

    Args:
        worker: As supervisord sees it now.
        ready_folder: `ready` in the folder `OIG_RUN_DIR`.
    """
    if worker.pid <= 0:
        return False
    if read_pid(ready_folder / worker.name) == worker.pid:
        return True
    return (
        worker.state == "RUNNING"
        and worker.age >= UNMARKED_SECONDS
        and why_unwritable(ready_folder) is not None
    )


def why_unwritable(ready_folder: Path) -> str | None:
    """Return why no worker can say that it is ready; None if it can."""
    try:
        ready_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=ready_folder) as probe:
            probe.write(b"1\n")
            probe.flush()
    except OSError as exc:
        return exc.strerror or type(exc).__name__
    return None


class Workers:
    """The workers of a program, the asking one included.

    Args:
        supervisord: Runs them.
        group: Name of their program.
    """

    def __init__(self, supervisord: Supervisord, group: str) -> None:
        self._supervisord = supervisord
        self._group = group

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self | None:
        """Read what supervisord passes to its processes; None for a process without it."""
        url = environ.get("SUPERVISOR_SERVER_URL", "")
        group = environ.get("SUPERVISOR_GROUP_NAME", "")
        if not (url.startswith("unix://") and group):
            return None
        return cls(Supervisord(Path(url.removeprefix("unix://"))), group)

    def are_gone(self) -> bool:
        """Whether no worker serves, or will in a moment.

        The asking one is stopping. supervisord starts it again, and so calls it no `STOPPING`, when
        somebody else gave it the signal.

        Raises:
            SupervisordError: supervisord does not say.
        """
        try:
            workers = self._supervisord.processes(self._group)
        except SupervisordStopping:
            return True
        return all(worker.state in GONE for worker in workers)
