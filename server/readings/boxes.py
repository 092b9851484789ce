"""Which boxes an account has, and which of them is meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from ..codes import Code
from ..errors import BoxChoice
from . import clock, fitted, freshness
from .baseline import NO_BASELINE, Baseline, BoxBaseline
from .box import Box, Source, boxes_of
from .bypass import Bypass, on_warnings
from .bypass_flags import bypass
from .freshness import Age, LiveOn, ReportedAt, Upload
from .mode import UNKNOWN_APP, is_flexible
from .model import Reading, Warnings
from .notifications import Dated
from .numbers import CAPACITY_WH, PEAK_W, PERCENT
from .rest_meter import RestMeter
from .unknown import Unknown, Unknowns

LISTED = 20
"""Boxes named in an error: more than any account has, and few enough to read."""

CHARGE = Source("state_of_charge_percent", "bat_c", ("batt", "bat_c"))

UPLOADED = "It is not known now: it was {charge:g} % in what the box uploaded by {since}."
UNSURE = (
    "The charge of box {id} is of its last upload, as a rule up to 5 minutes before its last "
    "report. If it has been away and has just come back, it is of before that."
)
WAS = "It is not known now: it was {charge:g} % when the box last reported, {when}."
HEARD = "{ago} ago"
UNHEARD = "which may be long ago"

LEFT_OUT = (
    "The portal's present answer lacks {ids}, which it listed before. That may be for a while: ask "
    "again in some minutes."
)
ABSENT = "Nothing is known of that box now."
UNKNOWN_BOX = "This account has no box of that id."
NO_BOX = "The portal lists no box for this account."


class Capabilities(Reading):
    """What a box is equipped with. Null: the portal does not show it either way."""

    boiler: bool | None
    wallbox: bool | None
    heat_pump: bool | None
    air_conditioning: bool | None
    not_backed_up_meter: bool | None
    export_setting: bool | None
    supplementary_modes: bool | None
    flexibility: bool | None


class BoxSummary(Reading):
    """One box of an account."""

    id: str = Field(description="Pass it as box_id.")
    model: fitted.Model | None = Field(description="Kind of box.")
    online: bool | None = Field(
        description=f"Reported within {freshness.SLOW_LIMIT_S // 60} minutes."
    )
    measured_at: ReportedAt
    age_s: Age
    live_data: LiveOn
    installed_power_w: float | None
    capacity_wh: float | None
    state_of_charge_percent: float | None
    bypass: Bypass | None = Field(description="Of the inverter.")
    capabilities: Capabilities = Field(description="Equipment.")
    unknown: Unknowns


class BoxList(Reading):
    """The boxes of an account."""

    boxes: tuple[BoxSummary, ...] = Field(description="Of the account.")
    warnings: Warnings


class Listed(BaseModel):
    """The boxes of an account, as far as they are known.

    Attributes:
        boxes: Those that the portal lists now.
        uploads: How old the last upload of each may be.
        old: Warnings of uploads that are, or may be, of before an outage.
        missing: Ids of boxes that it has listed before.
    """

    model_config = ConfigDict(frozen=True)

    boxes: tuple[BoxSummary, ...]
    uploads: tuple[Upload, ...]
    old: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the boxes that the portal lists now."""
        return tuple(box.id for box in self.boxes)


def list_boxes(
    payload: object,
    now: datetime,
    notices: Sequence[Dated] | None = None,
    baseline: Baseline = NO_BASELINE,
) -> BoxList:
    """Read which boxes a live answer lists. Args are those of `listed`."""
    return box_list(listed(payload, now, notices, baseline))


def box_list(of: Listed) -> BoxList:
    """Make the result of the boxes of an account."""
    found = (*late(of.boxes), *of.old, *bypassed(of.boxes)) if of.boxes else (NO_BOX,)
    return BoxList(boxes=of.boxes, warnings=(*found, *left_out(of.missing)))


def listed(
    payload: object,
    now: datetime,
    notices: Sequence[Dated] | None = None,
    baseline: Baseline = NO_BASELINE,
) -> Listed:
    """Read the boxes of an account.

    Args:
        payload: The decoded answer, whatever it is.
        now: The present time, with a zone.
        notices: The account's notifications, newest first; None when they were not read.
        baseline: What earlier answers showed.
    """
    read = list(boxes_of(payload))
    boxes = tuple(_summary(box, notices, now, baseline.of(box)) for box in read)
    return Listed(
        boxes=boxes,
        uploads=tuple(box.upload for box in read),
        old=tuple(filter(None, map(_old_upload, read, boxes))),
        missing=baseline.left_out(payload, now),
    )


def _old_upload(box: Box, summary: BoxSummary) -> str | None:
    """Warn that the upload of a box, or its charge, is or may be from before an outage."""
    unsure = box.upload.age == "not known" and CHARGE.reading in box.older
    if unsure and summary.state_of_charge_percent is not None:
        return UNSURE.format(id=box.id)
    return box.upload.warning(box.live, box.id)


def late(boxes: Iterable[BoxSummary]) -> tuple[str, ...]:
    """Warn of each box that has not reported in time, or whose last report has no known time."""
    found = (freshness.warning(box.age_s, box.live_data, box.id) for box in boxes)
    return tuple(warning for warning in found if warning)


def bypassed(boxes: Iterable[BoxSummary]) -> tuple[str, ...]:
    """Warn of each bypass that is on."""
    return tuple(warning for box in boxes for warning in on_warnings(box.id, box.bypass))


def why_unknown(box: BoxSummary, *readings: str) -> tuple[Unknown, ...]:
    """Say why some readings of a box are not known; nothing of those that are."""
    named = (
        Unknown(why=one.why, readings=tuple(name for name in readings if name in one.readings))
        for one in box.unknown
    )
    return tuple(one for one in named if one.readings)


def left_out(missing: Sequence[str]) -> tuple[str, ...]:
    """Warn of boxes that the portal's answer lacks."""
    return (LEFT_OUT.format(ids=", ".join(missing[:LISTED])),) if missing else ()


def choose_box(payload: object, box_id: str | None, missing: Sequence[str] = ()) -> str:
    """Choose one of the boxes that a live answer, whatever it is, lists. As `chosen`."""
    return chosen([box.id for box in boxes_of(payload)], box_id, missing)


def chosen(ids: Sequence[str], box_id: str | None, missing: Sequence[str] = ()) -> str:
    """Give the id of the box that is meant: the named one, or the only one.

    Args:
        ids: Of the boxes that the portal lists now.
        box_id: The box that was named, if any.
        missing: Ids of boxes of the account that this answer lacks, as `Baseline.left_out` gives
            them: with one of these, the only box of the answer is not the only one.

    Raises:
        BoxChoice: There is none, none of that id, or several and none was named.
    """
    if not ids:
        raise BoxChoice(
            Code.NO_BOX,
            f"{NO_BOX} It must be registered to the account, as the portal or the mobile app "
            "shows.",
        )
    named = "Its boxes are: " if len(ids) > 1 else "Its only box is "
    if missing:
        named = "Listed now: "
    own = list(ids[:LISTED])
    listed = named + ", ".join(own) + (", ..." if len(ids) > LISTED else "") + "."
    listed = " ".join((listed, *left_out(missing)))
    if box_id is None:
        if len(ids) == 1 and not missing:
            return ids[0]
        raise BoxChoice(
            Code.BOX_UNCLEAR,
            f"This account has several boxes, and none of them was named. {listed}",
            boxes=[*own, *missing],
        )
    if box_id.strip() not in ids:
        absent = box_id.strip() in missing
        why = ABSENT if absent else UNKNOWN_BOX
        raise BoxChoice(Code.BOX_UNKNOWN, f"{why} {listed}", boxes=own)
    return box_id.strip()


def named_box(of: Listed, box_id: str | None) -> str | None:
    """Give the id of the box that is named; None when none is, which means all.

    Raises:
        BoxChoice: The account has none of that id.
    """
    return None if box_id is None else chosen(of.ids, box_id, of.missing)


def _summary(
    box: Box, notices: Sequence[Dated] | None, now: datetime, earlier: BoxBaseline
) -> BoxSummary:
    earlier.mark(box, now)
    last = box.last_contact("measured_at", now)
    age = freshness.age_s(last, now)
    if age is None:
        box.reasons.copy("measured_at", "age_s", "online")
    app = box.code("capabilities.flexibility", "box_prm2", "app")
    flexible = is_flexible(app)
    if app is not None and flexible is None:
        box.reasons.add("capabilities.flexibility", UNKNOWN_APP)
    switch = box.peek_flag("invertor_prms", "to_grid")
    return BoxSummary(
        id=box.id,
        model=fitted.model(box, "model"),
        online=freshness.is_online(age),
        measured_at=last,
        age_s=age,
        live_data=box.live,
        installed_power_w=box.number("installed_power_w", "box_prms", "p_fve", PEAK_W),
        capacity_wh=box.number("capacity_wh", "box_prms", "p_bat", CAPACITY_WH),
        state_of_charge_percent=_charge(box, age),
        bypass=bypass(box, notices, now),
        capabilities=Capabilities(
            boiler=fitted.has_boiler(box, "capabilities.boiler"),
            wallbox=fitted.has_wallbox(box, "capabilities.wallbox"),
            heat_pump=fitted.has_heat_pump(box, "capabilities.heat_pump"),
            air_conditioning=fitted.has_air_conditioning(box, "capabilities.air_conditioning"),
            not_backed_up_meter=RestMeter(box, seen=earlier.rest_seen).fitted(
                "capabilities.not_backed_up_meter"
            ),
            export_setting=switch is not None,
            supplementary_modes=app is not None,
            flexibility=flexible,
        ),
        unknown=box.reasons.listed(),
    )


def _charge(box: Box, age: int | None) -> float | None:
    """Read the charge, but only while it is one of now: here nothing else says how old it is."""
    charge = box.power(CHARGE, PERCENT)
    since = box.upload.since
    if charge is not None and since is not None and CHARGE.reading in box.older:
        why = UPLOADED.format(charge=charge, since=clock.written(since))
        box.reasons.add(CHARGE.reading, why)
        return None
    if charge is None or freshness.is_stale(age, box.live) is False:
        return charge
    when = UNHEARD if age is None else HEARD.format(ago=freshness.spoken(age))
    box.reasons.add(CHARGE.reading, WAS.format(charge=charge, when=when))
    return None
