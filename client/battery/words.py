"""Readings as people read them. Pure. What is not known is `-`, never 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..local_time import parsed, written
from ..readable import one_line

UNKNOWN = "-"
MOST = 1e12
"""No reading of a house is more, in any unit."""


def part(values: object, *path: str) -> Any:
    """Return what stands at a path inside a result; None where there is nothing."""
    for name in path:
        if not isinstance(values, Mapping):
            return None
        values = values.get(name)
    return values


def entries(values: object, *path: str) -> list[Any]:
    """Return the list that stands at a path inside a result; an empty one where there is none."""
    found = part(values, *path)
    return found if isinstance(found, list) else []


def number(value: object) -> float | None:
    """Return a number of a size that a house may have, None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -MOST <= value <= MOST else None  # which no NaN is


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


def time(value: object) -> str:
    """Write a time of a result, in the box's time."""
    when = parsed(value)
    return UNKNOWN if when is None else written(when)


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
