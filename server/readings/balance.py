"""Where the power goes that neither the battery takes nor the part of the house with backup.

Grid + solar = battery + part with backup + rest of the house + own use of the box, where own use is
150 to 370 W (observed).
"""

from __future__ import annotations

from collections.abc import Mapping

from .box import OF_TWO_TIMES, Box
from .numbers import Span

REST_AND_OWN_USE = "load.rest_and_own_use_w"
OWN_USE = "load.own_use_w"

OWN_USE_W = Span(0, 1_000)
"""What a box may use itself. Anything else is what the rest of the house has switched since."""


def rest_and_own_use(box: Box, flows: Mapping[str, float | None]) -> float | None:
    """Give what remains, W; or note why it is unknown.

    Args:
        box: The box.
        flows: Power of grid, solar, battery and the part with backup, in this order, each under its
            reading's name. As all of them are of now, or all of the last upload, they make a sum.
    """
    older = flows.keys() & set(box.older)
    if older and older != flows.keys() and None not in flows.values():
        box.reasons.add(REST_AND_OWN_USE, OF_TWO_TIMES)
        return None
    return box.derived(
        REST_AND_OWN_USE,
        lambda comes, made, stored, backed_up: comes + made - stored - backed_up,
        flows,
    )


def own_use(box: Box, remains: float | None, rest: tuple[str, float | None]) -> float | None:
    """Give what the box uses itself, W; or note why it is unknown.

    Args:
        box: The box.
        remains: What `rest_and_own_use` gave.
        rest: The rest of the house, under its reading's name. It is of the last upload always. With
            live data it may have changed since, by more than the box uses.
    """
    of_one_upload = REST_AND_OWN_USE in box.older

    def how(remains: float, rest: float) -> float | None:
        own = remains - rest
        return own if of_one_upload or OWN_USE_W.low <= own <= OWN_USE_W.high else None

    parts = {REST_AND_OWN_USE: remains, rest[0]: rest[1]}
    return box.derived(OWN_USE, how, parts, otherwise=OF_TWO_TIMES)
