"""Whether the battery is being charged from the grid, and why.

1. The box says itself that charging to a target runs (many boxes do not say it): it is, whatever
   the powers, which may be of a minute in which it begins or tapers off.
2. The battery takes nothing, or nothing is imported: it is not, whatever is set. A charge that is
   only planned, by a window of low tariff later in the day, is none.
3. It is not known whether it takes anything, or whether anything is imported, or that is of two
   times: nobody knows.
4. Both are so, and a setting is in force that charges from the grid: it is. Without that the panels
   would feed the house first.
5. It takes more than the panels give: it is, whatever is set. The house makes no power, so the
   difference comes from the grid.
6. It takes no more, no setting charges from the grid, and the box says that charging to a target
   does not run: it is not. A plain import is for the house: for the part that the box does not
   feed, or on another phase.
7. As 6, but the box does not say it: nobody knows. By day, charging to a target takes about what
   the panels give, and the house is left to the grid, which looks like a plain import.
8. The panels' power, the mode or the tariff's settings are unknown, and would tell 4 and 5 from 6:
   nobody knows.

Why it is charged the portal never says. Of what is set, what would do it by itself is named: a
target, while charging to it runs; an aggregator, who decides the mode then; a mode that charges
from the grid; a window of low tariff that is open, if the battery is set to be charged in it;
balancing of cells. Otherwise the cause is not shown.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from . import clock
from .battery import Battery, battery
from .box import OF_TWO_TIMES, Box
from .detail import Detail, detail
from .grid import Grid, grid
from .mode import Mode, mode
from .solar import Solar, solar
from .unknown import NOT_SENT

MARGIN_W = 100.0
"""Watts by which the battery must take more than the panels give: what is measured on either side
of the inverter differs by its losses."""

CHARGING_MODES = frozenset({2, 3})
"""Home 3 and Home UPS, the modes that charge from the grid."""

MODE_UNKNOWN = "What the box's mode does is not known."
TARGET_UNKNOWN = (
    "It is charged while power is imported, and the box does not say whether charging to a target "
    "runs."
)
TARIFF_UNKNOWN = "Whether it is charged in low tariff is not known."

WANTED = "Nothing, if that is wanted."
END_BELOW = "A new target at or below the present charge is believed to end it."
BY_ITSELF = "Nothing: it ends by itself."
AGGREGATOR = "Nothing here: it ends when the aggregator gives the box back."
OTHER_MODE = "If it is not wanted, choose another mode, such as Home 1."
TARIFF_OFF = "If it is not wanted, the portal and the mobile app can switch charging in it off."
LOOK = "If it is not wanted, look at the box's settings in the portal or the mobile app."


class GridCharging(NamedTuple):
    """A battery that is being charged from the grid.

    Attributes:
        means: What flows and why, in words.
        to_do: What to do about it.
    """

    means: str
    to_do: str


def grid_charging(box: Box, now: datetime) -> GridCharging | str | None:
    """Say whether the battery of a box is being charged from the grid.

    Args:
        box: The box.
        now: The present time, with a zone.

    Returns:
        How and why; None when it is not; a text that says why nobody knows.
    """
    cells, net, how, more = battery(box), grid(box), mode(box), detail(box)
    if not cells.formatting_active:
        held = _takes_while_importing(box, cells, net)
        if held is True and how.number not in CHARGING_MODES and _open_until(more, now) is None:
            held = _takes_more_than_made(box, cells, solar(box), how, more)
        if held is not True:
            return held or None
    why, to_do = _cause(cells, how, more, now)
    return GridCharging(f"{_flows(cells.power_w, net.power_w)} {why}", to_do)


def _takes_while_importing(box: Box, cells: Battery, net: Grid) -> bool | str:
    if cells.state in {"idle", "discharging"} or net.flow in {"exporting", "balanced"}:
        return False
    if cells.power_w is None or net.power_w is None:
        return _lost(box, "battery.power_w", "grid.power_w")
    return _of_one_time(box, "battery.power_w", "grid.power_w") or OF_TWO_TIMES


def _takes_more_than_made(
    box: Box, cells: Battery, panels: Solar, how: Mode, more: Detail
) -> bool | str:
    if cells.power_w is None or panels.power_w is None:
        return _lost(box, "solar.power_w")
    if not _of_one_time(box, "battery.power_w", "solar.power_w"):
        return OF_TWO_TIMES
    if cells.power_w > panels.power_w + MARGIN_W:
        return True
    if how.behaviour is None:
        return MODE_UNKNOWN
    if _is_tariff_unknown(more):
        return TARIFF_UNKNOWN
    return TARGET_UNKNOWN if cells.formatting_active is None else False


def _is_tariff_unknown(more: Detail) -> bool:
    if more.low_tariff_charging:
        return any(None in {one.start, one.end} for one in more.low_tariff_windows)
    return more.low_tariff_charging is None


def _of_one_time(box: Box, *readings: str) -> bool:
    return len({reading in box.older for reading in readings}) == 1


def _lost(box: Box, *readings: str) -> str:
    return next(filter(None, (box.reasons.get(name, "") for name in readings)), NOT_SENT)


def _flows(charge: float | None, drawn: float | None) -> str:
    if charge is None or drawn is None:
        return "The battery is charged from the grid."
    return f"The battery takes {charge:.0f} W and the grid gives {drawn:.0f} W."


def _cause(cells: Battery, how: Mode, more: Detail, now: datetime) -> tuple[str, str]:
    if cells.formatting_active:
        target = cells.grid_charge_target_percent
        to = "a target that is not shown" if target is None else f"{target:.0f} %"
        return f"It is being charged to {to}.", f"{WANTED} {END_BELOW}"
    if how.flexibility:
        return "An aggregator controls the box.", AGGREGATOR
    if how.number in CHARGING_MODES:
        return f"The mode {how.name} charges from the grid.", OTHER_MODE
    if (end := _open_until(more, now)) is not None:
        return f"It is set to be charged in low tariff, now until {end}.", TARIFF_OFF
    if cells.balancing_active:
        return "Its cells are being balanced.", BY_ITSELF
    return "Why is not shown.", LOOK


def _open_until(more: Detail, now: datetime) -> str | None:
    """Return when the low tariff ends in which the battery is charged now; None if it is not."""
    if not more.low_tariff_charging:
        return None
    at = f"{clock.local(now):%H:%M:%S}"
    for window in more.low_tariff_windows:
        start, end = window.start, window.end
        if start is None or end is None:
            continue
        if start <= at < end or (end < start and not end <= at < start):
            return end
    return None
