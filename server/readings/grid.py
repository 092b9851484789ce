"""The power between the house and the grid."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .box import Box, Source
from .model import Reading
from .numbers import FREQUENCY_HZ, POWER_W, VOLTAGE_V

BALANCED_W = 50.0
"""Watts up to which nothing is said to flow: the inverter's control swings by as much."""

PHASES = ((1, "r"), (2, "s"), (3, "t"))
"""Numbers of the phases, and the portal's letters for them."""


class GridPhase(Reading):
    """One phase of the connection."""

    number: int = Field(description="From 1.")
    power_w: float | None
    voltage_v: float | None


class GridSummary(Reading):
    """What owners ask about."""

    power_w: float | None = Field(description="Positive: import.")
    flow: Literal["importing", "exporting", "balanced"] | None = Field(
        description=f"balanced: within {BALANCED_W:.0f} W of zero."
    )


class GridDetail(Reading):
    """What few ask about."""

    phases: tuple[GridPhase, ...] = Field(description="Three; positive: import.")
    frequency_hz: float | None


class Grid(GridSummary, GridDetail):
    """The connection to the grid."""


def grid(box: Box) -> Grid:
    """Read what flows between the house and the grid."""
    sources = [
        Source(f"grid.phases.{number}.power_w", f"aci_w{letter}", ("ac_in", f"aci_w{letter}"))
        for number, letter in PHASES
    ]
    phases = tuple(
        GridPhase(
            number=number,
            power_w=box.power(source, POWER_W),
            voltage_v=box.number(
                f"grid.phases.{number}.voltage_v", "ac_in", f"aci_v{letter}", VOLTAGE_V
            ),
        )
        for (number, letter), source in zip(PHASES, sources, strict=True)
    )
    power = box.sum_of_powers("grid.power_w", sources, POWER_W)
    return Grid(
        power_w=power,
        flow=box.derived("grid.flow", _flow, {"grid.power_w": power}),
        phases=phases,
        frequency_hz=box.number("grid.frequency_hz", "ac_in", "aci_f", FREQUENCY_HZ),
    )


def _flow(power: float) -> Literal["importing", "exporting", "balanced"]:
    if abs(power) <= BALANCED_W:
        return "balanced"
    return "importing" if power > 0 else "exporting"
