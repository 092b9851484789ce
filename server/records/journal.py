"""The journal of all changes: SQLite in one file, shared by all processes of a server.

It is a record and no cache. What was about to be sent is on the disk before it is sent, so that a
crash at any moment leaves an entry; and an entry's id is unique, so that a plan is made once even
when everything was restarted in between.
"""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, fields
from pathlib import Path

from ..errors import JournalUnavailable
from ..portal.writes import Outcome
from .database import Contents, Database, version_of
from .record import Record, Verdict

VERSION = 3
"""Of the table, in SQLite's user_version."""

TABLE = """
CREATE TABLE changes (
    id TEXT PRIMARY KEY,
    at REAL NOT NULL,
    account BLOB NOT NULL,
    client TEXT NOT NULL,
    source TEXT NOT NULL,
    box TEXT NOT NULL,
    change TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    back TEXT,
    undoes TEXT,
    hold BLOB NOT NULL,
    outcome TEXT CHECK (outcome IN ('answered', 'refused', 'unclear')),
    why TEXT,
    outcome_at REAL,
    verdict TEXT CHECK (verdict IN ('applied', 'failed')),
    verdict_at REAL,
    seconds REAL,
    contact_since REAL,
    contact_last REAL
) STRICT
"""
INDEXES = (
    "CREATE INDEX changes_of_account ON changes (account, at)",
    "CREATE INDEX changes_of_box ON changes (box, at)",
)

COLUMNS = ", ".join(field.name for field in fields(Record))
PLACES = ", ".join("?" for _ in fields(Record))

UNSETTLED = (
    f"SELECT {COLUMNS} FROM changes WHERE box = ? AND verdict IS NULL "  # noqa: S608 - our own names
    "AND outcome IS NOT 'refused' ORDER BY at DESC, rowid DESC"
)
MOST_UNSETTLED = 20
"""Unsettled changes of a box that are looked at: of older ones nothing more is found out."""

LAST_OF_KIND = (
    f"SELECT {COLUMNS} FROM changes WHERE box = ? AND json_extract(change, '$[0]') = ? "  # noqa: S608 - our own names
    "AND (verdict = 'applied' OR verdict IS NULL AND outcome IS NOT 'refused') "
    "ORDER BY at DESC, rowid DESC LIMIT 1"
)
"""The last change of a box's setting that was made, or may have been."""

SENT_SINCE = (
    "SELECT 1 FROM changes WHERE box = ? AND json_extract(change, '$[0]') = ? AND at > ? "
    "AND (verdict = 'applied' OR outcome IS NOT 'refused') LIMIT 1"
)
"""A change of a box's setting that was made after a moment, or may have been, however it ended."""

SCHEMA = (TABLE, *INDEXES, f"PRAGMA user_version = {VERSION}")

FORMER = COLUMNS.removesuffix(", contact_since, contact_last")
RENAMED = FORMER.replace("outcome,", "replace(outcome, 'accepted', 'answered'),")

OF_1 = (
    "ALTER TABLE changes RENAME TO former",
    *("DROP INDEX changes_of_account", "DROP INDEX changes_of_box"),
    TABLE,
    f"INSERT INTO changes ({FORMER}) SELECT {RENAMED} FROM former ORDER BY rowid",  # noqa: S608 - our own names
    "DROP TABLE former",
    *INDEXES,
    f"PRAGMA user_version = {VERSION}",
)
"""From version 1: what the portal answered was called accepted, which nobody can tell."""

OF_2 = (
    "ALTER TABLE changes ADD COLUMN contact_since REAL",
    "ALTER TABLE changes ADD COLUMN contact_last REAL",
    f"PRAGMA user_version = {VERSION}",
)
"""From version 2, which did not hold when a change's box was in contact."""

UPDATES = {1: OF_1, 2: OF_2}
"""What brings a journal of a former version up to date, with the first change that is made."""

CONTACTS = 3
"""The first version that holds when a change's box was in contact."""

CONTENTS = Contents(
    what="The journal of changes",
    noun="journal",
    setting="OIG_JOURNAL",
    version=VERSION,
    schema=SCHEMA,
    updates=UPDATES,
    without="no box is changed",
    unavailable=JournalUnavailable,
    busy=JournalUnavailable,
    ahead=True,
)


class PlanUsed(Exception):
    """There is an entry of this id already."""


class ChangeUnderWay(Exception):
    """Another change of the box is not settled.

    Attributes:
        record: That change.
    """

    def __init__(self, record: Record) -> None:
        super().__init__(record.id)
        self.record = record


class Journal:
    """The journal in one file.

    Args:
        path: The file; made by the first entry, readable by its owner only.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, CONTENTS)

    def begin(self, record: Record) -> None:
        """Write down what is about to be sent. It is on the disk when this returns.

        Raises:
            PlanUsed: It was begun before.
            ChangeUnderWay: Another change of the same box was begun and is not settled.
            JournalUnavailable: It could not be written: nothing may be sent.
        """
        self._database.make()

        def work(journal: sqlite3.Connection) -> None:
            if _find(journal, record.id) is not None:
                raise PlanUsed
            others = journal.execute(UNSETTLED, (record.box,))
            for other in (Record(*row) for row in others):
                if other.under_way(record.at):
                    raise ChangeUnderWay(other)
            journal.execute(f"INSERT INTO changes ({COLUMNS}) VALUES ({PLACES})", astuple(record))  # noqa: S608 - our own names

        self._database.run(work, "change")

    def end(self, change_id: str, outcome: Outcome, why: str, at: float) -> None:
        """Write down what became of the request.

        Raises:
            JournalUnavailable: It could not be written; the entry stays unclear.
        """
        self._database.run(
            lambda journal: journal.execute(
                "UPDATE changes SET outcome = ?, why = ?, outcome_at = ? "
                "WHERE id = ? AND outcome IS NULL",
                (outcome, why, at, change_id),
            ),
            "note",
        )

    def settle(self, change_id: str, verdict: Verdict, at: float, seconds: float | None) -> None:
        """Write down what reading back came to; the first verdict stands, unless it was late.

        What was not shown in time and failed may be delivered still: then it is applied.

        Raises:
            JournalUnavailable: It could not be written.
        """
        self._database.run(
            lambda journal: journal.execute(
                "UPDATE changes SET verdict = ?, verdict_at = ?, seconds = ? "
                "WHERE id = ? AND (verdict IS NULL OR verdict = 'failed' AND ?1 = 'applied')",
                (verdict, at, seconds, change_id),
            ),
            "note",
        )

    def contact(self, change_id: str, since: float, last: float) -> None:
        """Write down the row of contacts in which a change's box was seen since it was sent.

        A journal that has no room for it yet stays as it is: the next look sees such a row again.

        Raises:
            JournalUnavailable: It could not be written.
        """

        def work(journal: sqlite3.Connection) -> None:
            if version_of(journal) >= CONTACTS:
                journal.execute(
                    "UPDATE changes SET contact_since = ?, contact_last = ? WHERE id = ?",
                    (since, last, change_id),
                )

        self._database.run(work, "note")

    def find(self, change_id: str, account: bytes | None = None) -> Record | None:
        """Return one entry, None if there is none, or none of this account.

        Raises:
            JournalUnavailable: It could not be read.
        """
        if not self._database.is_there():
            return None
        record = self._database.run(lambda journal: _find(journal, change_id))
        return None if record is None or account not in {None, record.account} else record

    def unsettled(self, box: str) -> list[Record]:
        """Return the changes of a box of which it is not known how they ended, latest first.

        Raises:
            JournalUnavailable: It could not be read.
        """
        if not self._database.is_there():
            return []

        def work(journal: sqlite3.Connection) -> list[Record]:
            rows = journal.execute(f"{UNSETTLED} LIMIT ?", (box, MOST_UNSETTLED))
            return [Record(*row) for row in rows]

        return self._database.run(work)

    def open_end(self, box: str, kind: str) -> Record | None:
        """Return the last change of a box's setting if it is not known how that ended.

        However old it is: it counts until it is settled, or a later one was applied.

        Args:
            box: The box's id.
            kind: Which kind of change it is.

        Raises:
            JournalUnavailable: It could not be read.
        """
        if not self._database.is_there():
            return None
        row = self._database.run(
            lambda journal: journal.execute(LAST_OF_KIND, (box, kind)).fetchone()
        )
        record = None if row is None else Record(*row)
        return record if record is not None and record.verdict is None else None

    def sent_since(self, box: str, kind: str, at: float) -> bool:
        """Say whether a change of a box's setting was sent after a moment, and not refused.

        Args:
            box: The box's id.
            kind: Which kind of change it is.
            at: Seconds since 1970.

        Raises:
            JournalUnavailable: It could not be read.
        """
        if not self._database.is_there():
            return False
        found = self._database.run(
            lambda journal: journal.execute(SENT_SINCE, (box, kind, at)).fetchone()
        )
        return found is not None

    def latest(
        self, limit: int, *, account: bytes | None = None, box: str | None = None
    ) -> tuple[int, list[Record]]:
        """Return how many entries there are, and the latest of them.

        Raises:
            JournalUnavailable: It could not be read.
        """
        if not self._database.is_there():
            return 0, []
        where = "WHERE (?1 IS NULL OR account = ?1) AND (?2 IS NULL OR box = ?2)"

        def work(journal: sqlite3.Connection) -> tuple[int, list[Record]]:
            (total,) = journal.execute(f"SELECT count(*) FROM changes {where}", wanted).fetchone()  # noqa: S608 - our own text
            rows = journal.execute(
                f"SELECT {COLUMNS} FROM changes {where} ORDER BY at DESC, rowid DESC LIMIT ?3",  # noqa: S608 - our own text
                (*wanted, limit),
            )
            return total, [Record(*row) for row in rows]

        wanted = (account, box)
        return self._database.run(work)


def _find(journal: sqlite3.Connection, change_id: str) -> Record | None:
    row = journal.execute(
        f"SELECT {COLUMNS} FROM changes WHERE id = ?",  # noqa: S608 - our own names
        (change_id,),
    ).fetchone()
    return None if row is None else Record(*row)
