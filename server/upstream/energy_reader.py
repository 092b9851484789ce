"""Reads the energy of many days from the portal in as few requests as possible.

Cached days that no longer change are not requested again. The others are requested together, the
newest first; if the portal refuses, or its answer does not show which day is which, fewer at a
time. A call is limited in requests and time, and reports the days that were not read.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from ..auth.caller import Granted
from ..errors import (
    PortalError,
    PortalServerError,
    PortalTimeout,
    PortalUnexpected,
    SessionError,
    TooManyLogins,
)
from ..portal.failures import late
from ..portal.purpose import READ
from ..readings.days import span
from ..readings.energy_day import POWERS, EnergyDay
from ..readings.energy_from_history import SERIES, energy_days, items_of
from ..readings.placement import days_between
from ..readings.series import PORTAL_NAMES, SeriesName
from .portal_reader import Upstream
from .single_flight import Fetched

Asked = TypeVar("Asked")

MOST_DAYS = 366
"""Days in one call: a year."""

MOST_HOUR_DAYS = 7
"""Days in one call by the hour: more rows than a week has no reader looks at."""

CHUNK_DAYS = 31
"""Days in one request: a month, as for other histories."""

MOST_REQUESTS = 40
"""Requests to the portal in one call."""

OTHERS = 4
"""Of those: live data, a login, and both once more when the session turns out to be dead."""

PER_ANSWER = 2
"""Requests that one answer costs at most: without anything in it, a second finds out whether the
session lives."""

MOST_S = 44.0
"""Seconds of one call in which the portal is asked; callers are promised a result within 45 s."""

SLOW = f"OIG Cloud did not answer for all of it within {MOST_S:g} seconds."

REFUSALS = (PortalServerError, PortalTimeout, PortalUnexpected)
"""Failures that a request for fewer days may not meet."""


class _Spent(Exception):
    """No further request may be made."""


@dataclass(slots=True)
class EnergyRead:
    """What a call has read.

    Attributes:
        days: What is known, by day.
        unread: Days that were not read, in order.
        failure: Why the portal could not be asked for those; None when the call has used up its
            requests.
        without: Series that some days lack, with the first and the last of these and why.
    """

    days: dict[date, EnergyDay] = field(default_factory=dict)
    unread: tuple[date, ...] = ()
    failure: SessionError | None = None
    without: dict[SeriesName, tuple[date, date, SessionError]] = field(default_factory=dict)

    def lacks(self, series: SeriesName, first: date, last: date, why: SessionError) -> None:
        """Note that a series could not be had for some days."""
        before = self.without.get(series, (first, last, why))
        self.without[series] = min(first, before[0]), max(last, before[1]), before[2]

    def go_on(self) -> tuple[str, ...]:
        """Say what was not read, why, and how to get it: one sentence per reason."""
        said: dict[str, list[str]] = {}
        if self.unread:
            many = len(self.unread)
            days = span(self.unread[0], self.unread[-1])
            named = days if many == 1 else f"{many} days from {days}"
            said.setdefault(self._why_unread(), []).append(named)
        for series, (first, last, why) in self.without.items():
            # Of a day that was not read at all no series need be named.
            if not set(days_between(first, last)) <= set(self.unread):
                named = f"{_quantities(series)} of {span(first, last)}"
                said.setdefault(str(why), []).append(named)
        return tuple(
            f"Not read yet, and not in the sums: {'; '.join(lacking)}. {why} Ask again: what was "
            "read is kept, for some minutes at least, and only the rest is asked for."
            for why, lacking in said.items()
        )

    def _why_unread(self) -> str:
        if self.failure is None:
            return "One call may ask OIG Cloud only so much."
        if isinstance(self.failure, PortalTimeout):
            return str(self.failure)
        return f"OIG Cloud could not be asked for all: {self.failure}"


def _quantities(series: SeriesName) -> str:
    return ", ".join(quantity for quantity, (of, _) in POWERS.items() if of == series)


async def in_time(asked: Awaitable[Asked], until: float) -> Asked:
    """Return what was asked for.

    Args:
        asked: What to wait for.
        until: When to stop, on the clock of the running loop.

    Raises:
        PortalTimeout: It did not come in time.
    """
    try:
        async with asyncio.timeout_at(until):
            return await asked
    except TimeoutError:
        raise late(MOST_S, READ) from None


async def read_energy(
    upstream: Upstream,
    granted: Granted,
    wanted: Sequence[date],
    cached: Mapping[date, EnergyDay],
    until: float,
    failure: SessionError | None = None,
    peak_w: float | None = None,
) -> EnergyRead:
    """Read the energy of days, or of as many of them as the bounds of a call allow.

    Args:
        upstream: The portal, and the cache of its answers.
        granted: Whose.
        wanted: The days in Prague, in order; none in the future.
        cached: Those of them that need not be read.
        until: When to stop, on the clock of the running loop.
        failure: Why the portal cannot be asked now, if that is known.
        peak_w: Installed peak of the panels in W, where it is known.

    Raises:
        SessionError: Nothing could be read at all.
    """
    call = _Call(upstream, granted, EnergyRead(dict(cached)), peak_w)
    missing = [day for day in wanted if day not in call.found.days]
    try:
        if failure is not None:
            raise failure
        async with asyncio.timeout_at(until):
            for chunk in _chunks(missing):
                await call.read(*chunk)
    except _Spent:
        pass
    except TimeoutError:
        call.found.failure = PortalTimeout(SLOW, retry_after=1.0)
        await call.take_part(call.found.failure)
        if not call.found.days:
            raise late(MOST_S, READ) from None
    except (PortalError, TooManyLogins) as exc:
        # What is there is of use without the rest.
        await call.take_part(exc)
        if not call.found.days:
            raise
        call.found.failure = exc
    call.found.unread = tuple(day for day in missing if day not in call.found.days)
    return call.found


class _Call:
    """One call: what it has found, how much it has asked, how many days the portal bears."""

    def __init__(
        self, upstream: Upstream, granted: Granted, found: EnergyRead, peak_w: float | None
    ) -> None:
        self._upstream = upstream
        self._granted = granted
        self._peak_w = peak_w
        self._asked = OTHERS
        self._bears = CHUNK_DAYS
        self._proven = 0
        self._fetched: dict[SeriesName, Fetched] = {}
        self._under_way: tuple[dict[SeriesName, object], date, date, float] | None = None
        self._failing: dict[SeriesName, SessionError] = {}
        self.found = found

    async def read(self, first: date, last: date) -> None:
        """Read some days, in two halves when they cannot be read together; the newer one first."""
        days = (last - first).days + 1
        if days <= self._bears:
            try:
                kept = await self._kept(first, last)
                if kept is not None:
                    self.found.days |= {one.day: one for one in kept}
                    return
                read = await self._together(first, last)
            except REFUSALS:
                if days == 1 or len(self._failing) > 1:
                    raise
                self._bears = days // 2
                read = None
            if read is not None:
                self.found.days |= {one.day: one for one in read}
                if not self._failing:
                    await self._upstream.store_energy(self._granted, read)
                if len(self._fetched) == len(SERIES):
                    fetched = self._fetched
                    await self._upstream.keep_energy(self._granted, fetched, self._peak_w, read)
                return
        middle = first + timedelta(days=days // 2)
        await self.read(middle, last)
        await self.read(first, middle - timedelta(days=1))

    async def _kept(self, first: date, last: date) -> tuple[EnergyDay, ...] | None:
        """Return days as an earlier call made them of answers that are still shared."""
        if self._failing:
            return None
        kept = await self._upstream.kept_energy(self._granted, first, last, self._peak_w)
        if kept is not None and any(one.wh["imported"] is not None for one in kept):
            self._proven = max((last - first).days + 1, self._proven)
        return kept

    async def _together(self, first: date, last: date) -> tuple[EnergyDay, ...] | None:
        """Read days with one request per series; None when fewer have to be asked for."""
        self._under_way = None
        answers: dict[SeriesName, object] = {}
        self._fetched = {}
        at = math.inf
        for series in SERIES:
            try:
                failing = series in self._failing
                given = None if failing else await self._ask(series, first, last)
            except REFUSALS as exc:
                if first != last and await self._gives(series, last):
                    raise
                # Fewer days would not help. 1. The others are of use without this series. 2. When
                # a second one fails, it is the portal that does.
                self._failing[series] = exc
                if len(self._failing) > 1:
                    raise
                given = None
            if given is None:
                self.found.lacks(series, first, last, self._failing[series])
                continue
            self._fetched[series], answers[series] = given, given.payload
            at = min(at, given.at)
            self._under_way = answers, first, last, at
            if series == SERIES[0] and not await self._suffices(answers, first, last, at):
                return None
            nothing = not self._failing and not any(map(items_of, answers.values()))
            if series == SERIES[1] and nothing:
                break
        self._under_way = None
        return await self._days(answers, first, last, at)

    async def _suffices(
        self, answers: dict[SeriesName, object], first: date, last: date, at: float
    ) -> bool:
        """Find out by the first series whether the others can be asked for the same days."""
        days = (last - first).days + 1
        if days == 1:
            return True
        # 1. Nothing may mean that there is nothing, or that it was asked for too much, unless so
        # many days have returned something before.
        if items_of(answers[SERIES[0]]):
            self._proven = max(days, self._proven)
        elif days > self._proven and await self._bears_less(SERIES[0], first, last):
            return False
        # 2. Days that cannot be separated need not be asked for in the other series.
        return await self._days(answers, first, last, at) is not None

    async def take_part(self, why: SessionError) -> None:
        """Take what has come of days of which not all series have."""
        if self._under_way is None:
            return
        answers, first, last, at = self._under_way
        if not any(map(items_of, answers.values())):
            return
        read = await self._days(answers, first, last, at)
        if read is not None:
            self.found.days |= {one.day: one for one in read}
            for series in SERIES:
                if series not in answers:
                    self.found.lacks(series, first, last, why)

    async def _gives(self, series: SeriesName, day: date) -> bool:
        """Find out by one day whether the portal gives a series at all."""
        try:
            await self._ask(series, day, day)
        except REFUSALS:
            return False
        return True

    async def _bears_less(self, series: SeriesName, first: date, last: date) -> bool:
        """Find out by the last day alone whether the portal has something after all."""
        answer = await self._ask(series, last, last)
        if not items_of(answer.payload):
            return False
        self._bears = ((last - first).days + 1) // 2
        return True

    async def _ask(self, series: SeriesName, first: date, last: date) -> Fetched:
        if self._asked + PER_ANSWER > MOST_REQUESTS:
            raise _Spent
        name = PORTAL_NAMES[series]
        try:
            fetched = await self._upstream.history(self._granted, name, first, last)
        except SessionError:
            self._asked += 1
            raise
        if fetched.source == "live":
            self._asked += 1 if fetched.payload else PER_ANSWER
        return fetched

    async def _days(
        self, answers: dict[SeriesName, object], first: date, last: date, at: float
    ) -> tuple[EnergyDay, ...] | None:
        # In a thread: a month of all series takes a third of a second, and others call meanwhile.
        moment = datetime.fromtimestamp(at, UTC)
        return await asyncio.to_thread(energy_days, answers, first, last, moment, self._peak_w)


def _chunks(days: Sequence[date]) -> list[tuple[date, date]]:
    """Give days as spans of neighbours, each of one request's length at most; the newest first."""
    found: list[list[date]] = []
    for day in reversed(days):
        if found and found[-1][-1] - day == timedelta(days=1) and len(found[-1]) < CHUNK_DAYS:
            found[-1].append(day)
        else:
            found.append([day])
    return [(span[-1], span[0]) for span in found]
