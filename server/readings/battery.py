"""The power and charge of the battery."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .box import Box, Source
from .model import Reading
from .numbers import CAPACITY_WH, CURRENT_A, PERCENT, POWER_W, TEMPERATURE_C, VOLTAGE_V

IDLE_W = 50.0
"""Watts up to which the battery counts as idle: its electronics alone move as much to and fro."""

NOT_FORMATTING = "The battery is not being charged to its target from the grid now."

NotCharging = Literal["full", "mode", "boiler", "no surplus", "unknown"]

CHARGE = Source("battery.state_of_charge_percent", "bat_c", ("batt", "bat_c"))


class HoursLeft(Reading):
    """How long what is left lasts at the present load."""

    hours: float = Field(description="To the minimum.")
    basis: str = Field(description="Of what, at what load.")


class BatterySummary(Reading):
    """What owners ask about."""

    state_of_charge_percent: float | None
    power_w: float | None = Field(description="Positive: charging.")
    state: Literal["charging", "discharging", "idle"] | None = Field(
        description=f"idle: within {IDLE_W:.0f} W of zero."
    )
    not_charging: NotCharging | None = Field(default=None, description="Null while it charges.")
    hours_left: HoursLeft | None = Field(default=None, description="At this load; null likewise.")
    capacity_wh: float | None
    minimum_charge_percent: float | None = Field(description="Kept back while the grid is there.")
    remaining_usable_energy_wh: float | None = Field(description="Above minimum_charge_percent.")
    energy_to_full_wh: float | None = Field(description="Missing to full.")


class BatteryDetail(Reading):
    """What few ask about."""

    outage_minimum_charge_percent: float | None = Field(description="Kept back in an outage.")
    usable_capacity_wh: float | None = Field(description="Above the minimum.")
    grid_charge_target_percent: float | None = Field(description="Where grid charging ends.")
    formatting_active: bool | None = Field(description="Charging to that target.")
    formatting_progress_percent: float | None = Field(description="Of that charging.")
    balancing_active: bool | None = Field(description="Cells are balanced.")
    voltage_v: float | None
    current_a: float | None = Field(description="Positive: charging.")
    temperature_c: float | None
    health_percent: float | None = Field(description="State of health.")


class Battery(BatterySummary, BatteryDetail):
    """The battery. `not_charging` and `hours_left` depend on more than it: `live` adds them."""


def battery(box: Box) -> Battery:
    """Read the battery's power and charge."""
    charge = box.power(CHARGE, PERCENT)
    power = box.power(Source("battery.power_w", "bat_p", ("batt", "bat_p")), POWER_W)
    capacity = box.number("battery.capacity_wh", "box_prms", "p_bat", CAPACITY_WH)
    floor = box.number("battery.minimum_charge_percent", "batt_prms", "bat_min", PERCENT)
    formatting = box.flag("battery.formatting_active", "batt_prms", "fmt_on")
    return Battery(
        state_of_charge_percent=charge,
        power_w=power,
        state=box.derived("battery.state", _state, {"battery.power_w": power}),
        capacity_wh=capacity,
        minimum_charge_percent=floor,
        outage_minimum_charge_percent=box.number(
            "battery.outage_minimum_charge_percent", "batt_prms", "bat_gl_min", PERCENT
        ),
        usable_capacity_wh=box.derived(
            "battery.usable_capacity_wh",
            lambda capacity, floor: _share(capacity, 100 - floor),
            {"battery.capacity_wh": capacity, "battery.minimum_charge_percent": floor},
        ),
        remaining_usable_energy_wh=box.derived(
            "battery.remaining_usable_energy_wh",
            lambda capacity, floor, charge: _share(capacity, max(charge - floor, 0.0)),
            {
                "battery.capacity_wh": capacity,
                "battery.minimum_charge_percent": floor,
                "battery.state_of_charge_percent": charge,
            },
        ),
        energy_to_full_wh=box.derived(
            "battery.energy_to_full_wh",
            lambda capacity, charge: _share(capacity, 100 - charge),
            {"battery.capacity_wh": capacity, "battery.state_of_charge_percent": charge},
        ),
        grid_charge_target_percent=box.number(
            "battery.grid_charge_target_percent", "box_prms", "bat_ac", PERCENT
        ),
        formatting_active=formatting,
        formatting_progress_percent=_progress(box, formatting),
        balancing_active=box.flag("battery.balancing_active", "batt_prms", "bal_on"),
        voltage_v=box.number("battery.voltage_v", "batt", "bat_v", VOLTAGE_V),
        current_a=box.number("battery.current_a", "batt", "bat_i", CURRENT_A),
        temperature_c=box.number("battery.temperature_c", "batt", "bat_t", TEMPERATURE_C),
        health_percent=box.number("battery.health_percent", "batt", "bat_q", PERCENT),
    )


def _progress(box: Box, formatting: bool | None) -> float | None:
    """Read how far charging from the grid is: nowhere while it is not under way."""
    reading = "battery.formatting_progress_percent"
    if formatting is None:
        box.reasons.copy("battery.formatting_active", reading)
        return None
    if not formatting:
        box.reasons.add(reading, NOT_FORMATTING)
        return None
    return box.number(reading, "batt_prms", "fmt_progress", PERCENT)


def _share(capacity: float, percent: float) -> float:
    return round(capacity * percent / 100, 1)


def _state(power: float) -> Literal["charging", "discharging", "idle"]:
    if abs(power) <= IDLE_W:
        return "idle"
    return "charging" if power > 0 else "discharging"
