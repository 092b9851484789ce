"""One connection to the cache daemon: its bytes in both directions, and its limits."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
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
"""Size of the read buffer. asyncio's of 256 KiB is mapped again for each read."""

FLUSH_FRAMES: Final = 16
"""Replies per write: few system calls, and the client can begin meanwhile."""

CLOSING: Final = ("overload",)
"""First field of an error after which the connection is closed: the client does not read."""

TOTALS: Final = ("connections_total", "refused_total", "kicked_total", "protocol_errors_total")
"""Connections counted since start, under the names of `docs/protocol.md`."""

SAMPLES: Final = 1024
"""Times stored per verb: enough for a 99th percentile, sorted in a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How many connections there may be, and what each may cost.

    Attributes:
        connections: Most at once; further ones are closed unread, unless an idle one makes room.
        idle_seconds: Time without a request after which one may be ended to make room.
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

    __slots__ = ("_latest", "total")

    def __init__(self) -> None:
        self.total = 0
        self._latest: deque[float] = deque(maxlen=SAMPLES)

    def add(self, seconds: float) -> None:
        """Add the time of one request."""
        self._latest.append(seconds)
        self.total += 1

    def summary(self) -> dict[str, object]:
        """Return total, median and 99th percentile (microseconds; None before the first)."""
        ordered = sorted(self._latest)

        def percentile(part: float) -> float | None:
            return ordered[max(math.ceil(part * len(ordered)) - 1, 0)] * 1e6 if ordered else None

        return {"total": self.total, "p50_us": percentile(0.50), "p99_us": percentile(0.99)}


class Handler(Protocol):
    """Carries out requests. The connections add to `latencies`, which are by verb."""

    latencies: Mapping[str, Latency]

    def hit(self, connection: Connection, message: wire.Login) -> bytes | None:
        """Return the frame of a `hit` if there is one at once."""

    def handle(self, connection: Connection, request: Request) -> None:
        """Carry out a request, and reply now or later."""

    def drop(self, connection: Connection) -> None:
        """Forget a connection that has ended."""


class Connection(asyncio.BufferedProtocol):
    """A connection as the event loop sees it, and what the client has sent and waits for.

    `counts` counts how connections end. `room` is where reads go; all connections share it, as a
    read is used up before the next begins.

    Attributes:
        waiting: Unanswered requests by id; None for one that cannot be withdrawn.
        leases: Tokens of leases granted to it and when they end, by the id of the request.
        one_at_a_time: Taken by work for it that goes through many accounts.
        hello: What a worker said of itself; None for `cachectl`, and before the first hello.
        tag: Of the client's secret; None until it has named one.
        secret_differs: Whether that is not the daemon's.
        foreign: Whether it speaks another version of the protocol.
        asked_at: When it last sent a request, by `perf_counter`; when it began, before the first.
        near: The bit that stands for it in `tracking`; 0 if its process keeps no near copies.
        named: Number of the last notice `changed` to it; `acknowledged` is the last it has taken.
        gone: Done when the connection has ended.
    """

    def __init__(
        self, handler: Handler, limits: ConnectionLimits, counts: Counter[str], room: memoryview
    ) -> None:
        self.waiting: dict[int, Waiter | None] = {}
        self.leases: dict[int, tuple[bytes, float]] = {}
        self.one_at_a_time = asyncio.Lock()
        self.hello: Hello | None = None
        self.tag: bytes | None = None
        self.secret_differs = False
        self.foreign = False
        self.near = self.named = self.acknowledged = 0
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
        self.asked_at = perf_counter()
        self._silent: asyncio.TimerHandle | None = None
        self._half_frame: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        # `pause_writing` comes when the kernel does not take a byte, `resume_writing` when it has
        # taken the last.
        self._transport.set_write_buffer_limits(high=0)
        if self._ending:
            self._transport.abort()
        else:
            self._silent = self._loop.call_later(self._limits.silent_seconds, self.kick)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Return where the next read goes."""
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """Answer all requests that the read completed, with one write."""
        if self._ending:
            return
        finished = False
        handler = self._handler
        self._in_batch = True
        begun = perf_counter()
        try:
            for frame in self._reader.feed(self._room[:nbytes]):
                finished = True
                self.asked_at = begun
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
        elif self._silent or self._half_frame or self._reader.midframe:
            self._time_frames(finished)

    def eof_received(self) -> bool:
        """Close: a client that sends nothing more waits for nothing."""
        return False

    def pause_writing(self) -> None:
        """Stop reading from a client that does not read, and begin its `unread_seconds`."""
        assert self._transport is not None
        self._transport.pause_reading()
        self._unread = self._loop.call_later(self._limits.unread_seconds, self.kick)

    def resume_writing(self) -> None:
        """Read on: the client has read everything."""
        _cancel(self._unread)
        self._unread = None
        if self._transport is not None and not self._ending:
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Pass on its leases and places in queues."""
        self._transport = None
        self._ending = True
        _cancel(self._silent, self._half_frame, self._unread)
        self._handler.drop(self)
        if not self.gone.done():
            self.gone.set_result(None)

    # What the handler, the listener and the daemon call.

    @property
    def idle_since(self) -> float:
        """As `asked_at`; infinite while it is not idle."""
        busy = (
            self.waiting
            or any(ends > perf_counter() for _, ends in self.leases.values())
            or self._ending
            or self._transport is None
            or self._half_frame is not None
            or self._unread is not None
        )
        return math.inf if busy else self.asked_at

    def send(self, message: Reply | Notice) -> None:
        """Send a message together with all others of this turn of the loop."""
        if not self._out and not self._in_batch:
            self._loop.call_soon(self.flush)
        self._out.append(wire.encode(message))
        if isinstance(message, Reply) and message.status == "error":
            self._ending = self._ending or message.fields[:1] == CLOSING

    def flush(self) -> None:
        """Send now what has not been sent."""
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
        """End the connection once its replies have been read, or the time for that is over."""
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
        """End the connection now, and count it: the client has exceeded its limits."""
        if self._transport is not None:
            self._counts["kicked_total"] += 1
            self.abort()

    # Requests, and time.

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
            # A new frame has a new time; further bytes of one frame do not.
            _cancel(self._silent, self._half_frame)
            self._silent = self._half_frame = None
        if self._reader.midframe and self._half_frame is None:
            self._half_frame = self._loop.call_later(self._limits.frame_seconds, self.kick)


def _cancel(*timers: asyncio.TimerHandle | None) -> None:
    for timer in timers:
        if timer is not None:
            timer.cancel()
