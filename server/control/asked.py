"""From a tool's flat parameters to exactly one change. Pure."""

from __future__ import annotations

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

ModeName = Literal["Home 1", "Home 2", "Home 3", "Home UPS"]
ExportState = Literal["off", "on", "limited"]
BoilerState = Literal["automatic", "manual"]

ONE = "A plan makes exactly one: mode, supplementary modes, export, boiler, charging, or undo."
NONE = f"No change was named. {ONE}"
SEVERAL = f"Several changes were named. {ONE}"
ALONE = "An export limit needs export set to limited. Name both, or neither."


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
            named.append(BoxMode(_number(self.mode)))
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


def _number(name: str) -> int:
    return next((number for number, known in SETTABLE.items() if known == name), -1)
