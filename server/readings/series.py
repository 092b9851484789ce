"""The four series of the portal's history: what their columns are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..errors import InvalidArguments
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
        energies: Of a power, what its sums over time are called: of its positive values, and of
            its negative ones where these mean something.
    """

    name: str
    index: int
    span: Span
    meaning: str
    energies: tuple[str, ...] = ()

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
        energies: As those of a column.
        span: The values that it can have.
    """

    name: str
    parts: tuple[str, ...]
    how: Callable[..., float]
    meaning: str
    energies: tuple[str, ...]
    span: Span
    unit: str = "W"


Measured = Column | Computed

UNITS = {"w": "W", "v": "V", "a": "A", "wh": "Wh", "percent": "%", "c": "degrees Celsius"}

SOLAR = ("solar_wh",)
CONSUMED = ("consumed_wh",)

COLUMNS: dict[SeriesName, tuple[Column, ...]] = {
    "solar": (
        Column("string_1_voltage_v", 0, VOLTAGE_V, "Voltage of the first string of panels."),
        Column("string_2_voltage_v", 1, VOLTAGE_V, "Voltage of the second string of panels."),
        Column("string_1_power_w", 3, SUPPLY_W, "Power of the first string.", SOLAR),
        Column("string_2_power_w", 4, SUPPLY_W, "Power of the second string.", SOLAR),
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
            ("imported_wh", "exported_wh"),
        ),
        Column("imported_counter_wh", 2, COUNTER_WH, "Counter of energy imported from the grid."),
        Column("exported_counter_wh", 3, COUNTER_WH, "Counter of energy exported to the grid."),
    ),
    "load": tuple(
        Column(
            f"phase_{phase}_power_w",
            phase - 1,
            SUPPLY_W,
            f"Consumption of the part with backup on the {ordinal} phase.",
            CONSUMED,
        )
        for phase, ordinal in enumerate(("first", "second", "third"), 1)
    ),
}

COMPUTED: dict[SeriesName, tuple[Computed, ...]] = {
    "solar": (
        Computed(
            "power_w",
            ("string_1_power_w", "string_2_power_w"),
            lambda first, second: first + second,
            "Power of all panels: the sum of both strings.",
            SOLAR,
            SUPPLY_W,
        ),
    ),
    "battery": (
        Computed(
            "power_w",
            ("voltage_v", "current_a"),
            lambda voltage, current: round(voltage * current, 1),
            "Power: voltage times current. Positive: charging, it is assumed.",
            ("charged_wh", "discharged_wh"),
            POWER_W,
        ),
    ),
    "grid": (),
    "load": (
        Computed(
            "power_w",
            ("phase_1_power_w", "phase_2_power_w", "phase_3_power_w"),
            lambda first, second, third: first + second + third,
            "Consumption of the part with backup on all phases: their sum.",
            CONSUMED,
            SUPPLY_W,
        ),
    ),
}

ASSUMED: dict[SeriesName, tuple[str, ...]] = {
    "solar": (),
    "battery": ("Positive current and power mean charging, as in the live data.",),
    "grid": (
        "Positive power means import from the grid and negative export, as in the live data.",
        (
            "Whether the counters count since midnight or within one interval is not known, so no "
            "sums are made of them."
        ),
    ),
    "load": (
        "The consumption is that of the part of the house with backup, not of the whole house.",
    ),
}
"""What is assumed about each series, for none is documented."""

USUAL = "power_w"
"""The quantity that a series is looked at for; every series has it."""

ALL = "all"


def quantities(series: SeriesName, wanted: str | None = None) -> tuple[Measured, ...]:
    """Choose quantities of a series, in its order.

    Args:
        series: Which one.
        wanted: Names with commas or blanks between, or `ALL`; the power if None.

    Raises:
        InvalidArguments: It names one that the series has not, or none.
    """
    all_of_it: tuple[Measured, ...] = (*COLUMNS[series], *COMPUTED[series])
    known = {one.name: one for one in all_of_it}
    names = set((USUAL if wanted is None else wanted.lower()).replace(",", " ").split())
    if ALL in names:
        names = (names - {ALL}) | known.keys()
    if not names or not names <= known.keys():
        raise InvalidArguments(
            f"`quantities` of {series} must be {ALL}, or of these, with commas between: "
            f"{', '.join(known)}."
        )
    return tuple(one for name, one in known.items() if name in names)
