"""Leases: the holder does the work, a login or a request to the portal, for all that ask meanwhile.

`logins` decides about logins. For an answer of the portal the order is: the stored answer; whether
the portal wants to be left alone; whether a lease is out; whether the account's gap is over. A turn
is the same for a request that is not shared: it has no lease and nothing to give back. Accounts do
not wait for each other.

Pure: it changes only the state it is given, which is the caller's own copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from .account import GENERATION_BYTES, NO_GENERATION, READING, AccountState, Busy, Ended, Granted
from .limits import ENDED_LASTS, MAX_BUSY, MAX_ENDED, MAX_LEASES, TOKEN_BYTES, Context
from .vocabulary import LEAVES_ALONE, PACED, REJECTED, SOON, Lease, Rejected, Turn, Unavailable

NAME_BYTES: Final = 8
"""So many bytes of a question's key stand for it in leases."""


class Wait(NamedTuple):
    """The caller has to wait for a lease that is out, at most until `until`."""

    token: bytes
    until: float


class Later(NamedTuple):
    """The account's gap is not over: look again at `at`."""

    at: float


def ask_answer(
    state: AccountState, key: bytes, context: Context, *, waited: bytes | None = None
) -> Lease | Unavailable | Rejected | Wait | Later:
    """Decide about an answer that is not stored; `waited` is the lease waited for before."""
    now, name = context.now, key[-NAME_BYTES:]
    busy = busy_for(state, READING, now)
    lease = running(state, "answer", name)
    if lease is not None and (busy is None or waited == lease.token):
        # What is under way may still bring an answer.
        return Wait(lease.token, lease.until)
    outcome = end_of(state, waited, now) or busy
    if outcome is not None:
        return outcome
    if state.next_at > now:
        return Later(state.next_at)
    if len(state.leases) >= MAX_LEASES:
        return Unavailable(PACED, SOON)
    name_generation(state, context)
    granted = grant(state, "answer", name, context)
    return Lease(granted.token, granted.lasts, state.session(now))


def ask_turn(state: AccountState, context: Context) -> Turn | Unavailable | Later:
    """Decide about a request for a turn."""
    busy = busy_for(state, READING, context.now)
    if busy is not None:
        return busy
    if state.next_at > context.now:
        return Later(state.next_at)
    state.next_at = context.now + context.limits.gap
    return Turn()


def note_answered(state: AccountState, context: Context) -> None:
    """Note that the portal has just answered for the account's session."""
    if state.value:
        state.seen = context.now


def name_generation(state: AccountState, context: Context) -> bytes:
    """Return what the account's answers are recognised by from now on."""
    while state.generation == NO_GENERATION:
        state.generation = context.random(GENERATION_BYTES)
    return state.generation


# For logins as well.


def grant(state: AccountState, space: str, key: bytes, context: Context) -> Lease:
    """Grant a lease. It means a request to the portal, so the account's gap begins."""
    token, lasts = context.random(TOKEN_BYTES), context.limits.lease_lasts
    state.leases.append(Granted(space, key, token, context.owner, context.now + lasts))
    state.next_at = context.now + context.limits.gap
    return Lease(token, lasts)


def running(state: AccountState, space: str, key: bytes) -> Granted | None:
    """Return the lease that is out for a pair or question."""
    return next((one for one in state.leases if (one.space, one.key) == (space, key)), None)


def take(state: AccountState, token: bytes) -> bool:
    """End a lease; False when it is not valid any more."""
    return _drop(state, lambda one: one.token == token)


def drop_dead(state: AccountState, is_alive: Callable[[Granted], bool]) -> None:
    """Drop the leases whose holders are gone."""
    _drop(state, lambda one: not is_alive(one))


def note_end(
    state: AccountState, token: bytes, reason: str, retry_after: float, context: Context
) -> None:
    """Remember for a while how a lease ended, for its waiters."""
    now = context.now
    ended = Ended(token, reason, now + retry_after, now + ENDED_LASTS)
    state.ended = [*state.ended[1 - MAX_ENDED :], ended]


def end_of(state: AccountState, waited: bytes | None, now: float) -> Rejected | Unavailable | None:
    """Return how a lease ended; None if that is not known, or there was none."""
    for one in state.ended:
        if one.token == waited:
            if one.reason == REJECTED:
                return Rejected()
            return Unavailable(one.reason, max(0.0, one.retry_at - now))
    return None


def busy_for(state: AccountState, circle: str | None, now: float) -> Unavailable | None:
    """Return why and for how long the portal is left alone for a circle; None if it is not."""
    for one in state.busy:
        if one.circle == circle and one.until > now:
            return Unavailable(one.reason, one.until - now)
    return None


def leave_alone(
    state: AccountState, circle: str | None, reason: str, seconds: float, context: Context
) -> None:
    """Leave the portal alone for a circle for so long, if the reason calls for that."""
    until = context.now + min(seconds, context.limits.busy_longest)
    same = [one for one in state.busy if one.circle == circle]
    if reason not in LEAVES_ALONE or any(one.until >= until for one in same):
        return
    others = [one for one in state.busy if one.circle != circle]
    if len(others) >= MAX_BUSY:
        others.remove(next(one for one in others if one.circle))  # the oldest of a stranger
    state.busy = [*others, Busy(circle, until, reason, context.now)]
    state.woken = True


def _drop(state: AccountState, is_over: Callable[[Granted], bool]) -> bool:
    left = [one for one in state.leases if not is_over(one)]
    if len(left) == len(state.leases):
        return False
    state.leases, state.woken = left, True
    return True
