"""The cache daemon asked from plain blocking code: `cachectl` and tests. Starts fast.

Nothing here, nor what it imports, may import asyncio: that alone takes longer than a whole `ping`.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any, Final, Self

from ..errors import CacheUnavailable, OigError, RemoteProtocolError
from . import wire
from .credentials import connected
from .hello import Hello, Welcome
from .verbs import Notice, Reply, Scalar

READ_BYTES: Final = 64 * 1024
"""Bytes asked of the kernel at once; a whole page of sessions takes a few."""

UNASKED: Final = "the daemon answered what was not asked"


class RefusedError(OigError):
    """The daemon answered `error`.

    Attributes:
        code: As in the protocol: `arguments`, `verb`, `version`, `settings`, `overload` or
            `shutdown`.
        reason: What the daemon said.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"The cache daemon refused ({code}): {message}")
        self.code = code
        self.reason = message


class BlockingClient:
    """One connection, one request at a time. A context manager; after any error it is closed.

    Args:
        path: Socket of the daemon.
        timeout: Seconds for connecting, and for each call from its start to its last byte.
    """

    def __init__(self, path: Path, timeout: float = 2.0) -> None:
        self._path = path
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._reader = wire.FrameReader(wire.MAX_REPLY_BYTES)
        self._id = 0

    def __enter__(self) -> Self:
        """Connect.

        Raises:
            CacheUnavailable: Nobody answers at the path, or a process of another user.
        """
        try:
            self._socket = connected(self._path, self._timeout)
        except OSError as exc:
            raise self._unavailable(exc) from exc
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; safe to repeat."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def call(self, verb: str, *args: Scalar) -> tuple[Any, ...]:
        """Ask, and return the fields of the daemon's `ok`.

        Raises:
            CacheUnavailable: No connection, it broke, or no answer in time.
            RefusedError: The daemon answered `error`.
            LocalProtocolError: The protocol knows no such verb or arguments.
            RemoteProtocolError: The answer is not the protocol, or no answer to this.
        """
        self._id += 1
        frame = wire.request_frame(self._id, verb, args)
        try:
            reply = self._exchange(frame)
        except BaseException:
            # Half an answer may be left in the connection; it must not become the next one's.
            self.close()
            raise
        if reply.status == "error":
            raise RefusedError(*reply.fields)
        return reply.fields

    def hello(self, name: str) -> Welcome:
        """Ask who the daemon is, as a process that changes no box.

        Args:
            name: Of this process.

        Raises:
            OigError: As `call`; `RefusedError` with `version` by a daemon of another version.
        """
        # To look up the program's version takes longer than the whole exchange.
        welcome = Welcome.read(self.call("hello", *Hello.of(name, os.getpid(), "?", changes=None)))
        if welcome is None:
            self.close()
            raise RemoteProtocolError(UNASKED)
        return welcome

    def _exchange(self, frame: bytes) -> Reply:
        if self._socket is None:
            raise CacheUnavailable(f"The connection to the cache daemon at {self._path} is closed.")
        deadline = time.monotonic() + self._timeout
        reply: Reply | None = None
        try:
            self._socket.settimeout(self._timeout)
            self._socket.sendall(frame)
            while reply is None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError
                self._socket.settimeout(left)
                data = self._socket.recv(READ_BYTES)
                if not data:
                    raise CacheUnavailable(
                        f"The cache daemon at {self._path} closed the connection."
                    )
                for body in self._reader.feed(data):
                    message = wire.read_reply(body)
                    match message:
                        case Notice():
                            pass
                        case Reply(self._id, "ok" | "error") if reply is None:
                            reply = message
                        case _:
                            raise RemoteProtocolError(UNASKED)
        except OSError as exc:
            raise self._unavailable(exc) from exc
        return reply

    def _unavailable(self, exc: OSError) -> CacheUnavailable:
        if isinstance(exc, TimeoutError):
            reason = f"no answer in {self._timeout:g} s"
        else:
            reason = exc.strerror or type(exc).__name__
        return CacheUnavailable(f"No cache daemon at {self._path}: {reason}.")
