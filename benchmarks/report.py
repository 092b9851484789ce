"""The results as a table on the terminal and as docs/benchmarks.md. Pure: nothing is measured."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from .result import Budget, Figure, Line

HEAD = """\
# Benchmarks

What the budgets are, and what was measured. Every comparison is made in one run, contestants taking
turns of a second or less; a value is the ratio of one round, so that whatever else the machine did
meanwhile weighs on both sides. The median over all rounds is judged; the range says how far to
trust it. [performance.md](performance.md) says where the time goes and what was tried.

Each rival runs in its fastest configuration, which the benchmark finds first; the figures list
every one tried. The load generator shares the cores of the machine with all
contestants: with more cores than processes all rates are higher.

"""


@dataclass(frozen=True, slots=True)
class Section:
    """The lines of one part.

    Args:
        name: As given to `--only`.
        about: What is measured and how, as Markdown.
        lines: Its results.
    """

    name: str
    about: str
    lines: Sequence[Line]


def table(sections: Sequence[Section]) -> Table:
    """Draw all lines, for a terminal."""
    drawn = Table(title="Benchmarks", title_justify="left")
    # Whatever the width of the terminal, a long word goes on in the next line. The range of the
    # values is in one cell: three columns would leave no room for what they are of.
    drawn.add_column("what", ratio=1, overflow="fold")
    drawn.add_column("median (min - max)", justify="right", overflow="fold")
    drawn.add_column("budget", overflow="fold")
    drawn.add_column("met", overflow="fold")
    for section in sections:
        for line in section.lines:
            style = {True: "green", False: "red", None: ""}[line.met]
            # Text, not markup: brackets in a reason are brackets.
            what = line.what if not line.why_not else f"{line.what}: {line.why_not}"
            value = _short(line.values, line.unit) if line.values else ""
            verdict = Text(_met(line), style)
            budget = _budget(line).replace(" ", "\u00a0")
            drawn.add_row(Text(f"{section.name}: {what}"), value, budget, verdict)
    return drawn


def summary(sections: Sequence[Section]) -> str:
    """Count the budgets, such as `20 met, 1 not met, 2 not measured`."""
    lines = [line for section in sections for line in section.lines]
    met, not_met = (sum(line.met is verdict for line in lines) for verdict in (True, False))
    return f"{met} met, {not_met} not met, {sum(bool(line.why_not) for line in lines)} not measured"


def markdown(
    sections: Sequence[Section], machine: Sequence[tuple[str, str]], command: str, date: str
) -> str:
    """Write the whole report.

    Args:
        sections: The results.
        machine: What it was measured on.
        command: How to repeat it.
        date: When it was measured.
    """
    facts = [("date", date), ("command", f"`{command}`"), *machine]
    parts = [
        HEAD,
        _rows(("", ""), facts),
        "\n## Budgets\n\n",
        _rows(
            ("what", "min", "median", "max", "budget", "met"),
            [_cells(line) for s in sections for line in s.lines if line.budget or line.why_not],
        ),
    ]
    for section in sections:
        parts.append(f"\n## {section.name}\n\n{section.about}\n")
        measured = [line for line in section.lines if line.values]
        if measured:
            parts += [
                "\n",
                _rows(
                    ("what", "min", "median", "max", "budget", "met", "for a user"),
                    [(*_cells(line), line.means) for line in measured],
                ),
            ]
        figures = [figure for line in measured for figure in line.figures]
        if figures:
            parts += ["\n", _rows(("figure", "min", "median", "max"), map(_figure, figures))]
        parts += [
            f"\nNot measured: {line.what}: {line.why_not}.\n"
            for line in section.lines
            if line.why_not
        ]
    return "".join(parts)


def number(value: float) -> str:
    """Write a value with three digits that say something."""
    if value == round(value) and abs(value) < 1e6:
        return f"{value:.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.{2 if abs(value) < 10 else 1}f}"


def _spread(values: Sequence[float], unit: str) -> tuple[str, str, str]:
    found = (min(values), statistics.median(values), max(values))
    least, middle, most = (f"{number(value)} {unit}" for value in found)
    return least, middle, most


def _short(values: Sequence[float], unit: str) -> str:
    """Write the median with its unit, and below it the range, each unbroken."""
    least, middle, most = (
        number(each) for each in (min(values), statistics.median(values), max(values))
    )
    return f"{middle}\u00a0{unit}" + (f"\n({least}\u00a0-\u00a0{most})" if least != most else "")


def _cells(line: Line) -> tuple[str, ...]:
    spread = _spread(line.values, line.unit) if line.values else ("-", "-", "-")
    return line.what, *spread, _budget(line), _met(line)


def _figure(figure: Figure) -> tuple[str, ...]:
    return figure.what, *_spread(figure.values, figure.unit)


def _budget(line: Line) -> str:
    budget: Budget | None = line.budget
    return "" if budget is None else f"{budget.kind} {number(budget.limit)} {line.unit}"


def _met(line: Line) -> str:
    if line.why_not:
        return "not measured"
    return {True: "yes", False: "NO", None: ""}[line.met]


def _rows(head: Sequence[str], rows: object) -> str:
    lines = [head, ["---"] * len(head), *rows]  # type: ignore[misc]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
