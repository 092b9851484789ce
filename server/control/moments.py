"""The last contact of a box, relative to the reading of a plan or an apply. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from ..readings import freshness
from ..readings.baseline import Baseline
from ..readings.box import Box


def moment(wall: float) -> datetime:
    """Return seconds since 1970 as a time."""
    return datetime.fromtimestamp(wall, UTC)


def mark(box: Box, baseline: Baseline, wall: float) -> None:
    """Note at a box how old its last upload may be."""
    baseline.of(box).mark(box, moment(wall))


def age_s(box: Box, wall: float) -> int | None:
    """Return the seconds since a box was last in contact; None when that is not known."""
    now = moment(wall)
    return freshness.age_s(box.last_contact("measured_at", now), now)
