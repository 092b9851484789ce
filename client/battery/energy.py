"""Energy by hour, day, month or in total: a table with bars, and a table for a file. Pure.

From the result of get_energy. What rows lack stands below the table, and in a column of the file.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..local_time import parsed, written
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

DAY = 10
"""Characters of the label of a day."""

LISTED = 8
"""Lines below the table about what is lacking; the rest is counted."""

MONTH = 7
"""Characters of the label of a month."""

HOUR = timedelta(hours=1)

MOST_TIME = timedelta(days=400)
"""Nothing that lacks is longer: a call is about a year at most."""

NULL = {
    **{f"total.{field}": title for title, field in COLUMNS.items()},
    "total.self_sufficiency_percent": "not from the grid",
    "total.self_consumption_percent": "of solar not exported",
    "total.money.cost": "cost",
    "total.money.revenue": "revenue",
    "total.money.without_box_at_least": "without panels and battery",
    "total.money.without_box_at_most": "without panels and battery",
    "total.money.saved_at_least": "saved",
    "total.money.saved_at_most": "saved",
}
"""What is shown as unknown below the rows: its path in the result, and its name."""


class Asked(NamedTuple):
    """What was asked for, which the result does not repeat.

    Attributes:
        first: The first day.
        last: The last day, included.
        per: What a row is: hour, day, month or total.
    """

    first: date
    last: date
    per: str

    @property
    def days(self) -> str:
        """All days, in words."""
        return _span(str(self.first), str(self.last))


TO = " to "

RANGE = "Ranges, as what the house uses without backup is not known."


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"


def page(values: Mapping[str, Any], asked: Asked, *, framed: bool) -> RenderableType:
    """Show rows, their sums, and what is lacking.

    Args:
        values: The structured result of get_energy.
        asked: What was asked for.
        framed: Draw with fine marks.
    """
    box = values.get("box_id")
    rows, total = entries(values, "rows"), values["total"]
    shown = [(_labels(row), row) for row in rows]
    whole = f"Total{_mark(total)}"
    parts: list[RenderableType] = [
        Text(f"Box {text(box)}, kWh") if box is not None else Text(f"{NO_BOX}, kWh", "yellow"),
        Fitting(
            _table(shown, whole, total, framed=framed), _list([*shown, ((whole, ""), total)]), WIDTH
        ),
        Text(f"Total: {asked.days}."),
        Text(_legend([whole, *(label for labels, _ in shown for label in labels)])),
        *_lacks(values),
        *_shares(total),
        *_money(part(total, "money")),
        *_reasons(values),
        *([] if isinstance(total.get("money"), Mapping) else [Text(NO_PRICES)]),
        *(Text(f"! {one}", style="yellow") for one in warnings(values)),
    ]
    return Group(*parts)


def _legend(labels: Sequence[str]) -> str:
    return LEGEND + (" *: not complete." if any("*" in label for label in labels) else "")


def _mark(row: Mapping[str, Any]) -> str:
    return "" if row.get("complete") is True else "*"


def _lacks(values: Mapping[str, Any]) -> Iterator[Text]:
    """Say what rows lack, the same of neighbours together, as it is named by the result."""
    labels = [text(row["day"]) for row in entries(values, "rows")]
    place = {label: number for number, label in enumerate(labels)}
    found = [_lack(one) for one in entries(values, "lacking")]
    runs: list[list[tuple[str, str]]] = []
    for label, why in found:
        before, reason = runs[-1][-1] if runs else ("", "")
        if why == reason and place.get(label, -1) == place.get(before, -3) + 1:
            runs[-1].append((label, why))
        else:
            runs.append([(label, why)])
    for run in runs[:LISTED]:
        (first, why), (last, _) = run[0], run[-1]
        yield Text(f"* {_short_span(_ends(first)[0], _ends(last)[1])}: {why}")
    if len(runs) > LISTED:
        yield Text(f"* and {len(runs) - LISTED} more: see --csv or --json")


def _short_span(first: str, last: str) -> str:
    """Write a span in as few characters as there are in one line of the table."""
    if first == last or len(first) <= DAY:
        return _span(_short_hour(first), _short_hour(last))
    end = _short_hour(last)
    return _span(_short_hour(first), end[HOURS:] if first[:DAY] == last[:DAY] else end)


def _short_hour(label: str) -> str:
    return label if len(label) <= DAY else f"{label[:DAY]} {label[11:16]}{label[19:]}"


def _ends(label: str) -> tuple[str, str]:
    """Give the first and the last of a span."""
    first, _, last = label.partition(" to ")
    return first, last or first


def _lack(entry: object) -> tuple[str, str]:
    """Give what an entry of `lacking` is about, and why."""
    label, _, why = one_line(entry).partition(": ")
    return label, why


def _reasons(values: Mapping[str, Any]) -> Iterator[Text]:
    """Say why what is shown below the rows is unknown, each reason once."""
    for one in entries(values, "unknown"):
        named = [NULL[path] for path in map(str, entries(one, "readings")) if path in NULL]
        if named:
            yield Text(
                f"{UNKNOWN} {', '.join(dict.fromkeys(named))}: {text(part(one, 'why'))}",
                style="dim",
            )


def _labels(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the day and the hour of a row; no hour of a longer one."""
    label, mark = text(row["day"]), _mark(row)
    if len(label) < HOURS:
        return label + mark, ""
    day, _, hour = label.partition("T")
    # Seconds are always none: 02:00+02:00 is what hours that autumn repeats differ by.
    return day, f" {hour[:5]}{hour[8:]}{mark}"


def _table(
    shown: Sequence[tuple[tuple[str, str], Mapping[str, Any]]],
    whole: str,
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
    table.add_row(Text(whole, style="bold"), *(Text(one, style="bold") for one in _values(total)))
    return table


def _bar(row: Mapping[str, Any], most: float, mark: str) -> str:
    share = (number(row.get("solar_kwh")) or 0.0) / most if most > 0 else 0.0
    return mark * round(BAR * min(max(share, 0.0), 1.0))


def _list(shown: Sequence[tuple[tuple[str, str], Mapping[str, Any]]]) -> RenderableType:
    lines: list[RenderableType] = []
    for labels, row in shown:
        lines.append(Text(" ".join(labels).strip(), style="bold"))
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
    # As rounded: 99.996 would be written with a digit more than 99.99.
    places = 2 if round(found, 2) < 100 else 1 if round(found, 1) < 1000 else 0
    return f"{found:.{places}f}"


def _shares(total: Mapping[str, Any]) -> list[Text]:
    sufficient = percent(total.get("self_sufficiency_percent"))
    consumed = percent(total.get("self_consumption_percent"))
    return [Text(f"Not from the grid: {sufficient}. Of solar not exported: {consumed}.")]


def _money(money: object) -> list[Text]:
    if not isinstance(money, Mapping):
        return []
    currency = money.get("currency")
    cost, revenue = (_amount(money.get(name), currency) for name in ("cost", "revenue"))
    return [
        Text(f"Cost {cost}, revenue {revenue}."),
        Text(f"Without panels and battery: {_bounds(money, 'without_box')}."),
        *([Text(f"Saved: {_bounds(money, 'saved')}.")] if "saved_at_least" in money else []),
        *([Text(RANGE)] if TO in _bounds(money, "without_box") else []),
    ]


def _bounds(money: Mapping[str, Any], name: str) -> str:
    least, most = (
        _amount(money.get(f"{name}_at_{end}"), money.get("currency")) for end in ("least", "most")
    )
    return UNKNOWN if least == most == UNKNOWN else f"{least}{TO}{most}"


def _amount(value: object, currency: object) -> str:
    found = number(value)
    if found is None:
        return UNKNOWN
    return f"{found:.2f}" + ("" if currency is None else f" {one_line(currency)}")


def rows(values: Mapping[str, Any], asked: Asked) -> Iterator[list[str]]:
    """Yield the lines of a table, an empty cell where nothing is known.

    1. In total there is one line, of all days.
    2. Otherwise there is a line per row, and none of the total: a column can be added up.
    3. What has no row but is lacking has a line without numbers, which says why.

    Args:
        values: The structured result of get_energy.
        asked: What was asked for.
    """
    yield ["day", *COLUMNS.values(), "complete", "lacking"]
    lacking = [_lack(one) for one in entries(values, "lacking")]
    if asked.per == "total":
        why = [f"{label}: {reason}" for label, reason in lacking]
        yield _line(asked.days, values["total"], why)
        return
    found = {text(row["day"]): row for row in entries(values, "rows")}
    why_of: dict[str, list[str]] = {label: [] for label in found}
    for label, reason in lacking:
        for unit in _units(label, asked.per):
            own = len(unit) >= DAY or label == unit
            why_of.setdefault(unit, []).append(reason if own else f"{label}: {reason}")
    for label in sorted(why_of, key=_order):
        yield _line(label, found.get(label, {}), why_of[label])


def _line(label: str, row: Mapping[str, Any], lacking: Sequence[str]) -> list[str]:
    numbers = ("" if number(row.get(name)) is None else str(row[name]) for name in COLUMNS.values())
    complete = "yes" if row.get("complete") is True else "no"
    return [table_cell(label), *numbers, complete, table_cell("; ".join(lacking))]


def _units(label: str, per: str) -> list[str]:
    """Give the rows, by label, that an entry of `lacking` is about."""
    first, last = _ends(label)
    begin, end = parsed(first), parsed(last)
    if begin is None or end is None or not begin <= end < begin + MOST_TIME:
        return [label]  # a month, or nothing that is known here
    apart = end - begin
    if len(first) > DAY:
        return [written(begin + hour * HOUR) for hour in range(apart // HOUR + 1)]
    days = [str(begin.date() + timedelta(days=day)) for day in range(apart.days + 1)]
    return list(dict.fromkeys(day[:MONTH] for day in days)) if per == "month" else days


def _order(label: str) -> tuple[str, float]:
    """Give what rows are sorted by: hours that autumn repeats have one text and two moments."""
    when = parsed(label) if len(label) > DAY else None
    return label[:DAY], 0.0 if when is None else when.timestamp()


def as_csv(values: Mapping[str, Any], asked: Asked) -> str:
    """Return the rows as CSV (RFC 4180), and what they lack."""
    file = io.StringIO()
    csv.writer(file).writerows(rows(values, asked))
    return file.getvalue()
