"""Time as the portal's users live it: Europe/Prague, without a zone in the text. Pure."""

from __future__ import annotations

import functools
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

PRAGUE = ZoneInfo("Europe/Prague")

HOUR, DAY = 3600, 86400
"""Seconds. A day in Prague may have an hour more or less: use `next_midnight`."""


def local(at: float) -> datetime:
    """Give the moment of a Unix time on Prague's clocks."""
    return datetime.fromtimestamp(at, PRAGUE)


def naive(at: float) -> str:
    """Write a Unix time as the portal does: `YYYY-MM-DD HH:MM:SS`, without a zone (observed)."""
    return local(at).strftime("%Y-%m-%d %H:%M:%S")


def day_of(at: float) -> date:
    """Give the day it is in Prague."""
    return local(at).date()


def start_of(day: date) -> float:
    """Give the Unix time of the midnight with which a day begins in Prague."""
    return datetime(day.year, day.month, day.day, tzinfo=PRAGUE).timestamp()


def next_midnight(at: float) -> float:
    """Give the Unix time of the first midnight in Prague after a Unix time."""
    return start_of(day_of(at) + timedelta(days=1))


def second_of_day(at: float) -> float:
    """Give the seconds that Prague's clocks show since midnight: what people live by."""
    return (at + _offset(int(at // HOUR))) % DAY


@functools.lru_cache(maxsize=4096)
def _offset(hour: int) -> float:
    # Prague's clocks change on the full hour of UTC, so one answer is valid for a whole hour.
    offset = local(hour * HOUR).utcoffset()
    assert offset is not None
    return offset.total_seconds()
