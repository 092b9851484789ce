"""What the cache daemon decides: sessions, leases, locks, and what else workers share.

No sockets, no loop, no wall clock.

One question, `acquire`, is answered in this order: locks and budgets, so that a cached session
tells a guesser nothing; what is cached; what was rejected a moment ago; and then a lease to log in,
or a `Ticket` to wait for one. What does not fit the budgets beside the guesses that are not judged
yet gets a ticket unseen, and begins again when there is room. What those who wait are to be told
comes out of `settle`, which whoever owns the engine calls after everything else and whenever
`next_due` says so.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..sources import is_grant, is_well_formed
from .answers import SOON, Answers
from .checks import check_failure, check_value
from .epoch import ORIGIN_BYTES, Epoch
from .guesses import Guess
from .held import OnePerAccount, Pointer, Session
from .known import Known
from .leases import Granted
from .limits import (
    ACCOUNT_SHOWN_BYTES,
    KEY_BYTES,
    SOURCE_MAX_CHARS,
    TOKEN_BYTES,
    VALUE_MAX_BYTES,
    Limits,
)
from .lines import Ticket
from .logins import Logins
from .outcomes import (
    ERASED,
    FAILURES,
    LEAVES_ALONE,
    REJECTED,
    Hit,
    Lease,
    Locked,
    Outcome,
    Rejected,
    Unavailable,
)
from .rejections import Rejections
from .spelling import SPELLED_SIZES, plain, tag
from .throttle import Failures, Policy, Sprayed, Throttle

__all__ = ["Engine", "Export", "Limits", "Session", "Ticket"]

TOTALS = (
    "hits_total",
    "misses_total",
    "rejected_total",
    "unavailable_total",
    "locked_total",
)
"""Statistics counted here; those of a part are counted there."""

COUNTED: dict[type[Outcome], str] = {
    Hit: "hits_total",
    Rejected: "rejected_total",
    Unavailable: "unavailable_total",
    Locked: "locked_total",
}
"""Under which total an answer to those who waited is counted; a lease is none of them."""


class Erased(NamedTuple):
    """How much of what was dropped of an account."""

    sessions: int
    notes: int
    answers: int
    failures: int
    rejections: int
    known_sources: int
    leases: int


@dataclass(frozen=True, slots=True)
class Export:
    """All that outlives a restart. Cheap to take; nothing another thread reads of it changes.

    Attributes:
        taken: When, on the clock that all its times are on.
        sessions: Sessions, the longest unused first.
        failures: Counters of wrong passwords.
        sprayed: What sources have used of their budgets of accounts.
        known: Known sources by account, the longest unchanged first.
        notes: Notes, the longest unused first.
        epoch: That of the sessions; None when it is not known which it was.
    """

    taken: float
    sessions: Sequence[Session]
    failures: Sequence[Failures]
    known: Mapping[bytes, Known]
    notes: Sequence[Pointer] = ()
    epoch: Epoch | None = None
    sprayed: Sequence[Sprayed] = ()


class Engine:
    """All decisions of the cache daemon.

    Args:
        limits: Numbers and times.
        throttle: Failed-login budgets; must use the same clock.
        now: The clock, in seconds; never goes back.
        token: Returns 16 random bytes.

    Attributes:
        answers: Shared answers, and notes.
        epoch: That in which we are.
        on_replaced: Called with an account of which another password has just proved right.
    """

    def __init__(
        self,
        limits: Limits,
        throttle: Throttle,
        now: Callable[[], float] = time.monotonic,
        token: Callable[[], bytes] = lambda: os.urandom(TOKEN_BYTES),
    ) -> None:
        self._throttle = throttle
        self._now = now
        self._held = OnePerAccount(limits.sessions, throttle.ended)
        self._lease_lasts = limits.lease_lasts
        self._logins = Logins(limits, throttle, now, token)
        self._rejections = Rejections(limits.rejections, limits.rejected_memory)
        self._totals = dict.fromkeys(TOTALS, 0)
        self.answers = Answers(limits.answers, now, token)
        self.epoch = Epoch(os.urandom(ORIGIN_BYTES), 0)
        self.answers.on_answered = self._answered
        self.on_replaced: Callable[[bytes], None] = lambda _: None

    def forget_rejections(self) -> None:
        """Let rejected credentials be tried again: who is served here may have changed."""
        self._rejections.clear()

    def use(self, limits: Limits, policy: Policy) -> None:
        """Go by other numbers of sessions, logins and failures from now on.

        What is held beyond a smaller number goes with the next session that is stored.
        """
        self._held.limit = limits.sessions
        self._logins.use(limits)
        self._rejections.lasts = limits.rejected_memory
        self._throttle.use(policy)

    def acquire(
        self,
        key: bytes,
        account: bytes,
        source: str,
        holder: Hashable,
        budget: bytes | None = None,
    ) -> Outcome | Ticket:
        """Look up `key`; on a miss grant a lease, or let the caller wait.

        Args:
            key: Look-up key of the credential; belongs to one account for ever.
            account: The account's key, spelled.
            source: Where the caller is.
            holder: Who loses its leases when it goes: a connection.
            budget: The account's budget key; its own key if none is given.

        Returns:
            The answer; or a ticket, for which `settle` will return one within `longest_wait`.

        Raises:
            ValueError: An argument has a size or form that the protocol does not allow.
        """
        budget = budget or plain(account)
        if (
            len(key) != KEY_BYTES
            or len(account) not in SPELLED_SIZES
            or len(budget) != KEY_BYTES
            or not 0 < len(source) <= SOURCE_MAX_CHARS
            or not is_well_formed(source)
        ):
            raise ValueError("key, account, budget or source has a wrong size or form")
        closed = self._throttle.expire()
        if closed:
            self._wake(closed)
        pair = key + tag(account)
        answer: Outcome | Ticket | None = self._locked(pair, account, source, budget)
        if answer is None:
            if self._throttle.may_compare(account, source, pair, budget):
                answer = self._compare(pair, account, source, budget)
                if answer is None:
                    answer = self._logins.ask(pair, account, source, holder, budget)
            else:
                answer = self._logins.wait_unseen(pair, account, source, holder, budget)
        if isinstance(answer, Lease):
            self.answers.rest(plain(account))
            self.answers.admit(plain(account))
        elif not isinstance(answer, Ticket):
            self._totals[COUNTED[type(answer)]] += 1
            if isinstance(answer, Unavailable):
                self._wake(self._throttle.undecided(pair, budget, source))
        return answer

    def fulfil(self, key: bytes, token: bytes, value: bytes, ttl: float) -> bool:
        """Store what the login under a lease gave, and tell those who wait for it.

        Args:
            key: As given to `acquire`.
            token: The lease.
            value: The sealed session.
            ttl: Seconds until it is dropped.

        Returns:
            False when the lease is not valid any more: nothing changes.

        Raises:
            ValueError: `value` or `ttl` is not what the protocol allows.
        """
        check_value(value, ttl, VALUE_MAX_BYTES)
        lease = self._logins.decide(key, token)
        if lease is None:
            return False
        self._wake(
            self._throttle.succeeded(lease.account, lease.source, lease.budget, lease.key), lease
        )
        self._end_others(lease)
        self._store(lease, Hit(value, ttl, spelling=tag(lease.account)))
        return True

    def bring(
        self,
        key: bytes,
        token: bytes,
        value: bytes,
        ttl: float,
        idle: float,
        spelling: bytes | None = None,
    ) -> bool:
        """Take back a session that was lost here, from a copy, as `fulfil` would a new one.

        But nobody has logged in, so no failure is forgiven. And of two sessions under different
        keys that of the later login stays: its password is the newer one. All sessions last
        equally long from their login, so it is the one that ends later.

        Args:
            key: As given to `acquire`.
            token: The lease.
            value: The sealed session.
            ttl: Seconds until it is dropped.
            idle: Seconds since the portal last answered for it.
            spelling: Tag of the spelling that it was opened with; None when it is not known.

        Returns:
            False when nothing is stored: the lease is not valid any more, or the account has a
            session of a later login under another key. Then the lease stays good for a login.

        Raises:
            ValueError: As `fulfil`.
        """
        check_value(value, ttl, VALUE_MAX_BYTES)
        lease = self._logins.valid(key, token)
        if lease is None:
            return False
        account = plain(lease.account)
        if self._held.has_other(account, key):
            held = self._held.of(account)
            if held is not None and held.expires >= self._now() + ttl:
                return False
            self._end_others(lease)
        self._logins.decide(key, token)
        self._wake(self._throttle.dismiss(lease.key, lease.budget), lease)
        self._store(lease, Hit(value, ttl, idle, spelling))
        return True

    def fail(self, key: bytes, token: bytes, reason: str, retry_after: float) -> bool:
        """Note that the login under a lease failed, and tell those who wait for it.

        Args:
            key: As given to `acquire`.
            token: The lease.
            reason: `REJECTED`, which counts and is remembered, or one of `UNAVAILABLE_REASONS`.
            retry_after: Seconds after which another try makes sense.

        Returns:
            False when the lease is not valid any more: nothing changes.

        Raises:
            ValueError: `reason` is unknown or `retry_after` is not a time.
        """
        check_failure(reason, FAILURES, retry_after)
        lease = self._logins.decide(key, token)
        if lease is None:
            return False
        told: Outcome
        if reason == REJECTED:
            closed = self._throttle.failed(lease.account, lease.source, lease.key, lease.budget)
            self._rejections.add(lease.key, lease.budget, self._now())
            told = Rejected()
        else:
            closed = self._throttle.undecided(lease.key, lease.budget)
            told = Unavailable(reason, retry_after)
        self._wake(closed, lease)
        if reason in LEAVES_ALONE:
            self._logins.leave_alone(lease.account, lease.source, reason, retry_after)
        self._totals[COUNTED[type(told)]] += 1

        def outcome(source: str) -> Outcome:
            return self._locked(lease.key, lease.account, source, lease.budget) or told

        self._logins.answer(lease.key, outcome)
        return True

    def forget(self, key: bytes, digest: bytes) -> int:
        """Drop the session of `key` if the SHA-256 of its value is `digest`.

        Returns:
            How many were dropped: 1 or 0.
        """
        session = self._held.peek(key)
        if session is None or hashlib.sha256(session.value).digest() != digest:
            return 0
        return self._held.drop(key)

    def find(self, key: bytes) -> Hit | None:
        """Return the session of `key` without using it; None if there is none with time left.

        For a worker's own copies: locks are not looked at.
        """
        session = self._held.peek(key)
        return None if session is None else self._hit(session)

    def account_of(self, key: bytes) -> bytes | None:
        """Return the account of the session of `key`; None if there is none."""
        session = self._held.peek(key)
        return None if session is None else session.account

    def peek(self, key: bytes) -> Hit | None:
        """Return the session of `key` and never a lease, for who proved who they are by a handle.

        A use of the session like any other. Locks are not looked at.
        """
        session = self._held.use(key, self._now())
        return None if session is None else self._hit(session)

    def adopt(self, key: bytes, account: bytes, session: Hit) -> None:
        """Store a session that another engine has, for the seconds it has left there.

        Args:
            key: Its look-up key.
            account: The account's key.
            session: What the other engine told of it.

        Raises:
            ValueError: As `fulfil`.
        """
        check_value(session.value, session.expires_in, VALUE_MAX_BYTES)
        now = self._now()
        answered = now - session.idle
        held = self._held.peek(key)
        if held is not None and held.value == session.value and held.expires > now:
            # Nearly every call: what is held stays as it is.
            held.answered = max(held.answered, answered)
            if held.spelling is None:
                held.spelling = session.spelling
            self._held.use(key, now)
            return
        times = now, now + session.expires_in, answered
        self._held.put(Session(key, account, session.value, *times, session.spelling))

    def drop(self, key: bytes) -> int:
        """Drop the session of `key` whatever its value; returns how many there were."""
        return self._held.drop(key)

    def withdraw(self, ticket: Ticket) -> None:
        """End the wait of a ticket without an answer; nothing happens if it was answered.

        A lease that `settle` has returned for it must be given to `release`.
        """
        self._logins.withdraw(ticket)
        self.answers.withdraw(ticket)

    def queued(self) -> list[Ticket]:
        """Return the tickets of those who wait for a login that has not begun."""
        return self._logins.queued()

    def release(self, key: bytes, token: bytes) -> None:
        """Give back a lease undecided; the next who waits gets one."""
        self._logins.release(key, token)
        self.answers.release(key, token)

    def drop_holder(self, holder: Hashable) -> None:
        """Pass on the leases of a holder that is gone, and withdraw its tickets."""
        self._logins.drop_holder(holder)
        self.answers.drop_holder(holder)

    def settle(self) -> list[tuple[Ticket, Outcome]]:
        """Do what is due, and return what those who wait are to be told, each exactly once."""
        self._held.sweep(self._now())
        answers: list[tuple[Ticket, Outcome]] = []
        while True:
            self._look_again()
            told = self._logins.settle()
            answers += told
            for ticket, outcome in told:
                self._note(ticket, outcome)
            if not self._logins.unseen.is_woken:
                break
        return answers + self.answers.settle()

    def next_due(self) -> float | None:
        """Return when `settle` has something to do, on the engine's clock; None when never."""
        due = [self._held.sweep_due(), self._logins.next_due(), self.answers.next_due()]
        if self._logins.unseen:
            due.append(self._throttle.next_due())
        return min((at for at in due if at is not None), default=None)

    def flush(self, what: str, account: bytes | None = None) -> tuple[int, int]:
        """Drop sessions, failed-login records, or both; known sources stay.

        With sessions go the leases that would bring new ones: what is fulfilled after a flush was
        logged in before it. And with them go the answers and notes that were had by them.

        Args:
            what: `all`, `sessions`, `expired`, `lockouts` or `account`.
            account: The account's key for `account`; None for all others.

        Returns:
            Sessions dropped, failed-login records dropped.

        Raises:
            ValueError: `what` is unknown, or `account` does not go with it.
        """
        if (what == "account") != (account is not None):
            raise ValueError("flush account, and no other, takes an account")
        match what:
            case "all":
                return self._flush_sessions(None), self._flush_lockouts()
            case "sessions" | "account":
                return self._flush_sessions(account), 0
            case "expired":
                self.answers.drop_expired()
                return self._held.drop_expired(self._now()), 0
            case "lockouts":
                return 0, self._flush_lockouts()
        raise ValueError("unknown kind of flush")

    def unlock(self, budget: bytes) -> int:
        """Drop the failed-login records and remembered rejections of one account.

        Args:
            budget: Its budget key.

        Returns:
            How many failed-login records there were.
        """
        self._rejections.drop_account(budget)
        dropped = self._throttle.unlock(budget)
        self._logins.unseen.wake_account(budget)
        return dropped

    def unlock_source(self, source: str) -> int:
        """Drop the failed-login records of one source, at all accounts and over them.

        Returns:
            How many there were.
        """
        dropped = self._throttle.unlock_source(source)
        self._logins.unseen.wake_all()
        return dropped

    def stop(self) -> None:
        """Count all pairs as failures that were compared and not judged: nobody will tell of it.

        Before the last `export`. Otherwise a guesser who knows of restarts would guess for nothing.
        """
        self._throttle.give_up()

    def drop_expired_failures(self) -> bool:
        """Forget failed logins that count no longer, so that no wrong password's name is left.

        To be called now and then: nothing else looks at them while nobody fails.

        Returns:
            Whether a snapshot made before may still show some of them.
        """
        self._rejections.drop_expired(self._now())
        self._wake(self._throttle.expire())
        return self._throttle.drop_expired() > 0

    def erase(self, account: bytes, budget: bytes) -> Erased:
        """Drop all that is kept about an account, and end its logins and fetches for good.

        Two things stay for a while, for the sake of box and portal: a change under way, up to 15
        minutes, and that the portal asked for fewer requests, up to an hour.

        Args:
            account: The account's key.
            budget: The key under which its failed logins are counted.
        """
        self.epoch = self.epoch.next()
        logins = self._logins.end(account, Unavailable(ERASED, SOON))
        dropped = self.answers.erase(account, self._lease_lasts if logins else 0.0)
        rejections = self._rejections.drop_account(budget)
        failures = self._throttle.unlock(budget)
        self._throttle.forget_guesses(budget)
        self._logins.unseen.wake_account(budget)
        return Erased(
            sessions=self._held.drop_account(account),
            notes=dropped.notes,
            answers=dropped.answers,
            failures=failures,
            rejections=rejections,
            known_sources=self._throttle.forget_known(account),
            leases=logins + dropped.leases,
        )

    def end_handle(self, key: bytes, account: bytes, session: bytes) -> bool:
        """Drop the note of a session handle, and its session unless another handle leads to it.

        Args:
            key: Look-up key of the note, whether it is held or not.
            account: The account's key.
            session: Look-up key of the session that it leads to.

        Returns:
            Whether the session stays.
        """
        self.epoch = self.epoch.next()
        self.answers.drop_note(key)
        held = self._held.peek(session) is not None
        if held and self.answers.lead_to(account, session):
            return True
        if held:
            self._drop_session(account)
        return False

    def end_session(self, key: bytes, account: bytes) -> bool:
        """Drop the session of a credential and all notes that lead to it.

        For who has just opened it: whether a pair is right is for `acquire` to find out.

        Args:
            key: Look-up key of the credential.
            account: The account's key.

        Returns:
            Whether anything was dropped.
        """
        held = self._held.peek(key) is not None
        if not self.answers.drop_leading_to(account, key) and not held:
            return False
        self.epoch = self.epoch.next()
        if held:
            self._drop_session(account)
        return True

    def sessions(self, limit: int) -> tuple[int, list[dict[str, object]]]:
        """Return how many sessions are held, and the latest used of them without their values."""
        return len(self._held), self._held.latest(limit, self._now())

    def lockouts(self, limit: int) -> tuple[int, list[dict[str, object]]]:
        """Return how many failed-login records there are, and those locked for longest of them."""
        now = self._now()
        of_accounts = [
            (row.account[:ACCOUNT_SHOWN_BYTES], row.source, row.failures, row.until, row.last)
            for row in self._throttle.lockouts()
        ]
        of_sources = [(None, *row) for row in self._throttle.spraying()]
        rows = sorted([*of_accounts, *of_sources], key=lambda row: (row[3], row[4]), reverse=True)
        return len(rows), [
            {
                "account": account,
                "source": source,
                "failures": failures,
                "retry_after": max(0.0, until - now),
            }
            for account, source, failures, until, _ in rows[:limit]
        ]

    def stats(self) -> dict[str, object]:
        """Return the engine's part of the statistics, under the names of `docs/protocol.md`."""
        hits, misses = self._totals["hits_total"], self._totals["misses_total"]
        return {
            "sessions": len(self._held),
            "bytes": self._held.bytes,
            "limit_sessions": self._held.limit,
            **self._totals,
            "hit_ratio": hits / (hits + misses) if hits + misses else None,
            "expired_total": self._held.expired_total,
            "evicted_total": self._held.evicted_total,
            "flushed_total": self._held.flushed_total,
            "leases": self._logins.leases,
            "leases_granted_total": self._logins.granted_total,
            "leases_lost_total": self._logins.lost_total,
            "waiting": self._logins.waiting,
            "waits_total": self._logins.waits_total,
            "lockouts_active": self._throttle.locked_now(),
            "logins_busy": self._logins.busy,
            **self.answers.stats(),
        }

    def export(self) -> Export:
        """Return what outlives a restart. Another thread may read it while the engine goes on."""
        return Export(
            self._now(),
            self._held.all(),
            self._throttle.lockouts(),
            self._throttle.known(),
            self.answers.export(),
            self.epoch,
            self._throttle.sprayed(),
        )

    def restore(self, export: Export) -> int:
        """Take in what `export` returned in another life, with as much time left as then.

        Returns:
            How many sessions there are now.
        """
        now = self._now()
        shift = now - export.taken
        for old in export.sessions:
            if old.expires + shift > now:
                times = (old.stored + shift, old.expires + shift, old.answered + shift)
                self._held.put(Session(old.key, old.account, old.value, *times, old.spelling))
        self._throttle.restore(export.failures, export.known, shift, export.sprayed)
        self.answers.restore(export.notes, shift)
        if export.epoch is not None:
            self.epoch = export.epoch
        return len(self._held)

    def _hit(self, session: Session) -> Hit | None:
        """Return a session that is held; None if its time is over."""
        now = self._now()
        left = session.expires - now
        if left <= 0.0:
            return None
        return Hit(session.value, left, now - session.answered, session.spelling)

    def _drop_session(self, account: bytes) -> None:
        """Drop the session of an account, and what was read with it."""
        self._held.drop_account(account)
        self.answers.drop_answers(account)

    def _answered(self, account: bytes) -> None:
        """Note that the portal has just answered for the session of an account."""
        session = self._held.of(account)
        if session is not None:
            session.answered = self._now()

    def _end_others(self, lease: Granted) -> None:
        """End everything of an account's other passwords, which are wrong from now on."""
        key, account = plain(lease.key), plain(lease.account)
        others = self._held.has_other(account, key)
        others |= self.answers.drop_leading_elsewhere(account, key) > 0
        if others:
            self.answers.drop_answers(account)
            self.epoch = self.epoch.next()
            self.on_replaced(account)

    def _store(self, lease: Granted, hit: Hit) -> None:
        """Store the session that a lease led to, and tell those who wait for it."""
        key, account, now = plain(lease.key), plain(lease.account), self._now()
        times = now, now + hit.expires_in, now - hit.idle
        session = Session(key, account, hit.value, *times, hit.spelling)
        self._held.put(session)
        self._throttle.began(account)

        def outcome(source: str) -> Outcome:
            locked = self._locked(lease.key, lease.account, source, lease.budget)
            if locked is None:
                self._proved(session, source)
            return locked or hit

        self._logins.answer(lease.key, outcome)

    def _proved(self, session: Session, source: str) -> None:
        """Note that a source came with the password of a session, however it spelled the e-mail.

        What it knows is the password of the account that the session is of.
        """
        if session.spelling is not None:
            # Mostly the session's own bytes of the account, so that they are held once.
            self._throttle.proved(session.account + session.spelling, source)

    def _locked(self, key: bytes, account: bytes, source: str, budget: bytes) -> Locked | None:
        """Return what a source is told if it is locked out of an account; None if it is not.

        Key and account are spelled, here and in what follows.
        """
        wait = self._throttle.locked_for(account, source, budget, key)
        return None if wait <= 0.0 else self._throttle.verdict(wait, account, source, budget)

    def _note(self, ticket: Ticket, outcome: Outcome) -> None:
        """Take note of what somebody who waited for a login is told."""
        total = COUNTED.get(type(outcome))
        if total is not None:
            self._totals[total] += 1
        if isinstance(outcome, Lease):
            # A login is a request like any other: the next one keeps its distance.
            self.answers.rest(plain(ticket.account))
        elif isinstance(outcome, Unavailable):
            self._wake(self._throttle.undecided(ticket.key, ticket.budget, ticket.source))

    def _compare(self, key: bytes, account: bytes, source: str, budget: bytes) -> Outcome | None:
        """Look at a pair that fits the budgets; None if somebody has to log in with it."""
        now = self._now()
        session = self._held.use(plain(key), now)
        if session is not None and self._answers_to(session, account, source):
            self._proved(session, source)
            left = session.expires - now
            return Hit(session.value, left, now - session.answered, session.spelling)
        self._totals["misses_total"] += 1
        if self._rejections.has(key, now):
            return Rejected()
        guarded = self._held.has_other(plain(account), plain(key))
        self._throttle.compared(account, source, key, budget, guarded=guarded)
        # What its reading was told is not for strangers: it would tell that somebody reads.
        known = self._throttle.knows(account, source)
        return self.answers.busy_for(plain(account)) if known else None

    def _answers_to(self, session: Session, account: bytes, source: str) -> bool:
        """Return whether a session may be given, or refused, to who spells its account like this.

        1. It was opened with this spelling, or nobody knows with which: yes.
        2. With another one, but the source has proved that one's password before: yes. So an owner
           may spell the e-mail now so, now so. A grant has proved the one that it was made with.
        3. Otherwise the portal is asked. It may take the two for accounts of different people, and
           what comes of a guess is counted for the spelling that was used for it.
        """
        if session.spelling is None or session.spelling == tag(account):
            return True
        proved = session.account + session.spelling
        return not is_grant(source) and self._throttle.knows(proved, source)

    def _look_again(self) -> None:
        """Look at those whose pair did not fit the budgets before, where there may be room now."""
        self._wake(self._throttle.expire())
        unseen = self._logins.unseen
        while (place := unseen.woken()) is not None:
            while tickets := unseen.first(place):
                key, account = tickets[0].key, tickets[0].account
                whose = key, account, place.source, place.budget
                outcome: Outcome | None = self._locked(*whose)
                if outcome is None:
                    if not self._throttle.may_compare(account, place.source, key, place.budget):
                        break
                    outcome = self._compare(*whose)
                if outcome is None:
                    self._logins.seat(tickets)
                else:
                    self._logins.tell(tickets, outcome)

    def _wake(self, closed: list[Guess], lease: Granted | None = None) -> None:
        """Have those looked at again who wait for what closed guesses or a lease took."""
        for guess in closed:
            self._logins.unseen.wake(guess.budget, guess.source)
        if lease is not None:
            self._logins.unseen.wake(lease.budget, lease.source)

    def _flush_sessions(self, account: bytes | None) -> int:
        self.epoch = self.epoch.next()
        self._logins.void(account)
        self.answers.flush(account)
        return self._held.clear() if account is None else self._held.drop_account(account)

    def _flush_lockouts(self) -> int:
        self._rejections.clear()
        dropped = self._throttle.clear()
        self._logins.unseen.wake_all()
        return dropped
