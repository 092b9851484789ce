"""What is wrong with a box, for people and for scripts. Pure: from the result of get_status."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ..exit_codes import ExitCode
from .past import warnings
from .words import entries, percent, text, time, watts

FINE, AS_FAR_AS_KNOWN = "fine", "fine as far as known"

COLOURS = {FINE: "green", AS_FAR_AS_KNOWN: "yellow"}
"""Of verdicts; all others are red."""

POWERS = {"solar": "solar_w", "battery": "battery_w", "grid": "grid_w", "load": "backed_up_w"}
"""What is shown of values that are not of now: their names, and their fields."""


def exit_code(values: Mapping[str, Any]) -> ExitCode:
    """Return the exit code for a verdict."""
    known = {FINE: ExitCode.OK, AS_FAR_AS_KNOWN: ExitCode.IN_DOUBT}
    return known.get(text(values.get("verdict")), ExitCode.NOT_FINE)


def page(values: Mapping[str, Any], *, framed: bool) -> RenderableType:  # noqa: ARG001 - as all views
    """Show the verdict in one line, its cure in the next, and the rest below.

    Args:
        values: The structured result of get_status.
        framed: Draw for a screen.
    """
    box, verdict = values.get("box_id"), text(values["verdict"])
    line = Text("" if box is None else f"Box {text(box)}: ")
    line.append(verdict, style=COLOURS.get(verdict, "bold red"))
    since = values.get("since")
    line.append(f"{'' if since is None else f' since {time(since)}'}. {text(values['means'])}")
    return Group(
        line,
        Text(f"To do: {text(values['to_do'])}"),
        *(Text(f"Also: {text(one)}") for one in entries(values, "further")),
        *_critical(values),
        *_last_known(values),
        *(Text(f"! {one}", style="yellow") for one in warnings(values)),
    )


def _last_known(values: Mapping[str, Any]) -> Iterator[Text]:
    for one in entries(values, "last_known"):
        powers = ", ".join(f"{name} {watts(one.get(field))}" for name, field in POWERS.items())
        yield Text(
            # How long ago that was, a warning says.
            f"Not of now, but of {time(one.get('measured_at'))}: box "
            f"{text(one.get('box_id'))} {percent(one.get('state_of_charge_percent'))}, {powers}",
            style="dim",
        )


def _critical(values: Mapping[str, Any]) -> Iterator[Text]:
    for one in entries(values, "critical"):
        yield Text(
            f"Critical, {time(one.get('at'))}, by the portal's words: "
            f"{text(one.get('portal_title'))}",
            style="red",
        )
