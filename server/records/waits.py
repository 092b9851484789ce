"""Counts the calls that wait for a change: limited places per account, across all processes.

They are stored in the journal's file, which all workers of a server share even without the cache
daemon. A place expires a little after the longest wait, so that of a killed worker is free again
within about a minute.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from .database import Database, version_of
from .journal_table import COUNTED

LONGEST = 120.0
"""Seconds that a place lasts at most."""


class Places:
    """The places of all accounts.

    All methods raise JournalUnavailable where the journal cannot be used, and may wait for it.
    Their clock is that of the journal.
    """

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def take(self, account: bytes, token: bytes, lasts: float, most: int) -> float | None:
        """Take a place for so many seconds.

        Args:
            account: The account's key.
            token: Gives the place back.
            lasts: Seconds after which it is free in any case, at most `LONGEST`.
            most: How many places an account has.

        Returns:
            0 when there was one; else the seconds until the first of them is free at the latest;
            None where the file is of a former version, in which nobody counts.
        """

        def work(journal: sqlite3.Connection) -> float | None:
            if version_of(journal) < COUNTED:
                return None
            now = self._now()
            # The clock restarts at each boot: a place that ends too late is from before it.
            journal.execute("DELETE FROM waits WHERE ends <= ?1 OR ends > ?1 + ?2", (now, LONGEST))
            taken: dict[int, float] = dict(
                journal.execute("SELECT place, ends FROM waits WHERE account = ?", (account,))
            )
            free = next((place for place in range(most) if place not in taken), None)
            if free is None:
                return min(taken.values()) - now
            journal.execute(
                "INSERT INTO waits VALUES (?, ?, ?, ?)",
                (account, free, token, now + min(lasts, LONGEST)),
            )
            return 0.0

        return self._database.run(work, "note")

    def give_back(self, account: bytes, token: bytes) -> None:
        """Give a place back."""
        self._database.execute(
            "DELETE FROM waits WHERE account = ? AND token = ?", (account, token)
        )
