"""Whether the box may export to the grid."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .box import Box
from .fitted import variant
from .model import Reading
from .numbers import FEED_LIMIT_W

UNLIMITED_W = 10_000
"""The portal's way to write "no limit"."""

State = Literal["off", "limited", "on"]

UNKNOWN_VARIANT = (
    "The portal marks the kind of this box in a way that is not known here, and the two kinds "
    "write the setting differently."
)

SWITCH, PERMIT, LIMIT = "export.switch", "export.permit", "export.limit"
"""What the state is made of; no readings of their own."""


class Export(Reading):
    """The setting of export to the grid."""

    state: Literal["off", "limited", "on", "unknown"] = Field(
        description=(
            "off: nothing is exported. limited: at most limit_w. on: whatever is left over. "
            "unknown is not off: the portal did not say enough."
        )
    )
    limit_w: float | None = Field(description="The limit, W, when state is limited.")


def export(box: Box) -> Export:
    """Read the setting of export to the grid."""
    kind = variant(box)
    allowed = box.flag(SWITCH, "invertor_prms", "to_grid")
    permitted = box.flag(PERMIT, "box_prms", "crcte") if kind == "home" else None
    limit = box.number(LIMIT, "invertor_prm1", "p_max_feed_grid", FEED_LIMIT_W)
    missing = [box.reasons.take(name, "") for name in (SWITCH, PERMIT, LIMIT)]
    if kind is None:
        state, missing = None, [UNKNOWN_VARIANT]
    else:
        state = _home(allowed, permitted, limit) if kind == "home" else _queen(allowed, limit)
    if state is None:
        box.reasons.add("export.state", next(why for why in missing if why))
    return Export(state=state or "unknown", limit_w=limit if state == "limited" else None)


def _home(to_grid: bool | None, permitted: bool | None, limit: float | None) -> State | None:
    # Either switch alone keeps the power in; both must be known to be on for more.
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
