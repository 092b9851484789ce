"""Export to the grid: off, on, or limited to some watts. Pure.

Limited export is one request that carries switch and cap together. Two requests could be torn
apart, and for as long as the second is missing the box would export without any cap.
"""

# ruff: noqa: D102 - `Change` says what its methods do

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from ..errors import ChangeRefused
from ..portal.writes import LIMITED, OFF, ON, Write, set_export, set_value
from ..readings.box import Box
from ..readings.export import UNLIMITED_W, Export, State, export
from ..readings.fitted import UNKNOWN_VARIANT, variant
from ..readings.numbers import FEED_LIMIT_W
from .change import Change, already, unknown, whole

LIMIT_MIN_W, LIMIT_MAX_W = 1, UNLIMITED_W - 1
"""The portal's range of a cap; the next number stands for none."""

FINABLE = (
    "Exporting to the grid without the permission of the grid operator is finable. It needs the "
    "connection contract and the protocol of the first parallel connection; the box records since "
    "when export has been on. Go on only if the user says that the permission is there."
)
UNCAPPED = "There will be no limit any more: the box exports whatever is left over."
NOT_PERMITTED = (
    "The box does not permit export at present, whatever its inverter is set to, so the change may "
    "have no effect."
)


@dataclass(frozen=True, slots=True)
class GridExport(Change):
    """Set the export to the grid.

    Attributes:
        state: off, limited or on.
        limit_w: The cap, with `limited` only.
    """

    state: State
    limit_w: int | None = None

    kind = "export"
    settings = (
        ("invertor_prms", "to_grid"),
        ("invertor_prm1", "p_max_feed_grid"),
        ("box_prms", "crcte"),
    )

    def __post_init__(self) -> None:
        if self.state not in ("off", "limited", "on"):
            raise ChangeRefused("Export must be off, limited or on.")
        if self.state == "limited":
            whole(self.limit_w, LIMIT_MIN_W, LIMIT_MAX_W, "The export limit", " W")
        elif self.limit_w is not None:
            raise ChangeRefused("An export limit goes with limited export only.")

    def check(self, box: Box) -> None:
        if variant(box) is None:
            raise ChangeRefused(f"The export setting of this box is left alone. {UNKNOWN_VARIANT}")
        present = export(box)
        if present.state == "unknown":
            raise unknown("export setting", box, "export.state")
        if self.is_so(box):
            note = f". {present.note}" if present.note else ""
            raise already(f"export is {_told(present.state, present.limit_w)}{note}".rstrip("."))

    def before(self, box: Box) -> str:
        present = export(box)
        return f"export {_told(present.state, present.limit_w)}"

    def after(self, box: Box) -> str:  # noqa: ARG002 - of others it depends on the box
        return f"export {_told(self.state, self.limit_w)}"

    def warnings(self, box: Box) -> list[str]:
        present = export(box)
        found = [] if self.state == "off" else [FINABLE]
        if self.state == "on":
            found.append(UNCAPPED)
        if self.state != "off" and box.peek_flag("box_prms", "crcte") is False:
            found.append(NOT_PERMITTED)
        return found + ([present.note] if present.note else [])

    def is_so(self, box: Box) -> bool | None:
        present = export(box)
        if present.state == "unknown":
            return None
        return present.state == self.state and present.limit_w == self.limit_w

    def back(self, box: Box) -> Change | None:
        present = export(box)
        if present.state == "limited":
            return _limited(present)
        return None if present.state == "unknown" else GridExport(present.state)

    def writes(self, box: Box) -> tuple[Write, ...]:
        if self.state == "limited":
            return (set_export(box.id, LIMITED, self.limit_w),)
        if self.state == "off":
            return (set_export(box.id, OFF, None),)
        switch = set_export(box.id, ON, None)
        cap = box.peek("invertor_prm1", "p_max_feed_grid", FEED_LIMIT_W)
        if variant(box) == "home" and not isinstance(cap, str) and cap < UNLIMITED_W:
            # Whether the switch lifts the cap that was, nobody has told. The cap goes last: if the
            # second request fails, the box exports up to its old cap and no further.
            lift = set_value(box.id, "invertor_prm1", "p_max_feed_grid", UNLIMITED_W)
            return (switch, lift)
        return (switch,)

    def values(self) -> tuple[object, ...]:
        return (self.state, self.limit_w)


def _limited(present: Export) -> Change | None:
    limit = cast("float", present.limit_w)
    fits = limit.is_integer() and LIMIT_MIN_W <= limit <= LIMIT_MAX_W
    return GridExport("limited", int(limit)) if fits else None


def _told(state: str, limit_w: float | None) -> str:
    return state if limit_w is None else f"limited to {limit_w:.0f} W"
