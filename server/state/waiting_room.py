"""Who waits, for how long, and who is told what: bounded in number and time."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice, takewhile
from typing import Any, Final

from .decider import Decider
from .limits import Limits, Policy
from .plan import SOON, Overdue
from .storage import Storage
from .turn_taker import TurnTaker
from .vocabulary import (
    GONE,
    PACED,
    Ask,
    Fail,
    Hit,
    Lease,
    Locked,
    Outcome,
    Rejected,
    Unavailable,
    Waiting,
)
from .waiters import Group, Queue, Waiter

MANY: Final = 3
"""So many who wait for one thing from one place make room for others when there is none."""

LOGIN_TOTALS: Final[dict[type, str]] = {
    Hit: "hits_total",
    Rejected: "rejected_total",
    Unavailable: "unavailable_total",
    Locked: "locked_total",
}
"""Under which total an answer to who asked for a session is counted; a lease is none of them."""

ANSWER_TOTALS: Final[dict[type, str]] = {
    Hit: "answers_hits_total",
    Unavailable: "answers_unavailable_total",
}
"""The same for an answer."""


class WaitingRoom(ABC):
    """See above.

    Args:
        storage: Where accounts are.
        limits: Numbers and times.
        policy: Budgets of wrong passwords.
        random: Returns so many random bytes.

    Attributes:
        totals: Counts since start.
        waiters: Those without an answer, in the order of their coming.
        turns: Takes turns.
        decider: Decides.
    """

    def __init__(
        self,
        storage: Storage,
        limits: Limits,
        policy: Policy,
        random: Callable[[int], bytes],
    ) -> None:
        self.totals: dict[str, int] = {}
        self.waiters: OrderedDict[Waiter, None] = OrderedDict()
        self.turns = TurnTaker(storage, limits, random, lambda group: self._wake(group.queue))
        self.decider = Decider(storage, limits, policy, random, self.turns.paced)
        self._storage = storage
        # Groups whose pair may not be looked at yet, by their source.
        self._unseen: dict[str, dict[Group, None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None

    @abstractmethod
    def submit(self, account: bytes, request: Any, waiter: Waiter | None) -> None:
        """Have something decided for an account."""

    @abstractmethod
    def waiting(self) -> list[Group]:
        """Return the groups of those who wait."""

    @abstractmethod
    def _wake(self, queue: Queue) -> None:
        """Have those of an account looked at again."""

    @abstractmethod
    def _queue_of(self, account: bytes) -> Queue | None:
        """Return what goes on for an account."""

    def withdraw(self, waiter: Waiter) -> None:
        """End the wait of somebody without an answer."""
        waiter.done = True
        self.waiters.pop(waiter, None)
        group = waiter.group
        if group is None:
            return
        group.waiters.pop(waiter, None)
        if not group.waiters:
            self._drop(group)
            self._wake(group.queue)

    def give_up(self, token: bytes) -> None:
        """Give back a lease of this process undecided; the next who waits gets one."""
        held = self.decider.leases.get(token)
        if held is not None:
            space: Any = held.space
            fail = Fail(space, held.account, held.key, token, GONE, 0.0)
            self.submit(held.account, fail, None)

    def void_leases(self) -> None:
        """Take away all leases of this process: what they bring was begun before a flush."""
        for held in self.decider.leases.values():
            self.count(held.lost)
            if held.ticket is not None:
                self.turns.leave(held.ticket, used=True)
        self.decider.leases.clear()

    def overdue(self, waiters: list[Waiter]) -> None:
        """Tell some that the wait was too long; what their logins were, nobody judges.

        Not those who have their answer by then: whoever goes may let the next have its turn.
        """
        groups: dict[Group, None] = {}
        for waiter in waiters:
            if waiter.done:
                continue
            group = waiter.group
            is_login = group is not None and group.credential is not None
            ahead = 0 if group is None else len(group.queue.groups)
            self.withdraw(waiter)
            seconds = self.turns.paced() if is_login else max(SOON, ahead * self.decider.limits.gap)
            self.count("unavailable_total" if is_login else "answers_unavailable_total")
            waiter.reply(Unavailable(PACED, seconds))
            if group is not None:
                groups[group] = None
        for group in groups:
            if group.credential is not None:
                self.submit(group.queue.account, Overdue(group.credential), None)

    def count(self, name: str, count: int = 1) -> None:
        """Count something for the statistics."""
        self.totals[name] = self.totals.get(name, 0) + count

    # How it works.

    def _arm(self) -> None:
        """Set the timer to when somebody has waited for too long, or a lease is over."""
        ends = [one.deadline for one in islice(self.waiters, 1)]
        ends += [one.until for one in islice(self.decider.leases.values(), 1)]
        due = min(ends, default=None)
        if due == self._due:
            return
        self._due = due
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            delay = max(0.001, due - self._storage.now())
            self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self._due, now = None, self._storage.now()
        overdue = list(takewhile(lambda one: one.deadline <= now, self.waiters))
        if overdue:
            self.overdue(overdue)
        self._end_leases()
        self._arm()

    def _end_leases(self) -> None:
        """Take away the leases whose time is over."""
        now = self._storage.now()
        leases = self.decider.leases
        while leases and (held := next(iter(leases.values()))).until <= now:
            del leases[next(iter(leases))]
            self.count(held.lost)
            if held.ticket is not None:
                self.turns.leave(held.ticket, used=True)
            queue = self._queue_of(held.account)
            if queue is not None:
                self._wake(queue)

    def _make_room(self) -> bool:
        """Send somebody away for another who waits; False if there is nobody.

        First who may not even be looked at, then the newest of those who came in the greatest
        number for one thing from one place.
        """
        unseen = next((one for groups in self._unseen.values() for one in groups), None)
        group = unseen or max(self.waiting(), key=lambda one: len(one.waiters), default=None)
        if group is None or (unseen is None and len(group.waiters) < MANY):
            return False
        self.overdue([next(reversed(group.waiters))])
        return True

    def _tell_waiting(self, waiter: Waiter) -> None:
        if waiter.waits or waiter.done:
            return
        if len(self.waiters) > self.decider.limits.waiters and not self._make_room():
            self.overdue([waiter])
        elif not waiter.done:
            waiter.waits = True
            group = waiter.group
            is_login = group is not None and group.credential is not None
            self.count("waits_total" if is_login else "fetches_waits_total")
            waiter.reply(Waiting())

    def _tell(self, waiter: Waiter, outcome: Outcome) -> None:
        self.waiters.pop(waiter, None)
        if waiter.group is not None:
            waiter.group.waiters.pop(waiter, None)
            waiter.group = None
        if waiter.done:
            # Withdrawn meanwhile: what it would have got goes to the next.
            if isinstance(outcome, Lease):
                self.give_up(outcome.token)
            return
        waiter.done = True
        self._count_outcome(waiter, outcome)
        waiter.reply(outcome)

    def _drop(self, group: Group) -> None:
        """Take a group out of its queue, and out of the turns."""
        if group.queue.groups.get(group.place) is group:
            del group.queue.groups[group.place]
        self._forget_unseen(group)
        if group.ticket is not None:
            self.turns.leave(group.ticket, used=False)
            group.ticket = None

    def _forget_unseen(self, group: Group) -> None:
        if group.credential is None:
            return
        groups = self._unseen.get(group.credential.source)
        if groups is not None:
            groups.pop(group, None)
            if not groups:
                del self._unseen[group.credential.source]

    def _count_outcome(self, waiter: Waiter, outcome: Outcome) -> None:
        request = waiter.request
        if not isinstance(request, Ask):
            return
        names = ANSWER_TOTALS if request.space == "answer" else LOGIN_TOTALS
        name = names.get(type(outcome))
        if name is not None:
            self.count(name)
