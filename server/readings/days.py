"""Which days of history can be asked for."""

from __future__ import annotations

from datetime import date

from ..errors import RangeError

MOST_DAYS = 31
"""Days in one request: a month. What the portal itself bears is not known."""

FIRST_DAY = date(2015, 1, 1)
"""No box is older."""


def check_range(first: date, last: date, today: date, most: int = MOST_DAYS) -> None:
    """Check the days of a request for history, both included.

    Args:
        first: First day.
        last: Last day.
        today: The present day in Prague.
        most: Days that there may be.

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
        raise RangeError(f"{first} to {last} is more than {most} days, the most in one call.")
