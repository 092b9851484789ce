"""How many wrong passwords an account may see: per source, over all sources, and for how long not.

Two counters decide. One belongs to an account and a source: after `per_source` different wrong
passwords that pair is locked. One belongs to the account: after `per_account` it is locked for
every source except those that have proved the password before, so that a guesser elsewhere cannot
keep the owner out. Each further wrong password after a lock locks for twice as long.

Only records that say "no" are worth an attacker's while to get rid of, so an active lock is never
dropped for room; when there is no other room, what is new is refused for a while instead.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping

from .counters import SAME_PASSWORDS, Account, Failures, Policy, Source, make_room
from .known import MAX_ACCOUNTS as MAX_KNOWN_ACCOUNTS
from .known import MAX_SOURCES as MAX_KNOWN_SOURCES
from .known import Known, KnownSources
from .outcomes import Locked

__all__ = ["Failures", "Policy", "Throttle"]

FORGET_AFTER = 86400.0
"""Seconds after its last failure at which a counter is forgotten: a day's typing errors do not add
up to a lock, and 5 + 24 guesses a day per source gain nothing against a password."""

MAX_ACCOUNTS = 20_000
"""Accounts with failures. At 2 logins a second it takes close to 3 hours of wrong passwords for
others to push out an account that is not locked, which buys the guesser four attempts."""

MAX_SOURCES = 64
"""Sources with failures per account. The account's own lock comes after 20, then lets through one
at a time for up to an hour each."""


class Throttle:
    """Failed-login budgets of all accounts.

    Args:
        policy: The budgets.
        now: The clock, in seconds; never goes back.
        known: Most accounts whose known sources are remembered.
    """

    def __init__(
        self,
        policy: Policy,
        now: Callable[[], float] = time.monotonic,
        known: int = MAX_KNOWN_ACCOUNTS,
    ) -> None:
        self._policy = policy
        self._now = now
        self._forget_after = max(FORGET_AFTER, policy.longest)
        # In the order of their last failures, the oldest first.
        self._accounts: OrderedDict[bytes, Account] = OrderedDict()
        self._known = KnownSources(policy.known_for, known)
        self._full_until = 0.0

    def locked_for(self, account: bytes, source: str) -> float:
        """Return the seconds until `source` may try `account` again; 0.0 when it may now."""
        record = self._accounts.get(account)
        if record is None:
            if not self._full_until:
                return 0.0
            now = self._now()
            return (
                0.0 if self._known.has(account, source, now) else max(0.0, self._full_until - now)
            )
        now = self._now()
        counter = record.sources.get(source)
        until = 0.0 if counter is None else counter.until
        # What keeps strangers out: the account's own lock, and want of room to count them.
        closed = max(record.until, record.full_until) if counter is None else record.until
        if closed > until and not self._known.has(account, source, now):
            until = closed
        return max(0.0, until - now)

    def verdict(self, account: bytes, wait: float) -> Locked:
        """Return what a source is told that must wait for so many seconds, as `locked_for` said."""
        record = self._accounts.get(account)
        until = 0.0 if record is None else record.until
        return Locked(wait, max(0.0, until - self._now()))

    def may_try(
        self, account: bytes, source: str, undecided_source: int, undecided_account: int
    ) -> bool:
        """Return whether one more undecided attempt fits what is left of the budgets.

        With nothing undecided and no lock the answer is always yes. It is for the caller to look
        at `locked_for` first.

        Args:
            account: The account's key.
            source: Where the attempt comes from.
            undecided_source: Attempts under way for this account from this source.
            undecided_account: Attempts under way for this account altogether.
        """
        now = self._now()
        record = self._fresh(account, now)
        counter = record.sources.get(source) if record else None
        budget = self._policy.per_source
        if undecided_source >= (counter.left(budget) if counter else budget):
            return False
        budget = self._policy.per_account
        if undecided_account < (record.left(budget) if record else budget):
            return True
        return self._known.has(account, source, now)

    def failed(self, account: bytes, source: str, key: bytes) -> None:
        """Count a wrong password, unless it is one that this source has tried before.

        Args:
            account: The account's key.
            source: Where the attempt came from.
            key: Look-up key of the wrong pair.
        """
        now = self._now()
        self._forget_old(now)
        record = self._record(account, now)
        if record is None:
            return
        counter = record.sources.get(source)
        if counter is not None and key in counter.keys:
            return
        self._accounts.move_to_end(account)
        record.add(self._policy.per_account, self._policy, now)
        counter = self._counter(record, source, now, self._room(account, source, now))
        if counter is not None:
            record.sources.move_to_end(source)
            counter.keys = (*counter.keys, key)[-SAME_PASSWORDS:]
            counter.add(self._policy.per_source, self._policy, now)

    def succeeded(self, account: bytes, source: str) -> None:
        """Note that `source` proved the account's password: its failures are forgiven.

        Those of other sources are not: one who knows the password does not speak for one who
        guesses it.
        """
        now = self._now()
        record = self._accounts.get(account)
        if record is not None:
            record.drop(source)
            if not record.failures and not record.sources and not record.is_locked(now):
                del self._accounts[account]
        self._known.add(account, source, now)

    def hold(self, account: bytes, source: str, seconds: float) -> None:
        """Lock a source out of an account for a while without counting a failure.

        Args:
            account: The account's key.
            source: Who is locked out.
            seconds: How long; at most as long as the longest lock.
        """
        now = self._now()
        record = self._record(account, now)
        if record is None:
            return
        counter = self._counter(record, source, now, self._room(account, source, now))
        if counter is not None:
            record.last = counter.last = now
            self._accounts.move_to_end(account)
            record.sources.move_to_end(source)
            counter.until = max(counter.until, now + min(seconds, self._policy.longest))

    def hold_account(self, account: bytes, seconds: float) -> None:
        """Lock an account for every source not known to it, without counting a failure.

        Args:
            account: The account's key.
            seconds: How long; at most as long as the longest lock.
        """
        now = self._now()
        record = self._record(account, now)
        if record is None:
            return
        record.last = now
        self._accounts.move_to_end(account)
        record.until = max(record.until, now + min(seconds, self._policy.longest))

    def unlock(self, account: bytes) -> int:
        """Drop the failures of one account; its known sources stay.

        Returns:
            The number of counters dropped, as `lockouts` would have listed them.
        """
        record = self._accounts.pop(account, None)
        return 0 if record is None else 1 + len(record.sources)

    def clear(self) -> int:
        """Drop the failures of all accounts; known sources stay. Returns as `unlock`."""
        dropped = sum(1 + len(record.sources) for record in self._accounts.values())
        self._accounts.clear()
        self._full_until = 0.0
        return dropped

    def lockouts(self) -> list[Failures]:
        """Return every counter, those that lock and those that only count so far."""
        self._forget_old(self._now())
        return list(self._rows())

    def locked_now(self) -> int:
        """Return how many accounts and pairs of account and source are locked."""
        now = self._now()
        return sum(
            (record.until > now) + sum(source.until > now for source in record.sources.values())
            for record in self._accounts.values()
        )

    def known(self) -> Mapping[bytes, Known]:
        """Return a copy of all known sources by account, the longest unchanged first."""
        return self._known.export()

    def restore(
        self, failures: Iterable[Failures], known: Mapping[bytes, Known], shift: float
    ) -> None:
        """Take in what `lockouts` and `known` returned in another life.

        Args:
            failures: Counters; that of an account over all sources before those of its sources.
            known: Known sources.
            shift: Seconds to add to each of their times.
        """
        now = self._now()
        room = MAX_SOURCES + MAX_KNOWN_SOURCES
        for row in failures:
            if row.source is None:
                too_old = row.last + shift <= now - self._forget_after
                record = None if too_old else self._record(row.account, now)
                if record is not None:
                    record.load(row, shift)
                continue
            record = self._accounts.get(row.account)
            counter = None if record is None else self._counter(record, row.source, now, room)
            if counter is not None:
                counter.load(row, shift)
                counter.keys = row.keys[-SAME_PASSWORDS:]
        self._known.restore(known, shift, now)

    def _rows(self) -> Iterator[Failures]:
        for account, record in self._accounts.items():
            yield Failures(
                account, None, record.failures, record.locks, record.until, record.last, ()
            )
            for name, one in record.sources.items():
                yield Failures(
                    account, name, one.failures, one.locks, one.until, one.last, one.keys
                )

    def _record(self, account: bytes, now: float) -> Account | None:
        """Return the record of an account, a new one if need be; None if there is no room."""
        record = self._fresh(account, now)
        if record is None:
            if not make_room(self._accounts, MAX_ACCOUNTS, now):
                self._full_until = now + self._policy.first
                return None
            record = self._accounts[account] = Account()
            record.last = now
        return record

    def _room(self, account: bytes, source: str, now: float) -> int:
        """Return how many counters of an account there may be for one of `source` to be made.

        Known sources are let in when there is no room, so they must be counted all the same.
        """
        known = self._known.has(account, source, now)
        return MAX_SOURCES + MAX_KNOWN_SOURCES if known else MAX_SOURCES

    def _counter(self, record: Account, source: str, now: float, room: int) -> Source | None:
        """Return the counter of a source, a new one if need be; None if there is no room."""
        counter = record.sources.get(source)
        if counter is None:
            if not make_room(record.sources, room, now):
                record.full_until = now + self._policy.first
                return None
            counter = record.sources[source] = Source()
        return counter

    def _fresh(self, account: bytes, now: float) -> Account | None:
        """Return the record of an account after dropping what of it is too old."""
        record = self._accounts.get(account)
        if record is None:
            return None
        too_old = now - self._forget_after
        if record.last <= too_old:
            del self._accounts[account]
            return None
        while record.sources:
            name, counter = next(iter(record.sources.items()))
            if counter.last > too_old:
                break
            record.drop(name)
        return record

    def _forget_old(self, now: float) -> None:
        too_old = now - self._forget_after
        while self._accounts:
            account, record = next(iter(self._accounts.items()))
            if record.last > too_old:
                return
            del self._accounts[account]
