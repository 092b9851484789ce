"""Answers of the portal that all workers share, and notes that they leave for each other. Pure.

`share` gives the kept answer, or the lease to fetch it, or lets the caller wait for whoever has the
lease: any number of callers cost one request. Notes need no lease: whoever knows the key of one
wrote it, or was told it by who did. Nor do answers that are put here, for later. Each of the three
has room of its own, so that none pushes another out, nor sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import NamedTuple

from .checks import check_failure, check_keys, check_value
from .fetches import Fetches
from .held import Entry, ManyPerAccount, Pointer
from .limits import ANSWER_MAX_BYTES, AnswerLimits
from .lines import Ticket
from .outcomes import (
    ABSTENTIONS,
    ERASED,
    LEAVES_ALONE,
    SHAPES,
    TURN,
    Hit,
    Note,
    Outcome,
    Unavailable,
)

SOON = 1.0
"""`retry_after` for requests that waited while their account was erased."""


class ErasedAnswers(NamedTuple):
    """What was dropped of an account: answers, notes, and leases that were out."""

    answers: int
    notes: int
    leases: int


class Answers:
    """Shared answers and notes.

    Args:
        limits: Numbers and times.
        now: The clock, in seconds; never goes back.
        token: Returns 16 random bytes.

    Attributes:
        on_answered: Called with an account for which the portal has just answered.
    """

    def __init__(
        self, limits: AnswerLimits, now: Callable[[], float], token: Callable[[], bytes]
    ) -> None:
        self._now = now
        self._kept = ManyPerAccount[Entry](
            limits.answers, limits.answer_bytes, limits.answers_per_account
        )
        self._put = ManyPerAccount[Entry](
            limits.put, limits.put_bytes, limits.put_per_account, limits.put_account_bytes
        )
        self._notes = ManyPerAccount[Pointer](
            limits.notes, limits.note_bytes, limits.notes_per_account
        )
        self._fetches = Fetches(limits, now, token)
        self._hits = self._unavailable = 0
        self._shapes = dict.fromkeys(SHAPES, 0)
        self.on_answered: Callable[[bytes], None] = lambda _: None
        # Accounts erased while a login was under way, and until when that may want to leave a note.
        self._erased: dict[bytes, float] = {}

    def share(self, key: bytes, account: bytes, holder: Hashable) -> Outcome | Ticket:
        """Look up an answer; on a miss grant the lease to fetch it, or let the caller wait.

        Args:
            key: Names the question; belongs to one account for ever.
            account: The account's key.
            holder: Who loses its leases when it goes: a connection.

        Returns:
            `Hit`, `Lease` or `Unavailable`; or a ticket, for which `settle` will return one of them
            within `longest_wait`.

        Raises:
            ValueError: A key has a wrong size.
        """
        check_keys(key, account)
        now = self._now()
        entry = self._newest(key, now)
        if entry is not None:
            self._hits += 1
            return Hit(entry.value, entry.expires - now)
        outcome = self._fetches.ask(key, account, holder)
        if isinstance(outcome, Unavailable):
            self._unavailable += 1
        return outcome

    def peek(self, key: bytes) -> Hit | None:
        """Return an answer that is kept; None when there is none. Nobody fetches it for that."""
        now = self._now()
        entry = self._newest(key, now)
        return None if entry is None else Hit(entry.value, entry.expires - now)

    def put(self, key: bytes, account: bytes, value: bytes, ttl: float) -> bool:
        """Store an answer that nobody waits for in place of the one under the same key.

        Returns:
            False when the account was erased a moment ago: nothing is stored.

        Raises:
            ValueError: An argument is not what the protocol allows.
        """
        check_keys(key, account)
        check_value(value, ttl, ANSWER_MAX_BYTES)
        now = self._now()
        if self._erased.get(account, now) > now:
            return False
        self._put.put(Entry(key, account, value, now, now + ttl))
        return True

    def _newest(self, key: bytes, now: float) -> Entry | None:
        """Return the answer to a question that was stored last, put or fetched."""
        fetched, put = self._kept.use(key, now), self._put.use(key, now)
        if fetched is None or put is None:
            return fetched or put
        return put if put.stored >= fetched.stored else fetched

    def answer(self, key: bytes, token: bytes, value: bytes, ttl: float) -> bool:
        """Store what was fetched under a lease, and tell those who wait for it.

        Returns:
            False when the lease is not valid any more: nothing changes.

        Raises:
            ValueError: `value` or `ttl` is not what the protocol allows.
        """
        check_value(value, ttl, ANSWER_MAX_BYTES)
        lease = self._fetches.decide(key, token)
        if lease is None:
            return False
        now = self._now()
        self._kept.put(Entry(lease.key, lease.account, value, now, now + ttl))
        self.on_answered(lease.account)
        self._fetches.answer(lease.key, lambda _: Hit(value, ttl))
        return True

    def abstain(self, key: bytes, token: bytes, reason: str, retry_after: float) -> bool:
        """Tell those who wait that there is no answer. Nothing is kept but that the portal is busy.

        Args:
            key: As given to `share`.
            token: The lease.
            reason: One of `ABSTENTIONS`.
            retry_after: Seconds after which another try makes sense.

        Returns:
            False when the lease is not valid any more: nothing changes.

        Raises:
            ValueError: `reason` is unknown or `retry_after` is not a time.
        """
        check_failure(reason, ABSTENTIONS, retry_after)
        lease = self._fetches.decide(key, token)
        if lease is None:
            return False
        self._unavailable += reason != TURN
        self._fetches.answer(lease.key, lambda _: Unavailable(reason, retry_after))
        if reason in LEAVES_ALONE:
            self._fetches.leave_alone(lease.account, reason, retry_after)
        return True

    def keep(self, key: bytes, account: bytes, session: bytes, value: bytes, ttl: float) -> bool:
        """Store a note in place of the one under the same key.

        Args:
            key: Its look-up key.
            account: The account's key.
            session: Look-up key of the session that it leads to.
            value: The sealed note.
            ttl: Seconds until it is dropped.

        Returns:
            False when the account was erased after the login that the note is about had begun:
            nothing is stored.

        Raises:
            ValueError: An argument is not what the protocol allows.
        """
        check_keys(key, account, session)
        check_value(value, ttl, ANSWER_MAX_BYTES)
        now = self._now()
        if self._erased.get(account, now) > now:
            return False
        self._notes.put(Pointer(key, account, session, value, now, now + ttl))
        return True

    def find(self, key: bytes) -> Note | None:
        """Return the note under `key`; None when there is none."""
        now = self._now()
        entry = self._notes.use(key, now)
        if entry is None:
            return None
        return Note(entry.account, entry.session, entry.value, entry.expires - now)

    def count_shape(self, kind: str) -> None:
        """Count an answer whose shape is not the known one.

        Args:
            kind: One of `SHAPES`.
        """
        self._shapes[kind] += 1

    def drop_note(self, key: bytes) -> int:
        """Drop the note under `key`; returns how many there were."""
        return self._notes.drop(key)

    def lead_to(self, account: bytes, session: bytes) -> int:
        """Return how many notes of an account lead to a session."""
        return sum(one.session == session for one in self._notes.of(account))

    def drop_leading_to(self, account: bytes, session: bytes) -> int:
        """Drop the notes of an account that lead to a session; returns how many there were."""
        return self._drop_notes(one for one in self._notes.of(account) if one.session == session)

    def drop_leading_elsewhere(self, account: bytes, session: bytes) -> int:
        """Drop the notes of an account that lead to another session; returns how many there were.

        For when the portal has accepted the password of `session`: all others are old.
        """
        return self._drop_notes(one for one in self._notes.of(account) if one.session != session)

    def drop_answers(self, account: bytes) -> None:
        """Drop the answers of an account and void their leases; its notes stay."""
        self._fetches.void(account)
        self._kept.drop_account(account)

    def leave_alone(self, account: bytes, reason: str, seconds: float) -> None:
        """Grant no lease to an account for so long: the portal said so to somebody else."""
        self._fetches.leave_alone(account, reason, seconds)

    def adopt(self, key: bytes, account: bytes, value: bytes, ttl: float) -> None:
        """Store an answer that was fetched under another's lease, and tell those who wait for it.

        Raises:
            ValueError: An argument is not what the protocol allows.
        """
        check_keys(key, account)
        check_value(value, ttl, ANSWER_MAX_BYTES)
        now = self._now()
        self._kept.put(Entry(key, account, value, now, now + ttl))
        self.on_answered(account)
        self._fetches.answer(key, lambda _: Hit(value, ttl))

    def busy_for(self, account: bytes) -> Unavailable | None:
        """Return why and for how long the portal is not asked for an account; None if it is."""
        return self._fetches.busy_for(account)

    def rest(self, account: bytes) -> None:
        """Begin the gap of an account: somebody else asks the portal for it."""
        self._fetches.rest(account)

    def withdraw(self, ticket: Ticket) -> None:
        """End the wait of a ticket without an answer; nothing happens if it was answered."""
        self._fetches.withdraw(ticket)

    def release(self, key: bytes, token: bytes) -> None:
        """Give back a lease undecided; the next who waits gets one."""
        self._fetches.release(key, token)

    def drop_holder(self, holder: Hashable) -> None:
        """Pass on the leases of a holder that is gone, and withdraw its tickets."""
        self._fetches.drop_holder(holder)

    def settle(self) -> list[tuple[Ticket, Outcome]]:
        """Do what is due, and return what those who wait are to be told, each exactly once."""
        now = self._now()
        for held in (self._kept, self._put, self._notes):
            held.sweep(now)
        told = self._fetches.settle()
        for _, outcome in told:
            self._hits += isinstance(outcome, Hit)
            self._unavailable += isinstance(outcome, Unavailable)
        return told

    def next_due(self) -> float | None:
        """Return when `settle` has something to do, on the engine's clock; None when never."""
        rooms = (self._kept, self._put, self._notes)
        due = (*(held.sweep_due() for held in rooms), self._fetches.next_due())
        return min((at for at in due if at is not None), default=None)

    def flush(self, account: bytes | None) -> None:
        """Drop the answers and notes of an account, or all when None, and void their leases.

        What the portal said of its load stays: it is the portal's, not the account's.
        """
        self._fetches.void(account)
        for held in (self._kept, self._put, self._notes):
            if account is None:
                held.clear()
            else:
                held.drop_account(account)

    def erase(self, account: bytes, unfinished: float) -> ErasedAnswers:
        """Drop all of an account, and end its fetches for good.

        Args:
            account: The account's key.
            unfinished: Seconds for which a login that is under way may still want to leave a note.
        """
        leases = self._fetches.end(account, Unavailable(ERASED, SOON))
        now = self._now()
        self._erased = {one: until for one, until in self._erased.items() if until > now}
        if unfinished > 0.0:
            self._erased[account] = now + unfinished
        return ErasedAnswers(
            self._kept.drop_account(account) + self._put.drop_account(account),
            self._notes.drop_account(account),
            leases,
        )

    def admit(self, account: bytes) -> None:
        """Take notes of an account that was erased: a login begins that is later than that."""
        self._erased.pop(account, None)

    def drop_expired(self) -> None:
        """Drop all answers and notes that have run out, in one go."""
        now = self._now()
        for held in (self._kept, self._put, self._notes):
            held.drop_expired(now)

    def stats(self) -> dict[str, object]:
        """Return this part of the statistics, under the names of `docs/protocol.md`."""
        return {
            "answers": len(self._kept),
            "answers_bytes": self._kept.bytes,
            "limit_answers_bytes": self._kept.limit_bytes,
            "answers_hits_total": self._hits,
            "answers_unavailable_total": self._unavailable,
            "answers_evicted_total": self._kept.evicted_total + self._put.evicted_total,
            "answers_put": len(self._put),
            **{f"answers_{kind}_total": count for kind, count in self._shapes.items()},
            "fetches": self._fetches.leases,
            "fetches_total": self._fetches.granted_total,
            "fetches_lost_total": self._fetches.lost_total,
            "fetches_waiting": self._fetches.waiting,
            "fetches_waits_total": self._fetches.waits_total,
            "accounts_busy": self._fetches.busy,
            "notes": len(self._notes),
            "notes_evicted_total": self._notes.evicted_total,
        }

    def export(self) -> list[Pointer]:
        """Return the notes, the longest unused first: they outlive a restart, answers do not."""
        return self._notes.all()

    def restore(self, notes: Iterable[Pointer], shift: float) -> None:
        """Take in what `export` returned, with `shift` seconds added to its times."""
        now = self._now()
        for old in notes:
            if old.expires + shift > now:
                times = (old.stored + shift, old.expires + shift)
                self._notes.put(Pointer(old.key, old.account, old.session, old.value, *times))

    def _drop_notes(self, notes: Iterable[Pointer]) -> int:
        return sum(self._notes.drop(one.key) for one in notes)
