"""The way to the cache daemon, and whether it leads anywhere just now."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TypeVar

from ..errors import CacheUnavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Reach:
    """Notes when the daemon goes and when it is back, once each."""

    def __init__(self) -> None:
        self._reachable = True

    async def asked(self, call: Awaitable[T]) -> T:
        """Return the daemon's answer.

        Raises:
            CacheUnavailable: There is none.
        """
        try:
            answer = await call
        except CacheUnavailable as exc:
            if self._reachable:
                self._reachable = False
                logger.warning("%s Serving from this worker's own copies until it is back.", exc)
            raise
        if not self._reachable:
            self._reachable = True
            logger.info("the cache daemon is back")
        return answer
