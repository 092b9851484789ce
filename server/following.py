"""A worker that reads its settings again when the cache daemon has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from .errors import ConfigurationError
from .reloading import Reloading

logger = logging.getLogger(__name__)


class Leader(Protocol):
    """The cache daemon, whose settings the workers follow."""

    def follow(self, digest: Callable[[], bytes], reload: Callable[[], None]) -> None:
        """Say the digest at each connection, and call `reload` when the daemon asks for it."""

    def say_settings(self) -> None:
        """Say the digest now."""


class Following:
    """Keeps the settings of a worker those of the daemon.

    Args:
        reloading: The worker's.
        leader: The daemon.
    """

    def __init__(self, reloading: Reloading, leader: Leader) -> None:
        self._reloading = reloading
        self._leader = leader
        self._task: asyncio.Task[None] | None = None
        self._again = False
        leader.follow(lambda: reloading.digest, self._begin)

    async def aclose(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _begin(self) -> None:
        # What is being read may be older than what is asked for.
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        while self._again:
            self._again = False
            try:
                # In a thread: a list of e-mails may be long, or on a disk that is slow.
                fresh = await asyncio.to_thread(self._reloading.read)
            except ConfigurationError as exc:
                logger.error("settings stay as they were: %s", exc)  # noqa: TRY400 - says it all
            else:
                taken = self._reloading.take(fresh)
                logger.info("settings read again; changed: %s", ", ".join(taken.changed) or "none")
            self._leader.say_settings()
