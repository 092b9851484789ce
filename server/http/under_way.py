"""Limits the concurrent requests of one source, across all its connections.

A proxy carries the requests of many callers over few connections, so counting connections does not
limit the callers behind it.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from .guard import answer
from .shares import RETRY_LATER, Tally

TOO_MANY = (
    "Too many requests from your address or network are under way. Try again in a few seconds."
)


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
