"""How late an event loop is, by naps that it sleeps too long.

A nap is also too long because other processes have the processors. Linux counts for how long a
thread was ready and had none; that is taken off, so that a busy machine measures the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from array import array
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

SECONDS: Final = 0.002

READY: Final = Path("/proc/thread-self/schedstat")
"""Nanoseconds that the thread ran, and that it was ready and did not; elsewhere there is none."""


class Naps:
    """The naps of a loop.

    Attributes:
        began: When each began, on the machine's monotonic clock.
        late: Seconds by which it was too long.
    """

    def __init__(self) -> None:
        self.began = array("d")
        self.late = array("d")

    @property
    def latest(self) -> float:
        """The most seconds by which one was too long."""
        return max(self.late, default=0.0)

    @contextlib.asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Take one after another while the block runs."""
        napping = asyncio.ensure_future(self._nap())
        try:
            yield
            await asyncio.sleep(2 * SECONDS)  # for one that has become too long
        finally:
            napping.cancel()

    async def _nap(self) -> None:
        while True:
            begin, ready = time.monotonic(), _ready_seconds()
            await asyncio.sleep(SECONDS)
            late = time.monotonic() - begin - SECONDS - (_ready_seconds() - ready)
            self.began.append(begin)
            self.late.append(max(0.0, late))


def _ready_seconds() -> float:
    """Return for how long this thread was ready so far, and others had the processors."""
    try:
        return int(READY.read_bytes().split()[1]) / 1e9
    except FileNotFoundError:
        return 0.0
