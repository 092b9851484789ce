"""The cache daemon asked from a worker: one connection, shared by all its callers.

Every request has an id and every reply quotes it, so a caller who gives up leaves nothing behind
that another could take for its own. A reply that nobody asked for ends the connection: it would be
somebody else's session.
"""

from __future__ import annotations

import asyncio
import math
import os
import socket
from pathlib import Path
from typing import Final, cast

from ..errors import CacheUnavailable, LocalProtocolError, RemoteProtocolError
from ..store import Flushed
from . import wire
from .outcomes import Hit, Lease, Locked, Outcome, Rejected, Unavailable

WAITING_SECONDS: Final = 60.0
"""Longest wait for the answer that follows `waiting`; the daemon promises it within 45 s."""

HUNG_SECONDS: Final = 0.5
"""A daemon that did not answer is left alone for this long; callers fail at once meanwhile."""

ABSENT_SECONDS: Final = 0.1
"""A daemon that could not be reached is not looked for again sooner than this."""

SILENCES: Final = 2
"""After so many unanswered calls in a row the connection itself is given up."""

SUSPICION_SECONDS: Final = 5.0
"""A daemon that did not answer is asked by one caller at a time, but not for longer than this."""

LOST: Final = "the connection was lost"
"""Why calls fail when the daemon closed the connection."""

READ_BYTES: Final = 64 * 1024
"""Room for one read. An own buffer: asyncio's default of 256 KiB is mapped anew for each read."""


class _Call:
    """One request that is not answered yet."""

    __slots__ = ("cancels", "deadline", "future", "verb", "waiting")

    def __init__(
        self, verb: str, future: asyncio.Future[wire.Reply], deadline: float, cancels: int = 0
    ) -> None:
        self.verb = verb
        self.future = future
        self.deadline = deadline
        self.cancels = cancels
        self.waiting = False


class _Connection(asyncio.BufferedProtocol):
    """One connection from its start to its end; never used again after an error.

    Args:
        client: Told of silence, of signs of life and of the end.
    """

    def __init__(self, client: CacheClient, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._loop = loop
        self._reader = wire.FrameReader(wire.MAX_DATA_REPLY_BYTES)
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._calls: dict[int, _Call] = {}
        self._last_id = 0
        self._unsent: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._wake_at = math.inf
        self._silences = 0
        self._heard_at = -math.inf
        self._transport: asyncio.Transport | None = None
        self.why = LOST
        self.heard = False
        self.closed = loop.create_future()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.heard = True
        self._silences = 0
        self._heard_at = self._loop.time()
        self._client.answered()
        try:
            for body in self._reader.feed(self._buffer[:nbytes]):
                message = wire.decode_reply(body)
                if isinstance(message, wire.Reply):
                    self._deliver(message)
                else:
                    self._client.on_notice(message)
        except RemoteProtocolError as exc:
            self.burn(f"it broke the protocol: {exc}")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._transport = None
        self._client.lost(self)
        if self._timer is not None:
            self._timer.cancel()
        calls, self._calls = self._calls, {}
        for call in calls.values():
            if not call.future.done():
                call.future.set_exception(self._client.unavailable(self.why))
        if not self.closed.done():
            self.closed.set_result(None)

    # What the client calls.

    @property
    def usable(self) -> bool:
        return self._transport is not None

    @property
    def full(self) -> bool:
        return len(self._calls) >= wire.MAX_IN_FLIGHT

    def start(
        self, verb: str, args: tuple[wire.Scalar, ...]
    ) -> tuple[int, asyncio.Future[wire.Reply]]:
        """Send a request; the future gets its answer, or `CacheUnavailable`.

        Raises:
            LocalProtocolError: It breaks the protocol; nothing was sent.
        """
        number = self._send(verb, args)
        future: asyncio.Future[wire.Reply] = self._loop.create_future()
        deadline = self._loop.time() + self._client.timeout
        self._calls[number] = _Call(verb, future, deadline)
        if deadline < self._wake_at:
            self._wake(deadline)
        return number, future

    def abandon(self, number: int, future: asyncio.Future[wire.Reply]) -> None:
        """Take note that nobody waits for this call any more; give back what it may have got."""
        call = self._calls.get(number)
        if call is not None:
            acquired = call.verb == "acquire"
        elif future.cancelled() or future.exception() is not None:
            return
        else:
            # Answered, and given up before the caller could run: only a lease must go back.
            acquired = future.result().status == "lease"
        if acquired and self.usable:
            # Nobody waits for the answer: it only says that nothing more comes under that id.
            nobody: asyncio.Future[wire.Reply] = self._loop.create_future()
            nobody.cancel()
            cancel = self._send("cancel", (number,))
            self._calls[cancel] = _Call("cancel", nobody, math.inf, cancels=number)

    def burn(self, why: str) -> None:
        """End the connection at once; every call on it fails."""
        self.why = why
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    # How it works.

    def _send(self, verb: str, args: tuple[wire.Scalar, ...]) -> int:
        number = self._last_id % wire.MAX_ID + 1
        while number in self._calls:
            number = number % wire.MAX_ID + 1
        frame = wire.encode(wire.Request(number, verb, args))
        self._last_id = number
        assert self._transport is not None
        if self._unsent:
            self._unsent.append(frame)
        elif self._calls:
            # Others are under way, so more may follow in this round of the loop: one write for all.
            self._unsent.append(frame)
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(frame)
        return number

    def _flush(self) -> None:
        frames, self._unsent = self._unsent, []
        if self._transport is not None:
            self._transport.write(b"".join(frames))

    def _deliver(self, reply: wire.Reply) -> None:
        call = self._calls.get(reply.id)
        if call is None:
            raise RemoteProtocolError("a reply that nobody asked for")
        if reply.status == "waiting":
            if call.verb != "acquire":
                raise RemoteProtocolError("nothing but acquire waits")
            call.waiting = True
            call.deadline = self._loop.time() + WAITING_SECONDS
            return
        del self._calls[reply.id]
        if call.cancels:
            # Whatever the daemon had to say under that id came before this.
            self._calls.pop(call.cancels, None)
        if not call.future.done():
            call.future.set_result(reply)

    def _wake(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wake_at = at
        self._timer = self._loop.call_at(at, self._expire)

    def _expire(self) -> None:
        now = self._loop.time()
        self._timer = None
        self._wake_at = math.inf
        silent = False
        nearest = math.inf
        for call in self._calls.values():
            if call.deadline > now:
                nearest = min(nearest, call.deadline)
                continue
            # Whoever is kept waiting was heard; and so was who answered others since.
            asked_at = call.deadline - self._client.timeout
            silent = silent or (not call.waiting and self._heard_at < asked_at)
            call.deadline = math.inf
            if not call.future.done():
                call.future.set_exception(self._client.unavailable("no answer in time"))
        if silent:
            self._silences += 1
            self._client.hung()
            if self._silences >= SILENCES:
                self.burn("it does not answer")
        if nearest < math.inf:
            self._wake(nearest)


class CacheClient:
    """A worker's way to the cache daemon. Connects when it is first needed, and again when it must.

    Belongs to the event loop in which it is first used.

    Args:
        path: Socket of the daemon.
        timeout: Seconds for the first reply to a call, be it the answer or `waiting`.
        on_flushed: Called when sessions were flushed at the daemon: with the account's key, or None
            for all. What was said while there was no connection is not repeated: whoever keeps
            copies must compare `generation` too.

    Attributes:
        generation: Number of connections made so far.
    """

    def __init__(
        self, path: Path, *, timeout: float = 1.0, on_flushed: Flushed | None = None
    ) -> None:
        self.path = path
        self.timeout = timeout
        self.generation = 0
        self._on_flushed = on_flushed
        self._connection: _Connection | None = None
        self._connecting: asyncio.Task[_Connection | None] | None = None
        self._not_before = -math.inf
        self._why = ""
        self._suspect = False
        self._probing = False
        self._closed = False

    async def acquire(self, key: bytes, account: bytes, source: str) -> Outcome:
        """Look up `key`; on a miss get the lease, or wait for whoever has it.

        Raises:
            CacheUnavailable: The daemon cannot be reached, went away, or did not answer in time.
            LocalProtocolError: An argument breaks the protocol's limits.
        """
        reply = await self._call("acquire", key, account, source)
        fields = reply.fields
        match reply.status:
            case "hit":
                return Hit(*fields)
            case "lease":
                return Lease(*fields)
            case "rejected":
                return Rejected()
            case "unavailable":
                return Unavailable(*fields)
            case "locked":
                return Locked(*fields)
        raise self._misfit(reply)

    async def fulfil(self, key: bytes, token: bytes, value: bytes, ttl: float) -> bool:
        """Store what the login under the lease gave, for `ttl` seconds; False if it was lost.

        Raises:
            CacheUnavailable: As `acquire`.
            LocalProtocolError: As `acquire`.
        """
        return self._kept(await self._call("fulfil", key, token, value, ttl))

    async def fail(self, key: bytes, token: bytes, reason: str, retry_after: float) -> bool:
        """Say that the login under the lease failed; False if the lease was lost.

        Raises:
            CacheUnavailable: As `acquire`.
            LocalProtocolError: As `acquire`.
        """
        # A portal may ask for any wait; that must not keep the lease from being given back.
        bounded = min(max(retry_after, 0.0), wire.MAX_SECONDS)
        return self._kept(await self._call("fail", key, token, reason, bounded))

    async def forget(self, key: bytes, digest: bytes) -> int:
        """Drop the value of `key` if its SHA-256 is `digest`; the number dropped, 1 or 0.

        Raises:
            CacheUnavailable: As `acquire`.
            LocalProtocolError: As `acquire`.
        """
        match await self._call("forget", key, digest):
            case wire.Reply(status="ok", fields=(int(dropped),)):
                return dropped
            case reply:
                raise self._misfit(reply)

    async def ping(self) -> tuple[str, int]:
        """Return the daemon's version and process id.

        Raises:
            CacheUnavailable: As `acquire`.
        """
        match await self._call("ping"):
            case wire.Reply(status="ok", fields=(str(version), int(pid))):
                return version, pid
            case reply:
                raise self._misfit(reply)

    async def aclose(self) -> None:
        """Close the connection: the daemon passes on the leases it held. Calls fail from now on."""
        self._closed = True
        self._why = "this worker stops"
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        connection = self._connection
        if connection is not None:
            connection.burn("this worker stops")
            await connection.closed

    # What the connection calls.

    def answered(self) -> None:
        """Take note of a sign of life."""
        self._suspect = False

    def hung(self) -> None:
        """Take note that a call was not answered."""
        self._suspect = True
        self._refuse_for(HUNG_SECONDS, "it does not answer")

    def on_notice(self, notice: wire.Notice) -> None:
        """Pass on a notice."""
        if self._on_flushed is not None:
            self._on_flushed(notice.fields[0])

    def lost(self, connection: _Connection) -> None:
        """Take note that a connection has ended."""
        if self._connection is connection:
            self._connection = None
        if connection.why == LOST:
            # Not hung but gone: the next one is another process.
            self._suspect = False
        if not connection.heard:
            # Taken and dropped without a word: too many connections, or about to stop.
            self._refuse_for(ABSENT_SECONDS, connection.why)

    def unavailable(self, why: str) -> CacheUnavailable:
        """Make the error that callers get."""
        return CacheUnavailable(f"The cache daemon at {self.path} is not available: {why}.")

    # How it works.

    async def _call(self, verb: str, *args: wire.Scalar) -> wire.Reply:
        if self._suspect:
            return await self._probe(verb, args)
        return await self._exchange(verb, args)

    async def _probe(self, verb: str, args: tuple[wire.Scalar, ...]) -> wire.Reply:
        """Let one caller at a time find out whether a hung daemon is back; the others fail now."""
        now = asyncio.get_running_loop().time()
        if now > self._not_before + SUSPICION_SECONDS:
            # Long ago: as likely as not it is back, so nobody is turned away unheard.
            self._suspect = False
            return await self._exchange(verb, args)
        if self._probing or now < self._not_before:
            raise self.unavailable(self._why)
        self._probing = True
        try:
            return await self._exchange(verb, args)
        finally:
            self._probing = False

    async def _exchange(self, verb: str, args: tuple[wire.Scalar, ...]) -> wire.Reply:
        connection = self._connection
        if connection is None or not connection.usable:
            connection = await self._connect()
        if connection.full:
            raise self.unavailable("too many calls at once")
        number, future = connection.start(verb, args)
        try:
            reply = await future
        except BaseException:
            connection.abandon(number, future)
            raise
        if reply.status == "error":
            raise self._refused(*reply.fields)
        return reply

    async def _connect(self) -> _Connection:
        if self._closed:
            raise self.unavailable("this worker stops")
        if self._connecting is None:
            loop = asyncio.get_running_loop()
            if loop.time() < self._not_before:
                raise self.unavailable(self._why)
            self._connecting = loop.create_task(self._open(loop))
            self._connecting.add_done_callback(self._opened)
        # One attempt for all who need it: a caller who gives up must not take it from the others.
        task = self._connecting
        await asyncio.wait([task])
        connection = None if task.cancelled() else task.result()
        if connection is None or not connection.usable:
            raise self.unavailable(connection.why if connection else self._why)
        return connection

    async def _open(self, loop: asyncio.AbstractEventLoop) -> _Connection | None:
        connection = _Connection(self, loop)
        endpoint = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            endpoint.setblocking(False)
            # Local, so it succeeds or fails at once. asyncio would take a full backlog (EAGAIN) for
            # a connection under way.
            endpoint.connect(os.fspath(self.path))
            await loop.create_unix_connection(lambda: connection, sock=endpoint)
        except OSError as exc:
            endpoint.close()
            self._refuse_for(ABSENT_SECONDS, exc.strerror or type(exc).__name__)
            return None
        except BaseException:
            endpoint.close()
            raise
        self._connection = connection
        self.generation += 1
        return connection

    def _opened(self, task: asyncio.Task[_Connection | None]) -> None:
        self._connecting = None
        if not task.cancelled():
            task.exception()  # seen, even if every caller has gone by now

    def _refuse_for(self, seconds: float, why: str) -> None:
        self._not_before = max(self._not_before, asyncio.get_running_loop().time() + seconds)
        self._why = why

    def _kept(self, reply: wire.Reply) -> bool:
        if reply.status not in {"ok", "lost"}:
            raise self._misfit(reply)
        return reply.status == "ok"

    def _misfit(self, reply: wire.Reply) -> CacheUnavailable:
        """Give up the connection: the answer belongs to another kind of question."""
        if self._connection is not None:
            self._connection.burn("it broke the protocol: an answer to another question")
        return self.unavailable(f"it answered {reply.status} to something else")

    def _refused(self, code: str, message: str) -> CacheUnavailable | LocalProtocolError:
        if code == "arguments":
            return LocalProtocolError(message)
        return self.unavailable(f"it refused ({code})")
