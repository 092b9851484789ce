"""The state of an account as bytes, and back.

The bytes begin with what a hit has to look at, at fixed places, so that one is found without
reading the rest:

    header | key | spelling | session | known sources | lasting | of the moment

What is only of the moment (leases, how they ended, not-before times) stands last, so that the bytes
before it are what goes to the disk.
"""

from __future__ import annotations

import math
from struct import Struct
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]

from .account import (
    NO_GENERATION,
    AccountState,
    Busy,
    Counter,
    Ended,
    Granted,
    Guess,
    Handle,
    Known,
    Pair,
    SourceCounter,
)
from .limits import KEY_BYTES, SPELLING_BYTES
from .storage import TAG_BYTES, Kind, StorageAway

FORMAT: Final = 1
"""Of these bytes. A newer one is not decided upon: its fields may mean anything."""

HEADER: Final = Struct("<8sdBB4sIIdddHHI")
"""Tag, seen, format, flags, generation, flushed, unlocked, careful_until, stored, expires, and the
lengths of session, known sources and what lasts."""

HAS_KEY, SPELLED, TAGGED = 1, 2, 4
"""Flags: there is a key; its spelling is known; and that has a tag."""

SEEN_EVERY: Final = 600.0
"""How often it is written to the disk that the portal still answers for a session."""


def load(data: bytes) -> AccountState:
    """Read what `dump` made.

    Raises:
        StorageAway: A newer version made it.
    """
    (_, seen, form, flags, generation, flushed, unlocked, _, stored, expires, *sizes) = (
        HEADER.unpack_from(data)
    )
    if form != FORMAT:
        raise StorageAway("a state was written by a newer version")
    state = AccountState(
        stored=stored,
        expires=expires,
        seen=seen,
        generation=generation,
        flushed=flushed,
        unlocked=unlocked,
    )
    at = HEADER.size
    if flags & HAS_KEY:
        state.key = data[at : at + KEY_BYTES]
        at += KEY_BYTES
    if flags & SPELLED:
        size = SPELLING_BYTES if flags & TAGGED else 0
        state.spelling = data[at : at + size]
        at += size
    state.value = data[at : at + sizes[0]]
    at += sizes[0]
    if sizes[1]:
        state.known = _rows(Known, msgpack.unpackb(data[at : at + sizes[1]]))
    at += sizes[1]
    if sizes[2]:
        _load_lasting(state, msgpack.unpackb(data[at : at + sizes[2]]))
    at += sizes[2]
    if at < len(data):
        _load_moment(state, msgpack.unpackb(data[at:]))
    return state


def dump(state: AccountState, name: bytes) -> tuple[bytes, bytes]:
    """Return the value, with `name` (8 bytes) for its tag, and the part of it that lasts."""
    flags = HAS_KEY if state.key else 0
    if state.spelling is not None:
        flags |= SPELLED | (TAGGED if state.spelling else 0)
    known = _packed(state.known)
    lasting = _lasting(state)
    sizes = len(state.value), len(known), len(lasting)
    lasts = b"".join(
        (
            HEADER.pack(
                name,
                state.seen,
                FORMAT,
                flags,
                state.generation,
                state.flushed,
                state.unlocked,
                state.careful_until(),
                state.stored,
                state.expires,
                *sizes,
            ),
            state.key,
            state.spelling or b"",
            state.value,
            known,
            lasting,
        )
    )
    return lasts + _moment(state), lasts


def changes(old: bytes | None, new: bytes, lasts: bytes) -> bytes | None:
    """Return what of a new value has to go to the disk; None if that is there already.

    Nothing, as bytes, if nothing of it lasts: no row of an account that was erased is left. When
    the portal last answered is written now and then only.

    Args:
        old: The value before, as it was dumped.
        new: The value now.
        lasts: The part of it that lasts.
    """
    if not any(HEADER.unpack_from(lasts)[-3:]):
        return b"" if old is not None and any(HEADER.unpack_from(old)[-3:]) else None
    if old is None:
        return lasts
    kept = lasting_of(old)
    seen, before = HEADER.unpack_from(new)[1], HEADER.unpack_from(old)[1]
    if kept[TAG_BYTES + 8 :] == lasts[TAG_BYTES + 8 :] and _step(seen) == _step(before):
        return None
    return lasts


def lasting_of(data: bytes) -> bytes:
    """Return what of a value goes to the disk."""
    header = HEADER.unpack_from(data)
    flags = header[3]
    size = HEADER.size + sum(header[-3:]) + (KEY_BYTES if flags & HAS_KEY else 0)
    return data[: size + (SPELLING_BYTES if flags & TAGGED else 0)]


def kind_of(state: AccountState, now: float) -> Kind:
    """Return what it is worth when there is no room: see `Kind`."""
    counters = (state.total, *state.sources.values())
    if any(one.firm and one.until > now for one in counters):
        return Kind.LOCKED
    if state.value:
        return Kind.SESSION
    telling = any(one.telling for one in counters) or any(one.guarded for one in state.guesses)
    if telling or state.known or state.handles or state.leases:
        return Kind.OTHER
    return Kind.BLANK


def lasts_until(state: AccountState, forget_after: float) -> float:
    """Return when nothing of it matters any more."""
    counted = [one.last + forget_after for one in (state.total, *state.sources.values())]
    return max(
        state.expires if state.value or state.generation != NO_GENERATION else 0.0,
        state.careful_until(),
        state.next_at,
        *(one for one in counted if one > forget_after),
        *(one.until for one in state.pairs),
        *(one.until for one in state.known),
        *(one.expires for one in state.handles),
        *(one.until for one in state.leases),
        *(one.until for one in state.ended),
        *(one.until for one in state.busy_logins),
        state.busy_answers.until if state.busy_answers else 0.0,
    )


# How it works.


def _lasting(state: AccountState) -> bytes:
    if not (state.counters() or state.pairs or state.guesses or state.handles or state.full_until):
        return b""
    return _packed(
        [
            _flat(state.total),
            state.fell,
            state.full_until,
            [[name, *_flat(one), one.spellings] for name, one in state.sources.items()],
            state.pairs,
            state.guesses,
            state.handles,
        ]
    )


def _load_lasting(state: AccountState, fields: list[Any]) -> None:
    total, state.fell, state.full_until, sources, pairs, guesses, handles = fields
    state.total = Counter(*total)
    state.sources = {one[0]: SourceCounter(*one[1:]) for one in sources}
    state.pairs = _rows(Pair, pairs)
    state.guesses = _rows(Guess, guesses)
    state.handles = _rows(Handle, handles)


def _moment(state: AccountState) -> bytes:
    if not (
        state.leases or state.ended or state.next_at or state.busy_logins or state.busy_answers
    ):
        return b""
    return _packed(
        [state.leases, state.ended, state.next_at, state.busy_logins, state.busy_answers]
    )


def _load_moment(state: AccountState, fields: list[Any]) -> None:
    leases, ended, state.next_at, logins, answers = fields
    state.leases = _rows(Granted, leases)
    state.ended = _rows(Ended, ended)
    state.busy_logins = _rows(Busy, logins)
    state.busy_answers = None if answers is None else Busy(*answers)


def _step(seen: float) -> int:
    return math.floor(seen / SEEN_EVERY)


def _flat(one: Counter) -> list[Any]:
    return [one.failures, one.telling, one.locks, one.until, one.last, one.firm]


def _rows(kind: Any, rows: list[Any]) -> Any:
    return [kind(*row) for row in rows]


def _packed(value: object) -> bytes:
    packed: bytes = msgpack.packb(value) if value else b""
    return packed
