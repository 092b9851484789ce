"""Accepts connections to the cache daemon: from which users, how many, and which one makes room."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
import time
from collections import Counter
from typing import Final

from .connections import Connections
from .peer_credentials import is_trusted, peer_uid
from .server_connection import READ_BYTES, TOTALS, Connection, ConnectionLimits
from .service import Service
from .socket_file import SocketFile

SPARE_DESCRIPTORS: Final = 32
"""Descriptors left for everything else: loop, log, lock, listener, database, imports."""

ACCEPTS_AT_ONCE: Final = 16
"""Connections accepted before the existing ones get their turn."""

ACCEPT_PAUSE_SECONDS: Final = 1.0
"""Without a free descriptor, accepting is tried again after this."""

COMPLAINT_SECONDS: Final = 60.0
"""The same complaint is logged once within this time."""

MAX_COMPLAINTS: Final = 256
"""Different complaints remembered; some quote a user id."""

GOODBYE_SECONDS: Final = 0.5
"""Time for clients to read their last replies."""

SHORTAGES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""Errors of `accept` caused by the system and not by the client."""

logger = logging.getLogger(__name__)


class Complaints:
    """Logs warnings, the same one once a minute."""

    def __init__(self) -> None:
        self._made: dict[str, float] = {}

    def make(self, what: str) -> None:
        """Log it, unless that was done within the last minute."""
        now = time.monotonic()
        if now - self._made.get(what, -COMPLAINT_SECONDS) >= COMPLAINT_SECONDS:
            if len(self._made) > MAX_COMPLAINTS:
                self._made.clear()
            self._made[what] = now
            logger.warning("%s", what)


class Listener:
    """Accepts connections; the socket of `file` may be replaced while this is paused."""

    def __init__(
        self,
        file: SocketFile,
        service: Service,
        connections: Connections,
        limits: ConnectionLimits,
        complaints: Complaints,
    ) -> None:
        self._file = file
        self._service = service
        self._connections = connections
        self._limits = limits
        self._complain = complaints.make
        self._most = min(limits.connections, _descriptors(limits.connections) - SPARE_DESCRIPTORS)
        self._counts: Counter[str] = Counter()
        self._room = memoryview(bytearray(READ_BYTES))
        self._admitting: set[asyncio.Task[None]] = set()
        self._running = False

    def start(self) -> None:
        """Accept from now on."""
        self._running = True
        asyncio.get_running_loop().add_reader(self._file.socket, self.accept)

    def pause(self) -> None:
        """Accept no more; existing connections stay."""
        self._running = False
        asyncio.get_running_loop().remove_reader(self._file.socket)

    async def close_all(self) -> None:
        """End all connections, once their replies have been read or `GOODBYE_SECONDS` are over."""
        connections = list(self._connections)
        gone = [connection.gone for connection in connections]
        for end in (Connection.close, Connection.abort):
            for connection in connections:
                end(connection)
            if gone:
                await asyncio.wait(gone, timeout=GOODBYE_SECONDS)

    def stats(self) -> dict[str, object]:
        """Return the counts of connections, under the names of `docs/protocol.md`."""
        return {
            "limit_connections": self._most,
            "connections": len(self._connections),
            **{total: self._counts[total] for total in TOTALS},
        }

    def accept(self) -> None:
        """Accept the pending connections."""
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
                # Before a byte was read, and without a reply.
                accepted.close()
                self._counts["refused_total"] += 1
                self._complain(refusal)
                continue
            self._admit(accepted)

    def _refusal(self, accepted: socket.socket) -> str | None:
        try:
            uid = peer_uid(accepted)
        except OSError:
            return "a client was gone before it could be asked who it was"
        if not is_trusted(uid):
            return f"a process of user {uid} was refused"
        if len(self._connections) >= self._most and not self._made_room():
            return f"a connection was refused: there are {self._most}"
        return None

    def _made_room(self) -> bool:
        """End the connection that has been idle longest; return whether there was one.

        One that has a lease or waits is not idle. A worker whose connection was ended opens
        another one when it needs it.
        """
        longest = min(self._connections, key=lambda one: one.idle_since, default=None)
        if longest is None or time.perf_counter() - longest.idle_since < self._limits.idle_seconds:
            return False
        longest.kick()
        self._connections.discard(longest)  # now, as another takes its place at once
        self._complain(f"an idle connection gave way to a new one: there are {self._most}")
        return True

    def _admit(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        loop = asyncio.get_running_loop()
        connection = Connection(self._service, self._limits, self._counts, self._room)
        self._counts["connections_total"] += 1
        self._connections.add(connection)
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
        loop.remove_reader(self._file.socket)
        loop.call_later(ACCEPT_PAUSE_SECONDS, self._resume_accepting)
        self._complain(f"cannot accept connections: {reason}")

    def _resume_accepting(self) -> None:
        if self._running:
            asyncio.get_running_loop().add_reader(self._file.socket, self.accept)


def _descriptors(connections: int) -> int:
    """Raise the limit of open files as far as these need it; return the new limit."""
    wanted = connections + SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
