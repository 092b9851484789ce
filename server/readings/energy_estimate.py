"""How much energy a power makes over time, and how much of the time that leaves out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from .timeline import HOUR, NOTHING, Timeline


@dataclass(frozen=True, slots=True)
class EnergyEstimate:
    """The energy of a power.

    Each value is taken to hold until the next, for an hour at most, and the last for the usual
    time. As far as that is so, either energy lacks no more than the greatest power makes in the
    time left out.

    Attributes:
        positive_wh: Of all positive values, Wh.
        negative_wh: Of all negative values, as a positive number of Wh.
        left_out_s: Seconds of the days asked for that no value counts for.
    """

    positive_wh: float
    negative_wh: float
    left_out_s: int


def energy_estimate(powers: Sequence[float | None], when: Timeline) -> EnergyEstimate | None:
    """Add up powers in W, one per item; None when nothing is known, or the times do not allow it.

    An item that is None counts nothing, and its time is left out.
    """
    known = [
        (power, hold) for power, hold in zip(powers, when.holds, strict=True) if power is not None
    ]
    if not when.summable or not known:
        return None
    counted = sum((hold for _, hold in known), NOTHING)
    return EnergyEstimate(
        positive_wh=_wh((max(power, 0.0), hold) for power, hold in known),
        negative_wh=_wh((max(-power, 0.0), hold) for power, hold in known),
        left_out_s=math.ceil(max(when.asked - counted, NOTHING).total_seconds()),
    )


def _wh(powers: Iterable[tuple[float, timedelta]]) -> float:
    return round(sum(power * (hold / HOUR) for power, hold in powers), 1)
