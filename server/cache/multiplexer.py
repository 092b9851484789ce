"""One connection to the cache daemon, shared by all callers of a worker.

Every reply quotes the id of its request, so a caller that gives up leaves no reply behind that
another could take for its own. A reply to no request ends the connection: it would be the session
of another caller.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final, cast

from ..errors import CacheBusy, RemoteProtocolError
from ..state.remote import Waits
from ..state.vocabulary import Hit
from . import wire
from .back_off import BackOff
from .pending_call import Answer, PendingCall
from .verbs import MAX_ID, WAITING, Notice, Reply, Scalar

WAITING_SECONDS: Final = 60.0
"""Longest wait for the answer after `waiting`; the daemon promises it within 45 s."""

QUIET_SECONDS: Final = 2.0
"""While all callers wait, a daemon that says nothing for so long is asked for a sign of life, since
nobody else would notice that it hangs."""

SILENCES: Final = 2
"""Unanswered calls in a row after which the connection is ended."""

TICK_SECONDS: Final = 0.002
"""By how much two readings of the loop's clock may differ."""

LOST: Final = "the connection was lost"
"""Why calls fail when the daemon ended the connection."""

READ_BYTES: Final = 64 * 1024
"""Size of the read buffer. An own one: asyncio's of 256 KiB is mapped again for each read."""

FLUSH_FRAMES: Final = 16
"""Requests per write: few system calls, and the daemon can begin meanwhile."""


class Channel(asyncio.BufferedProtocol):
    """One connection from start to end; never used again after an error.

    `back_off` learns of signs of life, of silence and of the end; `noticed` is called with the
    daemon's notices. `timeout` is in seconds, for the first reply to a request. Requests can be
    sent while it is `usable`; `why` says why it ended, and `closed` is done when it has.

    Attributes:
        renewed_at: When the latest request was sent that has been answered, by `now`. Not by the
            loop's clock, which may stand still for as long as a callback takes.
    """

    def __init__(
        self,
        back_off: BackOff,
        timeout: float,
        noticed: Callable[[Notice], None],
        loop: asyncio.AbstractEventLoop,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.usable = False
        self.renewed_at = -math.inf
        self.why = LOST
        self.closed: asyncio.Future[None] = loop.create_future()
        self.timeout = timeout
        self._back_off = back_off
        self._noticed = noticed
        self._loop = loop
        self._now = now
        self._transport: asyncio.Transport | None = None
        self._reader = wire.FrameReader(wire.MAX_DATA_REPLY_BYTES)
        self._room = memoryview(bytearray(READ_BYTES))
        self._calls: dict[int, PendingCall] = {}
        self._last_id = 0
        self._unsent: list[bytes] = []
        # Whether the last delayed write joined several requests.
        self._joined = False
        self._timer: asyncio.TimerHandle | None = None
        self._wake_at = math.inf
        self._silences = 0
        # When the daemon was last heard, or found silent.
        self._quiet_since = -math.inf
        self._spoken = False

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's transports are of no class of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        # uvloop then writes at once; otherwise it would at the end of this turn of the loop.
        self._transport.set_write_buffer_limits(high=0)
        self.usable = True

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Return where the next read goes."""
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """Hand out the answers."""
        self._spoken = True
        self._silences = 0
        # A little back: some loops' clocks tick in milliseconds, and requests sent within the
        # same one are not answered yet.
        self._quiet_since = self._loop.time() - TICK_SECONDS
        if self._back_off.suspect:
            self._back_off.heard()
        calls = self._calls
        try:
            for frame in self._reader.feed(self._room[:nbytes]):
                message = wire.read_reply(frame)
                if not isinstance(message, tuple):
                    self._take(message)
                    continue
                _, number, _, value, left, idle, spelling = message
                call = calls.get(number)
                if call is None or call.verb != "ask":
                    raise _unasked()
                del calls[number]
                self.renewed_at = max(self.renewed_at, call.sent_at)
                if not call.answer.done():
                    call.answer.set_result(Hit(value, left, idle, spelling))
        except RemoteProtocolError as exc:
            self.burn(f"it broke the protocol: {exc}")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Fail all calls: there will be no answer."""
        self.usable = False
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        if self.why == LOST:
            self._back_off.heard()  # not hung but gone
        if not self._spoken:
            # Accepted and closed without a word: too many connections, or a daemon that stops.
            self._back_off.absent(self._loop.time(), self.why)
        for call in self._calls.values():
            if not call.answer.done():
                call.answer.set_exception(self._back_off.unavailable(self.why))
        self._calls.clear()
        if not self.closed.done():
            self.closed.set_result(None)

    # What the client calls.

    async def exchange(
        self, verb: str, args: tuple[Scalar, ...], waits: Waits | None = None
    ) -> Reply | Hit:
        """Send a request and return its answer; if cancelled, give back a lease it may have got.

        Raises:
            LocalProtocolError: It breaks the protocol; nothing was sent.
            CacheBusy: Too many are unanswered; nothing was sent.
            CacheUnavailable: There is no answer, or none in time.
        """
        number, answer = self.ask(verb, args, waits)
        try:
            return await answer
        except BaseException:
            self.abandon(number, answer)
            raise

    def ask(
        self, verb: str, args: tuple[Scalar, ...], waits: Waits | None = None
    ) -> tuple[int, Answer]:
        """Send a request as `exchange`, for a caller that calls `abandon` if the answer raises.

        It saves the most frequent request a coroutine.
        """
        if len(self._calls) >= wire.MAX_IN_FLIGHT // 2:
            self._refuse_more(verb)
        return self.send(verb, args, waits)

    def abandon(self, number: int, answer: Answer) -> None:
        """Note that the caller has given up; give back the lease it may have got."""
        call = self._calls.get(number)
        if call is not None:
            waits = call.verb in WAITING
        elif answer.cancelled() or answer.exception() is not None:
            return
        else:
            # Answered, but the caller gave up before it could run: a lease must go back.
            reply = answer.result()
            waits = isinstance(reply, Reply) and reply.status == "lease"
        if waits:
            self._withdraw(number)

    def send(
        self, verb: str, args: tuple[Scalar, ...], waits: Waits | None = None
    ) -> tuple[int, Answer]:
        """Send a request, or raise `LocalProtocolError`; return its id, and the future answer."""
        number, sent_at = self._next_id(), self._now()
        self._write(wire.request_frame(number, verb, args))
        # All else while the daemon is already at work.
        self._last_id = number
        answer: Answer = self._loop.create_future()
        deadline = self._loop.time() + self.timeout
        self._calls[number] = PendingCall(verb, answer, deadline, sent_at, waits)
        if deadline < self._wake_at:
            self._wake_by(deadline)
        return number, answer

    def notify(self, verb: str, args: tuple[Scalar, ...], *, withdraws: int | None = None) -> None:
        """Send a request without waiting for its answer, if the connection is usable."""
        if self.usable:
            number, nobody = self.send(verb, args)
            nobody.cancel()
            call = self._calls[number]
            call.deadline, call.withdraws = math.inf, withdraws

    def burn(self, why: str) -> None:
        """End the connection at once; every call on it fails."""
        if self.usable:
            self.why = why
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    # Sending, and time.

    def _refuse_more(self, verb: str) -> None:
        # Requests that may wait leave half to all others: handles, answers, and ends of leases.
        if verb in WAITING or len(self._calls) >= wire.MAX_IN_FLIGHT:
            raise CacheBusy("Too many calls of this worker wait for the cache daemon.")

    def _next_id(self) -> int:
        number = self._last_id % MAX_ID + 1
        while number in self._calls:
            number = number % MAX_ID + 1
        return number

    def _withdraw(self, number: int) -> None:
        self.notify("cancel", (number,), withdraws=number)

    def _write(self, frame: bytes) -> None:
        assert self._transport is not None
        if self._unsent:
            self._unsent.append(frame)
            if len(self._unsent) >= FLUSH_FRAMES:
                self._flush()
        elif self._calls or self._joined:
            # Under load more will follow in this turn of the loop: one write for all wakes the
            # daemon once. A single request is sent at once.
            self._unsent.append(frame)
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(frame)

    def _flush(self) -> None:
        self._joined = len(self._unsent) > 1
        if self._unsent and self.usable and self._transport is not None:
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def _take(self, message: Reply | Notice) -> None:
        if isinstance(message, Notice):
            self._noticed(message)
            return
        number = message.id
        call = self._calls.get(number)
        if call is None:
            raise _unasked()
        self.renewed_at = max(self.renewed_at, call.sent_at)
        if message.status == "waiting":
            if call.verb not in WAITING:
                raise RemoteProtocolError(f"nothing but {' and '.join(sorted(WAITING))} waits")
            deadline = self._loop.time() + WAITING_SECONDS
            call.deadline, call.waiting = deadline, True
            self._wake_by(self._quiet_since + QUIET_SECONDS)
            if call.waits is not None and not call.answer.done():
                call.waits(call.answer)
            return
        del self._calls[number]
        if call.withdraws is not None:
            # The daemon's replies to that id came before this one: there will be no more.
            self._calls.pop(call.withdraws, None)
        if not call.answer.done():
            call.answer.set_result(message)
        elif message.status == "lease":
            # Its caller was cancelled, and the `cancel` is still to come or has crossed this reply.
            self._withdraw(number)

    def _wake_by(self, at: float) -> None:
        if at >= self._wake_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._wake_at = at
        self._timer = self._loop.call_at(at, self._expire)

    def _expire(self) -> None:
        now = self._loop.time()
        self._timer = None
        self._wake_at = math.inf
        silent = False
        for call in self._calls.values():
            if call.deadline > now:
                continue
            # A daemon that replied `waiting`, or has answered others since, is not silent.
            sent_at = call.deadline - self.timeout
            # Stays, without a caller, until the daemon answers after all.
            call.deadline = math.inf
            silent = silent or (not call.waiting and self._quiet_since < sent_at)
            if not call.answer.done():
                call.answer.set_exception(self._back_off.unavailable("no answer in time"))
        if silent:
            # Calls sent before this moment belong to the same silence.
            self._quiet_since = now
            self._silences += 1
            self._back_off.hung(now)
            if self._silences >= SILENCES:
                self.burn("it does not answer")
        outstanding = [call for call in self._calls.values() if call.deadline < math.inf]
        if outstanding and all(call.waiting for call in outstanding):
            if self._quiet_since + QUIET_SECONDS <= now:
                self._ask_for_life()
            else:
                self._wake_by(self._quiet_since + QUIET_SECONDS)
        self._wake_by(min((call.deadline for call in outstanding), default=math.inf))

    def _ask_for_life(self) -> None:
        """Send what does nothing but get an answer: a `cancel` of an id that nobody waits under."""
        _, nobody = self.send("cancel", (self._next_id(),))
        nobody.cancel()


def _unasked() -> RemoteProtocolError:
    return RemoteProtocolError("a reply to no request")
