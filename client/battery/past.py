"""A series over some days: its curve in the terminal, its summary, and its table for a file. Pure.

From the result of get_history.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..failures import BadResult, UsageFailure
from ..local_time import local, parsed, starts, written
from ..readable import one_line
from .fitting import Fitting
from .words import entries, kilowatt_hours, measured, number, part, text

PREFERRED = "power_w"
"""The quantity that a series is mostly looked at for."""
NO_BOX = "Box not known: the portal does not say which one this is of"
ROWS = 11
"""Lines of a curve: with the summary below it fits a terminal of 24."""
LABELS = 5
"""Times under a curve of eighty columns."""
FORMULA = ("=", "+", "-", "@")
"""What a formula begins with."""
DETAILS = ("minimum", "maximum")


def quantities(values: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the quantities of a series by name.

    Raises:
        BadResult: The result has none.
    """
    listed = entries(values, "quantities")
    found = {str(one["name"]): one for one in listed if isinstance(one, Mapping) and "name" in one}
    if not found:
        raise BadResult
    return found


def chosen(values: Mapping[str, Any], name: str | None) -> Mapping[str, Any]:
    """Return the quantity to draw.

    Raises:
        UsageFailure: The series has none of that name.
    """
    known = quantities(values)
    if name is None:
        return known.get(PREFERRED) or next(iter(known.values()))
    if name not in known:
        raise UsageFailure(
            f"This series has no quantity {name!r}. It has: {', '.join(known)}.",
            kind="unknown_quantity",
        )
    return known[name]


def page(
    values: Mapping[str, Any], name: str | None, *, width: int, framed: bool
) -> RenderableType:
    """Show the curve of one quantity and its summary; where none was asked for, that of all.

    Args:
        values: The structured result of get_history.
        name: The quantity; the most usual one if None.
        width: Columns of the terminal.
        framed: Draw with fine marks and colours.
    """
    quantity = chosen(values, name)
    head = (
        f"{text(values.get('series'))}: {text(quantity['name'])}, {text(quantity.get('unit'))}, "
        f"{text(values.get('first_day'))} to {text(values.get('last_day'))}"
    )
    box = values.get("box_id")
    parts: list[RenderableType] = [
        Text(head, style="bold"),
        Text(f"Box {text(box)}") if box is not None else Text(NO_BOX, style="yellow"),
        curve(values, quantity, width=width, framed=framed),
        _summary([quantity] if name is not None else quantities(values).values()),
        *(Text(f"! {one}", style="yellow") for one in warnings(values)),
        *(Text(f"* {one_line(one)}", style="dim") for one in values.get("assumptions") or ()),
    ]
    return Group(*parts)


def warnings(values: Mapping[str, Any]) -> list[str]:
    """Return what a person has to know along with the numbers."""
    return [one_line(one) for one in values.get("warnings") or ()]


def curve(
    values: Mapping[str, Any],
    quantity: Mapping[str, Any],
    *,
    width: int,
    framed: bool,
) -> Text:
    """Draw one quantity; where nothing is known, nothing is drawn."""
    times = [parsed(one) for one in entries(values, "times")]
    points = [
        (when, found)
        for when, value in zip(times, quantity.get("mean") or (), strict=False)
        if when is not None and (found := number(value)) is not None
    ]
    if not points:
        return Text("\nThere is nothing to draw: no value is known.\n")
    import plotext  # type: ignore[import-untyped]  # noqa: PLC0415 - a third of a second

    plotext.clear_figure()
    plotext.plotsize(width, ROWS)
    plotext.theme("clear")
    marker, colour = ("braille", "cyan") if framed else ("*", "default")
    spacing = _spacing(times)
    for piece in _pieces(points, spacing):
        seconds = [when.timestamp() for when, _ in piece]
        plotext.plot(seconds, [value for _, value in piece], marker=marker, color=colour)
    ticks = _ticks(points[0][0], points[-1][0])
    plotext.xticks([when.timestamp() for when in ticks.values()], list(ticks))
    drawn = plotext.build() if framed else plotext.uncolorize(plotext.build())
    return Text.from_ansi(drawn, no_wrap=True)


def _spacing(times: Sequence[datetime | None]) -> float:
    known = [when.timestamp() for when in times if when is not None]
    steps = sorted(later - earlier for earlier, later in pairwise(known))
    return steps[len(steps) // 2] if steps else 0.0


def _pieces(
    points: Sequence[tuple[datetime, float]], spacing: float
) -> Iterator[list[tuple[datetime, float]]]:
    """Cut where values are missing: a line across a gap would invent them."""
    piece = [points[0]]
    for before, after in pairwise(points):
        if (after[0] - before[0]).total_seconds() > spacing * 1.5:
            yield piece
            piece = []
        piece.append(after)
    yield piece


def _ticks(first: datetime, last: datetime) -> dict[str, datetime]:
    """Return what stands under a curve, and where: times of one day, or the starts of days."""
    if first.date() == last.date():
        step = (last - first) / (LABELS - 1)
        return {_hour(first + step * place): first + step * place for place in range(LABELS)}
    later = (first.date() + timedelta(days=n) for n in range((last.date() - first.date()).days + 1))
    days = [day for day in later if starts(day) >= first]
    return {day.isoformat(): starts(day) for day in days[:: -(-len(days) // LABELS)]}


def _hour(when: datetime) -> str:
    """Write the time of a day with its offset, which the hours that autumn repeats differ by."""
    return local(when).isoformat(timespec="minutes").partition("T")[2]


def _summary(shown: Iterable[Mapping[str, Any]]) -> RenderableType:
    titles = ("Lowest", "Mean", "Highest", "Energy")
    table = Table.grid(padding=(0, 2))
    for title in ("Quantity", *titles):
        table.add_column(header=title, justify="left" if title == "Quantity" else "right")
    table.add_row(*(Text(str(one.header), style="bold") for one in table.columns))
    lines: list[RenderableType] = []
    for quantity in shown:
        name, unit = str(quantity["name"]), text(quantity.get("unit"))
        unit = unit.replace("degrees Celsius", "C")
        summary = quantity.get("summary")
        cells = [measured(part(summary, each), unit) for each in ("minimum", "mean", "maximum")]
        # Only powers have an energy; its absence elsewhere is no gap.
        energy = ", ".join(
            f"{kilowatt_hours(found)} {of}" for of, found in _energies(summary) if unit == "W"
        )
        found = [*map(one_line, cells), one_line(energy)]
        table.add_row(one_line(name), *found)
        lines.append(Text(one_line(name), style="bold"))
        lines += [
            Text(f"  {title:<9}{cell}") for title, cell in zip(titles, found, strict=True) if cell
        ]
    return Fitting(table, Group(*lines))


def _energies(summary: object) -> Iterator[tuple[str, object]]:
    """Yield energies with what they are; servers before 2026-12 give only their sign."""
    energies = part(summary, "energy")
    if isinstance(energies, Mapping):
        yield from ((str(name).removesuffix("_wh"), energies[name]) for name in energies)
        return
    for sign in ("positive", "negative"):
        yield sign, part(summary, f"energy_{sign}_wh_estimate")


def rows(values: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the lines of a table: one per point, an empty cell where nothing is known."""
    found = quantities(values)
    columns: list[tuple[str, Sequence[Any]]] = []
    for name, quantity in found.items():
        columns.append((name, quantity.get("mean") or ()))
        columns += [(f"{name}_{each}", quantity[each]) for each in DETAILS if quantity.get(each)]
    yield ["time", *(table_cell(name) for name, _ in columns)]
    for place, value in enumerate(entries(values, "times")):
        when = parsed(value)
        cells = (column[place] if place < len(column) else None for _, column in columns)
        yield [
            table_cell(value) if when is None else written(when),
            *("" if number(cell) is None else str(cell) for cell in cells),
        ]


def table_cell(value: object) -> str:
    """Return a text that a spreadsheet does not take for a formula."""
    found = one_line(value)
    return f"'{found}" if found.startswith(FORMULA) else found


def as_csv(values: Mapping[str, Any]) -> str:
    """Return the table as CSV (RFC 4180), times in the box's time."""
    file = io.StringIO()
    csv.writer(file).writerows(rows(values))
    return file.getvalue()
