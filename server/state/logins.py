"""Who may have the session of an account, and who may log in for it.

A login is asked for in this order:

1. Locks, so that a cached session tells a guesser nothing.
2. Budgets: what does not fit beside the guesses that are not judged yet waits unseen, and begins
   again when there is room.
3. What is cached, for who spells the e-mail as it was opened with or has proved that spelling.
4. What was rejected a moment ago.
5. Whether the portal is to be left alone.
6. Who is logging in with this pair already: the caller waits for that, and learns how it ended.
7. The caller's turn (`turns`); who has it gets a lease, and logs in for all who ask meanwhile.

An account has one valid password at a time, so a session under a new key replaces the one under the
old, and ends the handles and answers that came of it.

Pure: what changes are the states that are given, which are the caller's own copies.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from ..sources import is_grant
from . import endings, failures, leases, locks
from .account import (
    KNOWN_SOURCES,
    MAX_LEASES,
    READING,
    AccountState,
    Attempt,
    Handle,
    pair_of,
    whose,
)
from .failures import Effects
from .leases import Context, Wait
from .limits import tag
from .vocabulary import PACED, REJECTED, Hit, Lease, Locked, Rejected, Unavailable

PACED_SECONDS: Final = 1.0
"""Least `retry_after` told to those for whom there is no room."""


class Credential(NamedTuple):
    """An e-mail and password, by their keys, and where they came from.

    Attributes:
        key: Look-up key.
        spelled: The account, spelled.
        budget: The account's budget key.
        source: Where they came from.
    """

    key: bytes
    spelled: bytes
    budget: bytes
    source: str

    @property
    def pair(self) -> bytes:
        """Names both, as this spelling has them."""
        return pair_of(self.key, self.spelled)

    def attempt(self, state: AccountState, now: float) -> Attempt:
        """Return it as `locks` sees it, given the account's own state."""
        known = failures.knows(state, self.source, tag(self.spelled), now)
        return Attempt(self.pair, self.source, whose(self.budget, self.spelled), known)


class Step(Enum):
    """What a caller lacks."""

    ROOM = "room"
    """A part of the budgets: nothing was looked at."""

    TURN = "turn"
    """Its turn to log in."""


def ask(  # noqa: PLR0911 - one for each case above
    state: AccountState,
    counted: AccountState,
    credential: Credential,
    context: Context,
    source: tuple[float, float, bool],
    *,
    waited: bytes | None = None,
    seen: bool = False,
    turn: bool = False,
) -> tuple[Hit | Locked | Rejected | Unavailable | Lease | Wait | Step, Effects]:
    """Decide about somebody who wants a session: see above.

    Args:
        state: Of the account.
        counted: Of its budget key, nearly always the same.
        credential: What the caller came with.
        context: The rest.
        source: Until when the source is refused, until when there is no room for strangers, and
            whether it may try one more account.
        waited: Token of the lease that the caller has waited for.
        seen: Whether the pair was compared before, for the same request.
        turn: Whether it is the caller's turn.
    """
    now, policy = context.now, context.policy
    refused_until, crowded_until, may_try = source
    attempt = credential.attempt(state, now)
    is_locked = locks.locked(counted, attempt, refused_until, crowded_until, now)
    if is_locked is not None:
        return is_locked, []
    if not locks.fits(counted, attempt, policy, may_try=may_try):
        return Step.ROOM, []
    hit = cached(state, credential, context)
    if hit is not None:
        return hit, []
    if locks.is_rejected(counted, attempt.pair, max(now, context.rejections_void)):
        return Rejected(), []
    effects: Effects = []
    if not seen:
        guarded = bool(state.key) and state.key != credential.key
        effects = locks.compared(counted, attempt, policy, now, guarded=guarded)
    told = _told(state, credential, attempt, context, waited)
    if isinstance(told, Unavailable):
        effects += locks.undecided(counted, attempt.pair, policy, now, credential.source)
    if told is not None:
        return told, effects
    if not turn:
        return Step.TURN, effects
    if len(state.leases) >= MAX_LEASES:
        effects += locks.undecided(counted, attempt.pair, policy, now, credential.source)
        return Unavailable(PACED, PACED_SECONDS), effects
    return leases.grant(state, "login", attempt.pair, context), effects


def cached(state: AccountState, credential: Credential, context: Context) -> Hit | None:
    """Return the session for a pair that may be looked at, and note that its source knows it.

    1. It was opened with this spelling, or nobody knows with which: it is given.
    2. With another one, but the source has proved that one's password before: likewise. So an owner
       may spell the e-mail now so, now so. A grant has proved the one that it was made with.
    3. Otherwise the portal is asked. It may take the two for accounts of different people, and
       what comes of a guess is counted for the spelling that was used for it.
    """
    now = context.now
    if state.key != credential.key or not state.value:
        return None
    spelling = state.spelling
    if spelling is not None and spelling != tag(credential.spelled):
        source = credential.source
        if is_grant(source) or not failures.knows(state, source, spelling, now):
            return None
    if spelling is not None:
        # What it knows is the password of the account that the session is of.
        failures.note_known(state, credential.source, spelling, context.policy, now)
    return session_of(state, now)


def session_of(state: AccountState, now: float) -> Hit | None:
    """Return the session of an account; None if there is none with time left."""
    if not state.value or state.expires <= now:
        return None
    return Hit(state.value, state.expires - now, max(0.0, now - state.seen), state.spelling)


def is_right(state: AccountState, credential: Credential, now: float) -> bool:
    """Return whether a pair is the one that was right last, of an account with known sources."""
    spelling = tag(credential.spelled)
    return (
        state.key == credential.key
        and state.spelling == spelling
        and any(one.until > now and one.spelling == spelling for one in state.known)
    )


def fulfil(
    state: AccountState,
    counted: AccountState,
    credential: Credential,
    context: Context,
    session: tuple[bytes, float],
    handle: Handle | None = None,
) -> tuple[bool, Effects]:
    """Store what a login gave, and forgive the failures of its account at its source.

    Args:
        state: Of the account, from which the lease was taken back.
        counted: Of its budget key.
        credential: What was logged in with.
        context: The rest.
        session: The sealed session, and the seconds until it is dropped.
        handle: One that leads to it.

    Returns:
        Whether something of another password was ended.
    """
    now = context.now
    effects = locks.accepted(counted, credential.attempt(state, now))
    failures.note_known(state, credential.source, tag(credential.spelled), context.policy, now)
    replaced = endings.end_others(state, credential.key)
    state.value, state.stored, state.seen = session[0], now, now
    state.spelling, state.expires = tag(credential.spelled), now + session[1]
    if handle is not None:
        endings.put_handle(state, handle)
    state.woken = True
    return replaced, effects


def fail(
    state: AccountState,
    counted: AccountState,
    credential: Credential,
    context: Context,
    failure: tuple[bytes, str, float],
) -> Effects:
    """Count a login that failed, and remember how it ended for those who wait.

    Args:
        state: Of the account, from which the lease was taken back.
        counted: Of its budget key.
        credential: What was logged in with.
        context: The rest.
        failure: The lease's token, one of `FAILURES`, and the seconds after which another try makes
            sense.
    """
    token, reason, retry_after = failure
    now = context.now
    attempt = credential.attempt(state, now)
    if reason == REJECTED:
        memory = context.limits.rejected_memory
        effects = locks.rejected(counted, attempt, context.policy, now, memory)
    else:
        effects = locks.undecided(counted, attempt.pair, context.policy, now)
    leases.note_end(state, token, reason, retry_after, now)
    leases.leave_alone(state, _circle(attempt), reason, retry_after, context)
    return effects


# How it works.


def _told(
    state: AccountState,
    credential: Credential,
    attempt: Attempt,
    context: Context,
    waited: bytes | None,
) -> Rejected | Unavailable | Wait | None:
    """Return what somebody is told whose pair is not cached; None if they may log in."""
    now = context.now
    # What its reading was told is not for strangers: it would tell that somebody reads.
    busy = leases.busy_for(state, READING, now) if attempt.known else None
    busy = busy or leases.busy_for(state, _circle(attempt), now)
    if busy is not None:
        return busy
    lease = leases.running(state, "login", attempt.pair, context)
    if lease is not None:
        return Wait(lease.token, lease.until)
    del credential
    return leases.end_of(state, waited, now)


def _circle(attempt: Attempt) -> str:
    """Return who learn of each other what the portal said at an account's logins.

    So a stranger learns nothing of an owner's logins, and keeps no owner from one.
    """
    return KNOWN_SOURCES if attempt.known else attempt.source
