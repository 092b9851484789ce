"""The consumption of the house, and of the box itself."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from .balance import own_use, rest_and_own_use
from .box import Box, Source
from .model import Reading
from .numbers import SUPPLY_W
from .rest_meter import RestMeter

BACKED_UP = Source("load.backed_up_w", "aco_p", ("ac_out", "aco_p"))
REST = "load.not_backed_up_w"


class LoadSummary(Reading):
    """What owners ask about."""

    backed_up_w: float | None = Field(description="Part with backup.")
    not_backed_up_w: float | None = Field(description="The rest.")
    whole_house_w: float | None = Field(description="Both.")
    own_use_w: float | None = Field(description="Of the box itself.")
    rest_and_own_use_w: float | None = Field(
        description="grid + solar - battery - backed_up_w, so also what is not metered."
    )


class LoadDetail(Reading):
    """What few ask about."""

    not_backed_up_metered: bool | None = Field(description="The rest has a meter.")


class Load(LoadSummary, LoadDetail):
    """The house's consumption."""


def load(box: Box, meter: RestMeter, flows: Mapping[str, float | None]) -> Load:
    """Read what the house consumes.

    Args:
        box: The box.
        meter: Its meter of the part without backup.
        flows: Power of grid, solar and battery, in this order, each under its reading's name.
    """
    backed_up = box.power(BACKED_UP, SUPPLY_W)
    metered = meter.fitted("load.not_backed_up_metered")
    rest = meter.power(REST)
    if rest is not None:
        # The fast block never has it.
        box.note_older(REST)
    remains = rest_and_own_use(box, {**flows, BACKED_UP.reading: backed_up})
    return Load(
        backed_up_w=backed_up,
        not_backed_up_w=rest,
        not_backed_up_metered=metered,
        whole_house_w=box.total("load.whole_house_w", {BACKED_UP.reading: backed_up, REST: rest}),
        own_use_w=own_use(box, remains, (REST, rest)),
        rest_and_own_use_w=remains,
    )
