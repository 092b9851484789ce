"""How many wrong passwords an account may see: per source, over all sources, and for how long not.

Three counters decide. One belongs to an account and a source: after `per_source` different wrong
passwords that pair is locked. One belongs to the account: after `per_account` it is locked for
every source except those that have proved the password before, so that a guesser elsewhere cannot
keep the owner out. Each further wrong password after a lock locks for twice as long. The third
belongs to a source: see `spraying`.

What brings them down:

1. A login that the portal has just accepted clears the failures of that account from that source,
   and their lock. Nothing else does: a cached session proves that its password was right once,
   and a guesser at its owner's address would gain by every look-up of the owner's.
2. The account's own counter falls with time alone, by one for every hour without a lock.
3. A source's budget of accounts comes back with time alone.
4. All are forgotten a day after their last failure.

A guess takes its part of all three from the moment at which its pair is compared with what is held,
since that alone may tell the guesser something (`may_compare`, `compared`). What becomes of it:

1. The portal accepts the pair: it was no guess, and takes nothing.
2. The portal rejects it: it is a failure.
3. The portal was asked and could not say, or the login was not made while anybody might wait for
   it (the caller hung up, the pace kept it waiting, a worker ended): it is a failure all the same,
   or whoever hangs up, and everybody while the portal is down, could guess for nothing.

A portal in trouble must not lock owners out, though, who cannot know whether their password was the
reason. So what was counted in the third case may be tried again, from the same source, whatever is
locked, until the portal has judged it: it is paid for. It is counted once for all sources, so that
an owner on the way pays once; and if the portal accepts it, its source gets back its part of the
budget of accounts, so that an office does not stay over it.

A grant guesses nothing: its pair was right when its owner typed it, and whoever holds the token can
send no other. So its logins are counted nowhere, no lock and no budget is for it, and its turn is
that of a known source; that its pair was rejected a moment ago is remembered like any other
rejection. If its failures counted, the assistants of an owner who has changed the password would
lock the account for the owner's next address.

Failures are counted under the account's budget key (`fingerprint.budget_key`), which spellings of
its e-mail share that the portal may take for one. Who has proved a password is remembered under the
account's own key as its e-mail was spelled (see `spelling`), and failures are forgiven to that
spelling alone: the owner of another one may be another person. All accounts and look-up keys here
are spelled, so that a password which was wrong for one spelling still counts for the next.

Only records that say "no" are worth an attacker's while to get rid of. What goes when there is no
room is for `records` to say; when nothing may go, what is new is refused for a while instead.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from ..sources import is_grant
from .counters import Account, Failures, Policy, Source
from .guesses import HANDLE, Guess, Guesses, Open
from .known import MAX_ACCOUNTS as MAX_KNOWN_ACCOUNTS
from .known import MAX_SOURCES as MAX_KNOWN_SOURCES
from .known import Known, KnownSources
from .outcomes import Locked
from .records import Records, weakest
from .spraying import Sprayed, Spraying

__all__ = ["Failures", "Policy", "Sprayed", "Throttle"]

KNOWN, ALONE, CROWD, SUSPECT = range(4)
"""Ranks of those who wait for a login: see `Throttle.rank`."""

FORGET_AFTER = 86400.0
"""Seconds after its last failure at which a counter is forgotten: a day's typing errors do not add
up to a lock, and 5 + 24 guesses a day per source gain nothing against a password."""

MAX_ACCOUNTS = 20_000
"""Accounts with failures. To push out one at which 19 passwords were judged takes 20 000 others
with as many: two days of all logins at 2 a second, while each count falls by one an hour. Guesses
that tell nothing come faster, and push out none but their own kind."""

GUESS_LASTS = 90.0
"""Seconds after which a guess that was not judged counts as a failure: longer than a login may be
waited for (40 s) and under way (35 s), so that a judgement comes first if there is one."""

MAX_SOURCES = 64
"""Sources with failures per account. The account's own lock comes after 20, then lets through one
at a time for up to an hour each."""


class Throttle:
    """Failed-login budgets of all accounts.

    Each method that takes an account takes its budget key as well, under which failures are
    counted; without it, that is the account's own.

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
        self._accounts = Records[bytes, Account]()
        self._known = KnownSources(policy.known_for, known)
        self._spraying = Spraying(
            policy.accounts_per_source, policy.shared, now, full_for=policy.first
        )
        self._guesses = Guesses(GUESS_LASTS)
        self._full_until = 0.0

    def use(self, policy: Policy) -> None:
        """Go by other budgets from now on. What was counted stays, and so do locks that began."""
        self._policy = policy
        self._forget_after = max(FORGET_AFTER, policy.longest)
        self._known.lasts = policy.known_for
        self._spraying.use(policy.accounts_per_source, policy.first)

    def locked_for(
        self, account: bytes, source: str, budget: bytes | None = None, key: bytes = b""
    ) -> float:
        """Return the seconds until `source` may try `account` again; 0.0 when it may now.

        Args:
            account: The account's key.
            source: Where the attempt comes from.
            budget: The account's budget key.
            key: Look-up key of the pair: one that is paid for meets no lock.
        """
        if is_grant(source):
            return 0.0
        record = self._accounts.get(budget or account)
        # What keeps strangers out: failures at other accounts, the account's own lock, and want of
        # room to count more of either.
        refused = self._spraying.refused_for(source)
        if record is None:
            if not self._full_until and not refused:
                return 0.0  # nearly always
            now = self._now()
            until = 0.0
            closed = max(self._full_until, now + refused)
        else:
            if record.unjudged.get(key) == source:
                return 0.0
            now = self._now()
            counter = record.sources.get(source)
            until = 0.0 if counter is None else counter.until
            closed = max(record.until, now + refused)
            if counter is None:
                closed = max(closed, record.full_until)
        if closed > until and closed > now and not self._known.has(account, source, now):
            until = closed
        return max(0.0, until - now)

    def verdict(self, wait: float, account: bytes, source: str, budget: bytes | None) -> Locked:
        """Return what a source is told that must wait for so many seconds, as `locked_for` said."""
        record = self._accounts.get(budget or account)
        until = 0.0 if record is None else record.until
        now = self._now()
        refused = self._spraying.refused_for(source)
        if record is None:
            # For want of room: those who filled the table failed at other accounts.
            refused = max(refused, self._full_until - now)
        if refused > 0.0 and self._known.has(account, source, now):
            refused = 0.0
        return Locked(wait, max(0.0, until - now), refused)

    def knows(self, account: bytes, source: str) -> bool:
        """Return whether a source has proved the account's password before."""
        return self._known.has(account, source, self._now())

    def rank(
        self,
        account: bytes,
        source: str,
        budget: bytes | None = None,
        *,
        key: bytes = b"",
        alone: bool = True,
    ) -> int:
        """Return how early a source's login to an account has its turn; the lowest goes first.

        1. `KNOWN`: the source proved the account's password before, or the password is the one that
           was right last time. Nearly always the owner.
        2. `ALONE`: in its network nothing was rejected within the last hour, and no other login
           waits.
        3. `CROWD`: something has or does, but the source itself has not failed.
        4. `SUSPECT`: the source was rejected, at this account or within the last hour at others.

        What the portal could not judge makes no one suspect: after an outage that would be all who
        called meanwhile.

        A rank must not depend on whether the account exists: a guesser can measure the wait.

        Args:
            account: The account's key.
            source: Where the login comes from.
            budget: The account's budget key.
            key: Look-up key of the e-mail and password.
            alone: Whether no other login is waited for or under way from the source's network.
        """
        if self.knows(account, source) or self._known.is_right(account, key, self._now()):
            return KNOWN
        record = self._accounts.get(budget or account)
        if (record is not None and record.rejected(source)) or self._spraying.has_failed(source):
            return SUSPECT
        return ALONE if alone and not self._spraying.has_failed_near(source) else CROWD

    def networks(self, source: str) -> tuple[str, str]:
        """Return the networks that a source lies in, the wider first."""
        return self._spraying.networks(source)

    def is_shared(self, source: str) -> bool:
        """Return whether many people share a source."""
        return self._spraying.is_shared(source)

    def may_compare(
        self, account: bytes, source: str, key: bytes, budget: bytes | None = None
    ) -> bool:
        """Return whether a pair fits what is left of the budgets, so that it may be looked at.

        Until then nothing may depend on whether it is right. With nothing open and no lock the
        answer is always yes. It is for the caller to look at `locked_for` first.

        Args:
            account: The account's key.
            source: Where the attempt comes from.
            key: Look-up key of the pair.
            budget: The account's budget key.
        """
        budget = budget or account
        if is_grant(source) or (
            not self._guesses.open
            and budget not in self._accounts
            and not self._spraying.has(source)
        ):
            return True  # nearly always
        now = self._now()
        record = self._fresh(budget, now)
        counter = record.sources.get(source) if record else None
        # What this source has paid for already takes nothing more. What another has paid for does:
        # otherwise the pair of an owner who logs in at this moment would stand out.
        if counter is not None and key in counter.keys:
            return True
        if Guess(budget, source, key) in self._guesses:
            return True
        most = self._policy.per_source
        if self._guesses.at(budget, source) >= (counter.left(most) if counter else most):
            return False
        most = self._policy.per_account
        left = record.left(most) if record else most
        if self._guesses.of_account(budget) < left and self._spraying.may_try(
            source, budget, self._guesses.accounts(source)
        ):
            return True
        return self._known.has(account, source, now)

    def compared(
        self,
        account: bytes,
        source: str,
        key: bytes,
        budget: bytes | None = None,
        *,
        guarded: bool = False,
    ) -> None:
        """Note that a pair was compared with what is held, and is not the same.

        Args:
            account: The account's key.
            source: Where the attempt came from.
            key: Look-up key of the pair.
            budget: The account's budget key.
            guarded: Whether there was anything to compare it with.
        """
        if is_grant(source):
            return
        budget = budget or account
        record = self._accounts.get(budget)
        counter = record.sources.get(source) if record else None
        if source == HANDLE or (counter is not None and key in counter.keys):
            return
        now = self._now()
        self._guesses.add(
            Guess(budget, source, key),
            account,
            now,
            stranger=not self._known.has(account, source, now),
            guarded=guarded or self._known.has_right(account),
        )

    def undecided(self, key: bytes, budget: bytes, source: str | None = None) -> list[Guess]:
        """Count a pair as a failure of which the portal did not say whether it is right.

        Args:
            key: Look-up key of the pair.
            budget: The account's budget key.
            source: Where it came from; None for all.

        Returns:
            The guesses that are open no longer.
        """
        closed = self._guesses.close(budget, key, source)
        for guess, one in closed:
            self._give_up(guess, one)
        return [guess for guess, _ in closed]

    def dismiss(self, key: bytes, budget: bytes) -> list[Guess]:
        """Take back that a pair was a guess: whoever came with it has the session.

        Returns:
            The guesses that are open no longer.
        """
        return [guess for guess, _ in self._guesses.close(budget, key)]

    def expire(self) -> list[Guess]:
        """Count the guesses as failures that nobody will judge any more.

        Returns:
            Those that are open no longer.
        """
        closed: list[Guess] = []
        if not self._guesses.open:
            return closed  # nearly always
        for guess, one in self._guesses.overdue(self._now()):
            self._give_up(guess, one)
            closed.append(guess)
        return closed

    def give_up(self) -> None:
        """Count all open guesses as failures: no judgement will be heard any more."""
        for guess, one in self._guesses.overdue(math.inf):
            self._give_up(guess, one)

    def soon(self) -> float:
        """Return the seconds until the first open guess ends at the latest."""
        end = self._guesses.first_end()
        return 1.0 if end is None else max(1.0, end - self._now())

    def next_due(self) -> float | None:
        """Return when `expire` has something to do; None when never."""
        return self._guesses.first_end()

    def _give_up(self, guess: Guess, one: Open) -> None:
        record = self._accounts.get(guess.budget)
        if record is not None and guess.key in record.unjudged:
            return
        account, source, key, budget = one.account, guess.source, guess.key, guess.budget
        self._count(account, source, key, budget, telling=one.guarded, judged=False)
        record = self._accounts.get(guess.budget)
        if record is not None:
            record.leave_unjudged(guess.key, guess.source)

    def failed(
        self, account: bytes, source: str, key: bytes, budget: bytes | None = None
    ) -> list[Guess]:
        """Count a wrong password, unless it is one that this source has tried before.

        Its source has tried one more account all the same, if the account is not known to it.

        A pair that was rejected for a grant is nobody's failure, unless others came with it
        meanwhile: then it is theirs, who guessed it.

        Args:
            account: The account's key.
            source: Where the attempt came from.
            key: Look-up key of the wrong pair.
            budget: The account's budget key.

        Returns:
            The guesses that are open no longer.
        """
        budget = budget or account
        closed = self._guesses.close(budget, key)
        if is_grant(source):
            for guess, one in closed:
                self._count(one.account, guess.source, key, budget)
        else:
            self._count(account, source, key, budget)
        record = self._accounts.get(budget)
        if record is not None:
            record.unjudged.pop(key, None)
        return [guess for guess, _ in closed]

    def _count(
        self,
        account: bytes,
        source: str,
        key: bytes,
        budget: bytes,
        *,
        telling: bool = True,
        judged: bool = True,
    ) -> None:
        now = self._now()
        self._forget_old(now)
        if not self._known.has(account, source, now):
            self._spraying.failed(source, budget, telling=telling, judged=judged)
        record = self._record(budget, now, telling=telling)
        if record is None:
            return
        counter = record.sources.get(source)
        if counter is not None and key in counter.keys:
            if telling:
                record.tell()
                counter.tell()
                self._accounts.told(budget)
            return
        record.add(self._policy.per_account, self._policy, now, telling=telling)
        self._accounts.failed(budget)
        counter = self._counter(record, source, now, self._room(account, source, now))
        if counter is not None:
            record.sources.move_to_end(source)
            counter.note(account, key)
            counter.add(self._policy.per_source, self._policy, now, telling=telling)

    def succeeded(
        self, account: bytes, source: str, budget: bytes | None = None, key: bytes = b""
    ) -> list[Guess]:
        """Note that the portal has just accepted a login: the failures before it are forgiven.

        Those of other sources are not: one who knows the password does not speak for one who
        guesses it. Nor is anything taken off the account's own counter, or the source's budget,
        unless it was for this very pair.

        Args:
            account: The account's key.
            source: Where the login came from.
            budget: The account's budget key.
            key: Look-up key of the pair.

        Returns:
            The guesses that are open no longer.
        """
        now = self._now()
        budget = budget or account
        closed = self._guesses.close(budget, key)
        record = self._fresh(budget, now)
        if record is not None:
            paid = record.unjudged.pop(key, None)
            if paid is not None and not record.has_more_of(paid):
                self._spraying.take_back(paid, budget)
            counter = record.sources.get(source)
            if counter is not None:
                counter.forgive(account)
                if not counter.failures:
                    del record.sources[source]
            if record.is_over(now):
                del self._accounts[budget]
        self._known.add(account, source, now)
        return [guess for guess, _ in closed]

    def began(self, account: bytes) -> None:
        """Note that an account has a new session, whose password is the right one from now on."""
        self._known.forget_right(account)

    def ended(self, account: bytes, key: bytes) -> None:
        """Note the look-up key of an account's session that is being dropped."""
        self._known.note_right(account, key)

    def proved(self, account: bytes, source: str) -> None:
        """Note that a source knows the account's password, without a login of its own.

        It is known from now on, as a second device is that shares the first one's session; no
        counter changes.
        """
        self._known.add(account, source, self._now())

    def hold(
        self, account: bytes, source: str, seconds: float, budget: bytes | None = None
    ) -> None:
        """Lock a source out of an account for a while without counting a failure.

        Args:
            account: The account's key.
            source: Who is locked out.
            seconds: How long; at most as long as the longest lock.
            budget: The account's budget key.
        """
        if is_grant(source):
            return
        now = self._now()
        budget = budget or account
        record = self._record(budget, now)
        if record is None:
            return
        counter = self._counter(record, source, now, self._room(account, source, now))
        if counter is not None:
            record.last = counter.last = now
            record.sources.move_to_end(source)
            counter.hold(now + min(seconds, self._policy.longest))
            record.telling = max(record.telling, 1)
            self._accounts.failed(budget)

    def hold_account(self, budget: bytes, seconds: float) -> None:
        """Lock an account for every source not known to it, without counting a failure.

        Args:
            budget: The account's budget key.
            seconds: How long; at most as long as the longest lock.
        """
        now = self._now()
        record = self._record(budget, now)
        if record is None:
            return
        record.last = now
        record.hold(now + min(seconds, self._policy.longest))
        self._accounts.failed(budget)

    def hold_source(self, source: str, seconds: float) -> None:
        """Keep a source from accounts that do not know it, without counting a failure."""
        if not is_grant(source):
            self._spraying.hold(source, seconds)

    def drop_expired(self) -> int:
        """Forget the counters whose time is over: they hold names of wrong passwords.

        Otherwise that happens when one is looked at, or a snapshot is made.

        Returns:
            How many there were.
        """
        now = self._now()
        before = self._counters()
        for budget in list(self._accounts):
            record = self._fresh(budget, now)
            if record is not None and record.is_over(now):
                del self._accounts[budget]
        return before - self._counters()

    def _counters(self) -> int:
        return sum(1 + len(record.sources) for record in self._accounts.values())

    def forget_guesses(self, budget: bytes) -> None:
        """Forget what was compared for one account and not judged yet."""
        self._guesses.forget(budget)

    def unlock(self, budget: bytes) -> int:
        """Drop the failures of one account; its known sources stay, and what is not judged yet.

        Returns:
            The number of counters dropped, as `lockouts` would have listed them.
        """
        self._spraying.forget(budget)
        record = self._accounts.get(budget)
        if record is None:
            return 0
        del self._accounts[budget]
        return 1 + len(record.sources)

    def unlock_source(self, source: str) -> int:
        """Drop the failures of one source at all accounts; theirs over all sources stay.

        Returns:
            The number of counters dropped, as `lockouts` and `spraying` would have listed them.
        """
        dropped = self._spraying.unlock(source)
        for record in self._accounts.values():
            dropped += record.sources.pop(source, None) is not None
        return dropped

    def forget_known(self, account: bytes) -> int:
        """Forget the known sources of one account; returns how many there were."""
        return self._known.forget(account)

    def clear(self) -> int:
        """Drop all failures; known sources stay. Returns as `unlock_source`."""
        dropped = sum(1 + len(record.sources) for record in self._accounts.values())
        self._accounts.clear()
        self._full_until = 0.0
        return dropped + self._spraying.clear()

    def lockouts(self) -> list[Failures]:
        """Return every counter of an account, those that lock and those that only count so far."""
        self._forget_old(self._now())
        return list(self._rows())

    def spraying(self) -> list[tuple[str, int, float, float]]:
        """Return the counters of sources that failed at several accounts; see `Spraying.rows`."""
        return self._spraying.rows()

    def sprayed(self) -> list[Sprayed]:
        """Return what all sources have used of their budgets."""
        return self._spraying.export()

    def locked_now(self) -> int:
        """Return how many accounts, pairs of account and source, and sources are locked."""
        now = self._now()
        return self._spraying.refused_now() + sum(
            (record.until > now) + sum(source.until > now for source in record.sources.values())
            for record in self._accounts.values()
        )

    def known(self) -> Mapping[bytes, Known]:
        """Return a copy of all known sources by account, the longest unchanged first."""
        return self._known.export()

    def restore(
        self,
        failures: Iterable[Failures],
        known: Mapping[bytes, Known],
        shift: float,
        sprayed: Iterable[Sprayed] = (),
    ) -> None:
        """Take in what `lockouts`, `known` and `sprayed` returned in another life.

        Args:
            failures: Counters; that of an account over all sources before those of its sources.
            known: Known sources.
            shift: Seconds to add to each of their times.
            sprayed: What sources have used of their budgets.
        """
        now = self._now()
        room = MAX_SOURCES + MAX_KNOWN_SOURCES
        for row in failures:
            if row.source is None:
                too_old = row.last + shift <= now - self._forget_after
                record = None if too_old else self._record(row.account, now)
                if record is not None:
                    record.load(row, shift)
                    self._accounts.failed(row.account)
                continue
            record = self._accounts.get(row.account)
            counter = None if record is None else self._counter(record, row.source, now, room)
            if counter is not None:
                counter.load(row, shift)
        self._known.restore(known, shift, now)
        self._spraying.restore(sprayed, shift)

    def _rows(self) -> Iterator[Failures]:
        now = self._now()
        for budget in list(self._accounts):
            record = self._fresh(budget, now)
            if record is None:
                continue
            if record.is_over(now):
                del self._accounts[budget]
                continue
            yield Failures(
                budget,
                None,
                record.failures,
                record.locks,
                record.until,
                record.last,
                (),
                fell=record.fell,
                telling=record.telling,
            )
            for name, one in record.sources.items():
                yield Failures(
                    budget,
                    name,
                    one.failures,
                    one.locks,
                    one.until,
                    one.last,
                    one.keys,
                    spellings=tuple(one.spellings.items()),
                    telling=one.telling,
                )

    def _record(self, budget: bytes, now: float, *, telling: bool = True) -> Account | None:
        """Return the record of an account, a new one if need be; None if there is no room.

        Others are kept out then, if it was for a telling failure.
        """
        record = self._fresh(budget, now)
        if record is not None:
            return record
        if len(self._accounts) >= MAX_ACCOUNTS:
            name = self._accounts.first_to_go(lambda one: one.weight(now))
            if name is None:
                if telling:
                    self._full_until = now + self._policy.first
                return None
            del self._accounts[name]
        record = self._accounts[budget] = Account(now)
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
        if counter is not None:
            return counter
        if len(record.sources) >= room:
            name = weakest(record.sources, lambda one: None if one.is_firm(now) else one.telling)
            if name is None:
                record.full_until = now + self._policy.first
                return None
            del record.sources[name]
        counter = record.sources[source] = Source()
        return counter

    def _fresh(self, budget: bytes, now: float) -> Account | None:
        """Return the record of an account after dropping what of it is too old."""
        record = self._accounts.get(budget)
        if record is None:
            return None
        too_old = now - self._forget_after
        if record.last <= too_old:
            del self._accounts[budget]
            return None
        record.fall(now)
        while record.sources:
            name, counter = next(iter(record.sources.items()))
            if counter.last > too_old:
                break
            del record.sources[name]
        return record

    def _forget_old(self, now: float) -> None:
        too_old = now - self._forget_after
        while self._accounts:
            account, record = next(iter(self._accounts.items()))
            if record.last > too_old:
                return
            del self._accounts[account]
