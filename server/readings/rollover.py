"""Which day the counters of one block may belong to. Pure.

The box counts each day from midnight of its own clock, and uploads the counters every five
minutes, block by block, while its last contact with the portal is seconds old. So for some minutes
after midnight, and after a time without contact, the portal shows counters of an earlier day beside
a contact of today. Earlier readings help to decide: counters that have fallen were reset, and
counters that have risen were uploaded in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict

from . import clock
from .numbers import HOME_W

UPLOADED_BY = timedelta(minutes=6)
"""How long after midnight every block has come once more: five minutes, and one to spare."""

LATEST = timedelta(hours=2)
"""How late the midnight of a box's own clock may come: an hour for a clock that is not changed in
summer, and as much again."""

DIP_WH = 50.0
"""The portal adds up solar energy again, to a few Wh less (observed). More than that is a fall."""

ROUNDED_KWH = 2.0
"""Counters of the month are whole kWh: no less than this is a difference between two of them."""

HOUR = timedelta(hours=1)


class Shown(BaseModel):
    """What one block showed.

    Attributes:
        contact: The box's last contact when it was read.
        wh: The counters of the day, Wh, by the portal's names.
        kwh: Those of the month that count the same, kWh, by the same names.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    contact: AwareDatetime
    wh: dict[str, float]
    kwh: dict[str, float] = {}


class Counted(Shown):
    """Counters of one block, as they were last understood.

    Attributes:
        fell_by: The contact at which they were first seen to have fallen during the day of
            `contact`, after which they do not count all of it. None while they are certain to be
            of that day.
        new_by: The contact at which they themselves first showed that they are of that day, and no
            earlier one. None where only the time, or another block, showed it.
    """

    fell_by: AwareDatetime | None = None
    new_by: AwareDatetime | None = None


class Memory(NamedTuple):
    """What earlier readings showed of one block.

    Attributes:
        counted: Its counters as they were last understood.
        shown: What it first showed on the day on which it was read last and not understood: before
            `LATEST` after midnight, or from then on, when what goes on is of that day.
        doubted: What it showed when it was last read and not understood.
    """

    counted: Counted | None = None
    shown: Shown | None = None
    doubted: Shown | None = None


NOTHING = Memory()


class Days(NamedTuple):
    """The first and the last of the days that counters may be of."""

    first: date
    last: date


def days_of(
    now: Shown, memory: Memory, news: datetime | None = None, *, heard: bool = True
) -> Days:
    """Say which days the counters of a block may belong to.

    `today` is the day of the contact in Prague. Counters have restarted when one has fallen, or
    when one of the month has grown by more than that of the day. The cases, the first that applies:

    1. A counter is more than can have flowed since midnight: of an earlier day.
    2. An earlier reading was of today, and no counter has fallen since: of today.
    3. It was of today, and one has fallen: within two hours after midnight that reading was taken
       for today's too early, for the box's clock is late, and these are today's. Later they are of
       no whole day, until midnight: the clock is early and has begun tomorrow, or the box has
       restarted.
    4. It was of an earlier day, and the very same counters are shown: none has come since, however
       late it is.
    5. It was of yesterday, and they have restarted since: of today. So they were as well if
       they fell within two hours before midnight, for then it was the midnight of a clock that is
       early; then the time decides, six minutes after midnight.
    6. Something else was shown today already: one has fallen since, or has grown, two hours after
       midnight at the earliest, before which the box's clock may be late: of today.
    7. There is no earlier reading: the time decides, six minutes after midnight: all blocks have
       come since. It does not where the contact is not known, for the box may be away; nor here
       or in the other cases where the very same counters were read before and not understood, be
       it on an earlier day: no time makes them today's.
    8. Another block has shown that the box has uploaded today: the time decides as well, but only
       six minutes after that contact, unless nothing was counted before or is now.
    9. Otherwise the box may have been away since the earlier reading, or its clock may be late: of
       that day, of today, or of one in between.

    Args:
        now: What the block shows. Where the box's last contact is not known, the present time
            stands for it: it is no later.
        memory: What earlier readings showed.
        news: The first contact of today at which a block of the box showed by itself that it is of
            today; None if none has.
        heard: Whether the box's last contact is known.
    """
    return _judged(now, memory, news, heard=heard).days


def new_by(now: Shown, memory: Memory, *, heard: bool = True) -> datetime | None:
    """Give the contact of today at which a block first showed by itself that it is of today."""
    return _judged(now, memory, None, heard=heard).new_by


class _Judged(NamedTuple):
    days: Days
    new_by: datetime | None = None


def _judged(now: Shown, memory: Memory, news: datetime | None, *, heard: bool) -> _Judged:
    today = clock.local_day(now.contact)
    since_midnight = _since_midnight(now.contact)
    earlier = memory.counted
    if earlier is not None and earlier.contact > now.contact:
        earlier = None  # two answers crossed: the later one says nothing of the earlier
    first = today - timedelta(days=1)
    if earlier is not None and clock.local_day(earlier.contact) < first:
        first = clock.local_day(earlier.contact)
    if any(counter > HOME_W * (since_midnight / HOUR) for counter in now.wh.values()):
        return _Judged(Days(first, today))
    if earlier is not None and clock.local_day(earlier.contact) == today:
        fell = _fell(earlier.wh, now.wh) and since_midnight >= LATEST
        last = today + timedelta(days=1) if earlier.fell_by or fell else today
        return _Judged(Days(today, last), earlier.new_by)
    if _is_evident(now, earlier, memory.shown):
        return _Judged(Days(today, today), now.contact)
    by_time = since_midnight >= UPLOADED_BY and _time_decides(
        now, earlier, memory.doubted, news, heard=heard
    )
    return _Judged(Days(today if by_time else first, today))


def _is_evident(now: Shown, earlier: Counted | None, shown: Shown | None) -> bool:
    """Say whether counters are of today by themselves, cases 4 to 6."""
    if earlier is not None and _same(earlier.wh, now.wh):
        return False
    if earlier is not None and _is_yesterdays(earlier, now) and _restarted(earlier, now):
        return True
    return shown is not None and _has_come(shown, now)


def _time_decides(
    now: Shown,
    earlier: Counted | None,
    doubted: Shown | None,
    news: datetime | None,
    *,
    heard: bool,
) -> bool:
    """Say whether the time alone decides about counters, cases 4, 5, 7 and 8."""
    if doubted is not None and _same(doubted.wh, now.wh):
        return False
    if earlier is None and heard:
        return True
    if earlier is not None and _same(earlier.wh, now.wh):
        return False
    if earlier is not None and _is_yesterdays(earlier, now) and _began_early(earlier):
        return True
    if news is None or clock.local_day(news) != clock.local_day(now.contact):
        return False
    nothing = earlier is not None and not _counts(earlier.wh) and not _counts(now.wh)
    return nothing or now.contact - news >= UPLOADED_BY


def remembered(
    now: Shown, memory: Memory, news: datetime | None = None, *, heard: bool = True
) -> Memory:
    """Give what is to be remembered of a block.

    1. An answer that is older than what is remembered, or that holds no counters, adds nothing.
    2. Counters that are understood replace those that were.
    3. Counters that fell during the day are remembered as such: the next midnight shows in a
       fall below them, and not in one below what the box showed before it restarted.
    4. Those that are not understood are stored beside the others, as the first of their day: the
       first before the time at which any clock has begun it, and then the first after it. The
       latest of them is stored as well, for the time alone must not decide about the same again.

    Args:
        now: What the block shows, as `days_of` takes it.
        memory: What is remembered so far.
        news: As `days_of` takes it.
        heard: Likewise.
    """
    earlier, shown, _ = memory
    if not now.wh or (earlier is not None and earlier.contact > now.contact):
        return memory
    judged, today = _judged(now, memory, news, heard=heard), clock.local_day(now.contact)
    if judged.days.first == today:
        fell = judged.days.last > today
        known = earlier.fell_by if fell and earlier is not None else None
        return Memory(
            Counted(
                contact=now.contact,
                wh=now.wh,
                kwh=now.kwh,
                fell_by=(known or now.contact) if fell else None,
                new_by=judged.new_by,
            )
        )
    if (
        shown is None
        or clock.local_day(shown.contact) != today
        or (_is_early(shown.contact) and not _is_early(now.contact))
    ):
        shown = now
    return Memory(earlier, shown, now)


def _since_midnight(contact: datetime) -> timedelta:
    # In UTC: in one zone Python would subtract what clocks show.
    return contact.astimezone(UTC) - clock.starts(clock.local_day(contact))


def _is_yesterdays(earlier: Shown, now: Shown) -> bool:
    return clock.local_day(earlier.contact) + timedelta(days=1) == clock.local_day(now.contact)


def _is_early(contact: datetime) -> bool:
    return _since_midnight(contact) < LATEST


def _fell(then: Mapping[str, float], now: Mapping[str, float]) -> bool:
    return any(then[name] - now[name] > DIP_WH for name in then.keys() & now.keys())


def _restarted(then: Shown, now: Shown) -> bool:
    if _fell(then.wh, now.wh):
        return True
    known = then.wh.keys() & now.wh.keys() & then.kwh.keys() & now.kwh.keys()
    return any(
        now.kwh[name] - then.kwh[name] - (now.wh[name] - then.wh[name]) / 1000 > ROUNDED_KWH
        for name in known
    )


def _began_early(earlier: Counted) -> bool:
    midnight = clock.starts(clock.local_day(earlier.contact) + timedelta(days=1))
    return earlier.fell_by is not None and midnight - earlier.fell_by <= LATEST


def _has_come(shown: Shown, now: Shown) -> bool:
    if clock.local_day(shown.contact) != clock.local_day(now.contact):
        return False
    if shown.contact > now.contact:
        return False
    return _fell(shown.wh, now.wh) or (_fell(now.wh, shown.wh) and not _is_early(shown.contact))


def _counts(wh: Mapping[str, float]) -> bool:
    return any(counter > DIP_WH for counter in wh.values())


def _same(then: Mapping[str, float], now: Mapping[str, float]) -> bool:
    # Counters of nothing stay so from one day to the next.
    both = [(then[name], now[name]) for name in then.keys() & now.keys()]
    return any(before > DIP_WH for before, _ in both) and all(
        before == after for before, after in both
    )
