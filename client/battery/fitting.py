"""A drawing for terminals of any width: a number that is cut looks like another number."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement

ROOM = 4000
"""Columns in which everything has the width it wants."""


class Fitting:
    """One drawing where there is room for it, and another where there is not.

    Args:
        wide: Drawn where there is room.
        narrow: Drawn elsewhere; it may be folded to any width.
        columns: Needed for the wide one; None for as many as it wants.
    """

    def __init__(
        self, wide: RenderableType, narrow: RenderableType, columns: int | None = None
    ) -> None:
        self._wide = wide
        self._narrow = narrow
        self._columns = columns

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        needed = self._columns
        if needed is None:
            wanted = Measurement.get(console, options.update(width=ROOM), self._wide)
            needed = wanted.maximum
        yield self._wide if needed <= options.max_width else self._narrow
