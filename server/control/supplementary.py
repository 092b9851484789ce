"""The supplementary modes Home Grid V and VI, which share one number at the portal. Pure.

The number is read, changed in the bits concerned and written whole. Bits whose meaning is not known
here are not written, so a box that shows any is left alone.
"""

# ruff: noqa: D102 - `Change` says what its methods do

from __future__ import annotations

from dataclasses import dataclass

from ..codes import Code
from ..errors import ChangeRefused
from ..portal.writes import Write, set_value
from ..readings.box import Box
from ..readings.mode import GRID_V, GRID_VI
from .change import STAYS, Change, already, check_not_flexible, unknown

KNOWN = GRID_V | GRID_VI

GRID_V_DOES = {
    True: "With Home Grid V the battery also feeds the part of the house without backup.",
    False: "Without Home Grid V the battery feeds only the part of the house with backup.",
}
GRID_VI_DOES = "What Home Grid VI does is not known here."


@dataclass(frozen=True, slots=True)
class SupplementaryModes(Change):
    """Switch Home Grid V, VI or both.

    Attributes:
        grid_v: On or off; None leaves it as it is.
        grid_vi: On or off; None leaves it as it is.
    """

    grid_v: bool | None
    grid_vi: bool | None

    kind = "supplementary"
    settings = (("box_prm2", "app"), ("box_prms", "mode"))

    def __post_init__(self) -> None:
        wished = (self.grid_v, self.grid_vi)
        if wished == (None, None) or not all(one in {None, True, False} for one in wished):
            raise ChangeRefused(
                Code.INVALID_CHANGE, "Home Grid V and VI can be on or off, and one must be named."
            )

    def check(self, box: Box) -> None:
        app = check_not_flexible(box)
        if app is None:
            raise unknown("state of the supplementary modes", box, "mode.supplementary")
        if app & ~KNOWN:
            raise ChangeRefused(
                Code.STATE_UNKNOWN,
                "The box shows supplementary modes that are not known here. They would be "
                "overwritten, so nothing is changed.",
            )
        if self.is_so(box):
            raise already(_described(app))

    def before(self, box: Box) -> str:
        return _described(_present(box))

    def after(self, box: Box) -> str:
        present = _present(box)
        return _described(None if present is None else self._from(present))

    def explanation(self, box: Box, age_s: int | None = 0) -> str:  # noqa: ARG002 - of charging it depends on them
        found = [] if self.grid_v is None else [GRID_V_DOES[self.grid_v]]
        found += [] if self.grid_vi is None else [GRID_VI_DOES]
        return " ".join([*found, STAYS])

    def warnings(self, box: Box) -> list[str]:
        found = []
        if self.grid_v:
            found.append(
                "With Home Grid V the battery also feeds the part of the house without backup, so "
                "it is empty sooner."
            )
        if box.code("mode.number", "box_prms", "mode") not in {0, 1, 2}:
            found.append("The supplementary modes act together with Home 1, 2 and 3 only.")
        return found

    def is_so(self, box: Box) -> bool | None:
        present = _present(box)
        return None if present is None else self._from(present) == present

    def back(self, box: Box) -> Change | None:
        present = _present(box)
        if present is None:
            return None
        return SupplementaryModes(
            None if self.grid_v is None else bool(present & GRID_V),
            None if self.grid_vi is None else bool(present & GRID_VI),
        )

    def writes(self, box: Box) -> tuple[Write, ...]:
        present = _present(box)
        if present is None:
            raise unknown("state of the supplementary modes", box, "mode.supplementary")
        return (set_value(box.id, "box_prm2", "app", self._from(present)),)

    def _from(self, present: int) -> int:
        for wished, bit in ((self.grid_v, GRID_V), (self.grid_vi, GRID_VI)):
            if wished is not None:
                present = present | bit if wished else present & ~bit
        return present


def _present(box: Box) -> int | None:
    app = box.code("mode.supplementary", "box_prm2", "app")
    return app if app is not None and not app & ~KNOWN else None


def _described(app: int | None) -> str:
    if app is None:
        return "unknown"
    names = (("Home Grid V", GRID_V), ("Home Grid VI", GRID_VI))
    return ", ".join(f"{name} {'on' if app & bit else 'off'}" for name, bit in names)
