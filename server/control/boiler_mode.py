"""The boiler: left to the box, or by hand. Pure."""

# ruff: noqa: D102 - `Change` says what its methods do

from __future__ import annotations

from dataclasses import dataclass

from ..codes import Code
from ..errors import ChangeRefused
from ..portal.writes import Write, set_value
from ..readings.box import Box
from ..readings.fitted import has_boiler
from .change import STAYS, Change, already, unknown

IGNORES_TARIFF = (
    "In manual mode the boiler heats at full power and ignores tariff and sun: it may draw several "
    "kW from the grid, until the mode is automatic again or its thermostat cuts off."
)

DOES = {
    True: "The boiler heats at full power, until its thermostat cuts off.",
    False: "The box decides when the boiler heats: with surplus, and in the low tariff.",
}


@dataclass(frozen=True, slots=True)
class BoilerMode(Change):
    """Set the boiler's mode.

    Attributes:
        manual: True for manual, False for automatic.
    """

    manual: bool

    kind = "boiler"
    subject = "boiler"
    settings = (("boiler_prms", "manual"), ("boiler_prms", "ison"))

    def __post_init__(self) -> None:
        if not isinstance(self.manual, bool):
            raise ChangeRefused(
                Code.INVALID_CHANGE, "The boiler's mode must be automatic or manual."
            )

    def check(self, box: Box) -> None:
        fitted = has_boiler(box)
        if not fitted:
            if fitted is False:
                raise ChangeRefused(Code.NOT_FITTED, "This box has no boiler.")
            raise ChangeRefused(
                Code.STATE_UNKNOWN,
                "The portal does not show whether this box has a boiler, so none is switched.",
            )
        if _present(box) is None:
            raise unknown("mode of the boiler", box, "boiler.mode")
        if self.is_so(box):
            raise already(_described(self.manual))

    def before(self, box: Box) -> str:
        return _described(_present(box))

    def after(self, box: Box) -> str:  # noqa: ARG002 - of others it depends on the box
        return _described(self.manual)

    def explanation(self, box: Box, age_s: int | None = 0) -> str:  # noqa: ARG002 - of charging it depends on them
        return f"{DOES[self.manual]} {STAYS}"

    def warnings(self, box: Box) -> list[str]:  # noqa: ARG002 - the same
        return [IGNORES_TARIFF] if self.manual else []

    def is_so(self, box: Box) -> bool | None:
        present = _present(box)
        return None if present is None else present is self.manual

    def back(self, box: Box) -> Change | None:
        present = _present(box)
        return None if present is None else BoilerMode(present)

    def writes(self, box: Box) -> tuple[Write, ...]:
        return (set_value(box.id, "boiler_prms", "manual", int(self.manual)),)


def _present(box: Box) -> bool | None:
    return box.flag("boiler.mode", "boiler_prms", "manual")


def _described(manual: bool | None) -> str:
    if manual is None:
        return "unknown"
    return "boiler manual (full power)" if manual else "boiler automatic (surplus and low tariff)"
