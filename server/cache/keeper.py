"""When the snapshot is read and written; what it is, `snapshot` knows.

Nothing here stops the daemon: sessions that cannot be kept cost one login each.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from ..errors import OigError
from . import snapshot
from .engine import Engine, Export
from .epoch import Epoch
from .outdated import Outdated

PERIOD_SECONDS: Final = 60.0
"""How often a changed state is written: what a crash may cost, against the disk's rest."""

REST_SECONDS: Final = 1.0
"""Seconds after a snapshot before the next, however urgent: each stops the loop for some ten
milliseconds, and an account that logs in and out in a loop makes each of its ends urgent. A crash
in that time brings nothing back that was dropped (`Outdated`)."""

PATIENCE_SECONDS: Final = 3.0
"""How long the first and the last snapshot may take: a disk that hangs must not keep the daemon
from starting or stopping."""

logger = logging.getLogger(__name__)


class Keeper:
    """Reads the snapshot once, and writes it again and again.

    Args:
        engine: What is kept.
        path: The file.
        period: Seconds between two looks at whether there is something new to write.
        rest: Seconds after a snapshot before the next look, however urgent that is.
        wall: Unix time.

    Attributes:
        errors: Snapshots that could not be written.
        size: Bytes of the last one written or read; None before.
        outdated: Whether the file may still hold what was dropped on purpose.
    """

    def __init__(
        self,
        engine: Engine,
        path: Path,
        *,
        period: float = PERIOD_SECONDS,
        rest: float = REST_SECONDS,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.errors = 0
        self.size: int | None = None
        self._engine = engine
        self._path = path
        self._period = period
        self._rest = rest
        self._wall = wall
        self._kept_at: float | None = None
        self._failing = False
        self.outdated = False
        self._mark = Outdated(path)
        self._writing: asyncio.Future[None] | None = None
        self._hurry = asyncio.Event()

    def age(self) -> float | None:
        """Return the seconds since the last snapshot was written or read; None before."""
        return None if self._kept_at is None else time.monotonic() - self._kept_at

    async def begin(self) -> int:
        """Give the engine what the last daemon left; return how many sessions that was.

        If that was not an epoch, ours is written before anybody is told of it: after a crash the
        next daemon must know it.
        """
        sessions = 0
        try:
            data = snapshot.read(self._path)
            if data is not None:
                export = snapshot.decode(data, self._wall())
                if self._mark:
                    logger.warning("The snapshot is older than a flush. Starting without sessions.")
                    export = replace(export, sessions=(), notes=(), epoch=None)
                sessions = self._engine.restore(export)
                self._kept(len(data))
                if export.epoch is not None:
                    return sessions
        except snapshot.NewerSnapshot as exc:
            # One that is older than a flush brings what was dropped back wherever it is read.
            aside = self._set_aside(None if self._mark else exc.version)
            logger.warning("%s Starting without sessions; %s", exc, aside)
        except snapshot.SnapshotError as exc:
            logger.warning("%s Starting without sessions; %s", exc, self._set_aside())
        await self.write_in_time()
        return sessions

    async def keep(self, take_change: Callable[[], bool]) -> None:
        """Write a snapshot every period in which there was a change, and when there is a hurry.

        When there is a hurry again and again, a second lies between two of them.

        Runs until cancelled.

        Args:
            take_change: Says whether there was one since it was last called.
        """
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), self._period)
            self._hurry.clear()
            with contextlib.suppress(OSError):  # tried again in a minute
                snapshot.drop_old_aside(self._path, self._wall())
            if take_change() or self._failing:
                await self.write()
                await asyncio.sleep(self._rest)

    def outdate(self) -> None:
        """Take note that what was just dropped must not come back from the file, come what may."""
        self.outdated = True
        with contextlib.suppress(OSError):
            # They may hold that as well, and nobody else would ever remove them.
            snapshot.drop_aside(self._path)
        try:
            self._mark.set()
        except OSError as exc:
            logger.error(  # noqa: TRY400 - where it arose says nothing
                "A flush is undone if the daemon is killed before its next snapshot: %s.",
                _reason(exc),
            )

    def hurry(self) -> None:
        """Have a change written at once, or `rest` after the last snapshot."""
        self._hurry.set()

    async def write(self) -> None:
        """Write a snapshot now, after the one that is being written, if any."""
        while self._writing is not None:
            await asyncio.wait([self._writing])
        loop = asyncio.get_running_loop()
        writing = self._writing = loop.create_future()
        try:
            # A thread of our own: those of the loop's pool are waited for at exit, however long.
            threading.Thread(
                target=self._work,
                args=(loop, self._engine.export(), self._wall()),
                name="snapshot",
                daemon=True,
            ).start()
        except Exception as exc:  # noqa: BLE001 - counted as any other: the next may be written
            self._written(0, None, exc)
        await asyncio.shield(writing)

    async def write_in_time(self) -> None:
        """Write a snapshot now, if that does not take too long."""
        try:
            await asyncio.wait_for(self.write(), PATIENCE_SECONDS)
        except TimeoutError:
            logger.error(  # noqa: TRY400 - where it was cancelled says nothing
                "The snapshot %s could not be written in %g s; its last state stays.",
                self._path,
                PATIENCE_SECONDS,
            )

    def _work(self, loop: asyncio.AbstractEventLoop, export: Export, wall_now: float) -> None:
        size = 0
        error: Exception | None = None
        try:
            data = snapshot.encode(export, wall_now)
            size = len(data)
            snapshot.write(self._path, data)
        except Exception as exc:  # noqa: BLE001 - reported by the loop, whatever it is
            error = exc
        try:
            loop.call_soon_threadsafe(self._written, size, export.epoch, error)
        except RuntimeError:
            # The daemon did not wait any longer; the file is whole all the same.
            return

    def _written(self, size: int, epoch: Epoch | None, error: Exception | None) -> None:
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.set_result(None)
        if error is None:
            self._kept(size)
            if epoch == self._engine.epoch:
                self.outdated = False
                with contextlib.suppress(OSError):  # costs some logins at the next start
                    self._mark.clear()
            if self._failing:
                logger.info("The snapshot %s can be written again.", self._path)
            self._failing = False
            return
        self.errors += 1
        if not self._failing:
            logger.error("The snapshot cannot be written: %s. Serving goes on.", _reason(error))
        self._failing = True

    def _kept(self, size: int) -> None:
        self.size = size
        self._kept_at = time.monotonic()

    def _set_aside(self, version: int | None = None) -> str:
        try:
            aside = snapshot.set_aside(self._path, version)
        except OSError as exc:
            return f"it could not be set aside: {exc.strerror}."
        return f"it was set aside as {aside}."


def _reason(error: Exception) -> str:
    if isinstance(error, OigError):
        return str(error).rstrip(".")
    if isinstance(error, OSError) and error.strerror:
        # The text of the system and a path of ours; texts of others may quote what they were given.
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return type(error).__name__
