"""Energy by hour, day or month: a table with bars, and a table for a file. Pure.

From the result of get_energy.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..readable import one_line
from .fitting import Fitting
from .past import NO_BOX, table_cell, warnings
from .words import UNKNOWN, entries, number, part, percent, text

COLUMNS = {
    "Solar": "solar_kwh",
    "Import": "imported_kwh",
    "Export": "exported_kwh",
    "Used": "consumed_kwh",
    "Charge": "charged_kwh",
    "Disch": "discharged_kwh",
}
"""Titles of columns, and the fields below them."""

WIDTH = 60
"""Columns of the table: half of a wide terminal, and all of a narrow one."""

BAR = 7
"""Of those, the bar's."""

LEGEND = "Used: the part with backup. Bars: solar."
"""With the sentence about stars it fits the table's width."""

NO_PRICES = "No prices."

HOURS = 11
"""Characters of a label from which on it is the time at which an hour begins."""


def page(values: Mapping[str, Any], *, framed: bool) -> RenderableType:
    """Show rows, their sums, and what is lacking.

    Args:
        values: The structured result of get_energy.
        framed: Draw with fine marks.
    """
    box = values.get("box_id")
    rows, total = entries(values, "rows"), values["total"]
    shown = [(_labels(row), row) for row in rows]
    parts: list[RenderableType] = [
        Text(f"Box {text(box)}, kWh") if box is not None else Text(f"{NO_BOX}, kWh", "yellow"),
        Fitting(_table(shown, total, framed=framed), _list(shown, total), WIDTH),
        Text(_legend(shown)),
        *_shares(total),
        *_money(part(total, "money")),
        *([] if isinstance(total.get("money"), Mapping) else [Text(NO_PRICES)]),
        *(Text(f"! {one}", style="yellow") for one in warnings(values)),
    ]
    return Group(*parts)


def _legend(shown: Sequence[tuple[tuple[str, str], Mapping[str, Any]]]) -> str:
    star = any("*" in part for label, _ in shown for part in label)
    return LEGEND + (" *: not complete." if star else "")


def _labels(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the day and the hour of a row; no hour of a longer one."""
    label, mark = text(row["day"]), "" if row.get("complete") is True else "*"
    if len(label) < HOURS:
        return label + mark, ""
    day, _, hour = label.partition("T")
    # Seconds are always none: 02:00+02:00 is what hours that autumn repeats differ by.
    return day, f" {hour[:5]}{hour[8:]}{mark}"


def _table(
    shown: Sequence[tuple[tuple[str, str], Mapping[str, Any]]],
    total: Mapping[str, Any],
    *,
    framed: bool,
) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column()
    for _ in COLUMNS:
        table.add_column(justify="right")
    table.add_column(no_wrap=True, width=BAR)
    table.add_row(*(Text(title, style="bold") for title in ("", *COLUMNS)), "")
    most = max((number(row.get("solar_kwh")) or 0.0 for _, row in shown), default=0.0)
    last = ""
    for (day, hour), row in shown:
        if hour and day != last:
            table.add_row(Text(day, style="bold"))
        last = day
        table.add_row(hour or day, *_values(row), _bar(row, most, "█" if framed else "#"))
    table.add_row(Text("Total", style="bold"), *(Text(one, style="bold") for one in _values(total)))
    return table


def _bar(row: Mapping[str, Any], most: float, mark: str) -> str:
    share = (number(row.get("solar_kwh")) or 0.0) / most if most > 0 else 0.0
    return mark * round(BAR * min(max(share, 0.0), 1.0))


def _list(
    shown: Sequence[tuple[tuple[str, str], Mapping[str, Any]]], total: Mapping[str, Any]
) -> RenderableType:
    lines: list[RenderableType] = []
    for label, row in [
        *((" ".join(labels).strip(), row) for labels, row in shown),
        ("Total", total),
    ]:
        lines.append(Text(label, style="bold"))
        lines += [
            Text(f"  {title:<7}{value}") for title, value in zip(COLUMNS, _values(row), strict=True)
        ]
    return Group(*lines)


def _values(row: Mapping[str, Any]) -> list[str]:
    return [_short(row.get(name)) for name in COLUMNS.values()]


def _short(value: object) -> str:
    """Write kWh in three or four digits, whatever their size."""
    found = number(value)
    if found is None:
        return UNKNOWN
    places = 2 if found < 100 else 1 if found < 1000 else 0
    return f"{found:.{places}f}"


def _shares(total: Mapping[str, Any]) -> list[Text]:
    sufficient = percent(total.get("self_sufficiency_percent"))
    consumed = percent(total.get("self_consumption_percent"))
    return [Text(f"Not from the grid: {sufficient}. Of solar not exported: {consumed}.")]


def _money(money: object) -> list[Text]:
    if not isinstance(money, Mapping):
        return []
    cost, revenue, least, most = (
        _amount(money.get(name), money.get("currency"))
        for name in ("cost", "revenue", "without_box_at_least", "without_box_at_most")
    )
    saved = [
        _amount(money.get(f"saved_at_{end}"), money.get("currency")) for end in ("least", "most")
    ]
    return [
        Text(f"Cost {cost}, revenue {revenue}."),
        Text(f"Without panels and battery: {least} to {most}."),
        *([Text(f"Saved: {saved[0]} to {saved[1]}.")] if "saved_at_least" in money else []),
    ]


def _amount(value: object, currency: object) -> str:
    found = number(value)
    if found is None:
        return UNKNOWN
    return f"{found:.2f}" + ("" if currency is None else f" {one_line(currency)}")


def rows(values: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the lines of a table, an empty cell where nothing is known."""
    yield ["day", *COLUMNS.values(), "complete"]
    for row in entries(values, "rows"):
        numbers = (
            "" if number(row.get(name)) is None else str(row[name]) for name in COLUMNS.values()
        )
        yield [table_cell(row["day"]), *numbers, "yes" if row.get("complete") is True else "no"]


def as_csv(values: Mapping[str, Any]) -> str:
    """Return the rows as CSV (RFC 4180)."""
    file = io.StringIO()
    csv.writer(file).writerows(rows(values))
    return file.getvalue()
