"""The table of grants: how a grant is a row, is found, and ends."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from ..errors import GrantsBusy, GrantsUnavailable
from .database import Contents
from .grant import Grant, Why

VERSION = 1
"""Of the table, in SQLite's user_version."""

# With rows in the order of their making none is moved from page to page by one that comes later:
# what is overwritten in one place must not be left in another.
TABLE = """
CREATE TABLE grants (
    id BLOB NOT NULL UNIQUE,
    account BLOB NOT NULL,
    client BLOB NOT NULL,
    name TEXT NOT NULL,
    redirect TEXT NOT NULL,
    control INTEGER NOT NULL,
    resource TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'ended')),
    generation INTEGER NOT NULL,
    created REAL NOT NULL,
    expires REAL NOT NULL,
    used REAL NOT NULL,
    suspect_since REAL,
    asked_at REAL,
    ended_at REAL,
    ended_why TEXT NOT NULL,
    sealed BLOB NOT NULL,
    CHECK (state != 'ended' OR sealed = x'')
) STRICT
"""

CONTENTS = Contents(
    what="The record of connected clients",
    noun="record of connected clients",
    setting="OIG_GRANTS",
    version=VERSION,
    schema=(
        TABLE,
        "CREATE INDEX grants_of_account ON grants (account)",
        f"PRAGMA user_version = {VERSION}",
    ),
    updates={},
    without="no client that logged in with a browser is served",
    unavailable=GrantsUnavailable,
    busy=GrantsBusy,
    ahead=False,
)

COLUMNS = ", ".join(field.name for field in fields(Grant))
PLACES = ", ".join("?" for _ in fields(Grant))
CONTROL = [field.name for field in fields(Grant)].index("control")

ADD = f"INSERT INTO grants ({COLUMNS}) VALUES ({PLACES})"  # noqa: S608 - our own names
ALL = f"SELECT {COLUMNS} FROM grants"  # noqa: S608
FIND = f"{ALL} WHERE id = ?"

GONE = (
    "The record of connected clients {path} was there and is gone. Put it back; or restart the "
    "workers, and every client that logged in with a browser has to do so again."
)

MAKE_ROOM = (
    "DELETE FROM grants WHERE rowid IN (SELECT rowid FROM grants WHERE account = ? "
    "ORDER BY CASE state WHEN 'active' THEN 0 WHEN 'pending' THEN 1 ELSE 2 END, "
    "ended_at DESC, used DESC, rowid DESC LIMIT -1 OFFSET ?)"
)
"""Of an account's grants only so many stay: `GrantStore.add` says which."""

REMOVE_OLD = (
    "DELETE FROM grants WHERE state = 'pending' AND abs(?1 - created) >= ?2 "
    "OR state = 'ended' AND ?1 - ended_at >= ?3"
)
"""What nobody needs any more."""


def find_grant(grants: sqlite3.Connection, grant_id: bytes) -> Grant | None:
    """Return one grant, however it stands; None if there is none."""
    row = grants.execute(FIND, (grant_id,)).fetchone()
    return None if row is None else grant_of(row)


def grant_of(row: Iterable[Any]) -> Grant:
    """Return the grant that a row is."""
    values = [*row]
    values[CONTROL] = bool(values[CONTROL])  # SQLite has no truth values
    return Grant(*values)


def end_one(
    grants: sqlite3.Connection, grant_id: bytes, why: Why, now: float, account: bytes | None = None
) -> bool:
    """End one grant, if it is of this account; whether it had not ended before."""
    which = "id = :id AND (:account IS NULL OR account = :account)"
    return end_where(grants, why, now, which, {"id": grant_id, "account": account}) == 1


def end_where(
    grants: sqlite3.Connection, why: Why, now: float, which: str, values: dict[str, bytes | None]
) -> int:
    """End the grants of which a condition is true: what they sealed is overwritten.

    Returns:
        How many had not ended before.
    """
    done = grants.execute(
        "UPDATE grants SET state = 'ended', sealed = x'', ended_at = :now, ended_why = :why "  # noqa: S608 - our own text
        f"WHERE state != 'ended' AND {which}",
        {**values, "now": now, "why": why},
    )
    return done.rowcount
