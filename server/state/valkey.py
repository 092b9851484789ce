"""A storage on a Valkey or Redis server that the processes of all hosts share.

It decides nothing. Its only script replaces a value whose tag is the one that was loaded. Its keys:

    oig:a<account>, oig:s<source>, oig:turns    values, each for as long as it matters
    oig:mepochs                                 how often what was flushed
    oig:h<handle>                               the account of a handle
    oig:f..., oig:p..., oig:i...                answers: see `valkey_answers`
    oig:w<owner>, oig:k                         what each process says: see `valkey_members`

Its channels are those of `valkey_notices`. The time is the server's, and comes with each swap: so
the clocks of hosts need not agree.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from typing import Final

import msgpack  # type: ignore[import-untyped]
from redis.asyncio import Redis

from . import encoding
from .limits import Limits
from .storage import (
    EPOCHS,
    OWNER_BYTES,
    PATIENCE,
    TAG_BYTES,
    Answer,
    Entry,
    Epochs,
    Kind,
    Room,
    StorageAway,
)
from .valkey_answers import ValkeyAnswers
from .valkey_clock import ServerClock
from .valkey_connection import Connection
from .valkey_fitness import greet
from .valkey_members import Members
from .valkey_notices import Notices

SWAP: Final = """
local tag = redis.call('GETRANGE', KEYS[1], 0, 7)
if tag == ARGV[1] then
  if ARGV[2] == '' then redis.call('DEL', KEYS[1])
  else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
  if ARGV[4] ~= '' then redis.call('PUBLISH', ARGV[5], ARGV[4]) end
end
return {tag, redis.call('TIME')}
"""
"""The compare-and-swap. It is sent as it is each time, not by its digest: so nothing has to be done
about a server that was restarted, failed over or made to forget its scripts."""

PREFIX: Final = b"oig:"
ORIGIN_BYTES: Final = 16

FOREVER: Final = 100 * 366 * 86400.0
"""Seconds for which the epochs are kept."""

MAX_HANDLES: Final = 10_000
"""Handles whose account is remembered; it never changes."""


class ValkeyStorage:
    """The values on the server.

    Args:
        client: Leads to the server.
        limits: What there is room for in an account.
        clock: The server's clock.
        random: Returns so many random bytes.
        prefix: Begins all keys and channels.

    Attributes:
        generation: Number of times that the server was reached anew.
        members: What the processes say that work with it.
    """

    is_shared = True
    crowded_until = 0.0
    """A server has room or is away: nothing goes for anything else."""

    def __init__(
        self,
        client: Redis,
        limits: Limits,
        clock: ServerClock | None = None,
        *,
        random: Callable[[int], bytes] = os.urandom,
        prefix: bytes = PREFIX,
    ) -> None:
        self.owner = random(OWNER_BYTES)
        self.epochs = Epochs(b"")
        self.generation = 0
        self._client = client
        self._clock = clock or ServerClock()
        self._random = random
        self._replicas = 0
        self._prefix = prefix
        self._connection = Connection(client, self._greet)
        self._notices = Notices(self._connection, client, self.owner, prefix, self._clock.local)
        self._answers = ValkeyAnswers(self._connection, limits, self._clock, prefix)
        self.members = Members(self._connection, self.owner, prefix)
        self._handles: dict[bytes, bytes] = {}

    @property
    def away(self) -> str | None:
        """Why the server cannot be asked now; None when it can."""
        return self._connection.away

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

    def on_announced(self, heard: Callable[[bytes], None], missed: Callable[[], None]) -> None:
        """Have something called with what other processes announce, and when some may be missed."""
        self._notices.on_drop, self._notices.on_subscribed = heard, missed

    def announce(self, message: bytes) -> None:
        """Send something to all other processes that are there."""
        with contextlib.suppress(StorageAway):
            self._connection.ask("PUBLISH", self._notices.drops, self.owner + message)

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
        return self._handles.get(handle)

    def touch(self, name: bytes, now: float) -> None:
        """As `Storage.touch`: uses are not counted."""
        del name, now

    async def load(self, name: bytes) -> bytes | None:
        """As `Storage.load`; the epochs are of the same moment."""
        epochs, value = (self._connection.get(self._key(one)) for one in (EPOCHS, name))
        self._learn(await epochs)
        return await value

    async def swap(self, name: bytes, old: bytes | None, new: bytes | None, entry: Entry) -> bool:
        """As `Storage.swap`. One that was sent twice, since the first reply got lost, is a yes."""
        lasts = self._connection.milliseconds(entry.lasts)
        for handle in entry.handles:
            # First, since one that leads to an account without the handle does no harm.
            self._connection.ask("SET", self._key(b"h" + handle), name[1:], "PX", lasts)
        before, sent = (old or b"")[:TAG_BYTES], self._clock.local()
        tag, at = await self._connection.ask(
            *("EVAL", SWAP, 1, self._key(name), before, new or b"", lasts),
            *(self._notices.message(name) if entry.wake else b"", self._notices.changes),
        )
        self._clock.learn(int(at[0]) + int(at[1]) / 1e6, sent)
        if tag != before and (new is None or tag != new[:TAG_BYTES]):
            return False
        if name[:1] == b"a":
            await self._note_handles(name[1:], old, entry.handles)
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
        account = self._handles.get(handle) or await self._connection.get(self._key(b"h" + handle))
        if account is not None:
            self._remember(handle, account)
        return account

    async def dead(self, owners: Collection[bytes]) -> frozenset[bytes]:
        """As `Storage.dead`."""
        return await self._notices.dead(owners)

    async def flush(
        self, *, sessions: bool = False, locks: bool = False, dropped: bool = False
    ) -> Epochs:
        """As `Storage.flush`."""
        while True:
            old = await self._connection.get(self._key(EPOCHS))
            origin, drops, flushed, unlocked = self._learn(old)
            drops += sessions or dropped
            new = self._packed(Epochs(origin, drops, flushed + sessions, unlocked + locks))
            if await self.swap(EPOCHS, old, new, Entry(Kind.LOCKED, FOREVER, wake=True)):
                return self._learn(new)

    async def durable(self, *names: bytes) -> None:
        """As `Storage.durable`: a replica has it, if there is any."""
        if self._replicas and names:
            await self._connection.ask("WAIT", 1, round(PATIENCE * 1000))

    async def count_replicas(self) -> None:
        """Look how many there are now: one that has gone must not be waited for again and again."""
        self._replicas = await self.members.replicas()

    async def accounts(self, latest: int | None = None) -> AsyncIterator[tuple[bytes, bytes]]:
        """As `Storage.accounts`, in no certain order."""
        async for name, data in self._values(b"a"):
            if latest is None or encoding.header_of(data).value_size:
                yield name, data

    async def sources(self) -> AsyncIterator[tuple[str, bytes]]:
        """As `Storage.sources`."""
        async for name, data in self._values(b"s"):
            yield name.decode(), data

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
        first = self._packed(Epochs(self._random(ORIGIN_BYTES)))
        sent = self._clock.local()
        places = self._key(EPOCHS), first, SWAP, self._key(b"probe"), self._notices.own
        greeting = await greet(self._client, *places)
        self._clock.learn(greeting.time, sent)
        self._learn(greeting.value)
        self._replicas = greeting.replicas
        self.generation += 1
        self._notices.restart()

    def _learn(self, data: bytes | None) -> Epochs:
        if data is None:
            why = "it has lost what it had"
            self._connection.lose(why)
            raise StorageAway(why)
        self.epochs = Epochs(*msgpack.unpackb(data[TAG_BYTES:]))
        return self.epochs

    def _packed(self, epochs: Epochs) -> bytes:
        packed: bytes = msgpack.packb(epochs)
        return self._random(TAG_BYTES) + packed

    def _key(self, name: bytes) -> bytes:
        return self._prefix + name

    async def _note_handles(
        self, account: bytes, old: bytes | None, handles: tuple[bytes, ...]
    ) -> None:
        for handle in handles:
            self._remember(handle, account)
        if old is not None and encoding.header_of(old).lasting_size:
            ended = {one.handle for one in encoding.load(old).handles}.difference(handles)
            for handle in ended:
                self._handles.pop(handle, None)
            if ended:
                await self._connection.ask("DEL", *(self._key(b"h" + one) for one in ended))

    def _remember(self, handle: bytes, account: bytes) -> None:
        self._handles.pop(handle, None)
        if len(self._handles) >= MAX_HANDLES:
            del self._handles[next(iter(self._handles))]
        self._handles[handle] = account

    async def _values(self, kind: bytes) -> AsyncIterator[tuple[bytes, bytes]]:
        """Yield the names and values of a kind, each once."""
        start = self._key(kind)
        async for key, data in self._connection.values(start):
            yield key[len(start) :], data
