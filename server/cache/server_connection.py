"""One connection to the cache daemon: bytes in, bytes out, and what bounds both."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Protocol, cast

from ..errors import RemoteProtocolError
from ..state.waiters import Waiter
from . import wire
from .hello import Hello
from .verbs import Notice, Reply, Request

READ_BYTES: Final = 64 * 1024
"""Room for one read. asyncio's default of 256 KiB is mapped anew by the C library each time."""

FLUSH_FRAMES: Final = 16
"""Replies sent with one write: few system calls, and the client has something to do meanwhile."""

CLOSING: Final = ("overload",)
"""Begins the fields of an error after which the connection is closed: the client does not read."""

TOTALS: Final = ("connections_total", "refused_total", "kicked_total", "protocol_errors_total")
"""Connections counted since start, by the names of `docs/protocol.md`."""

SAMPLES: Final = 1024
"""Times remembered of each verb: enough for a 99th percentile, sorted in a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How many connections there may be, and what each may cost.

    Attributes:
        connections: Most at once; what is more is closed unread, unless an idle one gives way.
        idle_seconds: How long one must have asked nothing to give way.
        silent_seconds: Time for the first request: a client connects to ask something.
        frame_seconds: Time for a frame to end once it has begun: half a frame takes a buffer.
        unread_seconds: Time for reading replies that do not fit the kernel's buffer.
        unread_bytes: Most bytes of unread replies: a slow reader must not cost memory, but hundreds
            of callers of one worker may get one and the same long answer at once.
    """

    connections: int = 256
    idle_seconds: float = 5.0
    silent_seconds: float = 10.0
    frame_seconds: float = 5.0
    unread_seconds: float = 5.0
    unread_bytes: int = 32 * 1024 * 1024


class Latency:
    """How long the latest requests of one verb took."""

    __slots__ = ("_ring", "total")

    def __init__(self) -> None:
        self.total = 0
        self._ring = array("d", bytes(8 * SAMPLES))

    def add(self, seconds: float) -> None:
        """Take note of one request."""
        self._ring[self.total % SAMPLES] = seconds
        self.total += 1

    def summary(self) -> dict[str, object]:
        """Return total, median and 99th percentile (microseconds; None before the first)."""
        ordered = sorted(self._ring[: min(self.total, SAMPLES)])

        def percentile(part: float) -> float | None:
            return ordered[max(math.ceil(part * len(ordered)) - 1, 0)] * 1e6 if ordered else None

        return {"total": self.total, "p50_us": percentile(0.50), "p99_us": percentile(0.99)}


class Handler(Protocol):
    """Carries out what is asked over connections.

    Attributes:
        latencies: By verb; the connections add to them.
    """

    latencies: Mapping[str, Latency]

    def hit(self, connection: Connection, message: wire.Login) -> bytes | None:
        """Return the frame of a `hit` if there is one at once."""

    def handle(self, connection: Connection, request: Request) -> None:
        """Carry out a request, and send the reply now or later."""

    def drop(self, connection: Connection) -> None:
        """Forget a connection that has ended."""


class Connection(asyncio.BufferedProtocol):
    """A connection for the event loop, and what the process behind it has said and waits for.

    Args:
        handler: Carries out what is asked.
        limits: What this connection may cost.
        counts: Where its end is counted.
        room: Where reads go. Shared by all connections: a read is used up before the next begins.

    Attributes:
        waiting: Requests without an answer by id; None of those that cannot be withdrawn.
        leases: Tokens of leases granted to it, by the id of the request.
        hello: What a worker said of itself; None of `cachectl`, and before the first hello.
        tag: Of the secret that it works with; None as long as it has named none.
        secret_differs: Whether that is another than the daemon's.
        foreign: Whether it speaks another version of the protocol.
        gone: Done when the connection has ended.
    """

    def __init__(
        self, handler: Handler, limits: ConnectionLimits, counts: Counter[str], room: memoryview
    ) -> None:
        self.waiting: dict[int, Waiter | None] = {}
        self.leases: dict[int, bytes] = {}
        self.hello: Hello | None = None
        self.tag: bytes | None = None
        self.secret_differs = False
        self.foreign = False
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._handler = handler
        self._limits = limits
        self._counts = counts
        self._room = room
        self._reader = wire.FrameReader(wire.MAX_REQUEST_BYTES)
        self._out: list[bytes] = []
        self._in_batch = False
        self._asks = handler.latencies["ask"]
        self._ending = False
        self._transport: asyncio.Transport | None = None
        self._asked_at = perf_counter()
        self._silent: asyncio.TimerHandle | None = None
        self._half_frame: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        # `pause_writing` comes with any byte that the kernel does not take, `resume_writing` with
        # the last of them taken.
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
        handler = self._handler
        self._in_batch = True
        begun = perf_counter()
        try:
            for frame in self._reader.feed(self._room[:nbytes]):
                finished = True
                self._asked_at = begun
                request = wire.read_request(frame)
                reply = None if isinstance(request, Request) else handler.hit(self, request)
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
            self._counts["protocol_errors_total"] += 1
            self._ending = True
        finally:
            self._in_batch = False
        self.flush()
        if self._ending:
            self.close()
        else:
            self._time_frames(finished)

    def eof_received(self) -> bool:
        """Close: a client that sends nothing more waits for nothing either."""
        return False

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read, and give it a time."""
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
        """Have its leases and places in queues passed on."""
        self._transport = None
        self._ending = True
        _cancel(self._silent, self._half_frame, self._unread)
        self._handler.drop(self)
        if not self.gone.done():
            self.gone.set_result(None)

    # What the handler, the listener and the daemon call.

    @property
    def idle_since(self) -> float:
        """When it last asked, by `perf_counter`; infinite while it has, sends or reads anything."""
        busy = (
            self.waiting
            or self.leases
            or self._ending
            or self._transport is None
            or self._half_frame is not None
            or self._unread is not None
        )
        return math.inf if busy else self._asked_at

    def send(self, message: Reply | Notice) -> None:
        """Send together with whatever else is sent in this round of the loop."""
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
        _cancel(self._silent, self._half_frame)
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
        """End the connection now, and count it: the client has used more than its limits."""
        if self._transport is not None:
            self._counts["kicked_total"] += 1
            self.abort()

    # How it works.

    def _handle(self, asked: Request | wire.Login, begun: float) -> bool:
        """Carry out one request; return whether there may be another."""
        request = asked if isinstance(asked, Request) else Request(asked[1], "ask", asked[3:])
        self._handler.handle(self, request)
        latency = self._handler.latencies.get(request.verb)
        if latency is not None:
            latency.add(perf_counter() - begun)
        return not self._ending

    def _time_frames(self, finished: bool) -> None:
        if finished and (self._silent is not None or self._half_frame is not None):
            # A new frame has a new time; the bytes of one and the same do not.
            _cancel(self._silent, self._half_frame)
            self._silent = self._half_frame = None
        if self._reader.midframe and self._half_frame is None:
            self._half_frame = self._loop.call_later(self._limits.frame_seconds, self.kick)


def _cancel(*timers: asyncio.TimerHandle | None) -> None:
    for timer in timers:
        if timer is not None:
            timer.cancel()
