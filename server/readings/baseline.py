"""Observations of an account's boxes in earlier answers that explain later ones. Pure.

1. The counters of each block when they last certainly belonged to their day, or had fallen during
   it, and their later values: counters that have fallen were reset, and rising ones were uploaded.
2. Whether the part of the house without backup has shown values other than zero: then it has a
   meter.
3. Since when the box's uploaded values have been the same, and whether it was in contact all the
   time: values from before an outage are not current.

The values of the last answer are stored beside them, for times without a later one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from .box import Box, boxes_of
from .counters import Counters
from .last_shown import LastShown, last_shown
from .rest_meter import RestMeter
from .rollover import Memory
from .uploads import Uploads, remembered, upload

MOST_BOXES = 20
"""Boxes remembered: more than any account has."""

LEFT_AFTER = timedelta(days=30)
"""How long a box counts as one of an account that no longer lists it: the portal may leave it out
for a while, and its history is asked for as long."""


class BoxBaseline(BaseModel):
    """What is remembered of one box.

    Attributes:
        counters: What helps to find their day, by block.
        rest_seen: The part of the house without backup has shown something else than zeros.
        shown: What the last answer showed; None in what earlier versions stored.
        uploads: What helps to find how old the last upload is.
    """

    model_config = ConfigDict(frozen=True)

    counters: dict[str, Memory] = {}
    rest_seen: bool = False
    shown: LastShown | None = None
    uploads: Uploads | None = None

    def mark(self, box: Box, now: datetime) -> None:
        """Note at a box how old its last upload may be."""
        box.upload = upload(box, self.uploads, now)


class Baseline(BaseModel):
    """What is remembered of an account's boxes, by their ids."""

    model_config = ConfigDict(frozen=True)

    boxes: dict[str, BoxBaseline] = {}

    @classmethod
    def read(cls, raw: object) -> Self:
        """Read what `written` gave; nothing is remembered if it cannot be read."""
        try:
            return cls.model_validate(raw)
        except ValidationError:
            return cls()

    def written(self) -> Mapping[str, object]:
        """Give it in JSON's kinds of values."""
        return self.model_dump(mode="json")

    def of(self, box: Box) -> BoxBaseline:
        """Give what is remembered of a box."""
        return self.boxes.get(box.id, NOTHING)

    def left_out(self, payload: object, now: datetime) -> tuple[str, ...]:
        """Give the ids of boxes that earlier answers listed and this one does not.

        One that has been left out for longer has left the account.

        Args:
            payload: The decoded live answer, whatever it is.
            now: The present time, with a zone.
        """
        present = {box.id for box in boxes_of(payload)}
        return tuple(
            name
            for name, one in self.boxes.items()
            if name not in present and one.shown and now - one.shown.fetched_at <= LEFT_AFTER
        )

    def after(self, payload: object, now: datetime) -> Self:
        """Give what is to be remembered once an answer has been seen.

        A box that an answer does not list stays remembered, for it may be back in the next.

        Args:
            payload: The decoded live answer, whatever it is.
            now: The present time, with a zone.
        """
        seen = {box.id: _after(self.of(box), box, now) for box in boxes_of(payload)}
        others = {name: one for name, one in self.boxes.items() if name not in seen}
        latest = list({**others, **seen}.items())[-MOST_BOXES:]
        return self.model_copy(update={"boxes": dict(latest)})


NOTHING = BoxBaseline()

NO_BASELINE = Baseline()


def _after(earlier: BoxBaseline, box: Box, now: datetime) -> BoxBaseline:
    earlier.mark(box, now)
    return BoxBaseline(
        counters=Counters(box, earlier.counters, now).remembered(),
        rest_seen=RestMeter(box, seen=earlier.rest_seen).seen,
        shown=last_shown(box, box.last_contact("measured_at", now), now),
        uploads=remembered(box, earlier.uploads, now),
    )
