"""The box's operating mode."""

from __future__ import annotations

from pydantic import Field

from .box import Box
from .model import Reading
from .numbers import CODE

HOME_1, HOME_2, HOME_3, HOME_UPS = range(4)

MODES = {0: "Home 1", 1: "Home 2", 2: "Home 3", 3: "Home UPS", 4: "Home 5", 5: "Home 6"}
"""The last two are called so by other clients of the portal, which cannot set them either."""

BEHAVIOUR = {
    0: "The house runs on solar and battery; surplus charges it.",
    1: "The house runs on solar; the battery helps only when there is none.",
    2: "As Home 2, and the battery is charged from the grid as well.",
    3: "The battery is kept for outages and charged from the grid at high power.",
}

GRID_V, GRID_VI, FLEXIBILITY = 1, 2, 4
"""Values of the portal's field `app`: the first two add up, the third stands alone."""

UNKNOWN_MODE = "The portal sent a mode that is not known here."
UNKNOWN_BEHAVIOUR = "What this mode does is not known here."
UNKNOWN_APP = "The portal sent a combination of supplementary modes that is not known here."
BY_FLEXIBILITY = "The portal does not tell it under flexibility control."


class ModeSummary(Reading):
    """What owners ask about."""

    name: str | None = Field(description="Such as Home 1.")
    behaviour: str | None = Field(description="What the box does.")
    home_grid_v: bool | None = Field(description="Feeds the rest, too.")
    home_grid_vi: bool | None = Field(description="Supplementary mode.")
    flexibility: bool | None = Field(description="An aggregator decides the mode.")


class ModeDetail(Reading):
    """What few ask about."""

    number: int | None = Field(description="0 is Home 1.")


class Mode(ModeSummary, ModeDetail):
    """The operating mode."""


def has_grid_v(box: Box) -> bool:
    """Say whether the supplementary mode Home Grid V is certain to be on."""
    return box.peek("box_prm2", "app", CODE) in {GRID_V, GRID_V | GRID_VI}


def is_flexible(app: int | None) -> bool | None:
    """Say whether the box is under flexibility control; None where `app` has no known meaning."""
    if app is None or not (app <= GRID_V | GRID_VI or app == FLEXIBILITY):
        return None
    return app == FLEXIBILITY


def mode(box: Box) -> Mode:
    """Read the operating mode."""
    number = box.code("mode.number", "box_prms", "mode")
    app = box.code("mode.supplementary", "box_prm2", "app")
    extra: dict[str, bool | None] = {
        "home_grid_v": None,
        "home_grid_vi": None,
        "flexibility": is_flexible(app),
    }
    if app is not None and app <= GRID_V | GRID_VI:
        extra |= {"home_grid_v": bool(app & GRID_V), "home_grid_vi": bool(app & GRID_VI)}
    why = UNKNOWN_APP if app is not None else box.reasons.take("mode.supplementary", UNKNOWN_APP)
    for name, on in extra.items():
        if on is None:
            box.reasons.add(f"mode.{name}", BY_FLEXIBILITY if app == FLEXIBILITY else why)
    names = {"mode.number": number}
    return Mode(
        number=number,
        name=box.derived("mode.name", MODES.get, names, otherwise=UNKNOWN_MODE),
        behaviour=box.derived(
            "mode.behaviour",
            BEHAVIOUR.get,
            names,
            otherwise=UNKNOWN_BEHAVIOUR if number in MODES else UNKNOWN_MODE,
        ),
        **extra,
    )
