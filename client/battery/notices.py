"""Notifications as people read them. Pure: from the result of get_notifications."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import tzinfo
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from ..readable import clean, one_line
from .words import moment, part, text

COLOURS = {"warning": "yellow", "error": "red", "critical": "bold red"}


def page(values: Mapping[str, Any], *, zone: tzinfo | None, framed: bool) -> RenderableType:
    """Show notifications, newest first.

    Args:
        values: The structured result of get_notifications.
        zone: The person's zone.
        framed: Leave room between them, for a screen.
    """
    found = values.get("notifications") or ()
    parts: list[RenderableType] = []
    for each in found:
        parts += _one(each, zone, framed=framed)
    if not found:
        parts.append(Text("There are no notifications."))
    more = values.get("more")
    if isinstance(more, int) and more > 0:
        parts.append(Text(f"{more} older ones are not shown; see --limit.", style="dim"))
    parts += [Text(_bypass(each, zone)) for each in values.get("bypasses") or ()]
    parts += [Text(f"! {one_line(one)}", style="yellow") for one in values.get("warnings") or ()]
    return Group(*parts)


def _one(each: Mapping[str, Any], zone: tzinfo | None, *, framed: bool) -> Iterator[RenderableType]:
    when = moment(each.get("at"), zone)
    level = text(each.get("level_name"))
    head = Text(f"{when:%Y-%m-%d %H:%M}" if when else f"{text(None):<16}", style="bold")
    head.append("  ")
    head.append(f"{level:<8}", style=COLOURS.get(level, ""))
    head.append(f"  box {text(each.get('box_id'))}  {text(each.get('title'))}", style="")
    body = each.get("text")
    if not framed:
        told = "" if body is None else " | " + " ".join(clean(body).split())
        yield Text(head.plain + told)
        return
    yield head
    if body is not None:
        yield Padding(Text(clean(body), style="dim"), (0, 0, 0, 4))


def _bypass(each: Mapping[str, Any], zone: tzinfo | None) -> str:
    words = []
    for kind in ("automatic", "manual"):
        state = text(part(each, "bypass", kind, "state"))
        since = moment(part(each, "bypass", kind, "since"), zone)
        words.append(f"{kind} {state}" + (f" since {since:%Y-%m-%d %H:%M}" if since else ""))
    return f"Bypass of box {text(each.get('box_id'))}: {', '.join(words)}"
