"""What a round decides about those who wait, and what comes of it.

The decisions themselves are in `logins`, `answers` and `locks`; here they get the values that they
need, and what they say is noted in a plan. Nothing of it happens before the swaps are made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..sources import is_grant
from . import answers, failures, locks, logins, spraying
from .account import AccountState, Granted
from .answers import Later
from .batch import Batch
from .leases import Context, Wait
from .limits import Limits, Policy, tag
from .logins import Credential, Step
from .plan import SOON, Held, Plan
from .storage import Storage, of_account
from .vocabulary import PACED, Ask, Hit, Lease, Locked, Unavailable, Waiting
from .waiters import Group


class Granter:
    """Decides about those who wait: for a session, an answer or a turn.

    Args:
        storage: Where accounts are.
        limits: Numbers and times.
        policy: Budgets of wrong passwords.
        random: Returns so many random bytes.
        paced: Returns the seconds after which one who waits behind all others would have a turn.

    Attributes:
        leases: Those of this process by token, the oldest first.
        rejections_void: As in `Context`.
    """

    def __init__(
        self,
        storage: Storage,
        limits: Limits,
        policy: Policy,
        random: Callable[[int], bytes],
        paced: Callable[[], float],
    ) -> None:
        self.limits = limits
        self.rejections_void = 0.0
        self.policy = policy
        self.leases: dict[bytes, Held] = {}
        self._storage = storage
        self._random = random
        self._paced = paced

    async def context(self, batch: Batch, state: AccountState) -> Context:
        """Return what decisions about an account know beside its state."""
        owner = self._storage.owner
        others = {one.owner for one in state.leases if one.owner != owner}
        dead = await self._storage.dead(others) if others else frozenset()

        def is_alive(lease: Granted) -> bool:
            # One of ours that we do not know was granted by a swap whose reply got lost.
            if lease.owner == owner:
                return lease.token in self.leases
            return lease.owner not in dead

        return Context(
            *(self.policy, self.limits, batch.now, owner, self._random, is_alive),
            self.rejections_void,
        )

    async def decide(self, group: Group, batch: Batch, plan: Plan, context: Context) -> None:
        """Decide about those of a group."""
        if group.credential is not None:
            outcome = await self._decide_login(group, group.credential, batch, plan, context)
        else:
            outcome = await self._decide_answer(group, batch, plan, context)
        if isinstance(outcome, (Step, Later, Wait)):
            self._wait(group, outcome, plan)
        elif isinstance(outcome, Lease):
            self._lease(group, outcome, plan, context.now)
        else:
            plan.told += [(waiter, outcome) for waiter in group.waiters]
            plan.gone.append(group)

    def _wait(self, group: Group, outcome: Step | Later | Wait, plan: Plan) -> None:
        if isinstance(outcome, Later):
            plan.look_at(outcome.at)
        elif isinstance(outcome, Wait):
            group.token = outcome.token
            plan.look_at(outcome.until)
        if outcome is not Step.TURN and group.ticket is not None:
            plan.tickets.append(group.ticket)
            group.ticket, group.turn = None, False
        plan.told += [(waiter, Waiting()) for waiter in group.waiters if not waiter.waits]

    def _lease(self, group: Group, lease: Lease, plan: Plan, now: float) -> None:
        """Give a lease to the first of a group; the others wait for it."""
        first, *others = group.waiters
        plan.told.append((first, lease))
        plan.told += [(waiter, Waiting()) for waiter in others if not waiter.waits]
        request, until = group.request, now + lease.lasts
        space = "answer" if group.credential is None else "login"
        key = request.key if isinstance(request, Ask) else b""
        account = group.queue.account
        held = Held(space, account, key, group.credential, group.ticket, first.holder, until)
        # At once, for what is decided after it in this round.
        self.leases[lease.token] = held
        plan.leases.append(lease.token)
        for one in group.queue.groups.values():
            # They wait for this very login from elsewhere, and no longer for a turn.
            if one is group or (group.credential and _pair(one) == _pair(group)):
                if one is not group and one.ticket is not None:
                    plan.tickets.append(one.ticket)
                one.token, one.ticket, one.turn = lease.token, None, False
        plan.look_at(until)
        plan.count("leases_granted_total" if group.credential else "fetches_total")
        if not others:
            plan.gone.append(group)

    async def _decide_login(
        self, group: Group, credential: Credential, batch: Batch, plan: Plan, context: Context
    ) -> Any:
        state = batch.states[group.queue.account]
        counted = await batch.load(credential.budget)
        spelling, source = tag(credential.spelled), credential.source
        if not (
            is_grant(source)
            or not self.policy.accounts_per_source
            or failures.knows(state, source, spelling, context.now)
            or spraying.is_shared(source, self.policy)
        ):
            await batch.load_source(source)
        facts = batch.facts(source, credential.budget)
        first_look = not group.seen
        outcome, effects = logins.ask(
            state,
            counted,
            credential,
            context,
            facts,
            waited=group.token,
            seen=group.seen,
            turn=group.turn,
        )
        batch.take(credential.budget, effects)
        if group.sent_away and outcome is Step.TURN:
            effects = locks.undecided(counted, credential.pair, self.policy, context.now, source)
            batch.take(credential.budget, effects)
            outcome = Unavailable(PACED, self._paced())
        if isinstance(outcome, Hit):
            self._storage.touch(of_account(group.queue.account), context.now)
        if outcome is Step.TURN and group.ticket is None and group not in plan.joins:
            plan.joins.append(group)
        (plan.unseen if outcome is Step.ROOM else plan.seen).append(group)
        if first_look and not isinstance(outcome, (Hit, Locked)) and outcome is not Step.ROOM:
            plan.count("misses_total")
        return outcome

    async def _decide_answer(self, group: Group, batch: Batch, plan: Plan, context: Context) -> Any:
        state = batch.states[group.queue.account]
        if not isinstance(group.request, Ask):
            outcome: Any = answers.turn(state, context)
        else:
            hit = await self._answer(state, group.queue.account, group.request.key, plan)
            outcome = hit or answers.ask(state, group.request.key, context, waited=group.token)
        if isinstance(outcome, Later):
            ahead = sum(one.is_in_line for one in group.queue.groups.values()) - 1
            if ahead * self.limits.gap >= self.limits.longest_wait:
                return Unavailable(PACED, max(SOON, ahead * self.limits.gap))
        return outcome

    async def _answer(
        self, state: AccountState, account: bytes, key: bytes, plan: Plan
    ) -> Hit | None:
        written = plan.writes.get(key)
        answer = await self._storage.read(account, key) if written is None else written[0]
        now = self._storage.now()
        if answer is None or answer.generation != state.generation or answer.expires <= now:
            return None
        return Hit(answer.value, answer.expires - now)

    # What is asked and needs no waiting.


def _pair(group: Group) -> bytes | None:
    return None if group.credential is None else group.credential.pair
