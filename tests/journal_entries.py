"""Entries of a journal as an apply makes them, for tests of what becomes of them."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
from pathlib import Path

from server.records.journal import Journal
from server.records.record import Record, Reservation


def reservation(record: Record, **members: object) -> Reservation:
    """What an apply reserves before it is known what its entry will say."""
    one = Reservation(record.id, record.box, record.account, record.client, record.token, record.at)
    return dataclasses.replace(one, **members)


def begin(journal: Journal, record: Record) -> None:
    """Have an apply reserve the box and write down what is about to be sent."""
    one = reservation(record)
    journal.reservations.reserve(one)
    try:
        journal.reservations.send(record)
    finally:
        journal.reservations.release(one.id, one.token)


def version_of(path: Path) -> int:
    """The version that a journal's file says it is of."""
    with contextlib.closing(sqlite3.connect(path)) as rows:
        return rows.execute("PRAGMA user_version").fetchone()[0]


def kept(journal: Journal) -> int:
    """How many boxes are reserved, calls wait, and files of applies lie beside the journal."""
    path = journal._database.path
    files = len(list(path.parent.glob(f"{path.name}-apply-*")))
    if not path.is_file():
        return files
    with contextlib.closing(sqlite3.connect(path)) as rows:
        reserved = "SELECT count(*) FROM changes WHERE state = 'reserved'"
        waiting = "SELECT count(*) FROM waits"
        return files + sum(rows.execute(one).fetchone()[0] for one in (reserved, waiting))
