"""The cache daemon's life: accept, serve, keep, stop.

Exit codes:
    0   stopped by SIGTERM or SIGINT
    64  the command line or a setting is wrong (EX_USAGE)
    73  the socket, or the folder it lies in, cannot be made or used (EX_CANTCREAT)
    75  another cache daemon serves this socket (EX_TEMPFAIL)
    80  another daemon, or something else, has the path of the socket; start it again
    81  a second signal came before the stop was complete
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import math
import os
import resource
import signal
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..errors import ConfigurationError
from ..keys.fingerprint import secret_tag
from ..keys.secret import SecretMissing, make_none
from ..keys.secret_use import LOOK_SECONDS, SecretUse
from .credentials import is_trusted, peer_uid
from .engine import Engine
from .keeper import Keeper
from .server_connection import READ_BYTES, Connection, Counts, PeerLimits
from .service import Reloading, Service
from .socket_file import SocketFile, Supplanted

EXIT_OK: Final = 0
EXIT_USAGE: Final = 64
EXIT_CANNOT_CREATE: Final = 73
EXIT_ALREADY_RUNNING: Final = 75
EXIT_SUPPLANTED: Final = 80
EXIT_FORCED: Final = 81

MAX_CONNECTIONS: Final = 256
"""A worker needs one, `cachectl` one for a moment."""

IDLE_SECONDS: Final = 5.0
"""A connection that asked nothing for so long gives way to a new one when there is no more room."""

SPARE_DESCRIPTORS: Final = 32
"""Descriptors that connections must leave: loop, log, lock, listener, snapshot, imports."""

ACCEPTS_AT_ONCE: Final = 16
"""Connections accepted before those who are connected get their turn."""

ACCEPT_PAUSE_SECONDS: Final = 1.0
"""Without a descriptor to spare, accepting is tried again after this."""

COMPLAINT_SECONDS: Final = 60.0
"""The same complaint about connections is logged once in this time."""

PATH_SECONDS: Final = 2.0
"""How often we look whether the path still leads here."""

SECRET_SECONDS: Final = 0.5
"""How often a secret is looked for as long as there is none."""

GOODBYE_SECONDS: Final = 0.5
"""How long peers have for reading their last replies."""

SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What `accept` reports when the system, and not the peer, is the reason."""

SOONEST_SECONDS: Final = 0.001
"""Least delay of the timer: a clock that is a little behind must not make it spin."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonLimits:
    """What the daemon allows its peers.

    Attributes:
        connections: Most at once; what is more is closed unread, unless an idle one gives way.
        idle_seconds: How long one must have asked nothing for that.
        peer: What each may cost.
        path_seconds: How often the socket's path is checked.
    """

    connections: int = MAX_CONNECTIONS
    idle_seconds: float = IDLE_SECONDS
    peer: PeerLimits = field(default_factory=PeerLimits)
    path_seconds: float = PATH_SECONDS


class Daemon:
    """Serve one engine on one socket until told to stop.

    Args:
        engine: Decides; its clock must be `time.monotonic`.
        socket_file: Bound already. Closed at the end.
        keeper: Reads and writes the snapshot.
        version: Of the program.
        limits: What peers may cost.
        reloading: The settings.
        secret_file: The secret, to be compared with that of workers and written back when its file
            vanishes. Made by workers alone: a daemon that starts while the file is missing must not
            have another one than they.
    """

    def __init__(
        self,
        engine: Engine,
        socket_file: SocketFile,
        keeper: Keeper,
        version: str,
        limits: DaemonLimits,
        reloading: Reloading,
        secret_file: Path,
    ) -> None:
        self._engine = engine
        self._file = socket_file
        self._keeper = keeper
        self._limits = limits
        self._most = min(limits.connections, _descriptors() - SPARE_DESCRIPTORS)
        self._counts = Counts()
        self._service = Service(engine, version, os.getpid(), self._facts, reloading)
        self._service.on_dropped = keeper.outdate
        self._service.on_differing = self._complain_of_secret
        self._secret_file = secret_file
        self._secret: SecretUse | None = None
        self._secret_trouble = ""
        self._room = memoryview(bytearray(READ_BYTES))
        self._begun = time.monotonic()
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._complained: dict[str, float] = {}
        self._connections: set[Connection] = set()
        self._admitting: set[asyncio.Task[None]] = set()
        self._stop: asyncio.Future[int] | None = None

    async def run(self) -> int:
        """Serve; return the exit code."""
        loop = asyncio.get_running_loop()
        self._stop = loop.create_future()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGHUP, self._on_hangup)
        sessions = await self._keeper.begin()
        # What was loaded stays for hours: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        self._settle()
        self._take_secret()
        chores = [
            loop.create_task(self._keep_secret()),
            loop.create_task(self._keeper.keep(self._take_change)),
            loop.create_task(self._watch_path()),
        ]
        loop.add_reader(self._file.socket, self._accept)
        logger.info(
            "cache daemon ready on %s, %d %s from the snapshot",
            self._file.path,
            sessions,
            "session" if sessions == 1 else "sessions",
        )
        try:
            code = await self._stop
        finally:
            for chore in chores:
                chore.cancel()
            loop.remove_reader(self._file.socket)
        await self._wind_up()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
        logger.info("cache daemon stopped")
        return code

    # The end.

    def _on_signal(self, number: signal.Signals) -> None:
        assert self._stop is not None
        if not self._stop.done():
            logger.info("%s: stopping", number.name)
            self._stop.set_result(EXIT_OK)
            return
        logger.warning("%s again: stopping at once", number.name)
        self._file.close()
        os._exit(EXIT_FORCED)

    def _on_hangup(self) -> None:
        logger.info(
            "SIGHUP: settings are read again by cachectl reload, which says what came of it"
        )

    # The secret.

    async def _keep_secret(self) -> None:
        while True:
            if self._secret is None:
                await asyncio.sleep(SECRET_SECONDS)
                self._take_secret()
            else:
                await asyncio.sleep(LOOK_SECONDS)
                self._secret.look()

    def _take_secret(self) -> None:
        """Read the secret if there is one; without it everything is served as well."""
        try:
            self._secret = SecretUse(self._secret_file, make_none)
        except SecretMissing:
            return  # a worker makes it, or writes it back
        except ConfigurationError as exc:
            if str(exc) != self._secret_trouble:
                self._secret_trouble = str(exc)
                logger.warning(
                    "%s Until then nobody can tell whether the workers have the same secret.", exc
                )
            return
        self._service.learn_secret(secret_tag(self._secret.secret))

    def _complain_of_secret(self) -> None:
        self._complain(
            "a worker works with another secret than this daemon, and is refused: put the right "
            f"file at {self._secret_file} and restart the whole server"
        )

    async def _watch_path(self) -> None:
        assert self._stop is not None
        while not self._stop.done():
            await asyncio.sleep(self._limits.path_seconds)
            if not (self._file.is_ours() and self._file.has_lock()):
                self._restore_path()

    def _restore_path(self) -> None:
        """Put socket and lock back; end only if somebody else has the path.

        Whatever cannot be written now can be later: those who are connected are served meanwhile,
        and an end would be followed by starts that fail for the same reason.
        """
        assert self._stop is not None
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._file.socket)
        try:
            # Whoever has connected by the old file would lose the connection unread.
            self._accept()
            self._file.restore()
        except Supplanted as exc:
            logger.error(  # noqa: TRY400 - where it arose says nothing
                "%s does not lead to this daemon any more: stopping, to be started again. %s",
                self._file.path,
                exc,
            )
            self._stop.set_result(EXIT_SUPPLANTED)
            return
        except (ConfigurationError, OSError) as exc:
            self._complain(
                f"{self._file.path} has vanished and cannot be made again, which is tried every "
                f"{self._limits.path_seconds:g} s; workers that are connected are served. {exc}"
            )
        else:
            logger.warning("%s had vanished: it is back", self._file.path)
            # The snapshot has usually vanished with it.
            self._service.changed = True
            self._keeper.hurry()
        loop.add_reader(self._file.socket, self._accept)

    async def _wind_up(self) -> None:
        self._file.withdraw()
        self._service.stop()
        if self._timer is not None:
            self._timer.cancel()
        # Who has the lock has the snapshot: another daemon may have written a newer one.
        if self._file.has_lock():
            await self._keeper.write_in_time()
        connections = list(self._connections)
        for connection in connections:
            connection.close()
        gone = [connection.gone for connection in connections]
        if gone:
            await asyncio.wait(gone, timeout=GOODBYE_SECONDS)
        for connection in connections:
            connection.abort()
        if gone:
            await asyncio.wait(gone, timeout=GOODBYE_SECONDS)
        self._file.close()
        if self._secret is not None:
            self._secret.close()

    # Connections.

    def _accept(self) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                accepted, _ = self._file.socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:
                if exc.errno not in SHORTAGES:
                    raise
                self._pause_accepting(exc.strerror)
                return
            refusal = self._refusal(accepted)
            if refusal is not None:
                # Before a byte was read, and without a word.
                accepted.close()
                self._counts.refused += 1
                self._complain(refusal)
                continue
            self._admit(accepted)

    def _refusal(self, accepted: socket.socket) -> str | None:
        try:
            uid = peer_uid(accepted)
        except OSError:
            return "a peer was gone before it could be asked who it was"
        if not is_trusted(uid):
            return f"a process of user {uid} was refused"
        if len(self._connections) >= self._most and not self._made_room():
            return f"a connection was refused: there are {self._most}"
        return None

    def _made_room(self) -> bool:
        """End the connection that has been idle for the longest time; say whether there was one.

        One that holds a lease or waits is not idle. A worker whose connection gives way opens
        another one when it needs it.
        """
        idle = [(since, one) for one in self._connections if (since := one.idle_since) is not None]
        since, longest = min(idle, key=lambda pair: pair[0], default=(math.inf, None))
        if longest is None or time.perf_counter() - since < self._limits.idle_seconds:
            return False
        longest.kick()
        self._connections.discard(longest)
        self._complain(f"an idle connection gave way to a new one: there are {self._most}")
        return True

    def _admit(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        loop = asyncio.get_running_loop()
        connection = Connection(
            self._service, self._limits.peer, self._counts, self._room, self._settle
        )
        self._counts.accepted += 1
        self._connections.add(connection)
        self._service.peers.add(connection)
        connection.gone.add_done_callback(lambda _: self._connections.discard(connection))
        task = loop.create_task(self._attach(connection, accepted))
        self._admitting.add(task)
        task.add_done_callback(self._admitting.discard)

    async def _attach(self, connection: Connection, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(lambda: connection, accepted)
        except OSError:
            accepted.close()
            connection.connection_lost(None)

    def _pause_accepting(self, reason: str | None) -> None:
        loop = asyncio.get_running_loop()
        listener = self._file.socket
        loop.remove_reader(listener)
        loop.call_later(ACCEPT_PAUSE_SECONDS, self._resume_accepting)
        self._complain(f"cannot accept connections: {reason}")

    def _resume_accepting(self) -> None:
        if self._stop is not None and not self._stop.done():
            asyncio.get_running_loop().add_reader(self._file.socket, self._accept)

    def _complain(self, what: str) -> None:
        now = time.monotonic()
        if now - self._complained.get(what, -COMPLAINT_SECONDS) >= COMPLAINT_SECONDS:
            if len(self._complained) > MAX_CONNECTIONS:
                self._complained.clear()
            self._complained[what] = now
            logger.warning("%s", what)

    # What is due.

    def _settle(self) -> None:
        """Tell those who wait what there is to tell, and set the timer for the next time."""
        self._service.settle()
        if self._service.urgent:
            self._service.urgent = False
            self._keeper.hurry()
        due = self._engine.next_due()
        if due == self._due:
            return
        self._due = due
        if self._timer is not None:
            self._timer.cancel()
        if due is not None:
            delay = max(due - time.monotonic(), SOONEST_SECONDS)
            self._timer = asyncio.get_running_loop().call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = self._due = None
        self._settle()

    def _take_change(self) -> bool:
        expired = self._engine.drop_expired_failures()
        changed, self._service.changed = self._service.changed or expired, False
        return changed

    def _facts(self) -> dict[str, object]:
        return {
            "uptime": time.monotonic() - self._begun,
            "limit_connections": self._most,
            "connections": len(self._connections),
            "connections_total": self._counts.accepted,
            "refused_total": self._counts.refused,
            "kicked_total": self._counts.kicked,
            "protocol_errors_total": self._counts.protocol_errors,
            "snapshot_age": self._keeper.age(),
            "snapshot_bytes": self._keeper.size,
            "snapshot_errors_total": self._keeper.errors,
            "snapshot_outdated": int(self._keeper.outdated),
        }


def _descriptors() -> int:
    """Raise the limit of open files as far as we need it; return what it is then."""
    wanted = MAX_CONNECTIONS + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
