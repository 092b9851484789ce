"""Whether the battery is being charged from the grid, and why.

1. The box says itself that charging to a target runs (many boxes do not say it): it is, whatever
   the powers, which may be of a minute in which it begins or tapers off.
2. The battery takes nothing, or nothing is imported: it is not, whatever is set. A charge that is
   only planned, by a window of low tariff later in the day, is none.
3. It is not known whether it takes anything, or whether anything is imported, or that is of two
   times: nobody knows.
4. Both are so, and a setting is in force that charges from the grid, or a target is not reached to
   which this server has had it charged a while ago: it is. Without that the panels would feed the
   house first.
5. It takes more than the panels give: it is, whatever is set. The house makes no power, so the
   difference comes from the grid.
6. It takes no more, no setting charges from the grid, and the box says that charging to a target
   does not run: it is not. A plain import is for the house: for the part that the box does not
   feed, or on another phase.
7. As 6, but the box does not say it: nobody knows. By day, charging to a target takes about what
   the panels give, and the house is left to the grid, which looks like a plain import.
8. The panels' power, the mode or the tariff's settings are unknown, without which 4 and 5 cannot
   be separated from 6: nobody knows.

Why it is charged the portal never says. Of what is set, what would do it by itself is named: a
target, while charging to it runs; an aggregator, who decides the mode then; a mode that charges
from the grid; a window of low tariff that is open, if the battery is set to be charged in it;
a target of a change that was made through this server; balancing of cells. Otherwise the cause is
not shown.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from . import clock
from .battery import Battery, battery
from .box import OF_TWO_TIMES, Box
from .detail import Detail, detail
from .grid import Grid, grid
from .mode import HOME_3, HOME_UPS, Mode, mode
from .solar import Solar, solar
from .unknown import NOT_SENT

MARGIN_W = 100.0
"""Watts by which the battery must take more than the panels give: what is measured on either side
of the inverter differs by its losses."""

CHARGING_MODES = frozenset({HOME_3, HOME_UPS})
"""The modes that charge from the grid."""

LASTS = timedelta(hours=12)
"""For how long charging may be what a change of then has begun: at 2.5 kW, the slowest that was
seen, it fills 30 kWh. The target stays set afterwards and says nothing of a later day."""

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
BALANCED = ("its cells are being balanced", BY_ITSELF)
LOOK = "If it is not wanted, look at the box's settings in the portal or the mobile app."
NOT_SHOWN = ("why is not shown", LOOK)


class MadeHere(NamedTuple):
    """The last charging to a target that was asked for through this server, and applied.

    Attributes:
        target_percent: The target.
        at: When it was sent.
        change_id: The change; None of one that another account made.
    """

    target_percent: float
    at: datetime
    change_id: str | None


class GridCharging(NamedTuple):
    """A battery that is being charged from the grid.

    Attributes:
        means: What flows and why, in words.
        to_do: What to do about it.
    """

    means: str
    to_do: str


def grid_charging(
    box: Box, now: datetime, made: MadeHere | None = None
) -> GridCharging | str | None:
    """Say whether the battery of a box is being charged from the grid.

    Args:
        box: The box.
        now: The present time, with a zone.
        made: The last charging that was asked for through this server.

    Returns:
        How and why; None when it is not; a text that says why it is unknown.
    """
    cells, net, how, more = battery(box), grid(box), mode(box), detail(box)
    made = made if made is not None and _is_under_way(made, cells, now) else None
    if not cells.formatting_active:
        charging = _takes_while_importing(box, cells, net)
        is_set = how.number in CHARGING_MODES or _open_until(more, now) is not None
        if charging is True and not is_set and made is None:
            charging = _takes_more_than_made(box, cells, solar(box), how, more)
        if charging is not True:
            return charging or None
    why, to_do = _cause(cells, how, more, now, made)
    return GridCharging(f"{_flows(cells.power_w, net.power_w)}: {why}.", to_do)


def _is_under_way(made: MadeHere, cells: Battery, now: datetime) -> bool:
    """Say whether charging that was asked for here may be going on, by all that is shown.

    Not if the box says that none runs, shows another target by now, or has as much; nor after as
    long as the slowest charging takes.
    """
    shown, charge = cells.grid_charge_target_percent, cells.state_of_charge_percent
    return (
        cells.formatting_active is not False
        and shown in {None, made.target_percent}
        and (charge is None or charge < made.target_percent)
        and now - made.at < LASTS
    )


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
        return "The battery is charged from the grid"
    return f"The battery takes {charge:.0f} W and the grid gives {drawn:.0f} W"


def _cause(
    cells: Battery, how: Mode, more: Detail, now: datetime, made: MadeHere | None
) -> tuple[str, str]:
    ending = f"{WANTED} {END_BELOW}"
    if cells.formatting_active:
        target = cells.grid_charge_target_percent
        to = "a target that is not shown" if target is None else f"{target:.0f} %"
        by = "" if made is None else f", as {_asked(made)}"
        return f"it is being charged to {to}{by}", ending
    if how.flexibility:
        return "an aggregator controls the box", AGGREGATOR
    if how.number in CHARGING_MODES:
        return f"the mode {how.name} charges from the grid", OTHER_MODE
    if (end := _open_until(more, now)) is not None:
        return f"it is set to be charged in low tariff, now until {end}", TARIFF_OFF
    if made is not None:
        return f"most likely to {made.target_percent:.0f} %, as {_asked(made)}", ending
    return BALANCED if cells.balancing_active else NOT_SHOWN


def _asked(made: MadeHere) -> str:
    change = "a change" if made.change_id is None else f"change {made.change_id}"
    return f"{change}, made through this server at {clock.written(made.at)}, asked for"


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
