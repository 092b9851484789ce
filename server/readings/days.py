"""Which days of history can be asked for, and how days are named."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from ..errors import RangeError

MOST_DAYS = 31
"""Days in one request: a month. What the portal itself bears is not known."""

FIRST_DAY = date(2015, 1, 1)
"""No box is older."""

LISTED = 5
"""Spans of days named in a warning."""


def check_range(
    first: date, last: date, today: date, most: int = MOST_DAYS, by: str | None = None
) -> None:
    """Check the days of a request for history, both included.

    Args:
        first: First day.
        last: Last day.
        today: The present day in Prague.
        most: Days that there may be.
        by: What each row is of, where the bound depends on that.

    Raises:
        RangeError: They are in the wrong order, in the future, too many or too long ago.
    """
    if first > last:
        raise RangeError(f"The first day, {first}, is after the last one, {last}.")
    if last > today:
        raise RangeError(f"{last} is in the future; today is {today} in Prague.")
    if first < FIRST_DAY:
        raise RangeError(f"{first} is too long ago: there is nothing before {FIRST_DAY}.")
    if (last - first).days >= most:
        rows = "" if by is None else f" by the {by}"
        raise RangeError(f"{first} to {last} is more than {most} days, the most in one call{rows}.")


def spans(days: Iterable[date]) -> list[tuple[date, date]]:
    """Put neighbours together.

    Args:
        days: In order.

    Returns:
        The first and the last day of each row of neighbours.
    """
    found: list[tuple[date, date]] = []
    for day in days:
        if found and found[-1][1] == day - timedelta(days=1):
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


def named(days: Iterable[date]) -> str:
    """Name days, neighbours together, and no more of these than `LISTED`."""
    found = [span(first, last) for first, last in spans(days)]
    return ", ".join(found[:LISTED]) + (", ..." if len(found) > LISTED else "")


def span(first: date | str, last: date | str) -> str:
    """Name days, or hours, by the first and the last of them."""
    return str(first) if first == last else f"{first} to {last}"
