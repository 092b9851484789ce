"""The waiters and the leases of this process, bounded in number and time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from itertools import islice, takewhile
from typing import Any, Final, NamedTuple

from . import vocabulary
from .limits import Limits, plain
from .logins import Credential
from .storage import Storage
from .turn_taker import TurnTaker
from .vocabulary import PACED, SOON, Ask, Away, Fail, Hit, Lease, Outcome, Unavailable, Waiting
from .waiters import Group, Queue, Waiter

MANY: Final = 3
"""A group of so many waiters gives one up when there is no room."""

TOTALS: Final = (
    *("hits_total", "misses_total", "rejected_total", "unavailable_total", "locked_total"),
    *("flushed_total", "leases_granted_total", "leases_lost_total", "waits_total"),
    *("answers_hits_total", "answers_unavailable_total", "fetches_total", "fetches_lost_total"),
    *("rounds_total", "swaps_lost_total", "expired_total", "fetches_waits_total"),
)
"""What is counted since start."""

COUNTED: Final[dict[str, dict[type, str]]] = {
    "login": {
        Hit: "hits_total",
        vocabulary.Rejected: "rejected_total",
        Unavailable: "unavailable_total",
        vocabulary.Locked: "locked_total",
    },
    "answer": {Hit: "answers_hits_total", Unavailable: "answers_unavailable_total"},
}
"""The total that an outcome of an `Ask` is counted in; none for a lease."""


class Abandoned(NamedTuple):
    """An internal request: a login is no longer waited for, and will not be judged."""

    credential: Credential


class LeaseRecord(NamedTuple):
    """A lease of a client of this process; a login has a credential and the ticket of its turn.

    It lasts `until`, on the clock of `WaitingRoom.now`.
    """

    request: Ask
    credential: Credential | None
    ticket: bytes | None
    holder: Hashable
    until: float = 0.0


class WaitingRoom:
    """All unanswered requests of this process, and the leases of its clients.

    `wake` has the groups of a queue looked at again; `submit` has something decided for an account.

    Attributes:
        turns: Takes turns to log in; has the current limits.
        totals: Counts since start.
        waiters: Unanswered ones, in the order of their arrival.
        leases: By token, the oldest first.
    """

    def __init__(
        self,
        storage: Storage,
        limits: Limits,
        random: Callable[[int], bytes],
        wake: Callable[[Queue], None],
        submit: Callable[[bytes, Any], None],
    ) -> None:
        self.turns = TurnTaker(
            *(storage, limits, random, lambda group: wake(group.queue)),
            *(self.reply_all_waiting, self._reply_away),
        )
        self.totals = dict.fromkeys(TOTALS, 0)
        self.waiters: OrderedDict[Waiter, None] = OrderedDict()
        self.leases: dict[bytes, LeaseRecord] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = wake
        self._submit = submit
        # Groups whose pair may not be compared yet, by source.
        self._unseen: dict[str, dict[Group, None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due: float | None = None

    def groups(self) -> list[Group]:
        """Return the groups of all waiters, in the order of their arrival."""
        groups = dict.fromkeys(waiter.group for waiter in self.waiters)
        return [group for group in groups if group is not None]

    # Replies.

    def reply(self, waiter: Waiter, outcome: Outcome) -> None:
        """Answer a request; if it was withdrawn, a lease goes to the next."""
        self.waiters.pop(waiter, None)
        if waiter.group is not None:
            waiter.group.waiters.pop(waiter, None)
            waiter.group = None
        if not waiter.done:
            waiter.done = True
            if isinstance(waiter.request, Ask):
                name = COUNTED[waiter.request.space].get(type(outcome))
                if name is not None:
                    self.totals[name] += 1
            waiter.reply(outcome)
        elif isinstance(outcome, Lease):
            self.give_up(outcome.token)

    def reply_waiting(self, waiter: Waiter) -> None:
        """Reply `Waiting`, once; if too many wait, one of them is refused."""
        if waiter.waits or waiter.done:
            return
        if len(self.waiters) > self.turns.limits.waiters and not self._make_room():
            self._send_away([waiter])
        elif not waiter.done:
            waiter.waits = True
            is_login = waiter.group is not None and waiter.group.credential is not None
            self.totals["waits_total" if is_login else "fetches_waits_total"] += 1
            waiter.reply(Waiting())

    def reply_all_waiting(self, group: Group) -> None:
        """Reply `Waiting` to all of a group, unless it is soon known that they need not wait."""
        for waiter in () if self.turns.is_joining(group) else list(group.waiters):
            self.reply_waiting(waiter)

    def _reply_away(self, group: Group) -> None:
        """Reply to all of a group that the storage is away."""
        waiters, group.ticket = list(group.waiters), None
        self.drop(group)
        for waiter in waiters:
            self.reply(waiter, Away())

    def withdraw(self, waiter: Waiter) -> None:
        """End the wait of a request without an answer."""
        waiter.done = True
        self.waiters.pop(waiter, None)
        group = waiter.group
        if group is None:
            return
        group.waiters.pop(waiter, None)
        if not group.waiters:
            self.drop(group)
            self._wake(group.queue)

    def drop(self, group: Group) -> None:
        """Take a group out of its queue and out of the turns."""
        if group.queue.groups.get(group.place) is group:
            del group.queue.groups[group.place]
        self.note_seen(group)
        self.leave_turn(group)

    def leave_turn(self, group: Group) -> None:
        """End a group's wait for its turn, or a turn that it does not use."""
        if group.ticket is not None:
            self.turns.leave(group.ticket, used=False)
            group.ticket = None

    def _send_away(self, waiters: list[Waiter]) -> None:
        """Refuse waiters that have waited for too long; their logins will not be judged.

        Not those answered meanwhile: the end of one wait may let the next have its turn.
        """
        groups: dict[Group, None] = {}
        for waiter in waiters:
            group = waiter.group
            if waiter.done or group is None:
                continue
            is_login = group.credential is not None
            ahead = len(group.queue.groups)
            self.withdraw(waiter)
            seconds = self.turns.paced() if is_login else max(SOON, ahead * self.turns.limits.gap)
            self.totals["unavailable_total" if is_login else "answers_unavailable_total"] += 1
            waiter.reply(Unavailable(PACED, seconds))
            groups[group] = None
        for group in groups:
            if group.credential is not None:
                self._submit(group.queue.account, Abandoned(group.credential))

    def _make_room(self) -> bool:
        """Refuse one waiter to make room for another; False if there is none.

        First one whose pair may not be compared yet, then the newest of the largest group.
        """
        unseen = next((one for groups in self._unseen.values() for one in groups), None)
        group = unseen or max(self.groups(), key=lambda one: len(one.waiters), default=None)
        if group is None or (unseen is None and len(group.waiters) < MANY):
            return False
        self._send_away([next(reversed(group.waiters))])
        return True

    # Logins whose pairs may not be compared yet.

    def note_unseen(self, group: Group) -> None:
        """Have a login looked at again when its source has room in its budget."""
        if group.waiters and group.credential is not None:
            self._unseen.setdefault(group.credential.source, {})[group] = None

    def note_seen(self, group: Group) -> None:
        """Take that back."""
        if group.credential is None:
            return
        groups = self._unseen.get(group.credential.source)
        if groups is not None:
            groups.pop(group, None)
            if not groups:
                del self._unseen[group.credential.source]

    def wake_unseen(self, sources: set[str], queue: Queue) -> None:
        """Have the logins of some sources looked at again in all queues but one."""
        for source in sources:
            for group in list(self._unseen.get(source, ())):
                if group.queue is not queue:
                    self._wake(group.queue)

    # Leases.

    def grant(self, waiter: Waiter, lease: Lease, record: LeaseRecord) -> None:
        """Give a lease to a waiter."""
        self.leases[lease.token] = record._replace(until=self.now() + lease.lasts)
        self.reply(waiter, lease)

    def give_up(self, token: bytes) -> None:
        """Give back a lease undecided; the next waiter gets one."""
        record = self.leases.get(token)
        if record is not None:
            space, account, key = record.request.space, record.request.account, record.request.key
            self._submit(plain(account), Fail(space, account, key, token, vocabulary.GONE, 0.0))

    def end_lease(self, token: bytes, *, lost: bool = False) -> None:
        """Note that a lease has ended; `lost` if it was not fulfilled."""
        record = self.leases.pop(token, None)
        if record is None:
            return
        if lost:
            is_login = record.credential is not None
            self.totals["leases_lost_total" if is_login else "fetches_lost_total"] += 1
        if record.ticket is not None:
            self.turns.leave(record.ticket, used=True)

    def expire_leases(self) -> None:
        """End the leases whose time is over; queues have timers of their own for their groups."""
        now = self.now()
        while self.leases and next(iter(self.leases.values())).until <= now:
            self.end_lease(next(iter(self.leases)), lost=True)

    # Time, on the loop's clock: callers must not wait longer when the storage's is set back.

    def now(self) -> float:
        """Return seconds on the clock of deadlines, which never goes back."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop.time()

    def arm(self) -> None:
        """Set the timer for the next waiter's deadline or the next end of a lease."""
        ends = [one.deadline for one in islice(self.waiters, 1)]
        ends += [one.until for one in islice(self.leases.values(), 1)]
        due = min(ends, default=None)
        if due != self._due:
            self._set_timer(due)

    def _set_timer(self, due: float | None) -> None:
        self._due = due
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            delay = max(0.001, due - self.now())
            self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def close(self) -> None:
        """Stop the timer and the turns."""
        self._set_timer(None)
        self.turns.close()

    def _tick(self) -> None:
        self._due, now = None, self.now()
        self._send_away(list(takewhile(lambda one: one.deadline <= now, self.waiters)))
        self.expire_leases()
        self.arm()
