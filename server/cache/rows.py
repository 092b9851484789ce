"""The rows of the daemon's file: states, the epochs, and the time.

Names are HMACs and addresses of callers; the rows contain sealed bytes and numbers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import msgpack  # type: ignore[import-untyped]

from ..state import encoding
from ..state.limits import Policy
from ..state.spraying import SourceState
from ..state.storage import EPOCHS, TAG_BYTES, Epochs, Restored, of_account
from .state_file import StateFile

CLOCK: Final = b"mclock"
"""Name of the row with the storage's clock and the moment at which it was read."""

NO_EPOCHS: Final = Epochs(b"")

UNDECODABLE: Final = "a row cannot be decoded"

BEGINNING: Final = 1e7
"""First reading of the storage's clock: all times of an old snapshot come after 0."""

BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
"""Where Linux names the current boot; missing elsewhere."""


class Moment(NamedTuple):
    """A moment, on two clocks: Unix time, and seconds since boot, suspensions included.

    `boot` names that boot; empty where it is not known.
    """

    wall: float
    boot: str
    since_boot: float

    def until(self, later: Moment) -> float:
        """Return the seconds until a later moment, never less than 0.

        1. In the same boot: nobody can set the clock that counts since then.
        2. Otherwise there is only the wall clock. If it was set back, no time has passed.
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
    """Return the row that pairs a reading of the storage's clock with a moment."""
    return CLOCK, msgpack.packb([now, *moment])


def epochs_of(row: bytes | None) -> Epochs | None:
    """Return the epochs; None if there is no such row."""
    return None if row is None else Epochs(*msgpack.unpackb(row))


def rows_of(restored: Restored, moment: Moment) -> list[tuple[bytes, bytes | None]]:
    """Return the rows for the contents of an old snapshot, read at a moment."""
    rows: list[tuple[bytes, bytes | None]] = [clock_row(restored.clock, moment)]
    if restored.epochs is not None:
        rows.append((EPOCHS, msgpack.packb(restored.epochs)))
    rows += [(of_account(name), row) for name, row in restored.accounts]
    rows += [(b"s" + name, row) for name, row in restored.sources]
    return rows


def restored_of(file: StateFile, moment: Moment) -> Restored:
    """Return the contents of an open file, which is read as they are iterated over.

    The storage's clock goes on from the row's, by the time since then.
    """
    meta = dict(file.read(b"m"))
    clock = BEGINNING
    if CLOCK in meta:
        then, before = _clock_of(meta[CLOCK])
        clock = then + before.until(moment)
    accounts, sources = (
        ((name[1:], row) for name, row in rows) for rows in (file.read(b"a"), file.read(b"s"))
    )
    return Restored(epochs_of(meta.get(EPOCHS)), clock, accounts, sources)


def check(name: bytes, row: bytes) -> None:
    """Decode a row and use it as a start does, so that fields of another type show as well.

    Raises:
        ValueError: Nobody can use it.
    """
    try:
        if name == EPOCHS:
            _, *counts = Epochs(*msgpack.unpackb(row))
            sum(counts)
        elif name == CLOCK:
            then, before = _clock_of(row)
            math.isfinite(then + before.until(before))
        elif name[:1] == b"s":
            SourceState.load(row).entry(Policy(), BEGINNING)
        elif name[:1] == b"a":
            state = encoding.load(row)
            state.refresh(NO_EPOCHS, BEGINNING)
            encoding.kind_of(state, BEGINNING)
    except Exception:  # noqa: BLE001 - what bytes lead to that nobody wrote is not known
        raise ValueError(UNDECODABLE) from None


def without_flushed(
    rows: Iterable[tuple[int, bytes, bytes]], epochs: Epochs, now: float
) -> list[tuple[bytes, bytes | None]]:
    """Return the rows with anything flushed, without that; None in place of one with nothing left.

    Until these are written nobody uses the rest, as each row has the epochs it was written in.

    Raises:
        ValueError: One of them cannot be decoded.
    """
    try:
        left = [(name, row, _unflushed(name, row, epochs, now)) for _, name, row in rows]
    except Exception:  # noqa: BLE001 - as in `check`
        raise ValueError(UNDECODABLE) from None
    return [(name, fresh) for name, row, fresh in left if fresh != row]


def _clock_of(row: bytes) -> tuple[float, Moment]:
    now, *moment = msgpack.unpackb(row)
    return now, Moment(*moment)


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
