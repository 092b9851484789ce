"""Caches the energy of days that no longer change, by the month.

A complete day no longer changes. An incomplete one is not expected to change after a week, but the
gap may be a passing defect of the portal: it is cached for as long as the portal had said the same
when it was last asked. A defect is therefore cached for as long again as it lasted, and a real gap
is requested again after an hour, two, four and so on.

It is sealed and shared by all workers like the portal's answers, and dropped with them: by a flush,
a new password, or a restart of the cache daemon.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import groupby

from ..auth.caller import Granted
from ..readings import clock
from ..readings.energy_day import EnergyDay, stored_day
from ..state.limits import TTL_MAX
from .answer_time import is_ahead
from .sealed_answers import SealedAnswers

SETTLED_DAYS = 7
"""Days after which nothing comes in any more for a day with gaps."""

STORED_S = TTL_MAX
"""Seconds for which a day is cached from when it was read."""

DOUBTED_S = 3600.0
"""Seconds for which a day that lacks something is believed at least."""


async def cached_days(
    answers: SealedAnswers, granted: Granted, days: Iterable[date], now: float
) -> dict[date, EnergyDay]:
    """Return those of some days that are cached.

    Args:
        answers: Where days are stored.
        granted: Whose.
        days: Which days, in order.
        now: Unix time in seconds.
    """
    wanted = list(days)
    found: dict[date, EnergyDay] = {}
    for month, _ in groupby(wanted, _month):
        found |= await _of_month(answers, granted, month, now)
    return {day: found[day] for day in wanted if day in found and _believed(found[day], now)}


async def store_days(
    answers: SealedAnswers, granted: Granted, days: Iterable[EnergyDay], now: float
) -> None:
    """Store those days that no longer change.

    Args:
        answers: Where days are stored.
        granted: Whose.
        days: Days that were read, in order.
        now: Unix time in seconds.
    """
    today = clock.local_day(datetime.fromtimestamp(now, UTC))
    settled = [one for one in days if _settled(one, today)]
    for month, group in groupby(settled, lambda one: _month(one.day)):
        # Another worker may have put other days of the month meanwhile. What it puts between
        # this look and the next line is lost, and costs a request when it is asked for.
        before = await _of_month(answers, granted, month, now)
        merged = before | {one.day: _weighed(one, before.get(one.day)) for one in group}
        # Full days of a month take a tenth of what may be stored.
        content = [merged[day].as_stored() for day in sorted(merged)]
        await answers.put(granted, _name(month), content, STORED_S)


async def _of_month(
    answers: SealedAnswers, granted: Granted, month: str, now: float
) -> dict[date, EnergyDay]:
    content = await answers.get(granted, _name(month))
    stored = map(stored_day, content or ())
    # The value is put again with every day that is added: each day has a time of its own.
    return {
        one.day: one
        for one in stored
        if one is not None and now - one.read_at < STORED_S and not is_ahead(one.read_at, now)
    }


def _name(month: str) -> str:
    return f"energy {month}"


def _month(day: date) -> str:
    return f"{day:%Y-%m}"


def _settled(one: EnergyDay, today: date) -> bool:
    return one.complete or (today - one.day).days >= SETTLED_DAYS


def _believed(one: EnergyDay, now: float) -> bool:
    return one.complete or now - one.read_at < max(DOUBTED_S, one.read_at - one.said_since)


def _weighed(one: EnergyDay, before: EnergyDay | None) -> EnergyDay:
    """Give what to store of a day that was read, and perhaps read before."""
    # 1. The first answer, or another than before: either may be the defect, and its time begins.
    if before is None or not one.says_the_same(before):
        return one
    # 2. The same again: it has been said since the first. Two calls may end in either order.
    return replace(
        one,
        read_at=max(one.read_at, before.read_at),
        said_since=min(one.said_since, before.said_since),
    )
