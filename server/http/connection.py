"""One HTTP connection, with bounds on the resources that an unknown caller can occupy.

The bounds cost a request a few comparisons and no timer: the worker checks all its connections
periodically, and each says whether its caller has kept it waiting for too long.

uvicorn's protocol and request cycle are private. What is used of them is bounded to the tested
minor versions in requirements.txt, and tests/test_connection_end.py fails when they change.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from .guard import answer
from .lingering import LingeringTransport
from .refusable_connection import RefusableConnection
from .shares import RETRY_LATER, UNCOUNTED
from .signals import GONE, KEPT, PROVED, notify_on_wait

if TYPE_CHECKING:
    from starlette.types import Send
    from uvicorn._types import (  # private, so not needed where it runs
        ASGI3Application,
        ASGIReceiveCallable,
        ASGISendCallable,
        ASGISendEvent,
        HTTPScope,
        Scope,
    )

MAX_HEAD_BYTES = 64 * 1024
"""Longest request line with headers. Clients send one or two KiB, browsers with cookies ten."""

MAX_MESSAGE_BYTES = 2 * 1024 * 1024
"""Longest request as it comes over the wire. A body may have 1 MiB (request.py) and is little
longer in chunks; headers that follow a body in chunks end here."""

MAX_HEADERS = 200
"""Header fields of a request; clients send ten, browsers thirty. A short one takes many times its
bytes in memory."""

MAX_IN_LINE = 32
"""Requests that may wait on a connection for the answer to an earlier one. Clients send none before
they have it; a short one takes a hundred times its bytes in memory."""


class TooManyInLine(Exception):
    """More requests have come on a connection than may be in line."""


class Connection(RefusableConnection):
    """A connection that is closed when its caller sends too much, or too little for too long.

    An answer that is given before its request was read to the end is the last on its connection:
    it says so, and the caller can read it whatever they still send (lingering.py).
    """

    _sending = 0
    """Bytes of the part of an answer that was sent last."""

    _source: str | None = None
    """Where it comes from, if its source is not exempt."""

    _ended = False
    """Whether a request came to its end in the bytes that are being read."""

    _work: asyncio.Task[None] | None = None
    """The task that answers it, once that has begun."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless its source has too many."""
        self._kept: dict[type, object] = {}
        # What is not taken counts from there on (pause_writing).
        transport.set_write_buffer_limits(high=UNCOUNTED)
        lingering = LingeringTransport(transport, self.loop, self._leaves_unread)
        super().connection_made(lingering)
        state = self.server_state
        self._source = state.source(self.client[0] if self.client else None)
        if self._source is None or state.of_source.add(self._source):
            state.came(self, self._source, self.loop.time())
        else:
            self._unread = True
            self._turn_away(
                429,
                "Too many connections from your address or network. Try again in a few seconds.",
                "beyond what one source or network may have",
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """Release everything, however the connection ended, and cancel what is being answered.

        What must not stop half-way goes on by itself (detached.py).

        uvicorn cancels the keep-alive timer only when there was no error, and the timer references
        the connection, its last request and all their headers.
        """
        super().connection_lost(exc)
        self._kept.clear()
        self._unset_keepalive_if_required()
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()
            self._cancel(self._running)
        self.transport.released()
        self._release()
        self.server_state.unread.release(self)
        if self._source is not None:
            self.server_state.of_source.remove(self._source)
            self._source = None
        self.server_state.gone(self)
        # A running request references its cycle itself. From here it would be a reference cycle,
        # which waits for the garbage collector, and that seldom runs (worker.py).
        self.pipeline.clear()
        self.cycle = self.scope = self.headers = None  # type: ignore[assignment]
        self._running = self._work = None

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        super().on_message_begin()
        self._unread = True
        scope = cast("dict[str, object]", self.scope)
        scope[PROVED] = self._prove
        scope[GONE] = self._is_gone
        scope[KEPT] = self._kept

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field. Beyond the limit, one more is stored, and the request is refused."""
        if len(self.headers) <= MAX_HEADERS:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin with a request, unless too many are in line already."""
        if len(self.pipeline) < MAX_IN_LINE:
            super().on_headers_complete()
            return
        self._count("with too many requests in line")
        self.app = _too_many_in_line
        super().on_headers_complete()
        # Its body is not read. So it counts as whole, and is answered after those before it.
        self.cycle.more_body = False
        raise TooManyInLine  # at which the parser stops, as at what is no HTTP

    def on_message_complete(self) -> None:
        """Note that a request came to its end."""
        super().on_message_complete()
        self._unread = False
        self._ended = True

    def on_response_complete(self) -> None:
        """Note that a request has its answer."""
        super().on_response_complete()
        if self._proves:
            self._proves = False
            self.server_state.prove(self, self.loop.time())
        if self.transport.is_closing():
            self._release()
        elif not self.pipeline:
            # What has arrived of the next request stays buffered.
            self.server_state.buffered.release(self)
            self._held = self._size

    def pause_writing(self) -> None:
        """Take note of an answer that is not taken; drop the largest if that is too much."""
        super().pause_writing()
        # The whole of it stays in memory until its last byte is taken.
        size = max(self._sending, self.transport.get_write_buffer_size())
        scope = self._running.scope if self._running is not None else None
        largest = self.server_state.unread.note(self, self._source_of(scope), size)
        if largest is not None:
            largest.drop_answer()

    def resume_writing(self) -> None:
        """Take note that the answer is taken."""
        super().resume_writing()
        self.server_state.unread.release(self)

    def data_received(self, data: bytes) -> None:
        """Take what has come, and look at its size."""
        if self._is_over():
            self.transport.drop(len(data))
            return
        super().data_received(data)
        if self._is_over():
            return
        self._size += len(data)
        self._held += len(data)
        if self._size > MAX_HEAD_BYTES:
            self._weigh()
        if self.headers and len(self.headers) > MAX_HEADERS:
            self._refuse(
                431,
                f"The request has more than {MAX_HEADERS} header fields.",
                "with too many headers",
            )
        if self._held > UNCOUNTED and not self.transport.is_closing():
            self._hold()
        if self._ended:
            # What came in one piece with the end of a request is not counted for the next.
            self._ended = False
            self._size = 0

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        self._work = None
        self._waits = waits = asyncio.Event()

        async def serve(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            if self.flow.write_paused:
                await self._taken(cycle)
            if cycle.disconnected:
                return  # its caller has gone before it was begun
            self._work = asyncio.current_task()

            async def answer(event: ASGISendEvent) -> None:
                if event["type"] == "http.response.body":
                    self._sending = len(event.get("body", b""))
                    await send(event)
                    self.transport.uncork()
                else:
                    self._begin_answer(cycle)
                    await send(event)

            try:
                with notify_on_wait(waits.set):
                    await app(scope, receive, answer)
            except asyncio.CancelledError:
                if not cycle.disconnected:
                    raise
            if self._is_gone():
                # The app may have noticed that before us, and have answered nothing.
                cycle.disconnected = True

        super()._start_asgi_task(cycle, serve)

    def _begin_answer(self, cycle: RequestResponseCycle) -> None:
        if cycle.more_body:
            # The caller may wait for "100 Continue" and never send the body, or send for minutes
            # what nobody reads: where a next request begins is not known.
            cycle.keep_alive = False
            self._answered = True
        # ASGI lets the head wait for the first part of the body.
        self.transport.cork()

    async def _taken(self, cycle: RequestResponseCycle) -> None:
        """Wait until the answer to an earlier request is taken: one at a time is buffered."""
        try:
            await self.flow.drain()
        except asyncio.CancelledError:
            # The server stops, and this answer would not be read either.
            cycle.disconnected = True
            self.transport.abort()

    def _cancel(self, cycle: RequestResponseCycle) -> None:
        """End the work on a request whose caller has gone; what has its answer comes to its end."""
        if self._work is not None and not cycle.response_complete:
            self._work.cancel()

    def _leaves_unread(self) -> bool:
        """Whether closing the socket now would take an answer from its caller."""
        return (self._answered and self._unread) or bool(self.pipeline)

    def _weigh(self) -> None:
        in_head = self._in_head() and not self._ended
        if in_head or _length(self.url, self.headers) > MAX_HEAD_BYTES:
            self._refuse(
                431,
                f"Request line and headers have more than {MAX_HEAD_BYTES} bytes.",
                "with too long headers",
            )
        elif self._size > MAX_MESSAGE_BYTES and not self._ended:
            self._refuse(413, "The request is too long.", "with too long a request")

    def _prove(self) -> None:
        self._proves = True

    def _hold(self) -> None:
        """Count what is buffered of its requests; drop a request if that is too much."""
        largest = self.server_state.buffered.note(self, self._source_of(self.scope), self._held)
        if largest is not None:
            largest.let_go()

    def _source_of(self, scope: HTTPScope | None) -> str | None:
        # Behind a proxy the scope has the caller's address as soon as the app has read it.
        client = scope["client"] if scope else self.client
        return self.server_state.source(client[0] if client else None)


async def _too_many_in_line(_: Scope, __: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    message = (
        f"More than {MAX_IN_LINE} requests wait on this connection for the answer to an earlier "
        "one. This and all later ones were not handled. Send fewer at a time."
    )
    await answer(cast("Send", send), 429, message, RETRY_LATER)


def _length(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    # 4: colon, space and line end.
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)
