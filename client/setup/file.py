"""Changing a client's file in one step, with a copy of the one before beside it."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..failures import NotWritten
from ..renaming import put_in_place
from .entries import Entry
from .merge import changes, merged

WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
COPIES = 1000
"""Copies of one file at most; more than these come from a program gone wild."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the file.

    Attributes:
        changed: False when the entry was there already.
        backup: The copy of the file before; None when there was none.
        changes: What became of an entry that was there, by names alone.
    """

    changed: bool
    backup: Path | None
    changes: tuple[str, ...] = ()


def write(path: Path, entry: Entry, *, secret: bool) -> Written:
    """Add an entry to a file.

    Args:
        path: The file; it and its folder may be missing.
        entry: The entry.
        secret: The entry has a login: only the owner may read the file then. If it has none,
            a login that is in the file stays.

    Raises:
        NotWritten: It was left as it was.
    """
    try:
        # A link stays a link: the file that it leads to is changed.
        path = path.resolve()
        before = _read(path)
        text = (before or b"").decode()
        new = merged(text, entry, login=secret)
        after = new.encode()
        if after == before:
            return Written(changed=False, backup=None)
        if before is not None:
            _need_writable(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = 0o600 if secret else path.stat().st_mode & 0o777 if before is not None else 0o644
        backup = None if before is None else _copied(path, before, mode)
        _replaced(path, after, mode)
    except UnicodeDecodeError:
        raise NotWritten("It is not UTF-8 text. Add the entry by hand.", kind="not_text") from None
    except RuntimeError:  # of `resolve`, before Python 3.13
        raise NotWritten("It is a link that leads in a circle.", kind="os_error") from None
    except OSError as exc:
        raise NotWritten(f"{exc.strerror or 'It cannot be written'}.", kind="os_error") from None
    return Written(changed=True, backup=backup, changes=changes(text, new, entry))


def _read(path: Path) -> bytes | None:
    try:
        # Looked at before it is opened: opening a pipe would wait for its writer.
        if not stat.S_ISREG(path.stat().st_mode):
            raise NotWritten("It is no ordinary file.", kind="not_a_file")
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _need_writable(path: Path) -> None:
    # Renaming a new file over it would work all the same, but it is read-only on purpose.
    if not (path.stat().st_mode & WRITABLE and os.access(path, os.W_OK)):
        raise NotWritten("It is read-only. Make it writable, then try again.", kind="read_only")


def _copied(path: Path, content: bytes, mode: int) -> Path:
    for number in range(1, COPIES):
        copy = path.with_name(f"{path.name}.{number}.bak")
        with suppress(FileExistsError):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(copy, flags, mode), "wb") as file:
                file.write(content)
            return copy
    raise NotWritten("There are too many copies of it already.", kind="too_many_copies")


def _replaced(path: Path, content: bytes, mode: int) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        put_in_place(Path(name), path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
