"""What an administrator may want of a box. Pure shape checks, and the deed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from server.errors import OigError

from .box import Box
from .clock import moment
from .notices import Notice
from .plant import UNLIMITED_W
from .prague import DAY
from .schedule import TARIFF, ZONES

FLAGS = ("offline", "live_data", "full", "idle_rest")
BYPASS = ("off", "automatic", "manual")

SETUP: dict[str, tuple[int, int]] = {
    "mode": (0, 5),
    "app": (0, 7),
    "target": (20, 100),
    "floor": (0, 100),
    "to_grid": (0, 1),
    "feed_cap": (0, UNLIMITED_W),
    "formatting": (0, 1),
    "manual": (0, 1),
    "ssr0": (0, 1),
    "ssr1": (0, 1),
    "ssr2": (0, 1),
    "bat_hdo": (0, 1),
    "hdo": (0, 1),
    "wd": (0, 500_000),
    **{name: (0, DAY - 1) for window in (*TARIFF, *ZONES) for name in window},
}
"""Fields of `Setup` with their least and greatest value: a little more than a write may set."""

CLOCK_MAX = 120
"""Most minutes that a box's clock may be ahead or behind."""

TEXT_MAX = 400
"""Longest text of a notification, and of each line of its body, in characters."""

LINES_MAX = 20
"""Most lines of a notification's body."""


class WishRefused(OigError):
    """A box or a notification cannot be so; the text says why."""


def obey(box: Box, wishes: Mapping[str, Any], now: float, delay: float) -> None:
    """Do all that is wished of a box, or nothing.

    Args:
        box: The box.
        wishes: `offline`, `live_data`, `full`, `idle_rest`, `queen`, `bypass`, `clock_minutes`,
            `soc_percent`, `setup`.
        now: Unix time in seconds.
        delay: Seconds until a box that comes back has the writes that wait for it.

    Raises:
        WishRefused: A member is unknown, of a wrong type or out of bounds.
    """
    setup = _checked(wishes)
    box.advance(now)
    box.live_data = wishes.get("live_data", box.live_data)
    box.full = wishes.get("full", box.full)
    box.queen = wishes.get("queen", box.queen)
    box.set_up(now, dataclasses.replace(box.setup, **setup), wishes.get("soc_percent"))
    if "bypass" in wishes:
        box.switch_bypass(now, wishes["bypass"])
    if "clock_minutes" in wishes:
        box.set_clock(now, 60.0 * wishes["clock_minutes"])
    if "idle_rest" in wishes:
        box.leave_rest_idle(now, idle=wishes["idle_rest"])
    if wishes.get("offline") is True:
        box.lose_contact(now)
    if wishes.get("offline") is False:
        box.find_contact(now, delay)


def notice(box: str, members: Mapping[str, Any], now: float) -> Notice:
    """Make the notification that JSON members describe: `text`, and `level`, `body`, `at`.

    Raises:
        WishRefused: A member is unknown, of a wrong type or out of bounds.
        ClockRefused: `at` is no time.
    """
    if members.keys() - {"text", "level", "body", "at"}:
        raise WishRefused("a notification has box, text, level, body and at")
    level, body = members.get("level", 1), members.get("body", [])
    if isinstance(level, bool) or not isinstance(level, int) or not 1 <= level <= 5:
        raise WishRefused('"level" must be a whole number from 1 to 5')
    if not isinstance(body, list) or len(body) > LINES_MAX:
        raise WishRefused(f'"body" must be a list of at most {LINES_MAX} lines')
    text = members.get("text")
    for line in (text, *body):
        if not isinstance(line, str) or not 1 <= len(line) <= TEXT_MAX:
            raise WishRefused(f'"text" and lines must be texts of 1 to {TEXT_MAX} characters')
    assert isinstance(text, str)
    at = moment(members["at"]) if "at" in members else now
    return Notice(box, at, level, text, tuple(body))


def _checked(wishes: Mapping[str, Any]) -> dict[str, Any]:
    """Check all wishes, and give the wanted members of `Setup`."""
    known = (*FLAGS, "queen", "bypass", "clock_minutes", "soc_percent", "setup")
    if wishes.keys() - set(known):
        raise WishRefused(f"a box has only these members: box, {', '.join(known)}")
    for name in FLAGS:
        if not isinstance(wishes.get(name, True), bool):
            raise WishRefused(f'"{name}" must be true or false')
    if not isinstance(wishes.get("queen"), bool | None):
        raise WishRefused('"queen" must be true, false or null')
    if wishes.get("bypass", "off") not in BYPASS:
        raise WishRefused(f'"bypass" must be one of {", ".join(BYPASS)}')
    minutes = wishes.get("clock_minutes", 0)
    if isinstance(minutes, bool) or not isinstance(minutes, int) or abs(minutes) > CLOCK_MAX:
        raise WishRefused(
            f'"clock_minutes" must be a whole number from -{CLOCK_MAX} to {CLOCK_MAX}'
        )
    percent = wishes.get("soc_percent", 0)
    if isinstance(percent, bool) or not isinstance(percent, (int, float)):
        raise WishRefused('"soc_percent" must be a number')
    if not 0 <= percent <= 100:
        raise WishRefused('"soc_percent" must be from 0 to 100')
    return _setup(wishes.get("setup", {}))


def _setup(raw: object) -> dict[str, Any]:
    if not isinstance(raw, dict) or raw.keys() - SETUP.keys():
        raise WishRefused(f'"setup" is a JSON object with some of {", ".join(SETUP)}')
    setup: dict[str, Any] = {}
    for name, value in raw.items():
        low, high = SETUP[name]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise WishRefused(f'"{name}" must be a whole number from {low} to {high}')
        setup[name] = bool(value) if name in {"formatting", "manual"} else value
    return setup
