"""The blocks of a report on a terminal, with rich; imported only when there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table as Grid
from rich.text import Text

from .blocks import Block, Table, Values

TITLE = "bold cyan"
ALARM = "bold yellow"
QUIET = "dim"

ROOM = 4000
"""Columns in which everything has the width it wants."""


class Drawing:
    """Blocks, laid out for the width of the terminal they are printed on.

    Args:
        blocks: What to draw. Adjacent groups of values are drawn as one.
    """

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks = tuple(blocks)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for kind, blocks in groupby(self._blocks, type):
            if kind is Values:
                yield from _groups([b for b in blocks if isinstance(b, Values)])
                yield ""
                continue
            for block in blocks:
                if isinstance(block, Table):
                    # A titled table is one part among others: it is short and may be folded.
                    sides = [_table(block, 2)] if block.title else []
                    yield _Fitting(*sides, _table(block, 1), _stacked(block))
                    if not block.title:
                        yield ""
                elif isinstance(block, str):
                    yield Text(block)


class _Fitting:
    """The first of some drawings that there is room for; the last if there is for none.

    A number that is cut looks like another number.
    """

    def __init__(self, *drawings: RenderableType) -> None:
        self._drawings = drawings

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        *wider, last = self._drawings
        for drawing in wider:
            wanted = Measurement.get(console, options.update(width=ROOM), drawing)
            if wanted.maximum <= options.max_width:
                yield drawing
                return
        yield last


def _groups(groups: Sequence[Values]) -> Iterable[RenderableType]:
    """Draw groups in one line each where they want that, and others in up to three columns."""
    for at, (in_line, run) in enumerate(groupby(groups, lambda group: group.in_line)):
        if at:
            yield ""
        if in_line:
            yield from map(_line, run)
        else:
            listed = list(run)
            yield _Fitting(_columns(listed, 3), _columns(listed, 1))


def _line(group: Values) -> RenderableType:
    line = Text(group.title, TITLE)
    for value in group.values:
        line.append(f"   {value.label} ", QUIET)
        line.append(value.text, ALARM if value.alarming else "default not bold")
    return line


def _columns(groups: Sequence[Values], most: int) -> RenderableType:
    columns: list[list[RenderableType]] = [[] for _ in range(most)]
    for index, group in enumerate(groups):
        column = columns[min(index, most - 1)]
        column.extend((_values(group),) if not column else ("", _values(group)))
    grid = Grid.grid(padding=(0, 4, 0, 0))
    grid.add_row(*(Group(*column) for column in columns))
    return grid


def _values(group: Values) -> RenderableType:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(style=QUIET)
    grid.add_column(justify="right", no_wrap=True)
    for value in group.values:
        grid.add_row(Text(value.label), Text(value.text, ALARM if value.alarming else ""))
    return Group(Text(group.title, TITLE), grid)


def _shown(table: Table) -> Sequence[tuple[str, ...]]:
    return table.rows if table.telling is None else table.telling


def _table(table: Table, columns: int) -> RenderableType:
    """Draw a table; in several columns it reads downwards, then to the right."""
    rows = _shown(table)
    height = max(1, -(-len(rows) // columns))
    parts = [rows[start : start + height] for start in range(0, len(rows), height)] or [()]
    outer = Grid.grid(padding=(0, 6, 0, 0))
    outer.add_row(*(_rows(table, part) for part in parts))
    return outer


def _rows(table: Table, rows: Sequence[tuple[str, ...]]) -> RenderableType:
    grid = Grid.grid(padding=(0, 3, 0, 0))
    for index in range(len(table.headers)):
        right = index in table.numbers
        grid.add_column(justify="right" if right else "left", no_wrap=right)
    first, *others = table.headers
    grid.add_row(*(Text(name, TITLE) for name in (table.title or first, *others)))
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    return grid


def _stacked(table: Table) -> RenderableType:
    """Draw each row as lines of its own, which may be folded to any width."""
    width = max(map(len, table.headers))
    lines = [Text(table.title, TITLE)] if table.title else []
    for row in _shown(table):
        for header, cell in zip(table.headers, row, strict=True):
            lines.append(Text(f"{header:<{width}}  ", QUIET).append(cell, "default not dim"))
        lines.append(Text())
    return Group(*lines[:-1])


def draw(blocks: Iterable[Block]) -> None:
    """Print blocks to standard output."""
    Console(highlight=False).print(Drawing(blocks))


@contextmanager
def redrawn() -> Iterator[Callable[[Iterable[Block]], None]]:
    """Give a function that draws blocks in place of those it has drawn before."""
    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, redirect_stdout=False) as live:
        yield lambda blocks: live.update(Drawing(blocks), refresh=True)
