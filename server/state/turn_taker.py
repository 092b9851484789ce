"""Takes turns to log in for this process: joins and leaves of one loop round are one swap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from . import locks, logins, spraying
from .account import AccountState
from .limits import Limits, Policy
from .storage import TAG_BYTES, TURNS, Entry, Kind, Storage, StorageAway
from .turns import Path, Place, Rank, Turns
from .waiters import Group, start

TICKET_BYTES = 8

FOREVER = 7 * 86400.0
"""Seconds for which the value of turns is kept: much longer than anything in it matters."""

LOOK_SECONDS = 0.5
"""How often a value is looked at that other processes change: wake-ups may get lost."""


class _Left(NamedTuple):
    """A wait or turn that has ended, and whether the turn was used."""

    ticket: bytes
    used: bool


class TurnTaker:
    """All that this process has to do with turns.

    Args:
        storage: Where they are.
        limits: The pace.
        random: Returns so many random bytes.
        served: Called with a group that has its turn, or is sent away.
    """

    def __init__(
        self,
        storage: Storage,
        limits: Limits,
        random: Callable[[int], bytes],
        served: Callable[[Group], None],
    ) -> None:
        self.limits = limits
        self._storage = storage
        self._random = random
        self._served = served
        self._groups: dict[bytes, Group] = {}
        self._joins: list[Place] = []
        self._left: list[_Left] = []
        # What became of sources, in the order in which it came to be known.
        self._news: list[Callable[[Turns, float], None]] = []
        self._turns = Turns()
        self._data: bytes | None = None
        self._running = self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many wait for a turn, as far as this process knows."""
        return len(self._turns.waiting) + len(self._joins)

    def paced(self) -> float:
        """Return the seconds after which one who waits behind all others would have a turn."""
        count = max(1, self.waiting)
        return max(1.0, self._turns.ready_at(self.limits, count) - self._storage.now())

    def use(self, limits: Limits) -> None:
        """Go by another pace from now on; what was used of the old one is forgiven no one."""
        now = self._storage.now()
        owed = max(0.0, self._turns.full_at - now) * self.limits.logins_per_second
        self._turns.full_at = now + owed / limits.logins_per_second
        self.limits = limits
        self._schedule()

    def join(self, group: Group, states: tuple[AccountState, AccountState], policy: Policy) -> None:
        """Have a group wait for its turn.

        Args:
            group: Who.
            states: Of its account, and of the budget key.
            policy: Budgets of wrong passwords.
        """
        credential = group.credential
        assert credential is not None
        now = self._storage.now()
        rank = Rank.ALONE
        if credential.attempt(states[0], now).known or logins.is_right(states[0], credential, now):
            rank = Rank.KNOWN
        elif locks.is_suspect(states[1], credential.source):
            rank = Rank.SUSPECT
        group.ticket = self._random(TICKET_BYTES)
        self._groups[group.ticket] = group
        path = spraying.path_of(credential.source, policy)
        shared = spraying.is_shared(credential.source, policy)
        until = now + self.limits.longest_wait + 5.0
        self._joins.append(
            Place(
                group.ticket,
                self._storage.owner,
                credential.pair,
                path,
                shared,
                rank,
                until,
            )
        )
        if self._turns.waiting or len(self._joins) > 1:
            self._schedule()  # with all others of this loop round
        else:
            self._run()

    def leave(self, ticket: bytes, *, used: bool) -> None:
        """End a wait, or a turn."""
        self._groups.pop(ticket, None)
        self._joins = [one for one in self._joins if one.ticket != ticket]
        self._left.append(_Left(ticket, used))
        self._schedule()

    def rejected(self, path: Path) -> None:
        """Note that the portal rejected a login from somewhere."""
        self._news.append(lambda turns, now: turns.rejected(path, now))

    def forgive(self, source: str | None) -> None:
        """Forget that the portal rejected logins of a source; None for all sources."""
        self._news.append(lambda turns, _: turns.forgive(source))
        self._schedule()

    def close(self) -> None:
        """Take no more turns."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        self._running = True

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def _run(self) -> None:
        self._scheduled = False
        if not self._running:
            self._running = True
            start(self._take_turns(), self._tasks)

    async def _take_turns(self) -> None:
        try:
            while True:
                try:
                    told = await self._once()
                except StorageAway:
                    told = [(ticket, False) for ticket in self._groups]
                    self._data = None
                for ticket, turn in told:
                    group = self._groups.pop(ticket, None)
                    if group is not None:
                        group.served = turn
                        self._served(group)
                if not (self._joins or self._left or self._news):
                    break
        finally:
            self._running = False
        self._set_timer()

    async def _once(self) -> list[tuple[bytes, bool]]:
        """Apply all that is to be done, and return who has a turn and who is sent away."""
        storage, limits = self._storage, self.limits
        joins, self._joins = self._joins, []
        left, self._left = self._left, []
        news, self._news = self._news, []
        while True:
            data = await storage.load(TURNS)
            if data is not self._data or data is None:
                self._turns, self._data = Turns.load(data), data
            turns, now = self._turns, storage.now()
            others = {
                one.owner
                for places in (turns.waiting, turns.running)
                for one in places.values()
                if one.owner != storage.owner
            }
            turns.refresh(now, await storage.dead(others) if others else frozenset())
            for tell in news:
                tell(turns, now)
            for ticket, used in left:
                turns.leave(ticket, None if used else limits)
            for place in joins:
                turns.join(place, limits)
            turns.serve(limits, now)
            new = turns.dump(self._random(TAG_BYTES))
            entry = Entry(Kind.LOCKED, FOREVER, wake=True)
            done, self._data = await storage.swap(TURNS, data, new, entry)
            if done:
                # Another process may have served ours, or sent them away for its own.
                return [
                    (ticket, ticket in turns.running)
                    for ticket in self._groups
                    if ticket not in turns.waiting
                ]
            self._data = None

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._turns.due(self.limits)
        if due is not None:
            delay = max(0.001, due - self._storage.now())
            if self._storage.is_shared:
                delay = min(delay, LOOK_SECONDS)
            self._timer = asyncio.get_running_loop().call_later(delay, self._run)
