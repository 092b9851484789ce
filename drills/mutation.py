"""Hostile inputs made of good ones: bytes that are cut, flipped and spliced, and wrong values.

Seeded, so that whatever is found is found again: a drill names the number of the input. Not guided
by coverage: Atheris has no ready-made package for every Python, and what is read here has few
branches, each of which the good inputs go through.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import msgpack  # type: ignore[import-untyped]

BYTES = (
    *(b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\xc0", b"\xc1", b"\xc2"),
    *(b"\xcb\x7f\xf8\0\0\0\0\0\0", b"\xcb\x7f\xf0\0\0\0\0\0\0", b"\xcf" + b"\xff" * 8),
    *(b"\xd3\x80" + bytes(7), b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xde\xff\xff"),
    *(b"\xdc\xff\xff", b"\x91" * 64, b"\x81\xc0" * 32, b"\xc9\0\0\0\1\xff\0", b"\xd4\xff\0"),
    *(b"\xd9\x04\xf0\x28\x8c\xbc", b"\xa1\xff", b"\xc6\xff\xff\xff\xff", b"\x80", b"\x90"),
)
"""Bytes that mean much in msgpack: sizes out of all proportion, nesting, extensions, no UTF-8."""

WRONG: tuple[Any, ...] = (
    *(None, True, False, "", " ", "x", "\ud800", "NaN", "12e400", "0x10", "2026-13-45 99:99"),
    *(float("nan"), float("inf"), float("-inf"), 10**400, -(10**30), 1e308, [], {}, [None]),
    *([[]], {"": None}, {"x": {"x": []}}, ["x", None], "\0", "9" * 400),
)
"""Values that no field of the portal's has; what can be read of them at all is no number."""


SCALARS: tuple[tuple[Any, ...], ...] = (
    (None, True, False),
    (0, 1, -1, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1, -(2**63)),
    (0.0, -1.0, 1e308, float("nan"), float("inf"), -0.5),
    tuple(b"b" * size for size in (0, 1, 4, 8, 16, 32, 48, 200)),
    ("", "x", "login", "ask", "\0", "y" * 200, "\u202e", "192.0.2.1", "grant/x"),
    (msgpack.ExtType(5, b"x"), msgpack.Timestamp(1)),
)
"""Values of the kinds that msgpack has, except those that hold others."""


def damaged(
    data: bytes, chance: Random, others: Sequence[bytes], pieces: Sequence[bytes] = BYTES
) -> bytes:
    """Return bytes with one to four damages, each of some kind.

    Args:
        data: Good bytes.
        chance: Decides where and how.
        others: More good bytes, to splice in.
        pieces: Bytes that mean much in this format.
    """
    for _ in range(1 + chance.getrandbits(2)):
        size = len(data)
        at = chance.randrange(size + 1)
        match chance.randrange(8):
            case 0:
                data = data[:at]
            case 1 | 2 if size:
                at = chance.randrange(size)
                flipped = data[at] ^ (1 << chance.randrange(8))
                data = data[:at] + bytes((flipped,)) + data[at + 1 :]
            case 3:
                data = data[:at] + chance.choice(pieces) + data[at:]
            case 4:
                put = chance.choice(pieces)
                data = data[:at] + put + data[at + len(put) :]
            case 5:
                data = data[:at] + data[at + chance.randrange(1, 9) :]
            case 6:
                other = chance.choice(others)
                data = data[:at] + other[chance.randrange(len(other) + 1) :]
            case _:
                data = data[:at] + chance.randbytes(chance.randrange(1, 9)) + data[at:]
    return data


def packable(chance: Random, depth: int = 0) -> Any:
    """Return any value that msgpack has."""
    kind = chance.randrange(len(SCALARS) + (4 if depth < 3 else 0))
    if kind < len(SCALARS):
        return chance.choice(SCALARS[kind])
    if kind == len(SCALARS):
        return {chance.choice(("", "x", b"x")): packable(chance, depth + 1)}
    return [packable(chance, depth + 1) for _ in range(chance.randrange(5))]


def other_fields(fields: Sequence[Any], chance: Random) -> bytes:
    """Return an array, packed, in which one field is replaced, missing, doubled or moved."""
    fields = list(fields)
    at = chance.randrange(len(fields))
    match chance.randrange(6):
        case 0:
            del fields[at]
        case 1:
            fields.insert(at, fields[at])
        case 2:
            chance.shuffle(fields)
        case _:
            fields[at] = packable(chance)
    packed: bytes = msgpack.packb(fields)
    return packed


Path = tuple[str | int, ...]


def paths(value: Any, to: Path = ()) -> Iterator[Path]:
    """Yield the way to each part of a value as JSON has it; the value itself first."""
    yield to
    if isinstance(value, dict):
        for name, part in value.items():
            yield from paths(part, (*to, name))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from paths(part, (*to, place))


def replaced(value: Any, at: Path, by: Any) -> Any:
    """Return a copy of a value in which one part is another; `...` for none."""
    if not at:
        return copy.deepcopy(by)
    value = copy.deepcopy(value)
    holder = value
    for step in at[:-1]:
        holder = holder[step]
    if by is ...:
        del holder[at[-1]]
    else:
        holder[at[-1]] = copy.deepcopy(by)
    return value
