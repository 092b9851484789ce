"""The epochs on a shared server, and the message that all processes get when they are raised.

A replica that takes over may lack the latest of them. A flush that was reported as done must last,
so a process that knows higher numbers raises them there again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

import msgpack  # type: ignore[import-untyped]

from . import valkey_messages
from .storage import TAG_BYTES, Epochs, StorageAway, Unreadable
from .stored_row import UINT32, reading, row
from .valkey_connection import Connection
from .valkey_messages import Raised
from .valkey_notices import Notices
from .valkey_swap import STAYS, Swap

ORIGIN_BYTES: Final = 16

MOST_DROPS: Final = 2**63

LOST: Final = "it has lost everything"
BEHIND: Final = "it has lost its latest changes"


class SharedEpochs:
    """The epochs as this process knows them.

    Args:
        connection: Asks the server; treated as away when it has lost something.
        notices: Names the channel and makes the message.
        key: The key of the epochs.
        random: Returns so many random bytes.

    Attributes:
        known: The latest epochs that this process has seen there.
        counted: Called with the number of each drop that this process counts there.
    """

    def __init__(
        self, connection: Connection, notices: Notices, key: bytes, random: Callable[[int], bytes]
    ) -> None:
        self.known = Epochs(b"")
        self.key = key
        self.counted: Callable[[int], None] = lambda _: None
        self._connection = connection
        self._notices = notices
        self._random = random

    def first(self) -> bytes:
        """Return the value for a server that has none."""
        return self._dump(Epochs(self._random(ORIGIN_BYTES)))

    def learn(self, data: bytes | None) -> Epochs:
        """Read the value that a load returned; raises `StorageAway` if the server has lost any."""
        if data is None:
            self._lose(LOST)
        try:
            found = _load(data)
        except Unreadable as exc:
            self._lose(str(exc))
        if self.known.origin not in {b"", found.origin}:
            self._lose(LOST)
        if _latest(found, self.known) != found:
            self._lose(BEHIND)
        self.known = found
        return found

    async def restore(self, execute: Callable[..., Awaitable[bytes]], data: bytes | None) -> None:
        """Read the value of a server that is new to this process; raise what it has lost.

        Args:
            execute: Sends a command to a server that counts as away so far.
            data: The value.

        Raises:
            StorageAway: It cannot be read, or another process has changed it meanwhile.
        """
        found = _load(data or b"")
        latest = _latest(found, self.known)
        if latest != found:
            swap = self._swap(data, latest, b"")
            if not swap.is_done(await execute(*swap.command())):
                raise StorageAway(BEHIND)  # looked at again by the next probe
        self.known = latest

    async def flush(
        self, sessions: bool, locks: bool, dropped: bool, whose: tuple[bytes | None, bytes | None]
    ) -> Epochs:
        """As `Storage.flush`, in one step with the message."""
        while True:
            old = await self._connection.get(self.key)
            origin, drops, flushed, unlocked = self.learn(old)
            is_dropped = sessions or dropped
            new = Epochs(origin, drops + is_dropped, flushed + sessions, unlocked + locks)
            raised = Raised(new.drops, is_dropped, locks, *whose)
            message = self._notices.message(valkey_messages.dump(raised))
            swap = self._swap(old, new, message)
            if swap.is_done(await self._connection.ask(*swap.command())):
                self.known = new
                if is_dropped:
                    self.counted(new.drops)
                return new

    def _swap(self, old: bytes | None, new: Epochs, message: bytes) -> Swap:
        return Swap(self.key, old, self._dump(new), STAYS, message, self._notices.drops)

    def _lose(self, why: str) -> NoReturn:
        self._connection.lose(why)
        raise StorageAway(why)

    def _dump(self, epochs: Epochs) -> bytes:
        packed: bytes = msgpack.packb(epochs)
        return self._random(TAG_BYTES) + packed


def _load(data: bytes) -> Epochs:
    """Read a value; a further flush must leave numbers that every value has room for."""
    with reading("what was flushed"):
        epochs = row(Epochs, msgpack.unpackb(data[TAG_BYTES:]))
        if len(epochs.origin) != ORIGIN_BYTES or min(epochs[1:]) < 0:
            raise ValueError(epochs)
        if epochs.drops >= MOST_DROPS or max(epochs.sessions, epochs.locks) >= UINT32:
            raise ValueError(epochs)
        return epochs


def _latest(found: Epochs, known: Epochs) -> Epochs:
    """Return the epochs that hold, of those found on a server and those known before.

    One that began empty has another origin: nothing is left on it of what was flushed.
    """
    if found.origin != known.origin:
        return found
    return Epochs(found.origin, *map(max, found[1:], known[1:]))
