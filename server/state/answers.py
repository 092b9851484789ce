"""Who may ask the portal for an account now, and what becomes of its answers.

An answer is asked for in this order: what is kept; whether the portal wants to be left alone; who
is asking it already; and then whether the account's gap is over. Whoever gets the lease asks for
all. A turn is the same for a request that nobody shares: it has no lease and nothing to give back.
Accounts do not wait for each other.

Pure: what changes is the state that is given, which is the caller's own copy.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from . import leases
from .account import (
    GENERATION_BYTES,
    MAX_LEASES,
    NO_GENERATION,
    READING,
    AccountState,
)
from .leases import Context, Wait
from .logins import PACED_SECONDS, session_of
from .vocabulary import PACED, Lease, Rejected, Turn, Unavailable

NAME_BYTES: Final = 8
"""So much of a question's key stands for it in leases."""


class Later(NamedTuple):
    """The account's gap is not over: look again at this time."""

    at: float


def ask(
    state: AccountState, key: bytes, context: Context, *, waited: bytes | None = None
) -> Lease | Unavailable | Rejected | Wait | Later:
    """Decide about somebody who wants an answer that is not kept.

    Args:
        state: Of the account.
        key: Names the question.
        context: The rest.
        waited: Token of the lease that the caller has waited for.
    """
    now = context.now
    busy = leases.busy_for(state, READING, now)
    lease = leases.running(state, "answer", key[-NAME_BYTES:], context)
    if lease is not None and (busy is None or waited == lease.token):
        # What is under way may still come to an answer.
        return Wait(lease.token, lease.until)
    told = leases.end_of(state, waited, now) or busy
    if told is not None:
        return told
    if state.next_at > now:
        return Later(state.next_at)
    if len(state.leases) >= MAX_LEASES:
        return Unavailable(PACED, PACED_SECONDS)
    name_generation(state, context)
    granted = leases.grant(state, "answer", key[-NAME_BYTES:], context)
    return Lease(granted.token, granted.lasts, session_of(state, now))


def turn(state: AccountState, context: Context) -> Turn | Unavailable | Later:
    """Decide about somebody who wants to send the portal one request that nobody shares."""
    busy = leases.busy_for(state, READING, context.now)
    if busy is not None:
        return busy
    if state.next_at > context.now:
        return Later(state.next_at)
    state.next_at = context.now + context.limits.gap
    return Turn()


def answered(state: AccountState, context: Context) -> None:
    """Note that the portal has just answered for the session of an account."""
    if state.value:
        state.seen = context.now


def fail(
    state: AccountState, context: Context, token: bytes, reason: str, retry_after: float
) -> None:
    """Remember why there is no answer, for those who wait."""
    leases.note_end(state, token, reason, retry_after, context.now)
    leave_alone(state, context, reason, retry_after)


def leave_alone(state: AccountState, context: Context, reason: str, seconds: float) -> None:
    """Ask the portal nothing for an account for so long, if that is what the portal said."""
    leases.leave_alone(state, READING, reason, seconds, context)


def name_generation(state: AccountState, context: Context) -> bytes:
    """Return by what answers of the account are known from now on."""
    while state.generation == NO_GENERATION:
        state.generation = context.random(GENERATION_BYTES)
    return state.generation
