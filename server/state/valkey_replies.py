"""The shapes of a server's replies, as redis-py returns them: of commands whose reply is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Command = tuple[Any, ...]


class UnexpectedReply(Exception):
    """A reply that no server gives: of another type, or with too many or too few values."""


def _is(kind: type) -> Callable[[Command, Any], bool]:
    return lambda _, reply: isinstance(reply, kind)


def _are_bytes(_: Command, reply: Any) -> bool:
    return isinstance(reply, list) and all(isinstance(one, bytes) for one in reply)


def _is_page(_: Command, reply: Any) -> bool:
    cursor, keys = reply
    return isinstance(cursor, int) and _are_bytes((), keys)


def _are_counts(command: Command, reply: Any) -> bool:
    """Return whether a reply has a number after each of the channels that were named."""
    numbers = reply[1::2]
    named = len(command) - len(("PUBSUB", "NUMSUB"))
    return len(numbers) == named and all(isinstance(one, int) for one in numbers)


SHAPES: Final[Mapping[str, Callable[[Command, Any], bool]]] = {
    "EVAL": _is(bytes),
    "GETRANGE": _is(bytes),
    "INFO": _is(dict),
    "PUBSUB": _are_counts,
    "SCAN": _is_page,
    "STRLEN": _is(int),
    "TIME": lambda _, reply: all(isinstance(one, int) for one in reply) and len(reply) == 2,
    "UNLINK": _is(int),
    "WAIT": _is(int),
    "ZCARD": _is(int),
    "ZRANGE": _are_bytes,
}


def checked(command: Command, reply: Any) -> Any:
    """Return a reply, which may be an error of the server.

    Raises:
        UnexpectedReply: No server gives it to such a command.
    """
    shape = SHAPES.get(command[0])
    try:
        if shape is None or isinstance(reply, Exception) or shape(command, reply):
            return reply
    except (TypeError, ValueError):
        pass
    raise UnexpectedReply(command[0])


def values(reply: Any, count: int) -> list[Any]:
    """Return the values of an MGET: bytes, None, or the server's error in place of each.

    Args:
        reply: What came.
        count: How many were asked for.

    Raises:
        UnexpectedReply: It has others, or another number of them.
    """
    if isinstance(reply, Exception):
        return [reply] * count
    if not isinstance(reply, list) or len(reply) != count:
        raise UnexpectedReply("MGET")
    if not all(one is None or isinstance(one, bytes) for one in reply):
        raise UnexpectedReply("MGET")
    return reply
