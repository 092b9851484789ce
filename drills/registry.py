"""All drills, in the order in which they are done."""

from __future__ import annotations

from . import (
    clocks,
    crowd,
    daemon_losses,
    descriptors,
    disks,
    fuzz_bodies,
    fuzzed,
    garbage,
    guesses,
    killed_applies,
    near_copies,
    planted_secrets,
    portal_faults,
    power_cuts,
    random_operations,
    shared_secrets,
    shared_troubles,
    sync_order,
    worker_losses,
)
from .drill import Drill

DRILLS: tuple[Drill, ...] = (
    *daemon_losses.DRILLS,
    *near_copies.DRILLS,
    *worker_losses.DRILLS,
    *power_cuts.DRILLS,
    *sync_order.DRILLS,
    *disks.DRILLS,
    *garbage.DRILLS,
    *descriptors.DRILLS,
    *clocks.DRILLS,
    *fuzzed.DRILLS,
    *fuzz_bodies.DRILLS,
    *portal_faults.DRILLS,
    *killed_applies.DRILLS,
    *random_operations.DRILLS,
    *crowd.DRILLS,
    *guesses.DRILLS,
    *planted_secrets.DRILLS,
    *shared_secrets.DRILLS,
    *shared_troubles.DRILLS,
)
