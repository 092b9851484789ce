"""Bounds the concurrent requests of one source, and queues messages fairly by network (RFC 970).

1. A proxy carries the requests of many callers over few connections, so counting connections does
   not limit the callers behind it: the requests of a source are counted across all connections.
2. A worker that processed all messages at the same time would have each of a thousand slow down all
   the others. Here few are processed at a time, and waiting networks take turns: a caller that
   sends hundreds of messages waits for its own, and any other caller for at most one of them.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from ..sources import networks_of
from .guard import answer
from .shares import RETRY_LATER, Tally
from .signals import notify_on_wait

TOO_MANY = (
    "Too many requests from your address or network are under way. Try again in a few seconds."
)

AT_ONCE = 8
"""Messages that have a turn. Most take a millisecond or two, for a part of which they wait for the
cache daemon and others go on."""

TURN = 0.05
"""Seconds after which a turn is over although its message has no answer yet: that waits for the
portal, and meanwhile others may begin. One that waits for a login ends its turn at once."""


class UnderWay:
    """ASGI middleware that answers 429 to a source with too many requests under way.

    Args:
        app: What answers otherwise.
        source: Gives the source of an address, None for one that is exempt.
    """

    def __init__(self, app: ASGIApp, source: Callable[[str | None], str | None]) -> None:
        self._app = app
        self._source = source
        self._tally = Tally()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        client = scope.get("client")
        source = self._source(client[0]) if client else None
        if source is None:
            await self._app(scope, receive, send)
            return
        try:
            if self._tally.add(source):
                await self._app(scope, receive, send)
            else:
                await answer(send, 429, TOO_MANY, RETRY_LATER)
        finally:
            self._tally.remove(source)


class FairQueue:
    """ASGI middleware that lets messages begin in turn.

    Args:
        app: What answers them.
        source: Gives the source of an address, None for one that never waits.
        at_once: How many have a turn at a time.
        lasts: Longest turn in seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        source: Callable[[str | None], str | None],
        at_once: int = AT_ONCE,
        lasts: float = TURN,
    ) -> None:
        self._app = app
        self._source = source
        self._free = at_once
        self._lasts = lasts
        # Those that wait, by network; that whose turn is next stands first. While anybody waits
        # nothing is free.
        self._lines: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a message when its turn has come."""
        client = scope.get("client")
        source = self._source(client[0]) if client else None
        if source is None:
            await self._app(scope, receive, send)
            return
        if self._free:
            self._free -= 1
        else:
            await self._turn(networks_of(source).site)
        turn = _Turn(self._pass_on, self._lasts)
        try:
            with notify_on_wait(turn.end):
                await self._app(scope, receive, send)
        finally:
            turn.end()

    async def _turn(self, network: str) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(network, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():
                self._pass_on()  # it had just come
            raise

    def _pass_on(self) -> None:
        while self._lines:
            network, line = self._lines.popitem(last=False)
            following = line.popleft()
            if line:
                self._lines[network] = line
            if not following.done():
                following.set_result(None)
                return
        self._free += 1


class _Turn:
    """A turn, which ends once: after `lasts` seconds by itself."""

    def __init__(self, pass_on: Callable[[], None], lasts: float) -> None:
        self._pass_on: Callable[[], None] | None = pass_on
        self._timer = asyncio.get_running_loop().call_later(lasts, self.end)

    def end(self) -> None:
        """End it, if it has not ended."""
        if self._pass_on is not None:
            self._timer.cancel()
            pass_on, self._pass_on = self._pass_on, None
            pass_on()
