"""All kinds of change, and how one is written into a token or the journal. Pure."""

from __future__ import annotations

import contextlib

from ..codes import Code
from ..errors import ChangeRefused
from .boiler_mode import BoilerMode
from .box_mode import BoxMode
from .change import Change
from .grid_charge import GridCharge
from .grid_export import GridExport
from .supplementary import SupplementaryModes

KINDS: dict[str, type[Change]] = {
    kind.kind: kind for kind in (BoxMode, SupplementaryModes, GridExport, BoilerMode, GridCharge)
}


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
