"""One HTTP connection, with bounds on what a caller nobody knows can make a worker hold.

A request costs a few comparisons more than without them, and no timer: the worker goes over all
its connections now and then and asks each whether its caller owes something for too long.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

if TYPE_CHECKING:
    from uvicorn._types import HTTPScope  # private, so not needed where it runs

MAX_HEAD_BYTES = 64 * 1024
"""Longest request line with headers. Clients send one or two KiB, browsers with cookies ten."""

MAX_MESSAGE_BYTES = 2 * 1024 * 1024
"""Longest request as it comes over the wire. A body may have 1 MiB (endpoint.py) and is little
longer in chunks; headers that follow a body in chunks end here."""

PATIENCE = 30.0
"""Seconds a caller may take for the headers of a request (from the connection's start, if they are
the first), for its body, and for taking its answer. 1 MiB in that time is a slow mobile line."""

LINGER = 2.0
"""Seconds a refused connection stays open, so that its caller reads why: closed under what it still
sends, it would be reset."""

MAX_CONNECTIONS = 2000
"""Connections of one worker. An assistant holds one or two; an idle one costs some 10 KiB."""


class Connections(ServerState):
    """What the connections of a worker share.

    Attributes:
        most: How many there may be at a time.
        refused: Why some were closed, and how many for each reason, since the log last told it.
    """

    def __init__(self, most: int = MAX_CONNECTIONS) -> None:
        super().__init__()
        self.most = most
        self.refused: Counter[str] = Counter()

    def expire(self, now: float) -> None:
        """Close the connections whose callers owe something for too long.

        Args:
            now: Seconds of a clock that only grows.
        """
        for connection in list(self.connections):
            if isinstance(connection, Connection):
                connection.expire(now)


class Connection(HttpToolsProtocol):
    """A connection that is closed when its caller sends too much, or too little for too long."""

    _size = 0
    """Bytes of the request under way."""

    _refused = False
    """Whether all is said; what still comes is dropped."""

    _awaited: object = None
    _since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        if isinstance(self.server_state, Connections):
            most = self.server_state.most
            if len(self.connections) > most:
                self._count(f"beyond the {most} that one worker takes")
                transport.write(
                    self._answer(503, "Too many connections. Try again in a few seconds.")
                )
                transport.close()

    def data_received(self, data: bytes) -> None:
        """Take what has come, and look at its size."""
        if self._refused:
            return
        super().data_received(data)
        self._size += len(data)
        if self._size > MAX_HEAD_BYTES:
            self._weigh()
        cycle = self.cycle
        if cycle and not cycle.more_body and "method" in self.scope:
            self._size = 0

    def _weigh(self) -> None:
        if self._in_head() or _length(self.url, self.headers) > MAX_HEAD_BYTES:
            self._refuse(
                431,
                f"Request line and headers have more than {MAX_HEAD_BYTES} bytes.",
                "with too long headers",
            )
        elif self._size > MAX_MESSAGE_BYTES:
            self._refuse(413, "The request is too long.", "with too long a request")

    def expire(self, now: float) -> None:
        """Close the connection if its caller owes something for too long.

        Args:
            now: Seconds of a clock that only grows.
        """
        awaited = self._what_is_awaited()
        if awaited is not self._awaited:
            self._awaited, self._since = awaited, now
        elif awaited is not None and now - self._since >= PATIENCE:
            if awaited is self.flow:
                self._count("that did not take their answer")
                self.transport.abort()
            elif not (self.cycle or self._size):
                # It has asked nothing and awaits nothing.
                self._count("silent from the start")
                self.transport.close()
            else:
                self._refuse(408, "The request did not come in time.", "with half a request")

    def _in_head(self) -> bool:
        # uvicorn has no scope before the first byte, whatever its types say.
        scope: HTTPScope | None = self.scope
        return scope is None or "method" not in scope

    def _what_is_awaited(self) -> object:
        """Return what the caller owes, as an object that stays the same while it does."""
        cycle = self.cycle
        if self._refused:
            return None
        if self.transport.is_closing() or self.flow.write_paused:
            return self.flow
        if self.timeout_keep_alive_task is not None or self.flow.read_paused:
            return None  # idle, which has its own end, or not asked to send
        if not cycle:
            return self
        if not cycle.response_complete:
            return cycle if cycle.more_body else None
        return self.scope

    def _refuse(self, status: int, why: str, counted: str) -> None:
        """Answer in place of the app if no other answer is due before, and close."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._count(counted)
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        cycle = self.cycle
        due = bool(cycle) and not cycle.response_complete
        begun = due and (bool(self.pipeline) or cycle.response_started)
        if begun or due == self._in_head():
            # Another answer comes first, or has been given: this one would be taken for it.
            self.transport.close()
            return
        if due:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.write(self._answer(status, why))
        self.transport.write_eof()
        self.loop.call_later(LINGER, self.transport.abort)

    def _answer(self, status: int, why: str) -> bytes:
        body = json.dumps({"error": why}).encode()
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
        for name, value in [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]:
            head += b"%b: %b\r\n" % (name, value)
        return head + b"\r\n" + body

    def _count(self, reason: str) -> None:
        if isinstance(self.server_state, Connections):
            self.server_state.refused[reason] += 1


def _length(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    # 4: colon, space and line end.
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)
