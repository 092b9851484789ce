"""The way to the cache daemon, and whether it leads anywhere just now."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..errors import CacheBusy, CacheUnavailable, VersionsDiffer

logger = logging.getLogger(__name__)

T = TypeVar("T")


TELL_SECONDS = 60.0
"""Least time between two lines that the daemon has gone: it may come and go many times a second."""


class Reach:
    """Notes when the daemon goes and when it is back, once each and once a minute.

    Args:
        now: Seconds on a clock that never goes back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._reachable = True
        self._told_at = -TELL_SECONDS
        self._told = False

    async def asked(self, call: Awaitable[T]) -> T:
        """Return the daemon's answer.

        Raises:
            CacheBusy: It has too much to do for this worker.
            VersionsDiffer: It is not of one version with all workers.
            CacheUnavailable: There is none.
        """
        try:
            answer = await call
        except (CacheBusy, VersionsDiffer):
            raise  # it is there
        except CacheUnavailable as exc:
            self._gone(exc)
            raise
        if not self._reachable:
            self._reachable = True
            if self._told:
                self._told = False
                logger.info("the cache daemon is back")
        return answer

    def _gone(self, why: CacheUnavailable) -> None:
        # Told later if it stays away.
        self._reachable = False
        if not self._told and self._now() - self._told_at >= TELL_SECONDS:
            self._told, self._told_at = True, self._now()
            logger.warning("%s Serving from this worker's own copies until it is back.", why)
