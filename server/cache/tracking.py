"""Which workers may have near copies of which accounts, and which changes were named to them.

A worker that keeps near copies may give what it has read for `near_cache.COPY_LASTS` more. So each
of its requests for something cached is noted here as it arrives, before anything else can happen,
for somewhat longer than that. When an account changes, the notice `changed` names it to those that
have read it, and they are noted no more. It goes before any reply that shows the change, on their
own connections; and what has ended for somebody (a session, a handle, the absence of a lock) is
reported to nobody before all of them have acknowledged the notices sent by then. A worker that does
not within `ACKNOWLEDGE_SECONDS` is stopped or hung: its connection is ended, and by then its lease
has run out (`near_cache` says why). One whose connection has ended, at this daemon or at the one
before it, need not know of that yet. It is given the same time from its last request on, which is
no earlier than it was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Final

from ..state.near_cache import COPY_LASTS
from .server_connection import Connection
from .verbs import Notice

ACKNOWLEDGE_SECONDS: Final = 0.5
"""Time for a worker to acknowledge a notice, and after which a lease that it believes in has run
out. Longer than `near_cache.LEASE_LASTS`. With `storage.PATIENCE`, shorter than the time for which
a worker waits for a reply: otherwise the others would believe that the daemon is what has
stopped."""

NOTED_SECONDS: Final = COPY_LASTS + ACKNOWLEDGE_SECONDS
"""The least time for which a request is noted, and a period; the most is two periods."""

MOST: Final = 16 * 1024
"""Most accounts noted in one period, and half of the most that are noted at all: 3.3 MB. With
more, all workers drop all their copies, once for so many accounts: copies are of little use where
hardly any account is asked for twice."""


class Tracking:
    """A `state.storage.Tracking` for connections; `now` is the clock of `Connection.asked_at`."""

    def __init__(self, now: Callable[[], float] = perf_counter) -> None:
        self._now = now
        # The connections that keep near copies, by a bit of their own; and the bits of those that
        # have read an account, noted in this period or in the one before it.
        self._members: dict[int, Connection] = {}
        self._recent: dict[bytes, int] = {}
        self._older: dict[bytes, int] = {}
        self._ends_at = 0.0
        self._number = 0
        # By then no connection that has gone has a lease, those of an earlier daemon included.
        self._settled_at = now() + ACKNOWLEDGE_SECONDS
        # For each that waits: the number that a connection has yet to acknowledge.
        self._waiting: dict[asyncio.Future[None], dict[Connection, int]] = {}

    def join(self, connection: Connection) -> None:
        """Track a connection: its worker keeps near copies."""
        if not connection.near:
            bit = 1
            while bit in self._members:
                bit <<= 1
            connection.near = bit
            self._members[bit] = connection

    def leave(self, connection: Connection) -> None:
        """Name nothing more to a connection that ends, but wait until its lease has run out."""
        if self._members.pop(connection.near, None) is not None:
            connection.near = 0
            over = connection.asked_at + ACKNOWLEDGE_SECONDS
            self._settled_at = max(self._settled_at, over)
            self._hear(connection, self._number)

    def read(self, connection: Connection, account: bytes) -> None:
        """Note that an account is about to be read for a connection that is tracked."""
        if self._now() >= self._ends_at:
            self._turn()
        recent = self._recent
        recent[account] = recent.get(account, 0) | connection.near
        if len(recent) > MOST:
            self.changed(None)

    def changed(self, account: bytes | None) -> None:
        """As `state.storage.Tracking.changed`."""
        if account is None:
            bits = -1
            self._recent, self._older = {}, {}
        else:
            bits = self._recent.pop(account, 0) | self._older.pop(account, 0)
            if not bits:
                return
        self._number += 1
        notice = Notice("changed", (account, self._number))
        for bit, connection in self._members.items():
            if bits & bit:
                connection.named = self._number
                connection.send(notice)
                connection.flush()

    async def acknowledged(self) -> None:
        """As `state.storage.Tracking.acknowledged`."""
        late = {one: one.named for one in self._members.values() if one.acknowledged < one.named}
        if late:
            await self._heard(late)
        if self._settled_at > self._now():
            await asyncio.sleep(self._settled_at - self._now())

    async def _heard(self, late: dict[Connection, int]) -> None:
        """Return when the connections have acknowledged these numbers; end those that do not."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = late
        try:
            await asyncio.wait([future], timeout=ACKNOWLEDGE_SECONDS)
        finally:
            del self._waiting[future]
        for connection in late:
            self.leave(connection)
            connection.kick()

    def acknowledge(self, connection: Connection, number: int) -> None:
        """Take a worker's word that it has taken all notices up to a number."""
        connection.acknowledged = max(connection.acknowledged, min(number, connection.named))
        self._hear(connection, connection.acknowledged)

    def _hear(self, connection: Connection, number: int) -> None:
        for future, late in self._waiting.items():
            if late.get(connection, number + 1) <= number:
                del late[connection]
                if not late and not future.done():
                    future.set_result(None)

    def _turn(self) -> None:
        """Begin a period; what was noted before the last one ended has served its time."""
        now = self._now()
        is_over = now >= self._ends_at + NOTED_SECONDS
        self._older = {} if is_over else self._recent
        self._recent = {}
        self._ends_at = now + NOTED_SECONDS
