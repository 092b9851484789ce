"""Going through all values of a storage, a page at a time, past what cannot be read.

A shared storage may have values that a newer version or another program has written. Each concerns
itself alone: it is skipped, and its name remembered, so that an operator is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final, TypeVar

from . import clock_step, encoding, locks
from .account import AccountState
from .encoding import Header, header_of
from .limits import Context
from .spraying import SourceState
from .storage import (
    ACCOUNT,
    EPOCHS,
    SOURCE,
    Epochs,
    Storage,
    Unreadable,
    of_account,
    of_source,
)

PAGE: Final = 100
"""Accounts looked at in one turn of the loop."""

T = TypeVar("T")


class Walk:
    """See above.

    Args:
        storage: Where the values are.
        context: Returns what decisions know now.

    Attributes:
        unreadable: Names of the values that were skipped so far.
    """

    def __init__(self, storage: Storage, context: Callable[[], Context]) -> None:
        self.unreadable: set[bytes] = set()
        self._storage = storage
        self._context = context

    async def accounts(self, latest: int | None = None) -> AsyncIterator[tuple[bytes, bytes]]:
        """Yield accounts and their values, and give the loop its turn now and then."""
        seen = 0
        async for one in self._storage.accounts(latest):
            seen += 1
            if seen % PAGE == 0:
                await asyncio.sleep(0)
            yield one

    def read(self, name: bytes, read: Callable[[bytes], T], data: bytes) -> T | None:
        """Read a value; None of one that cannot be read."""
        try:
            return read(data)
        except Unreadable:
            self.unreadable.add(name)
            return None

    async def headers(self) -> AsyncIterator[list[tuple[bytes, Header]]]:
        """Yield pages of the accounts' names and headers."""
        async for page in self._storage.heads(ACCOUNT):
            found = [(name, self.read(name, header_of, head)) for name, head in page]
            yield [(name, header) for name, header in found if header is not None]

    async def states(
        self, epochs: Epochs | None = None
    ) -> AsyncIterator[tuple[bytes, AccountState]]:
        """Yield the states that have counters, as of now, or of earlier epochs."""
        context, epochs = self._context(), epochs or self._storage.epochs
        async for account, data in self.accounts():
            name = of_account(account)
            header = self.read(name, header_of, data)
            if header is None or not header.lasting_size:
                continue
            state = self.read(name, encoding.load, data)
            if state is not None:
                clock_step.correct_account(state, context)
                state.refresh(epochs, context.now)
                locks.expire(state, context)
                if state.counters():
                    yield account, state

    async def source_states(
        self, epochs: Epochs | None = None
    ) -> AsyncIterator[tuple[str, SourceState]]:
        """Yield what sources have used of their budgets, likewise, if it is of any weight."""
        now, epochs = self._storage.now(), epochs or self._storage.epochs
        async for source, data in self._storage.sources():
            state = self.read(of_source(source), SourceState.load, data)
            if state is None:
                continue
            clock_step.correct_source(state, now)
            state.refresh(epochs, now)
            # A failure at a single account adds nothing to that account's own counter.
            if len(state.failed()) > 1 or state.until > now:
                yield source, state

    async def totals(self) -> dict[str, int]:
        """Count sessions and locks, under the names of `stats`, where no storage counts them.

        In one pass: of most accounts only the first bytes are read.
        """
        await self._storage.load(EPOCHS)  # what others have flushed meanwhile
        sessions = locked = 0
        async for page in self._storage.heads(ACCOUNT + SOURCE):
            now, epoch = self._storage.now(), self._storage.epochs.sessions
            names = [name for name, head in page if name[:1] == SOURCE and head]
            for name, head in page:
                header = self.read(name, header_of, head) if name[:1] == ACCOUNT else None
                if header is not None:
                    sessions += has_session(header, now, epoch)
                    names += [name] if header.careful_until > now else []
            values = await asyncio.gather(*map(self._storage.load, names))
            locked += sum(map(self._locks, names, values))
        return {"sessions": sessions, "lockouts_active": locked}

    def _locks(self, name: bytes, data: bytes | None) -> int:
        """Return how many locks are on in a value."""
        if data is None:
            return 0
        now, epochs = self._storage.now(), self._storage.epochs
        if name[:1] == SOURCE:
            source = self.read(name, SourceState.load, data) or SourceState()
            source.refresh(epochs, now)
            return int(source.refused_until(self._context().policy) > now)
        state = self.read(name, encoding.load, data) or AccountState()
        state.refresh(epochs, now)
        locks.expire(state, self._context())
        return sum(one.until > now for one in state.all_counters())

    async def sessions(self) -> int:
        """Return how many there are; where no storage counts them, all accounts are looked at."""
        counted = self._storage.stats().get("sessions")
        if isinstance(counted, int):
            return counted
        return await self.sessions_of(self._storage.epochs.sessions)

    async def sessions_of(self, epoch: int) -> int:
        """Return how many sessions of an epoch there are, by looking at all accounts."""
        number = 0
        async for page in self.headers():
            now = self._storage.now()
            number += sum(has_session(header, now, epoch) for _, header in page)
        return number

    async def failures(self, epochs: Epochs) -> int:
        """Return how many counters of failures of some epochs there are."""
        counted = [state.counters() async for _, state in self.states(epochs)]
        return sum(counted) + len([1 async for _ in self.source_states(epochs)])


def has_session(header: Header, now: float, epoch: int) -> bool:
    """Return whether an account has a session that is neither over nor flushed."""
    return header.value_size > 0 and header.expires > now and header.flushed == epoch
