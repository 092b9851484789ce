"""The accounts that all workers share, as one worker sees them, and the way to them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

from ..errors import CacheBusy, CacheUnavailable
from .vocabulary import Outcome, Request

T = TypeVar("T")

Waits = Callable[[asyncio.Future[Any]], None]
"""Called with what gets an outcome that has to be waited for. May fail it with `CacheBusy`, which
withdraws the request."""

LOG_SECONDS: Final = 60.0
"""Least time between two lines that the daemon has gone: it may come and go many times a second."""

logger = logging.getLogger(__name__)


class SharedAccounts(Protocol):
    """The accounts that all workers share. A caller who waits for an outcome may be cancelled."""

    async def call(self, request: Request) -> Outcome:
        """Ask something about an account, and return what it came to.

        What can be had without the others, is: so a session or an answer is looked for, and the
        portal asked, whatever is away. What ends a login or a handle must reach all workers.

        Raises:
            CacheUnavailable: Nothing was ended, for the others cannot be reached.
            SecretDiffers: The others work with another secret.
            LocalProtocolError: An argument breaks the limits.
        """
        ...

    async def ping(self) -> object:
        """Return when the others can be reached.

        Raises:
            CacheUnavailable: They cannot.
        """
        ...


class Remote(Protocol):
    """The way to the daemon, without which there is nothing.

    Attributes:
        generation: Number of connections made so far.
        on_dropped: Called when something was dropped on purpose: with an account, None for all; and
            its budget key if it was erased. Before the first outcome that shows it.
        on_unlocked: Called with a budget key or a source whose failures were forgotten, None and
            None for all.
    """

    generation: int
    on_dropped: Callable[[bytes | None, bytes | None], None]
    on_unlocked: Callable[[bytes | None, str | None], None]

    async def call(self, request: Request, waits: Waits | None = None) -> Outcome:
        """As `SharedAccounts.call`.

        Raises:
            CacheBusy: Too much waits for it already.
            CacheUnavailable: It could not be asked.
        """
        ...

    async def ping(self) -> object:
        """As `SharedAccounts.ping`."""
        ...


class Reach:
    """The daemon; logs that it has gone and that it is back, once each and once a minute.

    Args:
        remote: The way there.
        now: Seconds on a clock that never goes back.
    """

    def __init__(self, remote: Remote, now: Callable[[], float] = time.monotonic) -> None:
        self._remote = remote
        self._now = now
        self._logged_at = -LOG_SECONDS
        self._is_logged = False

    @property
    def generation(self) -> int:
        """As `Remote.generation`."""
        return self._remote.generation

    def call(self, request: Request, waits: Waits | None = None) -> Awaitable[Outcome]:
        """As `Remote.call`."""
        return self._asked(self._remote.call(request, waits))

    def ping(self) -> Awaitable[object]:
        """As `Remote.ping`."""
        return self._asked(self._remote.ping())

    async def _asked(self, call: Awaitable[T]) -> T:
        try:
            answer = await call
        except CacheBusy:
            raise  # it is there
        except CacheUnavailable as exc:
            # An absence that comes too soon after another is logged later, if it lasts.
            if not self._is_logged and self._now() - self._logged_at >= LOG_SECONDS:
                self._is_logged, self._logged_at = True, self._now()
                logger.warning("%s Serving from this worker's own copies until it is back.", exc)
            raise
        if self._is_logged:
            self._is_logged = False
            logger.info("the cache daemon is back")
        return answer
