"""Looks clients up at their addresses, with limits of number and rate, and caches the results."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from ..http.refusal_log import RefusalLog
from ..sources import networks_of
from .clients import Client, document_site

FRESH = 3600.0
"""Seconds for which a document stands."""

GOOD = 86400.0
"""Seconds for which it is still used when a new one cannot be fetched."""

MISSING = 60.0
"""Seconds for which nothing is fetched again where there was nothing, or where it was slow."""

SLOW = 2.0
"""Seconds after which a fetch counts as slow. The documents of real clients take a tenth."""

MOST_CACHED = 256
"""Documents cached, and as many addresses without one. Real clients are a dozen."""

MOST_AT_ONCE = 3
"""Documents that are fetched or wait for their turn. Each takes five seconds at worst."""

BUSY_SECONDS = 5.0
"""Retry time for a caller that finds no place: another fetch has ended by then."""

BUSY = "Too many are looked up at once."

NO_ANSWER = (
    "Nobody answers there. The server itself connects, at port 443 and past any proxy; where it "
    "cannot, OIG_CLIENT_DOCUMENTS=off has clients register instead (add the server to them again)."
)


class NobodyAnswers(Exception):
    """An address cannot be reached, so it is unknown what lies there."""


class NotNow(Exception):
    """It is unknown whether there is such a client: it cannot be looked up at the moment.

    Attributes:
        seconds: After which another try makes sense.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__("The client cannot be looked up at the moment.")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class _Cached:
    client: Client
    fresh_until: float
    good_until: float
    granted: bool


@dataclass(frozen=True, slots=True)
class _UnderWay:
    task: asyncio.Task[Client | NotNow | None]
    site: str
    network: str | None


class Lookups:
    """Looks clients up, one at a time, and caches the results.

    Args:
        look: Gives the bytes at an address, None for nothing; raises `NobodyAnswers`. It may block.
        read: Reads them; None if they are not a document of this address.
        spacing: Seconds between two fetches, at least.
        strange: Whether the sites are unknown ones: each gets one place, and none for a while
            once it was slow.
        now: Seconds on a clock that never goes back.
        sleep: Waits for some seconds of it.
    """

    def __init__(
        self,
        look: Callable[[str], bytes | None],
        read: Callable[[str, bytes], Client | None],
        *,
        spacing: float,
        strange: bool,
        now: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._look = look
        self._read = read
        self._spacing = spacing
        self._strange = strange
        self._now = now
        self._sleep = sleep
        self._cached: dict[str, _Cached] = {}
        self._missing: dict[str, float] = {}
        self._slow: dict[str, float] = {}
        self._unanswered: dict[str, float] = {}
        self._under_way: dict[str, _UnderWay] = {}
        self._turn = asyncio.Lock()
        self._next = 0.0
        self._log = RefusalLog()

    async def find(self, client_id: str, source: str | None) -> Client | None:
        """Return the client that the document at an address describes; None if there is none.

        Args:
            client_id: The address, which `document_site` reads.
            source: The caller; None for one without a limit.

        Raises:
            NotNow: There is no place, or its site was slow or did not answer a moment ago.
        """
        # 1. A fresh document is used. 2. A caller during its fetch waits for that one.
        # 3. Where there was nothing a moment ago, nothing is fetched; nor where there is no place.
        #    The document before is used while it is good.
        now = self._now()
        cached = self._cached.get(client_id)
        if cached is not None and now < cached.fresh_until:
            return cached.client
        old = cached.client if cached is not None and now < cached.good_until else None
        under_way = self._under_way.get(client_id)
        if under_way is None:
            if now < self._missing.get(client_id, 0.0):
                return old
            network = None if source is None else networks_of(source).site
            seconds = self._held_back(client_id, network, now)
            if seconds is not None:
                if old is None:
                    raise NotNow(seconds)
                return old
            task = asyncio.create_task(self._look_up(client_id, old))
            under_way = _UnderWay(task, _site(client_id), network)
            self._under_way[client_id] = under_way
            task.add_done_callback(lambda _: self._under_way.pop(client_id, None))
        # Shielded: others may wait for it, too.
        found = await asyncio.shield(under_way.task)
        if isinstance(found, NotNow):
            raise NotNow(found.seconds)
        return found

    def granted(self, client_id: str) -> None:
        """Know that an owner has let this client in: it gives way only to others like it."""
        if (cached := self._cached.get(client_id)) is not None:
            self._cached[client_id] = replace(cached, granted=True)

    async def aclose(self) -> None:
        """Stop waiting for what is fetched; a fetch itself ends by its own limit."""
        tasks = [one.task for one in self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _held_back(self, client_id: str, network: str | None, now: float) -> float | None:
        # 1. What was slow waits, so that one site does not take turn after turn: all addresses of
        #    an unknown site; one address at a known site, where strangers choose the path.
        # 2. So does an address that did not answer; not its site, since strangers may share the
        #    end of its name.
        # 3. Each unknown site has one place, and so has each network that asks.
        until = max(
            self._slow.get(self._slow_key(client_id), now), self._unanswered.get(client_id, now)
        )
        if now < until:
            return until - now
        others = self._under_way.values()
        no_place = (
            len(others) >= MOST_AT_ONCE
            or (self._strange and any(one.site == _site(client_id) for one in others))
            or (network is not None and any(one.network == network for one in others))
        )
        if not no_place:
            return None
        self._log("to look up a client at", client_id, BUSY)
        return BUSY_SECONDS

    def _slow_key(self, client_id: str) -> str:
        return _site(client_id) if self._strange else client_id

    async def _look_up(self, client_id: str, old: Client | None) -> Client | NotNow | None:
        async with self._turn:
            await self._sleep(max(0.0, self._next - self._now()))
            began = self._now()
            self._next = began + self._spacing
            try:
                body, answered = await asyncio.to_thread(self._look, client_id), True
            except NobodyAnswers:
                body, answered = None, False
        now = self._now()
        slow = now - began >= SLOW
        if slow:
            _put(self._slow, self._slow_key(client_id), now + MISSING)
        if not answered:
            _put(self._unanswered, client_id, now + MISSING)
            self._log("to look up a client at", client_id, NO_ANSWER)
        client = None if body is None else self._read(client_id, body)
        if client is not None:
            self._store(client, now)
            return client
        if body is not None:
            # It is now another client's, or wrong: the old one is no longer valid. When it merely
            # cannot be fetched, the old one stays valid for a while.
            self._cached.pop(client_id, None)
        elif old is None and (slow or not answered):
            return NotNow(MISSING)  # nobody has said that there is none
        _put(self._missing, client_id, now + MISSING)
        return old if body is None else None

    def _store(self, client: Client, now: float) -> None:
        before = self._cached.pop(client.id, None)
        granted = before is not None and before.granted
        self._cached[client.id] = _Cached(client, now + FRESH, now + GOOD, granted)
        if len(self._cached) > MOST_CACHED:
            # 1. One that nobody has let in. 2. Of the site with the most, so that a site with many
            # pushes out its own. 3. The one that was fetched longest ago.
            rivals = [one for one, cached in self._cached.items() if not cached.granted]
            rivals = rivals or list(self._cached)
            many = Counter(map(_site, rivals))
            del self._cached[max(rivals, key=lambda one: many[_site(one)])]


def _site(client_id: str) -> str:
    """Return the last two labels of an address's host: its owner has any number of hosts below.

    Where they are a registry's (`co.uk`), strangers share one turn, which costs them some seconds.
    """
    host = document_site(client_id)
    assert host is not None
    return ".".join(host.split(".")[-2:])


def _put(table: dict[str, float], key: str, until: float) -> None:
    table.pop(key, None)
    table[key] = until
    if len(table) > MOST_CACHED:
        del table[next(iter(table))]  # the one that was put there longest ago
