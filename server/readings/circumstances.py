"""What decides about a battery: the powers around it, its charge, and how the box is set."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

TOO_OLD = "The box's last report is too old, or of unknown age, to tell what is so now."


class Circumstances(NamedTuple):
    """What is known; None of anything that is not.

    Attributes:
        current: The box's last report is not stale.
        of_one_time: The powers of battery and grid are.
        older: Power or charge of the battery are of the last upload.
        battery_w: Power of the battery, + charging.
        grid_w: Power of the grid, + importing.
        solar_w: Power of the panels.
        boiler_w: Power of the boiler; None without one, too.
        charge: Of the battery, percent.
        capacity_wh: Of the battery.
        minimum: Percent down to which the battery is used while the grid is there.
        mode: Number of the operating mode.
        grid_v: The battery feeds the part of the house without backup, too.
        flexible: An aggregator controls the box.
        bypassed: A bypass is known to be on.
        formatting: The battery is being charged to its target from the grid.
        target: Percent at which charging from the grid ends.
        most_exported_w: How much may be exported.
        why_unknown: Gives the reason of a reading that is unknown, by its name.
    """

    current: bool
    of_one_time: bool
    older: bool
    battery_w: float | None
    grid_w: float | None
    solar_w: float | None
    boiler_w: float | None
    charge: float | None
    capacity_wh: float | None
    minimum: float | None
    mode: int | None
    grid_v: bool | None
    flexible: bool | None
    bypassed: bool
    formatting: bool | None
    target: float | None
    most_exported_w: float | None
    why_unknown: Callable[[str], str]
