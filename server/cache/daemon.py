"""The cache daemon's life: start, serve, stop.

Exit codes:
    0   stopped by SIGTERM or SIGINT
    64  the command line or a setting is wrong (EX_USAGE)
    73  the socket, or the folder it lies in, cannot be made or used (EX_CANTCREAT)
    74  the file of sessions and locks is there and cannot be used now (EX_IOERR); start it again
    75  another cache daemon serves this socket (EX_TEMPFAIL)
    80  another daemon, or something else, has the path of the socket; start it again
    81  a second signal came before the stop was complete
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import time
from typing import Final

from .. import log
from ..account_limits import limits_of, policy_of
from ..errors import ConfigurationError
from ..keys.fingerprint import secret_tag
from ..keys.secret import SecretMissing, make_none
from ..keys.secret_use import CHECK_SECONDS, SecretUse
from ..settings.reloading import Reloading
from ..state.accounts import Accounts
from ..state.memory import MemoryStorage
from ..version import program_version
from .backing import SqliteBacking
from .connections import Connections
from .listener import Complaints, Listener
from .loop_lateness import LoopLateness
from .server_connection import ConnectionLimits
from .service import Service
from .socket_file import PathTaken, SocketFile
from .tracking import Tracking

EXIT_OK: Final = 0
EXIT_USAGE: Final = 64
EXIT_CANNOT_CREATE: Final = 73
EXIT_FILE_UNUSABLE: Final = 74
EXIT_ALREADY_RUNNING: Final = 75
EXIT_SUPPLANTED: Final = 80
EXIT_FORCED: Final = 81

PATH_SECONDS: Final = 2.0
"""How often the daemon checks that the path still leads to its socket."""

SECRET_SECONDS: Final = 0.5
"""How often a missing secret is looked for."""

TIDY_SECONDS: Final = 1.0
"""How often some accounts are searched for what has expired."""

logger = logging.getLogger(__name__)


class Daemon:
    """Serves accounts on one socket until a signal stops it.

    It reads the secret to compare it with the workers', and writes it back when its file vanishes.
    Only workers make one: a daemon that starts without the file must not make another.

    `socket_file` is already bound, and closed at the end.

    Raises:
        StateFileUnusable: The accounts' file, or a snapshot, cannot be used now.
    """

    def __init__(self, reloading: Reloading, socket_file: SocketFile) -> None:
        settings = reloading.current
        limits, policy = limits_of(settings), policy_of(settings)
        self._backing = SqliteBacking(settings.snapshot_file)
        restored = self._backing.restore()
        tracking = Tracking()
        self._storage = storage = MemoryStorage(
            limits, backing=self._backing, restored=restored, tracking=tracking
        )
        self._accounts = accounts = Accounts(storage, limits, policy)
        reloading.add(lambda fresh: storage.use(limits_of(fresh)))
        reloading.add(lambda fresh: accounts.use(limits_of(fresh), policy_of(fresh)))
        reloading.add(lambda fresh: log.set_level(fresh.log_level))
        self._file = socket_file
        self._complaints = Complaints()
        self._connections = Connections(
            program_version(),
            os.getpid(),
            lambda: storage.epochs,
            lambda: reloading.digest,
            tracking,
        )
        self._connections.on_other_secret = self._complain_of_secret
        self._service = Service(accounts, self._connections, self._facts, reloading)
        self._listener = Listener(
            socket_file, self._service, self._connections, ConnectionLimits(), self._complaints
        )
        self._secret_file = settings.secret_file
        self._secret: SecretUse | None = None
        self._begun = time.monotonic()
        self._lateness = LoopLateness()
        self._stopping = asyncio.Event()
        self._code = EXIT_OK

    async def run(self) -> int:
        """Serve; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        self._backing.start(self._storage.now, self._storage.put_all)
        # What is loaded by now stays for hours: the garbage collector need not scan it.
        gc.collect()
        gc.freeze()
        self._take_secret()
        chores = (
            *(self._look_at_secret(), self._tidy(), self._watch_path()),
            self._lateness.keep(),
        )
        tasks = [loop.create_task(chore) for chore in chores]
        self._listener.start()
        sessions = self._storage.stats()["sessions"]
        logger.info(
            "cache daemon ready on %s, %d %s from the disk",
            self._file.path,
            sessions,
            "session" if sessions == 1 else "sessions",
        )
        try:
            await self._stopping.wait()
        finally:
            for task in tasks:
                task.cancel()
            self._listener.pause()
        self._file.withdraw()
        self._service.stop()
        # Answers all waiters, and writes what is not on the disk yet.
        await self._accounts.stop()
        await self._listener.close_all()
        self._file.close()
        if self._secret is not None:
            self._secret.close()
        logger.info("cache daemon stopped")
        return self._code

    def _on_signal(self, number: signal.Signals) -> None:
        if not self._stopping.is_set():
            logger.info("%s: stopping", number.name)
            self._stopping.set()
            return
        logger.warning("%s again: stopping at once", number.name)
        self._file.close()
        os._exit(EXIT_FORCED)

    def _on_hangup(self) -> None:
        logger.info(
            "SIGHUP: settings are read again by cachectl reload, which says what came of it"
        )

    # The secret.

    async def _look_at_secret(self) -> None:
        while True:
            await asyncio.sleep(SECRET_SECONDS if self._secret is None else CHECK_SECONDS)
            if self._secret is None:
                self._take_secret()
            else:
                self._secret.look()

    def _take_secret(self) -> None:
        """Read the secret if there is one; everything is served without it as well."""
        try:
            self._secret = SecretUse(self._secret_file, make_none)
        except SecretMissing:
            return  # a worker makes it, or writes it back
        except ConfigurationError as exc:
            self._complaints.make(
                f"{exc} Until then nobody can tell whether the workers have the same secret."
            )
            return
        self._connections.learn_secret(secret_tag(self._secret.secret))

    def _complain_of_secret(self) -> None:
        self._complaints.make(
            "a worker works with another secret than this daemon, and is refused: put the right "
            f"file at {self._secret_file} and restart the whole server"
        )

    async def _watch_path(self) -> None:
        while not self._stopping.is_set():
            await asyncio.sleep(PATH_SECONDS)
            if not self._file.is_in_place():
                self._restore_path()

    def _restore_path(self) -> None:
        """Restore socket and lock; stop only if another process has the path.

        After any other error connected workers are served on: a restart would fail likewise.
        """
        self._listener.pause()
        try:
            # Connections still queued on the old socket would be lost.
            self._listener.accept()
            self._file.restore()
        except PathTaken as exc:
            logger.error(  # noqa: TRY400 - where it arose says nothing
                "%s does not lead to this daemon any more: stopping, to be started again. %s",
                self._file.path,
                exc,
            )
            self._code = EXIT_SUPPLANTED
            self._stopping.set()
            return
        except ConfigurationError as exc:
            self._complaints.make(
                f"{self._file.path} has vanished and cannot be made again, which is tried every "
                f"{PATH_SECONDS:g} s; workers that are connected are served. {exc}"
            )
        else:
            logger.warning("%s had vanished: it is back", self._file.path)
        self._listener.start()

    # Periodic work, and statistics.

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            await self._accounts.upkeep.tidy()

    def _facts(self) -> dict[str, object]:
        return {
            "uptime": time.monotonic() - self._begun,
            "loop_late_us": round(1e6 * self._lateness.longest),
            **self._listener.stats(),
            **self._backing.stats(),
        }
