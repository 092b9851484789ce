"""The values of a history's items, column by column. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from .numbers import Span, number, panels_w
from .series import COLUMNS, COMPUTED, Computed, Measured, SeriesName
from .unknown import IMPOSSIBLE, NOT_SENT

DECIMALS = 3
"""Digits kept behind the point: more than the box measures."""

NO_ENTRY = "The portal sent nothing for that time."
PART_MISSING = "A value that it is worked out of is missing."

Cell = float | str
"""A value, or in words why there is none."""


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
