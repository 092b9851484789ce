"""All drills, in the order in which they are done."""

from __future__ import annotations

from . import daemon_losses, disks, fuzzed, power_cuts, sync_order, worker_losses
from .drill import Drill

DRILLS: tuple[Drill, ...] = (
    *daemon_losses.DRILLS,
    *worker_losses.DRILLS,
    *power_cuts.DRILLS,
    *sync_order.DRILLS,
    *disks.DRILLS,
    *fuzzed.DRILLS,
)
