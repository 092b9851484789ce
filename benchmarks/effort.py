"""How much is done for one run of the benchmarks. Everything is bounded in number and time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """The size of all measurements.

    Args:
        pairs: Repetitions of a comparison.
        turns: How often contestants take turns within one repetition.
        starts: Repetitions of what starts processes.
        requests: HTTP requests of one turn that count.
        warm_up: HTTP requests before the first turn.
        seconds: Longest time of one turn, whatever the numbers say.
        lookups: Look-ups of one turn that count.
        few: Sessions in the small cache.
        many: Sessions in the big one.
        misses: Simultaneous requests for one credential.
        fills: How often the big cache is filled again, to measure its memory.
    """

    pairs: int
    turns: int
    starts: int
    requests: int
    warm_up: int
    seconds: float
    lookups: int
    few: int
    many: int
    misses: int
    fills: int


FULL = Effort(
    pairs=5,
    turns=6,
    starts=5,
    requests=400,
    warm_up=1600,
    seconds=10.0,
    lookups=1500,
    few=1000,
    many=100_000,
    misses=200,
    fills=2,
)
QUICK = Effort(
    pairs=3,
    turns=6,
    starts=3,
    requests=300,
    warm_up=480,
    seconds=10.0,
    lookups=500,
    few=1000,
    many=20_000,
    misses=200,
    fills=1,
)
