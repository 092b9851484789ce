"""What the portal reports to users about their boxes: the list of notifications, as it writes it.

Commands in JSON, HTML inside, Czech texts. The structure follows what other clients of the portal
read; the texts are invented in the manner of the vendor's.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from dataclasses import dataclass

from .grain import grain, seed_of
from .prague import local

FEED = 100
"""Most notifications in the list; how many the portal stores is not known."""

EMPTY = '<div class="folder-list">  </div>'
"""The list without a notification, and the answer to a session that has ended (observed)."""

INFO, WARNING, NOTICE = 1, 2, 3
"""Levels, of 1 to 5."""

MODES = ("Home 1", "Home 2", "Home 3", "Home UPS", "Home 5", "Home 6")


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification.

    Attributes:
        box: Id of the box it is about.
        at: Unix time in seconds; the list shows its minute.
        level: 1 to 5.
        text: One line.
        body: Further lines.
    """

    box: str
    at: float
    level: int
    text: str
    body: tuple[str, ...] = ()


def bypass(box: str, at: float, *, automatic: bool, on: bool) -> Notice:
    """Tell that a bypass was switched."""
    kind, state = "Automatický" if automatic else "Ruční", "zapnut" if on else "vypnut"
    reason = "Přetížení zálohované části." if automatic else "Přepnuto na boxu."
    return Notice(box, at, WARNING if on else INFO, f"{kind} bypass - {state}", (reason,))


def charged(box: str, at: float, percent: int) -> Notice:
    """Tell that the battery has reached so many percent."""
    return Notice(box, at, INFO, f"Baterie nabita na {percent} %", (f"Stav baterie: {percent} %",))


def changed(box: str, at: float, lines: Iterable[str]) -> Notice:
    """Tell that settings were changed."""
    return Notice(box, at, NOTICE, "Změna nastavení", tuple(lines))


def mode_changed(old: int, new: int) -> str:
    """Say that the mode was changed."""
    return f"Režim: {MODES[old]} -> {MODES[new]}"


def feed(notices: Iterable[Notice], *, escaped: bool = False) -> str:
    """Write the answer for the list of notifications.

    Args:
        notices: Of all boxes of the account.
        escaped: Whether the HTML is escaped once more, as some answers are.
    """
    newest = sorted(notices, key=lambda notice: notice.at)[-FEED:]
    # The portal's order is not reliable: neighbours change places, always in the same way.
    mixed = sorted(newest, key=lambda notice: -notice.at - 7200 * grain(seed_of(notice.text), 1))
    folders = "".join(_folder(notice) for notice in mixed)
    page = (
        f'<div id="ctrl-notifs" x:controller:id="2"><div class="folder-list">{folders}</div></div>'
        if folders
        else EMPTY
    )
    return commands([[11, "ctrl-notifs", html.escape(page) if escaped else page, None]])


def commands(value: object) -> str:
    """Write JSON as PHP does: without blanks, slashes and everything beyond ASCII escaped."""
    return json.dumps(value, separators=(",", ":")).replace("/", r"\/")


def _folder(notice: Notice) -> str:
    at = local(notice.at)
    date = f"{at.day}. {at.month}. {at.year} | {at.hour}:{at.minute:02}"
    body = "<br />".join(html.escape(line) for line in notice.body)
    return (
        '<div class="folder"><div class="folder-head"><div class="row-1">'
        f'<div class="point level-{notice.level}"></div><div class="date">{date}</div></div>'
        f'<div class="row-2"><strong>Box #{html.escape(notice.box)}</strong>'
        f" - {html.escape(notice.text)}</div></div>"
        f'<div class="body"><p>{body}</p></div></div>'
    )
