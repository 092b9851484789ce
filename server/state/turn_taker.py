"""Takes turns to log in for this process; joins and leaves of one turn of the loop are one step.

Where processes share a storage, the turns are a value in it, and a step is a swap. Otherwise only
this process knows them, and a step stores nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from . import clock_step, locks, spraying
from .account import AccountState
from .limits import Limits, Policy
from .storage import POLL_SECONDS, TAG_BYTES, TURNS, Entry, Kind, Storage, StorageAway
from .turns import MARGIN, MAX_FAILED, Path, Place, Rank, Turns
from .unreadable_log import UnreadableLog
from .waiters import Group, start

TICKET_BYTES = 8

FOREVER = 7 * 86400.0
"""Seconds for which the value of turns lasts: much longer than anything in it matters."""


class Joined(NamedTuple):
    """A group that waits for its turn, and its place as it joined."""

    group: Group
    place: Place


class TurnTaker:
    """The turns of this process.

    `on_served` is called with a group that has a turn or is refused one, `waits` with one that has
    to wait for it, and `away` with one that cannot, as the storage is away.
    """

    def __init__(
        self,
        storage: Storage,
        limits: Limits,
        random: Callable[[int], bytes],
        on_served: Callable[[Group], None],
        waits: Callable[[Group], None],
        away: Callable[[Group], None],
    ) -> None:
        self.limits = limits
        self._storage = storage
        self._random = random
        self._on_served = on_served
        self._waits = waits
        self._away = away
        self._groups: dict[bytes, Joined] = {}
        # Tickets of joins that are not stored yet, where processes share the turns.
        self._joining: set[bytes] = set()
        # Tickets of the turns that this process has.
        self._taken: set[bytes] = set()
        # For the next step: joins, ends (and whether the turn was used), and news of sources, in
        # the order of arrival.
        self._joins: dict[bytes, Place] = {}
        self._left: dict[bytes, bool] = {}
        self._news: list[Callable[[Turns, float], None]] = []
        self._unreadable = UnreadableLog()
        self._turns = Turns()
        self._data: bytes | None = None
        self._running = self._scheduled = False
        # Whether another process may have changed the turns since they were loaded.
        self._changed = False
        self._timer: asyncio.TimerHandle | None = None
        self._watching: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many wait for a turn, as far as this process knows."""
        return len(self._turns.waiting) + len(self._joins)

    def paced(self) -> float:
        """Return the seconds after which a login behind all others would have its turn."""
        count = max(1, self.waiting)
        return max(1.0, self._turns.ready_at(self.limits, count) - self._storage.now())

    def use(self, limits: Limits) -> None:
        """Replace the pace; what was used of the old one stays used."""
        now = self._storage.now()
        owed = max(0.0, self._turns.full_at - now) * self.limits.logins_per_second
        self._turns.full_at = now + owed / limits.logins_per_second
        self.limits = limits
        self._schedule()

    def join(self, group: Group, states: tuple[AccountState, AccountState], policy: Policy) -> None:
        """Have a group wait for its turn; `states` are those of its account and budget key."""
        credential = group.credential
        assert credential is not None
        now, source = self._storage.now(), credential.source
        rank = Rank.ALONE
        if credential.is_known(states[0], now) or credential.is_right(states[0], now):
            rank = Rank.KNOWN
        elif locks.is_suspect(states[1], source):
            rank = Rank.SUSPECT
        path, shared = spraying.path_of(source, policy), spraying.is_shared(source, policy)
        until = now + self.limits.longest_wait + MARGIN
        ticket = group.ticket = self._random(TICKET_BYTES)
        place = Place(ticket, self._storage.owner, credential.pair, path, shared, rank, until)
        self._groups[ticket] = Joined(group, place)
        self._joins[ticket] = place
        if self._storage.is_shared:
            self._joining.add(ticket)
        if self._turns.waiting or len(self._joins) > 1:
            self._schedule()  # with all others of this turn of the loop
        else:
            self._run()

    def served(self, ticket: bytes | None) -> bool | None:
        """Return whether a ticket has its turn; False if it was refused one, None before.

        It stands here alone: a copy at the group could be lost with a swap.
        """
        if ticket is None or ticket in self._groups:
            return None
        return ticket in self._taken

    def is_joining(self, group: Group) -> bool:
        """Return whether it is not known yet if a group has to wait for its turn."""
        return group.ticket in self._joining

    def leave(self, ticket: bytes, *, used: bool) -> None:
        """End a wait, or a turn."""
        self._groups.pop(ticket, None)
        self._taken.discard(ticket)
        self._joining.discard(ticket)
        self._joins.pop(ticket, None)
        self._left[ticket] = used
        self._schedule()

    def rejected(self, path: Path) -> None:
        """Note that the portal rejected a login from a source."""
        self._news.append(lambda turns, now: turns.rejected(path, now))

    def forgive(self, source: str | None) -> None:
        """Forget that the portal rejected logins of a source; None for all sources."""
        self._news.append(lambda turns, _: turns.forgive(source))
        self._schedule()

    def close(self) -> None:
        """Take no more turns."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()
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
                changes = self._joins, self._left, self._news
                self._joins, self._left, self._news = {}, {}, []
                self._changed = False
                try:
                    await self._step(*changes)
                except StorageAway as exc:
                    self._unreadable.note(exc)
                    self._fail(changes[2])
                    break
                self._report()
                if not (self._joins or self._left or self._news or self._changed):
                    self._set_timer()
                    break
        finally:
            self._running = False

    def _fail(self, news: list[Callable[[Turns, float], None]]) -> None:
        """Let all groups go on without turns, and take the next step soon.

        1. News of sources are applied then. The latest suffice: no more are remembered of them.
        2. Turns that have ended here and not in the storage are found by `_end_unknown`.
        """
        self._news = (news + self._news)[-MAX_FAILED:]
        self._turns, self._data = Turns(), None
        groups, self._groups = self._groups, {}
        for changes in (self._joins, self._left, self._joining):
            changes.clear()
        for one in groups.values():
            self._away(one.group)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(POLL_SECONDS, self._run)

    async def _step(
        self,
        joins: dict[bytes, Place],
        left: dict[bytes, bool],
        news: list[Callable[[Turns, float], None]],
    ) -> None:
        """Apply all changes since the last step; may raise `StorageAway`."""
        storage, changes = self._storage, (joins, left, news)
        if not storage.is_shared:
            self._apply(*changes, frozenset())
            return
        while True:
            data = await storage.load(TURNS)
            if data is None or data != self._data:
                self._turns = Turns.load(data)
            before = self._tickets()
            self._end_unknown()
            others = {one.owner for one in self._places()} - {storage.owner}
            dead = await storage.dead(others) if others else frozenset()
            again = self._lost(joins)
            is_set_back = self._apply({**again, **joins}, left, news, dead)
            if not any(changes) and before == self._tickets() and not is_set_back:
                self._data = data
                return
            new = self._turns.dump(self._random(TAG_BYTES))
            entry = Entry(Kind.LOCKED, FOREVER, wake=True)
            done = await storage.swap(TURNS, data, new, entry)
            self._data = new if done else None
            if done:
                return

    def _apply(
        self,
        joins: dict[bytes, Place],
        left: dict[bytes, bool],
        news: list[Callable[[Turns, float], None]],
        dead: frozenset[bytes],
    ) -> bool:
        """Apply changes; return whether times were corrected as the clock was set back."""
        turns, limits, now = self._turns, self.limits, self._storage.now()
        is_set_back = clock_step.correct_turns(turns, limits, now)
        turns.refresh(now, dead)
        for change in news:
            change(turns, now)
        for ticket, used in left.items():
            turns.leave(ticket, None if used else limits)
        for place in joins.values():
            turns.join(place, limits)
        turns.serve(limits, now)
        return is_set_back

    def _places(self) -> list[Place]:
        return [*self._turns.waiting.values(), *self._turns.running.values()]

    def _tickets(self) -> tuple[set[bytes], set[bytes]]:
        return set(self._turns.waiting), set(self._turns.running)

    def _end_unknown(self) -> None:
        """End what stands there as this process's and is not: its end could not be stored.

        Otherwise four such turns would stop all logins for as long as a turn lasts.
        """
        known = self._groups.keys() | self._taken
        for one in self._places():
            if one.owner == self._storage.owner and one.ticket not in known:
                self._turns.leave(one.ticket)

    def _lost(self, joins: dict[bytes, Place]) -> dict[bytes, Place]:
        """Return the places of groups that joined before, wait, and do not stand there any more.

        They join again, by the rules for all joins:

        1. The value was lost, or another process took this one for dead: they go on waiting.
        2. Another process needed their room: they are refused, unless there is room by now.
        """
        there = {one.ticket for one in self._places()} | joins.keys() | self._joins.keys()
        now = self._storage.now()
        waiting = (one.place for one in self._groups.values())
        return {one.ticket: one for one in waiting if one.ticket not in there and one.until > now}

    def _report(self) -> None:
        """Report groups that wait no longer: they have their turn, or are refused one."""
        waiting, joining = self._turns.waiting, self._joins
        # Another process may have given them their turns, or refused them for its own logins.
        for ticket in [one for one in self._groups if one not in waiting and one not in joining]:
            one = self._groups.pop(ticket, None)
            if one is not None:
                if ticket in self._turns.running:
                    self._taken.add(ticket)
                self._on_served(one.group)
        stored = self._joining - joining.keys()
        self._joining -= stored
        for group in [self._groups[one].group for one in stored if one in self._groups]:
            self._waits(group)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._turns.due(self.limits)
        if due is not None:
            delay = max(0.001, due - self._storage.now())
            self._timer = asyncio.get_running_loop().call_later(delay, self._run)
        if self._groups and self._storage.is_shared and self._watching is None:
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        """Look at what other processes change, as long as anybody waits here."""
        async with self._storage.watch(TURNS) as changed:
            while self._groups:
                await changed(POLL_SECONDS)
                self._changed = True
                self._schedule()
        self._watching = None
