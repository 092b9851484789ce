"""What the portal says, asked once for everybody.

Answers are shared through the cache daemon, sealed like sessions: any number of calls in all
workers cost one request per account within an answer's time. A session that turns out to be dead
is dropped, replaced by one login, and the read repeated once. Whatever is asked of the portal for
an account takes its turn in the daemon, so that requests keep their distance and stop when the
portal asks for fewer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, Protocol

from ..auth.access import Access
from ..auth.caller import Granted
from ..auth.sealing import Keys, Sealer
from ..auth.sessions import RETRY_AFTER, unavailable
from ..cache.limits import ANSWER_MAX_BYTES, KEY_BYTES
from ..cache.outcomes import EXPIRED, TURN, Hit, Lease, Unavailable
from ..detached import Detached
from ..errors import (
    CacheUnavailable,
    CacheUnusable,
    PortalError,
    PortalUnexpected,
    SessionError,
    SessionExpired,
)
from ..readings.baseline import Baseline
from ..readings.energy_day import EnergyDay
from ..store import AnswerStore
from .baselines import Baselines
from .kept_energy import KeptEnergy
from .sealed_answers import SealedAnswers

LIVE, NOTIFICATIONS = "live", "notifications"

LIVE_TTL = 30.0
HISTORY_TTL = 300.0

NOTHING_TTL = 300.0
"""Seconds an answer is shared that says that the account has no box."""

MISFIT = "The session cache gave an answer that fits no question."

Read = Callable[[str], Awaitable[object]]
"""Reads with the session of that id; raises SessionExpired or a PortalError."""

Source = Literal["live", "cached"]


class ReadingPortal(Protocol):
    """What is read of OIG Cloud here; all raise SessionExpired or a PortalError."""

    async def read_live(self, session_id: str) -> dict[str, object]:
        """Return the live snapshot of all boxes."""
        ...

    async def read_history(
        self, session_id: str, name: str, first: date, last: date
    ) -> dict[str, object] | None:
        """Return one series of history; None for no data, or an ended session."""
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


Answered = tuple[Fetched, Granted]
"""An answer, and the caller with the session that there was in the end."""


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

    Attributes:
        live_ttl: As above; a change holds for what is fetched later. So does one of the next.
        history_ttl: As above.
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
        self.live_ttl = live_ttl
        self.history_ttl = history_ttl
        self._wall = wall
        self._answers = SealedAnswers(store, sealer)
        self._baselines = Baselines(store, sealer)
        self._kept_energy = KeptEnergy(store, sealer)
        self._fetches = Detached[Answered]()

    async def live(self, granted: Granted) -> Fetched:
        """Return the live snapshot of all boxes of the caller's account."""
        fetched, _ = await self._live(granted, LIVE, self.live_ttl)
        return fetched

    async def look(self, granted: Granted, within: float) -> Granted:
        """See by the shared live answer whether the portal still knows a session.

        Args:
            granted: The caller with the session.
            within: Seconds; what the portal said before that counts for nothing.

        Returns:
            The same caller with a session that the portal answered for: a new one if that had
            ended.

        Raises:
            SessionError: The portal could not be asked, or the session has ended and no login
                replaced it.
        """
        fetched, granted = await self._live(granted, LIVE, self.live_ttl)
        if fetched.at <= self._wall() - within:
            # Answers are shared for longer than a session may be idle: this is a look of its own.
            _, granted = await self._live(granted, "look", within)
        # Another call may have asked, and found the session to be dead.
        return await self._access.reopened(granted)

    async def baseline(self, granted: Granted) -> Baseline:
        """Return what live answers have shown of the boxes of the caller's account until now."""
        return await self._baselines.of(granted.keys)

    async def live_now(self, granted: Granted) -> Fetched:
        """Return the same as of now, asked in the account's turn. From then on others get it.

        That an account has no box is believed for as long as it is shared: it costs a login to be
        sure of.
        """
        held = await self._held(granted, LIVE)
        if held is not None and not held.payload:
            return held
        fetched, granted = await self._alone(granted, self._portal.read_live, {})
        await self._baselines.learn(granted.keys, fetched.payload, fetched.at)
        ttl = self.live_ttl if fetched.payload else NOTHING_TTL
        await self._answers.put(granted.keys, LIVE, [fetched.at, fetched.payload], ttl)
        await granted.caller.permitted()
        return fetched

    async def history(self, granted: Granted, name: str, first: date, last: date) -> Fetched:
        """Return one series of history of the caller's account; `[]` when there is no data."""

        async def read(session_id: str) -> object:
            series = await self._portal.read_history(session_id, name, first, last)
            if series is None:
                await self._check_alive(granted, session_id)
                return []
            return series

        what = f"history {name} {first} {last}"
        fetched, _ = await self._shared(granted, what, self.history_ttl, read, {})
        return fetched

    async def kept_energy(self, granted: Granted, days: Iterable[date]) -> dict[date, EnergyDay]:
        """Return those of some days, given in order, whose energy was read and cannot change."""
        return await self._kept_energy.of(granted.keys, days, self._wall())

    async def keep_energy(self, granted: Granted, days: Iterable[EnergyDay]) -> None:
        """Keep those of some days, given in order, that cannot change any more."""
        await self._kept_energy.keep(granted.keys, days, self._wall())

    async def notifications(self, granted: Granted) -> Fetched:
        """Return the notifications' HTML of the caller's account."""

        async def read(session_id: str) -> str:
            markup = await self._portal.read_notifications(session_id)
            if not markup:
                await self._check_alive(granted, session_id)
            return markup

        fetched, _ = await self._shared(granted, NOTIFICATIONS, self.history_ttl, read, "")
        return fetched

    async def held_notifications(self, granted: Granted) -> Fetched | None:
        """Return the notifications that somebody has asked for lately; never ask the portal."""
        return await self._held(granted, NOTIFICATIONS)

    async def _held(self, granted: Granted, what: str) -> Fetched | None:
        return _cached(await self._answers.find(granted.keys, what))

    async def _check_alive(self, granted: Granted, session_id: str) -> None:
        """Return if the portal knows a session: nothing to tell looks like one that has ended.

        Raises:
            SessionExpired: It does not: live data tells them apart.
            PortalError: It could not be asked.
        """
        async with self.turn(granted.keys):
            await self._portal.read_live(session_id)

    @contextlib.asynccontextmanager
    async def turn(self, keys: Keys) -> AsyncIterator[None]:
        """Wait until the account's turn at the portal comes, for one request that nobody shares.

        A `PortalError` raised inside is told to all who ask for this account.

        Raises:
            SessionError: The portal asked for fewer requests, or too many wait already.
        """
        key = os.urandom(KEY_BYTES)
        try:
            outcome = await self._store.share(key, keys.account)
        except CacheUnavailable:
            yield
            return
        match outcome:
            case Lease(token=token):
                pass
            case Unavailable(reason=reason, retry_after=seconds):
                raise unavailable(reason, seconds)
            case _:
                raise CacheUnusable(MISFIT, retry_after=1.0)
        try:
            yield
        except PortalError as exc:
            await self._abstain(key, token, exc.reason, exc.retry_after or RETRY_AFTER)
            raise
        except BaseException:
            await self._abstain(key, token, TURN, 0.0)
            raise
        await self._abstain(key, token, TURN, 0.0)

    async def aclose(self) -> None:
        """Stop the reads that are under way and give their leases back."""
        await self._fetches.aclose()

    async def _live(self, granted: Granted, what: str, ttl: float) -> Answered:
        fetched, granted = await self._shared(granted, what, ttl, self._portal.read_live, {})
        if fetched.source == "live":
            await self._baselines.learn(granted.keys, fetched.payload, fetched.at)
        return fetched, granted

    async def _shared(
        self,
        granted: Granted,
        what: str,
        ttl: float,
        read: Read,
        nothing: object,
    ) -> Answered:
        begun = asyncio.get_running_loop().time()
        answered = await self._asked(granted, what, ttl, read, nothing)
        # Whoever has asked, it may have taken long.
        await granted.caller.permitted_still(begun)
        return answered

    async def _asked(
        self,
        granted: Granted,
        what: str,
        ttl: float,
        read: Read,
        nothing: object,
    ) -> Answered:
        key = self._sealer.answer_key(granted.keys, what)
        try:
            outcome = await self._store.share(key, granted.keys.account)
            if isinstance(outcome, Unavailable) and outcome.reason == EXPIRED:
                # The session was dead, and the call that asked for all could not replace it. Those
                # who waited do it by one login if they can, and are refused together if not.
                granted = await self._access.reopened(granted)
                key = self._sealer.answer_key(granted.keys, what)
                outcome = await self._store.share(key, granted.keys.account)
        except CacheUnavailable:
            return await self._fetch(granted, read, nothing)
        match outcome:
            case Hit(value=value):
                kept = _cached(self._answers.opened(granted.keys, key, value))
                if kept is not None:
                    return kept, granted
                # It was sealed under another secret: ask for ourselves.
                return await self._alone(granted, read, nothing)
            case Lease(token=token):
                return await self._fetches.run(self._lead(granted, key, token, ttl, read, nothing))
            case Unavailable(reason=reason) if reason == EXPIRED:
                return await self._alone(granted, read, nothing)
            case Unavailable(reason=reason, retry_after=seconds):
                raise unavailable(reason, seconds)
            case _:
                raise CacheUnusable(MISFIT, retry_after=1.0)

    async def _lead(
        self,
        granted: Granted,
        key: bytes,
        token: bytes,
        ttl: float,
        read: Read,
        nothing: object,
    ) -> Answered:
        """Ask the portal for all who wait for the answer, and tell them."""
        try:
            answered = await self._fetch(granted, read, nothing)
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
        try:
            fetched, _ = answered
            value = self._answers.sealed(granted.keys, key, [fetched.at, fetched.payload])
            if len(value) > ANSWER_MAX_BYTES:
                # Those who wait ask for themselves, in turn: nobody is refused what another got.
                await self._abstain(key, token, EXPIRED, 0.0)
                return answered
            if fetched.payload == nothing:
                # Cost a login to be sure of: it must not cost one each time.
                ttl = max(ttl, NOTHING_TTL)
            with contextlib.suppress(CacheUnavailable):
                await self._store.answer(key, token, value, ttl)
        except BaseException:
            await self._abstain(key, token, EXPIRED, 0.0)
            raise
        return answered

    async def _alone(self, granted: Granted, read: Read, nothing: object) -> Answered:
        """Ask the portal for this caller only."""
        async with self.turn(granted.keys):
            return await self._fetch(granted, read, nothing)

    async def _fetch(self, granted: Granted, read: Read, nothing: object) -> Answered:
        """Read, and once more after one login if the session has ended or turns out to be dead.

        The caller has its turn; what follows takes turns of its own.
        """
        try:
            granted = await self._access.current(granted)
            payload = await read(granted.session.id)
        except SessionExpired:
            async with self.turn(granted.keys):
                granted = await self._access.renew(granted)
            try:
                async with self.turn(granted.keys):
                    payload = await read(granted.session.id)
            except SessionExpired as exc:
                if not exc.no_boxes:
                    raise PortalUnexpected(
                        "OIG Cloud does not accept a session that it gave a moment ago. The fault "
                        "is the portal's.",
                        retry_after=60.0,
                    ) from None
                # The portal says the same of a dead session and of an account without a box, and
                # this session is new.
                payload = nothing
        return Fetched(payload, self._wall(), "live"), granted

    async def _abstain(self, key: bytes, token: bytes, reason: str, retry_after: float) -> None:
        with contextlib.suppress(CacheUnavailable):
            await self._store.abstain(key, token, reason, retry_after)


def _cached(content: Any) -> Fetched | None:
    if content is None:
        return None
    at, payload = content
    return Fetched(payload, at, "cached")
