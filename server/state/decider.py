"""Decides, within a round, about requests that may have to wait: for a session, answer or turn.

The decisions themselves are in `logins`, `leases` and `locks`. Here they get the values they need,
and their consequences are left to the transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from . import leases, locks, spraying
from .account import AccountState
from .leases import Later, Wait
from .limits import Context
from .logins import Credential, Login, Step
from .storage import Answer, Room, Storage, of_account
from .transaction import Transaction
from .vocabulary import PACED, SOON, Ask, Hit, Lease, Locked, Outcome, Turn, Unavailable
from .waiters import Group, Queue, Waiter
from .waiting_room import LeaseRecord, WaitingRoom


@dataclass
class Listeners:
    """Called when no crash can undo the change, and before any reply that shows it.

    Attributes:
        dropped: With the account of which something was dropped on purpose, None for all; and with
            its budget key if it was erased.
        unlocked: With the budget key or source whose failures were forgotten; None for all.
        changed: In a worker: with an account of which the daemon has changed anything, None for
            all. Near copies of it end.
    """

    dropped: Callable[[bytes | None, bytes | None], object] = lambda _account, _budget: None
    unlocked: Callable[[bytes | None, str | None], object] = lambda _budget, _source: None
    changed: Callable[[bytes | None], object] = lambda _account: None


@dataclass(slots=True)
class Decider:
    """Decides on the values of one transaction.

    Until that is swapped, decisions change no group: meanwhile a group may get its turn or be
    withdrawn, and the swap may be lost.

    Attributes:
        queue: Of the account; `state` is its state.
        looked: Groups that go on waiting, with the last decision about each.
        tokens: Leases that groups wait for since these decisions.
        answered: Groups that no longer wait.
        due: When the groups are to be looked at again, if nothing happens before.
    """

    storage: Storage
    room: WaitingRoom
    listeners: Listeners
    queue: Queue
    transaction: Transaction
    state: AccountState
    looked: dict[Group, Lease | Step | Later | Wait] = field(default_factory=dict)
    tokens: dict[Group, bytes] = field(default_factory=dict)
    answered: set[Group] = field(default_factory=set)
    due: float | None = None

    @property
    def account(self) -> bytes:
        """The account's key."""
        return self.queue.account

    @property
    def context(self) -> Context:
        """What decisions know besides the values."""
        return self.transaction.context

    async def decide(self, group: Group) -> None:
        """Decide about a group, unless this round has answered it or it was withdrawn."""
        if group in self.answered or not group.waiters:
            return
        if group.credential is not None:
            outcome = await self._decide_login(group, group.credential)
        else:
            outcome = await self._decide_answer(group)
        if isinstance(outcome, (Step, Later, Wait)):
            self._wait(group, outcome)
        elif isinstance(outcome, Lease):
            self._grant(group, outcome)
        else:
            self.answer_all(group, outcome)

    async def begin_logins(self) -> None:
        """Grant leases for logins that need not wait for their turns.

        Not where turns are shared, as a round whose swap is lost would take them all the same; and
        not after a decision that may change the order of turns.
        """
        if self.storage.is_shared or self.transaction.has_effects or self._leavers():
            return
        woken = self.queue.woken
        joined = self._join_turns()
        self.queue.woken = woken  # by its own turns
        for group in joined:
            if self.room.turns.served(group.ticket) is not None:
                await self.decide(group)

    def settle(self) -> None:
        """Carry out what follows from the round, once all is swapped.

        A login joins the turns only after everything the round found out about sources is noted,
        and no waiter that has its turn by then is sent `Waiting`.
        """
        self.transaction.committed()
        for group, token in self.tokens.items():
            group.token = token
        for group in self._leavers():
            self.room.leave_turn(group)
        for source in self.transaction.forgiven:
            self.room.turns.forgive(source)
        for group in self.answered:
            self.room.drop(group)
        waiting = [one for one in self.looked if one not in self.answered and one.waiters]
        for group in waiting:
            if self.looked[group] is Step.ROOM:
                self.room.note_unseen(group)
            else:
                group.seen = True
                self.room.note_seen(group)
        self._join_turns()
        if not self.queue.woken:  # else they may have an answer in the next round
            for group in waiting:
                self.room.reply_all_waiting(group)
        self.room.wake_unseen(self.transaction.freed, self.queue)

    def _join_turns(self) -> list[Group]:
        """Have groups wait for their turns to log in, if they do not yet, and return them."""
        joined = []
        for group, lacks in self.looked.items():
            wants = lacks is Step.TURN and group.ticket is None and group not in self.answered
            if wants and group.waiters and group.credential is not None:
                group.seen = True
                counted = self.transaction.states[group.credential.budget]
                self.room.turns.join(group, (self.state, counted), self.context.policy)
                joined.append(group)
        return joined

    # Consequences of a decision.

    def reply(self, waiter: Waiter, outcome: Outcome) -> None:
        """Reply to a request; at once if the outcome reports nothing that must survive a crash."""
        reply = partial(self.room.reply, waiter, outcome)
        if isinstance(outcome, Turn):
            self.transaction.on_commit(reply)
        else:
            self.transaction.on_durable(reply)

    def answer_all(self, group: Group, outcome: Any) -> None:
        """Give all waiters of a group the same outcome."""
        self.answered.add(group)
        for waiter in group.waiters:
            self.reply(waiter, outcome)

    def end_lease(self, token: bytes, *, lost: bool) -> None:
        """End a lease of this process, if it is one; `lost` if it was not fulfilled."""
        self.transaction.on_commit(partial(self.room.end_lease, token, lost=lost))

    def drop(self, budget: bytes | None = None) -> None:
        """Announce that something of the account was dropped on purpose.

        `budget` is the budget key of an account that was erased.
        """
        self.transaction.drops = True
        self.transaction.erased = budget or self.transaction.erased
        self.transaction.on_durable(partial(self.listeners.dropped, self.account, budget))

    def store_answer(self, key: bytes, value: bytes, ttl: float, room: Room) -> None:
        """Store an answer of the account for `ttl` seconds."""
        now, generation = self.context.now, leases.name_generation(self.state, self.context)
        self.transaction.answers[key] = Answer(value, now + ttl, now, generation), room

    def give_up_guess(self, counted: AccountState, credential: Credential) -> None:
        """Count a login that was not made as a failure of its source."""
        locks.undecided(counted, credential.pair, self.context, credential.source)

    def look_at(self, at: float) -> None:
        """Have the groups looked at again at a certain time."""
        self.due = at if self.due is None else min(self.due, at)

    def _wait(self, group: Group, outcome: Step | Later | Wait) -> None:
        self.looked[group] = outcome
        if isinstance(outcome, Later):
            self.look_at(outcome.at)
        elif isinstance(outcome, Wait):
            self.tokens[group] = outcome.token
            self.look_at(outcome.until)

    def _grant(self, group: Group, lease: Lease) -> None:
        """Grant a lease to the first of a group; the others wait for it."""
        first, *others = group.waiters
        if others:
            self.looked[group] = lease
        else:
            self.answered.add(group)
        self.transaction.on_commit(partial(self._hand_over, group, first, lease))
        pair = group.pair
        for one in self.queue.groups.values():
            # Other sources wait for this very login, and no longer for a turn.
            if one is group or (pair is not None and one.pair == pair):
                self.tokens[one] = lease.token
                if self.looked.get(one) is Step.TURN:
                    self.looked[one] = lease
        self.look_at(self.context.now + lease.lasts)
        self.transaction.counts["fetches_total" if pair is None else "leases_granted_total"] += 1

    def _hand_over(self, group: Group, first: Waiter, lease: Lease) -> None:
        """Give a lease to a waiter; the group's turn, if it still has it, belongs to the lease."""
        assert isinstance(group.request, Ask)
        record = LeaseRecord(group.request, group.credential, group.ticket, first.holder)
        group.ticket = None
        self.room.grant(first, lease, record)

    def _leavers(self) -> list[Group]:
        """Return the groups with a ticket that wait for something else by now."""
        decided = {**self.tokens, **self.looked}
        return [one for one in decided if one.ticket and self.looked.get(one) is not Step.TURN]

    def _waited(self, group: Group) -> bytes | None:
        """Return the token of the lease that a group waits for, or has waited for."""
        return self.tokens.get(group, group.token)

    # Decisions.

    async def _decide_login(self, group: Group, credential: Credential) -> Any:
        context, transaction = self.context, self.transaction
        source, budget = credential.source, credential.budget
        login = Login(credential, self.state, await transaction.load(budget), context)
        if not login.attempt.known and spraying.has_budget(source, context.policy):
            await transaction.load_source(source)
        standing = transaction.standing(source, budget)
        waited, served = self._waited(group), self.room.turns.served(group.ticket)
        outcome = login.ask(standing, waited=waited, seen=group.seen, turn=bool(served))
        if outcome is Step.TURN and served is False:
            self.give_up_guess(login.counted, credential)
            outcome = Unavailable(PACED, self.room.turns.paced())
        if isinstance(outcome, Hit):
            self.storage.touch(of_account(self.account), context.now)
        elif not (group.seen or isinstance(outcome, Locked) or outcome is Step.ROOM):
            transaction.counts["misses_total"] += 1
        return outcome

    async def _decide_answer(self, group: Group) -> Any:
        if not isinstance(group.request, Ask):
            outcome: Any = leases.ask_turn(self.state, self.context)
        else:
            key = group.request.key
            outcome = await self.answer(key) or leases.ask_answer(
                self.state, key, self.context, waited=self._waited(group)
            )
        if isinstance(outcome, Later):
            limits = self.context.limits
            groups = self.queue.groups.values()
            ahead = sum(one.awaits_gap and one not in self.tokens for one in groups) - 1
            if ahead * limits.gap >= limits.longest_wait:
                return Unavailable(PACED, max(SOON, ahead * limits.gap))
        return outcome

    async def answer(self, key: bytes) -> Hit | None:
        """Return the answer to a question about the account, if there is one."""
        written = self.transaction.answers.get(key)
        answer = await self.storage.read(self.account, key) if written is None else written[0]
        now = self.context.now
        if answer is None or answer.generation != self.state.generation or answer.expires <= now:
            return None
        return Hit(answer.value, answer.expires - now)
