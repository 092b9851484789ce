"""What the rows of the daemon's file are: states, the epochs, and the time.

Names are HMACs, and addresses of callers; what the rows have is sealed, or numbers.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import msgpack  # type: ignore[import-untyped]

from ..state import encoding
from ..state.spraying import SourceState
from ..state.storage import EPOCHS, TAG_BYTES, Epochs, Restored, of_account
from .state_file import StateFile

CLOCK: Final = b"mclock"
"""Name of the row of the storage's clock, with the moment at which it was read."""

BEGINNING: Final = 1e7
"""Where the storage's clock begins: all that an old snapshot reports came after 0."""

BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
"""Where Linux names the time since it was started; elsewhere there is no such file."""


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


def epochs_of(row: bytes | None) -> Epochs | None:
    """Return the epochs; None if there is no such row."""
    return None if row is None else Epochs(*msgpack.unpackb(row))


def rows_of(restored: Restored, moment: Moment) -> list[tuple[bytes, bytes | None]]:
    """Return the rows of what an old snapshot had, read at a moment."""
    rows: list[tuple[bytes, bytes | None]] = [clock_row(restored.clock, moment)]
    if restored.epochs is not None:
        rows.append((EPOCHS, msgpack.packb(restored.epochs)))
    rows += [(of_account(name), row) for name, row in restored.accounts]
    rows += [(b"s" + name, row) for name, row in restored.sources]
    return rows


def restored_of(file: StateFile, moment: Moment) -> Restored:
    """Return what a file has, which is read while that is gone through.

    Args:
        file: Open.
        moment: This one: the storage's clock is ahead of the row's by the time since that.
    """
    meta = dict(file.read(b"m"))
    clock = BEGINNING
    if CLOCK in meta:
        then, *before = msgpack.unpackb(meta[CLOCK])
        clock = then + Moment(*before).until(moment)
    accounts, sources = (
        ((name[1:], row) for name, row in rows) for rows in (file.read(b"a"), file.read(b"s"))
    )
    return Restored(epochs_of(meta.get(EPOCHS)), clock, accounts, sources)


def without_flushed(
    rows: Iterable[tuple[int, bytes, bytes]], epochs: Epochs, now: float
) -> list[tuple[bytes, bytes | None]]:
    """Return those rows that have something flushed, without that; None if nothing is left of one.

    Until they are written nobody reads it, as each row says of which epochs it is.

    Args:
        rows: Their ids, names and bytes.
        epochs: The epochs.
        now: The storage's clock.
    """
    left = [(name, row, _unflushed(name, row, epochs, now)) for _, name, row in rows]
    return [(name, fresh) for name, row, fresh in left if fresh != row]


def _unflushed(name: bytes, row: bytes, epochs: Epochs, now: float) -> bytes | None:
    if name[:1] == b"s":
        source = SourceState.load(row)
        if source.unlocked >= epochs.locks:
            return row
        source.refresh(epochs, now)
        return source.dump(row[:TAG_BYTES]) if source.tried or source.until else None
    if name[:1] != b"a":
        return row
    header = encoding.header_of(row)
    if header.flushed >= epochs.sessions and header.unlocked >= epochs.locks:
        return row
    state = encoding.load(row)
    state.refresh(epochs, now)
    return None if state.is_empty() else encoding.dump(state, row[:TAG_BYTES])[1]
