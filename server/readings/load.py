"""What the house consumes."""

from __future__ import annotations

from pydantic import Field

from .box import Box
from .fitted import has_rest_meter
from .grid import PHASES
from .model import Reading
from .numbers import SUPPLY_W

NO_METER = (
    "This box has no meter for the part of the house without backup, so what that part consumes is "
    "not measured."
)
METER_UNKNOWN = (
    "The portal does not say whether the part of the house without backup is metered; it shows "
    "only zeros."
)


class Load(Reading):
    """The house's consumption."""

    backed_up_w: float | None = Field(
        description="Power now of the part of the house that the battery backs up, W."
    )
    not_backed_up_w: float | None = Field(
        description=(
            "Power of the rest of the house, W, from its own meter where there is one; a value up "
            "to 5 minutes older than the others."
        )
    )
    whole_house_w: float | None = Field(
        description=(
            "Power of the whole house, W: the sum of both parts. Null where the rest of the house "
            "is not metered; backed_up_w is then only a part of what the house consumes."
        )
    )


def load(box: Box) -> Load:
    """Read what the house consumes."""
    backed_up = box.power("load.backed_up_w", "aco_p", ("ac_out", "aco_p"), SUPPLY_W)
    rest = _rest(box)
    return Load(
        backed_up_w=backed_up,
        not_backed_up_w=rest,
        whole_house_w=box.total(
            "load.whole_house_w", {"load.backed_up_w": backed_up, "load.not_backed_up_w": rest}
        ),
    )


def _rest(box: Box) -> float | None:
    metered = has_rest_meter(box)
    phases = {
        f"load.not_backed_up_w.{number}": box.peek("ac_in_b", f"aci_w{letter}", SUPPLY_W)
        for number, letter in PHASES
    }
    if metered is False:
        box.reasons.add("load.not_backed_up_w", NO_METER)
        return None
    for found in phases.values():
        if isinstance(found, str):
            box.reasons.add("load.not_backed_up_w", found)
            return None
    if metered is None:
        box.reasons.add("load.not_backed_up_w", METER_UNKNOWN)
        return None
    return sum(found for found in phases.values() if not isinstance(found, str))
