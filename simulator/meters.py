"""Energy counted by day, month and year, from midnight to midnight in Prague."""

from __future__ import annotations

import calendar
from datetime import date
from typing import NamedTuple

from .house import Flows
from .plant import Plant
from .prague import HOUR, day_of, start_of
from .sun import season


class Energy(NamedTuple):
    """Energy that has flowed, in Wh.

    Attributes:
        imported: From the grid.
        exported: Into the grid.
        pv: Made by the panels.
        backed: Used behind the box, boiler included.
        other: Used in the section without backup.
        charged: Into the battery.
        discharged: Out of the battery.
        from_grid: The part of `charged` that came from the grid.
        boiler: Used by the boiler.
    """

    imported: float = 0.0
    exported: float = 0.0
    pv: float = 0.0
    backed: float = 0.0
    other: float = 0.0
    charged: float = 0.0
    discharged: float = 0.0
    from_grid: float = 0.0
    boiler: float = 0.0

    def plus(self, more: Energy) -> Energy:
        """Add two amounts."""
        return Energy(*[a + b for a, b in zip(self, more, strict=True)])

    def times(self, factor: int) -> Energy:
        """Give so many times this amount."""
        return Energy(*[a * factor for a in self])

    def then(self, flows: Flows, seconds: float) -> Energy:
        """Give the energy after these flows lasted so many seconds more."""
        hours = seconds / HOUR
        grid, charge = flows.grid * hours, flows.battery * hours
        return Energy(
            self.imported + grid if grid > 0 else self.imported,
            self.exported - grid if grid < 0 else self.exported,
            self.pv + (flows.pv[0] + flows.pv[1]) * hours,
            self.backed + (flows.backed[0] + flows.backed[1] + flows.backed[2]) * hours,
            self.other + (flows.other[0] + flows.other[1] + flows.other[2]) * hours,
            self.charged + charge if charge > 0 else self.charged,
            self.discharged - charge if charge < 0 else self.discharged,
            self.from_grid + flows.from_grid * hours,
            self.boiler + flows.boiler * hours,
        )


class Meters(NamedTuple):
    """What the counters of one box show.

    Attributes:
        day: Since midnight.
        month_before: Of this month, before this midnight.
        year_before: Of this year, before this midnight.
    """

    day: Energy
    month_before: Energy
    year_before: Energy

    @property
    def month(self) -> Energy:
        """Since the first midnight of this month."""
        return self.month_before.plus(self.day)

    @property
    def year(self) -> Energy:
        """Since the first midnight of this year."""
        return self.year_before.plus(self.day)

    def at_midnight(self, midnight: float) -> Meters:
        """Give the counters as a new day begins in Prague, and perhaps a month or a year."""
        day, none = day_of(midnight), Energy()
        return Meters(
            none,
            none if day.day == 1 else self.month,
            none if (day.month, day.day) == (1, 1) else self.year,
        )


def before(plant: Plant, day: date) -> Meters:
    """Guess the counters at the midnight with which a day begins, from the seasons so far."""
    month = _typical(plant, day).times(day.day - 1)
    year = month
    for past in range(1, day.month):
        days = calendar.monthrange(day.year, past)[1]
        year = year.plus(_typical(plant, date(day.year, past, 15)).times(days))
    return Meters(Energy(), month, year)


def _typical(plant: Plant, day: date) -> Energy:
    """Give an ordinary day of the season, in Wh: invented, and balanced like a real one."""
    summer = season(start_of(day) + HOUR * 12)
    pv = sum(plant.panel_wp) * (2.4 + 1.9 * summer)
    backed, other = 7600.0, 2900.0 if plant.other_meter else 0.0
    boiler = (2500.0 + 2500.0 * summer) if plant.boiler_w else 0.0
    own = plant.own_w * 24
    need = backed + other + boiler + own
    charged = min(0.55 * pv, 0.7 * plant.battery_wh)
    discharged = 0.92 * charged
    self_used = min(0.8 * pv, need)
    return Energy(
        imported=need - self_used + charged - discharged,
        exported=pv - self_used,
        pv=pv,
        backed=backed + boiler,
        other=other,
        charged=charged,
        discharged=discharged,
        from_grid=0.05 * charged,
        boiler=boiler,
    )
