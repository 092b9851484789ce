"""What the house consumes."""

from __future__ import annotations

from pydantic import Field

from .box import Box, Source
from .model import Reading
from .numbers import SUPPLY_W
from .rest_meter import RestMeter

BACKED_UP = Source("load.backed_up_w", "aco_p", ("ac_out", "aco_p"))


class Load(Reading):
    """The house's consumption."""

    backed_up_w: float | None = Field(description="Part with backup.")
    not_backed_up_w: float | None = Field(description="The rest.")
    not_backed_up_metered: bool | None = Field(description="The rest has a meter.")
    whole_house_w: float | None = Field(description="Null unless metered.")


def load(box: Box, meter: RestMeter) -> Load:
    """Read what the house consumes."""
    backed_up = box.power(BACKED_UP, SUPPLY_W)
    metered = meter.fitted("load.not_backed_up_metered")
    rest = meter.power("load.not_backed_up_w")
    if box.live and rest is not None:
        # The fast block never has it.
        box.note_older("load.not_backed_up_w")
    parts = {"load.backed_up_w": backed_up, "load.not_backed_up_w": rest}
    return Load(
        backed_up_w=backed_up,
        not_backed_up_w=rest,
        not_backed_up_metered=metered,
        whole_house_w=box.total("load.whole_house_w", parts),
    )
