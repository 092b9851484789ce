"""What a box does by the clock: in low-tariff windows and in the boiler's own. Pure.

Which windows there are is observed, and that both ends are 0 where one is not set; what exactly a
box does in them is not: the simplest that the settings' names allow.
"""

from __future__ import annotations

from typing import NamedTuple

from .plant import Setup

HOT_WH = 7000.0
"""After so much in a day the water is hot, and the automatic boiler stops (invented)."""

TARIFF = (("hdo1_s", "hdo1_e"), ("hdo2_s", "hdo2_e"))
ZONES = tuple((f"zone{number}_s", f"zone{number}_e") for number in range(1, 5))
"""Members of `Setup`: first and last second of the day of each window."""


class Due(NamedTuple):
    """What is due now.

    Attributes:
        charging: The battery is charged from the grid, up to its target.
        heating: The boiler is heated, whatever the sun gives.
    """

    charging: bool = False
    heating: bool = False


NOTHING = Due()


def due(setup: Setup, clock: float, boiler_today: float) -> Due:
    """Say what is due.

    Args:
        setup: How the box is set.
        clock: Seconds of the day that Prague's clocks show.
        boiler_today: What the boiler has used today, Wh.
    """
    cheap = _within(setup, TARIFF, clock)
    heating = _within(setup, ZONES, clock) or (setup.hdo == 1 and cheap and boiler_today < setup.wd)
    return Due(
        charging=setup.bat_hdo == 1 and cheap,
        heating=heating and not setup.manual and boiler_today < HOT_WH,
    )


def _within(setup: Setup, windows: tuple[tuple[str, str], ...], clock: float) -> bool:
    """Say whether any of the windows is open; one that ends before it begins goes over midnight."""
    for first, last in windows:
        begin, end = getattr(setup, first), getattr(setup, last)
        if begin == end:
            continue
        if begin <= clock < end if begin < end else not end <= clock < begin:
            return True
    return False
