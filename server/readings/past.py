"""Which box a history belongs to, and what to tell the user along with it.

The portal is asked for no box and names none in its answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from pydantic import Field

from . import clock
from .boxes import LISTED, BoxSummary, Listed, bypassed, chosen, left_out, why_unknown
from .bypass import BypassSummary, in_short
from .days import named
from .freshness import SLOW_LIMIT_S, Age, ReportedAt
from .history import History
from .kept_history import Facts
from .model import LOOSE, Reading, Warnings
from .unknown import Unknown, Unknowns

OF_BOX = ("measured_at", "age_s", "bypass")
"""What a history says about its box."""

NOT_NAMED = Unknown(
    why="The portal does not say of which of the account's boxes its history is.",
    readings=("box_id", *OF_BOX),
)

SEVERAL = (
    "This account has several boxes ({ids}), and the portal gives history of the account without "
    "saying of which box. These values may be of any one of them."
)
ASKED = "Box {id} was asked for, and it cannot be told whether they are of that box."

DOUBTFUL = (
    "The times of these values are doubtful, and with them the hour of whatever happened. The "
    "assumptions say why."
)
NOTHING = (
    "There are no values at all for {days}. That does not mean 0: nothing is known of it. The "
    "assumptions say more."
)
SOME_DAY = "So many values are missing that there may be none at all for some of these days."
LEFT_OUT = (
    "There are no values for {hours:.1f} hours of these days. The energies leave that time out, so "
    "what really flowed may be more."
)
SILENT = (
    "Box {id} last reported at {at}: what it measured since has not reached the portal, so the "
    "last values may be missing."
)
UNHEARD = (
    "The portal does not say when box {id} last reported, so it may be that the last values are "
    "missing."
)


@dataclass(frozen=True, slots=True)
class Whose:
    """The boxes that a history may be of.

    Attributes:
        boxes: Those that the portal lists now.
        asked: Id of the one that was asked for, if any.
        missing: Ids of those that it has listed before.
    """

    boxes: tuple[BoxSummary, ...]
    asked: str | None
    missing: tuple[str, ...] = ()

    @property
    def only(self) -> BoxSummary | None:
        """The account's only box; None when it has several."""
        return self.boxes[0] if len(self.boxes) == 1 and not self.missing else None

    @property
    def only_id(self) -> str | None:
        """The id of the account's only box; None when it has several."""
        return None if self.only is None else self.only.id

    @property
    def peak_w(self) -> float | None:
        """The largest installed peak of their panels in W; None where one is not known."""
        peaks = [box.installed_power_w for box in self.boxes]
        known = [peak for peak in peaks if peak is not None]
        return max(known, default=None) if len(known) == len(peaks) and not self.missing else None

    @property
    def listed(self) -> tuple[BoxSummary, ...]:
        """As many of the boxes as are named."""
        return self.boxes[:LISTED]


class Label(Reading):
    """The box of a history, as far as it is known."""

    box_id: str | None = Field(description="Null: one of several.")
    measured_at: ReportedAt
    age_s: Age
    bypass: BypassSummary | None = Field(
        description="Of the inverter; of automatic and manual: state, since, why.",
        json_schema_extra=LOOSE,
    )
    warnings: Warnings


class Past(History, Label):
    """A series over some days, and its box."""


class Reasons(Reading):
    """Why fields of a history, and of what is said of its box, are null."""

    unknown: Unknowns


def whose(of: Listed, box_id: str | None) -> Whose:
    """Say which boxes a history may belong to.

    Args:
        of: The boxes of the account.
        box_id: The box that was asked for, if any. It must be one of these.

    Raises:
        BoxChoice: The account has no box, or none of that id.
    """
    names_one = box_id is not None or not of.boxes
    asked = chosen(of.ids, box_id, of.missing) if names_one else None
    return Whose(of.boxes, asked, of.missing)


def label(of: Whose, facts: Facts, at: datetime) -> Label:
    """Say now what is known of the box of a history.

    Args:
        of: The boxes that it may be of.
        facts: Of the history.
        at: When the portal gave it.
    """
    only = of.only
    return Label(
        box_id=of.only_id,
        measured_at=only.measured_at if only else None,
        age_s=only.age_s if only else None,
        bypass=in_short(only.bypass) if only else None,
        warnings=(*several(of), *history_warnings(facts, of.listed, at), *bypassed(of.listed)),
    )


def reasons(of: Whose, facts: Facts) -> Reasons:
    """Say why fields of a history with its label are null. Args are those of `label`."""
    own = why_unknown(of.only, *OF_BOX) if of.only else (NOT_NAMED,)
    return Reasons(unknown=(*own, *facts.unknown))


def several(of: Whose) -> tuple[str, ...]:
    """Warn that a history may be of any one of several boxes."""
    if of.only is not None:
        return ()
    ids = [*(box.id for box in of.boxes), *of.missing]
    listed = ", ".join(ids[:LISTED]) + (", ..." if len(ids) > LISTED else "")
    asked = f" {ASKED.format(id=of.asked)}" if of.asked is not None else ""
    return (SEVERAL.format(ids=listed) + asked, *left_out(of.missing))


def history_warnings(facts: Facts, boxes: Iterable[BoxSummary], now: datetime) -> tuple[str, ...]:
    """Say what is wrong with a history.

    Args:
        facts: Of the history.
        boxes: The box that it is of, or all that it may be of.
        now: When the portal gave the history.
    """
    found = [DOUBTFUL] if facts.times_doubtful else []
    if facts.without_values:
        found.append(_nothing(facts))
    # Less is as long as a box that is well may be silent.
    if facts.left_out_s > SLOW_LIMIT_S:
        found.append(LEFT_OUT.format(hours=facts.left_out_s / 3600))
    return (*found, *silent(boxes, facts.last_day, now))


def _nothing(facts: Facts) -> str:
    """Name the days without values, but not when nobody knows where values are missing."""
    if facts.times_doubtful and facts.has_values:
        return SOME_DAY
    return NOTHING.format(days=named(facts.without_values))


def silent(boxes: Iterable[BoxSummary], last: date, now: datetime) -> tuple[str, ...]:
    """Warn of boxes whose last values of some days may be missing.

    Args:
        boxes: The boxes.
        last: The last of the days, in Prague.
        now: When the portal gave their history.
    """
    found: list[str] = []
    after = clock.starts(last + timedelta(days=1))
    for box in boxes:
        if box.measured_at is None:
            found += [UNHEARD.format(id=box.id)] if now < after else []
        elif min(after, now) - box.measured_at > timedelta(seconds=SLOW_LIMIT_S):
            found.append(SILENT.format(id=box.id, at=clock.written(box.measured_at)))
    return tuple(found)
