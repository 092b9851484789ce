"""The boiler, where one is connected."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .box import Box
from .counters import DAY, MONTH, YEAR, Counters
from .fitted import has_boiler
from .model import Reading
from .numbers import SUPPLY_W

MODES: dict[bool, Literal["automatic", "manual"]] = {False: "automatic", True: "manual"}

NO_BOILER = "No boiler is connected to this box."


class BoilerSummary(Reading):
    """What owners ask about."""

    power_w: float | None
    mode: Literal["automatic", "manual"] | None = Field(description="manual: full power.")
    energy_today_wh: float | None


class BoilerCounters(Reading):
    """What few ask about, beside its settings."""

    energy_month_kwh: float | None
    energy_year_kwh: float | None
    heating_power_w: float | None = Field(description="As set.")


class Boiler(BoilerSummary, BoilerCounters):
    """The boiler."""


def boiler(box: Box, counters: Counters) -> Boiler | None:
    """Read the boiler; None when there is none, or it is not known whether there is."""
    fitted = has_boiler(box, "boiler")
    if not fitted:
        if fitted is False:
            box.reasons.add("boiler", NO_BOILER)
        return None
    power = box.number("boiler.power_w", "boiler", "p", SUPPLY_W)
    if power is not None:
        # The fast block never has it.
        box.note_older("boiler.power_w")
    manual = box.flag("boiler.mode", "boiler_prms", "manual")
    return Boiler(
        power_w=power,
        energy_today_wh=counters.read("boiler.energy_today_wh", ("boiler", "w"), DAY),
        energy_month_kwh=counters.read("boiler.energy_month_kwh", ("boiler", "boj_am"), MONTH),
        energy_year_kwh=counters.read("boiler.energy_year_kwh", ("boiler", "boj_ay"), YEAR),
        mode=None if manual is None else MODES[manual],
        heating_power_w=box.number("boiler.heating_power_w", "boiler_prms", "p_set", SUPPLY_W),
    )
