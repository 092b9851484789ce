"""One simulated portal on a socket of this machine."""

from __future__ import annotations

import errno
import socket

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.errors import ConfigurationError

from .replies import DROP

HOST = "127.0.0.1"
"""The only address: it has a published account and lets anybody set faults."""

BACKLOG = 1024
"""Connections waiting to be accepted: benchmarks begin with hundreds at once."""

GRACE = 1
"""Whole seconds, the least uvicorn takes, for answers under way when the process is stopped."""


class DroppableProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 connection, with a way for the application to reset it."""

    def connection_made(self, transport: object) -> None:
        """Offer `transport.abort` to the application as an ASGI extension."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self.app = _with_drop(self.app, self.transport.abort)


def _with_drop(app: ASGIApp, drop: object) -> ASGIApp:
    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("extensions", {})[DROP] = drop
        await app(scope, receive, send)

    return wrapped


def bind(port: int) -> socket.socket:
    """Listen on this port of the loopback address; 0 takes a free one.

    Raises:
        ConfigurationError: The port is taken or forbidden.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(BACKLOG)
    except OSError as exc:
        listener.close()
        taken = exc.errno == errno.EADDRINUSE
        why = "is in use by another process" if taken else f"cannot be used ({exc.strerror})"
        raise ConfigurationError(
            f"Port {port} {why}. Stop what uses it, or set OIG_SIMULATOR_PORT to another."
        ) from None
    return listener


def serve(app: ASGIApp, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    uvicorn.Server(
        uvicorn.Config(
            app,
            http=DroppableProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=GRACE,
        )
    ).run(sockets=[listener])
