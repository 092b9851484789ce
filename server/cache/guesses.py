"""Pairs that were compared with a right one and that the portal has not judged yet.

Whoever asks for a session has their pair compared with the one that is held, and so learns
something before the portal has said a word. Such a guess takes its part of the budgets at that
moment, and keeps it until it is judged; see `Throttle.compared`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

MAX_GUESSES = 20_000
"""Guesses that are open at once: as many as logins that may wait. With more, the one that has been
open for longest counts as a failure before its time."""


HANDLE = "handle"
"""Source of a session that a worker hands over for whoever came with a handle: no guess, since the
handle has proved the account."""


class Guess(NamedTuple):
    """What makes a guess another one.

    Attributes:
        budget: The account's budget key.
        source: Where it came from.
        key: Look-up key of the e-mail and password.
    """

    budget: bytes
    source: str
    key: bytes


@dataclass(frozen=True, slots=True)
class Open:
    """What else is known of an open guess.

    Attributes:
        account: The account's key.
        ends: When it counts as a failure if it was not judged, on the throttle's clock.
        stranger: Whether the account did not know the source.
        guarded: Whether there was a right pair that it was compared with.
    """

    account: bytes
    ends: float
    stranger: bool
    guarded: bool


class Guesses:
    """All open guesses.

    Args:
        lasts: Seconds for which one is open at the longest.
        most: Most of them.

    Attributes:
        open: All of them, in the order of their ends.
    """

    def __init__(self, lasts: float, most: int = MAX_GUESSES) -> None:
        self._lasts = lasts
        self._most = most
        self.open: OrderedDict[Guess, Open] = OrderedDict()
        self._by_account: dict[bytes, dict[str, dict[bytes, None]]] = {}
        # At how many guesses each source is open to each account that it is a stranger to.
        self._elsewhere: dict[str, dict[bytes, int]] = {}

    def __contains__(self, guess: Guess) -> bool:
        return guess in self.open

    def at(self, budget: bytes, source: str) -> int:
        """Return how many there are at an account from a source."""
        return len(self._by_account.get(budget, {}).get(source, ()))

    def of_account(self, budget: bytes) -> int:
        """Return how many there are at an account altogether."""
        return sum(map(len, self._by_account.get(budget, {}).values()))

    def accounts(self, source: str) -> Collection[bytes]:
        """Return the budget keys of the accounts with guesses of a source unknown to them."""
        return self._elsewhere.get(source, {}).keys()

    def add(
        self, guess: Guess, account: bytes, now: float, *, stranger: bool, guarded: bool
    ) -> None:
        """Open a guess, or keep one open for longer."""
        before = self.open.get(guess)
        if before is None:
            sources = self._by_account.setdefault(guess.budget, {})
            sources.setdefault(guess.source, {})[guess.key] = None
            if stranger:
                counts = self._elsewhere.setdefault(guess.source, {})
                counts[guess.budget] = counts.get(guess.budget, 0) + 1
        else:
            stranger, guarded = before.stranger, guarded or before.guarded
        self.open[guess] = Open(account, now + self._lasts, stranger, guarded)
        self.open.move_to_end(guess)

    def close(
        self, budget: bytes, key: bytes, source: str | None = None
    ) -> list[tuple[Guess, Open]]:
        """Close the guesses of a pair, at one source or all; return them in no certain order."""
        found = [
            Guess(budget, one, key)
            for one, keys in self._by_account.get(budget, {}).items()
            if key in keys and source in (None, one)
        ]
        return [(guess, self._close(guess)) for guess in found]

    def overdue(self, now: float) -> Iterator[tuple[Guess, Open]]:
        """Close and yield those whose time is over, and the oldest of too many."""
        while self.open:
            guess, oldest = next(iter(self.open.items()))
            if oldest.ends > now and len(self.open) <= self._most:
                return
            yield guess, self._close(guess)

    def first_end(self) -> float | None:
        """Return when the time of the oldest is over; None when there is none."""
        return next(iter(self.open.values())).ends if self.open else None

    def forget(self, budget: bytes) -> None:
        """Drop those of an account."""
        for source, keys in list(self._by_account.get(budget, {}).items()):
            for key in list(keys):
                self._close(Guess(budget, source, key))

    def _close(self, guess: Guess) -> Open:
        closed = self.open.pop(guess)
        sources = self._by_account[guess.budget]
        del sources[guess.source][guess.key]
        if not sources[guess.source]:
            del sources[guess.source]
        if not sources:
            del self._by_account[guess.budget]
        if closed.stranger:
            counts = self._elsewhere[guess.source]
            counts[guess.budget] -= 1
            if not counts[guess.budget]:
                del counts[guess.budget]
            if not counts:
                del self._elsewhere[guess.source]
        return closed
