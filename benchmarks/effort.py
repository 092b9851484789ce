"""How much is done for one run of the benchmarks. Everything is bounded in number and time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """The size of all measurements.

    Args:
        rounds: Turns of each contestant over HTTP.
        search: Turns of each configuration of a rival, to find the two best.
        finals: Further turns of these two.
        accounts: Who call over HTTP, one after the other.
        pairs: Repetitions of other comparisons.
        turns: How often contestants take turns within one repetition.
        starts: Repetitions of what starts processes.
        requests: Requests that are counted one by one.
        seconds: Longest time of one turn, whatever the numbers say.
        lookups: Look-ups of one turn that count.
        few: Sessions in the small cache.
        many: Sessions in the big one.
        misses: Simultaneous requests for one credential.
        fills: Repetitions of what fills a cache or loads a whole system, which takes long.
    """

    rounds: int
    search: int
    finals: int
    accounts: int
    pairs: int
    turns: int
    starts: int
    requests: int
    seconds: float
    lookups: int
    few: int
    many: int
    misses: int
    fills: int


FULL = Effort(
    rounds=5,
    search=2,
    finals=2,
    accounts=1000,
    pairs=5,
    turns=6,
    starts=5,
    requests=400,
    seconds=10.0,
    lookups=1000,
    few=1000,
    many=100_000,
    misses=200,
    fills=2,
)
QUICK = Effort(
    rounds=3,
    search=1,
    finals=1,
    accounts=100,
    pairs=3,
    turns=6,
    starts=3,
    requests=300,
    seconds=10.0,
    lookups=500,
    few=1000,
    many=20_000,
    misses=200,
    fills=1,
)
