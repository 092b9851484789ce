"""The file of what a crash of the cache daemon must not lose: rows of bytes by name.

It is SQLite's, with its write-ahead log beside it, and this process's alone: whoever else opens it
finds it locked. It is used whole or not at all: each row has a checksum, since SQLite has none, and
one row that is not as it was written makes the file a broken one. That finds accidents, not
forgeries; against those the file is the owner's alone.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from ..as_user import user_name
from ..errors import OigError

VERSION: Final = 1
"""Of the table, and of what the rows are (`encoding.FORMAT`, `spraying.FORMAT`)."""

CREATE: Final = (
    "BEGIN IMMEDIATE",
    "CREATE TABLE rows (name BLOB NOT NULL UNIQUE, row BLOB NOT NULL, sum INTEGER NOT NULL)",
    f"PRAGMA user_version = {VERSION}",
    "COMMIT",
)
PUT: Final = "REPLACE INTO rows VALUES (?, ?, ?)"
"""A row that is replaced gets the next row id: by that, rows are in the order of their writing."""

DELETE: Final = "DELETE FROM rows WHERE name = ?"
READ: Final = "SELECT name, row, sum FROM rows WHERE substr(name, 1, 1) = ? ORDER BY rowid"
PAGE: Final = "SELECT rowid, name, row FROM rows WHERE rowid > ? ORDER BY rowid LIMIT ?"
COUNT: Final = "SELECT count(*) FROM rows WHERE substr(name, 1, 1) <> CAST('m' AS BLOB)"

BROKEN_CODES: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})

ASIDE: Final = ".bad"
"""Behind the name of a file that was set aside; the last one is kept."""


class StateFileUnusable(OigError):
    """The file cannot be used now; that may change, and nothing is wrong with what it has."""


class StateFileBroken(OigError):
    """The file is damaged, or no file of this program."""


class StateFileNewer(OigError):
    """A newer version of the program has written the file."""


class StateFile:
    """The file; used by one thread at a time. All methods raise the three errors above.

    Args:
        path: Where it is, in a folder that is the owner's alone.

    Attributes:
        path: As above.
        identity: Device and inode of the file that was opened last.
        is_new: Whether there was nothing in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.identity = (0, 0)
        self.is_new = False
        self._log = path.with_name(path.name + "-wal")
        self._log_identity: tuple[int, int] | None = None
        self._size = 0
        self._database: sqlite3.Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is open."""
        return self._database is not None

    def open(self, patience: float = 0.0) -> None:
        """Open the file, a new one if there is none; wait for whoever has it open."""
        uri = f"{self.path.absolute().as_uri()}?mode=rw"
        try:
            with self._guarded():
                self._make()
                self._database = sqlite3.connect(
                    uri, uri=True, timeout=patience, isolation_level=None, check_same_thread=False
                )
                self._prepare(self._database)
        except OigError:
            self.close()
            raise

    def has_moved(self) -> bool:
        """Return whether the path leads elsewhere by now, or the file has been cut.

        If its log alone was removed, what that had is written to the file itself.
        """
        with self._guarded():
            try:
                found = self.path.lstat()
            except FileNotFoundError:
                return True
        if _identity(found) != self.identity or found.st_size < self._size:
            return True
        self._size = found.st_size
        if self._log_identity != self._find_log():
            self.empty_log()
            self.close()
            self.open()
        return False

    def check(self) -> None:
        """Read all of it."""
        if self._ask("PRAGMA quick_check(1)") != [("ok",)]:
            raise StateFileBroken(f"{self.path} is damaged.")
        for kind in (b"a", b"s", b"m"):
            for _ in self.read(kind):
                pass

    def read(self, kind: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield names and rows of those whose names begin so; the longest unwritten first."""
        assert self._database is not None
        with self._guarded():
            for name, row, checksum in self._database.execute(READ, (kind,)):
                if type(row) is not bytes or _sum(name, row) != checksum:
                    raise StateFileBroken(f"{self.path} is damaged: a row has a wrong checksum.")
                yield name, row

    def page(self, after: int, most: int) -> list[tuple[int, bytes, bytes]]:
        """Return the next rows behind a row id, with theirs."""
        return self._ask(PAGE, after, most)

    def count(self) -> int:
        """Return how many rows there are."""
        ((count,),) = self._ask(COUNT)
        return int(count)

    def write(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Put and delete (None) rows: all are on the disk on return, or none is if it raises."""
        assert self._database is not None
        put, deleted = [], []
        for name, row in rows:
            if row is None:
                deleted.append((name,))
            else:
                put.append((name, row, _sum(name, row)))
        try:
            with self._guarded():
                self._database.execute("BEGIN IMMEDIATE")
                self._database.executemany(DELETE, deleted)
                self._database.executemany(PUT, put)
                self._database.execute("COMMIT")
        except OigError:
            self.close()  # whatever is wrong with it may be right with the next connection
            raise

    def empty_log(self) -> None:
        """Leave nothing in the log: what was overwritten or deleted is then in no file."""
        self._ask("PRAGMA wal_checkpoint(TRUNCATE)")

    def size(self) -> int:
        """Return its bytes, with those of its log; 0 of what is not there."""
        size = 0
        for path in (self.path, self._log):
            with suppress(OSError):
                size += path.lstat().st_size
        return size

    def set_aside(self) -> Path:
        """Close and rename it; return where it is now."""
        self.close()
        with self._guarded():
            # The rest is of no use without what the log alone has, and the next file's log is new.
            self._log.unlink(missing_ok=True)
            return self.path.replace(self.path.with_name(self.path.name + ASIDE))

    def close(self) -> None:
        """Close it; never raises."""
        database, self._database = self._database, None
        if database is not None:
            with suppress(sqlite3.Error):  # what it could not write is in the log
                database.close()

    def _make(self) -> None:
        """Make the file if there is none, and refuse what only looks like it."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.path.lexists(self.path):
            # The log of another life would be taken for this one's.
            self._log.unlink(missing_ok=True)
            # SQLite gives what it makes beside a file the rights of that file.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(self.path, flags, 0o600))
        found = self.path.lstat()
        flaw = flaw_of(found)
        if flaw is not None:
            raise StateFileUnusable(f"{self.path} {flaw}: move it away")
        self.identity, self._size = _identity(found), found.st_size

    def _prepare(self, database: sqlite3.Connection) -> None:
        # 1. Nobody else can open it from now on.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        # 2. Each commit is on the disk before it returns; NORMAL would lose the last ones.
        database.execute("PRAGMA synchronous = FULL")
        # 3. What is overwritten or deleted is not left in free pages.
        database.execute("PRAGMA secure_delete = ON")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise StateFileNewer(
                f"{self.path} is of version {version}, written by a newer version of the program; "
                f"this one reads up to {VERSION}. It is left as it is"
            )
        (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        self.is_new = not (version or tables)
        if version != VERSION and not self.is_new:
            raise StateFileBroken(f"{self.path} is no file of this program.")
        if self.is_new:
            for statement in CREATE:
                database.execute(statement)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        self._log_identity = self._find_log()

    def _find_log(self) -> tuple[int, int] | None:
        try:
            return _identity(self._log.lstat())
        except OSError:
            return None

    def _ask(self, statement: str, *values: object) -> list[Any]:
        assert self._database is not None
        with self._guarded():
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Raise what a caller understands; texts of SQLite and the system hold nothing of rows."""
        try:
            yield
        except sqlite3.Error as exc:
            if getattr(exc, "sqlite_errorcode", 0) & 0xFF in BROKEN_CODES:
                raise StateFileBroken(f"{self.path} is damaged: {exc}.") from None
            raise StateFileUnusable(f"{self.path} cannot be used: {exc}") from None
        except OSError as exc:
            raise StateFileUnusable(f"{self.path} cannot be used: {exc.strerror}") from None


def flaw_of(found: os.stat_result) -> str | None:
    """Say of a file why what it says is not believed: somebody else may have put it there."""
    if not stat.S_ISREG(found.st_mode):
        return "is no regular file"
    if found.st_uid != os.geteuid():
        return f"belongs to {user_name(found.st_uid)}"
    return "can be written by others" if found.st_mode & 0o022 else None


def remove(path: Path) -> None:
    """Remove a file with all that was made beside it.

    Raises:
        OSError: Something cannot be removed.
    """
    for end in ("-wal", "", ASIDE):
        path.with_name(path.name + end).unlink(missing_ok=True)


def remove_aside(path: Path, older_than: float) -> None:
    """Remove the file that was set aside, if that is so many seconds ago.

    Raises:
        OSError: It cannot be removed.
    """
    aside = path.with_name(path.name + ASIDE)
    if os.path.lexists(aside) and time.time() - aside.lstat().st_ctime >= older_than:
        aside.unlink(missing_ok=True)


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _sum(name: bytes, row: bytes) -> int:
    return zlib.crc32(row, zlib.crc32(name))
