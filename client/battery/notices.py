"""Notifications as people read them. Pure: from the result of get_notifications."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from ..local_time import parsed, written
from ..readable import clean, one_line
from .words import UNKNOWN, part, text, time

COLOURS = {"warning": "yellow", "error": "red", "critical": "bold red"}
KINDS = ("automatic", "manual")
TIME = 25
"""Columns of a time with its offset."""


def page(values: Mapping[str, Any], *, pages: bool = True, framed: bool) -> RenderableType:
    """Show notifications, newest first.

    Args:
        values: The structured result of get_notifications.
        pages: The server can be asked for older ones.
        framed: Leave room between them, for a screen.
    """
    found = values.get("notifications") or ()
    parts: list[RenderableType] = []
    for each in found:
        parts += _one(each, framed=framed)
    if not found:
        parts.append(Text("There are no notifications."))
    more = values.get("more")
    if isinstance(more, int) and more > 0:
        last = found[-1].get("id") if found else None
        how = f"--before {text(last)}" if pages and last is not None else "--limit"
        parts.append(Text(f"{more} older ones are not shown; see {how}.", style="dim"))
    for each in values.get("bypasses") or ():
        parts += _bypass(each)
    parts += [Text(f"! {one_line(one)}", style="yellow") for one in values.get("warnings") or ()]
    return Group(*parts)


def _one(each: Mapping[str, Any], *, framed: bool) -> Iterator[RenderableType]:
    level = text(each.get("level_name"))
    head = Text(f"{time(each.get('at')):<{TIME}}", style="bold")
    head.append("  ")
    head.append(f"{level:<8}", style=COLOURS.get(level, ""))
    head.append(f"  box {text(each.get('box_id'))}  {text(_words(each, 'title'))}", style="")
    body = _words(each, "text")
    if not framed:
        more = "" if body is None else " | " + " ".join(clean(body).split())
        yield Text(head.plain + more)
        return
    yield head
    if body is not None:
        yield Padding(Text(clean(body), style="dim"), (0, 0, 0, 4))


def _words(each: Mapping[str, Any], name: str) -> object:
    """Return words of the portal; servers before 2026-12 name them `title` and `text`."""
    return each.get(f"portal_{name}", each.get(name))


def bypass_reasons(values: Mapping[str, Any]) -> Mapping[str, list[str]]:
    """Return why a bypass is not known: each reason with the kinds of bypass that it applies to."""
    reasons: dict[str, list[str]] = {}
    for kind in KINDS:
        if (why := part(values, "bypass", kind, "why")) is not None:
            reasons.setdefault(one_line(why), []).append(kind)
    return reasons


def _bypass(each: Mapping[str, Any]) -> Iterator[Text]:
    words: list[str] = []
    for kind in KINDS:
        state = text(part(each, "bypass", kind, "state"))
        since = parsed(part(each, "bypass", kind, "since"))
        words.append(f"{kind} {state}" + (f" since {written(since)}" if since else ""))
    yield Text(f"Bypass of box {text(each.get('box_id'))}: {', '.join(words)}")
    for why, kinds in bypass_reasons(each).items():
        yield Text(f"{UNKNOWN} {' and '.join(kinds)}: {why}", style="dim")
