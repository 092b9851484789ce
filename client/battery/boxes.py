"""The boxes of an account as a table. Pure: from the result of list_boxes to a renderable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .fitting import Fitting
from .past import warnings
from .words import UNKNOWN, entries, number, part, percent, text

TITLES = ("Box", "Model", "Panels", "Capacity", "Charge", "Online")


def page(values: Mapping[str, Any], *, framed: bool) -> RenderableType:
    """Show one box a line: its size, its charge, and whether it reports.

    Args:
        values: The structured result of list_boxes; older servers send no sizes.
        framed: Draw a frame.
    """
    rows = [_cells(one) for one in entries(values, "boxes") if isinstance(one, Mapping)]
    warned = [Text(f"! {one}", style="yellow") for one in warnings(values)]
    if not rows:
        return Group(Text("There is no box."), *warned)
    table = Table(
        box=box.ROUNDED if framed else None,
        header_style="bold",
        border_style="dim",
        pad_edge=framed,
        padding=(0, 1) if framed else (0, 2, 0, 0),
    )
    for title in TITLES:
        table.add_column(
            title,
            justify="right" if title in {"Panels", "Capacity", "Charge"} else "left",
            no_wrap=True,
        )
    lines: list[RenderableType] = []
    for cells in rows:
        table.add_row(*cells)
        lines += [Text(f"{title:<9} {cell}") for title, cell in zip(TITLES, cells, strict=True)]
    return Group(Fitting(table, Group(*lines)), *warned)


def _cells(one: Mapping[str, Any]) -> list[str]:
    online = {True: "yes", False: "no"}.get(one.get("online"), UNKNOWN)  # type: ignore[arg-type]
    return [
        text(one.get("id")),
        text(one.get("model")),
        _thousands(part(one, "installed_power_w"), "kWp", 1),
        _thousands(part(one, "capacity_wh"), "kWh", 2),
        percent(part(one, "state_of_charge_percent")),
        online,
    ]


def _thousands(value: object, unit: str, places: int) -> str:
    found = number(value)
    return UNKNOWN if found is None else f"{found / 1000:.{places}f} {unit}"
