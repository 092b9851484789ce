"""Observations of an account's boxes in earlier answers that explain later ones. Pure.

1. The counters of each block when they last certainly belonged to their day, or had fallen during
   it, and their later values: counters that have fallen were reset, and rising ones were uploaded.
2. Whether the part of the house without backup has shown values other than zero: then it has a
   meter.
3. Since when the box's uploaded values have been the same, and whether it was in contact all the
   time: values from before an outage are not current. A box that comes back is in contact at once,
   and its next upload takes up to five minutes, block by block; until then the portal shows what it
   uploaded before it went, beside a contact of now.

The values of the last answer are stored beside them, for times without a later one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from .box import Box, boxes_of
from .counters import OF_THE_DAY, Counters
from .freshness import Upload
from .last_shown import LastShown, last_shown
from .numbers import POWER_W, number
from .rest_meter import RestMeter
from .rollover import Memory

UPLOADED_BY = timedelta(minutes=6)
"""How long a box in contact takes to upload everything: five minutes, and one to spare."""

GAP = timedelta(minutes=10)
"""Between two contacts that were seen, up to which the box counts as not away between."""

POWERS = re.compile(r"aci_w[rst]|aco_p[rst]?|fv_p[12]|bat_[pi]|p")
"""Fields that hardly ever show the same twice, unless they are 0."""

DIGEST_CHARACTERS = 16

MOST_BOXES = 20
"""Boxes remembered: more than any account has."""

LEFT_AFTER = timedelta(days=30)
"""How long a box counts as one of an account that no longer lists it: the portal may leave it out
for a while, and its history is asked for as long."""


class Block(BaseModel):
    """What one block showed.

    Attributes:
        digest: Stands for it.
        since: The contact beside which the portal first showed it.
    """

    model_config = ConfigDict(frozen=True)

    digest: str
    since: AwareDatetime


class Uploads(BaseModel):
    """What is remembered of the uploads of one box.

    Attributes:
        contact: The latest contact that was seen.
        row: The first contact of the row that `contact` ends: the box was not away in between.
        away: After `contact` the box was seen to be silent.
        blocks: The measured blocks that would not show the same again after another upload.
    """

    model_config = ConfigDict(frozen=True)

    contact: AwareDatetime
    row: AwareDatetime
    away: bool = False
    blocks: dict[str, Block] = {}


def remembered(box: Box, earlier: Uploads | None, now: datetime) -> Uploads | None:
    """Give what is to be remembered once a box has been seen.

    1. An answer without a contact, or older than what is remembered, adds nothing.
    2. A contact soon after the latest goes on with the row, unless the box was silent in between.
    3. Any other begins a new row.

    Args:
        box: The box.
        earlier: What is remembered so far, if anything.
        now: The present time, with a zone.
    """
    contact = _contact(box, now)
    if contact is None or (earlier is not None and contact < earlier.contact):
        return earlier
    goes_on = earlier is not None and (
        contact == earlier.contact or (contact - earlier.contact <= GAP and not earlier.away)
    )
    before = {} if earlier is None else earlier.blocks
    return Uploads(
        contact=contact,
        row=earlier.row if earlier is not None and goes_on else contact,
        away=now - contact > UPLOADED_BY,
        blocks={
            name: before[name]
            if name in before and before[name].digest == digest
            else Block(digest=digest, since=contact)
            for name, digest in _digests(box).items()
        },
    )


def upload(box: Box, earlier: Uploads | None, now: datetime) -> Upload:
    """Say how old the last upload of a box may be.

    1. A block is what was shown before the row of contacts began, and the row is too short for all
       blocks to have come, or none has come in it: of before the box was away.
    2. The row is long enough: at most 5 minutes older than the contact.
    3. Otherwise the box may have come back just now: unknown.

    Args:
        box: The box.
        earlier: What is remembered; it may have been learnt from this very answer.
        now: The present time, with a zone.
    """
    known = remembered(box, earlier, now)
    shown = {} if known is None else {name: one.digest for name, one in known.blocks.items()}
    if known is None or (known.contact, shown) != (_contact(box, now), _digests(box)):
        return Upload("not known")  # two answers crossed, or the contact is not known
    long_enough = known.contact - known.row >= UPLOADED_BY
    of_before = [one.since for one in known.blocks.values() if one.since < known.row]
    if of_before and (not long_enough or len(of_before) == len(known.blocks)):
        return Upload("as before", min(of_before))
    return Upload("in time" if long_enough else "not known")


def _contact(box: Box, now: datetime) -> datetime | None:
    # The later of two that may be meant: a row is not made longer than it is.
    return box.latest_contact(now)


def _digests(box: Box) -> Mapping[str, str]:
    # Measured blocks alone: settings are uploaded by themselves when one is changed. Of a block
    # without any power, such as that of the panels at night, it is not known.
    blocks = {name: box.block(name) for name in OF_THE_DAY}
    return {name: _digest(fields) for name, fields in blocks.items() if _has_power(fields)}


def _has_power(fields: Mapping[str, object]) -> bool:
    return any(
        POWERS.fullmatch(name) and not isinstance(found := number(raw, POWER_W), str) and found
        for name, raw in fields.items()
    )


def _digest(fields: Mapping[str, object]) -> str:
    plain = {name: raw for name, raw in fields.items() if not isinstance(raw, dict | list)}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[
        :DIGEST_CHARACTERS
    ]


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
