"""The four series of the portal's history: their columns, and their values by column. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..errors import InvalidArguments
from .numbers import (
    CURRENT_A,
    DAY_WH,
    PERCENT,
    POWER_W,
    SUPPLY_W,
    TEMPERATURE_C,
    VOLTAGE_V,
    Span,
    number,
    panels_w,
)
from .unknown import IMPOSSIBLE, NOT_SENT

SeriesName = Literal["solar", "battery", "grid", "load"]

PORTAL_NAMES: dict[SeriesName, str] = {
    "solar": "fve",
    "battery": "batt",
    "grid": "grid",
    "load": "load",
}

COUNTER_WH = Span(0, DAY_WH.high * 31)

UNITS = {"w": "W", "v": "V", "a": "A", "wh": "Wh", "percent": "%", "c": "degrees Celsius"}

SOLAR = ("solar_wh",)
CONSUMED = ("consumed_wh",)

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

DECIMALS = 3
"""Digits after the point: more than the box measures."""

NO_ENTRY = "The portal sent nothing for that time."
PART_MISSING = "A value that it is worked out of is missing."

Cell = float | str
"""A value, or in words why there is none."""


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


def cells(
    series: SeriesName,
    items: Sequence[object],
    wanted: Collection[str] | None = None,
    peak_w: float | None = None,
) -> dict[str, list[Cell]]:
    """Give quantities of a series by name, each with one cell per item.

    Args:
        series: Which one.
        items: The portal's items, whatever they are.
        wanted: Names of quantities; all of the series if None. Those that they are worked out of
            come with them.
        peak_w: Installed peak of the panels in W, where it is known: they give not much more.
    """
    rows = [_values(item) for item in items]
    worked_out = [one for one in COMPUTED[series] if wanted is None or one.name in wanted]
    needed = {part for one in worked_out for part in one.parts}
    found: dict[str, list[Cell]] = {
        column.name: [_cell(row, column.index, _span(series, column, peak_w)) for row in rows]
        for column in COLUMNS[series]
        if wanted is None or column.name in wanted or column.name in needed
    }
    for computed in worked_out:
        parts = [found[name] for name in computed.parts]
        found[computed.name] = [
            _computed(computed, values, _span(series, computed, peak_w))
            for values in zip(*parts, strict=True)
        ]
    return found


def _values(item: object) -> Sequence[object] | None:
    values = item.get("values") if isinstance(item, Mapping) else None
    return values if isinstance(values, list) else None


def _span(series: SeriesName, quantity: Measured, peak_w: float | None) -> Span:
    return panels_w(peak_w) if series == "solar" and quantity.unit == "W" else quantity.span


def _cell(row: Sequence[object] | None, index: int, span: Span) -> Cell:
    if row is None:
        return NO_ENTRY
    if index >= len(row):
        return NOT_SENT
    found = number(row[index], span)
    # No negative zero: rounding makes one of -0.0001.
    return found if isinstance(found, str) else round(found, DECIMALS) + 0.0


def _computed(computed: Computed, values: tuple[Cell, ...], span: Span) -> Cell:
    known = [value for value in values if not isinstance(value, str)]
    if len(known) < len(values):
        return PART_MISSING
    found = computed.how(*known)
    return found if span.holds(found) else IMPOSSIBLE
