"""Of which day the counters of one block may be. Pure.

The box counts each day from midnight of its own clock, and uploads the counters every five
minutes, block by block, while its last contact with the portal is seconds old. So for some minutes
after midnight, and after a time without contact, the portal shows counters of an earlier day beside
a contact of today. An earlier reading helps to tell: counters that have fallen were begun anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict

from . import clock

UPLOADED_BY = timedelta(minutes=6)
"""How long after midnight every block has come once more: five minutes, and one to spare."""

LATEST = timedelta(hours=2)
"""How late the midnight of a box's own clock may come: an hour for a clock that is not changed in
summer, and as much again."""

DIP_WH = 50.0
"""The portal adds up solar energy again, to a few Wh less (observed). More than that is a fall."""

MOST_W = 30_000.0
"""More than a house draws or feeds in: no more than that can have been counted since midnight."""

HOUR = timedelta(hours=1)


class Counted(BaseModel):
    """Counters of the day of one block, as they were last understood.

    Attributes:
        contact: The box's last contact when they were read.
        wh: The counters, Wh, by the portal's names.
        fell_by: The contact at which they were first seen to have fallen during the day of
            `contact`, after which they do not count all of it. None while they are certain to be
            of that day.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    contact: AwareDatetime
    wh: dict[str, float]
    fell_by: AwareDatetime | None = None


class Days(NamedTuple):
    """The first and the last of the days that counters may be of."""

    first: date
    last: date


def days_of(wh: Mapping[str, float], contact: datetime, earlier: Counted | None) -> Days:
    """Say of which days the counters of a block may be.

    `today` is the day of the contact in Prague. The cases, the first that holds:

    1. A counter is more than can have flowed since midnight: of an earlier day.
    2. An earlier reading was of today, and no counter has fallen since: of today.
    3. It was of today, and one has fallen: within two hours after midnight that reading was taken
       for today's too early, for the box's clock is late, and these are today's. Later they are of
       no whole day, until midnight: the clock is early and has begun tomorrow, or the box has
       begun anew.
    4. It was of an earlier day, and the very same counters are shown: none has come since, however
       late it is.
    5. It was of yesterday, and one has fallen: of today.
    6. It was of an earlier day, none has fallen, and it is so early that one should have: the box's
       clock is late. So early is less than two hours after midnight, and less than half as long
       after it as the earlier reading was after its own. After a fall during that day all of the
       two hours are so early; but none is if that fall came within two hours before midnight, for
       then it was the midnight of a clock that is early.
    7. Otherwise the time decides, six minutes after midnight: all blocks have come since.

    Args:
        wh: The counters of the day that the block holds, Wh, by the portal's names.
        contact: The box's last contact with the portal.
        earlier: The counters as they were last understood; None if that is not known.
    """
    today = clock.local_day(contact)
    yesterday = today - timedelta(days=1)
    since_midnight = _since_midnight(contact)
    if earlier is not None and earlier.contact > contact:
        earlier = None  # two answers crossed: the later one says nothing of the earlier
    then = yesterday if earlier is None else clock.local_day(earlier.contact)
    of_today, not_yet = Days(today, today), Days(min(then, yesterday), today)
    if any(counter > MOST_W * (since_midnight / HOUR) for counter in wh.values()):
        return not_yet
    if earlier is not None:
        fell = _fell(earlier.wh, wh)
        if then == today:
            too_late = earlier.fell_by or (fell and since_midnight >= LATEST)
            return Days(today, today + timedelta(days=1)) if too_late else of_today
        if _same(earlier.wh, wh):
            return not_yet
        if fell and then == yesterday:
            return of_today
        if not fell and since_midnight < LATEST and _should_have_fallen(earlier, since_midnight):
            return not_yet
    return of_today if since_midnight >= UPLOADED_BY else not_yet


def counted(wh: Mapping[str, float], contact: datetime, earlier: Counted | None) -> Counted | None:
    """Give what is to be remembered of a block: what it shows, or what it showed before.

    1. An answer that is older than what is remembered, or that is not understood, adds nothing.
    2. Counters that fell during the day are remembered as such: the next midnight is told by a
       fall below them, and not by one below what the box showed before it began anew.

    Args:
        wh: The counters of the day that the block holds, Wh, by the portal's names.
        contact: The box's last contact with the portal.
        earlier: What is remembered so far; None if nothing is.
    """
    if not wh or (earlier is not None and earlier.contact > contact):
        return earlier
    days, today = days_of(wh, contact, earlier), clock.local_day(contact)
    if days == Days(today, today):
        return Counted(contact=contact, wh=dict(wh))
    if days.first == today:
        known = earlier.fell_by if earlier is not None else None
        return Counted(contact=contact, wh=dict(wh), fell_by=known or contact)
    return earlier


def _since_midnight(contact: datetime) -> timedelta:
    # In UTC: in one zone Python would subtract what clocks show.
    return contact.astimezone(UTC) - clock.starts(clock.local_day(contact))


def _fell(then: Mapping[str, float], now: Mapping[str, float]) -> bool:
    return any(then[name] - now[name] > DIP_WH for name in then.keys() & now.keys())


def _same(then: Mapping[str, float], now: Mapping[str, float]) -> bool:
    # Counters of nothing stay 0 from one day to the next.
    both = [(then[name], now[name]) for name in then.keys() & now.keys()]
    return any(before for before, _ in both) and all(before == after for before, after in both)


def _should_have_fallen(earlier: Counted, since_midnight: timedelta) -> bool:
    counted = any(counter > DIP_WH for counter in earlier.wh.values())
    if earlier.fell_by is not None:
        midnight = clock.starts(clock.local_day(earlier.contact) + timedelta(days=1))
        return counted and midnight - earlier.fell_by > LATEST
    return counted and 2 * since_midnight < _since_midnight(earlier.contact)
