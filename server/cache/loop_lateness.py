"""How late an event loop is: what blocks it keeps every caller waiting, and shows here."""

from __future__ import annotations

import asyncio
from typing import Final

PERIOD: Final = 0.2
"""Seconds between two looks: a shorter one wakes an idle machine more often. A loop that is blocked
is late by as long, less this at most."""

WINDOW: Final = 60.0
"""Seconds for which the longest lateness is remembered, and at most twice as long."""


class LoopLateness:
    """The longest by which a timer of the running loop came too late, lately."""

    def __init__(self) -> None:
        self._now = self._before = 0.0

    @property
    def longest(self) -> float:
        """Seconds of the longest lateness of the last minute or two."""
        return max(self._now, self._before)

    async def keep(self) -> None:
        """Look again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            due = loop.time() + PERIOD
            await asyncio.sleep(PERIOD)
            now = loop.time()
            if now - began >= WINDOW:
                began, self._before, self._now = now, self._now, 0.0
            self._now = max(self._now, now - due)
