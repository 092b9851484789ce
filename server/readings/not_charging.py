"""Why a battery does not charge, as far as powers and settings tell. Pure."""

from __future__ import annotations

from typing import NamedTuple

from .battery import IDLE_W, NotCharging
from .box import OF_TWO_TIMES
from .circumstances import TOO_OLD, Circumstances
from .grid import BALANCED_W
from .mode import BEHAVIOUR, HOME_3, HOME_UPS, UNKNOWN_BEHAVIOUR

FULL_PERCENT = 100.0
NEARLY_FULL_PERCENT = 98.0
"""From here on a battery takes less and less, and its electronics end the charge (assumed)."""

NOT_TOLD = "The portal does not tell why the battery leaves a surplus that its mode would take."
NOT_BOUGHT = "By its settings the battery may be charged from the grid now, and it is not."
HELD_BACK = (
    "Export is not known to be allowed, so the panels may be held back, and whether there is a "
    "surplus cannot be known."
)
BYPASSED = "A bypass is on, and what the battery does meanwhile is not known."


class Verdict(NamedTuple):
    """Why a battery does not charge.

    Attributes:
        cause: In a word; None while it charges.
        why: Why that is unknown; empty otherwise.

    Of a report that is too old there is neither cause nor "unknown", for both are of now.
    """

    cause: NotCharging | None
    why: str = ""


def why_not_charging(seen: Circumstances) -> Verdict:
    """Say why a battery does not charge.

    What panels make beyond all use either charges the battery or is exported, so a surplus is the
    battery's power less the grid's. The first of these cases counts:

    1. The report is stale: nothing is said of now, not even that the battery does not charge.
    2. The battery's power is not known.
    3. The battery charges: there is nothing to explain.
    4. It is full.
    5. A bypass is on: nobody has documented what a battery does then.
    6. The grid's power is not known, or is of another time than the battery's.
    7. An aggregator controls the box, and it exports: that is the mode's doing. No other mode whose
       behaviour is known keeps a surplus from the battery.
    8. There is a surplus. A battery that is nearly full leaves it; otherwise it is something that
       nobody tells, such as cold, or a mode of which only the name is known.
    9. There is none, but by its settings the battery would be charged from the grid: formatting,
       Home UPS, Home 3 below the target.
    10. Nothing is lacking either, and the panels give, but need not give all they could: where no
        more may be exported they are held back. Then a battery that is nearly full is the reason.
    11. There would be a surplus without the boiler.
    12. There is no surplus.
    """
    power, grid = seen.battery_w, seen.grid_w
    if not seen.current or power is None:
        unknown = Verdict("unknown", seen.why_unknown("battery.power_w"))
        return unknown if seen.current else Verdict(None, TOO_OLD)
    if power > IDLE_W:
        return Verdict(None)
    if seen.charge is not None and seen.charge >= FULL_PERCENT:
        return Verdict("full")
    if seen.bypassed:
        return Verdict("unknown", BYPASSED)
    if grid is None or not seen.of_one_time:
        why = seen.why_unknown("grid.power_w") if grid is None else OF_TWO_TIMES
        return Verdict("unknown", why)
    return _of_surplus(seen, power - grid, exporting=grid < -BALANCED_W)


def _of_surplus(seen: Circumstances, surplus: float, *, exporting: bool) -> Verdict:
    """Decide the cases from the seventh on."""
    if seen.flexible and exporting:
        return Verdict("mode")
    if surplus > IDLE_W:
        return _full_or(NOT_TOLD if seen.mode in BEHAVIOUR else UNKNOWN_BEHAVIOUR, seen)
    if _bought(seen):
        return Verdict("unknown", NOT_BOUGHT)
    if surplus >= -IDLE_W and _held_back(seen):
        return _full_or(HELD_BACK, seen)
    if seen.boiler_w is not None and surplus + seen.boiler_w > IDLE_W:
        return Verdict("boiler")
    return Verdict("no surplus")


def _full_or(why: str, seen: Circumstances) -> Verdict:
    if seen.charge is not None and seen.charge >= NEARLY_FULL_PERCENT:
        return Verdict("full")
    return Verdict("unknown", why)


def _bought(seen: Circumstances) -> bool:
    """Say whether the battery may be meant to be charged from the grid now."""
    below = seen.charge is None or seen.target is None or seen.charge < seen.target
    return bool(seen.formatting) or seen.mode == HOME_UPS or (seen.mode == HOME_3 and below)


def _held_back(seen: Circumstances) -> bool:
    """Say whether the panels may give less than they could."""
    gives = seen.solar_w is None or seen.solar_w > IDLE_W
    return gives and (seen.most_exported_w is None or seen.most_exported_w <= BALANCED_W)
