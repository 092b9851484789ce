"""The boxes of an account as they are kept beside the answers that they were made of. Pure.

The age of each report depends on the time of the call, and is worked out for each. The rest reads
alike for as long as `reported.reads_alike` says so of every box.
"""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from . import freshness
from .baseline import Baseline
from .boxes import BoxSummary, Listed
from .kept import Kept
from .reported import is_settled, reads_alike

NO_MORE = b"{}"


class KeptBoxes(BaseModel):
    """Boxes as answers of some time showed them.

    Attributes:
        listed: The boxes.
        told_at: Seconds since 1970 when the portal gave the notifications that say how their
            bypasses are; None when there were none.
    """

    model_config = ConfigDict(frozen=True)

    listed: Listed
    told_at: float | None

    def at(self, now: datetime) -> Listed | None:
        """Give the boxes at a time; None if more than the age of a report reads otherwise then.

        Of a report that is too old it is said how long ago the charge was what it shows.
        """
        read = self.listed
        for box, upload in zip(read.boxes, read.uploads, strict=True):
            if not reads_alike(box.measured_at, upload, now, live=box.live_data, stale=False):
                return None
        return read.model_copy(update={"boxes": tuple(_aged(box, now) for box in read.boxes)})

    def kept(self) -> Kept:
        """Give what is to be kept of them, all of which every use looks at."""
        return Kept(self.model_dump_json().encode(), NO_MORE)


def may_be_kept(listed: Listed, baseline: Baseline) -> bool:
    """Say whether another call may use what was read, while it reads alike.

    Not while a box is left out of the answer: for how long that counts depends on the time.
    """
    settled = all(is_settled(box.measured_at) for box in listed.boxes)
    return settled and baseline.boxes.keys() <= set(listed.ids)


def _aged(box: BoxSummary, now: datetime) -> BoxSummary:
    age = freshness.age_s(box.measured_at, now)
    return box.model_copy(update={"age_s": age, "online": freshness.is_online(age)})
