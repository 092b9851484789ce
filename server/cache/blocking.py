"""Asks the cache daemon from blocking code: `cachectl` and tests. Starts fast.

Nothing here or imported here may import asyncio: that alone takes longer than a whole `ping`.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any, Final, Self

from ..errors import CacheUnavailable, OigError, RemoteProtocolError
from . import wire
from .hello import Hello, Welcome
from .peer_credentials import connected
from .verbs import Notice, Reply, Scalar

READ_BYTES: Final = 64 * 1024
"""Bytes read at once; a full page of sessions takes a few reads."""

UNASKED: Final = "the daemon answered what was not asked"


class RefusedError(OigError):
    """The daemon answered `error`; `code` and `reason` are its fields, as in `docs/protocol.md`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"The cache daemon refused ({code}): {message}")
        self.code = code
        self.reason = message


class BlockingClient:
    """One connection, one request at a time. A context manager; after any error it is closed.

    `timeout` is in seconds, for connecting, and for each call from its start to its last byte.
    """

    def __init__(self, path: Path, timeout: float = 2.0) -> None:
        self._path = path
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._reader = wire.FrameReader(wire.MAX_REPLY_BYTES)
        self._id = 0

    def __enter__(self) -> Self:
        """Connect; raises `CacheUnavailable` if nothing, or another user's process, listens."""
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
            CacheUnavailable: There is no connection, it broke, or no answer came in time.
            RefusedError: The daemon answered `error`.
            LocalProtocolError: The protocol has no such verb or arguments.
            RemoteProtocolError: The answer breaks the protocol, or answers something else.
        """
        self._id += 1
        frame = wire.request_frame(self._id, verb, args)
        try:
            reply = self._exchange(frame)
        except BaseException:
            # Half an answer may be left unread; the next call must not get it.
            self.close()
            raise
        if reply.status == "error":
            raise RefusedError(*reply.fields)
        return reply.fields

    def hello(self, name: str) -> Welcome:
        """Ask who the daemon is; as `call`, refused with `version` by one of another version."""
        # Looking up the program's version would take longer than the whole exchange.
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
