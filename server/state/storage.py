"""The interface of storages of accounts: load, swap, notify, expire. They decide nothing.

A value is bytes under a name, and begins with a tag of random bytes that is new with each write. A
swap replaces a value that still has the tag it was loaded with. So a decision that is stored was
made on the current value; otherwise it is made again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Final, Literal, NamedTuple, Protocol

TAG_BYTES: Final = 8
"""Random bytes at the beginning of each value. A counter would not do: after a value expired, or a
server was restored from a backup, it would repeat numbers, and an old swap would succeed."""

OWNER_BYTES: Final = 8
"""Size of a process's name in leases."""

PATIENCE: Final = 0.25
"""Seconds that an outcome waits for the disk; then it is reported all the same."""

POLL_SECONDS: Final = 0.5
"""How often a value that other processes change is looked at: notifications may get lost."""

ACCOUNT: Final = b"a"
SOURCE: Final = b"s"
"""First bytes of names: of an account's state, and of a source's failures over accounts."""

TURNS: Final = b"turns"
"""Name of the value with the order of logins."""

EPOCHS: Final = b"mepochs"
"""Name of the row with the epochs on the disk."""

Room = Literal["fetched", "put", "brief"]
"""Answers that were waited for; those that were stored unasked; of these, those for a short time.

What lasts for minutes must not evict what lasts for a month, and nothing that was stored unasked
what was waited for."""


def of_account(account: bytes) -> bytes:
    """Return the name of an account's state."""
    return ACCOUNT + account


def of_source(source: str) -> bytes:
    """Return the name of a source's failures over accounts."""
    return SOURCE + source.encode()


class StorageAway(Exception):
    """The storage's server is gone, full or read-only, or a value is of a newer version."""


class Unreadable(StorageAway):
    """A value is of a newer version, or of another program; the storage itself is there."""


class Kind(StrEnum):
    """A value's worth when there is no room: see `eviction`.

    `BLANK` are failures that revealed nothing, with nothing else; `LOCKED` is a lock earned by
    judged failures; `OTHER` is all that is none of the others.
    """

    BLANK = "blank"
    OTHER = "other"
    SESSION = "session"
    LOCKED = "locked"


class Epochs(NamedTuple):
    """How often what was dropped on purpose.

    Attributes:
        origin: 16 random bytes, drawn by a storage that began empty.
        drops: Times that anything of any account was dropped. A process that was away learns from
            it whether its copies are good.
        sessions: Times that all sessions were flushed: a state of an earlier epoch has none.
        locks: Times that all failures were flushed, likewise.
    """

    origin: bytes
    drops: int = 0
    sessions: int = 0
    locks: int = 0


class Entry(NamedTuple):
    """What a storage has to know of a value that it stores.

    Attributes:
        kind: Its worth.
        lasts: Seconds until it may be dropped.
        lasting: The value without what concerns only the moment, for the disk: empty when nothing
            lasts, None when nothing of it has changed.
        wake: Whether others may wait for this change.
        handles: Those of an account.
    """

    kind: Kind
    lasts: float
    lasting: bytes | None = None
    wake: bool = False
    handles: tuple[bytes, ...] = ()


class Answer(NamedTuple):
    """A sealed answer of the portal.

    It was stored at `stored` and is dropped at `expires`, on the storage's clock. It belongs to a
    state of the account with the same `generation`.
    """

    value: bytes
    expires: float
    stored: float
    generation: bytes


class Storage(Protocol):
    """Where values are. Methods without `async` ask no server: they return what is here.

    Attributes:
        owner: Names this process in leases.
        is_shared: Whether other processes change values as well.
    """

    owner: bytes
    is_shared: bool

    @property
    def epochs(self) -> Epochs:
        """The latest that this process has heard of."""
        ...

    @property
    def crowded_until(self) -> float:
        """Until when strangers are refused, as there is no room for locks; 0.0 if there is."""
        ...

    def now(self) -> float:
        """Return seconds on a clock that goes on over restarts.

        That of a shared server may be set back: see `clock_step`.
        """
        ...

    def peek(self, name: bytes) -> bytes | None:
        """Return a value that is here and that no crash would lose; None means nothing."""
        ...

    def peek_answer(self, account: bytes, key: bytes) -> Answer | None:
        """Return an answer that is here."""
        ...

    def peek_handle(self, handle: bytes) -> bytes | None:
        """Return the account of a handle that this process has met."""
        ...

    def touch(self, name: bytes, now: float) -> None:
        """Note that an account's session is used now."""
        ...

    async def load(self, name: bytes) -> bytes | None:
        """Return a value; like all that follows, may raise `StorageAway`."""
        ...

    async def swap(self, name: bytes, old: bytes | None, new: bytes | None, entry: Entry) -> bool:
        """Replace a value if its tag is that of `old`; None stands for no value.

        Returns whether it was replaced. When this raises, it may have been all the same.
        """
        ...

    def watch(self, name: bytes) -> AbstractAsyncContextManager[Callable[[float], Awaitable[None]]]:
        """Watch a value.

        Yields a function that returns when another process has changed it, or after so many
        seconds, as notifications may get lost.
        """
        ...

    async def read(self, account: bytes, key: bytes) -> Answer | None:
        """Return the last stored answer to a question about an account."""
        ...

    async def write(self, account: bytes, key: bytes, answer: Answer, room: Room) -> None:
        """Store an answer in place of the one with the same key in the same room."""
        ...

    async def drop_answers(self, account: bytes) -> int:
        """Drop the answers of an account; return how many, 0 if that is not known."""
        ...

    async def account_of(self, handle: bytes) -> bytes | None:
        """Return the account that a handle belongs to."""
        ...

    async def dead(self, owners: Collection[bytes]) -> frozenset[bytes]:
        """Return which of some processes are certainly dead."""
        ...

    async def flush(
        self,
        *,
        sessions: bool = False,
        locks: bool = False,
        dropped: bool = False,
        whose: tuple[bytes | None, bytes | None] = (None, None),
    ) -> Epochs:
        """Raise the epochs by one, durably: `sessions` and `dropped` also raise `drops`.

        `whose` is the account of which something was dropped, None for all; and its budget key if
        it was erased. Other processes hear of them.
        """
        ...

    async def durable(self, *names: bytes, ends: bool = False) -> None:
        """Return when the swaps of these names survive a crash, or after `PATIENCE`.

        With `ends`, something that others may still have near copies of has ended: it returns when
        they have none any more.
        """
        ...

    def accounts(self, latest: int | None = None) -> AsyncIterator[tuple[bytes, bytes]]:
        """Yield accounts and their values; one that changes meanwhile, as it was or is.

        With `latest`, about so many accounts with a session, the latest used first.
        """
        ...

    def heads(self, kinds: bytes) -> AsyncIterator[list[tuple[bytes, bytes]]]:
        """Yield pages of names and the first bytes of their values, which have an account's header.

        Of what another program has put there in place of a value they are empty.

        Args:
            kinds: First bytes of the names, such as `ACCOUNT`.
        """
        ...

    def sources(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield sources and their values."""
        ...

    def sweep(self, most: int) -> list[tuple[bytes, bytes]]:
        """Return the next few names and values, as time may have changed something in them.

        Repeated calls return all of them; none where the storage expires values by itself.
        """
        ...

    def usage(self, account: bytes) -> tuple[float, int] | None:
        """Return when a session was last used and how often; None where that is not counted."""
        ...

    def stats(self) -> dict[str, object]:
        """Return statistics, under the names of `docs/protocol.md`."""
        ...

    async def ping(self) -> None:
        """Return when it answers."""
        ...

    async def aclose(self) -> None:
        """Write to the disk what is not there yet, and end."""
        ...


class Tracking(Protocol):
    """The processes that keep near copies of what they have read of a storage in memory."""

    def changed(self, account: bytes | None) -> None:
        """Name an account that has changed to those that have read it; None stands for all."""
        ...

    async def acknowledged(self) -> None:
        """Return when nobody has a near copy any more of what was named, within a bounded time."""
        ...


class Backing(Protocol):
    """The disk behind a storage in memory. It handles its own errors: nothing here raises.

    All puts up to number `committed` are on the disk. While `failing`, rows cannot be written; they
    are tried again.
    """

    committed: int
    failing: bool

    def put(self, name: bytes, row: bytes | None) -> int:
        """Queue a row in place of an earlier one of that name; return the number of the put.

        Names are those of values and `EPOCHS`; the row is the part of the value that lasts. None
        deletes it.
        """
        ...

    async def wait(self, number: int, seconds: float) -> bool:
        """Return whether all puts up to `number` are committed, once they are or time is over."""
        ...

    async def aclose(self) -> None:
        """Write the queue, within a bounded time."""
        ...


class Restored(NamedTuple):
    """What a backing returns at the start.

    Attributes:
        epochs: The last ones; None if there were none.
        clock: Where the storage's clock goes on.
        accounts: Rows by account, the longest unwritten first.
        sources: Rows by source (UTF-8), likewise.
    """

    epochs: Epochs | None
    clock: float
    accounts: Iterable[tuple[bytes, bytes]] = ()
    sources: Iterable[tuple[bytes, bytes]] = ()
