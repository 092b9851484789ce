"""The journal's tables, and the migration of a file of a former version."""

from __future__ import annotations

from dataclasses import fields

from ..errors import JournalUnavailable
from .database import Contents
from .record import Record

VERSION = 4
"""Of the tables, in SQLite's user_version."""

STATE = "state TEXT NOT NULL DEFAULT 'sent' CHECK (state IN ('reserved', 'sent'))"

TABLE = f"""
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
    token BLOB NOT NULL,
    outcome TEXT CHECK (outcome IN ('answered', 'refused', 'unclear')),
    why TEXT,
    outcome_at REAL,
    verdict TEXT CHECK (verdict IN ('applied', 'failed')),
    verdict_at REAL,
    seconds REAL,
    contact_since REAL,
    contact_last REAL,
    {STATE},
    reserved_at REAL,
    released_at REAL
) STRICT
"""
INDEXES = (
    "CREATE INDEX changes_of_account ON changes (account, at)",
    "CREATE INDEX changes_of_box ON changes (box, at)",
)

RESERVATION = "CREATE UNIQUE INDEX reservation_of_box ON changes (box) WHERE state = 'reserved'"
"""A box has one reservation, whatever a program does."""

WAITS = """
CREATE TABLE waits (
    account BLOB NOT NULL,
    place INTEGER NOT NULL,
    token BLOB NOT NULL,
    ends REAL NOT NULL,
    PRIMARY KEY (account, place)
) STRICT, WITHOUT ROWID
"""

COLUMNS = ", ".join(field.name for field in fields(Record))
PLACES = ", ".join("?" for _ in fields(Record))

SENT = f"SELECT {COLUMNS} FROM changes WHERE state = 'sent'"  # noqa: S608 - our own names
"""All entries. What is only reserved is no change, and is not reported as one."""

UNSETTLED = (
    f"{SENT} AND box = ? AND verdict IS NULL AND outcome IS NOT 'refused' "
    "ORDER BY at DESC, rowid DESC LIMIT ?"
)
MOST_UNSETTLED = 20
"""Unsettled changes of a box that are looked at: of older ones nothing more is found out."""


SCHEMA = (TABLE, *INDEXES, RESERVATION, WAITS, f"PRAGMA user_version = {VERSION}")

OF_TABLE_1 = (
    "id, at, account, client, source, box, change, before, after, back, undoes, {token}, {outcome},"
    " why, outcome_at, verdict, verdict_at, seconds"
)
INTO = OF_TABLE_1.format(token="token", outcome="outcome")  # noqa: S106 - names of columns
FROM = OF_TABLE_1.format(token="hold", outcome="replace(outcome, 'accepted', 'answered')")  # noqa: S106

OF_1 = (
    "ALTER TABLE changes RENAME TO former",
    *("DROP INDEX changes_of_account", "DROP INDEX changes_of_box"),
    TABLE,
    f"INSERT INTO changes ({INTO}) SELECT {FROM} FROM former ORDER BY rowid",  # noqa: S608 - our own names
    "DROP TABLE former",
    *INDEXES,
    RESERVATION,
    WAITS,
    f"PRAGMA user_version = {VERSION}",
)
"""From version 1: what the portal answered was called accepted, which is not known."""

OF_3 = (
    "ALTER TABLE changes RENAME COLUMN hold TO token",
    f"ALTER TABLE changes ADD COLUMN {STATE}",
    "ALTER TABLE changes ADD COLUMN reserved_at REAL",
    "ALTER TABLE changes ADD COLUMN released_at REAL",
    RESERVATION,
    WAITS,
    f"PRAGMA user_version = {VERSION}",
)
"""From version 3, in which the cache daemon knew who was about to change a box."""

OF_2 = (
    "ALTER TABLE changes ADD COLUMN contact_since REAL",
    "ALTER TABLE changes ADD COLUMN contact_last REAL",
    *OF_3,
)
"""From version 2, which did not record when a change's box was in contact."""

CONTACTS = 3
"""The first version that records when a change's box was in contact."""

COUNTED = 4
"""The first version that records which calls wait."""

CONTENTS = Contents(
    what="The journal of changes",
    noun="journal",
    setting="OIG_JOURNAL",
    version=VERSION,
    schema=SCHEMA,
    updates={1: OF_1, 2: OF_2, 3: OF_3},
    without="no box is changed",
    unavailable=JournalUnavailable,
    busy=JournalUnavailable,
    ahead=True,
)
"""The first reservation of a box updates a journal of a former version."""
