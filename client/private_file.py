"""Writing files that are their owner's alone.

Where files have modes, theirs is 0600. On Windows they have none that would mean it. There a file
is a person's own by its folder: Windows lets nobody into a profile but its owner, the system and
administrators.
"""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from .renaming import put_in_place


def replaced(path: Path, text: str) -> None:
    """Write a file whole or not at all, for its owner only.

    Raises:
        OSError: It is as it was.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.stem}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        put_in_place(Path(name), path)
    except OSError:
        with suppress(OSError):
            Path(name).unlink()
        raise


def appended(path: Path, text: str) -> None:
    """Write at the end of a file, for its owner only; one that is wider open is closed to others.

    Raises:
        OSError: It cannot be written, or is a link, which may lead anywhere.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    if sys.platform == "win32":
        # Opening follows links there. Only who may write to the person's profile could put one
        # here between this look and the opening.
        if path.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    else:
        flags |= os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "a", encoding="utf-8") as file:
        if sys.platform != "win32":
            os.fchmod(file.fileno(), 0o600)
        file.write(text)
