"""Whether a worker serves requests: by its ready file, or by its running time without one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ..pid_file import read_pid
from .supervisor_rpc import Process

UNMARKED_SECONDS = 10
"""How long a worker must have run to count as ready where no file can say that it is. Three are
usual, and supervisord calls it running after five."""


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
    """Return why no worker can say that it is ready; None if it can.

    Args:
        ready_folder: As for `is_ready`.
    """
    try:
        ready_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=ready_folder) as probe:
            probe.write(b"1\n")
            probe.flush()
    except OSError as exc:
        return exc.strerror or type(exc).__name__
    return None
