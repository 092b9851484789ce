"""A history as it is kept beside the answer that it was made of. Pure.

Nothing in it depends on the call: `history` reads an answer as of when the portal gave it. What
does depend on the call is worked out each time by `past`, from the boxes of then and these facts.
"""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict

from .history import History
from .kept import Kept
from .unknown import Unknown

LAST = "unknown"
"""The member that is no part of the text: it ends a result, and the call has reasons to add."""


class Facts(BaseModel):
    """What the warnings about a history, and its reasons, are made of.

    Attributes:
        last_day: As asked for.
        times_doubtful: Its times may be wrong by more than half an hour.
        without_values: As `History.without_values`.
        has_values: Any quantity has a value.
        left_out_s: The longest time that the energy of a quantity leaves out, in seconds.
        unknown: Why fields are null.
    """

    model_config = ConfigDict(frozen=True)

    last_day: date
    times_doubtful: bool
    without_values: tuple[date, ...]
    has_values: bool
    left_out_s: int
    unknown: tuple[Unknown, ...]


def facts_of(read: History) -> Facts:
    """Give the facts of a history."""
    left_out = (one.summary.energy_left_out_s or 0 for one in read.quantities)
    return Facts(
        last_day=read.last_day,
        times_doubtful=read.times_doubtful,
        without_values=read.without_values,
        has_values=any(one.summary.count for one in read.quantities),
        left_out_s=max(left_out, default=0),
        unknown=read.unknown,
    )


def kept(read: History) -> Kept:
    """Give what is to be kept of a history: its facts, and all of it but `LAST`."""
    text = read.model_dump_json(exclude={LAST})
    return Kept(facts_of(read).model_dump_json().encode(), text.encode())
