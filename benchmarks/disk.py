"""What it costs the cache daemon that a crash loses nothing that was confirmed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from server.cache.backing import SqliteBacking
from server.state.accounts import Accounts
from server.state.limits import Policy
from server.state.memory import MemoryStorage
from server.state.vocabulary import Done, Fulfil, Lease, Put

from .effort import Effort
from .filling import LIMITS, TTL, account, asked, key, value
from .naps import Naps
from .result import Budget, Figure, Line, WrongAnswer
from .system import scratch

LATE = Budget("at most", 20.0)

PER_SECOND = 100
SECONDS = 5
AT_ONCE = 500
STORING = 16

MS = 1e3

BARE = "latest that it was without a disk"


class House:
    """Accounts over a storage in memory, with the disk behind it or without."""

    def __init__(self, folder: Path | None) -> None:
        self.backing: SqliteBacking | None = None
        restored = None
        if folder is not None:
            self.backing = SqliteBacking(folder / "sessions.snapshot")
            restored = self.backing.restore()
        self.storage = MemoryStorage(LIMITS, backing=self.backing, restored=restored)
        self.accounts = Accounts(self.storage, LIMITS, Policy())
        if self.backing is not None:
            self.backing.start(self.storage.now, self.storage.put_all)

    async def log_in(self, number: int) -> float:
        """Store the session of a login; return the seconds until that was confirmed."""
        ask = asked(number)
        lease = await self.accounts.call(ask)
        if not isinstance(lease, Lease):
            raise WrongAnswer(f"a lease was expected, not {type(lease).__name__}")
        return await self._confirmed(
            Fulfil("login", ask.account, ask.key, lease.token, value(number), TTL)
        )

    async def put(self, number: int) -> float:
        """Store a session without a login, which has its turn; return the same."""
        return await self._confirmed(
            Put("session", account(number), key(number), value(number), TTL)
        )

    async def _confirmed(self, request: Fulfil | Put) -> float:
        begin = time.perf_counter()
        done = await self.accounts.call(request)
        if done != Done():
            raise WrongAnswer(f"a session was not stored: {type(done).__name__}")
        return time.perf_counter() - begin


def behind_logins(effort: Effort) -> list[Line]:
    """Measure logins with a disk behind them and without: alone, in a crowd, very many."""
    calm, crowd, filling, starts, weights = [], [], [], [], []
    p50, p99, confirmed, full = [], [], [], []
    bare: dict[str, list[float]] = {"calm": [], "crowd": [], "filling": []}
    for _ in range(effort.pairs):
        with scratch() as folder:
            times, late = asyncio.run(_calm(folder))
            calm.append(late * MS)
            p50.append(times[len(times) // 2] * MS)
            p99.append(times[len(times) * 99 // 100] * MS)
        bare["calm"].append(asyncio.run(_calm(None))[1] * MS)
        with scratch() as folder:
            seconds, late = asyncio.run(_crowd(folder))
            confirmed.append(seconds * MS)
            crowd.append(late * MS)
        bare["crowd"].append(asyncio.run(_crowd(None))[1] * MS)
    for _ in range(effort.fills):
        with scratch() as folder:
            seconds, late = asyncio.run(filled(folder, effort.many))
            full.append(seconds)
            filling.append(late * MS)
            weights.append((folder / "sessions.db").stat().st_size / effort.many)
            begin = time.perf_counter()
            restored = asyncio.run(_started(folder))
            starts.append(time.perf_counter() - begin)
            if restored != effort.many:
                raise WrongAnswer(f"{restored} of {effort.many} sessions were there after restart")
        bare["filling"].append(asyncio.run(filled(None, effort.many))[1] * MS)
    return [
        Line(
            f"latest that the loop was, {PER_SECOND} logins a second",
            unit="ms",
            values=calm,
            budget=LATE,
            figures=[
                Figure("a login until it is confirmed, p50", "ms", p50),
                Figure("the same, p99", "ms", p99),
                Figure(BARE, "ms", bare["calm"]),
            ],
        ),
        Line(
            f"latest that the loop was, {AT_ONCE} sessions stored at once",
            unit="ms",
            values=crowd,
            figures=[
                Figure("until the last one was confirmed", "ms", confirmed),
                Figure(BARE, "ms", bare["crowd"]),
            ],
        ),
        Line(
            f"latest that the loop was while {effort.many} sessions were stored",
            unit="ms",
            values=filling,
            budget=LATE,
            figures=[Figure("until all were", "s", full), Figure(BARE, "ms", bare["filling"])],
        ),
        Line(
            f"start with {effort.many} sessions on the disk",
            unit="s",
            values=starts,
            figures=[Figure("bytes on the disk per account", "bytes", weights)],
        ),
    ]


async def _calm(folder: Path | None) -> tuple[list[float], float]:
    house, naps, times = House(folder), Naps(), []

    async def one(number: int) -> None:
        times.append(await house.log_in(number))

    async with naps.taken(), asyncio.TaskGroup() as group:
        for number in range(SECONDS * PER_SECOND):
            group.create_task(one(number))
            await asyncio.sleep(1.0 / PER_SECOND)
    await house.accounts.stop()
    return sorted(times), naps.latest


async def _crowd(folder: Path | None) -> tuple[float, float]:
    house, naps = House(folder), Naps()
    begin = time.perf_counter()
    async with naps.taken(), asyncio.TaskGroup() as group:
        for number in range(AT_ONCE):
            group.create_task(house.put(number))
    seconds = time.perf_counter() - begin
    await house.accounts.stop()
    return seconds, naps.latest


async def filled(folder: Path | None, many: int) -> tuple[float, float]:
    """Store many sessions in a folder, or in memory.

    Returns:
        Seconds until all were confirmed, and the most seconds that the loop was late.
    """
    house, naps, numbers = House(folder), Naps(), iter(range(many))

    async def some() -> None:
        for number in numbers:
            await house.put(number)

    begin = time.perf_counter()
    async with naps.taken(), asyncio.TaskGroup() as group:
        for _ in range(STORING):
            group.create_task(some())
    seconds = time.perf_counter() - begin
    await house.accounts.stop()
    return seconds, naps.latest


async def _started(folder: Path) -> object:
    house = House(folder)
    sessions = house.storage.stats()["sessions"]
    await house.accounts.stop()
    return sessions
