"""What the portal says, asked once for everybody.

Answers are shared through the cache daemon, sealed like sessions: any number of calls in all
workers cost one request per account within an answer's time. A session that turns out to be dead
is dropped, replaced by one login, and the read repeated once.
"""

from __future__ import annotations

import contextlib
import json
import time
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, Protocol

from .access import Access, Granted
from .cache.outcomes import EXPIRED, Hit, Lease, Unavailable
from .detached import Detached
from .errors import (
    CacheUnavailable,
    PortalError,
    PortalUnexpected,
    SessionError,
    SessionExpired,
)
from .sealing import Keys, Sealer
from .sessions import RETRY_AFTER, unavailable
from .store import AnswerStore

LIVE_TTL = 30.0
HISTORY_TTL = 300.0

MAX_SHARED_BYTES = 48 * 1024
"""Longest sealed answer that is shared; a longer one serves its caller only."""

Source = Literal["live", "cached"]


class ReadingPortal(Protocol):
    """What is read of OIG Cloud here; all raise SessionExpired or a PortalError."""

    async def read_live(self, session_id: str) -> dict[str, object]:
        """Return the live snapshot of all boxes."""
        ...

    async def read_history(
        self, session_id: str, name: str, first: date, last: date
    ) -> dict[str, object]:
        """Return one series of history."""
        ...

    async def read_notifications(self, session_id: str) -> str:
        """Return the notifications' HTML."""
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer of the portal.

    Attributes:
        payload: Decoded JSON, or text.
        at: Seconds since 1970 when the portal gave it.
        source: Whether this call asked the portal, or an earlier one had.
    """

    payload: Any
    at: float
    source: Source


class Upstream:
    """Reads the portal for callers.

    Args:
        store: Shared answers.
        access: Replaces a session that turns out to be dead.
        portal: OIG Cloud.
        sealer: Seals answers.
        live_ttl: Seconds a live answer is shared; the box reports every few seconds at best.
        history_ttl: The same for history and notifications: the box uploads them every 5 minutes.
        wall: Seconds since 1970.
    """

    def __init__(
        self,
        store: AnswerStore,
        access: Access,
        portal: ReadingPortal,
        sealer: Sealer,
        *,
        live_ttl: float = LIVE_TTL,
        history_ttl: float = HISTORY_TTL,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._access = access
        self._portal = portal
        self._sealer = sealer
        self._live_ttl = live_ttl
        self._history_ttl = history_ttl
        self._wall = wall
        self._fetches = Detached[Fetched]()

    async def live(self, granted: Granted) -> Fetched:
        """Return the live snapshot of all boxes of the caller's account."""
        return await self._shared(granted, "live", self._live_ttl, self._portal.read_live)

    async def history(self, granted: Granted, name: str, first: date, last: date) -> Fetched:
        """Return one series of history of the caller's account."""

        async def read(session_id: str) -> dict[str, object]:
            return await self._portal.read_history(session_id, name, first, last)

        what = f"history {name} {first} {last}"
        return await self._shared(granted, what, self._history_ttl, read)

    async def notifications(self, granted: Granted) -> Fetched:
        """Return the notifications' HTML of the caller's account."""
        return await self._shared(
            granted, "notifications", self._history_ttl, self._portal.read_notifications
        )

    async def aclose(self) -> None:
        """Stop the reads that are under way and give their leases back."""
        await self._fetches.aclose()

    async def _shared(
        self, granted: Granted, what: str, ttl: float, read: Callable[[str], Awaitable[object]]
    ) -> Fetched:
        key = self._sealer.answer_key(granted.keys, what)
        try:
            outcome = await self._store.share(key, granted.keys.account)
            if isinstance(outcome, Unavailable) and outcome.reason == EXPIRED:
                # The session of whoever asked for all was dead: now one of those who waited asks.
                outcome = await self._store.share(key, granted.keys.account)
        except CacheUnavailable:
            return await self._fetch(granted, read)
        match outcome:
            case Hit(value=value):
                kept = self._opened(granted.keys, key, value)
                # An answer that does not open was sealed under another secret: ask for ourselves.
                return kept or await self._fetch(granted, read)
            case Lease(token=token):
                return await self._fetches.run(self._lead(granted, key, token, ttl, read))
            case Unavailable(reason=reason) if reason == EXPIRED:
                return await self._fetch(granted, read)
            case Unavailable(reason=reason, retry_after=seconds):
                raise unavailable(reason, seconds)
            case _:
                raise PortalUnexpected("The session cache gave an answer that fits no question.")

    async def _lead(
        self,
        granted: Granted,
        key: bytes,
        token: bytes,
        ttl: float,
        read: Callable[[str], Awaitable[object]],
    ) -> Fetched:
        """Ask the portal for all who wait for the answer, and tell them."""
        try:
            fetched = await self._fetch(granted, read)
        except PortalError as exc:
            await self._abstain(key, token, exc.reason, exc.retry_after or RETRY_AFTER)
            raise
        except SessionError:
            # What is wrong with this caller's session says nothing about the next one's.
            await self._abstain(key, token, EXPIRED, 0.0)
            raise
        except BaseException:
            await self._abstain(key, token, "shutdown", 1.0)
            raise
        value = self._sealed(granted.keys, key, fetched)
        with contextlib.suppress(CacheUnavailable):
            if len(value) <= MAX_SHARED_BYTES:
                await self._store.answer(key, token, value, ttl)
            else:
                await self._abstain(key, token, "unexpected", 1.0)
        return fetched

    async def _fetch(self, granted: Granted, read: Callable[[str], Awaitable[object]]) -> Fetched:
        """Read, and once more after one login if the session turns out to be dead."""
        try:
            payload = await read(granted.session.id)
        except SessionExpired:
            granted = await self._access.renew(granted)
            try:
                payload = await read(granted.session.id)
            except SessionExpired:
                raise PortalUnexpected(
                    "OIG Cloud does not accept a session that it gave a moment ago. The fault is "
                    "the portal's; try again later.",
                    retry_after=60.0,
                ) from None
        return Fetched(payload, self._wall(), "live")

    async def _abstain(self, key: bytes, token: bytes, reason: str, retry_after: float) -> None:
        with contextlib.suppress(CacheUnavailable):
            await self._store.abstain(key, token, reason, retry_after)

    def _sealed(self, keys: Keys, key: bytes, fetched: Fetched) -> bytes:
        plain = json.dumps([fetched.at, fetched.payload], separators=(",", ":")).encode()
        return self._sealer.seal_answer(keys, key, zlib.compress(plain))

    def _opened(self, keys: Keys, key: bytes, value: bytes) -> Fetched | None:
        plain = self._sealer.open_answer(keys, key, value)
        if plain is None:
            return None
        at, payload = json.loads(zlib.decompress(plain))
        return Fetched(payload, at, "cached")
