"""What processes on a shared storage tell each other, as bytes and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import msgpack  # type: ignore[import-untyped]

from .stored_row import reading, row


class Raised(NamedTuple):
    """Epochs were raised.

    Attributes:
        drops: The number of drops from now on.
        is_dropped: Whether it counts a drop; `is_unlocked` whether all failures were flushed.
        account: The account of which something was dropped; None stands for all.
        budget: Its budget key if it was erased.
    """

    drops: int
    is_dropped: bool
    is_unlocked: bool
    account: bytes | None
    budget: bytes | None


class Unlocked(NamedTuple):
    """The failures of an account, by its budget key, or of a source were dropped."""

    budget: bytes | None
    source: str | None


class Reload(NamedTuple):
    """An operator wants the settings read again; each process reports it under a name."""

    name: bytes


Message = Raised | Unlocked | Reload

KINDS: Final[dict[str, type[Message]]] = {
    "raised": Raised,
    "unlocked": Unlocked,
    "settings": Reload,
}


def dump(message: Message) -> bytes:
    """Return a message as it is published."""
    what = next(what for what, kind in KINDS.items() if isinstance(message, kind))
    packed: bytes = msgpack.packb([what, *message])
    return packed


def load(data: bytes) -> Message:
    """Read what `dump` made; raises `Unreadable` for anything else, as of a newer version."""
    with reading("a message on the shared storage"):
        what, *fields = msgpack.unpackb(data)
        kind: Callable[..., Message] = KINDS[what]
        return row(kind, fields)
