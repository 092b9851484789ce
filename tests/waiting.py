"""Waiting for what takes its time, within a bound; and letting time go by without waiting."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from drills.waiting import PATIENCE, SLOW_MACHINE, wait_until

__all__ = ["PATIENCE", "SLOW_MACHINE", "let_pass", "until", "wait_until"]


def let_pass(seconds: float, monkeypatch) -> None:
    """Move the loop's clock on: a time-out comes due however slow the machine is until then."""
    loop = asyncio.get_running_loop()
    before = loop.time
    monkeypatch.setattr(loop, "time", lambda: before() + seconds)


async def until(what: str, condition: Callable[[], Any], patience: float = PATIENCE) -> None:
    """As `wait_until`, beside what else the loop does."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"not in {patience} s: {what}"
        await asyncio.sleep(0.01)  # nothing of ours sets it
