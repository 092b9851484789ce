"""Accounts over a real server, in houses whose clock stands still."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from server.state import encoding
from server.state.limits import Limits, Policy
from server.state.storage import of_account
from server.state.valkey import ValkeyStorage
from server.state.valkey_answers import HEADER
from server.state.valkey_clock import ServerClock

from .accounts_house import House
from .stepped import SteppedLoop
from .valkey_servers import Server, client_at

DAY_MS = 86_400_000

PREFIXES = itertools.count()


def new_prefix() -> bytes:
    """Return a prefix under which a server has no value yet."""
    return b"%d:" % next(PREFIXES)


class StillClock(ServerClock):
    """The clock of a test, while the server's goes on as it does."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock, clock)

    def learn(self, seconds: float, sent: float) -> None:
        pass


def stepped(
    kind: type[ValkeyStorage], server: Server, limits: Limits, loop: SteppedLoop, prefix: bytes
) -> ValkeyStorage:
    """Return a storage that goes by the clock of a test, while the server's goes on as it does."""

    storage = kind(client_at(server.unix_url), limits, StillClock(loop.time), prefix=prefix)
    # Of the server's clock: longer than any test takes.
    storage._connection.milliseconds = lambda _: DAY_MS
    storage._notices.quiet = None  # of real time as well
    loop.waits_for.append(lambda: storage.is_busy)
    loop.wait(storage.open())
    return storage


class ValkeyHouse(House):
    """A house over a server. What a storage in memory counts is looked up instead."""

    @property
    def shared(self) -> ValkeyStorage:
        return cast("ValkeyStorage", self.storage)

    def stat(self, name: str) -> Any:
        there = super().stat
        match name:
            case "sessions":
                return len(self._sessions())
            case "bytes":
                return sum(self._sessions())
            case "answers" | "answers_bytes" | "answers_put":
                rooms = (b"p", b"b") if name == "answers_put" else (b"f",)
                values = [one for room in rooms for one in self._values(room)]
                sizes = [len(one) - HEADER.size for one in values]
                return sum(sizes) if name == "answers_bytes" else len(sizes)
            case "accounts" | "notes":
                return len(self._values(b"a" if name == "accounts" else b"h"))
            case _:
                return there(name)

    def _sessions(self) -> list[int]:
        return self.loop.wait(self._sizes())

    def left(self) -> list[Any]:
        """As of any house: what others left in the turns is theirs."""
        waiting = self.accounts._rounds.room.turns._turns.waiting
        others = {one: place for one, place in waiting.items() if place.owner != self.shared.owner}
        return [one for one in super().left() if one != others]

    def tidy(self) -> None:
        """Have all accounts looked at: a server drops what is over, and counts nothing."""

        async def look() -> None:
            accounts = [account async for account, _ in self.storage.accounts()]
            for account in accounts:
                await self.accounts.upkeep._refresh(of_account(account))

        self.loop.wait(look())

    def _values(self, kind: bytes) -> list[bytes]:
        async def found() -> list[bytes]:
            return [data async for _, data in self.shared._values(kind)]

        return self.loop.wait(found())

    async def _sizes(self) -> list[int]:
        now, epoch = self.storage.now(), self.storage.epochs.sessions
        headers = [encoding.header_of(data) async for _, data in self.storage.accounts()]
        return [
            one.value_size
            for one in headers
            if one.value_size and one.expires > now and one.flushed == epoch
        ]


@contextmanager
def houses_over(
    server: Server, kind: type[ValkeyStorage] = ValkeyStorage
) -> Iterator[Callable[..., ValkeyHouse]]:
    """Build any number of houses over one server, each with values of its own."""
    built: list[ValkeyHouse] = []

    def build(policy: Policy | None = None, **limits: Any) -> ValkeyHouse:
        built.append(_house(server, kind, new_prefix(), policy, **limits))
        return built[-1]

    try:
        yield build
    finally:
        for house in built:
            house.close()
        with server.client() as client:
            client.flushall()


@contextmanager
def hosts_over(
    server: Server, kind: type[ValkeyStorage] = ValkeyStorage
) -> Iterator[Callable[..., list[ValkeyHouse]]]:
    """Build some houses that share a server, a clock and all values, as processes of hosts do."""
    loop, built, prefix = SteppedLoop(), [], new_prefix()

    def build(count: int = 2, policy: Policy | None = None, **limits: Any) -> list[ValkeyHouse]:
        more = [_house(server, kind, prefix, policy, loop, **limits) for _ in range(count)]
        built.extend(more)
        for house in more:
            loop.hear("it is subscribed", lambda of=house: of.shared._notices.since is not None)
        return more

    try:
        yield build
    finally:
        for house in built:
            house.close()
        loop.close()
        with server.client() as client:
            client.flushall()


def _house(
    server: Server,
    kind: type[ValkeyStorage],
    prefix: bytes,
    policy: Policy | None,
    loop: SteppedLoop | None = None,
    **limits: Any,
) -> ValkeyHouse:
    def storage(limits: Limits, loop: SteppedLoop) -> ValkeyStorage:
        return stepped(kind, server, limits, loop, prefix)

    return ValkeyHouse(policy, storage, loop, **limits)


def house_at(
    server: Server, prefix: bytes, policy: Policy, now: float, **limits: Any
) -> ValkeyHouse:
    """Build a house over the values under a prefix, whose clock begins at a time."""
    loop = SteppedLoop()
    loop.now = now
    house = _house(server, ValkeyStorage, prefix, policy, loop, **limits)
    house._ends_loop = True
    return house
