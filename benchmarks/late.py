"""How late the loop of a cache daemon is because sessions have to be on the disk."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from server.state.vocabulary import AskTurn, Done, Fulfil, Lease, Turn

from .disk import LATE, MS, filled
from .effort import Effort
from .filling import FILLING, TTL, asked, client_of, value
from .processes import running, wait_until
from .result import Figure, Line, WrongAnswer
from .system import answers, scratch

PER_SECOND = 100
SECONDS = 10

REPETITIONS = 3
"""At most: each takes twice these seconds, and within them every login counts."""


@dataclass(slots=True)
class Runs:
    """All runs of one kind of daemon; times in ms."""

    latest: list[float] = field(default_factory=list)
    late_p99: list[float] = field(default_factory=list)
    login_p50: list[float] = field(default_factory=list)
    login_p99: list[float] = field(default_factory=list)


def for_the_disk(effort: Effort) -> list[Line]:
    """Measure a daemon under logins with its disk and without, in turns."""
    with_disk, without = Runs(), Runs()
    with scratch() as folder:
        asyncio.run(filled(folder, effort.many))
        # Each run logs in accounts of its own.
        first = effort.many
        for _ in range(min(effort.pairs, REPETITIONS)):
            for runs, options in ((with_disk, ()), (without, ("--without-disk",))):
                _run(folder, options, first, runs)
                first += PER_SECOND * SECONDS
    return [
        Line(
            f"latest that a daemon's loop was, {PER_SECOND} logins a second for {SECONDS} s, "
            f"{effort.many} sessions on the disk",
            unit="ms",
            values=with_disk.latest,
            budget=LATE,
            figures=[
                Figure("the same, p99", "ms", with_disk.late_p99),
                Figure("latest that it was without a disk", "ms", without.latest),
                Figure("the same, p99", "ms", without.late_p99),
                Figure("a session until it is confirmed, p50", "ms", with_disk.login_p50),
                Figure("the same, p99", "ms", with_disk.login_p99),
                Figure("without a disk, p50", "ms", without.login_p50),
                Figure("the same, p99", "ms", without.login_p99),
            ],
        )
    ]


def _run(folder: Path, options: tuple[str, ...], first: int, runs: Runs) -> None:
    command = [sys.executable, "-m", "benchmarks.watched_daemon", *options]
    env = {"OIG_RUN_DIR": str(folder), "OIG_MAX_SESSIONS": "1000000", **FILLING}
    path = folder / "cache.sock"
    with running(command, env=env, stdout=subprocess.PIPE) as process:
        wait_until(lambda: answers(path), "the cache daemon")
        begin = time.monotonic()
        times = asyncio.run(_logged_in(path, first))
        end = time.monotonic()
        process.terminate()
        assert process.stdout is not None
        naps = json.load(process.stdout)
    pairs = zip(naps["began"], naps["late"], strict=True)
    late = sorted(seconds for began, seconds in pairs if begin <= began <= end)
    runs.latest.append(late[-1] * MS)
    runs.late_p99.append(late[len(late) * 99 // 100] * MS)
    runs.login_p50.append(times[len(times) // 2] * MS)
    runs.login_p99.append(times[len(times) * 99 // 100] * MS)


async def _logged_in(path: Path, first: int) -> list[float]:
    """Log accounts in at an even pace; return how long each session took to be confirmed."""
    client, times = client_of(path), []

    async def log_in(number: int) -> None:
        ask = asked(number)
        lease = await client.call(ask)
        turn = await client.call(AskTurn(ask.account))
        if not isinstance(lease, Lease) or not isinstance(turn, Turn):
            raise WrongAnswer(f"a lease and a turn were expected, not {lease!r} and {turn!r}")
        begin = time.perf_counter()
        fulfil = Fulfil("login", ask.account, ask.key, lease.token, value(number), TTL)
        if not isinstance(await client.call(fulfil), Done):
            raise WrongAnswer("a session was not stored")
        times.append(time.perf_counter() - begin)

    try:
        begin = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(PER_SECOND * SECONDS):
                await asyncio.sleep(begin + number / PER_SECOND - time.monotonic())
                group.create_task(log_in(first + number))
    finally:
        await client.aclose()
    return sorted(times)
