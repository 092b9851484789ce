"""How old the values of a box are, and what to warn of along with them. Pure.

It is all of `live` that depends on the time of the call. What it is worked out of does not.
"""

from __future__ import annotations

from datetime import date, datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from . import clock, freshness
from .box import LIVE_OFF, LIVE_UNREADABLE
from .freshness import Age, ReportedAt, Upload
from .model import Reading, Warnings

YESTERDAY = (
    "The energy counters of `today` are those of {day}, the day of the box's last report; `month` "
    "and `year` are those of that day, too."
)

OF_LAST_UPLOAD = (
    "Without live data, powers and charge are those of the box's last upload, which is up to 5 "
    "minutes older than its last report"
)
AS_A_RULE = (
    "Without live data, powers and charge are those of the box's last upload, which is as a rule "
    "up to 5 minutes older than its last report"
)
ONE_BY_ONE = "Its parts come one by one, so that powers side by side may be of two uploads."
JUST_BACK = "If the box has been away and has just come back, they are of before that."

LACKING = (
    "The box's live data lacks {readings}. What is shown is of its last upload, as a rule up to 5 "
    "minutes older than the rest."
)


class Report(Reading):
    """How old what is known of a box is."""

    box_id: str = Field(description="Id of the box.")
    measured_at: ReportedAt
    age_s: Age
    stale: bool | None = Field(description="Too old to be current.")
    warnings: Warnings


class Reported(BaseModel):
    """What a box has reported, as far as its age and the warnings depend on it.

    Attributes:
        box_id: Its id.
        measured_at: Its last contact, if that is known.
        live: Live data is enabled.
        stale: It was too old to be taken for current when it was read.
        upload: How old the last upload may be.
        unreadable: The block of live data cannot be read.
        lacking: Readings that live data lacks.
        day: The day of the last contact, if that is known.
        bypassed: Warnings of bypasses.
    """

    model_config = ConfigDict(frozen=True)

    box_id: str
    measured_at: AwareDatetime | None
    live: bool
    stale: bool | None
    upload: Upload
    unreadable: bool
    lacking: tuple[str, ...]
    day: date | None
    bypassed: tuple[str, ...]

    def report(self, now: datetime) -> Report:
        """Say how old it is at a time, given with a zone."""
        age = freshness.age_s(self.measured_at, now)
        return Report(
            box_id=self.box_id,
            measured_at=self.measured_at,
            age_s=age,
            stale=is_stale(age, self.upload, live=self.live),
            warnings=self.warnings(now),
        )

    def warnings(self, now: datetime) -> tuple[str, ...]:
        """Give what to warn of at a time, given with a zone."""
        age = freshness.age_s(self.measured_at, now)
        found = [freshness.warning(age, self.live), self.upload.warning(self.live)]
        if not self.live:
            found.append(LIVE_UNREADABLE if self.unreadable else LIVE_OFF)
            found.append(_of_last_upload(self.upload, age))
        if self.lacking:
            found.append(LACKING.format(readings=", ".join(self.lacking)))
        if self.day is not None and self.day < clock.local_day(now):
            found.append(YESTERDAY.format(day=self.day.isoformat()))
        return (*(warning for warning in found if warning), *self.bypassed)

    def reads_alike(self, now: datetime) -> bool:
        """Say whether all else that was read of the report reads at a time as it did."""
        return reads_alike(self.measured_at, self.upload, now, live=self.live, stale=self.stale)


def is_settled(contact: datetime | None) -> bool:
    """Say whether the time of the last contact stays what it is, whenever that is asked.

    Without a certain one, the time of the call stands for it. One in the hour that autumn repeats
    becomes uncertain once the second hour has come.
    """
    if contact is None:
        return False
    return len(clock.readings_of(clock.local(contact).replace(tzinfo=None))) == 1


def reads_alike(
    contact: datetime | None, upload: Upload, now: datetime, *, live: bool, stale: bool | None
) -> bool:
    """Say whether what was read of a report depends on the time by the report's age alone.

    1. A last contact in the future, by a clock that was put back, is nonsense and not read.
    2. Of a report that is too old less is said: one that is must have been, and the other way.

    Args:
        contact: Its time, which `is_settled`.
        upload: How old the last upload may be.
        now: The time in question, with a zone.
        live: Live data is enabled.
        stale: It was too old when it was read.
    """
    if contact is None or contact > now + clock.SKEW:
        return False
    return is_stale(freshness.age_s(contact, now), upload, live=live) is stale


def is_stale(age: int | None, upload: Upload, *, live: bool) -> bool | None:
    """Say whether a report is too old to be taken for current; None when its age is unknown."""
    if upload.age == "as before" and not live:
        return True
    return freshness.is_stale(age, live)


def _of_last_upload(upload: Upload, age: int | None) -> str | None:
    """Say how old powers and charge may be without live data.

    1. The box uploaded in time: the limit is certain.
    2. It may have come back just now: the limit is a rule, unless the age is unknown anyway.
    3. The upload is from before an outage: a warning of its own says how old it is.

    In the first two cases it may be under way, with some powers of it and some of the one before.
    With live data `older` names what is of an upload, and the others are of one moment.
    """
    old = "" if age is None else f": they may be {age + freshness.UPLOAD_S} s old"
    match upload.age:
        case "in time":
            return f"{OF_LAST_UPLOAD}{old}. {ONE_BY_ONE}"
        case "not known":
            return f"{AS_A_RULE}{old}. {ONE_BY_ONE} {JUST_BACK}"
        case "as before":
            return None
