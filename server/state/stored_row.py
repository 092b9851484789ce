"""What is read of a storage: rows of the types that their fields have, or `Unreadable`.

A server may hold what a newer version or another program has written, and a decision over a value
of the wrong type would fail anywhere. So the types are compared where bytes become a value.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from types import UnionType
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from .storage import Unreadable

T = TypeVar("T")

FAULTS: Final = (
    *(ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
    struct.error,
)
"""What reading hostile bytes may raise; what msgpack raises are `ValueError`s."""

UINT32: Final = 2**32 - 1
"""The largest number that a header has room for."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Have whatever goes wrong within raise `Unreadable`.

    Args:
        what: Is read, such as `the state of an account`.

    Raises:
        Unreadable: It is of a newer version, or of another program.
    """
    try:
        yield
    except FAULTS:
        raise Unreadable(
            f"{what} cannot be read: a newer version or another program wrote it"
        ) from None


def row(kind: Callable[..., T], fields: Iterable[Any]) -> T:
    """Return a row of a kind, a `NamedTuple` or dataclass.

    Raises:
        TypeError: There are too few or too many fields, or one is of another type.
        ValueError: A number is not finite.
    """
    made = kind(*fields)
    for name, expected in _types(kind).items():
        _check(getattr(made, name), expected)
    return made


def number(value: Any) -> float:
    """Return a finite number; raises as `row`."""
    _check(value, float)
    return float(value)


def text(value: Any) -> str:
    """Return a text; raises as `row`."""
    _check(value, str)
    return str(value)


@cache
def _types(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _check(value: Any, expected: Any) -> None:
    """Raise an exception unless a value is of an annotated type; whole numbers may stand for any.

    Types are compared themselves: a `bool` is no number.
    """
    found, parts = type(value), get_args(expected)
    if expected is float:
        if found not in {float, int} or not math.isfinite(value):
            raise ValueError(found)
    elif isinstance(expected, UnionType):
        if found not in parts:
            raise TypeError(found)
    elif found is not (get_origin(expected) or expected):
        raise TypeError(found)
    elif found is dict:
        for one in value.items():
            _check_all(one, parts)
    elif found is tuple:
        _check_all(value, parts)


def _check_all(values: tuple[Any, ...], expected: tuple[Any, ...]) -> None:
    for value, one in zip(values, expected, strict=True):
        _check(value, one)
