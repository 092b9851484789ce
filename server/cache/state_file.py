"""The file of what the cache daemon must not lose in a crash: rows of bytes by name.

It is SQLite's, with its write-ahead log beside it, and locked by this process while open. Either
all of it is used or nothing: each row has a checksum, since SQLite has none, and one wrong row
makes the file a broken one. That detects accidents; its mode protects it against forgeries.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import time
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..as_user import user_name
from ..errors import OigError

VERSION: Final = 1
"""Of the table, and of the rows in it (`encoding.FORMAT`, `spraying.FORMAT`)."""

CREATE: Final = (
    "BEGIN IMMEDIATE",
    "CREATE TABLE rows (name BLOB NOT NULL UNIQUE, row BLOB NOT NULL, sum INTEGER NOT NULL)",
    f"PRAGMA user_version = {VERSION}",
    "COMMIT",
)
PUT: Final = "REPLACE INTO rows VALUES (?, ?, ?)"
"""A row that is replaced gets a new row id, the highest: so ids are in the order of writing."""

DELETE: Final = "DELETE FROM rows WHERE name = ?"
READ: Final = "SELECT name, row, sum FROM rows WHERE substr(name, 1, 1) = ? ORDER BY rowid"
PAGE: Final = "SELECT rowid, name, row FROM rows WHERE rowid > ? ORDER BY rowid LIMIT ?"
COUNT: Final = "SELECT count(*) FROM rows WHERE substr(name, 1, 1) <> CAST('m' AS BLOB)"

IN_USE: Final = "PRAGMA application_id = 1"
CLOSED: Final = "PRAGMA application_id = 0"
"""Marks of a file whose last rows are in its log, and of one that needs no log."""

BROKEN_CODES: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

ASIDE: Final = ".bad"
"""End of the name of a file that was set aside; the last one stays."""

logger = logging.getLogger(__name__)


class StateFileUnusable(OigError):
    """The file cannot be used now; that may change, and its contents are not at fault."""


class StateFileNewer(StateFileUnusable):
    """A newer version of the program wrote it."""


class StateFileBroken(OigError):
    """The file is damaged, or not of this program."""


class Place(NamedTuple):
    """Device and inode of the file at a path and of its log, and the file's size."""

    file: tuple[int, int]
    log: tuple[int, int]
    size: int


class StateFile:
    """The file; used by one thread at a time, in a folder that only its owner can enter.

    All methods but `size` and `close` raise `StateFileUnusable` and `StateFileBroken`, and close
    the file then: the next connection may work.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = path.with_name(path.name + "-wal")
        self._database: sqlite3.Connection | None = None
        # Of the file with what was read and written here; None if there is none.
        self._own: Place | None = None
        self._is_marked = False  # as in use, by this connection

    @property
    def is_own(self) -> bool:
        """Whether a file, open or not, has what was read and written here."""
        return self._own is not None

    def open(
        self, patience: float = 0.0, check: Callable[[bytes, bytes], object] = lambda *_: None
    ) -> None:
        """Open the file and read all of it; begin a new one if there is none or it is broken.

        `patience` is how many seconds to wait for another process that has it open. `check` raises
        `ValueError` for a name and row that cannot be decoded.
        """
        try:
            lacks_log = self._open(patience)
            self._check(check)
            if lacks_log:
                logger.error("%s was removed, perhaps with what was written last.", self._log)
        except StateFileBroken as exc:
            self.begin(str(exc))
        self._own = self._place()

    def loss(self) -> str | None:
        """Return why the file no longer has its contents, or None if it has them.

        It is opened again if an error has closed it. It is lost in each of these cases:

        1. It is damaged.
        2. It was removed, replaced or cut, or its log was while it was open.
        3. Its contents were not written here: it could not be used until now.
        """
        was_open = self._database is not None
        if not was_open and os.path.lexists(self.path):
            try:
                self._open()
            except StateFileBroken as exc:
                return str(exc)
        place, own = self._place(), self._own
        if (
            place
            and own
            and place.file == own.file
            and place.size >= own.size
            and (place.log == own.log or not was_open)
        ):
            self._own = place
            return None
        self.close()
        self._own = None
        return f"{self.path} was removed or replaced, or cut."

    def begin(self, why: str) -> None:
        """Begin a new file, and set aside the old one; `why` says what is wrong with that."""
        self.close()
        with self._guarded():
            # What is set aside is useless without the log, and the next file has its own.
            self._log.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                self._refuse_flaw()
                aside = self.path.replace(self.path.with_name(self.path.name + ASIDE))
                logger.warning("%s was set aside as %s.", self.path, aside)
        self._open()
        self._own = self._place()
        logger.error("%s Another was begun.", why)

    def read(self, kind: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield rows whose names begin with `kind`, the longest unwritten first."""
        with self._guarded() as database:
            for name, row, checksum in database.execute(READ, (kind,)):
                if type(row) is not bytes or _sum(name, row) != checksum:
                    raise StateFileBroken(f"{self.path} is damaged: a row has a wrong checksum.")
                yield name, row

    def page(self, after: int, most: int) -> list[tuple[Any, ...]]:
        """Return the next rows after a row id, with their ids."""
        return self._ask(PAGE, after, most)

    def count(self) -> int:
        """Return how many rows there are of accounts and sources."""
        ((count,),) = self._ask(COUNT)
        return int(count)

    def write(self, rows: Collection[tuple[bytes, bytes | None]]) -> None:
        """Put and delete (None) rows: on return all are on the disk; if it raises, none is."""
        deleted = ((name,) for name, row in rows if row is None)
        put = ((name, row, _sum(name, row)) for name, row in rows if row is not None)
        with self._guarded() as database:
            database.execute("BEGIN IMMEDIATE")
            database.executemany(DELETE, deleted)
            database.executemany(PUT, put)
            database.execute("COMMIT")

    def empty_log(self) -> None:
        """Empty the log: what was overwritten or deleted is then in no file."""
        self._ask("PRAGMA wal_checkpoint(TRUNCATE)")

    def size(self) -> int:
        """Return the bytes of file and log; 0 for a missing one."""
        size = 0
        for path in (self.path, self._log):
            with suppress(OSError):
                size += path.lstat().st_size
        return size

    def close(self) -> None:
        """Close it; never raises."""
        database, self._database = self._database, None
        is_marked, self._is_marked = self._is_marked, False
        if database is None:
            return
        with suppress(sqlite3.Error):  # what it could not write is in the log
            if is_marked:
                database.execute(CLOSED)
        with suppress(sqlite3.Error):
            database.close()

    def _open(self, patience: float = 0.0) -> bool:
        """Open the file; return whether it was not closed, and has no log."""
        uri = f"{self.path.absolute().as_uri()}?mode=rw"
        with self._guarded():
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self.path.lstat()
            except FileNotFoundError:  # after any other error there may be a file
                # A log left behind would be taken for the new file's.
                self._log.unlink(missing_ok=True)
                # SQLite gives what it makes beside a file the rights of that file.
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                os.close(os.open(self.path, flags, 0o600))
            self._refuse_flaw()
            has_log = os.path.lexists(self._log)
            # Opened by one thread, and used by another from then on.
            self._database = sqlite3.connect(
                uri, uri=True, timeout=patience, isolation_level=None, check_same_thread=False
            )
            self._prepare(self._database)
            is_closed = self._ask("PRAGMA application_id") == [(0,)]
            with suppress(sqlite3.Error):  # a full disk is no reason not to read
                self._database.execute(IN_USE)
                self._is_marked = True
                self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return not (is_closed or has_log)

    def _prepare(self, database: sqlite3.Connection) -> None:
        # 1. Nobody else can open it from now on.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise StateFileNewer(
                f"{self.path} is of version {version}, written by a newer version of the program; "
                f"this one reads up to {VERSION}. It is left as it is"
            )
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version != VERSION and (version or tables):
            raise StateFileBroken(f"{self.path} is no file of this program.")
        database.execute("PRAGMA journal_mode = WAL")
        # 2. Each commit is on the disk before it returns; NORMAL would lose the last ones.
        database.execute("PRAGMA synchronous = FULL")
        # 3. What is overwritten or deleted is not left in free pages.
        database.execute("PRAGMA secure_delete = ON")
        if not version:
            self._own = None  # it has nothing
            for statement in CREATE:
                database.execute(statement)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _refuse_flaw(self) -> None:
        flaw = flaw_of(self.path.lstat())
        if flaw is not None:
            raise StateFileUnusable(f"{self.path} {flaw}: move it away")

    def _place(self) -> Place | None:
        """Return where file and log are; None if one of them is missing."""
        with self._guarded(), suppress(FileNotFoundError):
            file, log = self.path.lstat(), self._log.lstat()
            return Place((file.st_dev, file.st_ino), (log.st_dev, log.st_ino), file.st_size)
        return None

    def _check(self, check: Callable[[bytes, bytes], object]) -> None:
        if self._ask("PRAGMA quick_check(1)") != [("ok",)]:
            raise StateFileBroken(f"{self.path} is damaged.")
        for kind in (b"a", b"s", b"m"):
            for name, row in self.read(kind):
                try:
                    check(name, row)
                except ValueError as exc:
                    raise StateFileBroken(f"{self.path} is damaged: {exc}.") from None

    def _ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self._guarded() as database:
            rows: list[tuple[Any, ...]] = database.execute(statement, values).fetchall()
        return rows

    @contextmanager
    def _guarded(self) -> Iterator[Any]:
        """Raise the two errors of this module; texts of SQLite and the system contain no rows."""
        try:
            yield self._database
        except (OigError, OSError, sqlite3.Error) as exc:
            self.close()
            failure = self._failure(exc)
            if isinstance(failure, StateFileBroken):
                self._own = None
            raise failure from None

    def _failure(self, exc: OigError | OSError | sqlite3.Error) -> OigError:
        if isinstance(exc, OigError):
            return exc
        if getattr(exc, "sqlite_errorcode", 0) & 0xFF in BROKEN_CODES:
            return StateFileBroken(f"{self.path} is damaged: {exc}.")
        why = exc.strerror if isinstance(exc, OSError) else exc
        return StateFileUnusable(f"{self.path} cannot be used: {why}")


def flaw_of(found: os.stat_result) -> str | None:
    """Return why a file is not trusted: another user may have put it there."""
    if not stat.S_ISREG(found.st_mode):
        return "is no regular file"
    if found.st_uid != os.geteuid():
        return f"belongs to {user_name(found.st_uid)}"
    return "can be written by others" if found.st_mode & 0o022 else None


def remove(path: Path) -> None:
    """Remove a file and all that was made beside it; may raise OSError."""
    for end in ("-wal", "", ASIDE):
        path.with_name(path.name + end).unlink(missing_ok=True)


def remove_aside(path: Path, older_than: float) -> None:
    """Remove the file that was set aside at least so many seconds ago; may raise OSError."""
    aside = path.with_name(path.name + ASIDE)
    if os.path.lexists(aside) and time.time() - aside.lstat().st_ctime >= older_than:
        aside.unlink(missing_ok=True)


def _sum(name: bytes, row: bytes) -> int:
    return zlib.crc32(row, zlib.crc32(name))
