"""Counters of one box, as far as it is certain which day, month or year they count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import NamedTuple

from . import clock
from .box import Box
from .numbers import DAY_WH, MONTH_KWH, YEAR_KWH, Span
from .rollover import NOTHING, Days, Memory, Shown, days_of, new_by, remembered

OF_THE_DAY: dict[str, dict[str, str | None]] = {
    "dc_in": {"fv_ad": "fv_am"},
    "ac_in": {"ac_ad": "ac_am", "ac_pd": "ac_pm"},
    "ac_in_b": {"ac_ad": "ac_am"},
    "ac_out": {"en_day": "en_mont"},
    "batt": {"bat_apd": None, "bat_and": None, "bat_ad": "bat_am"},
    "boiler": {"w": "boj_am"},
}
"""The blocks that are uploaded each by itself, and their counters of the day, each with that of the
month."""

NOT_YET = "It may still count the day before: ask again soon."
"""For some minutes after midnight, and after a time without contact, the portal shows what the box
counted on an earlier day. Once the box has counted on, it is certain."""

BEGUN_ANEW = (
    "It is less than an answer of today showed before, so it may not count all of the day: the "
    "box counted from 0 again, its clock is wrong, or that answer was of an earlier day."
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
        memory: What earlier readings showed of each block.
        now: The present time, with a zone.

    Attributes:
        day: The day of the box's last contact, which those of today count; None if it is not known.
    """

    def __init__(self, box: Box, memory: Mapping[str, Memory], now: datetime) -> None:
        contact = box.latest_contact(now)
        self.day = None if contact is None else clock.local_day(contact)
        self._box = box
        self._contact = contact or now
        self._memory = memory
        self._days_of: dict[str, Days] = {}
        self._news = self._first_news()

    def read(self, reading: str, field: tuple[str, str], period: Period) -> float | None:
        """Read a counter, or note why `reading` is unknown.

        Args:
            reading: Its name.
            field: Block and field.
            period: What it counts.
        """
        found = self._box.number(reading, *field, period.span)
        if found is None:
            return None
        days = self._days(field[0])
        if period.of(days.first) == period.of(days.last):
            return found
        today = clock.local_day(self._contact)
        self._box.reasons.add(reading, NOT_YET if days.last == today else BEGUN_ANEW)
        return None

    def remembered(self) -> dict[str, Memory]:
        """Give what later answers are to be compared with, by block."""
        after = {
            block: remembered(
                self._shown(block), self._of(block), self._news, heard=self.day is not None
            )
            for block in OF_THE_DAY
        }
        return {block: memory for block, memory in after.items() if memory != NOTHING}

    def _days(self, block: str) -> Days:
        days = self._days_of.get(block)
        if days is None:
            shown, heard = self._shown(block), self.day is not None
            days = days_of(shown, self._of(block), self._news, heard=heard)
            self._days_of[block] = days
        return days

    def _first_news(self) -> datetime | None:
        heard = self.day is not None
        firsts = (new_by(self._shown(one), self._of(one), heard=heard) for one in OF_THE_DAY)
        return min(filter(None, firsts), default=None)

    def _of(self, block: str) -> Memory:
        return self._memory.get(block, NOTHING)

    def _shown(self, block: str) -> Shown:
        wh, kwh = {}, {}
        for of_day, of_month in OF_THE_DAY[block].items():
            counter = self._box.peek(block, of_day, DAY_WH)
            if not isinstance(counter, str):
                wh[of_day] = counter
            counter = self._box.peek(block, of_month, MONTH_KWH) if of_month else ""
            if not isinstance(counter, str):
                kwh[of_day] = counter
        return Shown(contact=self._contact, wh=wh, kwh=kwh)
