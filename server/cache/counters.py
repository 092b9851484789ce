"""Counting wrong passwords: the budgets, and what has been used of them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from ..sources import Network

SAME_PASSWORDS = 16
"""Wrong passwords remembered per account and source. A misconfigured client repeats one or two;
whoever rotates through more is guessing."""

MAX_SPELLINGS = 8
"""Accounts of one budget whose failures are told apart per source. Two would be an owner and a
neighbour whose e-mail differs by an accent; failures at further ones are forgiven to nobody."""

MAX_UNJUDGED = 32
"""Pairs per account that were counted and not judged: more than its budget."""

FALLS_EVERY = 3600.0
"""Seconds without a lock for which the counter over all sources falls by one failure and one lock:
24 guesses a day gain nothing against a password, and a guesser who gave up locks nobody out for
longer than that takes."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Budgets of wrong passwords.

    Attributes:
        per_source: Different wrong passwords for one account from one source before its first lock.
        per_account: The same for one account over all sources.
        first: Length of the first lock in seconds; each further one is twice as long.
        longest: Longest lock in seconds.
        known_for: Seconds for which a source that logged in to an account is spared its lock.
        accounts_per_source: Accounts unknown to a source at which it may fail within an hour; 0 for
            any number.
        shared: Networks to which that does not apply.
    """

    per_source: int = 5
    per_account: int = 20
    first: float = 30.0
    longest: float = 3600.0
    known_for: float = 30 * 86400.0
    accounts_per_source: int = 20
    shared: tuple[Network, ...] = ()

    def length(self, locks: int) -> float:
        """Return how many seconds the lock number `locks` (1 is the first) lasts."""
        # Past 2**40 the longest has long been reached, and a float would overflow in the end.
        return min(self.longest, self.first * 2.0 ** min(locks - 1, 40))


@dataclass(frozen=True, slots=True)
class Failures:
    """One counter of wrong passwords, as exported.

    Attributes:
        account: Budget key of the account.
        source: None for the counter over all sources.
        failures: Different wrong passwords counted.
        locks: Locks so far: the doubling level.
        until: When the last lock ends, on the throttle's clock; 0 before the first.
        last: When the last failure came, on the same clock.
        keys: The wrong passwords' look-up keys that would not count again.
        fell: When the counter over all sources last fell by itself, or began to count, on the same
            clock.
        spellings: Spelled keys of the accounts that a source's failures were for, and how many
            each.
        telling: How many of the failures were telling (see `records`); None when it is not known,
            so that all are taken for it.
    """

    account: bytes
    source: str | None
    failures: int
    locks: int
    until: float
    last: float
    keys: tuple[bytes, ...]
    fell: float = 0.0
    spellings: tuple[tuple[bytes, int], ...] = ()
    telling: int | None = None


class Counter:
    """Wrong passwords and the locks they led to.

    `telling` says how many of them told whoever tried them something (see `records`), `firm`
    whether the last lock was earned by such failures alone.
    """

    __slots__ = ("failures", "firm", "last", "locks", "telling", "until")

    def __init__(self) -> None:
        self.firm = False
        self.telling = 0
        self.failures = 0
        self.locks = 0
        self.until = 0.0
        self.last = 0.0

    def add(self, budget: int, policy: Policy, now: float, *, telling: bool) -> None:
        """Count one more, and lock if the budget is used up."""
        self.failures += 1
        self.telling += telling
        self.last = now
        # A failure during a lock (a login under way when it began) is covered by that lock.
        if self.failures >= budget and self.until <= now:
            self.locks += 1
            self.until = now + policy.length(self.locks)
            # Failures that cost nothing must not make it so again and again either.
            self.firm = telling and self.telling >= budget

    def tell(self) -> None:
        """Take note that a failure is telling which was counted as one that is not."""
        if self.telling < self.failures:
            self.telling += 1

    def hold(self, until: float) -> None:
        """Lock firmly without a failure."""
        self.until = max(self.until, until)
        self.telling = max(self.telling, 1)
        self.firm = True

    def left(self, budget: int) -> int:
        """Return how many undecided attempts may be out at once when not locked."""
        return max(1, budget - self.failures)

    def load(self, row: Failures, shift: float) -> None:
        """Go on from an exported counter, with `shift` seconds added to its times."""
        self.failures, self.locks = row.failures, row.locks
        self.telling = row.failures if row.telling is None else min(row.telling, row.failures)
        self.firm = self.telling > 0
        self.until = row.until + shift if row.until else 0.0
        self.last = row.last + shift

    def is_locked(self, now: float) -> bool:
        """Return whether a lock is active."""
        return self.until > now

    def is_firm(self, now: float) -> bool:
        """Return whether a lock is active that telling failures alone have earned."""
        return self.firm and self.until > now


class Source(Counter):
    """The counter of one source of one account.

    `spellings` says for which of the accounts that share a budget its failures were.
    """

    __slots__ = ("keys", "spellings")

    def __init__(self) -> None:
        super().__init__()
        self.keys: tuple[bytes, ...] = ()
        self.spellings: dict[bytes, int] = {}

    def note(self, account: bytes, key: bytes) -> None:
        """Remember for which account the failure that is added was, and of which password."""
        self.keys = (*self.keys, key)[-SAME_PASSWORDS:]
        if account in self.spellings or len(self.spellings) < MAX_SPELLINGS:
            self.spellings[account] = self.spellings.get(account, 0) + 1

    def forgive(self, account: bytes) -> None:
        """Take off the failures that were for one account."""
        forgiven = self.spellings.pop(account, 0)
        self.failures -= forgiven
        self.telling = min(self.telling, self.failures)
        if forgiven:
            # Which of the passwords were that account's is not known. Another's counts again, if
            # its owner repeats it after the memory of rejections.
            self.keys = ()

    def load(self, row: Failures, shift: float) -> None:
        """Go on from an exported counter, with `shift` seconds added to its times."""
        super().load(row, shift)
        self.keys = row.keys[-SAME_PASSWORDS:]
        self.spellings = dict(row.spellings[:MAX_SPELLINGS])


class Account(Counter):
    """The counter of one account over all sources, and those of its sources.

    `full_until` is when sources without a counter are let in again, after one found no room.
    `unjudged` says of which pairs the portal could not say whether they are right, and which
    source's failures they are.
    """

    __slots__ = ("fell", "full_until", "sources", "unjudged")

    def __init__(self, now: float) -> None:
        super().__init__()
        self.last = self.fell = now
        self.sources: OrderedDict[str, Source] = OrderedDict()
        self.full_until = 0.0
        self.unjudged: dict[bytes, str] = {}

    def leave_unjudged(self, key: bytes, source: str) -> None:
        """Remember that a pair which a source has paid for was not judged."""
        self.unjudged[key] = source
        if len(self.unjudged) > MAX_UNJUDGED:
            del self.unjudged[next(iter(self.unjudged))]

    def has_more_of(self, source: str) -> bool:
        """Return whether a source has more than one failure here."""
        counter = self.sources.get(source)
        return counter is not None and counter.failures > 1

    def rejected(self, source: str) -> bool:
        """Return whether the portal rejected a source, or another engine locked it."""
        counter = self.sources.get(source)
        if counter is None:
            return False
        unjudged = sum(one == source for one in self.unjudged.values())
        return counter.failures > unjudged or counter.until > 0.0

    def is_locked(self, now: float) -> bool:
        """Return whether a lock is active for any source."""
        return (
            self.until > now
            or self.full_until > now
            or any(source.until > now for source in self.sources.values())
        )

    def fall(self, now: float) -> None:
        """Lower the counter by what the time since it last fell is good for, less all locks."""
        since = max(self.fell, self.until)
        steps = int((now - since) / FALLS_EVERY)
        if steps > 0:
            self.fell = since + steps * FALLS_EVERY
            self.failures = max(0, self.failures - steps)
            self.telling = min(self.telling, self.failures)
            self.locks = max(0, self.locks - steps)
        if not self.failures:
            self.fell = max(self.fell, now)

    def weight(self, now: float) -> int | None:
        """Return how many telling failures it has now; None while it is firmly locked."""
        self.fall(now)
        firm = self.is_firm(now) or any(one.is_firm(now) for one in self.sources.values())
        return None if firm else self.telling

    def is_over(self, now: float) -> bool:
        """Return whether it says nothing any more."""
        return not self.failures and not self.sources and not self.is_locked(now)

    def load(self, row: Failures, shift: float) -> None:
        """Go on from an exported counter, with `shift` seconds added to its times."""
        super().load(row, shift)
        self.fell = row.fell + shift
