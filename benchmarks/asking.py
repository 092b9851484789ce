"""Look-ups from asyncio, in a process of its own: `python -m benchmarks.asking` reads a job.

Clients take turns of a fraction of a second.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import random
import sys
import time
from array import array
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import uvloop

from .filling import value
from .lookup_clients import Look, looking

SEED = 20_26
"""Which sessions are asked for, and in which order: the same for every client."""

DISTINCT = 4096
"""Sessions asked for; prepared beforehand, so that only the asking is measured."""


class Asked:
    """One client over all its turns.

    Args:
        look: Looks up one session.
        numbers: The sessions to look up.
        callers: How many look up at the same time.
    """

    def __init__(self, look: Look, numbers: list[int], callers: int) -> None:
        self._look = look
        self._numbers = numbers
        self._expected = [value(number) for number in numbers]
        self._callers = callers
        self._times = array("d")
        self._seconds = 0.0
        self._next = 0

    async def turn(self, count: int, *, counts: bool = True) -> None:
        """Look up `count` sessions.

        Raises:
            RuntimeError: One was not found, or another was.
        """
        left = itertools.repeat(None, count)
        times = array("d")
        begin = time.perf_counter()
        if self._callers == 1:
            await self._call(left, times)
        else:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._callers):
                    group.create_task(self._call(left, times))
        if counts:
            self._seconds += time.perf_counter() - begin
            self._times.extend(times)

    def result(self) -> dict[str, float]:
        """Return what all turns together gave."""
        ordered = sorted(self._times)
        return {"p50": ordered[len(ordered) // 2], "rate": len(ordered) / self._seconds}

    async def _call(self, left: Iterator[None], times: array[float]) -> None:
        for _ in left:
            turn = self._next
            self._next = (turn + 1) % DISTINCT
            begin = time.perf_counter()
            found = await self._look(self._numbers[turn])
            times.append(time.perf_counter() - begin)
            if found != self._expected[turn]:
                raise RuntimeError(f"session {self._numbers[turn]} was not found, or another was")


async def measure(job: dict[str, Any]) -> list[dict[str, float]]:
    """Carry out a job and return the result of each client.

    Args:
        job: `clients`, each as of `looking` and with `held` (sessions there); `turns` for each of
            them, each of `settle` look-ups that are not counted and `count` that are, by `callers`;
            `warm_up` look-ups before them.
    """
    async with AsyncExitStack() as stack:
        asked = []
        for each in job["clients"]:
            picked = random.Random(SEED)
            numbers = [picked.randrange(each["held"]) for _ in range(DISTINCT)]
            look = await stack.enter_async_context(looking(each, numbers))
            asked.append(Asked(look, numbers, job["callers"]))
        for one in asked:
            await one.turn(job["warm_up"], counts=False)
        gc.collect()
        gc.freeze()
        for _ in range(job["turns"]):
            for one in asked:
                await one.turn(job["settle"], counts=False)
                await one.turn(job["count"])
        return [one.result() for one in asked]


def main() -> None:
    """Read the job, write the result."""
    job = json.load(sys.stdin)
    print(json.dumps(uvloop.run(measure(job))))


if __name__ == "__main__":
    main()
