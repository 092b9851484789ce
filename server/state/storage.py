"""What a storage of accounts can do: load, swap, notify, expire. It decides nothing.

A value is bytes under a name, and begins with a tag of random bytes that is new with each write. A
swap replaces a value if it still has the tag that was loaded. So a decision that is stored was made
on the value that there was; else it is made again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Final, Literal, NamedTuple, Protocol

TAG_BYTES: Final = 8
"""Random bytes at the beginning of each value. Not a number that counts: a value that expired, or a
server that came back older, would repeat numbers, and a swap of an earlier life would succeed."""

OWNER_BYTES: Final = 8
"""Size of the name of a process in leases."""

PATIENCE: Final = 0.25
"""Seconds that an outcome waits for the disk: after that it is reported all the same."""

POLL_SECONDS: Final = 0.5
"""How often a value is looked at that other processes change: notifications may get lost."""

ACCOUNT: Final = b"a"
SOURCE: Final = b"s"
"""With what the names of values begin: the state of an account, and what a source has failed at
over accounts."""

TURNS: Final = b"turns"
"""Name of the value that orders logins."""

EPOCHS: Final = b"mepochs"
"""Name of the row that the epochs have on the disk."""

Room = Literal["fetched", "put"]
"""Answers that somebody waited for, and those that nobody did."""


def of_account(account: bytes) -> bytes:
    """Return the name of an account's state."""
    return ACCOUNT + account


def of_source(source: str) -> bytes:
    """Return the name of what a source has failed at over accounts."""
    return SOURCE + source.encode()


class StorageAway(Exception):
    """The server of a storage is gone, full or read-only, or a value is of a newer version."""


class Kind(StrEnum):
    """What a value is worth when there is no room: see `eviction`.

    1. `BLANK`: failures that told nobody anything, and nothing else.
    2. `OTHER`: none of the others.
    3. `SESSION`: a session.
    4. `LOCKED`: a lock that judged failures have earned.
    """

    BLANK = "blank"
    OTHER = "other"
    SESSION = "session"
    LOCKED = "locked"


class Epochs(NamedTuple):
    """How often what was dropped on purpose.

    Attributes:
        origin: 16 random bytes, drawn by a storage that began with nothing.
        drops: Times that anything of any account was dropped. A process that was away learns from
            it whether its copies are good.
        sessions: Times that all sessions were flushed: a state of an earlier one has none.
        locks: Times that all failures were flushed, likewise.
    """

    origin: bytes
    drops: int = 0
    sessions: int = 0
    locks: int = 0


class Entry(NamedTuple):
    """What a storage has to know of a value that it stores.

    Attributes:
        kind: What it is worth.
        lasts: Seconds until it may be dropped.
        lasting: The value less what is only of the moment, for the disk: empty when there is no
            such thing, None when nothing of it has changed.
        wake: Whether others may wait for this change.
        handles: Of an account: its handles.
    """

    kind: Kind
    lasts: float
    lasting: bytes | None = None
    wake: bool = False
    handles: tuple[bytes, ...] = ()


class Answer(NamedTuple):
    """A sealed answer of the portal.

    Attributes:
        value: As it was given.
        expires: When it is dropped, on the storage's clock.
        stored: When it came.
        generation: That of the account's state then: the answer is of no other.
    """

    value: bytes
    expires: float
    stored: float
    generation: bytes


class Storage(Protocol):
    """Where values are. What has no `async` asks nobody: it says what is here.

    Attributes:
        owner: Names this process in leases.
        is_shared: Whether other processes change values as well.
        epochs: The newest that this process has heard of.
    """

    owner: bytes
    is_shared: bool
    epochs: Epochs

    @property
    def crowded_until(self) -> float:
        """Until when there is no room for locks, so that strangers are refused; 0.0 if there is."""
        ...

    def now(self) -> float:
        """Return the time in seconds, on a clock that never goes back, over restarts either."""
        ...

    def peek(self, name: bytes) -> bytes | None:
        """Return a value that is here and that no crash would lose; None says nothing."""
        ...

    def peek_answer(self, account: bytes, key: bytes) -> Answer | None:
        """Return an answer that is here."""
        ...

    def peek_handle(self, handle: bytes) -> bytes | None:
        """Return the account of a handle that this process has met."""
        ...

    def touch(self, name: bytes, now: float) -> None:
        """Note that the session of an account is used now."""
        ...

    async def load(self, name: bytes) -> bytes | None:
        """Return a value.

        Raises:
            StorageAway: As all that follows.
        """
        ...

    async def swap(self, name: bytes, old: bytes | None, new: bytes | None, entry: Entry) -> bool:
        """Replace a value if its tag is that of `old`; None stands for no value.

        Returns:
            Whether it was replaced. If the storage is away, it may have been all the same.
        """
        ...

    def watch(self, name: bytes) -> AbstractAsyncContextManager[Callable[[float], Awaitable[None]]]:
        """Watch a value.

        Yields what waits until another process has changed it, but not for longer than so many
        seconds: notifications may get lost.
        """
        ...

    async def read(self, account: bytes, key: bytes) -> Answer | None:
        """Return the answer to a question of an account that was stored last."""
        ...

    async def write(self, account: bytes, key: bytes, answer: Answer, room: Room) -> None:
        """Store an answer in place of the one under the same key in the same room."""
        ...

    async def drop_answers(self, account: bytes) -> int:
        """Drop the answers of an account; return how many there were, 0 if that is not known."""
        ...

    async def account_of(self, handle: bytes) -> bytes | None:
        """Return the account that a handle belongs to."""
        ...

    async def dead(self, owners: Collection[bytes]) -> frozenset[bytes]:
        """Return those of some processes that are certainly dead."""
        ...

    async def flush(
        self, *, sessions: bool = False, locks: bool = False, dropped: bool = False
    ) -> Epochs:
        """Raise numbers of the epochs by one, for good: `sessions` and `dropped` raise `drops`."""
        ...

    async def durable(self, *names: bytes) -> None:
        """Return when what was swapped of these names outlives a crash, or after `PATIENCE`."""
        ...

    def accounts(self, latest: int | None = None) -> AsyncIterator[tuple[bytes, bytes]]:
        """Yield accounts and their values; those that change meanwhile, as they were or are.

        Args:
            latest: If given, those with a session alone, about so many, the latest used first.
        """
        ...

    def sources(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield sources and their values."""
        ...

    def sweep(self, most: int) -> list[tuple[bytes, bytes]]:
        """Return the next few names and values, in which time may have changed something.

        All come round in the end, but where values expire by themselves none do.
        """
        ...

    def usage(self, account: bytes) -> tuple[float, int] | None:
        """Return when a session was last used and how often; None where nobody counts that."""
        ...

    def stats(self) -> dict[str, object]:
        """Return what is counted here, under the names of `docs/protocol.md`."""
        ...

    async def ping(self) -> None:
        """Return when it answers."""
        ...

    async def aclose(self) -> None:
        """Put on the disk what is not there yet, and end."""
        ...


class Backing(Protocol):
    """The disk behind a storage in memory. Its troubles are its own: nothing here raises.

    Attributes:
        committed: All puts up to this number are on the disk.
        failing: Whether rows cannot be written now; they are tried again.
    """

    committed: int
    failing: bool

    def put(self, name: bytes, row: bytes | None) -> int:
        """Queue a row in place of what is queued of it; None deletes it. Returns its number.

        Args:
            name: As `of_account` and `of_source` return it, or `EPOCHS`.
            row: The part of the value that lasts.
        """
        ...

    async def wait(self, number: int, seconds: float) -> bool:
        """Return whether all up to `number` is committed, once it is or the time is over."""
        ...

    async def aclose(self) -> None:
        """Write what is queued, within a bounded time."""
        ...


class Restored(NamedTuple):
    """What a backing gives back at the start.

    Attributes:
        epochs: Of the last life; None if there was none.
        clock: Time at which the storage's clock goes on.
        accounts: Rows by account, the longest unwritten first.
        sources: Rows by source (UTF-8), likewise.
    """

    epochs: Epochs | None
    clock: float
    accounts: Iterable[tuple[bytes, bytes]] = ()
    sources: Iterable[tuple[bytes, bytes]] = ()
