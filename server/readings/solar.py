"""What the panels give."""

from __future__ import annotations

from pydantic import Field

from .box import Box
from .model import Reading
from .numbers import PEAK_W, SUPPLY_W, VOLTAGE_V


class SolarString(Reading):
    """One of the two strings of panels."""

    number: int = Field(description="From 1.")
    power_w: float | None
    voltage_v: float | None


class Solar(Reading):
    """The panels."""

    power_w: float | None = Field(description="Of all panels.")
    strings: tuple[SolarString, ...] = Field(description="Two.")
    installed_power_w: float | None


def solar(box: Box) -> Solar:
    """Read what the panels give."""
    strings = tuple(
        SolarString(
            number=number,
            power_w=box.power(
                f"solar.strings.{number}.power_w",
                f"fv_p{number}",
                ("dc_in", f"fv_p{number}"),
                SUPPLY_W,
            ),
            voltage_v=box.number(
                f"solar.strings.{number}.voltage_v", "dc_in", f"fv_v{number}", VOLTAGE_V
            ),
        )
        for number in (1, 2)
    )
    return Solar(
        power_w=box.total(
            "solar.power_w",
            {f"solar.strings.{string.number}.power_w": string.power_w for string in strings},
        ),
        strings=strings,
        installed_power_w=box.number("solar.installed_power_w", "box_prms", "p_fve", PEAK_W),
    )
