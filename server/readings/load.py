"""What the house consumes."""

from __future__ import annotations

from pydantic import Field

from .box import Box, Source
from .fitted import has_rest_meter
from .grid import PHASES
from .model import Reading
from .numbers import SUPPLY_W

NO_METER = (
    "This box has no meter for the part of the house without backup, so what that part consumes is "
    "not measured."
)

BACKED_UP = Source("load.backed_up_w", "aco_p", ("ac_out", "aco_p"))


class Load(Reading):
    """The house's consumption."""

    backed_up_w: float | None = Field(description="Part with backup.")
    not_backed_up_w: float | None = Field(description="0 says little unless metered.")
    not_backed_up_metered: bool | None = Field(description="The rest has a meter.")
    whole_house_w: float | None = Field(description="Null unless metered.")


def load(box: Box) -> Load:
    """Read what the house consumes."""
    backed_up = box.power(BACKED_UP, SUPPLY_W)
    metered = has_rest_meter(box, "load.not_backed_up_metered")
    rest = _rest(box, metered)
    parts = {"load.backed_up_w": backed_up, "load.not_backed_up_w": rest}
    if metered is None:
        # Zeros that no meter stands behind must not pass for a house that was measured.
        box.reasons.copy("load.not_backed_up_metered", "load.whole_house_w")
    return Load(
        backed_up_w=backed_up,
        not_backed_up_w=rest,
        not_backed_up_metered=metered,
        whole_house_w=None if metered is None else box.total("load.whole_house_w", parts),
    )


def _rest(box: Box, metered: bool | None) -> float | None:
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
    if box.live:
        # The fast block never has it.
        box.note_older("load.not_backed_up_w")
    return sum(found for found in phases.values() if not isinstance(found, str))
