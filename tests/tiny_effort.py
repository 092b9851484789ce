"""As little of each measurement as shows that it works."""

from __future__ import annotations

from benchmarks.effort import Effort

TINY = Effort(
    rounds=1,
    search=1,
    finals=1,
    accounts=4,
    pairs=1,
    turns=2,
    starts=1,
    requests=20,
    seconds=10.0,
    lookups=64,
    few=10,
    many=20,
    misses=12,
    fills=1,
)
