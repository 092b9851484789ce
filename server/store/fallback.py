"""The store inside one worker: what is left when the cache daemon is gone.

The same engine as the daemon's, with small budgets: every worker has one of its own, so together
they must not become the login storm or the open lock that the daemon prevents.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from ..cache.engine import Engine, Limits, Ticket
from ..cache.limits import AnswerLimits
from ..cache.outcomes import Hit, Lease, Locked, Note, Outcome, Unavailable
from ..cache.throttle import Policy, Throttle
from ..errors import CacheBusy
from .waits import Waits

SESSIONS = 256
"""Copies held: the accounts one worker sees between two restarts of the daemon."""

NOTES = 1024
"""Copies of notes: some handles for each of those accounts."""

KNOWN = 4096
"""Accounts whose known sources are remembered: where the owners of locked accounts call from."""

ANSWERS = AnswerLimits(
    answers=SESSIONS,
    answer_bytes=4 * 1024 * 1024,
    answers_per_account=64,
    put=SESSIONS,
    put_bytes=4 * 1024 * 1024,
    notes=NOTES,
    note_bytes=4 * 1024 * 1024,
)
"""Answers are kept for so short a time that few are enough. The gap is the daemon's."""

LIMITS = Limits(
    sessions=SESSIONS,
    logins_at_once=1,
    logins_per_second=0.2,
    login_burst=3,
    answers=ANSWERS,
)
"""One login at a time and one in five seconds per worker, three at once after a quiet time."""

WRONG_PER_SOURCE = 2
WRONG_PER_ACCOUNT = 5
WRONG_ACCOUNTS_PER_SOURCE = 5
"""Smaller than the daemon's, since each worker counts for itself until the daemon is back."""


class Recalled(Exception):
    """Whoever waits for a login in this process had better ask the daemon."""


class LocalStore:
    """A `SessionStore` and `AnswerStore` in this process.

    Args:
        policy: Lengths of locks; the numbers of wrong passwords are cut to this file's.
        waits: Which logins may wait.
        now: Monotonic seconds.
    """

    def __init__(
        self,
        policy: Policy | None = None,
        waits: Waits | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._throttle = Throttle(_cut(policy or Policy()), now, KNOWN)
        self._engine = Engine(LIMITS, self._throttle, now)
        self._now = now
        self._waits = waits or Waits()
        self._waiting: dict[Ticket, asyncio.Future[Outcome]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def use(self, policy: Policy) -> None:
        """Go by other lengths of locks from now on; the numbers are cut as before."""
        self._throttle.use(_cut(policy))

    async def acquire(
        self, key: bytes, account: bytes, source: str, budget: bytes | None = None
    ) -> Outcome:
        """Look up, lease or wait, as `SessionStore.acquire`; never unavailable.

        Raises:
            Recalled: By `recall`, before a login for `key` had begun.
            CacheBusy: Too many wait already.
        """
        return await self._outcome(self._engine.acquire(key, account, source, self, budget), source)

    async def fulfil(self, key: bytes, token: bytes, value: bytes, ttl: float) -> bool:
        """Store a value, as `SessionStore.fulfil`."""
        kept = self._engine.fulfil(key, token, value, ttl)
        self._settle()
        return kept

    async def fail(self, key: bytes, token: bytes, reason: str, retry_after: float) -> bool:
        """Report a failed login, as `SessionStore.fail`."""
        counted = self._engine.fail(key, token, reason, retry_after)
        self._settle()
        return counted

    def release(self, key: bytes, token: bytes) -> None:
        """Give back a lease undecided."""
        self._engine.release(key, token)
        self._settle()

    async def forget(self, key: bytes, digest: bytes) -> None:
        """Drop a dead session, as `SessionStore.forget`."""
        self._engine.forget(key, digest)

    async def share(self, key: bytes, account: bytes) -> Hit | Lease | Unavailable:
        """Look up, lease or wait, as `AnswerStore.share`."""
        outcome = await self._outcome(self._engine.answers.share(key, account, self))
        assert isinstance(outcome, (Hit, Lease, Unavailable))
        return outcome

    async def peek_answer(self, key: bytes) -> Hit | None:
        """Return an answer that is kept, as `AnswerStore.peek_answer`."""
        return self._engine.answers.peek(key)

    async def put_answer(self, key: bytes, account: bytes, value: bytes, ttl: float) -> None:
        """Store an answer, as `AnswerStore.put_answer`."""
        self._engine.answers.put(key, account, value, ttl)

    async def answer(self, key: bytes, token: bytes, value: bytes, ttl: float) -> bool:
        """Store an answer, as `AnswerStore.answer`."""
        kept = self._engine.answers.answer(key, token, value, ttl)
        self._settle()
        return kept

    async def abstain(self, key: bytes, token: bytes, reason: str, retry_after: float) -> bool:
        """Say that there is no answer, as `AnswerStore.abstain`."""
        told = self._engine.answers.abstain(key, token, reason, retry_after)
        self._settle()
        return told

    async def keep(
        self, key: bytes, account: bytes, session: bytes, value: bytes, ttl: float
    ) -> None:
        """Store a note, as `AnswerStore.keep`."""
        self._engine.answers.keep(key, account, session, value, ttl)

    async def end_handle(self, key: bytes, account: bytes, session: bytes) -> bool:
        """Drop a note, as `AnswerStore.end_handle`."""
        stays = self._engine.end_handle(key, account, session)
        self._settle()
        return stays

    async def end_session(self, key: bytes, account: bytes) -> None:
        """Drop a session, as `SessionStore.end_session`."""
        self._engine.end_session(key, account)
        self._settle()

    async def find(self, key: bytes) -> Hit | None:
        """Return a note, as `AnswerStore.find`."""
        note = self._engine.answers.find(key)
        return None if note is None else Hit(note.value, note.expires_in)

    async def peek(self, key: bytes, account: bytes) -> Hit | None:  # noqa: ARG002 - the protocol
        """Return a session, as `AnswerStore.peek`."""
        return self._engine.peek(key)

    async def ping(self) -> None:
        """Return at once: it is in this process."""

    async def aclose(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def queue(self) -> int:
        """How many wait for a login that has not begun."""
        return len(self._engine.queued())

    def recall(self) -> None:
        """Let those who wait for a login that has not begun ask elsewhere."""
        for ticket in self._engine.queued():
            self._engine.withdraw(ticket)
            future = self._waiting.get(ticket)
            if future is not None and not future.done():
                future.set_exception(Recalled)

    def adopt(self, key: bytes, account: bytes, session: Hit) -> None:
        """Keep a copy of a session that the daemon holds."""
        self._engine.adopt(key, account, session)

    def copy(self, key: bytes) -> Hit | None:
        """Return the session of `key`; None if there is none."""
        return self._engine.find(key)

    def account_of(self, key: bytes) -> bytes | None:
        """Return the account of the session of `key`; None if there is none."""
        return self._engine.account_of(key)

    def drop(self, key: bytes) -> None:
        """Drop the copy of `key`."""
        self._engine.drop(key)

    def lock(self, account: bytes, source: str, locked: Locked, budget: bytes) -> None:
        """Hold a lock that the daemon told of, for when it is gone.

        Args:
            account: The account's key, spelled.
            source: Who was told.
            locked: What the daemon said. Spared are sources that proved the password in this
                worker.
            budget: The account's budget key.
        """
        self._throttle.hold(account, source, locked.retry_after, budget)
        if locked.account_for > 0.0:
            self._throttle.hold_account(budget, locked.account_for)
        if locked.source_for > 0.0:
            self._throttle.hold_source(source, locked.source_for)

    def proved(self, account: bytes, source: str) -> None:
        """Take note that a source was given an account's session by the daemon."""
        self._throttle.proved(account, source)

    def accepted(self, account: bytes, source: str, budget: bytes) -> None:
        """Take note that the portal accepted a login under a lease of the daemon."""
        self._throttle.succeeded(account, source, budget)

    def failed(self, account: bytes, source: str, key: bytes, budget: bytes) -> None:
        """Count a wrong password that could not be told to the daemon."""
        self._throttle.failed(account, source, key, budget)

    def adopt_answer(self, key: bytes, account: bytes, value: bytes, ttl: float) -> None:
        """Keep an answer that could not be told to the daemon, and tell those who wait here."""
        self._engine.answers.adopt(key, account, value, ttl)
        self._settle()

    def note(self, key: bytes) -> Note | None:
        """Return the note under `key` with its account; None if there is none."""
        return self._engine.answers.find(key)

    def drop_note(self, key: bytes) -> None:
        """Drop the copy of a note."""
        self._engine.answers.drop_note(key)

    def rest(self, account: bytes) -> None:
        """Keep the gap after a request to the portal under a lease of the daemon."""
        self._engine.answers.rest(account)

    def leave_alone(self, account: bytes, reason: str, seconds: float) -> None:
        """Remember for when the daemon is gone that the portal is to be left alone, and why."""
        self._engine.answers.leave_alone(account, reason, seconds)

    def flush(self, account: bytes | None) -> None:
        """Drop the copies of one account, or of all."""
        self._engine.flush("sessions" if account is None else "account", account)

    def unlock(self, budget: bytes | None, source: str | None) -> None:
        """Forget failed logins, and the locks that the daemon told of.

        Args:
            budget: Budget key of the account that may be tried again; None for all accounts.
            source: The source that may try again, if no account is given; None for all sources.
        """
        if budget is not None:
            self._engine.unlock(budget)
        elif source is not None:
            self._engine.unlock_source(source)
        else:
            self._engine.flush("lockouts")
        self._settle()

    def drop_expired_failures(self) -> None:
        """Forget failed logins that count no longer."""
        self._engine.drop_expired_failures()

    def erase(self, account: bytes, budget: bytes) -> None:
        """Drop all that is kept here about an account, its failed logins included."""
        self._engine.erase(account, budget)
        self._settle()

    async def _outcome(self, answer: Outcome | Ticket, source: str | None = None) -> Outcome:
        """Wait for what a ticket brings; anything else is the answer already."""
        if not isinstance(answer, Ticket):
            return answer
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[answer] = future
        self._settle()
        if source is not None and not future.done():
            self._waits.begin(future, source, answer.key)
        try:
            return await future
        except (asyncio.CancelledError, CacheBusy):
            self._engine.withdraw(answer)
            if future.done() and not future.cancelled() and future.exception() is None:
                outcome = future.result()
                if isinstance(outcome, Lease):
                    # Granted to one who had gone by then: the next who waits shall have it.
                    self._engine.release(answer.key, outcome.token)
            raise
        finally:
            del self._waiting[answer]
            self._settle()

    def _settle(self) -> None:
        for ticket, outcome in self._engine.settle():
            future = self._waiting.get(ticket)
            if future is not None and not future.done():
                future.set_result(outcome)
            elif isinstance(outcome, Lease):
                # Its caller goes, and has not come to say so yet.
                self._engine.release(ticket.key, outcome.token)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._engine.next_due()
        if due is not None and self._waiting:
            delay = max(0.0, due - self._now())
            self._timer = asyncio.get_running_loop().call_later(delay, self._settle)


def _cut(policy: Policy) -> Policy:
    """Return a policy with the smaller numbers of one of many workers."""
    return replace(
        policy,
        per_source=min(policy.per_source, WRONG_PER_SOURCE),
        per_account=min(policy.per_account, WRONG_PER_ACCOUNT),
        accounts_per_source=min(policy.accounts_per_source, WRONG_ACCOUNTS_PER_SOURCE),
    )
