"""Waits for a change: bounded in time and number, and ended by a stop of the worker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from ..codes import Code
from ..errors import ChangeRefused, JournalUnavailable
from ..records.waits import Places

LONGEST = 50
"""Seconds that a call waits at most: many clients give up after 60."""

MOST = 2
"""Calls of one account that wait at a time, over all workers."""

PAUSE = 3.0
"""Seconds between two looks. The portal is asked less often: its answers are shared."""

LAST_LOOK = 3.0
"""Seconds for the look with which the time ends; one that takes longer is not waited for."""

SLACK = 15.0
"""Seconds by which a place outlives the wait of a worker that was killed."""

TOKEN_BYTES = 16

TOO_MANY = "Two calls of this account wait for a change already, and more may not at a time."


class Waits:
    """Lets calls wait.

    Args:
        places: Counts them over all workers.
        stopping: Set once the worker begins to stop.
        sleep: Waits so many seconds.
        ticks: Seconds of a clock that only grows.
    """

    def __init__(
        self,
        places: Places,
        stopping: asyncio.Event,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = places
        self._stopping = stopping
        self._sleep = sleep
        self._ticks = ticks

    async def until(
        self, account: bytes, seconds: float, look: Callable[[], Coroutine[Any, Any, bool]]
    ) -> None:
        """Look again and again.

        It ends when a look says so, when the time is over, and when the worker stops, also in the
        middle of a look. Where the journal cannot be written, so that nobody can count who
        waits, it ends after the first look.

        Args:
            account: The account's key.
            seconds: How long.
            look: Says whether all is known.

        Raises:
            ChangeRefused: Too many calls of the account wait already.
        """
        async with self._place(account, seconds) as granted:
            if granted and not self._stopping.is_set():
                await self._unless_stopping(self._looking(look, seconds), seconds)
            else:
                await look()

    async def _looking(self, look: Callable[[], Coroutine[Any, Any, bool]], seconds: float) -> None:
        end = self._ticks() + seconds
        while not await look() and (left := end - self._ticks()) > 0:
            await self._sleep(min(PAUSE, left))

    async def _unless_stopping(self, work: Coroutine[Any, Any, None], seconds: float) -> None:
        working = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait(
                {working, stopping},
                timeout=seconds + LAST_LOOK,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if working.done():
                await working
        finally:
            for task in (working, stopping):
                task.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def _place(self, account: bytes, seconds: float) -> AsyncIterator[bool]:
        """Take one of the account's places; give False where nobody counts them."""
        token = os.urandom(TOKEN_BYTES)
        try:
            left = await asyncio.to_thread(self._places.take, account, token, seconds + SLACK, MOST)
        except JournalUnavailable:
            left = None
        if left:
            raise ChangeRefused(Code.TOO_MANY_WAITS, TOO_MANY, retry_after=_left(left))
        try:
            yield left is not None
        finally:
            if left is not None:
                # If it cannot be given back now, it ends with its time.
                with contextlib.suppress(JournalUnavailable):
                    await asyncio.to_thread(self._places.give_back, account, token)


def _left(place_s: float) -> float:
    """Return the seconds until a place is free, by those until it ends by itself.

    1. The wait goes on: until its time is over.
    2. Its time is over, and the last look is under way.
    3. Its worker was killed: nothing but the end of the place frees it.
    """
    for beyond in (SLACK, SLACK - LAST_LOOK):
        if place_s > beyond:
            return place_s - beyond
    return place_s
