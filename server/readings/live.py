"""What one box does now: all its parts in one model. `live_summary` makes the result of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from . import clock, freshness
from .baseline import NO_BASELINE, Baseline
from .battery import Battery, battery
from .boiler import Boiler, boiler
from .box import LIVE_BLOCK, LIVE_OFF, LIVE_UNREADABLE, Box, boxes_of
from .bypass import Bypass, on_warnings
from .bypass_flags import bypass
from .counters import Counters
from .detail import Detail, detail
from .energy import Energy, energy
from .export import Export, export
from .freshness import Age, LiveOn, ReportedAt
from .grid import Grid, grid
from .load import Load, load
from .mode import Mode, mode
from .model import Reading, Warnings
from .notifications import Dated
from .numbers import PERCENT, TEMPERATURE_C
from .outlook import with_outlook
from .rest_meter import RestMeter
from .solar import Solar, solar
from .unknown import NOT_A_BLOCK, Unknowns

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


class Environment(Reading):
    """The air in the box's cabinet."""

    temperature_c: float | None
    humidity_percent: float | None


class LiveData(Reading):
    """All that one box does now. Null is unknown, not zero; `unknown` says why."""

    box_id: str
    measured_at: ReportedAt
    age_s: Age
    stale: bool | None
    warnings: Warnings
    live_data: LiveOn
    older: tuple[str, ...]
    solar: Solar
    battery: Battery
    grid: Grid
    load: Load
    mode: Mode
    export: Export
    bypass: Bypass | None
    boiler: Boiler | None
    energy: Energy
    environment: Environment
    detail: Detail | None
    unknown: Unknowns


def live_data(
    payload: object,
    box_id: str,
    now: datetime,
    notices: Sequence[Dated] | None = None,
    baseline: Baseline = NO_BASELINE,
    *,
    detailed: bool = False,
) -> LiveData:
    """Read one box of a live answer.

    Args:
        payload: The decoded answer, whatever it is.
        box_id: Which box; one that the answer does not list reads as unknown throughout.
        now: The present time, with a zone.
        notices: The account's notifications, newest first; None when they were not read.
        baseline: What earlier answers showed.
        detailed: Whether to read what few ask for, too.
    """
    box = next((box for box in boxes_of(payload) if box.id == box_id), None) or Box(box_id, {})
    measured_at = box.last_contact("measured_at", now)
    age = freshness.age_s(measured_at, now)
    if age is None:
        box.reasons.copy("measured_at", "age_s", "stale")
    earlier = baseline.of(box)
    earlier.mark(box, now)
    counters = Counters(box, earlier.counters, now)
    meter = RestMeter(box, seen=earlier.rest_seen)
    known_bypass = bypass(box, notices, now)
    if detailed and known_bypass is None:
        box.reasons.copy("bypass", "detail.bypass")
    panels, cells, net = solar(box), battery(box), grid(box)
    flows = {
        "grid.power_w": net.power_w,
        "solar.power_w": panels.power_w,
        "battery.power_w": cells.power_w,
    }
    consumed, how, exported = load(box, meter, flows), mode(box), export(box)
    water = boiler(box, counters)
    stale = freshness.is_stale(age, box.live)
    if box.upload.age == "as before" and not box.live:
        stale = True
    return LiveData(
        box_id=box_id,
        measured_at=measured_at,
        age_s=age,
        stale=stale,
        live_data=box.live,
        solar=panels,
        battery=with_outlook(box, cells, flows, how, exported, water, known_bypass, stale=stale),
        grid=net,
        load=consumed,
        mode=how,
        export=exported,
        bypass=known_bypass,
        boiler=water,
        energy=energy(box, counters, meter),
        environment=Environment(
            temperature_c=box.number("environment.temperature_c", "box", "temp", TEMPERATURE_C),
            humidity_percent=box.number("environment.humidity_percent", "box", "humid", PERCENT),
        ),
        detail=detail(box) if detailed else None,
        # Last, for every part notes what it finds.
        warnings=(*_warnings(box, age, counters.day, now), *on_warnings(box_id, known_bypass)),
        older=tuple(box.older),
        unknown=box.reasons.listed(),
    )


def _warnings(box: Box, age: int | None, day: date | None, now: datetime) -> list[str]:
    found = [freshness.warning(age, box.live), box.upload.warning(box.live)]
    if not box.live:
        unread = box.absent(LIVE_BLOCK) == NOT_A_BLOCK
        found.append(LIVE_UNREADABLE if unread else LIVE_OFF)
        found.append(_of_last_upload(box, age))
    if box.lacking:
        found.append(LACKING.format(readings=", ".join(box.lacking)))
    if day is not None and day < clock.local_day(now):
        found.append(YESTERDAY.format(day=day.isoformat()))
    return [warning for warning in found if warning]


def _of_last_upload(box: Box, age: int | None) -> str | None:
    """Say how old powers and charge may be without live data.

    1. The box uploaded in time: the limit is certain.
    2. It may have come back just now: the limit is a rule, unless the age is unknown anyway.
    3. The upload is from before an outage: a warning of its own says how old it is.

    In the first two cases it may be under way, with some powers of it and some of the one before.
    With live data `older` names what is of an upload, and the others are of one moment.
    """
    old = "" if age is None else f": they may be {age + freshness.UPLOAD_S} s old"
    match box.upload.age:
        case "in time":
            return f"{OF_LAST_UPLOAD}{old}. {ONE_BY_ONE}"
        case "not known":
            return f"{AS_A_RULE}{old}. {ONE_BY_ONE} {JUST_BACK}"
        case "as before":
            return None
