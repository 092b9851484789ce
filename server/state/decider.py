"""What a round decides, request by request, and what it comes to.

The decisions themselves are in `logins`, `answers` and `locks`; here they get the values that they
need, and what they say is noted in a plan. Nothing of it happens before the swaps are made.
"""

from __future__ import annotations

from typing import Any

from . import answers, endings, failures, leases, locks, logins, spraying
from .account import AccountState
from .batch import Batch
from .failures import Effect
from .granting import Granter
from .leases import Context
from .plan import SOON, Change, Flush, ForgetSource, Held, Overdue, Plan
from .storage import Answer
from .vocabulary import (
    ERASED,
    GONE,
    REJECTED,
    Done,
    Erased,
    Fail,
    Forget,
    Found,
    Fulfil,
    Get,
    Hit,
    Lost,
    Missing,
    Outcome,
    Put,
    Unavailable,
    Unlock,
    short,
)
from .waiters import Queue


class Decider(Granter):
    """Decides about all that can be asked: what needs no waiting as well."""

    async def carry_out(  # noqa: C901, PLR0911 - a table of requests
        self, request: Any, batch: Batch, plan: Plan, context: Context, queue: Queue
    ) -> Outcome:
        """Carry out what has no need to wait."""
        account = queue.account
        state = batch.states[account]
        match request:
            case Fulfil():
                return await self._fulfil(request, batch, plan, context, account)
            case Fail():
                return await self._fail(request, batch, plan, context, account)
            case Get():
                return await self._get(request, state, account, plan)
            case Put():
                return self._put(request, state, plan, context, account)
            case Forget(what="account", budget=budget):
                counted = await batch.load(budget or account)
                told = Unavailable(ERASED, SOON)
                for group in queue.groups.values():
                    plan.told += [(waiter, told) for waiter in group.waiters]
                    plan.gone.append(group)
                closed = [Effect("closed", one.source) for one in counted.guesses if one.stranger]
                batch.take(budget or account, [*closed, *failures.given_back(counted)])
                return await self._erase(state, counted, plan, (account, budget or account))
            case Forget():
                return self._forget(request, state, plan, account)
            case Unlock():
                batch.take(account, failures.given_back(state))
                state.woken = True
                plan.unlocked.append(account)
                return Done(state.forgive_all())
            case ForgetSource(source=source):
                state.woken = True
                return Done(int(state.sources.pop(source, None) is not None))
            case Overdue(credential=credential):
                counted = await batch.load(credential.budget)
                effects = locks.undecided(
                    counted, credential.pair, self.policy, context.now, credential.source
                )
                batch.take(credential.budget, effects)
                return Done()
            case Flush():
                return await self._flush(state, plan, account)
            case Change(change=change):
                change(state, batch, context, plan)
                return Done()
        raise TypeError("this is no request")

    async def _fulfil(
        self, request: Fulfil, batch: Batch, plan: Plan, context: Context, account: bytes
    ) -> Outcome:
        state = batch.states[account]
        held = self._held(request, account)
        if held is None:
            return Lost()
        plan.ended.append(request.token)
        if not leases.take(state, request.token):
            plan.count(held.lost)
            return Lost()
        if held.credential is None:
            now = context.now
            answers.answered(state, context)
            generation = answers.name_generation(state, context)
            answer = Answer(request.value, now + request.ttl, now, generation)
            plan.writes[request.key] = answer, "fetched"
            return Done()
        counted = await batch.load(held.credential.budget)
        handle = None
        if request.handle is not None and request.record is not None:
            expires = context.now + request.ttl
            handle = endings.handle_of(request.handle, request.record, expires)
        session = request.value, request.ttl
        replaced, effects = logins.fulfil(state, counted, held.credential, context, session, handle)
        batch.take(held.credential.budget, effects)
        if replaced:
            plan.dropped.append((account, None))
        return Done()

    async def _fail(
        self, request: Fail, batch: Batch, plan: Plan, context: Context, account: bytes
    ) -> Outcome:
        state = batch.states[account]
        if request.space == "turn":
            answers.leave_alone(state, context, request.reason, request.retry_after)
            return Done()
        held = self._held(request, account)
        token = request.token or b""
        if held is None:
            return Lost()
        plan.ended.append(token)
        is_valid = leases.take(state, token)
        if request.reason == GONE or not is_valid:
            plan.count(held.lost)
            return Done() if is_valid else Lost()
        if held.credential is None:
            plan.count("answers_unavailable_total")
            answers.fail(state, context, token, request.reason, request.retry_after)
            return Done()
        credential = held.credential
        counted = await batch.load(credential.budget)
        is_known = credential.attempt(state, context.now).known
        failure = token, request.reason, request.retry_after
        effects = logins.fail(state, counted, credential, context, failure)
        batch.take(credential.budget, effects)
        if request.reason == REJECTED:
            plan.count("rejected_total")
            # 1. Where it is known, a source does not guess: an owner may mistype. So too a grant.
            # 2. Of one that many people share, somebody else may have failed.
            # 3. Any other is a suspect at all accounts for a while.
            if not (is_known or spraying.is_shared(credential.source, self.policy)):
                plan.rejected.append(credential.source)
        else:
            plan.count("unavailable_total")
        return Done()

    async def _flush(self, state: AccountState, plan: Plan, account: bytes) -> Done:
        sessions = int(bool(state.value))
        self._void(state, plan)
        state.end_session()
        state.handles.clear()
        await self._storage.drop_answers(account)
        plan.dropped.append((account, None))
        return Done(sessions)

    def _void(self, state: AccountState, plan: Plan) -> None:
        """Take away the leases of an account; those who wait get new ones."""
        for lease in state.leases:
            if lease.token in self.leases:
                plan.ended.append(lease.token)
                plan.count(self.leases[lease.token].lost)
        state.leases.clear()
        state.woken = True

    def _held(self, request: Fulfil | Fail, account: bytes) -> Held | None:
        held = self.leases.get(request.token or b"")
        if held is None or (held.account, held.key, held.space) != (
            account,
            request.key,
            request.space,
        ):
            return None
        return held

    async def _get(self, request: Get, state: AccountState, account: bytes, plan: Plan) -> Outcome:
        now = self._storage.now()
        record, left, key = None, 0.0, request.key
        if request.handle is not None:
            for one in state.handles:
                if one.handle == short(request.handle):
                    record, left, key = one.record, one.expires - now, state.key
            if record is None:
                return Missing()
        session = logins.session_of(state, now) if key == state.key else None
        asked = request.questions
        found = [await self._answer(state, account, question, plan) for question in asked]
        if record is None and session is None and not any(found):
            return Missing()
        return Found(account, record, left, key, session, tuple(found))

    def _put(
        self, request: Put, state: AccountState, plan: Plan, context: Context, account: bytes
    ) -> Outcome:
        # A handle may follow the session that it leads to, which has just ended what was before it.
        follows = request.space == "handle" and state.key == request.session and bool(state.value)
        older = request.drops is not None and request.drops < self._storage.epochs.drops
        if older and not follows:
            return Lost()
        now, key = context.now, request.key
        if request.space == "answer":
            generation = answers.name_generation(state, context)
            answer = Answer(request.value, now + request.ttl, now, generation)
            plan.writes[key] = answer, "put"
            return Done()
        if request.space == "session":
            copy = Hit(request.value, request.ttl, request.idle or 0.0, request.spelling)
            stored, replaced = endings.put_session(state, key, copy, now)
            if replaced:
                plan.dropped.append((account, None))
            return Done() if stored else Lost()
        if state.key not in {b"", request.session} and (state.value or state.handles):
            return Lost()
        state.key = request.session or b""
        endings.put_handle(state, endings.handle_of(key, request.value, now + request.ttl))
        return Done()

    def _forget(self, request: Forget, state: AccountState, plan: Plan, account: bytes) -> Outcome:
        key = request.key or b""
        if request.what == "session":
            count = endings.forget_session(state, key, request.digest or b"")
            return Done(count)
        if request.what == "login":
            count = endings.forget_login(state, key)
            if count:
                plan.dropped.append((account, None))
            return Done(count)
        plan.dropped.append((account, None))
        return Done(endings.forget_handle(state, key))

    async def _erase(
        self,
        state: AccountState,
        counted: AccountState,
        plan: Plan,
        names: tuple[bytes, bytes],
    ) -> Erased:
        account, budget = names
        dropped = await self._storage.drop_answers(account)
        leases = len(state.leases)
        self._void(state, plan)
        erased = endings.erase(state, counted, dropped)
        plan.dropped.append((account, budget))
        return erased._replace(leases=leases)
