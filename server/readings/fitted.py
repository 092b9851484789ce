"""What a box is equipped with, as far as the portal's answer shows it."""

from __future__ import annotations

from typing import Literal

from .box import Box, as_flag
from .grid import PHASES
from .numbers import DAY_WH, POWER_W

Variant = Literal["home", "queen"]

UNKNOWN_VARIANT = (
    "The portal marks the kind of this box in a way that is not known here, and the two kinds "
    "write the setting differently."
)


def variant(box: Box) -> Variant | None:
    """Tell the two kinds of box apart; None when the portal's mark cannot be read.

    Without a mark the box is a Home: the portal sends none for most of them.
    """
    if box.raw_variant is None:
        return "home"
    queen = as_flag(box.raw_variant)
    return None if queen is None else "queen" if queen else "home"


def has_boiler(box: Box) -> bool | None:
    """Say whether a boiler is connected."""
    return _fitted(box, "boiler", "boiler_prms")


def has_wallbox(box: Box) -> bool | None:
    """Say whether a wallbox is connected."""
    return _fitted(box, "wl_charge", "wl_charge_prms")


def has_heat_pump(box: Box) -> bool | None:
    """Say whether a heat pump is connected."""
    return _fitted(box, "h_pump", "h_pump_prms")


def has_air_conditioning(box: Box) -> bool | None:
    """Say whether an air conditioner is connected."""
    return _fitted(box, "aircon", "aircon_prms")


def has_rest_meter(box: Box) -> bool | None:
    """Say whether the part of the house without backup is metered.

    Where the portal does not say so, only a reading other than zero proves it: without the meter
    zeros are sent.
    """
    told = box.peek_flag("box_prms", "nb")
    if told is not None:
        return told
    fields = [(f"aci_w{letter}", POWER_W) for _, letter in PHASES] + [("ac_ad", DAY_WH)]
    read = [box.peek("ac_in_b", field, span) for field, span in fields]
    return True if any(value for value in read if not isinstance(value, str)) else None


def _fitted(box: Box, block: str, settings: str) -> bool | None:
    on = box.peek_flag(settings, "ison")
    if on or box.block(block):
        return True
    return False if on is False or box.sent(block) else None
