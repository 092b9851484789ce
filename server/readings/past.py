"""Of which box a history is. The portal is not asked for a box and names none in its answer."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from .boxes import LISTED, choose_box, late, list_boxes, why_not_heard
from .history import History
from .model import Reading
from .unknown import Unknown

NOT_NAMED = "The portal does not say of which of the account's boxes its history is."

SEVERAL = (
    "This account has several boxes ({ids}), and the portal gives history of the account without "
    "saying of which box. These values may be of any one of them: do not present them as those of "
    "a certain box."
)
ASKED = "Box {id} was asked for, and it cannot be told whether they are of that box."


class Whose(Reading):
    """The box that a history is of, as far as that is known."""

    box_id: str | None = Field(
        description=(
            "The box. Null when the account has several: the portal gives history of the account, "
            "and which of its boxes that is cannot be told."
        )
    )
    measured_at: datetime | None = Field(
        description="When the box last reported to the portal (UTC); null when that is not known."
    )
    age_s: int | None = Field(description="Seconds since then.")
    warnings: tuple[str, ...] = Field(description="What to tell the user along with the values.")
    unknown: tuple[Unknown, ...] = Field(
        description="Why readings are null, except for values that are missing."
    )


class Past(History, Whose):
    """A series over some days, and the box that it is of."""


def whose(payload: object, box_id: str | None, now: datetime) -> Whose:
    """Say of which box a history is.

    Args:
        payload: The decoded live answer, whatever it is.
        box_id: The box that was asked for, if any. It must be one of the account's.
        now: The present time, with a zone.

    Raises:
        BoxChoice: The account has no box, or none of that id.
    """
    boxes = list_boxes(payload, now).boxes
    if len(boxes) <= 1:
        choose_box(payload, box_id)
        (box,) = boxes
        return Whose(
            box_id=box.id,
            measured_at=box.measured_at,
            age_s=box.age_s,
            warnings=late(boxes),
            unknown=why_not_heard(box),
        )
    ids = ", ".join(box.id for box in boxes[:LISTED]) + (", ..." if len(boxes) > LISTED else "")
    warning = SEVERAL.format(ids=ids)
    if box_id is not None:
        warning += " " + ASKED.format(id=choose_box(payload, box_id))
    return Whose(
        box_id=None,
        measured_at=None,
        age_s=None,
        warnings=(warning, *late(boxes[:LISTED])),
        unknown=(Unknown(why=NOT_NAMED, readings=("box_id", "measured_at", "age_s")),),
    )


def past(of: Whose, read: History) -> Past:
    """Put a history together with the box that it is of."""
    return Past.model_validate({**dict(of), **dict(read), "unknown": (*of.unknown, *read.unknown)})
