"""All drills, in the order in which they are done."""

from __future__ import annotations

from . import daemon_losses, fuzzed
from .drill import Drill

DRILLS: tuple[Drill, ...] = (
    *daemon_losses.DRILLS,
    *fuzzed.DRILLS,
)
