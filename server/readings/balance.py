"""The power that goes neither into the battery nor to the part of the house with backup.

Grid + solar = battery + part with backup + rest of the house + own use of the box, where own use is
150 to 370 W (observed). Powers that are of two times do not add up to that.
"""

from __future__ import annotations

from collections.abc import Mapping

from .box import OF_TWO_TIMES, Box
from .numbers import SUPPLY_W, Span

REST_AND_OWN_USE = "load.rest_and_own_use_w"
OWN_USE = "load.own_use_w"

OWN_USE_W = Span(50, 500)
"""What a box may use itself, and some more. Anything else was switched between two times."""


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
        return remains if of_one_time and _is_in(SUPPLY_W, remains) else None

    return box.derived(REST_AND_OWN_USE, how, flows, otherwise=OF_TWO_TIMES)


def own_use(box: Box, remains: float | None, rest: tuple[str, float | None]) -> float | None:
    """Give what the box uses itself, W; or note why it is unknown.

    Args:
        box: The box.
        remains: What `rest_and_own_use` gave.
        rest: The rest of the house, under its reading's name. It is of the last upload always, so
            with live data it may have changed since.
    """

    def how(remains: float, rest: float) -> float | None:
        return remains - rest if _is_in(OWN_USE_W, remains - rest) else None

    return box.derived(
        OWN_USE, how, {REST_AND_OWN_USE: remains, rest[0]: rest[1]}, otherwise=OF_TWO_TIMES
    )


def _is_in(span: Span, power: float) -> bool:
    return span.low <= power <= span.high
