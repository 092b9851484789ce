"""One HTTP worker: uvicorn, with a start and a stop that suit a shared listening socket."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import resource
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.types import ASGIApp

from ..pid_file import PidFile
from .accepting import Acceptor
from .closing_port import ClosingPort
from .closing_queue import begin_handshakes
from .connection import Connection
from .listening import BACKLOG, is_listening
from .room import MAX_CONNECTIONS, Connections
from .secure_connection import SecureConnection
from .shares import nobody

if TYPE_CHECKING:
    from ..tls.renewal import Renewal

logger = logging.getLogger(__name__)

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

GC_THRESHOLDS = 5_000, 20, 100
"""How much garbage collects before it is looked for. A call makes some thousand objects, nearly all
of which go by themselves. Ten times as many cost no less time, but all of it in one pause: the
slowest hundredth of calls took 25 ms and not 9."""

KEEP_ALIVE = 30
"""Seconds an idle connection stays open."""

LOOK_TICKS = 20
"""Ticks between two looks at all connections. uvicorn ticks ten times a second, and 2000 of them
are looked at in a millisecond or two."""

TELL_SECONDS = 60.0
"""Seconds between two log lines about connections that were closed, however many they are."""

OTHER_DESCRIPTORS = 128
"""Descriptors reserved for other uses: the portal, the daemon, logs, journal."""

FEWEST_CONNECTIONS = 16
"""Connections of a worker that has next to no descriptors. Each may be silent for a second before
it gives way (`room.NEWCOMER`): with a single one, a caller behind a hundred silent connections
would wait for minutes. Of 128 descriptors 112 are left: 19 of them are always open, 16 may lead to
the portal."""


class Worker(uvicorn.Server):
    """A server that announces its readiness and drains before it closes.

    Args:
        config: uvicorn's.
        ready_file: Written with our process id once requests are served, and again where it
            vanishes; removed at the stop. Nobody needs it to be served, so that a file that cannot
            be written stops nothing.
        others_are_gone: Says whether no other worker takes connections from the same sockets; see
            `ClosingPort`. None for a worker that shares no sockets.
        source: Gives the source of a caller's address, None for one that is exempt from limits.
        stopping: Called when the worker begins to stop, before it waits for running requests.
        certificate: What connections speak TLS with; None for plain ones.
    """

    _acceptor: Acceptor

    def __init__(
        self,
        config: uvicorn.Config,
        ready_file: Path | None,
        others_are_gone: Callable[[], bool] | None = None,
        source: Callable[[str | None], str | None] = nobody,
        stopping: Callable[[], None] = lambda: None,
        certificate: Renewal | None = None,
    ) -> None:
        super().__init__(config)
        self._certificate = certificate
        self._keeping_fresh: asyncio.Task[None] | None = None
        self._stopping = stopping
        self._others_are_gone = others_are_gone
        self.server_state: Connections = Connections(room(), source)
        self._ready_file = None if ready_file is None else PidFile(ready_file)
        self._ready_path = ready_file
        self._ready_complaint = ""
        self._reported_at = -TELL_SECONDS
        self._shared: Sequence[socket.socket] = ()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then freeze the heap: what start-up made is never garbage."""
        self._shared = sockets or []
        loop = asyncio.get_running_loop()
        self._acceptor = Acceptor(
            self._shared,
            self._connection,
            self.server_state.has_room,
            lambda: self.server_state.give_way(loop.time()),
        )
        # Without sockets: it would accept every connection.
        await super().startup([])
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        self._acceptor.start()
        if self._certificate is not None:
            self._keeping_fresh = loop.create_task(self._certificate.keep_fresh())
        self._keep_ready_file()
        logger.info("worker ready, pid %d", os.getpid())

    async def on_tick(self, counter: int) -> bool:
        """Look at all connections now and then, as well."""
        if counter % LOOK_TICKS == 0:
            now = time.monotonic()
            self.server_state.expire(now)
            refused = self.server_state.refused
            if refused and now - self._reported_at >= TELL_SECONDS:
                self._reported_at = now
                logger.warning(
                    "closed connections: %s",
                    ", ".join(f"{count} {reason}" for reason, count in refused.items()),
                )
                refused.clear()
            self._listen_again()
            self._keep_ready_file()
        self._acceptor.look()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, answer what was accepted, close what is idle, wait for the rest."""
        self._stopping()
        if self._keeping_fresh is not None:
            self._keeping_fresh.cancel()
        if self._ready_file is not None:
            with contextlib.suppress(OSError):  # nobody believes it without its lock
                self._ready_file.remove()
        port: ClosingPort | None = None
        if self._others_are_gone is not None:
            port = ClosingPort(sockets or [], self._others_are_gone)
            await port.begin()
        self._acceptor.close()
        self.server_state.default_headers = [
            *self.server_state.default_headers,
            (b"connection", b"close"),
        ]
        await asyncio.sleep(DRAIN)
        await super().shutdown(sockets)
        while self.server_state.connections:
            # They do not take their answers.
            for connection in self.server_state.connections:
                connection.transport.abort()
            await asyncio.sleep(0)
        if port is not None:
            port.end()
        logger.info("worker stopped, pid %d", os.getpid())

    @property
    def is_accepting(self) -> bool:
        """Whether connections are taken now."""
        return self._acceptor.is_accepting

    def _connection(self) -> Connection:
        state, app_state = self.server_state, self.lifespan.state
        if self._certificate is None:
            return Connection(config=self.config, server_state=state, app_state=app_state)
        return SecureConnection(
            config=self.config,
            server_state=state,
            app_state=app_state,
            context=self._certificate.context,
        )

    def _keep_ready_file(self) -> None:
        if self._ready_file is None:
            return
        try:
            self._ready_file.keep()
        except OSError as exc:
            if self._ready_complaint != exc.strerror:
                self._ready_complaint = exc.strerror or type(exc).__name__
                logger.warning(
                    "the file %s, which says that this worker is ready, cannot be written: %s. "
                    "Requests are served all the same; it is tried again.",
                    self._ready_path,
                    self._ready_complaint,
                )
            return
        if self._ready_complaint:
            self._ready_complaint = ""
            logger.info("the file %s is written", self._ready_path)

    def _listen_again(self) -> None:
        """Open a shared port again that a worker closed as the last one, as it believed."""
        if self._others_are_gone is not None and not self.should_exit:
            for shared in self._shared:
                if not is_listening(shared):
                    begin_handshakes(shared)
                    shared.listen(BACKLOG)
                    logger.warning("opened the port again, which another worker had closed")


def make_worker(
    app: ASGIApp,
    ready_file: Path | None,
    others_are_gone: Callable[[], bool] | None = None,
    source: Callable[[str | None], str | None] = nobody,
    stopping: Callable[[], None] = lambda: None,
    certificate: Renewal | None = None,
) -> Worker:
    """Make a worker for `app`; see `Worker` for the rest."""
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
    return Worker(config, ready_file, others_are_gone, source, stopping, certificate)


def few_descriptors() -> str | None:
    """Return a warning for the operator if the limit of descriptors leaves few connections."""
    left = room()
    if left == MAX_CONNECTIONS:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        f"The limit of open descriptors is {soft} (ulimit -n), which leaves {left} connections at "
        f"a time to this worker instead of {MAX_CONNECTIONS}. Raise it to "
        f"{MAX_CONNECTIONS + OTHER_DESCRIPTORS} or more."
    )


def room() -> int:
    """Return how many connections the limit of descriptors leaves room for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(FEWEST_CONNECTIONS, min(MAX_CONNECTIONS, soft - OTHER_DESCRIPTORS))
