"""The power of the panels."""

from __future__ import annotations

from pydantic import Field

from .box import Box, Source
from .model import Reading
from .numbers import PEAK_W, VOLTAGE_V, panels_w

STRINGS = (1, 2)


class SolarString(Reading):
    """One of the two strings of panels."""

    number: int = Field(description="From 1.")
    power_w: float | None
    voltage_v: float | None


class SolarSummary(Reading):
    """What owners ask about."""

    power_w: float | None = Field(description="Of all panels.")
    installed_power_w: float | None


class SolarDetail(Reading):
    """What few ask about."""

    strings: tuple[SolarString, ...]


class Solar(SolarSummary, SolarDetail):
    """The panels."""


def solar(box: Box) -> Solar:
    """Read what the panels give."""
    sources = [
        Source(f"solar.strings.{number}.power_w", f"fv_p{number}", ("dc_in", f"fv_p{number}"))
        for number in STRINGS
    ]
    installed = box.number("solar.installed_power_w", "box_prms", "p_fve", PEAK_W)
    span = panels_w(installed)
    strings = tuple(
        SolarString(
            number=number,
            power_w=box.power(source, span),
            voltage_v=box.number(
                f"solar.strings.{number}.voltage_v", "dc_in", f"fv_v{number}", VOLTAGE_V
            ),
        )
        for number, source in zip(STRINGS, sources, strict=True)
    )
    return Solar(
        power_w=box.sum_of_powers("solar.power_w", sources, span),
        strings=strings,
        installed_power_w=installed,
    )
