"""The export setting of a box's inverter, whatever the box itself permits. Pure.

A request changes only this setting, so it is what is read back. `readings.export` interprets the
result.
"""

from __future__ import annotations

from ..readings.box import Box
from ..readings.export import UNLIMITED_W, State
from ..readings.fitted import Variant, variant
from ..readings.numbers import FEED_LIMIT_W


def switch_on(box: Box) -> bool | None:
    """Return the inverter's switch of export; None when it is not known."""
    return box.peek_flag("invertor_prms", "to_grid")


def present_limit_w(box: Box) -> float | None:
    """Return the inverter's cap, W, in force or stored; None when it is not known."""
    cap = box.peek("invertor_prm1", "p_max_feed_grid", FEED_LIMIT_W)
    return None if isinstance(cap, str) else cap


def forbidden(box: Box) -> bool:
    """Say whether the box itself does not permit export, whatever its inverter is set to."""
    return variant(box) == "home" and box.peek_flag("box_prms", "crcte") is False


def setting(box: Box) -> tuple[State, float | None] | None:
    """Return state and cap, W; None when they are not known."""
    kind = variant(box)
    if kind is not None:
        return _setting_of(kind, switch_on(box), present_limit_w(box))
    home, queen = (
        _setting_of(each, switch_on(box), present_limit_w(box)) for each in ("home", "queen")
    )
    return home if home == queen else None


def _setting_of(
    kind: Variant, switch: bool | None, limit: float | None
) -> tuple[State, float | None] | None:
    if switch is None:
        return None
    if kind == "home" and not switch:
        return "off", None
    if kind == "queen" and switch:
        return "on", None
    if limit is None:
        return None
    if kind == "home":
        return ("on", None) if limit >= UNLIMITED_W else ("limited", limit)
    return ("limited", limit) if limit else ("off", None)


def surely_off(box: Box) -> bool:
    """Say whether export is off whatever the portal leaves open."""
    if switch_on(box) is not False:
        return False
    return present_limit_w(box) == 0 or (variant(box) == "home" and box.raw_variant is not None)


def perhaps_limited_queen(box: Box) -> bool:
    """Say whether a box without a mark would be limited, and not off, if it were a Queen."""
    limit = present_limit_w(box)
    unlike = limit is not None and 0 < limit < UNLIMITED_W
    return box.raw_variant is None and switch_on(box) is False and unlike


def stored_limit(box: Box) -> float | None:
    """Return the limit that a Home stores, while export is off, for when it is on."""
    limit = present_limit_w(box)
    off = variant(box) == "home" and switch_on(box) is False
    return limit if off and limit is not None and 0 < limit < UNLIMITED_W else None
