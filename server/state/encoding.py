"""The state of an account as bytes, and back.

The bytes begin with all that a hit has to look at, in fixed places:

    header | key | spelling | session | known sources | lasting | of the moment

What concerns only the moment (leases, how they ended, not-before times) comes last, so that the
bytes before it are what goes to the disk.
"""

from __future__ import annotations

import math
from itertools import chain
from struct import Struct
from typing import Any, Final, NamedTuple

import msgpack  # type: ignore[import-untyped]

from . import account
from .account import AccountState, Attempt, Busy, Counter, Ended, Granted, Handle, Known, Pair
from .storage import TAG_BYTES, Kind, Unreadable
from .stored_row import number, reading, row, text

FORMAT: Final = 1
"""Of these bytes. Nothing is decided on a newer one: its fields may mean anything."""

LAYOUT: Final = Struct("<8sdB4sIIddd?BBHHI")
"""Of the header."""

LAYOUT_FOR_HIT: Final = Struct("<8xdB4xI4xd8xd?xBHH4x")
"""The same without what a hit does not look at."""

LAYOUT_FOR_ANSWER: Final = Struct("<17x4sI")
"""The beginning of it, as far as an answer is looked up by it: generation and `flushed`."""

STATE: Final = "the state of an account"

SEEN_EVERY: Final = 600.0
"""How often the disk learns that the portal still answers for a session."""


class Header(NamedTuple):
    """The first bytes: fields of the state, and the sizes of the parts that follow.

    Until `careful_until` a hit has to look beyond this and the known sources.
    """

    tag: bytes
    seen: float
    form: int
    generation: bytes
    flushed: int
    unlocked: int
    careful_until: float
    stored: float
    expires: float
    is_spelled: bool
    key_size: int
    spelling_size: int
    value_size: int
    known_size: int
    lasting_size: int

    @property
    def lasts(self) -> bool:
        """Whether it has anything to store on the disk."""
        return bool(self.value_size or self.known_size or self.lasting_size)


def header_of(data: bytes) -> Header:
    """Read the header of a state; raises `Unreadable` as `load`."""
    with reading(STATE):
        return _header(data)


def may_have_session(data: bytes) -> bool:
    """Return whether a state has a session; one that cannot be read may have one."""
    try:
        return header_of(data).value_size > 0
    except Unreadable:
        return True


def load(data: bytes) -> AccountState:
    """Read what `dump` made; raises `Unreadable` for anything else, as of a newer version."""
    with reading(STATE):
        state, known, lasting, moment = _session(data)
        _load(state, known, lasting, moment)
        return state


def glance(data: bytes, handle: bytes | None) -> AccountState:
    """Read no more of a state than its session, and of its handles this one; raises as `load`.

    It takes a third of the time. Who looks at anything else of the state, or stores it, needs all.
    """
    with reading(STATE):
        state, _, lasting, _ = _session(data)
        if handle is not None and lasting:
            *_, handles = msgpack.unpackb(lasting)
            state.handles = _rows(Handle, [one for one in handles if one[0] == handle])
        return state


def _header(data: bytes) -> Header:
    header = Header._make(LAYOUT.unpack_from(data))
    times = header.seen, header.careful_until, header.stored, header.expires
    if header.form != FORMAT or not all(map(math.isfinite, times)):
        raise ValueError(header.form)
    return header


def _session(data: bytes) -> tuple[AccountState, bytes, bytes, bytes]:
    """Return a state with its session alone, and the parts in which all else of it is."""
    header = _header(data)
    spelling_at = LAYOUT.size + header.key_size
    value_at = spelling_at + header.spelling_size
    known_at = value_at + header.value_size
    lasting_at = known_at + header.known_size
    moment_at = lasting_at + header.lasting_size
    if moment_at > len(data):
        raise ValueError(len(data))
    state = AccountState(
        key=data[LAYOUT.size : spelling_at],
        spelling=data[spelling_at:value_at] if header.is_spelled else None,
        value=data[value_at:known_at],
        stored=header.stored,
        expires=header.expires,
        seen=header.seen,
        generation=header.generation,
        flushed=header.flushed,
        unlocked=header.unlocked,
    )
    return state, data[known_at:lasting_at], data[lasting_at:moment_at], data[moment_at:]


def _load(state: AccountState, known: bytes, lasting: bytes, moment: bytes) -> None:
    if known:
        state.known = _rows(Known, msgpack.unpackb(known))
    if lasting:
        total, fell, full_until, sources, pairs, guesses, handles = msgpack.unpackb(lasting)
        state.total, state.fell, state.full_until = (
            row(Counter, total),
            number(fell),
            number(full_until),
        )
        state.sources = {text(source): row(Counter, counter) for source, counter in sources}
        state.pairs, state.guesses = _rows(Pair, pairs), _rows(Attempt, guesses)
        state.handles = _rows(Handle, handles)
    if moment:
        next_at, leases, ended, busy = msgpack.unpackb(moment)
        state.next_at, state.leases, state.ended = (
            number(next_at),
            _rows(Granted, leases),
            _rows(Ended, ended),
        )
        state.busy = _rows(Busy, busy)


def dump(state: AccountState, name: bytes) -> tuple[bytes, bytes]:
    """Return the value, with `name` (8 bytes) for its tag, and the part of it that lasts."""
    spelling, known = state.spelling or b"", _packed(*state.known)
    lasting = _packed(
        _fields(state.total) if state.total.last else (),
        state.fell,
        state.full_until,
        [(source, _fields(one)) for source, one in state.sources.items()],
        state.pairs,
        state.guesses,
        state.handles,
    )
    header = LAYOUT.pack(
        *(name, state.seen, FORMAT, state.generation, state.flushed, state.unlocked),
        *(state.careful_until(), state.stored, state.expires, state.spelling is not None),
        *(len(state.key), len(spelling), len(state.value), len(known), len(lasting)),
    )
    lasts = header + state.key + spelling + state.value + known + lasting
    return lasts + _packed(state.next_at, state.leases, state.ended, state.busy), lasts


def changes(old: bytes | None, new: bytes, lasts: bytes) -> bytes | None:
    """Return what of a new value has to go to the disk; None if that is there already.

    Empty if nothing of it lasts: an account that was erased leaves no row. The time of the portal's
    last answer is written every `SEEN_EVERY` only. `lasts` is the part of `new` that lasts.
    """
    header, before = header_of(new), None if old is None else header_of(old)
    if not header.lasts:
        return b"" if before is not None and before.lasts else None
    if old is None or before is None:
        return lasts
    seen_at = TAG_BYTES + 8
    is_same = lasting_of(old)[seen_at:] == lasts[seen_at:]
    return None if is_same and _step(header.seen) == _step(before.seen) else lasts


def lasting_of(data: bytes) -> bytes:
    """Return the part of a value that goes to the disk."""
    return data[: LAYOUT.size + sum(header_of(data)[-5:])]


def kind_of(state: AccountState, now: float) -> Kind:
    """Return its worth when there is no room: see `Kind`."""
    if any(one.firm and one.until > now for one in state.all_counters()):
        return Kind.LOCKED
    if state.value:
        return Kind.SESSION
    telling = any(one.telling for one in state.all_counters())
    telling = telling or any(one.guarded for one in state.guesses)
    if telling or state.known or state.handles or state.leases:
        return Kind.OTHER
    return Kind.BLANK


def lasts_until(state: AccountState) -> float:
    """Return when the last of it expires."""
    ends: float = max(
        state.expires if state.value or state.generation != account.NO_GENERATION else 0.0,
        state.careful_until(),
        state.next_at,
        *(one.last + account.FORGET_AFTER for one in state.all_counters() if one.last),
        *(row.until for row in chain(*state.lists())),
        # A guess that nobody judges is a failure when it ends, whether anybody looks then or not.
        *(one.until + account.FORGET_AFTER for one in state.guesses),
    )
    return ends


# Parts.


def _fields(one: Counter) -> tuple[Any, ...]:
    return one.failures, one.telling, one.locks, one.until, one.last, one.firm, one.spellings


def _rows(kind: Any, rows: list[Any]) -> Any:
    return [row(kind, one) for one in rows]


def _packed(*values: object) -> bytes:
    """Pack values; return nothing if all of them are empty."""
    return msgpack.packb(values) if any(values) else b""


def _step(seen: float) -> int:
    return math.floor(seen / SEEN_EVERY)
