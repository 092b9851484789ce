"""What a household draws by the time of day: a base, a rhythm, a fridge, cooking, washing. Pure.

Invented: the portal says nothing about appliances, only the sums per phase.
"""

from __future__ import annotations

import functools
import math
from datetime import date
from typing import NamedTuple

from .grain import grain, wave
from .prague import HOUR, day_of, second_of_day

MINUTE = 60
FLICKER = 300.0
"""Seconds in which the small loads of a house change."""


class Demand(NamedTuple):
    """Watts per phase L1, L2, L3.

    Attributes:
        backed: Behind the box, supplied in an outage as well.
        other: The section without backup, beside the box.
    """

    backed: tuple[float, float, float]
    other: tuple[float, float, float]


class Use(NamedTuple):
    """One use of an appliance: seconds of the day, watts, phase 0 to 2, whether it is backed up."""

    start: float
    end: float
    watts: float
    phase: int
    backed: bool


def demand(at: float, seed: int) -> Demand:
    """Give the demand of the household of this seed at a Unix time."""
    clock = second_of_day(at)
    awake = _bump(clock, 7.0, 1.2) * 0.5 + _bump(clock, 12.5, 2.5) * 0.3 + _bump(clock, 19.0, 2.2)
    flicker = wave(seed + 3, at, FLICKER)
    backed = [95.0 + 160.0 * awake, 70.0 + 90.0 * awake + 40.0 * flicker, 60.0 + 60.0 * flicker]
    if (at + seed % 2400) % 2400 < 900:
        backed[0] += 85.0  # the fridge: a quarter of an hour in every forty minutes
    other = [35.0 + 15.0 * flicker, 20.0, 25.0 + 120.0 * awake * flicker]
    for use in _uses(seed, day_of(at)):
        if use.start <= clock < use.end:
            (backed if use.backed else other)[use.phase] += use.watts
    return Demand((backed[0], backed[1], backed[2]), (other[0], other[1], other[2]))


def _bump(clock: float, hour: float, width: float) -> float:
    """Rise to 1 at an hour of the day, and fall again within some hours."""
    return math.exp(-(((clock / HOUR - hour) / width) ** 2))


@functools.lru_cache(maxsize=512)
def _uses(seed: int, day: date) -> tuple[Use, ...]:
    """Draw what is switched on during one day."""
    place = day.toordinal() * 16

    def use(number: int, hour: float, spread: float, minutes: float, watts: float) -> Use:
        chance = grain(seed + 4, place + number)
        start = (hour + spread * (chance - 0.5)) * HOUR
        length = minutes * MINUTE * (0.7 + 0.6 * grain(seed + 5, place + number))
        # Kettle and hob stand on L3, the machines on L2; the oven has no backup.
        return Use(start, start + length, watts, (2, 1, 2, 1, 0)[number % 5], number % 5 != 4)

    uses = [
        use(0, 6.8, 1.0, 6, 1900.0),
        use(2, 18.0, 1.5, 40, 1500.0),
        use(5, 16.0, 2.0, 5, 1900.0),
    ]
    if grain(seed + 6, place) < 0.6:
        uses.append(use(1, 10.0, 4.0, 70, 750.0))
    if grain(seed + 6, place + 1) < 0.8:
        uses.append(use(3, 20.2, 1.0, 85, 900.0))
    if grain(seed + 6, place + 2) < 0.5:
        uses.append(use(4, 12.0, 1.5, 50, 2100.0))
    return tuple(uses)
