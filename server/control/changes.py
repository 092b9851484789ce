"""All kinds of change: which one a tool's parameters name, and how one is stored. Pure."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Literal

from ..codes import Code
from ..errors import ChangeRefused
from .boiler_mode import BoilerMode
from .box_mode import SETTABLE, BoxMode
from .change import Change
from .grid_charge import GridCharge
from .grid_export import GridExport
from .supplementary import SupplementaryModes

NUMBERS = {name: number for number, name in SETTABLE.items()}
"""Of the modes, by their names."""

ModeName = Literal["Home 1", "Home 2", "Home 3", "Home UPS"]
ExportState = Literal["off", "on", "limited"]
BoilerState = Literal["automatic", "manual"]

ONE = "A plan makes exactly one: mode, supplementary modes, export, boiler, charging, or undo."
NONE = f"No change was named. {ONE}"
SEVERAL = f"Several changes were named. {ONE}"
ALONE = "An export limit needs export set to limited. Name both, or neither."


KINDS: dict[str, type[Change]] = {
    kind.kind: kind for kind in (BoxMode, SupplementaryModes, GridExport, BoilerMode, GridCharge)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a caller wishes, each None unless named.

    Attributes:
        mode: The operating mode's name.
        home_grid_v: A supplementary mode on or off.
        home_grid_vi: The other one; both together are one change.
        export: Export to the grid.
        export_limit_w: Its cap.
        boiler: The boiler's mode.
        charge_to_percent: Target of charging from the grid.
        undo: Id of a change to take back.
    """

    mode: ModeName | None = None
    home_grid_v: bool | None = None
    home_grid_vi: bool | None = None
    export: ExportState | None = None
    export_limit_w: int | None = None
    boiler: BoilerState | None = None
    charge_to_percent: int | None = None
    undo: str | None = None

    def change(self) -> Change | None:
        """Return the change that is wished; None when one is to be taken back.

        Raises:
            ChangeRefused: None is named, several are, or what is named does not fit together.
        """
        named: list[Change] = []
        if self.mode is not None:
            named.append(BoxMode(NUMBERS.get(self.mode, -1)))
        if self.home_grid_v is not None or self.home_grid_vi is not None:
            named.append(SupplementaryModes(self.home_grid_v, self.home_grid_vi))
        if self.export is not None:
            named.append(GridExport(self.export, self.export_limit_w))
        elif self.export_limit_w is not None:
            raise ChangeRefused(Code.INVALID_CHANGE, ALONE)
        if self.boiler is not None:
            named.append(BoilerMode(self.boiler == "manual"))
        if self.charge_to_percent is not None:
            named.append(GridCharge(self.charge_to_percent))
        count = len(named) + (self.undo is not None)
        if count != 1:
            raise ChangeRefused(Code.INVALID_CHANGE, SEVERAL if count else NONE)
        return named[0] if named else None


def encode(change: Change) -> list[object]:
    """Write a change as values that JSON can carry."""
    return [change.kind, *change.values()]


def decode(raw: object) -> Change:
    """Read what `encode` wrote.

    Raises:
        ChangeRefused: It is no change, or one of a kind or range that is not known (any more).
    """
    match raw:
        case [str(kind), *values] if kind in KINDS:
            with contextlib.suppress(ChangeRefused):
                return KINDS[kind].of(*values)
    raise ChangeRefused(
        Code.CHANGE_UNREADABLE, "This change was written down by another version of the server."
    )
