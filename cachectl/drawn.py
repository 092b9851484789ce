"""The blocks of a report on a terminal, with rich; imported only when there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.table import Table as Grid
from rich.text import Text

from .blocks import Block, Table, Values

TITLE = "bold cyan"
ALARM = "bold yellow"
QUIET = "dim"

WIDE = 76
"""Columns of the terminal from which groups stand side by side."""


class Drawing:
    """Blocks, laid out for the width of the terminal they are printed on.

    Args:
        blocks: What to draw. Adjacent groups of values are drawn as one.
    """

    def __init__(self, blocks: Iterable[Block]) -> None:
        self._blocks = tuple(blocks)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = options.max_width >= WIDE
        for kind, blocks in groupby(self._blocks, type):
            if kind is Values:
                yield from _groups([b for b in blocks if isinstance(b, Values)], wide=wide)
                yield ""
                continue
            for block in blocks:
                if isinstance(block, Table):
                    # A titled table is one part among others: it is short and may be folded.
                    yield _table(block, columns=2 if wide and block.title else 1)
                    if not block.title:
                        yield ""
                elif isinstance(block, str):
                    yield Text(block)


def _groups(groups: Sequence[Values], *, wide: bool) -> Iterable[RenderableType]:
    """Draw the first group in one line and the others below it, in up to three columns."""
    first, *others = groups
    line = Text(first.title, TITLE)
    for value in first.values:
        line.append(f"   {value.label} ", QUIET)
        line.append(value.text, "default not bold")
    yield line
    columns: list[list[RenderableType]] = [[] for _ in range(3 if wide else 1)]
    for index, group in enumerate(others):
        column = columns[min(index, len(columns) - 1)]
        column.extend((_values(group),) if not column else ("", _values(group)))
    grid = Grid.grid(padding=(0, 4, 0, 0))
    grid.add_row(*(Group(*column) for column in columns))
    yield ""
    yield grid


def _values(group: Values) -> RenderableType:
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(style=QUIET)
    grid.add_column(justify="right", no_wrap=True)
    for value in group.values:
        grid.add_row(value.label, Text(value.text, ALARM if value.alarming else ""))
    return Group(Text(group.title, TITLE), grid)


def _table(table: Table, *, columns: int) -> RenderableType:
    """Draw a table; in several columns it reads downwards, then to the right."""
    height = -(-len(table.rows) // columns)
    parts = [table.rows[start : start + height] for start in range(0, len(table.rows), height)]
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


def draw(blocks: Iterable[Block]) -> None:
    """Print blocks to standard output."""
    Console(highlight=False).print(Drawing(blocks))


@contextmanager
def redrawn() -> Iterator[Callable[[Iterable[Block]], None]]:
    """Give a function that draws blocks in place of those it has drawn before."""
    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, redirect_stdout=False) as live:
        yield lambda blocks: live.update(Drawing(blocks), refresh=True)
