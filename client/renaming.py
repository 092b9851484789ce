"""Putting a finished file in the place of another."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

PATIENCE = 1.0
"""Seconds for another program to let go of a file: a virus scanner needs a fraction of it."""
PAUSE = 0.02


def put_in_place(new: Path, path: Path) -> None:
    """Rename a file, over another one if that is there.

    Raises:
        OSError: Both are as they were.
    """
    if sys.platform == "win32":
        # 1. Windows renames nothing over a file that another program has open, nor a file that one
        #    has open: a scanner, an indexer, a second oig-client. They are done in a moment.
        # 2. What is refused for good, such as a read-only file, is refused after the last try, too.
        deadline = monotonic() + PATIENCE
        while monotonic() < deadline:
            with suppress(PermissionError):
                new.replace(path)
                return
            sleep(PAUSE)
    new.replace(path)
