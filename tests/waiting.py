"""Waiting for what takes its time, within a bound; and letting time go by without waiting."""

import asyncio

from drills.waiting import PATIENCE, SLOW_MACHINE, until, wait_until

__all__ = ["PATIENCE", "SLOW_MACHINE", "let_pass", "until", "wait_until"]


def let_pass(seconds: float, monkeypatch) -> None:
    """Move the loop's clock on: a time-out comes due however slow the machine is until then."""
    loop = asyncio.get_running_loop()
    before = loop.time
    monkeypatch.setattr(loop, "time", lambda: before() + seconds)
