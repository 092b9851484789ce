"""What a box is equipped with, as far as the portal's answer shows it."""

from __future__ import annotations

from typing import Literal

from .box import Box, as_flag
from .numbers import CODE
from .unknown import IMPOSSIBLE, NOT_SENT

Variant = Literal["home", "queen"]
Model = Literal["home", "queen", "unknown, read as Home"]

UNKNOWN_VARIANT = (
    "The portal marks the kind of this box in a way that is not known here, and the two kinds "
    "write the setting differently."
)


def model(box: Box, reading: str) -> Model | None:
    """Say what kind of box this is, or note why `reading` is unknown.

    1. Without a mark it may be either: the portal sends none for most boxes, Queens among them.
    2. A mark that can be read decides.
    3. One that cannot leaves the kind open, and what is written differently with it.
    """
    if not is_marked(box):
        return "unknown, read as Home"
    kind = variant(box)
    if kind is None:
        box.reasons.add(reading, UNKNOWN_VARIANT)
    return kind


def is_marked(box: Box) -> bool:
    """Say whether the portal marks the kind of this box."""
    return box.raw_variant is not None


def variant(box: Box) -> Variant | None:
    """Say by which table a box is read; None when the portal's mark cannot be read.

    Without a mark it is that of the Home; see `model`.
    """
    if not is_marked(box):
        return "home"
    queen = as_flag(box.raw_variant)
    return None if queen is None else "queen" if queen else "home"


def has_boiler(box: Box, reading: str = "boiler") -> bool | None:
    """Say whether a boiler is connected, or note why `reading` is unknown."""
    return _fitted(box, reading, "boiler", "boiler_prms")


def has_wallbox(box: Box, reading: str) -> bool | None:
    """Say whether a wallbox is connected, or note why `reading` is unknown."""
    return _fitted(box, reading, "wl_charge", "wl_charge_prms")


def has_heat_pump(box: Box, reading: str) -> bool | None:
    """Say whether a heat pump is connected, or note why `reading` is unknown."""
    return _fitted(box, reading, "h_pump", "h_pump_prms")


def has_air_conditioning(box: Box, reading: str) -> bool | None:
    """Say whether an air conditioner is connected, or note why `reading` is unknown."""
    return _fitted(box, reading, "aircon", "aircon_prms")


def _fitted(box: Box, reading: str, block: str, settings: str) -> bool | None:
    on = box.peek_flag(settings, "ison")
    if on or box.block(block):
        return True
    if on is False or box.sent(block):
        return False
    flag = box.peek(settings, "ison", CODE)
    if not isinstance(flag, str):
        flag = IMPOSSIBLE
    box.reasons.add(reading, box.absent(block) if flag == NOT_SENT else flag)
    return None
