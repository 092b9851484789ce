"""One turn under load by wrk, a compiled generator: it costs little and looks at no answer."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .processes import LOOPBACK, cpu_seconds
from .programs import WRK, program
from .result import WrongAnswer

SCRIPT = Path(__file__).with_name("wrk.lua")

PATIENCE = 30.0
"""Seconds after which a turn is given up, beside its own."""

KEPT_THREADS = 2
"""Threads of wrk where connections keep to an account. A thread cannot tell its connections apart,
so those of one thread are of one account. More threads interrupt the servers on the same cores: on
two of them a request cost the SDK app 1020 us of a processor with 16 threads, 890 with 4, 730 with
2 and 740 with 1."""

SAME_SIZE = 0.05
"""How far the bytes of an answer under load may be from those of a verified one, relatively. A
refusal that has the status of a success would differ by more."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn gave.

    Args:
        count: Answers.
        rate: Answers a second.
        p50: Half of them came within this, in seconds.
        p99: All but a hundredth did.
        cpu: Processor time of each process per answer, in seconds.
    """

    count: int
    rate: float
    p50: float
    p99: float
    cpu: Sequence[float]


class Wrk:
    """wrk, sending the same requests in every turn.

    Args:
        port: Where to.
        requests: In this order.
        pids: Processes whose time is taken.
        bytes_each: Of a verified answer.
        connections: How many, each with one request under way.
        kept: Whether each connection sends one of the requests alone, as a client does, in each
            turn another: those of a thread the same one; else all connections together send one
            after the other.
        folder: For the file of requests.

    Raises:
        NotMeasured: There is no wrk.
    """

    def __init__(
        self,
        port: int,
        requests: Sequence[bytes],
        pids: Sequence[int],
        bytes_each: float,
        connections: int,
        *,
        kept: bool,
        folder: Path,
    ) -> None:
        path = program(WRK).path
        self._file = folder / f"requests-{port}-{id(self)}"
        with self._file.open("wb") as file:
            for request in requests:
                file.write(b"%d\n%b" % (len(request), request))
        threads = min(KEPT_THREADS, connections) if kept else 1
        self._begin = [path, f"-t{threads}", f"-c{connections}", "-s", str(SCRIPT)]
        self._url, self._pids, self._bytes = f"http://{LOOPBACK}:{port}/", pids, bytes_each
        self._connections = connections
        self._kept, self._threads = ["kept"] if kept else [], threads
        self._first, self._ids = 0, itertools.count(10_000_000, 1_000_000)

    def turn(self, seconds: int) -> Turn:
        """Send for some seconds.

        Raises:
            WrongAnswer: A connection was lost, a request refused, or answers have another size.
        """
        job = [str(self._file), str(self._first), str(next(self._ids)), *self._kept]
        command = [*self._begin, f"-d{seconds}s", self._url, "--", *job]
        before = [cpu_seconds([pid]) for pid in self._pids]
        done = subprocess.run(
            command,
            capture_output=True,
            timeout=seconds + PATIENCE,
            check=False,
            text=True,
            process_group=0,
        )
        after = [cpu_seconds([pid]) for pid in self._pids]
        if done.returncode != 0:
            raise RuntimeError(f"wrk ended with {done.returncode}: {done.stderr or done.stdout}")
        seen = json.loads(done.stdout.splitlines()[-1])
        count = seen["requests"]
        if not count or seen["lost"] or seen["refused"]:
            raise WrongAnswer(f"of {count} answers {seen['refused']} refused, {seen['lost']} lost")
        expected = count * self._bytes
        # The last answers may be counted in part.
        slack = SAME_SIZE * expected + self._connections * self._bytes
        if abs(seen["bytes"] - expected) > slack:
            raise WrongAnswer(f"{seen['bytes'] / count:.0f} bytes, verified were {self._bytes:.0f}")
        self._first += self._threads if self._kept else count
        return Turn(
            count,
            rate=count / (seen["microseconds"] / 1e6),
            p50=seen["p50"] / 1e6,
            p99=seen["p99"] / 1e6,
            cpu=[(b - a) / count for a, b in zip(before, after, strict=True)],
        )
