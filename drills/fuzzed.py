"""Drills with hostile bytes, for each of which the right end is a value or a typed refusal."""

from __future__ import annotations

from collections.abc import Callable

from .drill import Drill, Extent, Outcome
from .fuzz_frames import fuzz_frames
from .fuzz_payloads import fuzz_payloads
from .fuzz_rows import fuzz_rows
from .fuzzing import Fuzzed
from .ground import Ground

EXPECTED = (
    "every input is read as what it says or refused by its typed error, within {} ms of processor "
    "time, and no more than 8 MiB stay in memory"
)


def _run(fuzz: Callable[[int], Fuzzed], most_ms: float) -> Callable[[Ground, Extent], Outcome]:
    def run(_: Ground, extent: Extent) -> Outcome:
        done = fuzz(extent.times)
        seen = done.wrong[0] if done.wrong else f"0 wrong, {done.refused} refused"
        return Outcome(done.held(most_ms), f"{seen}; {done.cost}", f"{done.inputs} inputs")

    return run


FRAME_MS, ROW_MS, PAYLOAD_MS = 20.0, 50.0, 1500.0
"""Bounds of one input each; the longest payload that is read has 2 MiB."""

DRILLS = (
    Drill(
        "fuzz-frames",
        "damaged frames of the daemon's protocol are read as the daemon and a worker read them",
        EXPECTED.format(round(FRAME_MS)),
        Extent(times=1_000_000),
        Extent(times=20_000),
        _run(fuzz_frames, FRAME_MS),
        place="aside",
    ),
    Drill(
        "fuzz-rows",
        "damaged values of sessions.db and of a shared storage are read and used",
        EXPECTED.format(round(ROW_MS)),
        Extent(times=100_000),
        Extent(times=4_000),
        _run(fuzz_rows, ROW_MS),
        place="aside",
    ),
    Drill(
        "fuzz-payloads",
        "answers of the portal with wrong values in their fields are turned into readings",
        EXPECTED.format(round(PAYLOAD_MS)) + "; no reading is zero, or a number that nobody sent",
        Extent(times=15_000),
        Extent(times=250),
        _run(fuzz_payloads, PAYLOAD_MS),
        place="aside",
    ),
)
