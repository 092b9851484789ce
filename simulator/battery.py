"""What a battery can take and give, and what is left in it afterwards. Pure."""

from __future__ import annotations

from .prague import HOUR

EFFICIENCY = 0.96
"""Part of the energy that survives each way, in and out: invented, common for such batteries."""

TAPER_FROM = 0.93
"""Full from here on, a battery is charged ever more gently."""

TAPERED = 0.15
"""Part of the full power that is left at 100 %."""


def takes(stored: float, ceiling: float, capacity: float, power: float, seconds: float) -> float:
    """Give the most the battery can be charged with over the next seconds.

    Args:
        stored: Energy in it, Wh.
        ceiling: Energy at which to stop, Wh.
        capacity: Its capacity, Wh.
        power: Its limit, W.
        seconds: For how long the power will last.
    """
    full = stored / capacity
    if full > TAPER_FROM:
        power *= 1.0 - (1.0 - TAPERED) * min((full - TAPER_FROM) / (1.0 - TAPER_FROM), 1.0)
    room = max(ceiling - stored, 0.0) / EFFICIENCY * HOUR / seconds
    return min(power, room)


def gives(stored: float, floor: float, power: float, seconds: float) -> float:
    """Give the most the battery can be discharged with over the next seconds, in W."""
    return min(power, max(stored - floor, 0.0) * EFFICIENCY * HOUR / seconds)


def after(stored: float, watts: float, seconds: float) -> float:
    """Give the energy in the battery, in Wh, after so many seconds of so much power (+ charges)."""
    energy = watts * seconds / HOUR
    return stored + (energy * EFFICIENCY if watts >= 0 else energy / EFFICIENCY)
