"""One SQLite file that all processes of a server share: how a record is opened, read and written.

A record is not a cache: a commit is on disk before it returns, and survives a crash at any moment.

Every transaction opens the file again, which costs less than a millisecond beside waiting for the
disk: a file restored from a backup is used at once, and no connection is shared between threads.
Only `glance` leaves its connection open, and checks each time whether the file is the same.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from ..as_user import user_name
from ..errors import OigError
from .file_state import FileState

Value = TypeVar("Value")

BUSY = 5.0
"""Seconds to wait while other processes write; a transaction takes some milliseconds."""

PAUSE = 0.01
"""Seconds before another try where SQLite does not wait by itself."""

CANNOT_BE_USED = (
    "{what} {path} cannot be used: {why}. Its folder must be on a local disk with space left; see "
    "{setting}."
)

CANNOT_BE_MADE = (
    "{what} {path} cannot be made: {why}. Set {setting} to a file on a local disk, in a folder "
    "that only you can enter."
)

NOT_OURS = (
    "{what} {path} cannot be used: {place} belongs to {owner} (mode {mode:04o}), and this is "
    "{user}. If the server runs as this one, run as root: chown {uid}:{gid} {place}"
)

NEWER = (
    "{what} {path} is of version {found}, written by a newer version of the program; this one "
    "reads up to {read}. It is left as it is, and {without}. Start the newer version again; or "
    "stop the server, set the file aside (mv {path} {path}.v{found}-set-aside) and start the "
    "server: this version begins a new one."
)

Purpose = Literal["look", "note", "change"]
"""What a file of a former version is opened for. During an upgrade workers of that version have it
open as well, and cannot read it any more once it is up to date.

1. A look reads it as if it were up to date, and leaves it as it is. It blocks no writer.
2. A note writes into it what every version has.
3. A change updates it: changes are made only when all workers are of one version.
"""


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file contains.

    Attributes:
        what: What it is called at the beginning of a sentence.
        noun: The same in one word.
        setting: Variable of its path.
        version: Of the tables, in SQLite's user_version.
        schema: Statements that make the tables.
        updates: Statements that update a former version, by that version.
        without: What the server does not do without it.
        unavailable: Raised when it cannot be used.
        busy: Raised when another process writes just now, to a caller that does not wait.
        ahead: Whether what is written goes to a log beside the file first (SQLite's WAL). Then
            nobody who reads waits for who writes. Otherwise nothing lies beside the file for
            longer than a transaction: a file that is put back while the server runs meets no
            remains of another one, and what was overwritten is nowhere.
    """

    what: str
    noun: str
    setting: str
    version: int
    schema: tuple[str, ...]
    updates: Mapping[int, tuple[str, ...]]
    without: str
    unavailable: type[OigError]
    busy: type[OigError]
    ahead: bool


class Database:
    """One file.

    Args:
        path: The file; made by `make`, readable by its owner only.
        contents: What it contains.
    """

    def __init__(self, path: Path, contents: Contents) -> None:
        self.path = path
        self._contents = contents
        self._glancing: sqlite3.Connection | None = None
        self._glanced_file = (0, 0)

    def is_there(self) -> bool:
        """Say whether there is a file.

        Raises:
            OigError: `unavailable`: that is not known, for the folder cannot be entered.
        """
        try:
            return self.path.exists()
        except OSError as exc:
            raise self._unusable(exc) from None

    def make(self) -> None:
        """Make the file unless it is there, and see that nobody else can read it.

        It appears complete or not at all: a name is linked to what was prepared beside it, and a
        faster process's file is never replaced.

        Raises:
            OigError: `unavailable`.
        """
        try:
            if not os.path.lexists(self.path):
                self._prepare()
        except (sqlite3.Error, OSError) as exc:
            raise self._failure(CANNOT_BE_MADE, why=exc) from None
        self.guard()

    def guard(self) -> None:
        """See that the file is a regular one which nobody else can read.

        Raises:
            OigError: `unavailable`.
        """
        try:
            found = self.path.lstat()
            if stat.S_ISREG(found.st_mode) and found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                self.path.chmod(0o600)
        except OSError as exc:
            raise self._unusable(exc) from None
        if not stat.S_ISREG(found.st_mode):
            raise self._failure("{what} {path} is not a regular file.")

    def run(self, work: Callable[[sqlite3.Connection], Value], purpose: Purpose = "look") -> Value:
        """Do something in one transaction; the whole of it again while the file is busy.

        Raises:
            OigError: `unavailable`: nothing was done, or it is not known to be on the disk.
        """
        deadline = time.monotonic() + BUSY
        while True:
            try:
                with self.transaction(purpose) as database:
                    return work(database)
            except (sqlite3.Error, OSError) as exc:
                if not _is_busy(exc) or time.monotonic() > deadline:
                    raise self._unusable(exc) from None
            time.sleep(PAUSE)

    def look(self, work: Callable[[sqlite3.Connection], Value], default: Value) -> Value:
        """Read in one transaction, as `run`; return `default` where there is no file."""
        return self.run(work) if self.is_there() else default

    def execute(self, statement: str, values: Sequence[object], purpose: Purpose = "note") -> int:
        """Run one statement in a transaction, as `run`, and return how many rows it changed."""
        return self.run(lambda database: database.execute(statement, values).rowcount, purpose)

    @contextmanager
    def transaction(self, purpose: Purpose = "look") -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction, which is undone if the block raises."""
        with closing(self._open(BUSY)) as database:
            database.execute("BEGIN" if purpose == "look" else "BEGIN IMMEDIATE")
            try:
                # Another process may have updated it a moment ago.
                version = version_of(database)
                former = version in self._contents.updates
                if former and purpose != "note":
                    for statement in self._contents.updates[version]:
                        database.execute(statement)
                yield database
            except BaseException:
                if database.in_transaction:  # a full disk has ended it already
                    database.execute("ROLLBACK")
                raise
            database.execute("ROLLBACK" if former and purpose == "look" else "COMMIT")

    def state(self) -> FileState:
        """Return what the file looks like now.

        Raises:
            FileNotFoundError: There is no file.
            OigError: `unavailable`.
        """
        try:
            found = os.stat(self.path)  # noqa: PTH116 - half the time of the path's own method
        except FileNotFoundError:
            self.close()
            raise
        except OSError as exc:
            raise self._unusable(exc) from None
        return FileState(
            (found.st_dev, found.st_ino), found.st_size, found.st_mtime_ns, found.st_ctime_ns
        )

    def glance(self, work: Callable[[sqlite3.Connection], Value], state: FileState) -> Value:
        """Read over a connection that stays open, without waiting. For one thread alone.

        Opening the file takes ten times as long as finding a row in it.

        Args:
            work: Reads.
            state: What `state` has just returned.

        Raises:
            OigError: `busy`: another process writes just now. `unavailable`: anything else.
        """
        try:
            if self._glancing is None or self._glanced_file != state.file:
                self.close()
                self._glancing = self._open(0.0)
                self._glanced_file = state.file
            return work(self._glancing)
        except (sqlite3.Error, OSError) as exc:
            if _is_busy(exc):
                raise self._contents.busy(f"{self.path} is being written.") from None
            self.close()  # what is wrong with it may be mended by the next one
            raise self._unusable(exc) from None

    def close(self) -> None:
        """Close the connection that `glance` left open."""
        left, self._glancing = self._glancing, None
        if left is not None:
            left.close()

    def _open(self, patience: float) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode=rw"
        database = sqlite3.connect(uri, uri=True, timeout=patience, isolation_level=None)
        try:
            # Each commit is on the disk before it returns; NORMAL would lose the last ones, and
            # so would FULL without a log ahead: the folder has to be synced as well.
            database.execute("PRAGMA synchronous = EXTRA")
            # What is overwritten or deleted is not left in free pages.
            database.execute("PRAGMA secure_delete = ON")
            self._check(version_of(database))
        except BaseException:
            database.close()
            raise
        return database

    def _check(self, version: int) -> None:
        contents = self._contents
        if version > contents.version:
            raise self._failure(
                NEWER, found=version, read=contents.version, without=contents.without
            )
        if version != contents.version and version not in contents.updates:
            raise contents.unavailable(
                f"{self.path} is no {contents.noun} of this program. Set {contents.setting} to "
                "another file."
            )

    def _prepare(self) -> None:
        path = self.path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
        # SQLite gives what it makes beside a file the rights of that file.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            with closing(sqlite3.connect(temporary, isolation_level=None)) as database:
                if self._contents.ahead:
                    database.execute("PRAGMA journal_mode = WAL")
                database.executescript(f"BEGIN; {'; '.join(self._contents.schema)}; COMMIT;")
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

    def _unusable(self, exc: Exception) -> OigError:
        return self._denied() or self._failure(CANNOT_BE_USED, why=exc)

    def _failure(self, text: str, **members: object) -> OigError:
        contents = self._contents
        return contents.unavailable(
            text.format(what=contents.what, path=self.path, setting=contents.setting, **members)
        )

    def _denied(self) -> OigError | None:
        """Return the error that names what this user may not use, as where root has put it back.

        SQLite says of all of them that it cannot open the file, or that the file is read-only.
        """
        ends = ("-wal", "-shm", "-journal")
        beside = [self.path.with_name(f"{self.path.name}{end}") for end in ends]
        for place, rights in (
            (self.path.parent, os.R_OK | os.W_OK | os.X_OK),
            *((file, os.R_OK | os.W_OK) for file in (self.path, *beside)),
        ):
            try:
                found = place.stat()
            except OSError:
                continue  # there is none, or its folder is what is closed
            if not os.access(place, rights) and found.st_uid != os.geteuid():
                return self._failure(
                    NOT_OURS,
                    place=place,
                    owner=user_name(found.st_uid),
                    mode=stat.S_IMODE(found.st_mode),
                    user=user_name(os.geteuid()),
                    uid=os.geteuid(),
                    gid=os.getegid(),
                )
        return None


def version_of(database: sqlite3.Connection) -> int:
    """Return the version of the tables in an open file."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return int(version)


def _is_busy(exc: Exception) -> bool:
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
