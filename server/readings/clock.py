"""The portal's clock: times without a zone, as shown on a clock in Prague."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

PRAGUE = ZoneInfo("Europe/Prague")

SKEW = timedelta(minutes=5)
"""How far ahead of this clock the portal's may run before its times count as nonsense."""

EARLIEST = datetime(2015, 1, 1, tzinfo=UTC)
"""Before the first box: an earlier time is a clock that was never set."""

STAMP = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[ T](\d{2}):(\d{2})(?::(\d{2}))?(?:\.\d{1,6})?", re.ASCII
)
LONGEST = 40
"""Characters looked at: 26 and some blanks."""

NEVER_STAMP = re.compile(r"0000-00-00.{0,16}")


def moment_of(seconds: float) -> datetime:
    """Give the moment of seconds since 1970, whole ones, for results show no others."""
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=0)


def local_day(moment: datetime) -> date:
    """Give the day that it is, or was, in Prague."""
    return moment.astimezone(PRAGUE).date()


def local(moment: datetime) -> datetime:
    """Give a moment as every result shows it: in Prague's time, in whole seconds.

    For showing only: Python counts between two times of one such zone by what clocks show, which
    is an hour wrong across a clock change.
    """
    return moment.astimezone(PRAGUE).replace(microsecond=0)


def written(moment: datetime) -> str:
    """Write a moment in Prague's time with its offset, as in `2026-06-17T20:34:45+02:00`."""
    return local(moment).isoformat()


def starts(day: date) -> datetime:
    """Give the moment at which a day begins in Prague."""
    return datetime(day.year, day.month, day.day, tzinfo=PRAGUE).astimezone(UTC)


def readings_of(wall: datetime) -> tuple[datetime, ...]:
    """Give the moments at which clocks in Prague show this: one, two in autumn, none in spring.

    None either before there were boxes.
    """
    found: list[datetime] = []
    if wall.year < EARLIEST.year:
        return ()
    for fold in (0, 1):
        moment = wall.replace(tzinfo=PRAGUE, fold=fold).astimezone(UTC)
        if moment.astimezone(PRAGUE).replace(tzinfo=None) == wall and moment not in found:
            found.append(moment)
    return tuple(sorted(found))


def earliest_meant(wall: datetime) -> datetime:
    """Give the first moment that a person may mean by a time in Prague, to look from then on.

    1. A time that clocks show once is that moment.
    2. One that autumn repeats is the first of the two: something may be found that was not meant,
       but nothing is missed.
    3. One that spring skips is read by the clock before the change, or by that after it; the
       earlier of the two lies before all that happened in between.

    Raises:
        OverflowError: It lies outside the calendar.
    """
    return min(wall.replace(tzinfo=PRAGUE, fold=fold).astimezone(UTC) for fold in (0, 1))


def past_moments(wall: datetime, now: datetime) -> tuple[datetime, ...]:
    """Give all moments that may be meant by what a clock in Prague showed, the earlier first.

    Two in the hour that autumn repeats, whenever this is asked: also before the second of them.
    None for a time that spring skips, that lies in the future or before there were boxes.
    """
    moments = readings_of(wall)
    return moments if any(EARLIEST <= at <= now + SKEW for at in moments) else ()


def moments_until(wall: datetime, now: datetime) -> tuple[datetime, ...]:
    """Give the moments that may be meant by what a clock in Prague has shown already.

    None where there are no `past_moments`; of two only the first while the second is yet to come.
    """
    return tuple(at for at in past_moments(wall, now) if EARLIEST <= at <= now + SKEW)


def past_moment(wall: datetime, now: datetime) -> datetime | None:
    """Give the moment meant by what a clock in Prague showed.

    None where it may be either of two, however recent the second is: a box that has reported just
    now, and one that has been silent for an hour, look alike. None as well where there are no
    `past_moments`.
    """
    meant = moments_until(wall, now)
    return meant[0] if len(meant) == 1 else None


def wall_time(raw: object) -> datetime | None:
    """Read `YYYY-MM-DD HH:MM:SS`; None for anything else."""
    short = raw if isinstance(raw, str) and len(raw) <= LONGEST else ""
    found = STAMP.fullmatch(short.strip())
    if found is None:
        return None
    try:
        return datetime(*(int(part or 0) for part in found.groups()))  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        return None


def is_never(raw: object) -> bool:
    """Say whether this is how the portal writes that something never happened."""
    return isinstance(raw, str) and NEVER_STAMP.fullmatch(raw.strip()) is not None
