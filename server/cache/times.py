"""How long requests took: totals and percentiles."""

from __future__ import annotations

import math
from array import array
from typing import Final

SAMPLES: Final = 1024
"""Latest times kept: enough for a 99th percentile, sorted in a moment."""


class Times:
    """How long the latest requests of one verb took."""

    __slots__ = ("_ring", "total")

    def __init__(self) -> None:
        self.total = 0
        self._ring = array("d", bytes(8 * SAMPLES))

    def add(self, seconds: float) -> None:
        """Take note of one request."""
        self._ring[self.total % SAMPLES] = seconds
        self.total += 1

    def summary(self) -> dict[str, object]:
        """Return total, median and 99th percentile (microseconds; None before the first)."""
        latest = sorted(self._ring[: min(self.total, SAMPLES)])
        return {
            "total": self.total,
            "p50_us": _percentile(latest, 0.50),
            "p99_us": _percentile(latest, 0.99),
        }


def _percentile(ordered: list[float], part: float) -> float | None:
    if not ordered:
        return None
    return ordered[max(math.ceil(part * len(ordered)) - 1, 0)] * 1e6
