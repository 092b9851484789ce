"""What is printed: a report is data for `--json`, and blocks that a person reads.

The same blocks are written as plain text here, for pipes and files, and drawn on a terminal by
`drawn.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple


class Value(NamedTuple):
    """One named value.

    Attributes:
        key: Its name in docs/protocol.md, shown where one can search for it.
        label: Its name where the group's title stands above it.
        text: The value itself.
        alarming: An operator should look into it.
    """

    key: str
    label: str
    text: str
    alarming: bool


class Values(NamedTuple):
    """Values that belong together.

    Attributes:
        title: What they are about.
        values: The values.
        in_line: Drawn in one line where there is a terminal to draw on, not in a column.
    """

    title: str
    values: tuple[Value, ...]
    in_line: bool = False


class Table(NamedTuple):
    """Rows under headers.

    Attributes:
        title: Empty when the table is all there is.
        headers: One per column.
        rows: The cells, as text.
        numbers: The columns of numbers, which are aligned to the right.
        telling: The rows that are drawn where a terminal has room for few; None for all.
    """

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: range
    telling: tuple[tuple[str, ...], ...] | None = None


Block = str | Values | Table


class Report(NamedTuple):
    """The outcome of a command.

    Attributes:
        data: What `--json` prints.
        blocks: What a person reads.
    """

    data: Mapping[str, Any]
    blocks: tuple[Block, ...]


def plain(blocks: Iterable[Block]) -> str:
    """Write blocks as text without any escape code, for pipes and files."""
    return "\n\n".join(_plain(block) for block in blocks) + "\n"


def _plain(block: Block) -> str:
    if isinstance(block, str):
        return block
    if isinstance(block, Values):
        # The protocol's own names: this is what one greps for, and finds explained there.
        width = max(len(value.key) for value in block.values)
        lines = [f"  {value.key:<{width}}  {value.text}" for value in block.values]
        return "\n".join([block.title, *lines])
    if not block.title:
        return "\n".join(_columns(block))
    return "\n".join([block.title, *(f"  {line}" for line in _columns(block))])


def _columns(table: Table) -> Iterable[str]:
    rows: Sequence[tuple[str, ...]] = (table.headers, *table.rows)
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.headers))]
    for row in rows:
        cells = (
            cell.rjust(width) if i in table.numbers else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()
