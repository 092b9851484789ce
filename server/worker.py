"""One HTTP worker: uvicorn, with a start and a stop that suit a shared listening socket."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import stat
from pathlib import Path

import uvicorn
from sse_starlette.sse import AppStatus
from starlette.types import ASGIApp

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


class Worker(uvicorn.Server):
    """A server that announces its readiness and drains before it closes.

    Args:
        config: uvicorn's.
        ready_file: Written with our process id once requests are served, removed at the stop.
    """

    def __init__(self, config: uvicorn.Config, ready_file: Path | None) -> None:
        super().__init__(config)
        self._ready_file = ready_file

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
    # Otherwise the SDK's event streams end at the first sign of a stop, calls under way or not.
    AppStatus.enable_automatic_graceful_drain = False
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
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


def inherited_socket() -> socket.socket | None:
    """Return the listening socket that supervisord passes as descriptor 0, None if it is none.

    The family is read off the descriptor. `uvicorn --fd 0` calls every socket AF_UNIX, and then
    asyncio does not set TCP_NODELAY: 40 ms for each answer on a kept connection.
    """
    if not stat.S_ISSOCK(os.fstat(0).st_mode):
        return None
    listener = socket.socket(fileno=os.dup(0))
    if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        listener.close()
        return None
    return listener


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
