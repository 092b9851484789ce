"""The last values of a box that the portal showed, for times when it cannot be asked."""

from __future__ import annotations

from datetime import datetime

from .battery import battery
from .box import Box
from .freshness import ReportedAt
from .grid import grid
from .load import BACKED_UP
from .model import LocalTime, Reading
from .numbers import SUPPLY_W
from .solar import solar


class LastShown(Reading):
    """A few values of a box, of the time that is noted with them."""

    box_id: str
    fetched_at: LocalTime
    measured_at: ReportedAt
    state_of_charge_percent: float | None
    solar_w: float | None
    battery_w: float | None
    grid_w: float | None
    backed_up_w: float | None


def last_shown(box: Box, contact: datetime | None, at: datetime) -> LastShown:
    """Read what is worth keeping of a box.

    It is unknown when values uploaded before an outage were measured.

    Args:
        box: The box.
        contact: When it last reported, if that is known.
        at: When the portal gave it.
    """
    cells = battery(box)
    shown = LastShown(
        box_id=box.id,
        fetched_at=at,
        measured_at=contact,
        state_of_charge_percent=cells.state_of_charge_percent,
        solar_w=solar(box).power_w,
        battery_w=cells.power_w,
        grid_w=grid(box).power_w,
        backed_up_w=box.power(BACKED_UP, SUPPLY_W),
    )
    if box.older and box.upload.age == "as before":
        return shown.model_copy(update={"measured_at": None})
    return shown
