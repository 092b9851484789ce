"""The accounts on a Valkey or Redis server as a worker asks them, in place of the daemon.

The same decisions as in the daemon are made here, over the values that all workers share. What one
of them drops on purpose it announces to the others, whose copies it concerns. Announcements may get
lost while a worker is cut off; how many there were says the number of drops in the epochs.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgpack  # type: ignore[import-untyped]

from ..errors import CacheUnavailable
from .accounts import Accounts
from .decider import Listeners
from .limits import Limits, Policy
from .remote import Waits
from .storage import EPOCHS, StorageAway
from .valkey import ValkeyStorage
from .vocabulary import Outcome, Request


class ValkeyClient:
    """As `remote.Client`.

    Args:
        storage: The values.
        limits: Numbers and times, which must be those of all workers.
        policy: Budgets of wrong passwords, likewise.

    Attributes:
        accounts: Decides; for operators as well.
        listeners: As `Client.listeners`.
    """

    def __init__(self, storage: ValkeyStorage, limits: Limits, policy: Policy) -> None:
        self.accounts = Accounts(storage, limits, policy)
        self.listeners = Listeners()
        self._storage = storage
        self._drops: tuple[bytes, int] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.accounts.listeners.dropped = self._dropped
        self.accounts.listeners.unlocked = self._unlocked
        storage.on_announced(self._announced, self._subscribed)

    @property
    def generation(self) -> int:
        """Number of times that the server was reached anew."""
        return self._storage.generation

    async def call(self, request: Request, waits: Waits | None = None) -> Outcome:
        """As `Client.call`."""
        try:
            return await self.accounts.call(request, waits=waits or (lambda _: None))
        except StorageAway as exc:
            raise self._unavailable(exc) from exc

    async def ping(self) -> None:
        """As `Client.ping`."""
        try:
            await self._storage.ping()
        except StorageAway as exc:
            raise self._unavailable(exc) from exc

    async def stop(self) -> None:
        """Answer all waiters, and end."""
        for task in self._tasks:
            task.cancel()
        await self.accounts.stop()

    # What was dropped.

    def _dropped(self, account: bytes | None, budget: bytes | None) -> None:
        self._storage.announce(msgpack.packb(["dropped", account, budget]))
        self._count()
        self.listeners.dropped(account, budget)

    def _unlocked(self, budget: bytes | None, source: str | None) -> None:
        self._storage.announce(msgpack.packb(["unlocked", budget, source]))
        self.listeners.unlocked(budget, source)

    def _announced(self, message: bytes) -> None:
        what, *whose = msgpack.unpackb(message)
        if what == "dropped":
            self._count()
            self.listeners.dropped(*whose)
        elif what == "unlocked":
            self.listeners.unlocked(*whose)

    def _count(self) -> None:
        if self._drops is not None:
            self._drops = self._drops[0], self._drops[1] + 1

    def _subscribed(self) -> None:
        task: asyncio.Task[Any] = asyncio.get_running_loop().create_task(self._compare())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _compare(self) -> None:
        """Drop all copies if something was dropped of which nothing was heard."""
        with contextlib.suppress(StorageAway):
            await self._storage.load(EPOCHS)
            origin, drops, *_ = self._storage.epochs
            known = self._drops or (origin, drops)
            if origin != known[0] or drops > known[1]:
                self.listeners.dropped(None, None)
            self._drops = origin, drops

    def _unavailable(self, exc: StorageAway) -> CacheUnavailable:
        return CacheUnavailable(f"The shared storage is away: {self._storage.away or exc}.")
