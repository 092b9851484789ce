"""A storage on a Valkey or Redis server that the processes of all hosts share.

It decides nothing: it replaces a value whose tag is still the loaded one. Its keys:

    oig:a<account>, oig:s<source>, oig:turns    values, each for as long as it matters
    oig:mepochs                                 the epochs: see `valkey_epochs`
    oig:h<handle>                               the account of a handle
    oig:f..., oig:p..., oig:b..., oig:i...      answers: see `valkey_answers`
    oig:w<owner>, oig:members, oig:k            reports of processes: see `valkey_members`
    oig:totals                                  what commands have counted: see `valkey_totals`
    oig:x<owner>                                for a moment, to test the rights of the user

Its channels are those of `valkey_notices`. The time is the server's, and comes with each load, so
that the clocks of hosts need not agree.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.sentinel import MasterNotFoundError

from . import encoding
from .limits import Limits
from .storage import (
    ACCOUNT,
    EPOCHS,
    OWNER_BYTES,
    SOURCE,
    Answer,
    Entry,
    Epochs,
    Room,
    StorageAway,
    Unreadable,
)
from .valkey_answers import ValkeyAnswers
from .valkey_clock import ServerClock
from .valkey_connection import Connection, UnfitStorage
from .valkey_epochs import SharedEpochs
from .valkey_fitness import greet, refuse_eviction, replicas_in
from .valkey_handles import Handles
from .valkey_members import Members
from .valkey_notices import Notices
from .valkey_sentinels import answers_of, doubts, lost_primary
from .valkey_swap import Swap
from .valkey_totals import OperatorTotals

PREFIX: Final = b"oig:"


class ValkeyStorage:
    """The values on the server.

    Args:
        client: Connects to the server.
        limits: What there is room for in an account.
        clock: The server's clock.
        random: Returns so many random bytes.
        prefix: Begins all keys and channels.
        only_looks: Whether nothing of this process may stay on the server.

    Attributes:
        generation: The number of connections made so far.
        members: The processes that use it.
        operators: What operators' commands have counted.
    """

    is_shared = True
    crowded_until = 0.0
    """A server has room or is away: nothing is evicted."""

    def __init__(
        self,
        client: Redis,
        limits: Limits,
        clock: ServerClock | None = None,
        *,
        random: Callable[[int], bytes] = os.urandom,
        prefix: bytes = PREFIX,
        only_looks: bool = False,
    ) -> None:
        self._only_looks = only_looks
        self.owner = random(OWNER_BYTES)
        self.generation = 0
        self._client = client
        self._clock = clock or ServerClock()
        self._replicas = 0
        self._prefix = prefix
        self._connection = Connection(client, self._greet, self._clock)
        self._notices = Notices(self._connection, client, self.owner, prefix, self._clock.local)
        self._epochs = SharedEpochs(self._connection, self._notices, self._key(EPOCHS), random)
        self._answers = ValkeyAnswers(self._connection, limits, self._clock, prefix)
        self.members = Members(self._connection, self.owner, prefix)
        self.operators = OperatorTotals(self._connection, prefix, random)
        self._handles = Handles(self._connection, prefix)

    @property
    def epochs(self) -> Epochs:
        """As `Storage.epochs`."""
        return self._epochs.known

    @property
    def away(self) -> str | None:
        """Why the server cannot be asked now; None when it can."""
        return self._connection.away

    @property
    def trouble(self) -> str:
        """What strangers may know of why the server cannot be asked."""
        return self._connection.trouble

    @property
    def is_busy(self) -> bool:
        """Whether a reply of the server is awaited."""
        return self._connection.is_busy

    async def open(self) -> None:
        """Connect.

        Raises:
            StorageAway: The server is away. It is looked for in the background.
            UnfitStorage: It must not be used as it is set up.
        """
        await self._connection.open()

    def on_announced(
        self,
        heard: Callable[[bytes], None],
        missed: Callable[[], None],
        counted: Callable[[int], None],
    ) -> None:
        """Set what is called with messages of other processes, and when some may have been missed.

        `counted` is called with the number of each drop that this process announces.
        """
        self._notices.on_drop, self._notices.on_subscribed = heard, missed
        self._epochs.counted = counted

    def announce(self, message: bytes) -> None:
        """Send a message to all other processes that are connected."""
        with contextlib.suppress(StorageAway):
            self._connection.ask("PUBLISH", self._notices.drops, self._notices.message(message))

    def now(self) -> float:
        """As `Storage.now`."""
        return self._clock.now()

    def peek(self, name: bytes) -> bytes | None:
        """As `Storage.peek`: nothing is here."""
        del name
        return None

    def peek_answer(self, account: bytes, key: bytes) -> Answer | None:
        """As `Storage.peek_answer`: nothing is here."""
        del account, key
        return None

    def peek_handle(self, handle: bytes) -> bytes | None:
        """As `Storage.peek_handle`."""
        return self._handles.peek(handle)

    def touch(self, name: bytes, now: float) -> None:
        """As `Storage.touch`: uses are not counted."""
        del name, now

    async def load(self, name: bytes) -> bytes | None:
        """As `Storage.load`; the epochs are of the same moment."""
        epochs, value = (self._connection.get(self._key(one)) for one in (EPOCHS, name))
        self._epochs.learn(await epochs)
        return await value

    async def swap(self, name: bytes, old: bytes | None, new: bytes | None, entry: Entry) -> bool:
        """As `Storage.swap`."""
        lasts = self._connection.milliseconds(entry.lasts)
        # First, since one that leads to an account without the handle does no harm.
        self._handles.put(name[1:], entry.handles, lasts)
        message = self._notices.message(name) if entry.wake else b""
        swap = Swap(self._key(name), old, new, lasts, message, self._notices.changes)
        if not swap.is_done(await self._connection.ask(*swap.command())):
            return False
        if name[:1] == b"a":
            await self._handles.swapped(name[1:], old, entry.handles)
        return True

    def watch(self, name: bytes) -> AbstractAsyncContextManager[Callable[[float], Awaitable[None]]]:
        """As `Storage.watch`."""
        return self._notices.watch(name)

    async def read(self, account: bytes, key: bytes) -> Answer | None:
        """As `Storage.read`."""
        return await self._answers.read(account, key)

    async def write(self, account: bytes, key: bytes, answer: Answer, room: Room) -> None:
        """As `Storage.write`."""
        await self._answers.write(account, key, answer, room)

    async def drop_answers(self, account: bytes) -> int:
        """As `Storage.drop_answers`."""
        return await self._answers.drop_account(account)

    async def account_of(self, handle: bytes) -> bytes | None:
        """As `Storage.account_of`; one that is remembered here may have ended."""
        return await self._handles.account_of(handle)

    async def dead(self, owners: Collection[bytes]) -> frozenset[bytes]:
        """As `Storage.dead`."""
        return await self._notices.dead(owners)

    async def flush(
        self,
        *,
        sessions: bool = False,
        locks: bool = False,
        dropped: bool = False,
        whose: tuple[bytes | None, bytes | None] = (None, None),
    ) -> Epochs:
        """As `Storage.flush`."""
        epochs = await self._epochs.flush(sessions, locks, dropped, whose)
        if sessions or locks:
            await self.durable(EPOCHS)
        return epochs

    async def durable(self, *names: bytes, ends: bool = False) -> None:
        """As `Storage.durable`: a replica has it, if any. Near copies end by themselves."""
        del ends
        if self._replicas and names and not await self._connection.replicated():
            # It is frozen, or its machine is gone: no reply waits for it until it keeps up again.
            self._replicas = 0

    async def look_again(self) -> None:
        """Look at what may change while a connection lasts.

        1. The number of replicas that keep up.
        2. The policy: a server that evicts is away, just as the start refuses it.
        """
        asked = [self._connection.ask("INFO", section) for section in ("memory", "replication")]
        memory, replication = [await one for one in asked]
        self._replicas = replicas_in(replication)
        try:
            refuse_eviction(memory)
        except UnfitStorage as exc:
            self._connection.lose(exc)
            raise StorageAway(str(exc)) from None

    async def accounts(self, latest: int | None = None) -> AsyncIterator[tuple[bytes, bytes]]:
        """As `Storage.accounts`, in no particular order."""
        async for name, data in self._values(ACCOUNT):
            if latest is None or encoding.may_have_session(data):
                yield name, data

    async def heads(self, kinds: bytes) -> AsyncIterator[list[tuple[bytes, bytes]]]:
        """As `Storage.heads`, in no certain order."""
        async for page in self._connection.keys(self._key(b"[" + kinds + b"]*")):
            asked = [
                self._connection.ask("GETRANGE", key, 0, encoding.LAYOUT.size - 1) for key in page
            ]
            names = [key[len(self._prefix) :] for key in page]
            heads = [await _head(one) for one in asked]
            yield [(name, one) for name, one in zip(names, heads, strict=True) if one is not None]

    async def has_accounts(self) -> bool:
        """Return whether anything is stored of an account."""
        async for _ in self._connection.keys(self._key(ACCOUNT + b"*")):
            return True
        return False

    async def clear(self) -> None:
        """Delete everything that is stored, the tag of the shared secret too.

        The claim of the command that replaces the secret stays.
        """
        async for page in self._connection.keys(self._key(b"*")):
            if gone := [key for key in page if key != self.members.rotation]:
                await self._connection.ask("UNLINK", *gone)

    async def sources(self) -> AsyncIterator[tuple[str, bytes]]:
        """As `Storage.sources`."""
        async for name, data in self._values(SOURCE):
            yield name.decode(errors="backslashreplace"), data

    def sweep(self, most: int) -> list[tuple[bytes, bytes]]:
        """As `Storage.sweep`: values expire by themselves."""
        del most
        return []

    def usage(self, account: bytes) -> tuple[float, int] | None:
        """As `Storage.usage`: uses are not counted."""
        del account
        return None

    def stats(self) -> dict[str, object]:
        """As `Storage.stats`: one process counts nothing of what all share."""
        return {}

    async def doubts(self) -> list[str]:
        """Return what is wrong with the Sentinels, if any lead to the server."""
        name = getattr(self._client.connection_pool, "service_name", "")
        return doubts(await answers_of(self._client), name)

    async def ping(self) -> None:
        """As `Storage.ping`."""
        await self._connection.ask("PING")

    async def aclose(self) -> None:
        """As `Storage.aclose`."""
        await self._notices.aclose()
        await self._connection.aclose()

    # How it works.

    async def _greet(self) -> None:
        """Look at a server that is new to this process, or was away."""
        sent, probe = self._clock.local(), self._key(b"x" + self.owner)
        first = None if self._only_looks else self._epochs.first()
        places = self._epochs.key, first, probe
        try:
            greeting = await greet(self._client, *places, self._notices.channels)
        except MasterNotFoundError:
            raise await lost_primary(self._client) from None
        self._clock.learn(greeting.time, sent)
        if not self._only_looks:
            await self._epochs.restore(self._client.execute_command, greeting.value)
        self._replicas = greeting.replicas
        self.generation += 1
        self._notices.restart()

    def _key(self, name: bytes) -> bytes:
        return self._prefix + name

    async def _values(self, kind: bytes) -> AsyncIterator[tuple[bytes, bytes]]:
        """Yield the names and values of a kind, each once."""
        start = self._key(kind)
        async for key, data in self._connection.values(start):
            yield key[len(start) :], data


async def _head(asked: Awaitable[bytes]) -> bytes | None:
    """Return the first bytes of a value; None of one that has expired meanwhile."""
    try:
        return await asked or None
    except Unreadable:
        return b""
