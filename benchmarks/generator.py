"""The load generator, a process of its own: `python -m benchmarks.generator` reads a job in JSON.

It must cost little, for it shares the cores with those it measures: one prebuilt request, kept
connections, each with one request under way, and no more parsing than a search for two words.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from array import array
from typing import Any

import uvloop

from .answers import Answers

OK = b"HTTP/1.1 200"


class Run:
    """What all connections of one run share.

    Args:
        request: Sent over and over.
        expected: Each counted answer must contain it.
        warm_up: Answers that are not counted.
        count: Answers that are.
        seconds: The run ends after this time, however many there were.
    """

    def __init__(
        self, request: bytes, expected: bytes, warm_up: int, count: int, seconds: float
    ) -> None:
        self.request = request
        self.latencies = array("d")
        self.wrong = 0
        self.answers = 0
        self.sample = ""
        self.begin = 0.0
        self.end = 0.0
        self._expected = expected
        self._warm_up = warm_up
        self._count = count
        self._deadline = time.perf_counter() + seconds
        self._open = 0
        self.finished = asyncio.get_running_loop().create_future()

    def opened(self) -> None:
        """A connection begins."""
        self._open += 1

    def closed(self, why: Exception | None) -> None:
        """A connection has ended; when it was the last one, so has the run."""
        self._open -= 1
        if why is not None and not self.sample:
            self.sample = repr(why)
        if self._open == 0 and not self.finished.done():
            self.finished.set_result(None)

    def answered(self, answer: bytes, sent: float, now: float) -> bool:
        """Take note of an answer; return whether another request shall follow."""
        self.answers += 1
        counted = self.answers - self._warm_up
        if counted > 0:
            if self._expected not in answer or not answer.startswith(OK):
                self.wrong += 1
                self.sample = self.sample or answer.decode(errors="replace")
            self.latencies.append(now - sent)
            self.end = now
        elif counted == 0:
            self.begin = now
        # What is already under way when the last one is counted is answered, and counted too.
        return counted < self._count and now < self._deadline


class Connection(asyncio.Protocol):
    """One kept connection: a request, its answer, the next request."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._answers = Answers()
        self._sent = 0.0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = transport
        self._run.opened()
        self._sent = time.perf_counter()
        self._transport.write(self._run.request)

    def data_received(self, data: bytes) -> None:
        """Take an answer or a part of one."""
        answer = self._answers.feed(data)
        if answer is None:
            return
        now = time.perf_counter()
        if self._run.answered(answer, self._sent, now):
            self._sent = now
            self._transport.write(self._run.request)
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so."""
        self._run.closed(exc)


async def generate(job: dict[str, Any]) -> dict[str, Any]:
    """Carry out a job and return what was measured.

    Args:
        job: `port`, `request`, `expected`, `connections`, `warm_up`, `count`, `seconds`.
    """
    run = Run(
        job["request"].encode("latin-1"),
        job["expected"].encode(),
        job["warm_up"],
        job["count"],
        job["seconds"],
    )
    loop = asyncio.get_running_loop()
    gc.collect()
    gc.freeze()
    for _ in range(job["connections"]):
        await loop.create_connection(lambda: Connection(run), "127.0.0.1", job["port"])
    async with asyncio.timeout(job["seconds"] + 10):
        await run.finished
    latencies = sorted(run.latencies)
    return {
        "answers": run.answers,
        "counted": len(latencies),
        "wrong": run.wrong,
        "sample": run.sample,
        "seconds": run.end - run.begin,
        "p50": _percentile(latencies, 0.50),
        "p99": _percentile(latencies, 0.99),
        "cpu": time.process_time(),
    }


def _percentile(ordered: list[float], part: float) -> float:
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)] if ordered else 0.0


if __name__ == "__main__":
    print(json.dumps(uvloop.run(generate(json.load(sys.stdin)))))
