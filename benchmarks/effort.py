"""How much is done for one run of the benchmarks. Everything is bounded in number and time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """The size of all measurements.

    Args:
        pairs: Repetitions of a comparison; contestants take turns in each.
        starts: Repetitions of what starts processes.
        requests: Counted HTTP requests per repetition.
        warm_up: HTTP requests before them.
        seconds: Longest time of one repetition, whatever the numbers say.
        lookups: Counted look-ups per repetition.
        few: Sessions in the small cache.
        many: Sessions in the big one.
        misses: Simultaneous requests for one credential.
        fills: How often the big cache is filled anew, to weigh it.
    """

    pairs: int
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
    pairs=9,
    starts=9,
    requests=8000,
    warm_up=1600,
    seconds=20.0,
    lookups=20_000,
    few=1000,
    many=100_000,
    misses=200,
    fills=3,
)
QUICK = Effort(
    pairs=3,
    starts=3,
    requests=1500,
    warm_up=480,
    seconds=10.0,
    lookups=4000,
    few=1000,
    many=20_000,
    misses=200,
    fills=1,
)
