"""The energy of days put together: by the hour, by the day, by the month, and in total."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import groupby
from typing import Literal

from . import clock
from .days import span
from .energy_day import POWERS, SPARE_S, EnergyDay, Quantity, hours_of

Per = Literal["hour", "day", "month", "total"]

Empty = tuple[str, str]
"""Labels of the first and the last of neighbouring hours without anything."""

BALANCE: Mapping[Quantity, int] = {
    "solar": 1,
    "imported": 1,
    "discharged": 1,
    "exported": -1,
    "charged": -1,
}
"""What came in, and what went out again, of all that house and box used."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some time with one row.

    Attributes:
        label: What the row is called.
        wh: Energy as far as it is known.
        gap_s: Seconds without data.
        ended: Whether it was over.
        complete: Whether it was, and nothing of it is unknown.
        counted: Quantities that come from counters.
        without: Quantities with at least one unknown day, or with none known.
        lost: Whole hours of days that a quantity lacks while the rest of the day has it.
        covers: The days that were asked for, where these are not all of the month.
    """

    label: str
    wh: Mapping[Quantity, int | None]
    gap_s: int
    ended: bool
    complete: bool
    counted: frozenset[Quantity] = frozenset()
    without: tuple[Quantity, ...] = ()
    lost: Mapping[Quantity, int] = field(default_factory=dict)
    covers: str | None = None


def rows_of(days: Sequence[EnergyDay], per: Per) -> tuple[list[Part], list[EnergyDay], list[Empty]]:
    """Give what is to have a row, days whose hours are not known, and hours without anything."""
    match per:
        case "day":
            return [day_sum(one) for one in days], [], []
        case "month":
            months = groupby(days, lambda one: _month(one.day))
            return [summed(label, list(group)) for label, group in months], [], []
        case "hour":
            hours = [part for one in days for part in _hours(one)]
            filled = [part for part in hours if _has_data(part)]
            # Of an hour without anything no row is made up.
            empty = [
                (gone[0].label, gone[-1].label)
                for there, group in groupby(hours, _has_data)
                if not there and (gone := list(group))
            ]
            return filled, [one for one in days if not one.hours], empty
        case "total":
            return [], [], []


def _month(day: date) -> str:
    return f"{day:%Y-%m}"


def as_asked(months: Iterable[Part], days: Iterable[date], lacking: Iterable[date]) -> list[Part]:
    """Give months as what they are: of some of their days, or lacking some.

    Args:
        months: What their days come to.
        days: All that were asked for.
        lacking: Those of them that have no data.
    """
    asked = _asked(days)
    short = {_month(day) for day in lacking}
    return [
        replace(
            one,
            complete=one.complete and asked[one.label] is None and one.label not in short,
            covers=asked[one.label],
        )
        for one in months
    ]


def _asked(days: Iterable[date]) -> dict[str, str | None]:
    """Give by month the days that were asked for, None where these are all of it."""
    found: dict[str, str | None] = {}
    for label, group in groupby(sorted(days), _month):
        of_month = list(group)
        all_of_it = len(of_month) == monthrange(of_month[0].year, of_month[0].month)[1]
        found[label] = None if all_of_it else span(of_month[0], of_month[-1])
    return found


def _has_data(part: Part) -> bool:
    return any(value is not None for value in part.wh.values())


def day_sum(day: EnergyDay) -> Part:
    """Give a day as a row."""
    return summed(day.day.isoformat(), [day])


def _hours(day: EnergyDay) -> Iterable[Part]:
    for begin, wh, gap_s in zip(hours_of(day.day), day.hours, day.gaps, strict=False):
        ended = day.as_of is None or begin.timestamp() + 3600 <= day.as_of
        without = tuple(quantity for quantity in POWERS if wh[quantity] is None)
        complete = ended and not without and gap_s <= SPARE_S
        yield Part(clock.written(begin), wh, gap_s, ended, complete, day.counted, without)


def summed(label: str, days: Sequence[EnergyDay]) -> Part:
    """Add days up, as far as they are known."""
    return Part(
        label,
        {one: sum(known) if (known := _known(one, days)) else None for one in POWERS},
        sum(one.gap_s for one in days),
        all(one.ended for one in days),
        bool(days) and all(one.complete for one in days),
        without=tuple(one for one in POWERS if any(one in day.without for day in days)),
        lost={quantity: sum(_hours_lost(quantity, one) for one in days) for quantity in POWERS},
    )


def _hours_lost(quantity: Quantity, day: EnergyDay) -> int:
    """Count the whole hours of a day that its sum of a quantity lacks.

    1. Nothing is known of the day: that is said of the day.
    2. A counter went on over them: the sum lacks none.
    3. Otherwise each hour without a value is lacking. A partly known one cannot be judged here.
    """
    if day.wh[quantity] is None or quantity in day.counted:
        return 0
    return sum(hour[quantity] is None for hour in day.hours)


def _known(quantity: Quantity, days: Iterable[EnergyDay]) -> list[int]:
    return [value for one in days if (value := one.wh[quantity]) is not None]


def used(days: Sequence[EnergyDay]) -> int | None:
    """Give all that house and box used, Wh: what came in less what went out again.

    None where that is not known, or has gaps: then what came in and what went out are not of the
    same time.
    """
    if not days or any(
        one.gap_s > SPARE_S or not BALANCE.keys().isdisjoint(one.without) for one in days
    ):
        return None
    return sum(sign * sum(_known(quantity, days)) for quantity, sign in BALANCE.items())
