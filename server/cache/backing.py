"""Makes the daemon's memory durable: a thread of its own writes rows to the file.

The loop puts a row into a dict and goes on. The thread writes all rows put since its last commit in
one commit and reports the number of the last of these puts; a reply that must survive a crash waits
for that. So many logins share one commit, and the loop never waits for the disk.

A file that was removed, replaced, cut or damaged, or that another process had open, is always
treated alike: a new one is begun, and the storage puts every row again.

Disk errors stay here: each is logged once, and once when it is over, and counted. Meanwhile nobody
waits for the disk, and the newest row of each name stays queued.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..errors import OigError
from ..state.storage import EPOCHS, Epochs, Restored
from . import old_snapshot, rows, state_file
from .rows import BEGINNING, Moment
from .state_file import StateFile, StateFileNewer

NAME: Final = "sessions.db"

START_SECONDS: Final = 1.0
"""How long a start waits for another process to close the file. Less than `startsecs` in
supervisord.conf, so that the pauses after failed starts grow."""

TICK: Final = 2.0
"""Seconds between two checks of the file while nothing is written."""

PAGE: Final = 512
FLUSH_PAUSE: Final = 0.01
"""Rows searched at once for what was flushed, and the pause in seconds before the next ones."""

CLEAN_DROPPED: Final = 1.0
CLEAN_REPLACED: Final = 60.0
"""Seconds until no file contains what was dropped on purpose, or what was overwritten."""

ASIDE_SECONDS: Final = 86400.0
"""Seconds for which a broken file is kept: as long as counters of wrong passwords."""

PAUSES: Final = 0.1, 10.0
"""Shortest and longest pause in seconds between attempts to write: each is twice the last."""

STOP_SECONDS: Final = 3.0
"""Seconds allowed for the last commit: a disk that hangs must not stop the daemon from ending."""

logger = logging.getLogger(__name__)


class SqliteBacking:
    """A `state.storage.Backing` in SQLite, beside `snapshot`, the file of versions before 0.2."""

    def __init__(self, snapshot: Path, moment: Callable[[], Moment] = rows.this_moment) -> None:
        self.committed = 0
        self.failing = False
        self.errors = 0
        self._snapshot = snapshot
        self._file = StateFile(database_path(snapshot))
        self._moment = moment
        self._now: Callable[[], float]
        self._put_all: Callable[[], None]
        # Shared by the loop and the thread, which is notified of changes.
        self._changed = threading.Condition()
        self._queued: dict[bytes, bytes | None] = {}
        self._number = 0
        self._is_stopping = False
        # The thread's: rows taken but not on the disk, the epochs on the disk, and the id of the
        # last row searched for what was flushed (None: there is nothing to search for).
        self._rows: dict[bytes, bytes | None] = {}
        self._epochs: Epochs | None = None
        self._searched: int | None = None
        # Up to which put dropped data is in no file any more, and when to clean again.
        self._cleaned = 0
        self._clean_at = 0.0
        self._committed_at: float | None = None
        self._count: int | None = None
        self._trouble = ""
        # The loop's: the last put of epochs, and the put that each waiter waits for.
        self._dropped = 0
        self._waiting: dict[asyncio.Future[bool], int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._work, name="backing", daemon=True)

    def restore(self) -> Restored:
        """Open the file and return its contents. To be called once, before `start`.

        1. There is an old snapshot, so a version that writes them ran last (this one removes it):
           a new file is begun with its contents. While that fails, the snapshot stays.
        2. The file is whole: it is used. 3. It is broken: it is set aside, and a new one begun.
        4. A newer version wrote it: it is left alone, and tried again later.
        5. It cannot be used now, as when another process has it open: it may have locks, which
           would be open without it, so there is no start. The same holds for a snapshot.

        Raises:
            StateFileUnusable: In case 5.
        """
        moment = self._moment()
        imported = old_snapshot.read(self._snapshot, moment.wall, BEGINNING)
        try:
            if imported is not None:
                state_file.remove(self._file.path)
            self._file.open(START_SECONDS, rows.check)
            if imported is not None:
                self._file.write(rows.rows_of(imported, moment))
                old_snapshot.remove(self._snapshot)
            self._count = self._file.count()
            restored = imported or rows.restored_of(self._file, moment)
        except (OigError, OSError) as exc:
            self._file.close()
            if imported is None and not isinstance(exc, StateFileNewer):
                raise
            self._complain(exc)
            self._file = StateFile(self._file.path)  # its contents are not those of the memory
            return imported or Restored(None, BEGINNING)
        self._epochs = restored.epochs
        if restored.epochs is not None:
            self._searched = 0  # a crash may have interrupted the clean-up after a flush
        return restored

    def start(self, now: Callable[[], float], put_all: Callable[[], None]) -> None:
        """Begin to write, on the running loop.

        `now` is the storage's clock; the thread reads it as well. `put_all` is called on the loop
        when a new file was begun, and puts every row again.
        """
        self._now, self._put_all = now, put_all
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def put(self, name: bytes, row: bytes | None) -> int:
        """As `Backing.put`."""
        with self._changed:
            self._number += 1
            if self._file.is_own:  # else every row is put again once there is one
                self._queued[name] = row
                self._changed.notify()
        if name == EPOCHS:
            self._dropped = self._number
        return self._number

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
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, STOP_SECONDS)
            if self._thread.is_alive():
                logger.error("%s: the disk does not answer; not all is written.", self._file.path)

    def stats(self) -> dict[str, object]:
        """Return the statistics of the backing, under the names of `docs/protocol.md`."""
        at = self._committed_at
        return {
            "backing_age": None if at is None else time.monotonic() - at,
            "backing_rows": self._count,
            "backing_bytes": self._file.size(),
            "backing_errors_total": self.errors,
            "backing_failing": int(self.failing),
            "backing_outdated": int(self._dropped > self._cleaned),
        }

    def _answer(self) -> None:
        for future, number in self._waiting.items():
            if not future.done() and (self.failing or number <= self.committed):
                future.set_result(number <= self.committed)

    # In the thread.

    def _work(self) -> None:
        pause, longest = PAUSES
        while not self._is_stopping:
            try:
                self._replace_lost()
                self._write_queued()
                if self._epochs is not None and self._searched is not None:
                    self._searched = self._take_flushed_out(self._epochs, self._searched)
                elif time.monotonic() >= self._clean_at:
                    self._clean()
            except Exception as exc:  # noqa: BLE001 - nothing may end the thread
                self._complain(exc)
                self._call_on_loop(self._answer)
                with self._changed:
                    self._changed.wait_for(lambda: self._is_stopping, pause)
                pause = min(pause * 2.0, longest)
                continue
            pause = PAUSES[0]
            if self.failing:
                logger.info("%s can be written again.", self._file.path)
            self.failing, self._trouble = False, ""
            seconds = min(TICK, self._clean_at - time.monotonic())
            if self._searched is not None:
                seconds = FLUSH_PAUSE
            with self._changed:
                self._changed.wait_for(lambda: self._queued or self._is_stopping, seconds)
        self._end()

    def _replace_lost(self) -> None:
        loss = self._file.loss()
        if loss is not None:
            self._begin(loss)

    def _begin(self, why: str) -> None:
        self._file.begin(why)
        # Puts were dropped while there was no file, so older rows must not come back.
        with self._changed:
            self._queued = {}
        self._rows = {}
        self._epochs = self._searched = None
        self._call_on_loop(self._put_all)

    def _write_queued(self) -> None:
        """Write the queue; what fails is written with the next."""
        with self._changed:
            queued, self._queued, number = self._queued, {}, self._number
        self._rows.update(queued)
        if not self._rows:
            return
        self._file.write([*self._rows.items(), rows.clock_row(self._now(), self._moment())])
        now = self._committed_at = time.monotonic()
        self._clean_at = min(self._clean_at, now + CLEAN_REPLACED)
        if EPOCHS in self._rows:
            self._clean_at = min(self._clean_at, now + CLEAN_DROPPED)
            before, self._epochs = self._epochs, rows.epochs_of(self._rows[EPOCHS])
            if before is None or self._epochs is None or before[2:] != self._epochs[2:]:
                self._searched = 0
        self._rows = {}
        self.committed = number
        self._call_on_loop(self._answer)

    def _take_flushed_out(self, epochs: Epochs, after: int) -> int | None:
        """Remove what was flushed from the next rows; return the last row's id, None at the end."""
        page = self._file.page(after, PAGE)
        try:
            left = rows.without_flushed(page, epochs, self._now())
        except ValueError as exc:
            self._begin(f"{self._file.path} is damaged: {exc}.")
            return None
        self._file.write(left)
        return page[-1][0] if page else None

    def _clean(self) -> None:
        """Remove what was dropped, overwritten or set aside from all files."""
        committed = self.committed
        self._file.empty_log()
        self._count = self._file.count()
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
        """Write the queue, unless the file is lost: another daemon may have begun its own."""
        try:
            if self._file.loss() is None:
                self._write_queued()
                self._file.write([rows.clock_row(self._now(), self._moment())])
                self._file.empty_log()
        except Exception as exc:  # noqa: BLE001 - it is the last try
            self._complain(exc)
        self._file.close()

    def _call_on_loop(self, what: Callable[[], None]) -> None:
        assert self._loop is not None
        with suppress(RuntimeError):  # the daemon did not wait any longer
            self._loop.call_soon_threadsafe(what)


def database_path(snapshot: Path) -> Path:
    """Return the path of the file: beside that of the snapshot of versions before 0.2."""
    return snapshot.with_name(NAME)


def remove(snapshot: Path) -> None:
    """Remove the file and any old snapshot, while no daemon runs; may raise OSError."""
    state_file.remove(database_path(snapshot))
    old_snapshot.remove(snapshot)
    state_file.remove_aside(snapshot, older_than=0.0)
