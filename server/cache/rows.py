"""What the rows of the daemon's file are: states, the epochs, and the time; what it begins with.

Names are HMACs, and addresses of callers; what the rows have is sealed, or numbers.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Final, NamedTuple

import msgpack  # type: ignore[import-untyped]

from ..errors import OigError
from ..state import encoding
from ..state.spraying import SourceState
from ..state.storage import EPOCHS, TAG_BYTES, Epochs, Restored
from . import old_snapshot
from .state_file import StateFile, StateFileBroken, remove

CLOCK: Final = b"mclock"
"""Name of the row that has the storage's clock, with the moment at which it was read."""

BEGINNING: Final = 1e7
"""Where the storage's clock begins: all that an old snapshot tells of came after 0."""

BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
"""Where Linux names the time since it was started; elsewhere there is no such file."""


START_SECONDS: Final = 5.0
"""How long the start waits for whoever has the file open: a daemon that is just ending."""

logger = logging.getLogger(__name__)


class Moment(NamedTuple):
    """A moment, on two clocks.

    Attributes:
        wall: Unix time.
        boot: Names the time since the machine was started; empty where that is not known.
        since_boot: Seconds of it, suspensions included.
    """

    wall: float
    boot: str
    since_boot: float

    def until(self, later: Moment) -> float:
        """Return the seconds until a later moment, never less than 0.

        1. In one life of the machine: nobody can set the clock that counts since its start.
        2. Else the wall clock is all there is. One that was set back says that no time passed.
        """
        if self.boot and self.boot == later.boot:
            return max(0.0, later.since_boot - self.since_boot)
        return max(0.0, later.wall - self.wall)


def this_moment() -> Moment:
    """Return this moment."""
    try:
        boot = BOOT.read_text().strip()
        return Moment(time.time(), boot, time.clock_gettime(time.CLOCK_BOOTTIME))
    except (OSError, AttributeError):
        return Moment(time.time(), "", 0.0)


def clock_row(now: float, moment: Moment) -> tuple[bytes, bytes]:
    """Return the row that says at which moment the storage's clock said what."""
    return CLOCK, msgpack.packb([now, *moment])


def restore(file: StateFile, snapshot: Path, moment: Moment) -> tuple[Restored, Exception | None]:
    """Open the file, and return what there is to begin with, and why the file cannot be used.

    1. There is an old snapshot: a version that writes them ran last, for this one removes it.
       The file is begun anew with what it says.
    2. The file is whole: it is used. 3. It is broken: it is set aside, and another begun.
    4. A newer version wrote it, or it cannot be used: it stays as it is.
    """
    imported = old_snapshot.read(snapshot, moment.wall, BEGINNING)
    try:
        if imported is not None:
            remove(file.path)
        try:
            file.open(START_SECONDS)
            file.check()
        except StateFileBroken as exc:
            begin_another(file, exc)
        if imported is not None:
            file.write(_rows_of(imported, moment))
        old_snapshot.remove(snapshot)
        return _restored_of(file, moment), None
    except (OigError, OSError) as exc:
        return imported or Restored(None, BEGINNING), exc


def begin_another(file: StateFile, exc: StateFileBroken) -> None:
    """Set a broken file aside, and open a new one."""
    logger.error("%s It was set aside as %s.", exc, file.set_aside())
    file.open()


def epochs_of(row: bytes | None) -> Epochs | None:
    """Return the epochs; None if there is no such row."""
    return None if row is None else Epochs(*msgpack.unpackb(row))


def take_flushed_out(
    file: StateFile, after: int, most: int, epochs: Epochs, now: float
) -> int | None:
    """Take what was flushed out of the next rows that have it.

    Nobody reads it meanwhile, as each row says of which epochs it is.

    Args:
        file: Where the rows are.
        after: Id of the row behind which to begin.
        most: How many rows to look at.
        epochs: The epochs.
        now: The storage's clock.

    Returns:
        Id of the last of them; None if there was none.
    """
    page = file.page(after, most)
    left = [(name, row, _unflushed(name, row, epochs, now)) for _, name, row in page]
    changed = [(name, fresh) for name, row, fresh in left if fresh != row]
    if changed:
        file.write(changed)
    return page[-1][0] if page else None


def _unflushed(name: bytes, row: bytes, epochs: Epochs, now: float) -> bytes | None:
    """Return what flushes have left of a row; None if nothing."""
    if name[:1] == b"s":
        source = SourceState.load(row)
        if source.unlocked >= epochs.locks:
            return row
        source.refresh(epochs, now)
        return source.dump(row[:TAG_BYTES]) if source.tried or source.until else None
    if name[:1] != b"a":
        return row
    flushed, unlocked = encoding.HEADER.unpack_from(row)[5:7]
    if flushed >= epochs.sessions and unlocked >= epochs.locks:
        return row
    state = encoding.load(row)
    state.refresh(epochs, now)
    return None if state.is_empty() else encoding.dump(state, row[:TAG_BYTES])[1]


def _rows_of(restored: Restored, moment: Moment) -> list[tuple[bytes, bytes | None]]:
    """Return the rows of what another file had."""
    rows: list[tuple[bytes, bytes | None]] = [clock_row(restored.clock, moment)]
    if restored.epochs is not None:
        rows.append((EPOCHS, msgpack.packb(restored.epochs)))
    rows += [(b"a" + name, row) for name, row in restored.accounts]
    rows += [(b"s" + name, row) for name, row in restored.sources]
    return rows


def _restored_of(file: StateFile, moment: Moment) -> Restored:
    """Return what a file has; it is read while that is gone through."""
    meta = dict(file.read(b"m"))
    clock = BEGINNING
    if CLOCK in meta:
        then, *before = msgpack.unpackb(meta[CLOCK])
        clock = then + Moment(*before).until(moment)
    accounts, sources = (
        ((name[1:], row) for name, row in rows) for rows in (file.read(b"a"), file.read(b"s"))
    )
    return Restored(epochs_of(meta.get(EPOCHS)), clock, accounts, sources)
