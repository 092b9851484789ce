"""Readings as people read them. Pure. What is not known is `-`, never 0."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from ..readable import one_line

UNKNOWN = "-"


def part(values: object, *path: str) -> Any:
    """Return what stands at a path inside a result; None where there is nothing."""
    for name in path:
        if not isinstance(values, Mapping):
            return None
        values = values.get(name)
    return values


def number(value: object) -> float | None:
    """Return a number, None for everything else, also for what no meter can show."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # of an integer beyond any float
        return None


def watts(value: object) -> str:
    """Write a power."""
    return _with(value, "W", 0)


def percent(value: object) -> str:
    """Write a share."""
    return _with(value, "%", 0)


def kilowatt_hours(watt_hours: object) -> str:
    """Write an energy that was counted in Wh."""
    found = number(watt_hours)
    return UNKNOWN if found is None else f"{found / 1000:.2f} kWh"


def measured(value: object, unit: str) -> str:
    """Write any other quantity."""
    return _with(value, unit, 1)


def text(value: object) -> str:
    """Write a word, or a few in one line."""
    return UNKNOWN if value is None else one_line(value)


def switch(value: object) -> str:
    """Write yes or no."""
    return {True: "on", False: "off"}.get(value, UNKNOWN) if isinstance(value, bool) else UNKNOWN


def _with(value: object, unit: str, places: int) -> str:
    found = number(value)
    # -0.4 is 0, not -0.
    return UNKNOWN if found is None else f"{round(found, places) + 0.0:.{places}f} {unit}"


def moment(value: object, zone: tzinfo | None) -> datetime | None:
    """Read a time, in the person's zone."""
    try:
        when = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return when.replace(tzinfo=when.tzinfo or UTC).astimezone(zone)


def clock(when: datetime | None, today: date | None) -> str:
    """Write a time, with its day unless that is today."""
    if when is None:
        return UNKNOWN
    return f"{when:%H:%M:%S}" if when.date() == today else f"{when:%Y-%m-%d %H:%M}"


def ago(seconds: object) -> str:
    """Write an age."""
    found = number(seconds)
    if found is None:
        return "age unknown"
    minutes = int(found) // 60
    if minutes < 1:
        return f"{int(found)} s ago"
    if minutes < 120:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 48 * 60 else f"{minutes // 1440} days ago"
