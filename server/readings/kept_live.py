"""Live data of a box as it is kept beside the answers that it was made of. Pure.

Its `Report` depends on the time of the call, and is made for each from the facts. The rest reads
alike for as long as `Reported.reads_alike` says so.
"""

from __future__ import annotations

from .baseline import Baseline
from .box import boxes_of
from .kept import Kept
from .live_summary import LiveSummary
from .reported import Report, Reported, is_settled

OF_THE_CALL = frozenset(Report.model_fields)


def kept(read: LiveSummary, reported: Reported) -> Kept:
    """Give what is to be kept of live data: its facts, and all of it but its `Report`."""
    text = read.model_dump_json(exclude=set(OF_THE_CALL))
    return Kept(reported.model_dump_json().encode(), text.encode())


def may_be_kept(payload: object, baseline: Baseline, reported: Reported) -> bool:
    """Say whether another call may use what was read, while it reads alike.

    Not while a box is left out of the answer: for how long that counts depends on the time.
    """
    listed = {box.id for box in boxes_of(payload)}
    return baseline.boxes.keys() <= listed and is_settled(reported.measured_at)
