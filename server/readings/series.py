"""The four series of the portal's history: what their columns are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .numbers import CURRENT_A, DAY_WH, PERCENT, POWER_W, SUPPLY_W, TEMPERATURE_C, VOLTAGE_V, Span

SeriesName = Literal["solar", "battery", "grid", "load"]

PORTAL_NAMES: dict[SeriesName, str] = {
    "solar": "fve",
    "battery": "batt",
    "grid": "grid",
    "load": "load",
}

COUNTER_WH = Span(0, DAY_WH.high * 31)


@dataclass(frozen=True, slots=True)
class Column:
    """One quantity of a series, as the portal sends it.

    Attributes:
        name: Its name, with the unit at the end.
        index: Its place in an item's values.
        span: The values that it can have.
        meaning: What it is.
        power: Whether it is a power, so that its sum over time is an energy.
    """

    name: str
    index: int
    span: Span
    meaning: str
    power: bool = False

    @property
    def unit(self) -> str:
        """The unit, as in the name."""
        return UNITS[self.name.rpartition("_")[2]]


@dataclass(frozen=True, slots=True)
class Computed:
    """A power worked out of columns.

    Attributes:
        name: Its name.
        parts: The columns.
        how: Takes their values in order.
        meaning: What it is.
    """

    name: str
    parts: tuple[str, ...]
    how: Callable[..., float]
    meaning: str
    unit: str = "W"
    power: bool = True


UNITS = {"w": "W", "v": "V", "a": "A", "wh": "Wh", "percent": "%", "c": "degrees Celsius"}

COLUMNS: dict[SeriesName, tuple[Column, ...]] = {
    "solar": (
        Column("string_1_voltage_v", 0, VOLTAGE_V, "Voltage of the first string of panels."),
        Column("string_2_voltage_v", 1, VOLTAGE_V, "Voltage of the second string of panels."),
        Column("string_1_power_w", 3, SUPPLY_W, "Power of the first string.", power=True),
        Column("string_2_power_w", 4, SUPPLY_W, "Power of the second string.", power=True),
    ),
    "battery": (
        Column("voltage_v", 0, VOLTAGE_V, "Voltage of the battery."),
        Column("current_a", 1, CURRENT_A, "Current. Positive: charging, it is assumed."),
        Column("state_of_charge_percent", 2, PERCENT, "Charge, % of the capacity."),
        Column("temperature_c", 3, TEMPERATURE_C, "Temperature; not every box measures it."),
    ),
    "grid": (
        Column("voltage_v", 0, VOLTAGE_V, "Voltage of the grid."),
        Column(
            "power_w",
            1,
            POWER_W,
            "Power of all phases. Positive: import, negative: export, it is assumed.",
            power=True,
        ),
        Column("imported_wh", 2, COUNTER_WH, "Counter of energy imported from the grid."),
        Column("exported_wh", 3, COUNTER_WH, "Counter of energy exported to the grid."),
    ),
    "load": (
        Column(
            "phase_1_power_w",
            0,
            SUPPLY_W,
            "Consumption of the part with backup on the first phase.",
            power=True,
        ),
        Column(
            "phase_2_power_w",
            1,
            SUPPLY_W,
            "Consumption of the part with backup on the second phase.",
            power=True,
        ),
        Column(
            "phase_3_power_w",
            2,
            SUPPLY_W,
            "Consumption of the part with backup on the third phase.",
            power=True,
        ),
    ),
}

COMPUTED: dict[SeriesName, tuple[Computed, ...]] = {
    "solar": (
        Computed(
            "power_w",
            ("string_1_power_w", "string_2_power_w"),
            lambda first, second: first + second,
            "Power of all panels: the sum of both strings.",
        ),
    ),
    "battery": (
        Computed(
            "power_w",
            ("voltage_v", "current_a"),
            lambda voltage, current: round(voltage * current, 1),
            "Power: voltage times current. Positive: charging, it is assumed.",
        ),
    ),
    "grid": (),
    "load": (
        Computed(
            "power_w",
            ("phase_1_power_w", "phase_2_power_w", "phase_3_power_w"),
            lambda first, second, third: first + second + third,
            "Consumption of the part with backup on all phases: their sum.",
        ),
    ),
}

ASSUMED: dict[SeriesName, tuple[str, ...]] = {
    "solar": (),
    "battery": ("Positive current and power mean charging, as in the live data.",),
    "grid": (
        "Positive power means import from the grid and negative export, as in the live data.",
        (
            "Whether imported_wh and exported_wh count since midnight or within one interval is "
            "not known, so no sums are made of them."
        ),
    ),
    "load": (
        "The consumption is that of the part of the house with backup, not of the whole house.",
    ),
}
"""What is taken for granted about each series, for nobody has documented them."""
