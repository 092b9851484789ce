"""The journal of all changes: SQLite in one file, shared by all processes of a server.

It is a record and no cache. What was about to be sent is on the disk before it is sent, so that a
crash at any moment leaves an entry; and an entry's id is unique, so that a plan is made once even
when everything was restarted in between.

Every call opens the file anew, which costs a millisecond next to a request over the internet: a
file that was put back from a backup is used at once, and no connection wanders between threads.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, fields
from pathlib import Path
from typing import Literal, TypeVar

from ..as_user import user_name
from ..errors import JournalUnavailable
from ..portal.writes import Outcome
from .record import Record, Verdict

Value = TypeVar("Value")

BUSY = 5.0
"""Seconds to wait while other processes write; a transaction takes some milliseconds."""

CANNOT_BE_USED = (
    "The journal of changes {path} cannot be used: {why}. Its folder must be on a local disk with "
    "space left; see OIG_JOURNAL."
)

NOT_OURS = (
    "The journal of changes {path} cannot be used: {place} belongs to {owner} (mode {mode:04o}), "
    "and this is {user}. If the server runs as this one, run as root: chown {uid}:{gid} {place}"
)

PAUSE = 0.01
"""Seconds before another try where SQLite does not wait by itself."""

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

NEWER = (
    "The journal of changes {path} is of version {found}, written by a newer version of the "
    "program; this one reads up to {read}. It is left as it is, and no box is changed. Start the "
    "newer version again; or stop the server, set the journal aside (mv {path} "
    "{path}.v{found}-set-aside) and start the server: this version begins a new one."
)

Purpose = Literal["look", "note", "change"]
"""What a journal of a former version is opened for. During an upgrade workers of that version
have it open as well, and cannot read it any more once it is up to date.

1. A look reads it as if it was up to date, and leaves it as it is.
2. A note writes into it what every version has.
3. A change brings it up to date: it is made when all workers are of one version.
"""


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
        self._path = path

    def begin(self, record: Record) -> None:
        """Write down what is about to be sent. It is on the disk when this returns.

        Raises:
            PlanUsed: It was begun before.
            ChangeUnderWay: Another change of the same box was begun and is not settled.
            JournalUnavailable: It could not be written: nothing may be sent.
        """
        self._make()

        def work(journal: sqlite3.Connection) -> None:
            if _find(journal, record.id) is not None:
                raise PlanUsed
            others = journal.execute(UNSETTLED, (record.box,))
            for other in (Record(*row) for row in others):
                if other.under_way(record.at):
                    raise ChangeUnderWay(other)
            journal.execute(f"INSERT INTO changes ({COLUMNS}) VALUES ({PLACES})", astuple(record))  # noqa: S608 - our own names

        self._run(work, "change")

    def end(self, change_id: str, outcome: Outcome, why: str, at: float) -> None:
        """Write down what became of the request.

        Raises:
            JournalUnavailable: It could not be written; the entry stays unclear.
        """
        self._run(
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
        self._run(
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
            if _version(journal) >= CONTACTS:
                journal.execute(
                    "UPDATE changes SET contact_since = ?, contact_last = ? WHERE id = ?",
                    (since, last, change_id),
                )

        self._run(work, "note")

    def find(self, change_id: str, account: bytes | None = None) -> Record | None:
        """Return one entry, None if there is none, or none of this account.

        Raises:
            JournalUnavailable: It could not be read.
        """
        if not self._is_there():
            return None
        record = self._run(lambda journal: _find(journal, change_id))
        return None if record is None or account not in {None, record.account} else record

    def unsettled(self, box: str) -> list[Record]:
        """Return the changes of a box of which it is not known how they ended, latest first.

        Raises:
            JournalUnavailable: It could not be read.
        """
        if not self._is_there():
            return []

        def work(journal: sqlite3.Connection) -> list[Record]:
            rows = journal.execute(f"{UNSETTLED} LIMIT ?", (box, MOST_UNSETTLED))
            return [Record(*row) for row in rows]

        return self._run(work)

    def open_end(self, box: str, kind: str) -> Record | None:
        """Return the last change of a box's setting if it is not known how that ended.

        However old it is: it counts until it is settled, or a later one was applied.

        Args:
            box: The box's id.
            kind: Which kind of change it is.

        Raises:
            JournalUnavailable: It could not be read.
        """
        if not self._path.exists():
            return None
        row = self._run(lambda journal: journal.execute(LAST_OF_KIND, (box, kind)).fetchone())
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
        if not self._is_there():
            return False
        found = self._run(lambda journal: journal.execute(SENT_SINCE, (box, kind, at)).fetchone())
        return found is not None

    def latest(
        self, limit: int, *, account: bytes | None = None, box: str | None = None
    ) -> tuple[int, list[Record]]:
        """Return how many entries there are, and the latest of them.

        Raises:
            JournalUnavailable: It could not be read.
        """
        if not self._is_there():
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
        return self._run(work)

    def _is_there(self) -> bool:
        """Say whether there is a file, which the first entry makes.

        Raises:
            JournalUnavailable: Nobody can tell, for the folder cannot be entered.
        """
        try:
            return self._path.exists()
        except OSError as exc:
            raise JournalUnavailable(
                self._denied() or CANNOT_BE_USED.format(path=self._path, why=exc)
            ) from None

    def _denied(self) -> str | None:
        """Say which file or folder this user may not use, as one that root has put back.

        SQLite says of all of them that it cannot open the file, or that the file is read-only.
        """
        beside = [self._path.with_name(f"{self._path.name}{end}") for end in ("-wal", "-shm")]
        for place, rights in (
            (self._path.parent, os.R_OK | os.W_OK | os.X_OK),
            *((file, os.R_OK | os.W_OK) for file in (self._path, *beside)),
        ):
            try:
                found = place.stat()
            except OSError:
                continue  # there is none, or its folder is what is closed
            if not os.access(place, rights) and found.st_uid != os.geteuid():
                return NOT_OURS.format(
                    path=self._path,
                    place=place,
                    owner=user_name(found.st_uid),
                    mode=stat.S_IMODE(found.st_mode),
                    user=user_name(os.geteuid()),
                    uid=os.geteuid(),
                    gid=os.getegid(),
                )
        return None

    def _run(self, work: Callable[[sqlite3.Connection], Value], purpose: Purpose = "look") -> Value:
        """Do something in one transaction; the whole of it again while the file is busy."""
        deadline = time.monotonic() + BUSY
        while True:
            try:
                with self._transaction(purpose) as journal:
                    return work(journal)
            except (sqlite3.Error, OSError) as exc:
                busy = getattr(exc, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise JournalUnavailable(
                        self._denied() or CANNOT_BE_USED.format(path=self._path, why=exc)
                    ) from None
            time.sleep(PAUSE)

    @contextmanager
    def _transaction(self, purpose: Purpose = "look") -> Iterator[sqlite3.Connection]:
        uri = f"{self._path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY, isolation_level=None)) as journal:
            # Each commit is on the disk before it returns; NORMAL would lose the last ones.
            journal.execute("PRAGMA synchronous = FULL")
            self._check(_version(journal))
            journal.execute("BEGIN IMMEDIATE")
            try:
                # Another process may have brought it up to date a moment ago.
                former = _version(journal) in UPDATES
                if former and purpose != "note":
                    _update(journal)
                yield journal
            except BaseException:
                if journal.in_transaction:  # a full disk has ended it already
                    journal.execute("ROLLBACK")
                raise
            journal.execute("ROLLBACK" if former and purpose == "look" else "COMMIT")

    def _check(self, version: int) -> None:
        if version > VERSION:
            raise JournalUnavailable(NEWER.format(path=self._path, found=version, read=VERSION))
        if version != VERSION and version not in UPDATES:
            raise JournalUnavailable(
                f"{self._path} is no journal of this program. Set OIG_JOURNAL to another file."
            )

    def _make(self) -> None:
        """Make the file unless it is there, and see that nobody else can read it.

        It appears complete or not at all: a name is linked to what was prepared beside it, and a
        faster process's file is never replaced.
        """
        path = self._path
        try:
            found = path.lstat()
        except FileNotFoundError:
            found = None
        except OSError as exc:
            raise _unusable(path, exc) from None
        try:
            if found is None:
                self._prepare()
                found = path.lstat()
            if not stat.S_ISREG(found.st_mode):
                raise JournalUnavailable(f"The journal of changes {path} is not a regular file.")
            if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                path.chmod(0o600)
        except (sqlite3.Error, OSError) as exc:
            raise _unusable(path, exc) from None

    def _prepare(self) -> None:
        path = self._path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            with closing(sqlite3.connect(temporary, isolation_level=None)) as journal:
                journal.execute("PRAGMA journal_mode = WAL")
                journal.executescript(f"BEGIN; {'; '.join(SCHEMA)}; COMMIT;")
            try:
                os.link(temporary, path)
            except FileExistsError:
                return
            folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        finally:
            temporary.unlink(missing_ok=True)


def _update(journal: sqlite3.Connection) -> None:
    """Bring a journal of a former version up to date."""
    for statement in UPDATES[_version(journal)]:
        journal.execute(statement)


def _version(journal: sqlite3.Connection) -> int:
    (version,) = journal.execute("PRAGMA user_version").fetchone()
    return int(version)


def _find(journal: sqlite3.Connection, change_id: str) -> Record | None:
    row = journal.execute(
        f"SELECT {COLUMNS} FROM changes WHERE id = ?",  # noqa: S608 - our own names
        (change_id,),
    ).fetchone()
    return None if row is None else Record(*row)


def _unusable(path: Path, exc: Exception) -> JournalUnavailable:
    return JournalUnavailable(
        f"The journal of changes {path} cannot be made: {exc}. Set OIG_JOURNAL to a file on a "
        "local disk, in a folder that only you can enter."
    )
