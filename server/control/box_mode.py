"""The operating mode: Home 1, 2, 3 or UPS. Pure."""

# ruff: noqa: D102 - `Change` says what its methods do

from __future__ import annotations

from dataclasses import dataclass

from ..codes import Code
from ..errors import ChangeRefused
from ..portal.writes import Write, set_value
from ..readings.box import Box
from ..readings.mode import BEHAVIOUR, GRID_V, GRID_VI, MODES, UNKNOWN_MODE
from .change import STAYS, Change, already, check_not_flexible, unknown

HOME_3, UPS = 2, 3

SETTABLE = {number: MODES[number] for number in (0, 1, 2, 3)}
"""Boxes answer the others with the portal's error page."""

DRAWS: dict[int, str] = {
    HOME_3: (
        "In Home 3 the box also charges the battery from the grid, which can draw several kW from "
        "it and costs what the tariff costs. It stays so until the mode is changed again."
    ),
    UPS: (
        "In Home UPS the box charges the battery from the grid at high power, at once: several kW, "
        "whatever the tariff and the sun. The house does not use the battery meanwhile. It stays "
        "so until the mode is changed again."
    ),
}


PERHAPS_FLEXIBLE = (
    "The portal does not show whether the box is under flexibility control. If it is, an "
    "aggregator decides its mode, and it should not be changed."
)

ONE_WAY = (
    "There is no way back to {name} from here: no program is known that can set it. The vendor, or "
    "a service that controls the box, may have set it for a reason."
)


@dataclass(frozen=True, slots=True)
class BoxMode(Change):
    """Set the operating mode.

    Attributes:
        number: The portal's number of the mode.
    """

    number: int

    kind = "mode"
    subject = "mode"
    settings = (("box_prms", "mode"), ("box_prm2", "app"))

    def __post_init__(self) -> None:
        if isinstance(self.number, bool) or self.number not in SETTABLE:
            raise ChangeRefused(
                Code.INVALID_CHANGE, f"The mode must be one of {', '.join(SETTABLE.values())}."
            )

    def check(self, box: Box) -> None:
        check_not_flexible(box)
        if _present(box) is None:
            raise unknown("mode", box, "mode.number", UNKNOWN_MODE)
        if self.is_so(box):
            raise already(f"the box is in {MODES[self.number]}")

    def before(self, box: Box) -> str:
        return _described(_present(box))

    def after(self, box: Box) -> str:  # noqa: ARG002 - of others it depends on the box
        return _described(self.number)

    def explanation(self, box: Box, age_s: int | None = 0) -> str:  # noqa: ARG002 - of charging it depends on them
        return f"In {MODES[self.number]}: {BEHAVIOUR[self.number]} {STAYS}"

    def warnings(self, box: Box) -> list[str]:
        found = [DRAWS[self.number]] if self.number in DRAWS else []
        present = _present(box)
        if present is not None and present not in SETTABLE:
            found.append(ONE_WAY.format(name=MODES[present]))
        app = box.code("mode.supplementary", "box_prm2", "app")
        if self.number == UPS and app:
            found.append("The supplementary modes Home Grid V and VI have no part in Home UPS.")
        if app is None or app & ~(GRID_V | GRID_VI):
            found.append(PERHAPS_FLEXIBLE)
        return found

    def is_so(self, box: Box) -> bool | None:
        number = box.code("mode.number", "box_prms", "mode")
        return None if number is None else number == self.number

    def back(self, box: Box) -> Change | None:
        present = _present(box)
        return BoxMode(present) if present in SETTABLE else None

    def writes(self, box: Box) -> tuple[Write, ...]:
        return (set_value(box.id, "box_prms", "mode", self.number),)


def _present(box: Box) -> int | None:
    """Return the present mode; None for one that is not known here as well."""
    number = box.code("mode.number", "box_prms", "mode")
    return number if number in MODES else None


def _described(number: int | None) -> str:
    return "mode unknown" if number is None else f"mode {MODES[number]}"
