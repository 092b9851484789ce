"""A run over many hostile inputs: what each costs, what it raises, and what stays in memory."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import psutil

T = TypeVar("T")

KEPT_MIB = 8.0
"""Memory that a run of any length may leave behind: what the allocator does not give back."""


class Mended(Exception):
    """Raised by a check: an input was taken for something that it does not say."""


@dataclass
class Fuzzed:
    """What came of a run.

    Attributes:
        inputs: How many were tried.
        refused: How many of them ended with the error that is meant for it.
        slowest_ms: Most processor time that one took.
        grown_mib: Memory of this process after the run, over that after the first `WARM` inputs.
        wrong: What went wrong, each with the number of its input; a few at most.
    """

    inputs: int = 0
    refused: int = 0
    slowest_ms: float = 0.0
    grown_mib: float = 0.0
    wrong: list[str] = field(default_factory=list)

    @property
    def cost(self) -> str:
        """What the inputs cost, in words."""
        return f"slowest {self.slowest_ms:.1f} ms, memory {self.grown_mib:+.1f} MiB"

    def held(self, slowest_ms: float) -> bool:
        """Whether nothing went wrong, no input took longer, and nothing stayed in memory."""
        return not self.wrong and self.slowest_ms <= slowest_ms and self.grown_mib <= KEPT_MIB


def fuzzed(inputs: Iterator[T], use: Callable[[T], bool]) -> Fuzzed:
    """Use each input, whatever the others do.

    Args:
        inputs: The inputs.
        use: Returns whether an input was taken; it raises nothing, for a refusal is no exception
            to its caller. Whatever it raises is wrong.
    """
    run = Fuzzed()
    process = psutil.Process()
    base = None
    for one in inputs:
        begun = time.thread_time()
        try:
            taken = use(one)
        except Exception as exc:  # noqa: BLE001 - what hostile input leads to is what is asked
            run.wrong.append(f"input {run.inputs}: {type(exc).__name__}: {exc}"[:200])
            if len(run.wrong) >= 5:
                break
            taken = False
        run.slowest_ms = max(run.slowest_ms, 1000 * (time.thread_time() - begun))
        run.inputs += 1
        run.refused += not taken
        if base is None and run.inputs >= WARM:
            gc.collect()
            base = process.memory_info().rss
    gc.collect()
    if base is not None:
        run.grown_mib = (process.memory_info().rss - base) / 2**20
    return run


WARM = 500
"""Inputs after which memory is looked at first: until then caches fill."""
