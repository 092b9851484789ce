"""A connection that can end early: refused, evicted, or timed out.

A refusal is an answer that the application has not given. It is sent only if nobody can take it for
the answer to another request.
"""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from .lingering import LingeringTransport
from .room import Connections
from .shares import RETRY_LATER
from .upgrades import WithoutUpgrades

if TYPE_CHECKING:
    from uvicorn._types import HTTPScope  # private, so not needed where it runs

PATIENCE = 30.0
"""Seconds a caller may take for the headers of a request (from the connection's start, if they are
the first), for its body, and for taking its answer. 1 MiB in that time is a slow mobile line."""

REFUSED_AT_ONCE = 32
"""Refused connections that stay until their caller has read why. They take descriptors that are
reserved for other things, so any more are closed at once."""

NO_ROOM = "There is no room for this request now. Try again in a few seconds."


class RefusableConnection(WithoutUpgrades):
    """A connection whose requests can be refused at any moment, and that gives way to others."""

    transport: LingeringTransport
    server_state: Connections

    _size = 0
    """Bytes of the request under way."""

    _held = 0
    """Bytes of all requests that are not answered yet."""

    _unread = False
    """Whether a request has begun and not come to its end."""

    _answered = False
    """Whether the request that is unread has its answer."""

    _garbled = False
    """Whether something other than HTTP came while an answer was due."""

    _running: RequestResponseCycle | None = None
    """The request that is being answered; `cycle` is the last one that came."""

    _waits: asyncio.Event | None = None
    """Set when it waits for its turn to log in. Its tasks and timers reference this alone."""

    _proves = False
    """Whether the request that is being answered has proved an account."""

    _awaited: object = None
    _since = 0.0

    def send_400_response(self, msg: str) -> None:
        """Refuse anything but HTTP; what follows is not read.

        1. Requests that came whole before it get their own answers, the last of which ends the
           connection: their senders must not take this refusal for an answer to them.
        2. The same applies to an answer that has begun.
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

    def can_let_go(self) -> bool:
        """Whether no request is being worked on that has come as a whole."""
        return not (self._is_busy() or self.transport.is_closing())

    def let_go(self) -> None:
        """Refuse the request that is coming, since too many bytes of all requests are buffered."""
        self._refuse(503, NO_ROOM, "with long requests, of which too many came")

    def drop_answer(self) -> None:
        """Close the connection, since unread answers take too much memory."""
        self._count("that did not take their answer, of which too many were held")
        self._release()
        self.server_state.unread.release(self)
        self.transport.abort()

    def may_give_way(self) -> bool:
        """Whether no complete request is being answered, or its answer is not read."""
        return not self._is_busy() or self.flow.write_paused

    def waits_for_login(self) -> bool:
        """Whether the request that is being answered waits for a login and has proved nothing."""
        return self._waits is not None and self._waits.is_set() and not self._proves

    def give_way(self) -> None:
        """Close, to make room for others."""
        if self.transport.is_closing() or self.transport.get_write_buffer_size():
            # Otherwise its descriptor would stay open for as long as its caller reads nothing.
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

    def expire(self, now: float) -> None:
        """Close the connection if its caller owes something for too long."""
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

    def _is_busy(self) -> bool:
        running = self._running
        return running is not None and not (running.response_complete or running.more_body)

    def _is_over(self) -> bool:
        """Whether nothing that still comes is looked at."""
        return self._garbled or self.transport.is_closing()

    def _is_gone(self) -> bool:
        return self.transport.is_closing()

    def _in_head(self) -> bool:
        # uvicorn has no scope before the first byte, whatever its types say.
        scope: HTTPScope | None = self.scope
        return scope is None or "method" not in scope

    def _release(self) -> None:
        self._held = 0
        self.server_state.buffered.release(self)

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
