"""The simulated portal's time: the wall clock, moved, quickened or stopped on demand."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from server.errors import OigError

from .prague import PRAGUE, local

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
"""Bounds of simulated time, in Unix seconds: no date in them needs care for calendars or digits."""

SPEED_MAX = 3600.0
"""Simulated seconds per second: beyond an hour each, the steps of physics would fall behind."""


class ClockRefused(OigError):
    """The clock cannot be set so; the text says why."""


class Clock:
    """Simulated time, a straight line over the wall clock.

    Args:
        wall: Unix time in seconds.

    Attributes:
        speed: Simulated seconds per second; 0 when stopped.
    """

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self.speed = 1.0
        self.reset()

    def now(self) -> float:
        """Give the simulated Unix time in seconds."""
        return self._simulated + (self._wall() - self._since) * self.speed

    def move(self, *, to: float | None = None, speed: float | None = None) -> None:
        """Set the time, the speed or both; what is not given goes on as it is.

        Args:
            to: Unix time in seconds.
            speed: Simulated seconds per second; 0 stops the clock.

        Raises:
            ClockRefused: Out of bounds.
        """
        to = self.now() if to is None else to
        speed = self.speed if speed is None else speed
        if not EARLIEST <= to < LATEST:
            raise ClockRefused("the simulated time must lie in the years 2000 to 2099")
        if not 0 <= speed <= SPEED_MAX:
            raise ClockRefused(f'"speed" must be a number from 0 to {SPEED_MAX:.0f}')
        self._simulated, self._since, self.speed = to, self._wall(), speed

    def reset(self) -> None:
        """Return to the wall clock."""
        self._since = self._simulated = self._wall()
        self.speed = 1.0

    def obey(self, raw: object) -> None:
        """Set the clock as a JSON object says: `offset` or `at`, and `speed`.

        Raises:
            ClockRefused: A member is unknown, of a wrong type or out of bounds.
        """
        if not isinstance(raw, dict) or not raw or raw.keys() - {"offset", "at", "speed"}:
            raise ClockRefused('a clock is {"offset": seconds} or {"at": time}, and {"speed": n}')
        if {"offset", "at"} <= raw.keys():
            raise ClockRefused('"offset" and "at" say the same; send one of them')
        to = moment(raw["at"]) if "at" in raw else None
        if "offset" in raw:
            to = self._wall() + _number(raw["offset"], "offset")
        self.move(to=to, speed=_number(raw["speed"], "speed") if "speed" in raw else None)

    def as_json(self) -> dict[str, object]:
        """Describe the clock."""
        now = self.now()
        return {
            "now": local(now).isoformat(timespec="seconds"),
            "unix": now,
            "offset": now - self._wall(),
            "speed": self.speed,
        }


def _number(raw: object, name: str) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not abs(raw) <= LATEST:
        raise ClockRefused(f'"{name}" must be a number')
    return float(raw)


def moment(raw: object) -> float:
    """Read a moment that came as JSON: a time, Prague's unless it names another zone.

    Raises:
        ClockRefused: It is none.
    """
    try:
        at = datetime.fromisoformat(raw) if isinstance(raw, str) else None
    except ValueError:
        at = None
    if at is None:
        raise ClockRefused(
            '"at" must be a time such as 2026-06-14T12:40:00, Prague\'s without zone'
        )
    try:
        return (at if at.tzinfo else at.replace(tzinfo=PRAGUE)).timestamp()
    except OverflowError:
        raise ClockRefused('"at" is out of bounds') from None
