"""The session of an account: when it is given, when it takes a login, and what ends it.

A login is decided in this order:

1. Locks, so that a cached session reveals nothing to a guesser.
2. Budgets: a pair that does not fit beside the guesses not judged yet waits, without being
   compared, and begins again when there is room.
3. What is cached, for callers who spell the e-mail as it was opened with or have proved that
   spelling.
4. What was just rejected.
5. Whether the portal is to be left alone.
6. Whether a login with this pair is under way: the caller waits for it, and learns how it ended.
7. The caller's turn (`turns`); with it comes a lease, and one login for all that ask meanwhile.

An account has one valid password at a time, so a session under a new key replaces the one under the
old key, and ends the handles and answers that came of it.

Pure: it changes only the states it is given, which are the caller's own copies.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from ..sources import is_grant
from . import failures, leases, locks, vocabulary
from .account import KNOWN_SOURCES, READING, AccountState, Attempt, Handle, pair_of, whose
from .leases import Wait
from .limits import MAX_HANDLES, MAX_LEASES, Context, plain, tag
from .locks import Standing
from .vocabulary import Ask, Erased, Fail, Fulfil, Hit, Lease, Locked, Rejected, Unavailable, short


class Credential(NamedTuple):
    """An e-mail and password, by their keys, and their source.

    `key` is the look-up key, `spelled` the account's key with the spelling's tag.
    """

    key: bytes
    spelled: bytes
    budget: bytes
    source: str

    @classmethod
    def of(cls, asked: Ask) -> Credential:
        """Return the credential of a request for a login."""
        budget = asked.budget or plain(asked.account)
        return cls(asked.key, asked.account, budget, asked.source)

    @property
    def pair(self) -> bytes:
        """Identifies e-mail and password in this spelling."""
        return pair_of(self.key, self.spelled)

    def attempt(self, *, known: bool) -> Attempt:
        """Return it as `locks` sees it, given whether the account knows the source."""
        return Attempt(self.pair, self.source, whose(self.budget, self.spelled), known)

    def is_known(self, state: AccountState, now: float) -> bool:
        """Return whether the account knows the source, by the account's own state."""
        return failures.knows(state, self.source, tag(self.spelled), now)

    def is_right(self, state: AccountState, now: float) -> bool:
        """Return whether it was right last, at an account with known sources for its spelling."""
        spelling = tag(self.spelled)
        return (state.key, state.spelling) == (self.key, spelling) and any(
            one.until > now and one.spelling == spelling for one in state.known
        )


class Step(Enum):
    """What a caller lacks."""

    ROOM = "room"
    """Room in the budgets: nothing was compared."""

    TURN = "turn"
    """Its turn to log in."""


@dataclass(slots=True)
class Login:
    """A login that was asked for or made, and the states that it is decided on.

    `state` is that of the account, `counted` that of its budget key, nearly always the same.
    `attempt` is the credential as `locks` sees it.
    """

    credential: Credential
    state: AccountState
    counted: AccountState
    context: Context
    attempt: Attempt = field(init=False)

    def __post_init__(self) -> None:
        known = self.credential.is_known(self.state, self.context.now)
        self.attempt = self.credential.attempt(known=known)

    def ask(  # noqa: PLR0911 - one for each case of the module's text
        self, standing: Standing, *, waited: bytes | None = None, seen: bool, turn: bool
    ) -> Hit | Locked | Rejected | Unavailable | Lease | Wait | Step:
        """Decide about a request for a session, in the order of the module's text.

        Args:
            standing: What is left of the source's budget.
            waited: Token of the lease that the caller has waited for.
            seen: Whether the pair was compared before, for the same request.
            turn: Whether it is the caller's turn.
        """
        counted, attempt, context = self.counted, self.attempt, self.context
        lock = locks.locked(counted, attempt, standing, context)
        if lock is not None:
            return lock
        if not locks.fits(counted, attempt, standing, context):
            return Step.ROOM
        hit = self._cached()
        if hit is not None:
            return hit
        if locks.is_rejected(counted, attempt.pair, max(context.now, context.rejections_void)):
            return Rejected()
        if not seen:
            guarded = self.state.key not in {b"", self.credential.key}
            locks.compared(counted, attempt, context, guarded=guarded)
        outcome = self._refusal(waited)
        if outcome is None:
            if not turn:
                return Step.TURN
            if len(self.state.leases) < MAX_LEASES:
                return leases.grant(self.state, "login", attempt.pair, context)
            outcome = Unavailable(vocabulary.PACED, vocabulary.SOON)
        if isinstance(outcome, Unavailable):
            locks.undecided(counted, attempt.pair, context, attempt.source)
        return outcome

    def fulfil(self, request: Fulfil) -> bool:
        """Store the session of the login, and forgive the account's failures at its source.

        Returns whether anything of another password was ended.
        """
        one, now, spelling = self.credential, self.context.now, tag(self.credential.spelled)
        locks.accepted(self.counted, self.attempt)
        failures.note_known(self.state, one.source, spelling, self.context)
        session = Hit(request.value, request.ttl, 0.0, spelling)
        replaced = _replace_session(self.state, one.key, session, now)
        if request.handle is not None and request.record is not None:
            put_handle(self.state, request.handle, request.record, now + request.ttl)
        return replaced

    def fail(self, request: Fail) -> None:
        """Count a failed login, and remember how it ended for its waiters."""
        reason, seconds = request.reason, request.retry_after
        if reason == vocabulary.REJECTED:
            locks.rejected(self.counted, self.attempt, self.context)
        else:
            locks.undecided(self.counted, self.attempt.pair, self.context)
        leases.note_end(self.state, request.token or b"", reason, seconds, self.context)
        leases.leave_alone(self.state, self._circle, reason, seconds, self.context)

    def _cached(self) -> Hit | None:
        """Return the session if the caller may have it, and note that the source knows it.

        1. It was opened with the caller's spelling, or nobody knows with which: it is given.
        2. With another one that the source has proved before: likewise. So an owner may spell the
           e-mail in several ways. A grant has proved the one it was made with.
        3. Otherwise the portal is asked. It may take the two for accounts of different people, and
           the outcome of a guess is counted for the spelling that was used.
        """
        state, one, now = self.state, self.credential, self.context.now
        if state.key != one.key or not state.value:
            return None
        spelling = state.spelling
        if spelling not in {None, tag(one.spelled)} and (
            is_grant(one.source) or not failures.knows(state, one.source, spelling, now)
        ):
            return None
        if spelling is not None:
            # What it knows is the password of the session's account.
            failures.note_known(state, one.source, spelling, self.context)
        return state.session(now)

    def _refusal(self, waited: bytes | None) -> Rejected | Unavailable | Wait | None:
        """Return the outcome for a pair that is not cached; None if the caller may log in."""
        state, now = self.state, self.context.now
        # Not for strangers, who would learn from it that the account is being read.
        busy = leases.busy_for(state, READING, now) if self.attempt.known else None
        busy = busy or leases.busy_for(state, self._circle, now)
        if busy is not None:
            return busy
        lease = leases.running(state, "login", self.attempt.pair)
        if lease is not None:
            return Wait(lease.token, lease.until)
        return leases.end_of(state, waited, now)

    @property
    def _circle(self) -> str:
        """Sources that share what the portal said at logins of the account.

        A stranger is its own circle: it learns nothing of an owner's logins, and prevents none.
        """
        return KNOWN_SOURCES if self.attempt.known else self.attempt.source


# Sessions without a login, and drops on purpose.


def put_session(state: AccountState, key: bytes, session: Hit, now: float) -> tuple[bool, bool]:
    """Take back a session that was lost here, from a copy.

    No failure is forgiven, as there was no login. Of two sessions that of the later login stays, as
    its password is newer: all last equally long, so it is the one that ends later.

    Returns whether it was stored, and whether anything of another password was ended.
    """
    if not state.value or state.expires < now + session.expires_in:
        return True, _replace_session(state, key, session, now)
    same = state.key == key and state.value == session.value
    if same:
        state.seen = max(state.seen, now - session.idle)
    return same, False


def put_handle(state: AccountState, handle: bytes, record: bytes, until: float) -> None:
    """Store the record of a handle, in place of its last one."""
    others = [one for one in state.handles if one.handle != short(handle)]
    state.handles = [*others[1 - MAX_HANDLES :], Handle(short(handle), record, until)]


def forget_session(state: AccountState, key: bytes, digest: bytes) -> int:
    """Drop a dead session if it is still the current one; return how many were dropped."""
    if not state.value or (state.key, hashlib.sha256(state.value).digest()) != (key, digest):
        return 0
    state.value = b""
    return 1


def forget_login(state: AccountState, key: bytes) -> int:
    """Drop the session of a credential with all that came of it; return how many were dropped."""
    if state.key != key or not (state.value or state.handles):
        return 0
    state.end_session()
    return 1


def forget_handle(state: AccountState, handle: bytes) -> int:
    """Drop a handle, and the session with its answers unless another handle leads there.

    Returns 1 if a session stays, else 0.
    """
    others = [one for one in state.handles if one.handle != short(handle)]
    was_there, state.handles = len(others) < len(state.handles), others
    if state.value and was_there and not others:
        state.end_session()
    return int(bool(state.value))


def erase(state: AccountState, counted: AccountState, answers: int) -> Erased:
    """Drop all that there is about an account, including its failures.

    That the portal asked for fewer requests stays, up to an hour, for its sake. `counted` is the
    state of the budget key; `answers` is how many answers of the account were dropped.
    """
    erased = Erased(
        sessions=int(bool(state.value)),
        handles=len(state.handles),
        answers=answers,
        failures=counted.counters(),
        rejections=len(counted.pairs),
        known_sources=len(state.known),
    )
    for guess in counted.guesses:
        failures.withdraw(counted, guess)
    counted.guesses.clear()
    failures.forgive_all(counted)
    fresh = AccountState(
        flushed=state.flushed,
        unlocked=state.unlocked,
        ended=state.ended,
        busy=state.busy,
        next_at=state.next_at,
        woken=True,
        effects=state.effects,
    )
    for name in AccountState.__slots__:
        setattr(state, name, getattr(fresh, name))
    return erased


def _replace_session(state: AccountState, key: bytes, session: Hit, now: float) -> bool:
    """Store a session, ending one of another password, which is wrong from now on.

    Returns whether there was anything of another password.
    """
    replaced = state.key != key and bool(state.value or state.handles)
    if replaced:
        state.end_session()
    state.key, state.value, state.spelling = key, session.value, session.spelling
    state.stored, state.expires = now, now + session.expires_in
    state.seen, state.woken = now - session.idle, True
    return replaced
