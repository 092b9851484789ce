"""The two messages that nearly all traffic consists of, without the detour through message objects.

An `acquire` in perfect order and a `hit` in perfect order; whatever is not goes through `wire`,
which knows what to say about it. `tests/test_wire.py` holds both ways against each other: they must
agree on every frame. Together they spare a look-up a third of its time.
"""

from __future__ import annotations

from typing import Final

from ..sources import is_well_formed
from . import wire
from .limits import ANSWER_MAX_BYTES, KEY_BYTES, SOURCE_MAX_CHARS
from .spelling import SPELLED_SIZES, TAG_SIZES
from .wire import MAX_ID, VERSION

_INFINITY: Final = float("inf")

_pack = wire.pack
_unpack_request = wire.unpack_small
_unpack_reply = wire.unpack_reply
_length = wire.LENGTH.pack


def acquire_frame(number: int, key: bytes, account: bytes, source: str, budget: bytes) -> bytes:
    """Make the frame of an `acquire`.

    Raises:
        LocalProtocolError: An argument breaks the protocol.
    """
    if (
        type(key) is bytes
        and type(account) is bytes
        and type(source) is str
        and type(budget) is bytes
        and len(key) == KEY_BYTES
        and len(account) in SPELLED_SIZES
        and len(budget) == KEY_BYTES
        and 0 < len(source) <= SOURCE_MAX_CHARS
        and source.isascii()
        and source.isprintable()
        and is_well_formed(source)
    ):
        body: bytes = _pack((VERSION, number, "acquire", key, account, source, budget))
        return _length(len(body)) + body
    return wire.encode(wire.Request(number, "acquire", (key, account, source, budget)))


def read_acquire(frame: memoryview | bytes) -> tuple[int, bytes, bytes, str, bytes] | None:
    """Return id, key, account, source and budget of an `acquire` in order; None for all else."""
    if len(frame) > wire.SMALL_FRAME_BYTES:
        return None
    try:
        version, number, verb, key, account, source, budget = _unpack_request(frame)
    except wire.MALFORMED:
        return None
    if (
        verb == "acquire"
        and type(version) is int
        and version == VERSION
        and type(number) is int
        and 0 < number <= MAX_ID
        and type(key) is bytes
        and len(key) == KEY_BYTES
        and type(account) is bytes
        and len(account) in SPELLED_SIZES
        and type(source) is str
        and 0 < len(source) <= SOURCE_MAX_CHARS
        and source.isprintable()
        and is_well_formed(source)
        and type(budget) is bytes
        and len(budget) == KEY_BYTES
    ):
        return number, key, account, source, budget
    return None


def hit_frame(number: int, value: bytes, expires_in: float, idle: float, *spelling: bytes) -> bytes:
    """Make the frame of a `hit` for a request that was in order, from what the engine held."""
    body: bytes = _pack((VERSION, number, "hit", value, expires_in, idle, *spelling))
    return _length(len(body)) + body


def read_hit(
    frame: memoryview | bytes,
) -> tuple[int, bytes, float, float, *tuple[bytes, ...]] | None:
    """Return id, value, seconds left, idle and perhaps spelling of a `hit` in order, or None."""
    try:
        version, number, status, value, expires_in, idle, *rest = _unpack_reply(frame)
    except wire.MALFORMED:
        return None
    if (
        status == "hit"
        and type(version) is int
        and version == VERSION
        and type(number) is int
        and 0 < number <= MAX_ID
        and type(value) is bytes
        and 0 < len(value) <= ANSWER_MAX_BYTES
        and (type(expires_in) is float or type(expires_in) is int)
        and 0 <= expires_in < _INFINITY
        and (type(idle) is float or type(idle) is int)
        and 0 <= idle < _INFINITY
    ):
        if not rest:
            return number, value, expires_in, idle
        spelling, *more = rest
        if type(spelling) is bytes and len(spelling) in TAG_SIZES and not more:
            return number, value, expires_in, idle, spelling
    return None
