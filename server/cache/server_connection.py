"""One connection to the cache daemon: bytes in, bytes out, and what bounds both."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter
from typing import Final, cast

from ..errors import RemoteProtocolError
from ..state.waiters import Waiter
from . import wire
from .hello import Hello
from .service import Service
from .verbs import Notice, Reply, Request

READ_BYTES: Final = 64 * 1024
"""Room for one read. asyncio's default of 256 KiB is mapped anew by the C library each time."""

FLUSH_FRAMES: Final = 16
"""Replies sent with one write: few system calls, and the peer has something to do meanwhile."""

CLOSING: Final = ("overload",)
"""Begins the fields of an error after which the connection is closed: the peer does not listen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLimits:
    """What one connection may cost.

    Attributes:
        silent_seconds: Time for the first request: whoever connects has something to ask.
        frame_seconds: Time for the rest of a frame once it has begun: half a frame holds a buffer.
        unread_seconds: Time for reading replies that do not fit the kernel's buffer.
        unread_bytes: Most bytes of replies kept for it: a slow reader must not cost memory, but
            hundreds of callers of one worker may get one and the same long answer at once.
    """

    silent_seconds: float = 10.0
    frame_seconds: float = 5.0
    unread_seconds: float = 5.0
    unread_bytes: int = 32 * 1024 * 1024


@dataclass(slots=True)
class Counts:
    """What connections came to, since start."""

    accepted: int = 0
    refused: int = 0
    kicked: int = 0
    protocol_errors: int = 0


class Connection(asyncio.BufferedProtocol):
    """A peer, as the event loop sees it.

    Args:
        service: Carries out what is asked.
        limits: What this connection may cost.
        counts: Where its end is counted.
        room: Where reads go. Shared by all connections: a read is used up before the next begins.

    Attributes:
        gone: Done when the connection is.
    """

    def __init__(
        self,
        service: Service,
        limits: PeerLimits,
        counts: Counts,
        room: memoryview,
    ) -> None:
        self.waiting: dict[int, Waiter | None] = {}
        self.leases: dict[int, bytes] = {}
        self.hello: Hello | None = None
        self.tag: bytes | None = None
        self.differs = False
        self.foreign = False
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._service = service
        self._limits = limits
        self._counts = counts
        self._room = room
        self._reader = wire.FrameReader(wire.MAX_REQUEST_BYTES)
        self._loop = asyncio.get_running_loop()
        self._out: list[bytes] = []
        self._in_batch = False
        self._asks = service.times["ask"]
        self._ending = False
        self._transport: asyncio.Transport | None = None
        self._heard_at = perf_counter()
        self._silent: asyncio.TimerHandle | None = None
        self._half_frame: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        # Told of any byte that the kernel does not take, and of the last one taken.
        self._transport.set_write_buffer_limits(high=0)
        if self._ending:
            self._transport.abort()
        else:
            self._silent = self._loop.call_later(self._limits.silent_seconds, self.kick)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Say where the next read goes."""
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """Answer whatever requests the read completed, with one write."""
        if self._ending:
            return
        finished = False
        service = self._service
        self._in_batch = True
        begun = perf_counter()
        try:
            for frame in self._reader.feed(self._room[:nbytes]):
                finished = True
                self._heard_at = begun
                request = wire.read_request(frame)
                reply = None if isinstance(request, Request) else service.hit(self, request)
                if reply is not None:
                    self._out.append(reply)
                    ended = perf_counter()
                    self._asks.add(ended - begun)
                    begun = ended
                elif self._handle(request, begun):
                    begun = perf_counter()
                else:
                    break
                if len(self._out) >= FLUSH_FRAMES:
                    self.flush()
        except RemoteProtocolError:
            self._counts.protocol_errors += 1
            self._ending = True
        finally:
            self._in_batch = False
        self.flush()
        if self._ending:
            self.close()
        else:
            self._time_frames(finished)

    def eof_received(self) -> bool:
        """Close: who says nothing more waits for nothing either."""
        return False

    def pause_writing(self) -> None:
        """Stop reading from a peer that does not read, and give it a time."""
        assert self._transport is not None
        self._transport.pause_reading()
        self._unread = self._loop.call_later(self._limits.unread_seconds, self.kick)

    def resume_writing(self) -> None:
        """Go on: everything has been read."""
        _cancel(self._unread)
        self._unread = None
        if self._transport is not None and not self._ending:
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Pass on what the peer held."""
        self._transport = None
        self._ending = True
        _cancel(self._silent)
        _cancel(self._half_frame)
        _cancel(self._unread)
        self._service.drop(self)
        if not self.gone.done():
            self.gone.set_result(None)

    # What the service and the daemon call.

    @property
    def idle_since(self) -> float | None:
        """When it last asked, by `perf_counter`; None while it has, sends or reads something."""
        busy = (
            self.waiting
            or self.leases
            or self._ending
            or self._transport is None
            or self._half_frame is not None
            or self._unread is not None
        )
        return None if busy else self._heard_at

    def send(self, message: Reply | Notice) -> None:
        """Send together with whatever else this round of the loop brings."""
        if not self._out and not self._in_batch:
            self._loop.call_soon(self.flush)
        self._out.append(wire.encode(message))
        if isinstance(message, Reply) and message.status == "error":
            self._ending = self._ending or message.fields[:1] == CLOSING

    def flush(self) -> None:
        """Send now what was not sent yet."""
        if not self._out:
            return
        frames = self._out
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        frames.clear()
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        if self._unread is not None:
            unread = self._transport.get_write_buffer_size()
            if unread > self._limits.unread_bytes:
                self.kick()

    def close(self) -> None:
        """End the connection once what was sent has been read, or its time for that is over."""
        self._ending = True
        _cancel(self._silent)
        _cancel(self._half_frame)
        self.flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection now."""
        self._ending = True
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()

    def kick(self) -> None:
        """End the connection now, and count it: the peer has overdrawn what it may cost."""
        if self._transport is not None:
            self._counts.kicked += 1
            self.abort()

    # How it works.

    def _handle(self, asked: Request | wire.Login, begun: float) -> bool:
        """Carry out one request; return whether there may be another."""
        request = asked if isinstance(asked, Request) else Request(asked[1], "ask", asked[3:])
        self._service.handle(self, request)
        times = self._service.times.get(request.verb)
        if times is not None:
            times.add(perf_counter() - begun)
        return not self._ending

    def _time_frames(self, finished: bool) -> None:
        if finished and self._silent is not None:
            self._silent.cancel()
            self._silent = None
        if not self._reader.midframe:
            if self._half_frame is not None:
                self._half_frame.cancel()
                self._half_frame = None
        elif finished or self._half_frame is None:
            # A new frame has a new time; the bytes of one and the same do not.
            _cancel(self._half_frame)
            self._half_frame = self._loop.call_later(self._limits.frame_seconds, self.kick)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
