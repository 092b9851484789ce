"""Leases: one does the work, be it a login or a request to the portal, for all who ask meanwhile.

Pure: what changes is the state that is given, which is the caller's own copy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from .account import ENDED_LASTS, MAX_BUSY, MAX_ENDED, AccountState, Busy, Ended, Granted
from .limits import TOKEN_BYTES, Limits, Policy
from .vocabulary import LEAVES_ALONE, REJECTED, Lease, Rejected, Unavailable


@dataclass(frozen=True, slots=True)
class Context:
    """What a decision knows beside the state.

    Attributes:
        policy: Budgets of wrong passwords.
        limits: Numbers and times.
        now: The time, on the storage's clock.
        owner: This process, in leases.
        random: Returns so many random bytes.
        is_alive: Whether the holder of a lease is there, as far as anybody knows.
        rejections_void: What was to be rejected until then may be tried again.
    """

    policy: Policy
    limits: Limits
    now: float
    owner: bytes
    random: Callable[[int], bytes]
    is_alive: Callable[[Granted], bool]
    rejections_void: float = 0.0


class Wait(NamedTuple):
    """The caller has to wait for a lease of somebody else, until then at most."""

    token: bytes
    until: float


def grant(state: AccountState, space: str, key: bytes, context: Context) -> Lease:
    """Grant a lease; any is a request to the portal, so the next one keeps its distance."""
    token = context.random(TOKEN_BYTES)
    until = context.now + context.limits.lease_lasts
    state.leases.append(Granted(space, key, token, context.owner, until))
    state.next_at = context.now + context.limits.gap
    return Lease(token, context.limits.lease_lasts)


def take(state: AccountState, token: bytes) -> bool:
    """Take back a lease; False when it is not valid any more."""
    for lease in state.leases:
        if lease.token == token:
            state.leases.remove(lease)
            state.woken = True
            return True
    return False


def note_end(
    state: AccountState, token: bytes, reason: str, retry_after: float, now: float
) -> None:
    """Remember for a while how a lease ended."""
    state.ended = state.ended[1 - MAX_ENDED :]
    state.ended.append(Ended(token, reason, now + retry_after, now + ENDED_LASTS))


def end_of(state: AccountState, waited: bytes | None, now: float) -> Rejected | Unavailable | None:
    """Return how a lease ended that somebody has waited for; None if that is not known."""
    for one in state.ended:
        if one.token == waited:
            if one.reason == REJECTED:
                return Rejected()
            return Unavailable(one.reason, max(0.0, one.retry_at - now))
    return None


def running(state: AccountState, space: str, key: bytes, context: Context) -> Granted | None:
    """Return the lease that is out for a pair or question; those of the dead are none."""
    for lease in list(state.leases):
        if not context.is_alive(lease):
            take(state, lease.token)
        elif lease.space == space and lease.key == key:
            return lease
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
    """Leave the portal alone for a circle for so long, if that is what the portal said."""
    until = context.now + min(seconds, context.limits.busy_longest)
    if reason not in LEAVES_ALONE:
        return
    others = [one for one in state.busy if one.circle != circle]
    if any(one.until >= until for one in state.busy if one not in others):
        return
    if len(others) >= MAX_BUSY:
        # There are two that are not of a stranger.
        others.remove(next(one for one in others if one.circle))
    state.busy = [*others, Busy(circle, until, reason)]
    state.woken = True
