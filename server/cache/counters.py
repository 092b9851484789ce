"""Counting wrong passwords: the budgets, and what has been used of them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

SAME_PASSWORDS = 16
"""Wrong passwords remembered per account and source. A misconfigured client repeats one or two;
whoever rotates through more is guessing."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Budgets of wrong passwords.

    Attributes:
        per_source: Different wrong passwords for one account from one source before its first lock.
        per_account: The same for one account over all sources.
        first: Length of the first lock in seconds; each further one is twice as long.
        longest: Longest lock in seconds.
        known_for: Seconds for which a source that logged in to an account is spared its lock.
    """

    per_source: int = 5
    per_account: int = 20
    first: float = 30.0
    longest: float = 3600.0
    known_for: float = 30 * 86400.0

    def length(self, locks: int) -> float:
        """Return how many seconds the lock number `locks` (1 is the first) lasts."""
        # Past 2**40 the longest has long been reached, and a float would overflow in the end.
        return min(self.longest, self.first * 2.0 ** min(locks - 1, 40))


@dataclass(frozen=True, slots=True)
class Failures:
    """One counter of wrong passwords, as exported.

    Attributes:
        account: The account's key.
        source: None for the counter over all sources.
        failures: Different wrong passwords counted.
        locks: Locks so far: the doubling level.
        until: When the last lock ends, on the throttle's clock; 0 before the first.
        last: When the last failure came, on the same clock.
        keys: The wrong passwords' look-up keys that would not count again.
    """

    account: bytes
    source: str | None
    failures: int
    locks: int
    until: float
    last: float
    keys: tuple[bytes, ...]


class Counter:
    """Wrong passwords and the locks they led to."""

    __slots__ = ("failures", "last", "locks", "until")

    def __init__(self) -> None:
        self.failures = 0
        self.locks = 0
        self.until = 0.0
        self.last = 0.0

    def add(self, budget: int, policy: Policy, now: float) -> None:
        """Count one more, and lock if the budget is used up."""
        self.failures += 1
        self.last = now
        # A failure during a lock (a login under way when it began) is covered by that lock.
        if self.failures >= budget and self.until <= now:
            self.locks += 1
            self.until = now + policy.length(self.locks)

    def left(self, budget: int) -> int:
        """Return how many undecided attempts may be out at once when not locked."""
        return max(1, budget - self.failures)

    def load(self, row: Failures, shift: float) -> None:
        """Go on from an exported counter, with `shift` seconds added to its times."""
        self.failures, self.locks = row.failures, row.locks
        self.until = row.until + shift if row.until else 0.0
        self.last = row.last + shift

    def is_locked(self, now: float) -> bool:
        """Return whether a lock is active."""
        return self.until > now


class Source(Counter):
    """The counter of one source of one account."""

    __slots__ = ("keys",)

    def __init__(self) -> None:
        super().__init__()
        self.keys: tuple[bytes, ...] = ()


class Account(Counter):
    """The counter of one account over all sources, and those of its sources.

    `full_until` is when sources without a counter are let in again, after one found no room.
    """

    __slots__ = ("full_until", "sources")

    def __init__(self) -> None:
        super().__init__()
        self.sources: OrderedDict[str, Source] = OrderedDict()
        self.full_until = 0.0

    def is_locked(self, now: float) -> bool:
        """Return whether a lock is active for any source."""
        return (
            self.until > now
            or self.full_until > now
            or any(source.until > now for source in self.sources.values())
        )

    def drop(self, source: str) -> None:
        """Drop a source's counter and take what it counted off the account's."""
        counter = self.sources.pop(source, None)
        if counter is not None:
            self.failures = max(0, self.failures - counter.failures)


Name = TypeVar("Name", bytes, str)
AnyCounter = TypeVar("AnyCounter", bound=Counter)


def make_room(table: OrderedDict[Name, AnyCounter], limit: int, now: float) -> bool:
    """Drop the oldest entry without an active lock if the table is full; False if there is none."""
    if len(table) < limit:
        return True
    for name, counter in table.items():
        if not counter.is_locked(now):
            del table[name]
            return True
    return False
