"""What makes the daemon's memory lasting: rows go to its file in a thread of their own.

Whoever puts a row appends to a dict and goes on. The thread takes what has come meanwhile, writes
it in one commit and says up to which put everything is on the disk; who has to know waits for that.
So many logins at once share one commit, and the loop never waits for the disk.

The disk's troubles stay here: each is logged once, once when it is over, and counted. Meanwhile
nobody waits for the disk, and rows are queued, the newest of each name.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from ..errors import OigError
from ..state.storage import EPOCHS, Epochs, Restored
from . import old_snapshot, state_file
from .row_queue import RowQueue
from .rows import (
    Moment,
    begin_another,
    clock_row,
    epochs_of,
    restore,
    take_flushed_out,
    this_moment,
)
from .state_file import StateFile, StateFileBroken, StateFileNewer

NAME: Final = "sessions.db"

CHUNK: Final = 512
"""Most rows of one commit: some 10 ms. More would keep those waiting who are in it."""

TICK: Final = 2.0
"""Seconds between two looks at the file while nothing is written."""

FLUSH_PAUSE: Final = 0.01
"""Seconds between two chunks of rows from which something flushed is taken."""

CLEAN_DROPPED: Final = 1.0
CLEAN_REPLACED: Final = 60.0
"""Seconds after which what was dropped on purpose, and what was overwritten, is in no file."""

ASIDE_SECONDS: Final = 86400.0
"""How long a broken file is kept: as long as counters of wrong passwords."""

PAUSES: Final = 0.1, 10.0
"""Seconds between two tries while rows cannot be written: they double."""

STOP_SECONDS: Final = 3.0
"""How long the last commit may take: a disk that hangs must not keep the daemon from stopping."""

NONE: Final = Epochs(b"")
"""Stands for those of a file that has none yet."""

logger = logging.getLogger(__name__)


class SqliteBacking:
    """See `state.storage.Backing`.

    Args:
        snapshot: The snapshot of versions before 0.2; the file is beside it.
        moment: Returns this moment.

    Attributes:
        committed: All puts up to this number are on the disk.
        failing: Whether rows cannot be written now.
        errors: How often they could not.
    """

    def __init__(self, snapshot: Path, moment: Callable[[], Moment] = this_moment) -> None:
        self.committed = 0
        self.failing = False
        self.errors = 0
        self._snapshot = snapshot
        self._file = StateFile(database_path(snapshot))
        self._moment = moment
        self._now: Callable[[], float]
        self._put_all: Callable[[], None]
        self._queue = RowQueue()
        # Of the thread, once there is one.
        self._cleaned = 0
        self._ours = (0, 0)
        self._epochs: Epochs | None = None
        self._unflushed: int | None = None
        self._clean_at = 0.0
        self._committed_at: float | None = None
        self._rows: int | None = None
        self._trouble = ""
        # Of the loop.
        self._dropped = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Future[None] | None = None
        self._waiting: dict[asyncio.Future[bool], int] = {}
        self._awake = SimpleQueue[None]()
        self._stop = threading.Event()
        self._is_off = False

    def start(self, now: Callable[[], float], put_all: Callable[[], None]) -> None:
        """Begin to write, on the running loop.

        Args:
            now: The storage's clock; the thread reads it as well.
            put_all: Called on the loop when the file is a new one: puts every row again.
        """
        self._now, self._put_all = now, put_all
        self._loop = asyncio.get_running_loop()
        if not self._is_off:
            self._ended = self._loop.create_future()
            threading.Thread(target=self._work, name="backing", daemon=True).start()

    def put(self, name: bytes, row: bytes | None) -> int:
        """As `Backing.put`."""
        if self._is_off:
            self._dropped += name == EPOCHS
            return 0
        number, is_first = self._queue.put(name, row)
        if name == EPOCHS:
            self._dropped = number
        if is_first:
            self._awake.put(None)
        return number

    async def wait(self, number: int, seconds: float) -> bool:
        """As `Backing.wait`."""
        if self.committed >= number or self.failing or self._loop is None:
            return self.committed >= number
        future: asyncio.Future[bool] = self._loop.create_future()
        self._waiting[future] = number
        try:
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            return False
        finally:
            del self._waiting[future]

    async def aclose(self) -> None:
        """As `Backing.aclose`."""
        self._stop.set()
        self._awake.put(None)
        if self._ended is not None:
            await asyncio.wait([self._ended], timeout=STOP_SECONDS)
            if not self._ended.done():
                logger.error("%s: the disk does not answer; not all is written.", self._file.path)

    def stats(self) -> dict[str, object]:
        """Return what `docs/protocol.md` says of the backing."""
        at = self._committed_at
        return {
            "backing_age": None if at is None else time.monotonic() - at,
            "backing_rows": self._rows,
            "backing_bytes": self._file.size(),
            "backing_errors_total": self.errors,
            "backing_failing": int(self.failing),
            "backing_outdated": int(self._dropped > self._cleaned),
        }

    def restore(self) -> Restored:
        """Open the file and return what it has; see `rows.restore`. Before `start`, once."""
        restored, trouble = restore(self._file, self._snapshot, self._moment())
        if trouble is not None:
            self._is_off = isinstance(trouble, StateFileNewer)
            self._complain(trouble)
            return restored
        self._ours = self._file.identity
        self._epochs = restored.epochs
        with suppress(OigError, OSError):  # what is wrong shows when it is written
            self._rows = self._file.count()
        if self._epochs is not None:
            self._unflushed = 0  # a crash may have come before all was taken out
        return restored

    # In the thread.

    def _work(self) -> None:
        pause, longest = PAUSES
        while not self._stop.is_set():
            try:
                self._be_open()
                self._write_all()
                self._clean()
            except Exception as exc:  # noqa: BLE001 - nothing may end the thread
                if isinstance(exc, StateFileBroken):
                    self._ours = (0, 0)
                self._complain(exc)
                self._tell(self._answer)
                self._stop.wait(pause)
                pause = min(pause * 2.0, longest)
                continue
            pause = PAUSES[0]
            if self.failing:
                logger.info("%s can be written again.", self._file.path)
            self.failing, self._trouble = False, ""
            seconds = FLUSH_PAUSE
            if self._unflushed is None:
                seconds = min(TICK, max(0.0, self._clean_at - time.monotonic()))
            with suppress(Empty):
                self._awake.get(timeout=seconds)
        self._end()

    def _be_open(self) -> None:
        """See that the file is open, and that the path leads to it; else begin a new one.

        What another file has there is older than what is in memory, and is not read.
        """
        if self._file.is_open:
            if not self._file.has_moved():
                return
            logger.warning("%s was removed or replaced: it is written again.", self._file.path)
            self._file.close()
            self._ours = (0, 0)
        try:
            self._file.open()
            if not self._file.is_new and self._file.identity != self._ours:
                self._file.set_aside()
                self._file.open()
        except StateFileBroken as exc:
            self.errors += 1
            begin_another(self._file, exc)
        self._ours = self._file.identity
        if self._file.is_new:
            self._epochs = self._unflushed = None
            self._tell(self._put_all)

    def _write_all(self) -> None:
        """Write what is queued, in chunks."""
        while rows := self._queue.take(CHUNK, EPOCHS):
            self._file.write([*rows, clock_row(self._now(), self._moment())])
            self.committed = self._queue.done(rows)
            self._note(rows)
            self._tell(self._answer)

    def _note(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        now = self._committed_at = time.monotonic()
        self._clean_at = min(self._clean_at, now + CLEAN_REPLACED)
        for name, row in rows:
            if name == EPOCHS:
                before, self._epochs = self._epochs, epochs_of(row)
                if (before or NONE)[2:] != (self._epochs or NONE)[2:]:
                    self._unflushed = 0
                self._clean_at = min(self._clean_at, now + CLEAN_DROPPED)

    def _clean(self) -> None:
        """See that what was dropped, overwritten or set aside is in no file for long."""
        if self._unflushed is not None and self._epochs is not None:
            self._unflushed = take_flushed_out(
                self._file, self._unflushed, CHUNK, self._epochs, self._now()
            )
            self._clean_at = min(self._clean_at, time.monotonic() + CLEAN_DROPPED)
        elif time.monotonic() >= self._clean_at:
            committed = self.committed
            self._file.empty_log()
            self._rows = self._file.count()
            old_snapshot.remove(self._snapshot)  # or the next start would begin with it again
            is_outdated = self._dropped > self._cleaned
            with suppress(OSError):  # tried again next time
                for path in (self._file.path, self._snapshot):
                    state_file.remove_aside(path, 0.0 if is_outdated else ASIDE_SECONDS)
            self._cleaned = committed
            self._clean_at = math.inf

    def _complain(self, exc: Exception) -> None:
        self.errors += 1
        self.failing = True
        trouble = str(exc) if isinstance(exc, OigError) else type(exc).__name__
        if isinstance(exc, OSError):
            trouble = f"{exc.filename}: {exc.strerror}"
        if trouble != self._trouble:
            logger.error("%s. What comes now is lost if the daemon is killed.", trouble.rstrip("."))
        self._trouble = trouble

    def _end(self) -> None:
        """Write what is left, if the file is still ours: another daemon may have begun its own."""
        try:
            if not self._file.is_open:
                self._file.open()
            if self._file.identity == self._ours and not self._file.has_moved():
                self._write_all()
                self._file.write([clock_row(self._now(), self._moment())])
                self._file.empty_log()
        except Exception as exc:  # noqa: BLE001 - it is the last try
            self._complain(exc)
        self._file.close()
        self._tell(self._answer_end)

    def _tell(self, what: Callable[[], None]) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the daemon did not wait any longer
            self._loop.call_soon_threadsafe(what)

    # On the loop.

    def _answer(self) -> None:
        for future, number in self._waiting.items():
            if not future.done() and (self.failing or number <= self.committed):
                future.set_result(number <= self.committed)

    def _answer_end(self) -> None:
        assert self._ended is not None
        self._ended.set_result(None)


def database_path(snapshot: Path) -> Path:
    """Return the path of the file: beside that of the snapshot of versions before 0.2."""
    return snapshot.with_name(NAME)


def remove(snapshot: Path) -> None:
    """Remove the file, and all that is left of an old snapshot, while no daemon runs.

    Raises:
        OSError: Something cannot be removed.
    """
    state_file.remove(database_path(snapshot))
    old_snapshot.remove(snapshot)
    state_file.remove_aside(snapshot, older_than=0.0)


def open_backing(
    snapshot: Path, moment: Callable[[], Moment] = this_moment
) -> tuple[SqliteBacking, Restored]:
    """Open the file, or import an old snapshot into it; never raises.

    What is returned is read once, before `SqliteBacking.start`.

    Args:
        snapshot: Where versions before 0.2 wrote theirs; the file is beside it.
        moment: Returns this moment.
    """
    backing = SqliteBacking(snapshot, moment)
    return backing, backing.restore()
