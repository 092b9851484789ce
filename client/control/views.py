"""Plans and changes as people read them. Pure: from the tools' results to renderables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..battery.words import UNKNOWN, number, text, time
from ..local_time import parsed, written
from ..readable import clean, one_line
from ..views import duration

COLOURS = {"applied": "green", "pending": "yellow", "failed": "red", "unclear": "bold red"}


def plan_page(
    plan: Mapping[str, Any], *, now: datetime, framed: bool, confirming: bool = False
) -> RenderableType:
    """Show a plan.

    Args:
        plan: The structured result of plan_change.
        now: The present time, with a zone.
        framed: Draw a frame.
        confirming: It is about to be applied, so that what comes next says what was changed.
    """
    end = [] if confirming else [Text("Nothing was changed yet.")]
    body = Group(*_difference(plan), Text(), _expiry(plan, now), *end)
    warned = bool(plan.get("warnings"))
    return _framed(body, f"Plan for box {text(plan.get('box_id'))}", warned, framed=framed)


def report_page(report: Mapping[str, Any], *, framed: bool) -> RenderableType:
    """Show one change and how it stands; parameters as above, the result of get_change."""
    status = text(report.get("status"))
    seconds = number(report.get("seconds"))
    head = Text()
    head.append(status.upper(), style=COLOURS.get(status, ""))
    if seconds is not None:
        head.append(f", seen {seconds:.0f} s after it was sent")
    facts = {
        "Requested": time(report.get("requested_at")),
        "Shown": _shown(report),
        "Portal": report.get("portal"),
        "Client": report.get("client"),
        "Takes back": report.get("undoes"),
    }
    grid = _grid()
    for name, value in facts.items():
        if value is not None:
            grid.add_row(Text(name, style="bold"), Text(one_line(value)))
    parts: list[RenderableType] = [head, Text(), *_difference(report), Text(), grid]
    if report.get("message") is not None:
        parts += [Text(), Text(clean(report["message"]))]
    title = f"Change {text(report.get('change_id'))} of box {text(report.get('box_id'))}"
    return _framed(Group(*parts), title, status != "applied", framed=framed)


def changes_table(values: Mapping[str, Any], *, framed: bool) -> RenderableType:
    """List changes, latest first; parameters as above, the result of list_changes."""
    found = values.get("changes") or ()
    if not found:
        return Text("Nothing was changed through this server.")
    table = Table(
        box=box.ROUNDED if framed else None,
        header_style="bold",
        border_style="dim",
        pad_edge=framed,
        padding=(0, 1) if framed else (0, 2, 0, 0),
    )
    table.add_column("Requested", no_wrap=True)
    table.add_column("Status", no_wrap=True)
    table.add_column("Box", overflow="fold")
    table.add_column("Change", overflow="fold", ratio=1)
    for each in found:
        status = text(each.get("status"))
        name = f"id {text(each.get('change_id'))}"
        shown = _shown(each)
        end = [] if shown is None else [f"shown {shown}"]
        end += [] if each.get("can_be_undone") is True else ["no way back"]
        change = Group(*_difference(each), Text("\n".join([name, *end]), style="dim"))
        one_line = Text(
            f"{text(each.get('before'))} -> {text(each.get('after'))}, {', '.join([name, *end])}"
        )
        table.add_row(
            time(each.get("requested_at")),
            Text(status, style=COLOURS.get(status, "")),
            text(each.get("box_id")),
            change if framed else one_line,
        )
    more = number(values.get("more")) or 0
    rest = [Text(f"{more:.0f} older ones are not shown; see --limit.", style="dim")] if more else []
    return Group(table, *rest)


def _shown(report: Mapping[str, Any]) -> str | None:
    # An applied change does not say how the box has been set since.
    return None if report.get("shown_at") is None else time(report["shown_at"])


def _difference(values: Mapping[str, Any]) -> Iterator[RenderableType]:
    grid = _grid(1)
    for mark, name, colour in (("-", "before", "red"), ("+", "after", "green")):
        state = UNKNOWN if values.get(name) is None else clean(values[name])
        for line in state.splitlines() or [UNKNOWN]:
            grid.add_row(Text(mark, style=colour), Text(line, style=colour))
    yield grid
    if values.get("explanation") is not None:
        yield Text()
        yield Text(clean(values["explanation"]))
    warnings = values.get("warnings") or ()
    if warnings:
        yield Text()
        yield Text("WARNING" if len(warnings) == 1 else "WARNINGS", style="bold yellow")
        listed = _grid(1)
        for warning in warnings:
            listed.add_row(Text("!", style="bold yellow"), Text(one_line(warning), style="yellow"))
        yield listed


def _expiry(plan: Mapping[str, Any], now: datetime) -> Text:
    when = parsed(plan.get("expires_at"))
    if when is None:
        return Text("It is not known until when it can be applied.")
    left = duration((when - now).total_seconds())
    return Text(f"Can be applied until {written(when)} ({left}).")


def _grid(gap: int = 2) -> Table:
    grid = Table.grid(padding=(0, gap))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _framed(body: RenderableType, title: str, doubtful: bool, *, framed: bool) -> RenderableType:
    if not framed:
        return Group(Text(title), body)
    colour = "yellow" if doubtful else "green"
    return Panel(body, title=Text(title), title_align="left", border_style=colour, padding=(0, 1))
