"""A storage in the memory of this process, with or without a disk behind it.

It waits for nothing but the disk, and for that not long.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Final

import msgpack  # type: ignore[import-untyped]

from . import encoding, storage
from .eviction import Answers, Bounds, Values
from .limits import Limits
from .storage import ACCOUNT, EPOCHS, SOURCE, TAG_BYTES, Answer, Entry, Epochs, Room

ORIGIN_BYTES: Final = 16

PAGE: Final = 500
"""Rows looked at, or put again after the file was lost, before others have their turn."""


class MemoryStorage:
    """A `Storage` of values of accounts and sources, but without turns, as nobody shares them.

    Without a `backing` it ends with its process; `restored` has the contents of the disk.
    `tracking` hears of every change but of what goes for want of room or time: that may be given
    for a moment more.
    """

    def __init__(
        self,
        limits: Limits,
        now: Callable[[], float] = time.monotonic,
        *,
        backing: storage.Backing | None = None,
        restored: storage.Restored | None = None,
        tracking: storage.Tracking | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.owner = random(storage.OWNER_BYTES)
        self.is_shared = False
        self._backing = backing
        self._tracking = tracking
        self._clock = now
        # No moment is 0, which stands for never.
        self._offset = max(0.0, 1.0 - now()) if restored is None else restored.clock - now()
        # Numbers of puts by name, until `sweep` finds them committed.
        self._pending: dict[bytes, int] = {}
        self._values = Values(limits, self.now, lambda name: self._write(name, None))
        self._unswept: list[bytes] = []
        self._answers: dict[Room, Answers] = {
            room: Answers(bounds) for room, bounds in _bounds(limits).items()
        }
        epochs = None if restored is None else restored.epochs
        self.epochs = epochs or Epochs(random(ORIGIN_BYTES))
        if restored is not None:
            self._values.restore(restored, self.epochs)
        if epochs is None:
            self._write_epochs()

    def use(self, limits: Limits) -> None:
        """Replace the limits; what is beyond them is evicted as more is stored."""
        self._values.limits = limits
        for room, bounds in _bounds(limits).items():
            self._answers[room].bounds = bounds

    @property
    def crowded_until(self) -> float:
        """As `Storage.crowded_until`."""
        return self._values.crowded_until

    def now(self) -> float:
        """As `Storage.now`."""
        return self._clock() + self._offset

    def peek(self, name: bytes) -> bytes | None:
        """As `Storage.peek`."""
        values = self._values
        slot = values.sessions.get(name) or values.get(name)
        if slot is None or (self._pending and not self._is_committed(name)):
            return None
        return slot.data

    def touch(self, name: bytes, now: float) -> None:
        """As `Storage.touch`."""
        sessions = self._values.sessions
        slot = sessions.get(name)
        if slot is not None:
            slot.used = now
            slot.hits += 1
            sessions.move_to_end(name)

    def usage(self, account: bytes) -> tuple[float, int] | None:
        """As `Storage.usage`."""
        slot = self._values.get(storage.of_account(account))
        return None if slot is None else (slot.used, slot.hits)

    def peek_answer(self, account: bytes, key: bytes) -> Answer | None:
        """As `Storage.peek_answer`."""
        now, latest = self.now(), None
        for answers in self._answers.values():
            found = answers.use(account, key, now)
            if found is not None and (latest is None or found.stored >= latest.stored):
                latest = found
        return latest

    def peek_handle(self, handle: bytes) -> bytes | None:
        """As `Storage.peek_handle`."""
        return self._values.handles.get(handle)

    async def load(self, name: bytes) -> bytes | None:
        """As `Storage.load`."""
        slot = self._values.get(name)
        return None if slot is None else slot.data

    async def swap(self, name: bytes, old: bytes | None, new: bytes | None, entry: Entry) -> bool:
        """As `Storage.swap`; never raises."""
        slot = self._values.get(name)
        there = b"" if slot is None else slot.data
        if there[:TAG_BYTES] != (old or b"")[:TAG_BYTES]:
            return False
        is_stored = self._values.replace(name, new, entry)
        if name[:1] == ACCOUNT:
            self._changed(name[1:])
        if new is None:
            self._write(name, None)
        elif is_stored and entry.lasting is not None:
            self._write(name, entry.lasting or None)
        return True

    @asynccontextmanager
    async def watch(self, _name: bytes) -> AsyncIterator[Callable[[float], Awaitable[None]]]:
        """As `Storage.watch`: all changes here are made by this process."""
        yield asyncio.sleep

    async def read(self, account: bytes, key: bytes) -> Answer | None:
        """As `Storage.read`."""
        return self.peek_answer(account, key)

    async def write(self, account: bytes, key: bytes, answer: Answer, room: Room) -> None:
        """As `Storage.write`."""
        self._answers[room].put(account, key, answer)
        self._changed(account)

    async def drop_answers(self, account: bytes) -> int:
        """As `Storage.drop_answers`."""
        self._changed(account)
        return sum(answers.drop_account(account) for answers in self._answers.values())

    async def account_of(self, handle: bytes) -> bytes | None:
        """As `Storage.account_of`."""
        return self._values.handles.get(handle)

    async def dead(self, owners: Collection[bytes]) -> frozenset[bytes]:
        """As `Storage.dead`: all other processes had their leases before this one started."""
        return frozenset(owners) - {self.owner}

    async def flush(
        self,
        *,
        sessions: bool = False,
        locks: bool = False,
        dropped: bool = False,
        whose: tuple[bytes | None, bytes | None] = (None, None),
    ) -> Epochs:
        """As `Storage.flush`; there are no other processes."""
        del whose
        origin, drops, flushed, unlocked = self.epochs
        drops += sessions or dropped
        self.epochs = Epochs(origin, drops, flushed + sessions, unlocked + locks)
        if sessions:
            self._values.flush(self.epochs.sessions)
            for answers in self._answers.values():
                answers.clear()
        if locks:
            self._values.crowded_until = 0.0
        self._write_epochs()
        if sessions or locks:
            self._changed(None)
        await self.durable(EPOCHS, ends=sessions)
        return self.epochs

    async def durable(self, *names: bytes, ends: bool = False) -> None:
        """As `Storage.durable`."""
        if self._backing is not None and self._pending:
            numbers = [self._pending[name] for name in names if name in self._pending]
            if numbers and max(numbers) > self._backing.committed:
                await self._backing.wait(max(numbers), storage.PATIENCE)
        if ends and self._tracking is not None:
            await self._tracking.acknowledged()

    async def accounts(self, latest: int | None = None) -> AsyncIterator[tuple[bytes, bytes]]:
        """As `Storage.accounts`."""
        values = self._values
        for name in values.names(ACCOUNT) if latest is None else values.latest(latest):
            slot = values.get(name)
            if slot is not None:
                yield name[1:], slot.data

    async def heads(self, kinds: bytes) -> AsyncIterator[list[tuple[bytes, bytes]]]:
        """As `Storage.heads`."""
        for kind in kinds:
            names = iter(self._values.names(bytes([kind])))
            while page := list(islice(names, PAGE)):
                slots = ((name, self._values.get(name)) for name in page)
                yield [(name, slot.data) for name, slot in slots if slot is not None]
                await asyncio.sleep(0)

    async def sources(self) -> AsyncIterator[tuple[str, bytes]]:
        """As `Storage.sources`."""
        for name in self._values.names(SOURCE):
            slot = self._values.get(name)
            if slot is not None:
                yield name[1:].decode(), slot.data

    def sweep(self, most: int) -> list[tuple[bytes, bytes]]:
        """As `Storage.sweep`. On the way answers are dropped that have expired."""
        now = self.now()
        for answers in self._answers.values():
            answers.drop_expired(now, most)
        committed = 0 if self._backing is None else self._backing.committed
        self._pending = {
            name: number for name, number in self._pending.items() if number > committed
        }
        if not self._unswept:
            self._unswept = self._values.names(ACCOUNT) + self._values.names(SOURCE)
        names = self._unswept[-most:]
        del self._unswept[-most:]
        slots = ((name, self._values.get(name)) for name in names)
        return [(name, slot.data) for name, slot in slots if slot is not None]

    def stats(self) -> dict[str, object]:
        """As `Storage.stats`."""
        values, rooms = self._values, self._answers
        fetched = rooms["fetched"]
        return {
            "sessions": values.session_count,
            "bytes": values.session_bytes,
            "limit_sessions": values.limits.sessions,
            "evicted_total": values.evicted_accounts,
            "accounts": len(values.names(ACCOUNT)),
            "accounts_bytes": values.bytes,
            "answers": len(fetched),
            "answers_bytes": fetched.bytes,
            "limit_answers_bytes": fetched.bounds.most_bytes,
            "answers_evicted_total": sum(room.evicted for room in rooms.values()),
            "answers_put": len(rooms["put"]) + len(rooms["brief"]),
            "notes": len(values.handles),
            "notes_evicted_total": values.evicted_handles,
        }

    async def ping(self) -> None:
        """As `Storage.ping`: it is in this process."""

    def put_all(self) -> None:
        """Put all that lasts once more, a page at a time: the disk has lost it."""
        self._write_epochs()
        self._put_again(iter(self._values.in_order()))

    async def aclose(self) -> None:
        """As `Storage.aclose`."""
        if self._backing is not None:
            await self._backing.aclose()

    def _changed(self, account: bytes | None) -> None:
        if self._tracking is not None:
            self._tracking.changed(account)

    # The disk.

    def _write(self, name: bytes, row: bytes | None) -> None:
        if self._backing is not None:
            self._pending[name] = self._backing.put(name, row)

    def _write_epochs(self) -> None:
        self._write(EPOCHS, msgpack.packb(self.epochs))

    def _put_again(self, names: Iterator[bytes]) -> None:
        """Put the next page of some values, and schedule the next."""
        page = list(islice(names, PAGE))
        for name in page:
            slot = self._values.get(name)
            if slot is not None:
                row = encoding.lasting_of(slot.data) if name[:1] == ACCOUNT else slot.data
                self._write(name, row)
        if page:
            asyncio.get_running_loop().call_soon(self._put_again, names)

    def _is_committed(self, name: bytes) -> bool:
        backing = self._backing
        if backing is None or backing.failing:
            return True
        return self._pending.get(name, 0) <= backing.committed


def _bounds(limits: Limits) -> dict[Room, Bounds]:
    return {
        "fetched": Bounds(limits.answers, limits.answer_bytes, limits.answers_per_account),
        "put": Bounds(
            *(limits.put, limits.put_bytes, limits.put_per_account, limits.put_account_bytes)
        ),
        "brief": Bounds(
            *(limits.brief, limits.brief_bytes),
            *(limits.brief_per_account, limits.brief_account_bytes),
        ),
    }
