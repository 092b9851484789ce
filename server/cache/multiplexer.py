"""One connection to the cache daemon, shared by all callers of a worker.

Every request has an id and every reply quotes it, so a caller who gives up leaves nothing behind
that another could take for its own. A reply that nobody asked for ends the connection: it would be
somebody else's session.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextvars import Context, copy_context
from typing import Final, NamedTuple, Protocol, cast

from ..errors import CacheBusy, CacheUnavailable, RemoteProtocolError
from ..state.vocabulary import Ask, Hit
from . import wire
from .verbs import MAX_ID, WAITING, Notice, Reply, Request, Scalar

WAITING_SECONDS: Final = 60.0
"""Longest wait for the answer that follows `waiting`; the daemon promises it within 45 s."""

SILENCES: Final = 2
"""After so many unanswered calls in a row the connection itself is given up."""

TICK_SECONDS: Final = 0.002
"""By how much two readings of the loop's clock may be off."""

LOST: Final = "the connection was lost"
"""Why calls fail when it was the daemon who ended the connection."""

READ_BYTES: Final = 64 * 1024
"""Room for one read. An own buffer: asyncio's default of 256 KiB is mapped anew for each read."""

FLUSH_FRAMES: Final = 16
"""Requests sent with one write: few system calls, and the daemon has something to do meanwhile."""

Answer = asyncio.Future[Reply | Hit]
"""What a caller waits for. A hit comes as such, all else as a reply."""


class Owner(Protocol):
    """Who is told what happens to the connection.

    Attributes:
        timeout: Seconds for the first reply to a call.
    """

    timeout: float

    def heard(self) -> None:
        """Take note that the daemon spoke."""

    def hung(self) -> None:
        """Take note that a call was not answered, nor any other since."""

    def noticed(self, notice: Notice) -> None:
        """Take note of what nobody asked for."""

    def waits(self, answer: Answer, source: str, key: bytes) -> None:
        """Take note of a login that waits, in the context of who asked; it may be failed."""

    def lost(self, channel: Channel) -> None:
        """Take note of the end."""

    def unavailable(self, why: str) -> CacheUnavailable:
        """Make the error that callers get."""


class _Call(NamedTuple):
    """A request without an answer. Of a login with source, key and context of its caller."""

    verb: str
    answer: Answer
    deadline: float
    login: tuple[str, bytes, Context] | None = None
    waiting: bool = False


class Channel(asyncio.BufferedProtocol):
    """One connection from its start to its end; never used again after an error.

    Args:
        owner: Told of signs of life, of silence and of the end.
        loop: The event loop.

    Attributes:
        usable: Whether requests can be sent.
        spoken: Whether the daemon ever answered.
        why: Why it ended.
        closed: Done when it has.
    """

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self.usable = False
        self.spoken = False
        self.why = LOST
        self.closed: asyncio.Future[None] = loop.create_future()
        self._owner = owner
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._reader = wire.FrameReader(wire.MAX_DATA_REPLY_BYTES)
        self._room = memoryview(bytearray(READ_BYTES))
        self._calls: dict[int, _Call] = {}
        # Ids of `cancel` requests, and which request each of them withdraws.
        self._cancels: dict[int, int] = {}
        self._last_id = 0
        self._unsent: list[bytes] = []
        # Whether the last write that waited for company had any.
        self._company = False
        self._timer: asyncio.TimerHandle | None = None
        self._wake_at = math.inf
        self._silences = 0
        # When the daemon was last heard, or found to be silent.
        self._quiet_since = -math.inf

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's transports are of no class of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self.usable = True

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        """Say where the next read goes."""
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        """Give everybody their answer."""
        self.spoken = True
        self._silences = 0
        # A little back, as some loops' clocks tick in milliseconds, and what is asked within the
        # same one is not answered yet.
        self._quiet_since = self._loop.time() - TICK_SECONDS
        self._owner.heard()
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
                if not call.answer.done():
                    call.answer.set_result(Hit(value, left, idle, spelling))
        except RemoteProtocolError as exc:
            self.burn(f"it broke the protocol: {exc}")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Tell everybody that there will be no answer."""
        self.usable = False
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self._owner.lost(self)
        for call in self._calls.values():
            if not call.answer.done():
                call.answer.set_exception(self._owner.unavailable(self.why))
        self._calls.clear()
        if not self.closed.done():
            self.closed.set_result(None)

    # What the client calls.

    def ask_login(self, asked: Ask) -> tuple[int, Answer]:
        """Send an `ask` for a login, as nearly every request comes down to; as `ask`."""
        self._require_room("ask")
        number = self._next_id()
        frame = wire.login_frame(number, asked.account, asked.key, asked.source, asked.budget)
        return number, self._send("ask", number, frame, (asked.source, asked.key, copy_context()))

    async def answered(self, number: int, answer: Answer) -> Reply | Hit:
        """Return the answer to what was sent; a lease that nobody takes is given back."""
        try:
            return await answer
        except BaseException:
            self._abandon(number, answer)
            raise

    def ask(self, verb: str, args: tuple[Scalar, ...]) -> tuple[int, Answer]:
        """Send a request; return its id, and what will get its answer or `CacheUnavailable`.

        Raises:
            LocalProtocolError: It breaks the protocol; nothing was sent.
            CacheBusy: Too many are unanswered.
        """
        self._require_room(verb)
        return self._ask(verb, args)

    def tell(self, verb: str, args: tuple[Scalar, ...]) -> int | None:
        """Send a request whose answer nobody waits for; return its id, None if it cannot be sent.

        Raises:
            LocalProtocolError: It breaks the protocol; nothing was sent.
        """
        if not self.usable:
            return None
        number, nobody = self._ask(verb, args)
        nobody.cancel()
        self._calls[number] = _Call(verb, nobody, math.inf)
        return number

    def burn(self, why: str) -> None:
        """End the connection at once; every call on it fails."""
        if self.usable:
            self.why = why
        self.usable = False
        if self._transport is not None:
            self._transport.abort()

    # How it works.

    def _require_room(self, verb: str) -> None:
        # What may wait leaves half to the rest: handles, answers, and the ends of leases.
        most = wire.MAX_IN_FLIGHT // 2 if verb in WAITING else wire.MAX_IN_FLIGHT
        if len(self._calls) >= most:
            raise CacheBusy("Too many calls of this worker wait for the cache daemon.")

    def _abandon(self, number: int, answer: Answer) -> None:
        """Take note that nobody waits for this call any more; give back what it may have got."""
        call = self._calls.get(number)
        if call is not None:
            waits = call.verb in WAITING
        elif answer.cancelled() or answer.exception() is not None:
            return
        else:
            # Answered, and given up before the caller could run: only a lease must go back.
            reply = answer.result()
            waits = isinstance(reply, Reply) and reply.status == "lease"
        if waits:
            self._withdraw(number)

    def _withdraw(self, number: int) -> None:
        cancel = self.tell("cancel", (number,))
        if cancel is not None:
            # Its answer says that nothing more comes under the other id.
            self._cancels[cancel] = number

    def _ask(self, verb: str, args: tuple[Scalar, ...]) -> tuple[int, Answer]:
        number = self._next_id()
        return number, self._send(verb, number, wire.encode(Request(number, verb, args)))

    def _next_id(self) -> int:
        number = self._last_id % MAX_ID + 1
        while number in self._calls:
            number = number % MAX_ID + 1
        return number

    def _send(
        self, verb: str, number: int, frame: bytes, login: tuple[str, bytes, Context] | None = None
    ) -> Answer:
        assert self._transport is not None
        self._last_id = number
        if self._unsent:
            self._unsent.append(frame)
            if len(self._unsent) >= FLUSH_FRAMES:
                self._flush()
        elif self._calls or self._company:
            # Under load more will follow in this round of the loop: one write for all, and one
            # wake-up of the daemon. A caller on its own does not wait for it.
            self._unsent.append(frame)
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(frame)
        answer: Answer = self._loop.create_future()
        deadline = self._loop.time() + self._owner.timeout
        self._calls[number] = _Call(verb, answer, deadline, login)
        if deadline < self._wake_at:
            self._wake(deadline)
        return answer

    def _flush(self) -> None:
        self._company = len(self._unsent) > 1
        if self._unsent and self.usable and self._transport is not None:
            self._transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def _take(self, message: Reply | Notice) -> None:
        if isinstance(message, Notice):
            self._owner.noticed(message)
            return
        number = message.id
        call = self._calls.get(number)
        if call is None:
            raise _unasked()
        if message.status == "waiting":
            if call.verb not in WAITING:
                raise RemoteProtocolError(f"nothing but {' and '.join(sorted(WAITING))} waits")
            deadline = self._loop.time() + WAITING_SECONDS
            self._calls[number] = call._replace(deadline=deadline, waiting=True)
            if call.login is not None and not call.answer.done():
                source, key, context = call.login
                context.run(self._owner.waits, call.answer, source, key)
            return
        del self._calls[number]
        withdrawn = self._cancels.pop(number, None)
        if withdrawn is not None:
            # Whatever the daemon had to say under that id came before this.
            self._calls.pop(withdrawn, None)
        if not call.answer.done():
            call.answer.set_result(message)
        elif message.status == "lease":
            # Its caller was cancelled and has not had the time to say so, or the two have crossed.
            self._withdraw(number)

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
        for number, call in list(self._overdue(now)):
            # Kept, with nobody waiting, until the daemon has answered after all.
            self._calls[number] = call._replace(deadline=math.inf)
            # Who was kept waiting has been heard; and so has who answered others since.
            asked_at = call.deadline - self._owner.timeout
            silent = silent or (not call.waiting and self._quiet_since < asked_at)
            if not call.answer.done():
                call.answer.set_exception(self._owner.unavailable("no answer in time"))
        if silent:
            # Calls sent before this moment are of the same silence.
            self._quiet_since = now
            self._silences += 1
            self._owner.hung()
            if self._silences >= SILENCES:
                self.burn("it does not answer")
        nearest = min((call.deadline for call in self._calls.values()), default=math.inf)
        if nearest < math.inf:
            self._wake(nearest)

    def _overdue(self, now: float) -> Iterator[tuple[int, _Call]]:
        return ((number, call) for number, call in self._calls.items() if call.deadline <= now)


def _unasked() -> RemoteProtocolError:
    return RemoteProtocolError("a reply that nobody asked for")
