"""Carries out requests that need not wait, within a round: one function for each.

The decisions themselves are in `logins`, `leases` and `locks`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from . import failures, leases, logins, spraying, vocabulary
from .account import READING, AccountState
from .decider import Decider
from .limits import BRIEF
from .storage import Room
from .vocabulary import Done, Fail, Forget, Found, Fulfil, Get, Hit, Lost, Outcome, Put, Unlock
from .waiting_room import Abandoned, LeaseRecord

Work = Callable[[Decider], Awaitable[Outcome]]
"""A coroutine of this process that is carried out like a request."""


async def carry_out(decider: Decider, request: Any) -> Outcome:
    """Carry out a request, or `Work`."""
    command = COMMANDS.get(type(request))
    return await (request(decider) if command is None else command(decider, request))


async def flush(decider: Decider) -> Outcome:
    """Drop the session of the account, its handles, answers and leases."""
    state = decider.state
    sessions = int(bool(state.value))
    _void_leases(decider)
    state.end_session()
    await decider.storage.drop_answers(decider.account)
    decider.drop()
    return Done(sessions)


def found_in(
    state: AccountState,
    handle: bytes | None,
    key: bytes | None,
    account: bytes,
    found: tuple[Hit | None, ...],
    now: float,
) -> Found | None:
    """Return what there is of an account; None if there is nothing of what was asked for.

    `handle` is the handle that led to it, if any; without one `key` is that of the session.
    """
    record, left = None, 0.0
    if handle is not None:
        name = vocabulary.short(handle)
        one = next((one for one in state.handles if one.handle == name), None)
        if one is None or one.until <= now:
            return None
        record, left, key = one.record, one.until - now, state.key
    session = state.session(now) if key == state.key else None
    if record is None and session is None and not any(found):
        return None
    return Found(account, record, left, key, session, found)


async def _fulfil(decider: Decider, request: Fulfil) -> Outcome:
    record = _record_of(decider, request)
    if record is None:
        return Lost()
    is_valid = leases.take(decider.state, request.token)
    decider.end_lease(request.token, lost=not is_valid)
    return await store(decider, request, record.credential) if is_valid else Lost()


async def store(decider: Decider, request: Fulfil, credential: logins.Credential | None) -> Outcome:
    """Store what was done under a lease, of this process or of the daemon.

    `credential` is that of a login; None stands for an answer.
    """
    state, context = decider.state, decider.context
    if credential is None:
        leases.note_answered(state, context)
        decider.store_answer(request.key, request.value, request.ttl, "fetched")
        return Done()
    counted = await decider.transaction.load(credential.budget)
    if logins.Login(credential, state, counted, context).fulfil(request):
        decider.drop()
    return Done()


async def _fail(decider: Decider, request: Fail) -> Outcome:
    state, context, counts = decider.state, decider.context, decider.transaction.counts
    if request.space == "turn":
        leases.leave_alone(state, READING, request.reason, request.retry_after, context)
        return Done()
    record, token = _record_of(decider, request), request.token or b""
    if record is None:
        return Lost()
    is_valid = leases.take(state, token)
    is_lost = request.reason == vocabulary.GONE or not is_valid
    decider.end_lease(token, lost=is_lost)
    if is_lost:
        return Done() if is_valid else Lost()
    credential = record.credential
    if credential is None:
        counts["answers_unavailable_total"] += 1
        leases.note_end(state, token, request.reason, request.retry_after, context)
        leases.leave_alone(state, READING, request.reason, request.retry_after, context)
        return Done()
    counted = await decider.transaction.load(credential.budget)
    login = logins.Login(credential, state, counted, context)
    login.fail(request)
    if request.reason != vocabulary.REJECTED:
        counts["unavailable_total"] += 1
        return Done()
    counts["rejected_total"] += 1
    # 1. A source that the account knows does not guess: an owner may mistype. Nor does a grant.
    # 2. With a source shared by many people, another person may have failed.
    # 3. Any other source is a suspect at all accounts for a while.
    if not (login.attempt.known or spraying.is_shared(credential.source, context.policy)):
        path = spraying.path_of(credential.source, context.policy)
        decider.transaction.on_commit(partial(decider.room.turns.rejected, path))
    return Done()


async def _get(decider: Decider, request: Get) -> Outcome:
    # Together: where a storage has to be asked, they cost one trip.
    found = tuple(await asyncio.gather(*map(decider.answer, request.questions)))
    of = request.handle, request.key, decider.account
    return found_in(decider.state, *of, found, decider.context.now) or vocabulary.Missing()


async def _put(decider: Decider, request: Put) -> Outcome:
    state, now, key = decider.state, decider.context.now, request.key
    # A handle may follow the session it leads to, whose arrival has just caused the drop.
    follows = request.space == "handle" and state.key == request.session and bool(state.value)
    older = request.drops is not None and request.drops < decider.storage.epochs.drops
    if older and not follows:
        return Lost()
    if request.space == "answer":
        room: Room = "brief" if request.ttl <= BRIEF else "put"
        decider.store_answer(key, request.value, request.ttl, room)
        return Done()
    if request.space == "session":
        copy = Hit(request.value, request.ttl, request.idle or 0.0, request.spelling)
        stored, replaced = logins.put_session(state, key, copy, now)
        if replaced:
            decider.drop()
        return Done() if stored else Lost()
    if state.key not in {b"", request.session} and (state.value or state.handles):
        return Lost()
    state.key = request.session or b""
    logins.put_handle(state, key, request.value, now + request.ttl)
    return Done()


async def _forget(decider: Decider, request: Forget) -> Outcome:
    state, key = decider.state, request.key or b""
    match request.what:
        case "account":
            return await _erase(decider, request.budget or decider.account)
        case "session":
            return Done(logins.forget_session(state, key, request.digest or b""))
        case "login":
            count = logins.forget_login(state, key)
            if count:
                decider.drop()
            return Done(count)
        case "handle":
            decider.drop()
            return Done(logins.forget_handle(state, key))


async def _erase(decider: Decider, budget: bytes) -> Outcome:
    counted = await decider.transaction.load(budget)
    for group in decider.queue.groups.values():
        decider.answer_all(group, vocabulary.Unavailable(vocabulary.ERASED, vocabulary.SOON))
    dropped = await decider.storage.drop_answers(decider.account)
    leases = len(decider.state.leases)
    _void_leases(decider)
    erased = logins.erase(decider.state, counted, dropped)
    decider.drop(budget)
    return erased._replace(leases=leases)


async def _unlock(decider: Decider, _: Unlock) -> Outcome:
    decider.transaction.on_durable(partial(decider.listeners.unlocked, decider.account, None))
    return Done(failures.forgive_all(decider.state))


async def _abandon(decider: Decider, request: Abandoned) -> Outcome:
    counted = await decider.transaction.load(request.credential.budget)
    decider.give_up_guess(counted, request.credential)
    return Done()


def _record_of(decider: Decider, request: Fulfil | Fail) -> LeaseRecord | None:
    """Return the lease that a request names, if it was granted for the same question or login.

    The spelling has to be the same as well: the portal has judged that one alone.
    """
    record = decider.room.leases.get(request.token or b"")
    if record is None:
        return None
    asked = record.request
    same = (asked.space, asked.account, asked.key) == (request.space, request.account, request.key)
    return record if same else None


def _void_leases(decider: Decider) -> None:
    """Take away the leases of the account; waiters get new ones."""
    for lease in decider.state.leases:
        decider.end_lease(lease.token, lost=True)
    decider.state.leases.clear()
    decider.state.woken = True


COMMANDS: Final[dict[type, Callable[[Decider, Any], Awaitable[Outcome]]]] = {
    Fulfil: _fulfil,
    Fail: _fail,
    Get: _get,
    Put: _put,
    Forget: _forget,
    Unlock: _unlock,
    Abandoned: _abandon,
}
