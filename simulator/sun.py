"""Where the sun stands over central Bohemia, and what a panel makes of it. Pure.

Invented, but shaped like the real thing: a winter noon gives about a third of a summer one. Good
to a quarter of an hour, because the equation of time is left out.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Self

from .grain import wave
from .prague import DAY

LATITUDE, LONGITUDE = math.radians(50.08), 14.42
SIN_LATITUDE, COS_LATITUDE = math.sin(LATITUDE), math.cos(LATITUDE)

TILT_OF_THE_EARTH = math.radians(23.44)
YEAR = 365.2425
SOLSTICE = 172.0
"""Days from New Year to the longest day."""

CLOUD_HOURS, WEATHER_DAYS = 1800.0, 1.4 * DAY
"""Seconds in which a cloud passes, and in which the weather changes."""


class Direction(NamedTuple):
    """A direction of length 1: towards the sun, or what a panel faces."""

    east: float
    north: float
    up: float

    @classmethod
    def of_panel(cls, azimuth: float, tilt: float) -> Self:
        """Make the direction of a panel.

        Args:
            azimuth: Degrees from north over east; 180 is south.
            tilt: Degrees from lying flat.
        """
        turn, lean = math.radians(azimuth), math.radians(tilt)
        return cls(math.sin(lean) * math.sin(turn), math.sin(lean) * math.cos(turn), math.cos(lean))


def season(at: float) -> float:
    """Give 1 on the longest day, -1 on the shortest, and what lies between."""
    return math.cos(2 * math.pi * (at / DAY / YEAR % 1.0 - SOLSTICE / YEAR))


def sun(at: float) -> Direction:
    """Say where the sun stands at a Unix time; `up` is below 0 at night."""
    height = TILT_OF_THE_EARTH * season(at)
    turn = 2 * math.pi * (at % DAY / DAY + LONGITUDE / 360.0 - 0.5)
    sin_height, cos_height, cos_turn = math.sin(height), math.cos(height), math.cos(turn)
    return Direction(
        -cos_height * math.sin(turn),
        sin_height * COS_LATITUDE - cos_height * SIN_LATITUDE * cos_turn,
        sin_height * SIN_LATITUDE + cos_height * COS_LATITUDE * cos_turn,
    )


def clearness(at: float, seed: int) -> float:
    """Give the part of a clear sky's light that the clouds of this seed leave, 0.18 to 1."""
    weather = 1.5 * wave(seed + 1, at, WEATHER_DAYS) - 0.45
    cover = weather + 0.6 * (wave(seed + 2, at, CLOUD_HOURS) - 0.5)
    return 1.0 - 0.82 * min(max(cover, 0.0), 1.0)


def yields(at: float, panels: tuple[Direction, ...], seed: int) -> list[float]:
    """Give for each panel the power it makes at a Unix time, as part of its peak power."""
    light = sun(at)
    if light.up <= 0:
        return [0.0] * len(panels)
    through = clearness(at, seed)
    # The lower the sun, the longer its way through the air; clouds turn beams into diffuse light.
    beam = 1.05 * 0.74 ** ((1.0 / (light.up + 0.05)) ** 0.68) * max(through - 0.3, 0.0) / 0.7
    diffuse = 0.16 * math.sqrt(light.up) * through
    return [
        diffuse
        + beam * max(light.east * face.east + light.north * face.north + light.up * face.up, 0.0)
        for face in panels
    ]
