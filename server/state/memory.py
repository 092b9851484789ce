"""A storage in the memory of this process, with a disk behind it or without.

Nothing here waits for anybody but the disk, and for that not long.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Final

import msgpack  # type: ignore[import-untyped]

from . import encoding
from .answer_room import AnswerRoom, Bounds
from .limits import Limits
from .rooms import Rooms
from .storage import (
    EPOCHS,
    OWNER_BYTES,
    PATIENCE,
    TAG_BYTES,
    Answer,
    Backing,
    Entry,
    Epochs,
    Kind,
    Restored,
    Room,
    Watch,
)

ORIGIN_BYTES: Final = 16

MAX_PENDING: Final = 1024
"""Numbers of rows that may be on the disk by now, before they are looked through."""

PAGE: Final = 500
"""Rows that are put again in one go, when the file was lost."""


class MemoryStorage:
    """See `Storage`.

    Args:
        limits: What there is room for.
        now: Seconds, on a clock that never goes back.
        backing: The disk; None for a storage that ends with its process.
        restored: What the disk had.
        random: Returns so many random bytes.
    """

    def __init__(
        self,
        limits: Limits,
        now: Callable[[], float] = time.monotonic,
        *,
        backing: Backing | None = None,
        restored: Restored | None = None,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.owner = random(OWNER_BYTES)
        self.is_shared = False
        self._backing = backing
        self._rooms = Rooms(limits, self.now, lambda name: self._write(name, None))
        self._sessions = self._rooms.accounts[Kind.SESSION]
        self._clock = now
        # No moment is 0: it stands for never.
        self._offset = max(0.0, 1.0 - now())
        self._others: dict[bytes, bytes] = {}
        # Numbers of rows by name, while they may not be on the disk.
        self._pending: dict[bytes, int] = {}
        self._unswept: list[bytes] = []
        self._answers: dict[Room, AnswerRoom] = {
            "fetched": AnswerRoom(Bounds(0, 0, 0)),
            "put": AnswerRoom(Bounds(0, 0, 0)),
        }
        self.use(limits)
        epochs = None if restored is None else restored.epochs
        self.epochs = epochs or Epochs(random(ORIGIN_BYTES))
        if restored is not None:
            self._offset = restored.clock - now()
            self._rooms.restore(restored, self.epochs)
        if epochs is None:
            self._write(EPOCHS, _packed(self.epochs))

    def use(self, limits: Limits) -> None:
        """Go by other limits from now on; what there is beyond them goes with the next."""
        self._rooms.limits = limits
        self._answers["fetched"].bounds = Bounds(
            limits.answers, limits.answer_bytes, limits.answers_per_account
        )
        self._answers["put"].bounds = Bounds(
            limits.put, limits.put_bytes, limits.put_per_account, limits.put_account_bytes
        )

    @property
    def crowded_until(self) -> float:
        """As `Storage.crowded_until`."""
        return self._rooms.crowded_until

    def now(self) -> float:
        """As `Storage.now`."""
        return self._clock() + self._offset

    def peek(self, name: bytes) -> bytes | None:
        """As `Storage.peek`."""
        slot = self._sessions.get(name) or self._rooms.slot(name)
        if slot is None or (self._pending and not self._is_committed(name)):
            return None
        return slot.data

    def touch(self, name: bytes, now: float) -> None:
        """As `Storage.touch`."""
        slot = self._sessions.get(name)
        if slot is not None:
            slot.used = now
            slot.hits += 1
            self._sessions.move_to_end(name)

    def usage(self, account: bytes) -> tuple[float, int] | None:
        """As `Storage.usage`."""
        slot = self._rooms.slot(b"a" + account)
        return None if slot is None else (slot.used, slot.hits)

    def peek_answer(self, account: bytes, key: bytes) -> Answer | None:
        """As `Storage.peek_answer`."""
        now = self.now()
        fetched = self._answers["fetched"].use(account, key, now)
        put = self._answers["put"].use(account, key, now)
        if fetched is None or put is None:
            return fetched or put
        return put if put.stored >= fetched.stored else fetched

    def peek_handle(self, handle: bytes) -> bytes | None:
        """As `Storage.peek_handle`."""
        return self._rooms.handles.get(handle)

    async def load(self, name: bytes) -> bytes | None:
        """As `Storage.load`."""
        slot = self._rooms.slot(name)
        return self._others.get(name) if slot is None else slot.data

    async def swap(
        self, name: bytes, old: bytes | None, new: bytes | None, entry: Entry
    ) -> tuple[bool, bytes | None]:
        """As `Storage.swap`; never raises."""
        slot = self._rooms.slot(name)
        there = self._others.get(name) if slot is None else slot.data
        if _tag(there) != _tag(old):
            return False, there
        if name[:1] not in b"as":
            if new is None:
                self._others.pop(name, None)
            else:
                self._others[name] = new
            return True, new
        if slot is not None:
            self._rooms.take_out(name, slot)
        if new is None:
            self._write(name, None)
            return True, None
        self._rooms.put(name, slot, new, entry)
        if entry.lasting is not None:
            self._write(name, entry.lasting or None)
        return True, new

    @asynccontextmanager
    async def watch(self, name: bytes) -> AsyncIterator[Watch]:
        """As `Storage.watch`: all changes here are made by this process."""
        del name
        yield _Idle()

    async def read(self, account: bytes, key: bytes) -> Answer | None:
        """As `Storage.read`."""
        return self.peek_answer(account, key)

    async def write(self, account: bytes, key: bytes, answer: Answer, room: Room) -> None:
        """As `Storage.write`."""
        self._answers[room].put(account, key, answer)

    async def drop_answers(self, account: bytes) -> int:
        """As `Storage.drop_answers`."""
        return sum(room.drop_account(account) for room in self._answers.values())

    async def account_of(self, handle: bytes) -> bytes | None:
        """As `Storage.account_of`."""
        return self._rooms.handles.get(handle)

    async def dead(self, owners: Collection[bytes]) -> frozenset[bytes]:
        """As `Storage.dead`: whoever else had leases here, had them in another life."""
        return frozenset(owners) - {self.owner}

    async def flush(
        self, *, sessions: bool = False, locks: bool = False, dropped: bool = False
    ) -> Epochs:
        """As `Storage.flush`."""
        origin, drops, flushed, unlocked = self.epochs
        drops += sessions or dropped
        self.epochs = Epochs(origin, drops, flushed + sessions, unlocked + locks)
        if sessions:
            self._rooms.flush(self.epochs.sessions)
            self._sessions = self._rooms.accounts[Kind.SESSION]
            for room in self._answers.values():
                room.clear()
        if locks:
            self._rooms.crowded_until = 0.0
        self._write(EPOCHS, _packed(self.epochs))
        await self.durable(EPOCHS)
        return self.epochs

    async def durable(self, *names: bytes) -> None:
        """As `Storage.durable`."""
        if self._backing is None or not self._pending:
            return
        numbers = [self._pending[name] for name in names if name in self._pending]
        if numbers and max(numbers) > self._backing.committed:
            await self._backing.wait(max(numbers), PATIENCE)

    async def accounts(self, latest: int | None = None) -> AsyncIterator[tuple[bytes, bytes]]:
        """As `Storage.accounts`."""
        for name in self._rooms.names() if latest is None else self._rooms.latest(latest):
            slot = self._rooms.slot(name)
            if slot is not None:
                yield name[1:], slot.data

    async def sources(self) -> AsyncIterator[tuple[str, bytes]]:
        """As `Storage.sources`."""
        for room in self._rooms.sources.values():
            for name, slot in list(room.items()):
                yield name[1:].decode(), slot.data

    def slice(self, most: int) -> list[tuple[bytes, bytes]]:
        """Return the next few names and values, so that all come round in the end.

        On the way answers go that have run out, and numbers of rows that are on the disk.
        """
        now = self.now()
        for room in self._answers.values():
            room.drop_expired(now, most)
        self._drop_committed()
        if not self._unswept:
            self._unswept = self._rooms.names()
            for values in self._rooms.sources.values():
                self._unswept += dict.keys(values)
        names = self._unswept[-most:]
        del self._unswept[-most:]
        return [(name, slot.data) for name in names if (slot := self._rooms.slot(name)) is not None]

    def stats(self) -> dict[str, object]:
        """As `Storage.stats`."""
        rooms, fetched, put = self._rooms, self._answers["fetched"], self._answers["put"]
        return {
            "sessions": rooms.sessions,
            "bytes": rooms.values_bytes,
            "limit_sessions": rooms.limits.sessions,
            "evicted_total": rooms.evicted,
            "accounts": sum(map(len, rooms.accounts.values())) + len(rooms.flushed),
            "accounts_bytes": rooms.bytes,
            "answers": len(fetched),
            "answers_bytes": fetched.bytes,
            "limit_answers_bytes": fetched.bounds.most_bytes,
            "answers_evicted_total": fetched.evicted + put.evicted,
            "answers_put": len(put),
            "notes": len(rooms.handles),
            "notes_evicted_total": rooms.evicted_handles,
        }

    async def ping(self) -> None:
        """As `Storage.ping`: it is in this process."""

    def put_all(self) -> None:
        """Put all that lasts once more, a page at a time: the disk has lost it."""
        self._write(EPOCHS, _packed(self.epochs))
        rooms = self._rooms
        values = (*rooms.sources.values(), rooms.flushed, *rooms.accounts.values())
        names = [name for room in values for name in room]
        names.reverse()
        self._put_again(names)

    async def aclose(self) -> None:
        """As `Storage.aclose`."""
        if self._backing is not None:
            await self._backing.aclose()

    # How it works.

    def _write(self, name: bytes, row: bytes | None) -> None:
        if self._backing is not None:
            self._pending[name] = self._backing.put(name, row)

    def _put_again(self, names: list[bytes]) -> None:
        """Put the last of some values, and the others soon: the latest used comes last."""
        for name in reversed(names[-PAGE:]):
            slot = self._rooms.slot(name)
            if slot is not None:
                row = encoding.lasting_of(slot.data) if name[:1] == b"a" else slot.data
                self._write(name, row)
        del names[-PAGE:]
        if names:
            asyncio.get_running_loop().call_soon(self._put_again, names)

    def _is_committed(self, name: bytes) -> bool:
        number = self._pending.get(name)
        backing = self._backing
        if number is None or backing is None or backing.failing:
            return True
        if number > backing.committed:
            return False
        del self._pending[name]
        return True

    def _drop_committed(self) -> None:
        backing = self._backing
        if backing is not None and len(self._pending) > MAX_PENDING:
            self._pending = {
                name: number for name, number in self._pending.items() if number > backing.committed
            }


class _Idle:
    """A watch of what nobody else changes."""

    async def wait(self, seconds: float) -> None:
        """Return after so many seconds."""
        await asyncio.sleep(seconds)


def _tag(data: bytes | None) -> bytes | None:
    return None if data is None else data[:TAG_BYTES]


def _packed(epochs: Epochs) -> bytes:
    packed: bytes = msgpack.packb(epochs)
    return packed
