"""Whether the box may export to the grid."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .box import Box
from .fitted import UNKNOWN_VARIANT, is_marked, variant
from .model import Reading
from .numbers import FEED_LIMIT_W

UNLIMITED_W = 10_000
"""The portal's way to write "no limit"."""

State = Literal["off", "limited", "on"]

SWITCH, PERMIT, LIMIT = "export.switch", "export.permit", "export.limit"
"""What the state is made of; no readings of their own."""

PERHAPS_QUEEN = (
    "The portal does not say what kind of box this is, so it is read as a Home. If it is a Queen, "
    "export is {queen}."
)
CONTRADICTION = (
    "Export is switched on in the inverter but not permitted by the box; a change may be under way."
)


class Export(Reading):
    """The setting of export to the grid."""

    state: Literal["off", "limited", "on", "unknown"] = Field(description="unknown is not off.")
    limit_w: float | None = Field(description="Null unless limited.")
    note: str | None = Field(description="What makes it uncertain.")


def export(box: Box) -> Export:
    """Read the setting of export to the grid."""
    kind = variant(box)
    allowed = box.flag(SWITCH, "invertor_prms", "to_grid")
    permitted = box.flag(PERMIT, "box_prms", "crcte") if kind == "home" else None
    limit = box.number(LIMIT, "invertor_prm1", "p_max_feed_grid", FEED_LIMIT_W)
    missing = [box.reasons.take(name, "") for name in (SWITCH, PERMIT, LIMIT)]
    home, queen = _home(allowed, permitted, limit), _queen(allowed, limit)
    if kind is None:
        state, missing = None, [UNKNOWN_VARIANT]
    else:
        state = home if kind == "home" else queen
    if state is None:
        box.reasons.add("export.state", next(why for why in missing if why))
    notes = []
    if kind == "home" and allowed and permitted is False:
        notes.append(CONTRADICTION)
    if not is_marked(box) and home != queen:
        notes.append(PERHAPS_QUEEN.format(queen=_described(queen, limit)))
    return Export(
        state=state or "unknown",
        limit_w=limit if state == "limited" else None,
        note=" ".join(notes) or None,
    )


def _described(state: State | None, limit: float | None) -> str:
    """Write a setting; `limit` in W counts for a limited one only."""
    if state == "limited" and limit is not None:
        return f"limited to {limit:.0f} W"
    return "not known" if state is None else state


def _home(to_grid: bool | None, permitted: bool | None, limit: float | None) -> State | None:
    # Either switch alone stops the export; both must be known to be on for more.
    if to_grid is False or permitted is False:
        return "off"
    if to_grid is None or permitted is None or limit is None:
        return None
    return "on" if limit >= UNLIMITED_W else "limited"


def _queen(to_grid: bool | None, limit: float | None) -> State | None:
    if to_grid:
        return "on"
    if to_grid is None or limit is None:
        return None
    return "limited" if limit > 0 else "off"
