"""The load generator, a process of its own: `python -m benchmarks.generator` reads a job in JSON.

It must cost little, for it shares the cores with those it measures: one prebuilt request, kept
connections, each with one request under way, and no more parsing than a search for two words.

All contestants of a comparison take turns of a fraction of a second, again and again: whatever else
the machine does in these seconds, it does to all of them.
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
from .processes import LOOPBACK, cpu_seconds

OK = b"HTTP/1.1 200"


class Contestant:
    """One server under load, with its connections, over all its turns.

    Args:
        job: `port`, `request`, `expected`, `pids`, `connections`.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        self._port: int = job["port"]
        self.request = job["request"].encode("latin-1")
        self._expected = job["expected"].encode()
        self._pids = job["pids"]
        self._count = job["connections"]
        self._connections: list[Connection] = []
        self._latencies = array("d")
        self._seconds = 0.0
        self._cpu = [0.0] * len(self._pids)
        self._answers = self._wrong = 0
        self._sample = ""
        self._failure: Exception | None = None
        # Of the turn under way.
        self._settle = self._left = self._busy = 0
        self._deadline = self._begin = 0.0
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self, warm_up: int, seconds: float) -> None:
        """Open all connections, which stay open between turns, each under the load of the others.

        Workers that share a socket accept when they are idle. To two idle ones the connections
        would go one like the other, perhaps all of them, and that would be what is measured.

        Args:
            warm_up: Requests to send; none of them counts.
            seconds: Longest time for all of it.
        """
        self._begin_turn(warm_up, 0, seconds)
        async with asyncio.timeout(seconds + 10):
            for _ in range(self._count):
                connection = Connection(self)
                await asyncio.get_running_loop().create_connection(
                    lambda made=connection: made, LOOPBACK, self._port
                )
                self._connections.append(connection)
                connection.send()
            await self._over
        self._answers = 0

    async def turn(self, settle: int, count: int, seconds: float) -> None:
        """Send `settle` requests that are not counted, then `count` that are.

        Args:
            settle: Brings back what others pushed out of the processor's caches.
            count: How many.
            seconds: Longest time, however many there were.
        """
        if self._failure is not None:
            raise self._failure
        self._begin_turn(settle, count, seconds)
        before = [cpu_seconds([pid]) for pid in self._pids]
        for connection in self._connections:
            connection.send()
        async with asyncio.timeout(seconds + 10):
            await self._over
        for number, pid in enumerate(self._pids):
            self._cpu[number] += cpu_seconds([pid]) - before[number]

    def _begin_turn(self, settle: int, count: int, seconds: float) -> None:
        self._over = asyncio.get_running_loop().create_future()
        self._settle, self._left, self._busy = settle, count, self._count
        self._begin = time.perf_counter()
        self._deadline = self._begin + seconds

    def answered(self, answer: bytes, sent: float, now: float) -> bool:
        """Take note of an answer; return whether that connection shall send another request."""
        self._answers += 1
        if self._settle > 0:
            self._settle -= 1
            if self._settle == 0:
                self._begin = now
        elif self._left > 0:
            if self._expected not in answer or not answer.startswith(OK):
                self._wrong += 1
                self._sample = self._sample or answer.decode(errors="replace")
            self._latencies.append(now - sent)
            self._left -= 1
            if self._left == 0 or now > self._deadline:
                self._left = 0
                self._seconds += now - self._begin
        if self._settle > 0 or self._left > 0:
            return True
        self._busy -= 1
        if self._busy == 0:
            self._over.set_result(None)
        return False

    def lost(self, exc: Exception | None) -> None:
        """A connection has ended: the run fails, at once or at the begin of the next turn."""
        self._failure = exc or ConnectionResetError("a connection was closed by the server")
        if not self._over.done():
            self._over.set_exception(self._failure)

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections:
            connection.close()

    def result(self) -> dict[str, Any]:
        """Return what all turns together gave."""
        ordered = sorted(self._latencies)
        return {
            "counted": len(ordered),
            "wrong": self._wrong,
            "sample": self._sample,
            "rate": len(ordered) / self._seconds if self._seconds else 0.0,
            "p50": _percentile(ordered, 0.50),
            "p99": _percentile(ordered, 0.99),
            "cpu": [seconds / max(self._answers, 1) for seconds in self._cpu],
        }


class Connection(asyncio.Protocol):
    """One persistent connection: a request, its answer, the next request."""

    def __init__(self, contestant: Contestant) -> None:
        self._contestant = contestant
        self._answers = Answers()
        self._sent = 0.0
        self._closing = False
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = transport

    def send(self) -> None:
        """Send a request."""
        self._sent = time.perf_counter()
        self._transport.write(self._contestant.request)

    def data_received(self, data: bytes) -> None:
        """Take an answer or a part of one."""
        answer = self._answers.feed(data)
        if answer is None:
            return
        now = time.perf_counter()
        if self._contestant.answered(answer, self._sent, now):
            self._sent = now
            self._transport.write(self._contestant.request)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so, unless it was to be."""
        if not self._closing:
            self._contestant.lost(exc)

    def close(self) -> None:
        """Close it."""
        self._closing = True
        self._transport.close()


async def generate(job: dict[str, Any]) -> list[dict[str, Any]]:
    """Carry out a job and return the result of each contestant.

    Args:
        job: `contestants`, each as `Contestant` takes it; `turns` for each of them, each of
            `settle` and `count` requests, at most `seconds`; before them `warm_up` requests.
    """
    contestants = [Contestant(each) for each in job["contestants"]]
    for contestant in contestants:
        await contestant.connect(job["warm_up"], job["seconds"])
    gc.collect()
    gc.freeze()
    for _ in range(job["turns"]):
        for contestant in contestants:
            await contestant.turn(job["settle"], job["count"], job["seconds"])
    for contestant in contestants:
        contestant.close()
    return [contestant.result() for contestant in contestants]


def _percentile(ordered: list[float], part: float) -> float:
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)] if ordered else 0.0


if __name__ == "__main__":
    print(json.dumps(uvloop.run(generate(json.load(sys.stdin)))))
