"""Counters of one box, as far as it is certain which day, month or year they count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import NamedTuple

from . import clock
from .box import Box
from .numbers import DAY_WH, MONTH_KWH, YEAR_KWH, Span
from .rollover import Counted, Days, counted, days_of

OF_THE_DAY = {
    "dc_in": ("fv_ad",),
    "ac_in": ("ac_ad", "ac_pd"),
    "ac_in_b": ("ac_ad",),
    "ac_out": ("en_day",),
    "batt": ("bat_apd", "bat_and", "bat_ad"),
    "boiler": ("w",),
}
"""The blocks that are uploaded each by itself, and their counters of the day."""

NOT_YET = (
    "It may still count the day before: for some minutes after midnight, and after a time without "
    "contact, the portal shows what the box counted on an earlier day."
)
BEGUN_ANEW = (
    "It fell during the day, so it does not count all of it: the box counted from 0 again, or its "
    "clock is wrong."
)


class Period(NamedTuple):
    """What a counter counts.

    Attributes:
        span: The values that it can have.
        of: What two days have in common that lie in the same period.
    """

    span: Span
    of: Callable[[date], object]


DAY = Period(DAY_WH, lambda day: day)
MONTH = Period(MONTH_KWH, lambda day: (day.year, day.month))
YEAR = Period(YEAR_KWH, lambda day: day.year)


class Counters:
    """Reads the counters of one box.

    Args:
        box: The box.
        contact: Its last contact with the portal. While that is not known nothing can be said of
            the counters' day, and they are given as they are.
        earlier: The counters of each block as they were last understood.

    Attributes:
        day: The day that those of today count; None if it is not known.
    """

    def __init__(self, box: Box, contact: datetime | None, earlier: Mapping[str, Counted]) -> None:
        self.day = None if contact is None else clock.local_day(contact)
        self._box = box
        self._contact = contact
        self._earlier = earlier
        self._days_of: dict[str, Days] = {}

    def read(self, reading: str, field: tuple[str, str], period: Period) -> float | None:
        """Read a counter, or note why `reading` is unknown.

        Args:
            reading: Its name.
            field: Block and field.
            period: What it counts.
        """
        found = self._box.number(reading, *field, period.span)
        if found is None or self._contact is None:
            return found
        days = self._days(field[0], self._contact)
        if period.of(days.first) == period.of(days.last):
            return found
        self._box.reasons.add(reading, NOT_YET if days.last == self.day else BEGUN_ANEW)
        return None

    def remembered(self) -> dict[str, Counted]:
        """Give what later answers are to be compared with, by block."""
        remembered = dict(self._earlier)
        if self._contact is None:
            return remembered
        for block in OF_THE_DAY:
            one = counted(self._of_the_day(block), self._contact, self._earlier.get(block))
            if one is not None:
                remembered[block] = one
        return remembered

    def _days(self, block: str, contact: datetime) -> Days:
        days = self._days_of.get(block)
        if days is None:
            days = days_of(self._of_the_day(block), contact, self._earlier.get(block))
            self._days_of[block] = days
        return days

    def _of_the_day(self, block: str) -> dict[str, float]:
        read = {field: self._box.peek(block, field, DAY_WH) for field in OF_THE_DAY[block]}
        return {field: found for field, found in read.items() if not isinstance(found, str)}
