"""The doctor's lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..readable import clean
from .finding import Finding, Mark

TICKS = {
    Mark.OK: ("\N{CHECK MARK}", "green"),
    Mark.WRONG: ("\N{BALLOT X}", "bold red"),
    Mark.WARNING: ("!", "yellow"),
    Mark.SKIPPED: ("-", "dim"),
}
WORDS = {Mark.OK: "ok", Mark.WRONG: "WRONG", Mark.WARNING: "warn", Mark.SKIPPED: "-"}
NAME = 11
"""Columns for a step's name."""


def line(finding: Finding, *, framed: bool) -> RenderableType:
    """Show one step in one line, or in a few where eighty columns are not enough."""
    took = "" if finding.mark is Mark.SKIPPED else f"{finding.seconds * 1000:.0f} ms"
    if not framed:
        more = f" ({took})" if took else ""
        cure = f" {clean(finding.cure)}" if finding.mark is Mark.WARNING else ""
        start = f"{WORDS[finding.mark]:<6}{finding.step:<{NAME}}"
        return Text(f"{start}{clean(finding.text)}{cure}{more}")
    tick, colour = TICKS[finding.mark]
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(width=1)
    grid.add_column(width=NAME, no_wrap=True)
    grid.add_column(ratio=1, overflow="fold")
    grid.add_column(width=8, justify="right", style="dim", no_wrap=True)
    text = Text(clean(finding.text), style="dim" if finding.mark is Mark.SKIPPED else "")
    if finding.mark is Mark.WARNING and finding.cure:
        text.append(f" {clean(finding.cure)}", style="yellow")
    grid.add_row(Text(tick, style=colour), Text(finding.step, style="bold"), text, took)
    return grid


def verdict(
    first: Finding | None, untried: Sequence[str], *, warned: bool, framed: bool
) -> RenderableType:
    """Show what the examination comes to.

    Args:
        first: The first thing that is wrong.
        untried: Steps that could have been taken and were not: their result is unknown.
        warned: There are remarks.
        framed: Draw for a screen.
    """
    if first is None:
        remarks = ", with the remarks above" if warned else ""
        text = f"Everything works{remarks}."
        if untried:
            text = f"Nothing wrong found{remarks}; not tried: {', '.join(untried)}."
        return Padding(Text(text, style="bold green"), (1, 0, 0, 0)) if framed else Text(text)
    body = Group(*(Text(clean(part)) for part in (first.text, first.cure) if part))
    if not framed:
        cure = f" Cure: {clean(first.cure)}" if first.cure else ""
        return Text(f"First wrong: {first.step}. {clean(first.text)}{cure}")
    return Panel(
        body,
        title=f"The first thing wrong: {first.step}",
        title_align="left",
        border_style="red",
        padding=(0, 1),
    )
