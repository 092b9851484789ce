"""The energy of one day and of its hours, and how it is written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal

from . import clock
from .series import SeriesName

Quantity = Literal["solar", "imported", "exported", "consumed", "charged", "discharged"]

POWERS: Mapping[Quantity, tuple[SeriesName, int]] = {
    "solar": ("solar", 1),
    "imported": ("grid", 1),
    "exported": ("grid", -1),
    "consumed": ("load", 1),
    "charged": ("battery", 1),
    "discharged": ("battery", -1),
}
"""The series that a quantity is of, and the sign of its power."""

COUNTERS: Mapping[Quantity, str] = {
    "imported": "imported_counter_wh",
    "exported": "exported_counter_wh",
}

SPARE_S = 600.0
"""Seconds without data with which a day still is complete: two items of 288."""

KEPT_VERSION = 4
"""Of `as_stored`. What another version has written is not read."""


@dataclass(frozen=True, slots=True)
class EnergyDay:
    """What is known of one day.

    Attributes:
        day: The day in Prague.
        read_at: When the portal gave it, Unix time in seconds.
        said_since: Since when the portal has said the same, as far as it was asked, likewise.
        as_of: When the last upload of a day that was under way came, likewise, or when it was read
            where that is not known; None once it was over.
        wh: Energy of the day as far as there is data, whole Wh; None where nothing is known.
        counted: Quantities that come from counters.
        whole: Those of them that lack nothing, also where there are gaps.
        hours: The same per hour that has begun; empty when the hours are not known.
        gaps: Seconds without data, per hour, or of the whole day when the hours are not known.
    """

    day: date
    read_at: int
    said_since: int
    as_of: int | None
    wh: Mapping[Quantity, int | None]
    counted: frozenset[Quantity] = frozenset()
    whole: frozenset[Quantity] = frozenset()
    hours: tuple[Mapping[Quantity, int | None], ...] = ()
    gaps: tuple[int, ...] = ()

    @property
    def ended(self) -> bool:
        """Whether it was over when it was read."""
        return self.as_of is None

    @property
    def gap_s(self) -> int:
        """Seconds without data."""
        return sum(self.gaps)

    @property
    def has_data(self) -> bool:
        """Whether anything is known."""
        return any(value is not None for value in self.wh.values())

    @property
    def without(self) -> tuple[Quantity, ...]:
        """Quantities that are unknown."""
        return tuple(quantity for quantity in POWERS if self.wh[quantity] is None)

    @property
    def complete(self) -> bool:
        """Whether it is over, without a gap, and nothing of it is unknown."""
        return self.ended and self.gap_s <= SPARE_S and not self.without

    def says_the_same(self, other: EnergyDay) -> bool:
        """Whether another answer says of the day what this one does, whenever it came."""
        return replace(self, read_at=0, said_since=0) == replace(other, read_at=0, said_since=0)

    def as_stored(self) -> list[object]:
        """Give it as JSON, short: a month of days has to fit into some kilobytes."""
        return [
            KEPT_VERSION,
            self.day.isoformat(),
            self.read_at,
            self.said_since,
            self.as_of,
            [self.wh[quantity] for quantity in POWERS],
            sorted(self.counted),
            sorted(self.whole),
            [[hour[quantity] for hour in self.hours] for quantity in POWERS],
            list(self.gaps) if any(self.gaps) else len(self.gaps),
        ]


def stored_day(raw: Any) -> EnergyDay | None:
    """Read what `as_stored` gave; None of anything else."""
    match raw:
        case [
            int(version),
            str(day),
            int(at),
            int(said_since),
            as_of,
            wh,
            counted,
            whole,
            columns,
            gaps,
        ] if version == KEPT_VERSION:
            return EnergyDay(
                date.fromisoformat(day),
                at,
                said_since,
                as_of,
                dict(zip(POWERS, wh, strict=True)),
                frozenset(counted),
                frozenset(whole),
                tuple(dict(zip(POWERS, row, strict=True)) for row in zip(*columns, strict=True)),
                (0,) * gaps if isinstance(gaps, int) else tuple(gaps),
            )
    return None


def hours_of(day: date) -> list[datetime]:
    """Give the moments at which the hours of a day begin: 23, 24 or 25."""
    begin, end = clock.starts(day), clock.starts(day + timedelta(days=1))
    hour = timedelta(hours=1)
    return [begin + number * hour for number in range(round((end - begin) / hour))]
