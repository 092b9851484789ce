"""One HTTP worker: uvicorn, with a start and a stop that suit a shared listening socket."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import resource
import socket
import stat
import time
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from .connection import MAX_CONNECTIONS, Connection, Connections

logger = logging.getLogger(__name__)

BACKLOG = 128
"""Also how many connections one wake-up may accept: small, so that bursts spread over workers."""

DRAIN = 1.0
"""Seconds between the last accept and the closing of idle connections. What was accepted is read
and answered in that time, with `Connection: close`, so that no client finds a connection gone
under its request."""

GRACE = 10.0
"""Seconds that running requests get to finish after that. What is not done then is cut off."""

CLOSE = 2.0
"""Seconds that closing everything may take at the end, beside the time that a change under way gets
(`STOP` in control.py): leases are given back, connections closed. All four together stay below
`stopwaitsecs` in supervisord.conf, after which the worker is killed."""

GC_THRESHOLDS = 50_000, 20, 100
"""How much garbage collects before it is looked for. A call makes some thousand objects, nearly all
of which go by themselves."""

KEEP_ALIVE = 30
"""Seconds an idle connection stays open."""

LOOK_TICKS = 20
"""Ticks between two looks at all connections. uvicorn ticks ten times a second, and 2000 of them
are looked at in a millisecond or two."""

TELL_SECONDS = 60.0
"""Seconds between two log lines about connections that were closed, however many they are."""

OTHER_DESCRIPTORS = 128
"""Descriptors kept for what is no connection of a caller: the portal, the daemon, logs, journal."""


class Worker(uvicorn.Server):
    """A server that announces its readiness and drains before it closes.

    Args:
        config: uvicorn's.
        ready_file: Written with our process id once requests are served, removed at the stop.
    """

    def __init__(self, config: uvicorn.Config, ready_file: Path | None) -> None:
        super().__init__(config)
        self.server_state: Connections = Connections(_room())
        self._ready_file = ready_file
        self._told = -TELL_SECONDS

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then freeze the heap: what start-up made is never garbage."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        if self._ready_file is not None:
            self._ready_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._ready_file.write_text(f"{os.getpid()}\n")
        logger.info("worker ready, pid %d", os.getpid())

    async def on_tick(self, counter: int) -> bool:
        """Look at all connections now and then, as well."""
        if counter % LOOK_TICKS == 0:
            now = time.monotonic()
            self.server_state.expire(now)
            refused = self.server_state.refused
            if refused and now - self._told >= TELL_SECONDS:
                self._told = now
                logger.warning(
                    "closed connections: %s",
                    ", ".join(f"{count} {reason}" for reason, count in refused.items()),
                )
                refused.clear()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, answer what was accepted, close what is idle, wait for the rest."""
        if self._ready_file is not None:
            self._ready_file.unlink(missing_ok=True)
        for server in self.servers:
            server.close()
        self.server_state.default_headers = [
            *self.server_state.default_headers,
            (b"connection", b"close"),
        ]
        await asyncio.sleep(DRAIN)
        await super().shutdown(sockets)
        logger.info("worker stopped, pid %d", os.getpid())


def make_worker(app: ASGIApp, ready_file: Path | None) -> Worker:
    """Make a worker for `app`; see `Worker` for `ready_file`."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=Connection,
        ws="none",
        lifespan="on",
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=int(GRACE),
        access_log=False,
        log_config=None,
        server_header=False,
        # app.py believes forwarded headers of OIG_TRUSTED_PROXIES only.
        proxy_headers=False,
    )
    return Worker(config, ready_file)


def _room() -> int:
    """Return how many connections the limit of descriptors leaves room for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(1, min(MAX_CONNECTIONS, soft - OTHER_DESCRIPTORS))


def inherited_socket() -> socket.socket | None:
    """Return the listening socket that supervisord passes as descriptor 0, None if it is none.

    The family is read off the descriptor. `uvicorn --fd 0` calls every socket AF_UNIX, and then
    asyncio does not set TCP_NODELAY: 40 ms for each answer on a kept connection.
    """
    try:
        given = os.fstat(0)
    except OSError:  # closed by whoever started us
        return None
    if not stat.S_ISSOCK(given.st_mode):
        return None
    listener = socket.socket(fileno=os.dup(0))
    if not is_listening(listener):
        listener.close()
        return None
    return listener


def is_listening(given: socket.socket) -> bool:
    """Say whether connections can be accepted from a socket.

    macOS has the option that tells, but does not let it be read. There a stream socket that is
    connected to nobody is taken for a listening one.
    """
    try:
        return bool(given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        if given.type != socket.SOCK_STREAM:
            return False
    try:
        given.getpeername()
    except OSError as exc:
        return exc.errno == errno.ENOTCONN
    return False


def bind(host: str, port: int) -> socket.socket:
    """Bind a listening socket.

    Args:
        host: Address or name to listen at.
        port: 0 takes any free one.

    Raises:
        OSError: The address is taken or not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)
