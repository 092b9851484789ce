"""Reads live data, history and notifications from OIG Cloud for the tools.

Each is read by a single flight, and cached for as long as it may be shared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date

from ..auth.access import Access
from ..auth.caller import Granted
from ..auth.sealing import Keys, Sealer
from ..portal.client import PortalClient
from ..readings import kept_notices
from ..readings.baseline import Baseline
from ..readings.energy_day import EnergyDay
from ..readings.energy_from_history import SERIES
from ..readings.kept import Kept
from ..readings.series import PORTAL_NAMES, SeriesName
from ..state.fallback import SharedAccounts
from ..state.vocabulary import Hit
from .baselines import NAME as BASELINE
from .baselines import baseline_of, learn
from .cached_energy import cached_days, store_days
from .kept_energy import keep_days, kept_days
from .kept_readings import KeptReading, KeptReadings, Make, reading_of
from .sealed_answers import SealedAnswers
from .single_flight import NOTHING_TTL, Answered, Fetched, SingleFlight

LIVE, NOTIFICATIONS = "live", "notifications"

NOTICES = reading_of(NOTIFICATIONS)

ALONG = LIVE, BASELINE, NOTIFICATIONS, NOTICES
"""What every reading looks at: `Access.open` has it come along with the session."""

LIVE_MADE_OF = LIVE, BASELINE, NOTIFICATIONS
"""What live data of a box, and the list of boxes, are made of. The reading of either comes along
with these in place of `NOTICES`."""

BOXES = reading_of(LIVE, "boxes")
"""The list of the account's boxes, among readings."""

WITH_BOXES = *LIVE_MADE_OF, BOXES
"""What those look at who begin with the list of boxes."""

LIVE_TTL = 30.0
HISTORY_TTL = 300.0


class Upstream:
    """Reads the portal for callers.

    Args:
        accounts: Shared answers.
        access: Replaces a session that turns out to be dead.
        portal: OIG Cloud.
        sealer: Seals answers.
        live_ttl: Seconds a live answer is shared; the box reports every few seconds at best.
        history_ttl: The same for history and notifications: the box uploads them every 5 minutes.
        wall: Seconds since 1970.

    Attributes:
        live_ttl: As above; a change applies to what is fetched later. So does one of the next.
        history_ttl: As above.
    """

    def __init__(
        self,
        accounts: SharedAccounts,
        access: Access,
        portal: PortalClient,
        sealer: Sealer,
        *,
        live_ttl: float = LIVE_TTL,
        history_ttl: float = HISTORY_TTL,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._access = access
        self._portal = portal
        self.live_ttl = live_ttl
        self.history_ttl = history_ttl
        self._wall = wall
        self._answers = SealedAnswers(accounts, sealer)
        self._readings = KeptReadings(accounts, sealer, wall)
        self._flight = SingleFlight(accounts, access, sealer, self._answers, wall)

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
        return await baseline_of(self._answers, granted)

    async def live_reading(self, granted: Granted, name: str) -> KeptReading | None:
        """Return what an earlier call made of the shared answers `LIVE_MADE_OF`.

        Args:
            granted: Who asks.
            name: `BOXES`, or as `live_name` gives it.
        """
        what, *others = LIVE_MADE_OF
        return await self._readings.find(granted, what, name, *others)

    def answers_at_hand(self, granted: Granted) -> Mapping[str, Hit | None]:
        """Return the answers in the cache that `live_reading` looked at and the call has not used.

        They are of one moment, by name; None for one that is not there.
        """
        return dict(granted.along)

    async def keep_live(
        self,
        granted: Granted,
        name: str,
        fetched: Fetched,
        kept: Kept,
        answers: Mapping[str, Hit | None],
    ) -> None:
        """Keep such a reading for later calls, if it was made of answers in the cache.

        Args:
            granted: Who asked.
            name: As that of `live_reading`.
            fetched: The live answer.
            kept: What was made.
            answers: As `answers_at_hand` gave them before that was made.
        """
        live, *others = (answers.get(one) for one in LIVE_MADE_OF)
        # Of an answer that came later it is not known beside which others it stands.
        if live is not None and live is fetched.sealed:
            await self._readings.keep(granted, name, fetched, kept, *others)

    async def live_now(self, granted: Granted) -> Fetched:
        """Return the same as of now, asked in the account's turn. From then on others get it.

        That an account has no box is believed for as long as it is shared: it costs a login to be
        sure of.
        """
        cached = await self._held(granted, LIVE)
        if cached is not None and not cached.payload:
            return cached
        fetched, granted = await self._flight.alone(granted, self._portal.read_live, {})
        await learn(self._answers, granted, fetched.payload, fetched.at)
        ttl = self.live_ttl if fetched.payload else NOTHING_TTL
        await self._answers.put(granted, LIVE, [fetched.at, fetched.payload], ttl)
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

        what = _history(name, first, last)
        fetched, _ = await self._flight.read(granted, what, self.history_ttl, read, {})
        return fetched

    async def history_reading(
        self,
        granted: Granted,
        name: str,
        first: date,
        last: date,
        shape: Mapping[str, object],
        make: Make,
    ) -> KeptReading:
        """Return what is made of such a series, by this call or an earlier one.

        Args:
            granted: Who asks.
            name: The portal's name of the series.
            first: First day, in Prague.
            last: Last day, included.
            shape: All else that the result depends on, in JSON's kinds of values.
            make: Makes it.
        """
        what = _history(name, first, last)
        reading = reading_of(what, shape)
        found = await self._readings.find(granted, what, reading)
        if found is not None:
            return found
        fetched = await self.history(granted, name, first, last)
        return await self._readings.made(granted, reading, fetched, make)

    async def cached_energy(self, granted: Granted, days: Iterable[date]) -> dict[date, EnergyDay]:
        """Return those of some days, given in order, whose energy was read and cannot change."""
        return await cached_days(self._answers, granted, days, self._wall())

    async def store_energy(self, granted: Granted, days: Iterable[EnergyDay]) -> None:
        """Keep those of some days, given in order, that cannot change any more."""
        await store_days(self._answers, granted, days, self._wall())

    async def kept_energy(
        self, granted: Granted, first: date, last: date, peak_w: float | None
    ) -> tuple[EnergyDay, ...] | None:
        """Return the energy of days as made of answers that are all in the cache, if it was kept.

        Args:
            granted: Whose.
            first: First day, in Prague.
            last: Last day, included.
            peak_w: Installed peak of the panels in W, where it is known.
        """
        return await kept_days(self._readings, granted, _series(first, last), peak_w)

    async def keep_energy(
        self,
        granted: Granted,
        fetched: Mapping[SeriesName, Fetched],
        peak_w: float | None,
        days: Sequence[EnergyDay],
    ) -> None:
        """Keep the energy of days for as long as all its answers are in the cache.

        Args:
            granted: Whose.
            fetched: The answers of all series.
            peak_w: As that of `kept_energy`.
            days: The days, in order.
        """
        whats = _series(days[0].day, days[-1].day)
        answers = [fetched[series] for series in SERIES]
        await keep_days(self._readings, granted, whats, peak_w, answers, days)

    async def notifications(self, granted: Granted) -> Fetched:
        """Return the notifications' HTML of the caller's account."""

        async def read(session_id: str) -> str:
            markup = await self._portal.read_notifications(session_id)
            if not markup:
                await self._check_alive(granted, session_id)
            return markup

        fetched, _ = await self._flight.read(granted, NOTIFICATIONS, self.history_ttl, read, "")
        return fetched

    async def notices(self, granted: Granted) -> KeptReading:
        """Return the notifications of the caller's account, as `kept_notices` makes them."""
        found = await self._readings.find(granted, NOTIFICATIONS, NOTICES)
        if found is not None:
            return found
        fetched = await self.notifications(granted)
        return await self._readings.made(granted, NOTICES, fetched, kept_notices.kept)

    async def cached_notices(self, granted: Granted) -> KeptReading | None:
        """Return the notifications that somebody has asked for lately; never ask the portal."""
        if NOTIFICATIONS in granted.along and granted.along[NOTIFICATIONS] is None:
            return None
        found = await self._readings.find(granted, NOTIFICATIONS, NOTICES)
        if found is not None:
            return found
        fetched = await self._held(granted, NOTIFICATIONS)
        if fetched is None:
            return None
        return await self._readings.made(granted, NOTICES, fetched, kept_notices.kept)

    def turn(self, keys: Keys) -> AbstractAsyncContextManager[None]:
        """Wait until the account's turn at the portal comes, as `SingleFlight.turn`."""
        return self._flight.turn(keys)

    async def aclose(self) -> None:
        """Stop the reads that are under way and give their leases back."""
        await self._flight.aclose()

    async def _held(self, granted: Granted, what: str) -> Fetched | None:
        hit = await self._answers.find(granted, what)
        return Fetched.cached(self._answers.decoded(granted, what, hit), hit, self._wall())

    async def _check_alive(self, granted: Granted, session_id: str) -> None:
        """Return if the portal knows a session: an empty answer looks like one that has ended.

        Raises:
            SessionExpired: It does not, as live data shows.
            PortalError: It could not be asked.
        """
        async with self.turn(granted.keys):
            await self._portal.read_live(session_id)

    async def _live(self, granted: Granted, what: str, ttl: float) -> Answered:
        fetched, granted = await self._flight.read(granted, what, ttl, self._portal.read_live, {})
        if fetched.source == "live":
            await learn(self._answers, granted, fetched.payload, fetched.at)
        return fetched, granted


def live_name(box_id: str | None, *, detailed: bool) -> str:
    """Name live data of a box among readings.

    Args:
        box_id: As it was asked for, if it was.
        detailed: With all that few ask for.
    """
    return reading_of(LIVE, {"box_id": box_id, "detailed": detailed})


def _series(first: date, last: date) -> list[str]:
    return [_history(PORTAL_NAMES[series], first, last) for series in SERIES]


def _history(name: str, first: date, last: date) -> str:
    return f"history {name} {first} {last}"
