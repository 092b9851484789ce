"""What of accounts and sources is locked or left alone now, as far as this process has seen it.

For the statistics alone, which are asked for again and again: to look through all states for them
would take too long.
"""

from __future__ import annotations

from collections.abc import Hashable

from .account import READING
from .transaction import Transaction

Ends = tuple[float, ...]


class Census:
    """Ends of locks, and of times in which the portal is not asked, by whom they are for."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, Ends] = {}
        self._logins: dict[Hashable, Ends] = {}
        self._answers: dict[Hashable, Ends] = {}

    def take(self, transaction: Transaction) -> None:
        """Take note of the states of a round."""
        now = transaction.now
        for account, state in transaction.states.items():
            _note(self._locks, account, state.lock_ends(now))
            logins = tuple(one.until for one in state.busy if one.circle is not READING)
            _note(self._logins, account, logins)
            reading = tuple(one.until for one in state.busy if one.circle is READING)
            _note(self._answers, account, reading)
        for source, until in transaction.refused().items():
            _note(self._locks, source, (until,) if until > now else ())

    def forget_locks(self) -> None:
        """Forget all locks: they were flushed."""
        self._locks.clear()

    def stats(self, now: float) -> dict[str, object]:
        """Return how many there are now, under the names of `docs/protocol.md`."""
        return {
            "lockouts_active": _count(self._locks, now),
            "logins_busy": _count(self._logins, now),
            "accounts_busy": _count(self._answers, now),
        }


def _note(table: dict[Hashable, Ends], whose: Hashable, ends: Ends) -> None:
    if ends:
        table[whose] = ends
    elif table:
        table.pop(whose, None)


def _count(table: dict[Hashable, Ends], now: float) -> int:
    for whose in [one for one, ends in table.items() if max(ends) <= now]:
        del table[whose]
    return sum(end > now for ends in table.values() for end in ends)
