"""One HTTP connection, with bounds on what a caller nobody knows can make a worker hold.

A request costs a few comparisons more than without them, and no timer: the worker goes over all
its connections now and then and asks each whether its caller owes something for too long.

uvicorn's protocol and request cycle are private. What is used of them is bounded to the tested
minor versions in requirements.txt, and tests/test_connection_end.py fails when they change.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from . import departure, proof
from .guard import answer
from .lingering import LingeringTransport
from .login_wait import told_of_wait
from .room import Connections
from .shares import RETRY_LATER, UNCOUNTED
from .upgrades import WithoutUpgrades

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
"""Longest request as it comes over the wire. A body may have 1 MiB (body.py) and is little longer
in chunks; headers that follow a body in chunks end here."""

PATIENCE = 30.0
"""Seconds a caller may take for the headers of a request (from the connection's start, if they are
the first), for its body, and for taking its answer. 1 MiB in that time is a slow mobile line."""

MAX_HEADERS = 200
"""Header fields of a request; clients send ten, browsers thirty. A short one takes many times its
bytes in memory."""

MAX_IN_LINE = 32
"""Requests that may wait on a connection for the answer to an earlier one. Clients send none before
they have it; a short one takes a hundred times its bytes in memory."""

REFUSED_AT_ONCE = 32
"""Refused connections that stay until their caller has read why. They take descriptors that are
kept for other things, so any more are closed at once."""

NO_ROOM = "There is no room for this request now. Try again in a few seconds."


class TooManyInLine(Exception):
    """More requests have come on a connection than may be in line."""


class Connection(WithoutUpgrades):
    """A connection that is closed when its caller sends too much, or too little for too long.

    An answer that is given before its request was read to the end is the last on its connection:
    it says so, and the caller can read it whatever they still send (lingering.py).
    """

    transport: LingeringTransport
    server_state: Connections

    _size = 0
    """Bytes of the request under way."""

    _held = 0
    """Bytes of all requests that are not answered yet."""

    _sending = 0
    """Bytes of the part of an answer that was sent last."""

    _source: str | None = None
    """Where it comes from, if its source is not exempt."""

    _unread = False
    """Whether a request has begun and not come to its end."""

    _ended = False
    """Whether a request came to its end in the bytes that are being read."""

    _answered = False
    """Whether the request that is unread has its answer."""

    _garbled = False
    """Whether something came that is no HTTP, while an answer was due."""

    _running: RequestResponseCycle | None = None
    """The request that is being answered; `cycle` is the last one that came."""

    _work: asyncio.Task[None] | None = None
    """The task that answers it, once that has begun."""

    _waits: asyncio.Event | None = None
    """Set when it waits for its turn to log in. Its tasks and timers hold this, and not us."""

    _proves = False
    """Whether the request that is being answered has proved an account."""

    _awaited: object = None
    _since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless its source has too many."""
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

        uvicorn cancels the keep-alive timer only when there was no error, and the timer holds the
        connection, its last request and all their headers.
        """
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()
            self._cancel(self._running)
        self.transport.released()
        self._release()
        self.server_state.untaken.release(self)
        if self._source is not None:
            self.server_state.of_source.remove(self._source)
            self._source = None
        self.server_state.gone(self)
        # A running request holds its cycle itself. Here they would be held in a circle until the
        # garbage collector looks for it, which it seldom does (worker.py).
        self.pipeline.clear()
        self.cycle = self.scope = self.headers = None  # type: ignore[assignment]
        self._running = self._work = None

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        super().on_message_begin()
        self._unread = True
        scope = cast("dict[str, object]", self.scope)
        scope[proof.KEY] = self._prove
        scope[departure.KEY] = self._is_gone

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field. Of too many only one more is kept: the request is refused."""
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
            # What has come of a next request is still held.
            self.server_state.held.release(self)
            self._held = self._size

    def pause_writing(self) -> None:
        """Take note of an answer that is not taken; drop the largest if that is too much."""
        super().pause_writing()
        # The whole of it stays in memory until its last byte is taken.
        size = max(self._sending, self.transport.get_write_buffer_size())
        scope = self._running.scope if self._running is not None else None
        largest = self.server_state.untaken.hold(self, self._source_of(scope), size)
        if largest is not None:
            largest.drop_answer()

    def resume_writing(self) -> None:
        """Take note that the answer is taken."""
        super().resume_writing()
        self.server_state.untaken.release(self)

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

    def _is_over(self) -> bool:
        """Whether nothing that still comes is looked at."""
        return self._garbled or self.transport.is_closing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP; whatever else comes is not read.

        1. Requests that came whole before it get their own answers, the last of which ends the
           connection: their senders must not take this refusal for an answer to them.
        2. The same holds for an answer that has begun.
        3. Otherwise the refusal is the answer to what was garbled.
        """
        self._unread = self._answered = True
        if self.pipeline and self.pipeline[0][0].more_body:
            self.pipeline.popleft()
        last = self.pipeline[0][0] if self.pipeline else self._running
        if last is None or last.response_complete:
            super().send_400_response(msg)
        elif last.more_body and not last.response_started:
            last.disconnected = True
            last.message_event.set()
            super().send_400_response(msg)
        else:
            last.keep_alive = False
            self._garbled = True

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
                if event["type"] == "http.response.start" and cycle.more_body:
                    # The caller may wait for "100 Continue" and never send the body, or send for
                    # minutes what nobody reads: no further request can be told from the rest.
                    cycle.keep_alive = False
                    self._answered = True
                elif event["type"] == "http.response.body":
                    self._sending = len(event.get("body", b""))
                await send(event)

            try:
                with told_of_wait(waits.set):
                    await app(scope, receive, answer)
            except asyncio.CancelledError:
                if not cycle.disconnected:
                    raise
            if self._is_gone():
                # The app may have seen that before we were told, and have answered nothing.
                cycle.disconnected = True

        super()._start_asgi_task(cycle, serve)

    async def _taken(self, cycle: RequestResponseCycle) -> None:
        """Wait until the answer to an earlier request is taken: one at a time is held."""
        try:
            await self.flow.drain()
        except asyncio.CancelledError:
            # The server stops, and nobody would take this answer either.
            cycle.disconnected = True
            self.transport.abort()

    def _cancel(self, cycle: RequestResponseCycle) -> None:
        """End the work on a request whose caller has gone; what has its answer comes to its end."""
        if self._work is not None and not cycle.response_complete:
            self._work.cancel()

    def _is_gone(self) -> bool:
        return self.transport.is_closing()

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

    def can_let_go(self) -> bool:
        """Whether no request is being worked on that has come as a whole."""
        return not (self._is_busy() or self.transport.is_closing())

    def let_go(self) -> None:
        """Refuse the request that is coming, since too much is held of all requests."""
        self._refuse(503, NO_ROOM, "with long requests, of which too many came")

    def drop_answer(self) -> None:
        """Close the connection, since too much is held of answers that nobody takes."""
        self._count("that did not take their answer, of which too many were held")
        self._release()
        self.server_state.untaken.release(self)
        self.transport.abort()

    def may_give_way(self) -> bool:
        """Whether no request that has come as a whole is being answered, or nobody takes it."""
        return not self._is_busy() or self.flow.write_paused

    def waits_for_login(self) -> bool:
        """Whether the request that is being answered waits for a login and has proved nothing."""
        return self._waits is not None and self._waits.is_set() and not self._proves

    def give_way(self) -> None:
        """End, in favour of others for whom there is no room."""
        if self.transport.is_closing() or self.transport.get_write_buffer_size():
            # Otherwise it would keep its descriptor for as long as its caller takes nothing.
            self._count("with an answer that was not taken, for others")
            self._release()
            self.transport.abort()
        elif self._is_busy():
            reason = "that waited for a login, for others"
            if self.pipeline:
                # One answer would be taken for that to another request.
                self._count(reason)
                self._release()
                self.transport.abort()
            else:
                self._refuse(503, NO_ROOM, reason)
        elif self._unread:
            self._turn_away(503, NO_ROOM, "with half a request, for others")
        else:
            self._count("idle, for others")
            self._release()
            self.transport.close()

    def leave(self) -> None:
        """End with the answers to the requests that have come."""
        self._count("with their answer, for others")
        self._answered = True
        self.cycle.keep_alive = False

    def _prove(self) -> None:
        self._proves = True

    def _is_busy(self) -> bool:
        running = self._running
        return running is not None and not (running.response_complete or running.more_body)

    def _hold(self) -> None:
        """Take note of what is held of its requests; let go of a request if that is too much."""
        largest = self.server_state.held.hold(self, self._source_of(self.scope), self._held)
        if largest is not None:
            largest.let_go()

    def _source_of(self, scope: HTTPScope | None) -> str | None:
        # Behind a proxy the caller's address stands in the scope as soon as the app has read it.
        client = scope["client"] if scope else self.client
        return self.server_state.source(client[0] if client else None)

    def _release(self) -> None:
        self._held = 0
        self.server_state.held.release(self)

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
        if self.transport.lingers:
            return None  # which has its own end
        if self.transport.is_closing() or self.flow.write_paused:
            return self.flow
        if self.timeout_keep_alive_task is not None or self.flow.read_paused:
            return None  # idle, which has its own end, or not asked to send
        if not cycle:
            return self
        if not cycle.response_complete:
            return cycle if cycle.more_body else None
        return self.scope

    def _turn_away(self, status: int, why: str, counted: str) -> None:
        """Refuse for want of room; the caller has some seconds to read why if few others have."""
        refusing = self.server_state.refusing
        self._unread = len(refusing) < REFUSED_AT_ONCE
        refusing.add(self)
        self._refuse(status, why, counted)

    def _refuse(self, status: int, why: str, counted: str) -> None:
        """Answer in place of the app if no other answer is due before, and close."""
        if self.transport.is_closing():
            return
        self._count(counted)
        self._release()
        self._unset_keepalive_if_required()
        self._answered = True
        cycle = self.cycle
        due = bool(cycle) and not cycle.response_complete
        begun = due and (bool(self.pipeline) or cycle.response_started)
        # Another answer may come first, or have begun: this one would be taken for it.
        if not begun and due != self._in_head():
            self.transport.write(self._answer(status, why))
        if due:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()

    def _answer(self, status: int, why: str) -> bytes:
        body = json.dumps({"error": why}).encode()
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
        wait = RETRY_LATER if status in {429, 503} else []
        for name, value in [
            *self.server_state.default_headers,
            *wait,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]:
            head += b"%b: %b\r\n" % (name, value)
        return head + b"\r\n" + body

    def _count(self, reason: str) -> None:
        self.server_state.refused[reason] += 1


async def _too_many_in_line(_: Scope, __: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    message = (
        f"More than {MAX_IN_LINE} requests wait on this connection for the answer to an earlier "
        "one. This and all later ones were not handled. Send fewer at a time."
    )
    await answer(cast("Send", send), 429, message, RETRY_LATER)


def _length(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    # 4: colon, space and line end.
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)
