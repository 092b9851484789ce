"""Waiting for what takes its time, within a bound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

PATIENCE = 60.0
"""Seconds anything may take to come up or to go."""


SLOW_MACHINE = 3.0
"""Seconds that a busy machine may take for what is done in a tenth of one on a quiet one."""


def wait_until(what: str, condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Return the first true value of `condition()`; fail with `what` after `patience` seconds."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not in {patience} s: {what}"
        time.sleep(0.02)  # a poll with a bound, not a guess of how long it takes


async def until(what: str, condition: Callable[[], Any], patience: float = PATIENCE) -> None:
    """As `wait_until`, beside what else the loop does."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"not in {patience} s: {what}"
        await asyncio.sleep(0.01)  # nothing of ours sets it
