"""Random operations on what all workers share, by several clients that leave at any moment.

Every value names the account and the key that it was stored under, so a reply to another caller
shows at once, whatever it is a reply to.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, Protocol

import psutil

from benchmarks.filling import FILLING, account, key, shared_client_of, source
from benchmarks.system import daemon, scratch
from server.cache.blocking import BlockingClient
from server.cache.client import CacheClient
from server.cache.hello import Hello
from server.errors import CacheUnavailable
from server.state.vocabulary import (
    Ask,
    Fail,
    Forget,
    Found,
    Fulfil,
    Get,
    Hit,
    Lease,
    Outcome,
    Put,
    Request,
)
from server.version import program_version

from . import drill as told
from .drill import Drill, Extent
from .ground import Ground
from .shared_server import shared_server
from .waiting import until

ACCOUNTS: Final = 256
CLIENTS: Final = 4
DRIVERS: Final = 64
"""How many ask at once, over so few connections."""

CANCELLED: Final = 0.05
"""Part of the requests whose caller gives up before it has an answer."""

LEAVES_EVERY: Final = 500
"""Operations after which a client, in turn, closes its connection and makes another."""

TTL: Final = 3600.0

KEPT_MIB: Final = 16.0
"""Memory by which a process may grow over the last four fifths of the operations."""

HANGS: Final = 120.0
"""Seconds after which a request, which may wait for the lease of another one, hangs."""

REST: Final = 30.0
"""Seconds until everything that clients held is given back once they are gone."""


class Client(Protocol):
    """Asks what all workers share."""

    async def call(self, request: Request) -> Outcome:
        """Ask, as `state.remote.Client`."""
        ...

    async def aclose(self) -> None:
        """Close the connection."""
        ...


def question(number: int, which: int) -> bytes:
    """Return the key of a question to the portal."""
    return hashlib.sha256(b"question %d %d" % (number, which)).digest()


def value(name: bytes, under: bytes) -> bytes:
    """Return a value that names its account and key."""
    return b"of " + name + under + b"." * 100


@dataclass
class Churn:
    """Drivers that operate until so many operations are done.

    Attributes:
        done: Operations so far.
        kinds: What they came to.
        wrong: Answers with values of another account or key, and errors that are not typed.
    """

    connect: Callable[[], Client]
    count: int
    seed: int
    done: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    async def run(self, looked: Callable[[], None]) -> None:
        """Operate; call `looked` after a fifth, when caches are filled."""
        self._chance = Random(self.seed)
        self._clients = [self.connect() for _ in range(CLIENTS)]
        self._look_at, self._looked = self.count // 5, looked
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(DRIVERS):
                    group.create_task(self._drive(number % CLIENTS))
        finally:
            for one in self._clients:
                await one.aclose()

    async def _drive(self, slot: int) -> None:
        while self.done < self.count and not self.wrong:
            self.done += 1
            if self.done == self._look_at:
                self._looked()
            if self.done % LEAVES_EVERY == 0:
                await self._leave()
            with contextlib.suppress(CacheUnavailable):
                await self._operate(slot)

    async def _leave(self) -> None:
        slot = self.done // LEAVES_EVERY % CLIENTS
        gone, self._clients[slot] = self._clients[slot], self.connect()
        await gone.aclose()

    async def _operate(self, slot: int) -> None:
        chance = self._chance
        number = chance.randrange(ACCOUNTS)
        name, login = account(number), key(number)
        asked = question(number, chance.randrange(3))
        draw = chance.random()
        if draw < 0.35:
            await self._login(slot, Ask("login", name, login, source(number)))
        elif draw < 0.38:
            await self._answer(slot, Ask("answer", name, asked))
        elif draw < 0.80:
            questions = (asked, question(number, 0))
            found = await self._call(slot, Get(account=name, key=login, questions=questions))
            if isinstance(found, Found):
                self._check(found.session, name, login)
                for one, under in zip(found.answers, questions, strict=True):
                    self._check(one, name, under)
        elif draw < 0.97:
            await self._call(slot, Put("answer", name, asked, value(name, asked), TTL))
        elif draw < 0.99:
            await self._call(slot, Get(account=account(-number - 1), key=login))
        elif draw < 0.999:
            await self._call(slot, Put("answer", name, asked, value(name, asked), TTL))
        else:
            await self._call(slot, Forget("login", name, login))

    async def _login(self, slot: int, ask: Ask) -> None:
        found = await self._call(slot, ask)
        if isinstance(found, Hit):
            self._check(found, ask.account, ask.key)
        elif isinstance(found, Lease):
            self._check(found.session, ask.account, ask.key)
            stored = value(ask.account, ask.key)
            if self._chance.random() < 0.9:
                made = Fulfil("login", ask.account, ask.key, found.token, stored, TTL)
                await self._call(slot, made)
            else:
                await self._call(slot, Fail("login", ask.account, ask.key, found.token, "timeout"))

    async def _answer(self, slot: int, ask: Ask) -> None:
        found = await self._call(slot, ask)
        if isinstance(found, Hit):
            self._check(found, ask.account, ask.key)
        elif isinstance(found, Lease):
            if found.session is not None:
                self._check(found.session, ask.account, key_of(ask.account))
            stored = value(ask.account, ask.key)
            made = Fulfil("answer", ask.account, ask.key, found.token, stored, TTL)
            await self._call(slot, made)

    async def _call(self, slot: int, request: Request) -> Outcome | None:
        call = asyncio.ensure_future(self._clients[slot].call(request))
        # Who holds a lease says how it ended, as a worker does however its caller ends.
        if not isinstance(request, Fulfil | Fail) and self._chance.random() < CANCELLED:
            for _ in range(self._chance.randrange(4)):
                await asyncio.sleep(0)
            call.cancel()
        try:
            async with asyncio.timeout(HANGS):
                found = await call
        except asyncio.CancelledError:
            self.kinds["given up"] += 1
            return None
        except TimeoutError:
            self.wrong.append(f"{type(request).__name__} hung for {HANGS:.0f} s")
            return None
        except CacheUnavailable:
            self.kinds["cut off"] += 1
            raise
        except Exception as exc:  # noqa: BLE001 - whatever else is raised is what is looked for
            self.wrong.append(f"{type(request).__name__} raised {exc!r}"[:200])
            return None
        self.kinds[type(found).__name__.lower()] += 1
        return found

    def _check(self, hit: Hit | None, name: bytes, under: bytes) -> None:
        if hit is not None and hit.value != value(name, under):
            self.wrong.append(f"{self.done}: a value of another account or key")


KEYS: Final = {account(number): key(number) for number in range(ACCOUNTS)}


def key_of(name: bytes) -> bytes:
    """Return the key of the session of an account."""
    return KEYS[name]


class Watched:
    """Processes whose memory and descriptors are looked at, this one among them."""

    def __init__(self, *pids: int) -> None:
        self._all = [psutil.Process(), *map(psutil.Process, pids)]
        self._rss: list[int] = []
        self._base: list[int] = []

    def begin(self) -> None:
        """Take note of the descriptors as the base."""
        self._base = self._descriptors()

    def look(self) -> None:
        """Take note of the memory as the base."""
        gc.collect()
        self._rss = [one.memory_info().rss for one in self._all]

    def grown_mib(self) -> float:
        """Return by how much the memory of any grew since then."""
        gc.collect()
        return max(
            (one.memory_info().rss - before) / 2**20
            for one, before in zip(self._all, self._rss, strict=True)
        )

    def _descriptors(self) -> list[int]:
        return [one.num_fds() for one in self._all]

    def at_rest(self) -> bool:
        """Whether there are no more descriptors than at its base."""
        now = self._descriptors()
        return all(one <= before for one, before in zip(now, self._base, strict=True))


async def _churned(churn: Churn, watched: Watched, held: Callable[[], str]) -> str:
    """Operate, and wait until all is given back; return what was not."""
    # What is opened once, by whom, is open before the base is taken.
    await Churn(churn.connect, 2 * DRIVERS, churn.seed).run(lambda: None)
    await until("the first operations have ended", lambda: not held(), REST)
    watched.begin()
    tasks = len(asyncio.all_tasks())
    await churn.run(watched.look)
    try:
        await until("all is given back", lambda: not held() and watched.at_rest(), REST)
        await until("tasks have ended", lambda: len(asyncio.all_tasks()) <= tasks, REST)
    except AssertionError as exc:
        return f"{exc}: {held()}"
    return ""


def _outcome(churn: Churn, watched: Watched, left: str, begun: float) -> told.Outcome:
    seconds = time.monotonic() - begun
    grown = watched.grown_mib()
    kinds = ", ".join(f"{count} {what}" for what, count in churn.kinds.most_common())
    wrong = churn.wrong[0] if churn.wrong else left or "0 wrong, all given back"
    return told.Outcome(
        not churn.wrong and not left and grown <= KEPT_MIB and churn.done >= churn.count,
        f"{wrong}; memory {grown:+.1f} MiB; {kinds}",
        f"{churn.done} operations, {churn.done / seconds:.0f}/s",
    )


def worker_of(path: Path) -> CacheClient:
    """Return a client that a daemon takes for a worker, and so tells what was dropped."""
    return CacheClient(path, Hello.of("drill", os.getpid(), program_version()), timeout=10.0)


def over_daemon(_: Ground, extent: Extent) -> told.Outcome:
    """Operate on a cache daemon."""
    with scratch() as folder, daemon(folder, **FILLING) as pid:
        path = folder / "cache.sock"
        watched, begun = Watched(pid), time.monotonic()
        churn = Churn(lambda: worker_of(path), extent.times, 6)
        left = asyncio.run(_churned(churn, watched, lambda: _held(path)))
        return _outcome(churn, watched, left, begun)


def _held(path: Path) -> str:
    """Say what a daemon holds of clients that are gone; nothing if it holds nothing."""
    with BlockingClient(path, 10.0) as client:
        (stats,) = client.call("stats", None)
    named = {name: stats[name] for name in ("leases", "fetches", "waiting", "connections")}
    named["connections"] -= 1
    return ", ".join(f"{count} {name}" for name, count in named.items() if count)


def over_valkey(_: Ground, extent: Extent) -> told.Outcome:
    """Operate on a shared storage."""
    with shared_server() as server:
        watched, begun = Watched(server.process.pid), time.monotonic()
        churn = Churn(lambda: shared_client_of(server.url), extent.times, 7)
        left = asyncio.run(_churned(churn, watched, lambda: ""))
        return _outcome(churn, watched, left, begun)


WHOLE = (
    "no answer to the wrong caller; memory of each process +16 MiB at most, descriptors, tasks, "
    "leases and waits as before within 30 s"
)

DRILLS = (
    Drill(
        "operations-daemon",
        "four clients send random operations to the cache daemon, give up on some, and disconnect",
        WHOLE,
        Extent(times=1_000_000),
        Extent(times=2_000),
        over_daemon,
        place="aside",
    ),
    Drill(
        "operations-valkey",
        "four clients send random operations to a shared storage, give up on some, and disconnect",
        WHOLE,
        Extent(times=1_000_000),
        Extent(times=3_000),
        over_valkey,
        load=True,
        place="aside",
    ),
)
