"""The age of the values that the portal shows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from . import clock
from .model import LocalTime

ReportedAt = Annotated[LocalTime | None, Field(description="Last report.")]
Age = Annotated[int | None, Field(description="Seconds since then.")]
LiveOn = Annotated[bool, Field(description="Powers are seconds old.")]

LIVE_LIMIT_S = 5 * 60
"""With live data a box reports every few seconds; after this long it has plainly stopped."""

UPLOAD_S = 5 * 60
"""Seconds between two uploads of all that is not live data."""

SLOW_LIMIT_S = 3 * UPLOAD_S
"""Without, three uploads have been missed."""

AS_BEFORE = (
    "Some of what {box} uploads has not changed since {since}, and it may have been away since: "
    "{what} may be as old as that. If it has just come back, it uploads within 5 minutes."
)


class Upload(NamedTuple):
    """How old the last upload of a box may be.

    Attributes:
        age: in time: at most 5 minutes older than its last contact; as before: of before a time in
            which the box may have been away; not known: it may have come back just now.
        since: Where it is as before, a contact beside which the same was shown already.
    """

    age: Literal["in time", "as before", "not known"]
    since: datetime | None = None

    def warning(self, live: bool, box_id: str | None = None) -> str | None:
        """Say in words that it is as before; None where it is not.

        Args:
            live: Whether live data is enabled.
            box_id: Names the box where there may be several.
        """
        if self.since is None:
            return None
        powers = "all that is not live data" if live else "powers, charge, counters and settings"
        box = "the box" if box_id is None else f"box {box_id}"
        return AS_BEFORE.format(box=box, since=clock.written(self.since), what=powers)


IN_TIME = Upload("in time")


def age_s(measured_at: datetime | None, now: datetime) -> int | None:
    """Give the age in whole seconds; None when the time is unknown.

    It is 0 while the portal's clock is a little ahead of this machine's.
    """
    if measured_at is None:
        return None
    return max(0, int((now - measured_at).total_seconds()))


def limit_s(live: bool) -> int:
    """Give the age from which on data is stale."""
    return LIVE_LIMIT_S if live else SLOW_LIMIT_S


def is_stale(age: int | None, live: bool) -> bool | None:
    """Say whether data is too old to be taken for current; None when its age is unknown."""
    return None if age is None else age > limit_s(live)


def is_online(age: int | None) -> bool | None:
    """Say whether a box has missed fewer than three uploads; None when the age is unknown."""
    return None if age is None else age <= SLOW_LIMIT_S


def warning(age: int | None, live: bool, box_id: str | None = None) -> str | None:
    """Say in words what is wrong with the age; None when nothing is.

    Args:
        age: Seconds, if that is known.
        live: Whether live data is enabled.
        box_id: Names the box where there may be several.
    """
    box = "the box" if box_id is None else f"box {box_id}"
    if age is None:
        return (
            f"The portal does not say when {box} last reported, so these values may be of any "
            "age and need not be current."
        )
    if is_stale(age, live):
        return (
            f"{box.capitalize()} last reported {spoken(age)} ago, and it should every "
            f"{'few seconds' if live else '5 minutes'}. It may be offline. These values are as "
            "old as that."
        )
    return None


def spoken(seconds: int) -> str:
    """Return a time in words, in its largest fitting unit."""
    minutes = seconds // 60
    if minutes < 120:
        return f"{minutes} minutes"
    if minutes < 48 * 60:
        return f"{minutes // 60} hours"
    return f"{minutes // 1440} days"
