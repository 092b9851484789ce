"""The box's time: what clocks show in Prague, whatever the zone of this machine. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timezone
from zoneinfo import ZoneInfo

PRAGUE = ZoneInfo("Europe/Prague")


def local(moment: datetime) -> datetime:
    """Return a moment in Prague's time.

    Its zone is no more than the offset of that moment: between two times of one zone with changing
    offsets Python would count what clocks show, and an hour too much or too little.
    """
    shown = moment.astimezone(PRAGUE)
    offset = shown.utcoffset()
    assert offset is not None
    return shown.replace(tzinfo=timezone(offset), fold=0)


def parsed(value: object) -> datetime | None:
    """Read a time in a result; None if it is not a valid one.

    One without an offset is in UTC: servers of older versions wrote it so.
    """
    try:
        when = datetime.fromisoformat(str(value))
        return local(when.replace(tzinfo=when.tzinfo or UTC))
    except (ValueError, OverflowError):  # in Prague it may be after the year 9999
        return None


def typed(text: str) -> datetime:
    """Read a day or a time that a person typed; without an offset it is Prague's.

    A time that autumn repeats, or that spring skips, is the earliest that may be meant: from then
    on nothing is missed.

    Raises:
        ValueError: It is none.
        OverflowError: It lies outside the calendar.
    """
    when = datetime.fromisoformat(text)
    if when.tzinfo is not None:
        return when
    return local(min(when.replace(tzinfo=PRAGUE, fold=fold).astimezone(UTC) for fold in (0, 1)))


def starts(day: date) -> datetime:
    """Return the moment at which a day begins in Prague."""
    return local(datetime(day.year, day.month, day.day, tzinfo=PRAGUE))


def written(moment: datetime) -> str:
    """Write a moment in Prague's time with its offset, as in `2026-06-17T20:34:45+02:00`."""
    return local(moment).isoformat(timespec="seconds")
