"""The journal of all changes: SQLite in one file, shared by all processes of a server.

It is a record, not a cache. A change is on disk before it is sent, so that a crash at any moment
leaves an entry; and an entry's id is unique, so that a plan is applied only once even if everything
was restarted in between.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from ..portal.writes import Outcome
from .database import Database, version_of
from .journal_table import CONTACTS, CONTENTS, MOST_UNSETTLED, SENT, UNSETTLED
from .record import Record, Verdict
from .reservations import Reservations
from .waits import Places

LAST_OF_KIND = (
    f"{SENT} AND box = ? AND json_extract(change, '$[0]') = ? "
    "AND (verdict = 'applied' OR verdict IS NULL AND outcome IS NOT 'refused') "
    "ORDER BY at DESC, rowid DESC LIMIT 1"
)
"""The last change of a box's setting that was made, or may have been."""

SENT_SINCE = (
    f"{SENT} AND box = ? AND json_extract(change, '$[0]') = ? AND at > ? "
    "AND (verdict = 'applied' OR outcome IS NOT 'refused') LIMIT 1"
)
"""A change of a box's setting that was made after a moment, or may have been, however it ended."""


class Journal:
    """The journal in one file.

    All methods raise JournalUnavailable where it cannot be used, and may wait: for the disk, and
    for other processes.

    Args:
        path: The file; made with the first box that is reserved, readable by its owner only.
        now: Seconds of a clock that all processes of the machine share and that is never set.

    Attributes:
        reservations: Which apply has which box.
        places: Which calls wait for a change.
    """

    def __init__(self, path: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._database = Database(path, CONTENTS)
        self.reservations = Reservations(self._database, now)
        self.places = Places(self._database, now)

    def end(self, change_id: str, outcome: Outcome, why: str, at: float) -> None:
        """Write down what became of the request; the entry stays unclear where that fails."""
        self._database.execute(
            "UPDATE changes SET outcome = ?, why = ?, outcome_at = ? "
            "WHERE id = ? AND outcome IS NULL",
            (outcome, why, at, change_id),
        )

    def settle(self, change_id: str, verdict: Verdict, at: float, seconds: float | None) -> None:
        """Write down what reading back came to; the first verdict stands, unless it was late.

        What was not shown in time and failed may be delivered still: then it is applied.
        """
        self._database.execute(
            "UPDATE changes SET verdict = ?, verdict_at = ?, seconds = ? "
            "WHERE id = ? AND (verdict IS NULL OR verdict = 'failed' AND ?1 = 'applied')",
            (verdict, at, seconds, change_id),
        )

    def contact(self, change_id: str, since: float, last: float) -> None:
        """Write down the row of contacts in which a change's box was seen since it was sent.

        A journal that has no room for it yet stays as it is: the next look sees such a row again.
        """

        def work(journal: sqlite3.Connection) -> None:
            if version_of(journal) >= CONTACTS:
                journal.execute(
                    "UPDATE changes SET contact_since = ?, contact_last = ? WHERE id = ?",
                    (since, last, change_id),
                )

        self._database.run(work, "note")

    def find(self, change_id: str, account: bytes | None = None) -> Record | None:
        """Return one entry, None if there is none, or none of this account."""
        record = self._first(f"{SENT} AND id = ?", (change_id,))
        return None if record is None or account not in {None, record.account} else record

    def unsettled(self, box: str) -> list[Record]:
        """Return the changes of a box of which it is not known how they ended, latest first."""
        return self._database.look(
            lambda journal: [
                Record(*row) for row in journal.execute(UNSETTLED, (box, MOST_UNSETTLED))
            ],
            [],
        )

    def open_end(self, box: str, kind: str) -> Record | None:
        """Return the last change of a box's setting if it is not known how that ended.

        However old it is: it counts until it is settled, or a later one was applied.
        """
        record = self._first(LAST_OF_KIND, (box, kind))
        return record if record is not None and record.verdict is None else None

    def sent_since(self, box: str, kind: str, at: float) -> bool:
        """Say whether a setting was changed after `at`, seconds since 1970, and not refused."""
        return self._first(SENT_SINCE, (box, kind, at)) is not None

    def latest(
        self, limit: int, *, account: bytes | None = None, box: str | None = None
    ) -> tuple[int, list[Record]]:
        """Return how many entries there are, and the latest of them."""
        wanted = "AND (?1 IS NULL OR account = ?1) AND (?2 IS NULL OR box = ?2)"

        def work(journal: sqlite3.Connection) -> tuple[int, list[Record]]:
            count = f"SELECT count(*) FROM ({SENT} {wanted})"  # noqa: S608 - our own text
            (total,) = journal.execute(count, (account, box)).fetchone()
            rows = journal.execute(
                f"{SENT} {wanted} ORDER BY at DESC, rowid DESC LIMIT ?3", (account, box, limit)
            )
            return total, [Record(*row) for row in rows]

        return self._database.look(work, (0, list[Record]()))

    def _first(self, query: str, values: tuple[object, ...]) -> Record | None:
        row = self._database.look(lambda journal: journal.execute(query, values).fetchone(), None)
        return None if row is None else Record(*row)
