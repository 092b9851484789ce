"""The consumption of the house, and of the box itself.

Grid + solar = battery + part with backup + rest of the house + own use of the box, where own use is
150 to 370 W (observed). Powers that are of two times do not add up to that.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from .box import OF_TWO_TIMES, Box, Source
from .model import Reading
from .numbers import SUPPLY_W, Span
from .rest_meter import RestMeter

REST_AND_OWN_USE = "load.rest_and_own_use_w"
OWN_USE = "load.own_use_w"

OWN_USE_W = Span(50, 500)
"""What a box may use itself, and some more. Anything else was switched between two times."""

BACKED_UP = Source("load.backed_up_w", "aco_p", ("ac_out", "aco_p"))
REST = "load.not_backed_up_w"


def rest_and_own_use(box: Box, flows: Mapping[str, float | None]) -> float | None:
    """Give what remains, W; or note why it is unknown.

    Args:
        box: The box.
        flows: Power of grid, solar, battery and the part with backup, in this order, each under its
            reading's name.
    """
    older = flows.keys() & set(box.older)
    of_one_time = not older or older == flows.keys()

    def how(comes: float, made: float, stored: float, backed_up: float) -> float | None:
        remains = comes + made - stored - backed_up
        return remains if of_one_time and SUPPLY_W.holds(remains) else None

    return box.derived(REST_AND_OWN_USE, how, flows, otherwise=OF_TWO_TIMES)


def own_use(box: Box, remains: float | None, rest: float | None) -> float | None:
    """Give what the box uses itself, W; or note why it is unknown.

    Args:
        box: The box.
        remains: What `rest_and_own_use` gave.
        rest: The rest of the house. It is of the last upload always, so with live data it may have
            changed since.
    """

    def how(remains: float, rest: float) -> float | None:
        return remains - rest if OWN_USE_W.holds(remains - rest) else None

    known = {REST_AND_OWN_USE: remains, REST: rest}
    return box.derived(OWN_USE, how, known, otherwise=OF_TWO_TIMES)


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
        own_use_w=own_use(box, remains, rest),
        rest_and_own_use_w=remains,
    )
