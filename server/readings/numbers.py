"""Numbers as the portal sends them, and the bounds outside which they cannot be true."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from .unknown import BLANK, IMPOSSIBLE, NOT_A_NUMBER, NULL

DECIMAL = re.compile(r"[+-]?(\d{1,15}(\.\d{0,15})?|\.\d{1,15})([eE][+-]?\d{1,3})?", re.ASCII)
"""A number in a string. No `1_000`, no `nan`, no comma: it could mean a thousand or a fraction."""


@dataclass(frozen=True, slots=True)
class Span:
    """The values that a reading can have."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Say whether a value lies in it."""
        return self.low <= value <= self.high


HOME_W = 30_000.0
"""Power that no home draws or feeds in: a main breaker of three times 40 A ends below, and the
inverters have about 10 kW."""

POWER_W = Span(-HOME_W, HOME_W)

SUPPLY_W = Span(-100, HOME_W)
"""Power that flows one way only; meters read a few watts below zero at rest."""

OVER_PEAK = 1.5
"""What panels give at most, of their installed peak: cold ones at the edge of a cloud give more
than the peak."""

SMALLEST_PEAK_W = 1_000.0
"""Installed peaks below are not believed: more likely they are of another unit."""

VOLTAGE_V = Span(0, 1_000)  # strings of panels reach several hundred
CURRENT_A = Span(-1_000, 1_000)
FREQUENCY_HZ = Span(0, 100)
PERCENT = Span(0, 100)
TEMPERATURE_C = Span(-60, 150)
CAPACITY_WH = Span(1, 1_000_000)  # 0 is how an unset capacity looks
PEAK_W = Span(1, 1_000_000)
DAY_WH = Span(0, 25 * HOME_W)  # the longest day has 25 hours
MONTH_KWH = Span(0, (31 * 24 + 1) * HOME_W / 1000)
YEAR_KWH = Span(0, 366 * 24 * HOME_W / 1000)
DAY_S = Span(0, 86_400)
TARIFF_WH = Span(0, 500_000)  # the portal's own range of what a boiler may get
CODE = Span(0, 1_000_000)
FEED_LIMIT_W = Span(0, 1_000_000)


def panels_w(peak_w: float | None) -> Span:
    """Give the power that panels can have.

    Args:
        peak_w: Their installed peak in W, where it is known.
    """
    if peak_w is None or peak_w < SMALLEST_PEAK_W:
        return SUPPLY_W
    return Span(SUPPLY_W.low, min(OVER_PEAK * peak_w, SUPPLY_W.high))


def number(raw: object, span: Span) -> float | str:
    """Read a number: give it, or say in words why it is not one."""
    if raw is None:
        return NULL
    if isinstance(raw, str):
        text = raw.strip()
        if not text:
            return BLANK
        if not DECIMAL.fullmatch(text):
            return NOT_A_NUMBER
        raw = float(text)
    # JSON's true is an int to Python.
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return NOT_A_NUMBER
    # Compared before converted: an int may be too large for a float.
    if not span.low <= raw <= span.high or not math.isfinite(raw):
        return IMPOSSIBLE
    return float(raw) + 0.0  # no negative zero
