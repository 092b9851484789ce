"""What one box does now: all its parts in one model. `live_summary` makes the result of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from . import freshness
from .baseline import NO_BASELINE, Baseline
from .battery import Battery, battery
from .boiler import Boiler, boiler
from .box import LIVE_BLOCK, Box, boxes_of
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
from .reported import Reported, is_stale
from .rest_meter import RestMeter
from .solar import Solar, solar
from .unknown import NOT_A_BLOCK, Unknowns


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
    """Read one box of a live answer. As `live_data_of_report`, without the report."""
    return live_data_of_report(payload, box_id, now, notices, baseline, detailed=detailed)[0]


def live_data_of_report(
    payload: object,
    box_id: str,
    now: datetime,
    notices: Sequence[Dated] | None = None,
    baseline: Baseline = NO_BASELINE,
    *,
    detailed: bool = False,
) -> tuple[LiveData, Reported]:
    """Read one box of a live answer, and what says how old that is.

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
    stale = is_stale(age, box.upload, live=box.live)
    cells_now = with_outlook(box, cells, flows, how, exported, water, known_bypass, stale=stale)
    sums = energy(box, counters, meter)
    air = Environment(
        temperature_c=box.number("environment.temperature_c", "box", "temp", TEMPERATURE_C),
        humidity_percent=box.number("environment.humidity_percent", "box", "humid", PERCENT),
    )
    more = detail(box) if detailed else None
    # Last, for every part notes what it finds.
    reported = Reported(
        box_id=box_id,
        measured_at=measured_at,
        live=box.live,
        stale=stale,
        upload=box.upload,
        unreadable=box.absent(LIVE_BLOCK) == NOT_A_BLOCK,
        lacking=tuple(box.lacking),
        day=counters.day,
        bypassed=tuple(on_warnings(box_id, known_bypass)),
    )
    read = LiveData(
        box_id=box_id,
        measured_at=measured_at,
        age_s=age,
        stale=stale,
        live_data=box.live,
        solar=panels,
        battery=cells_now,
        grid=net,
        load=consumed,
        mode=how,
        export=exported,
        bypass=known_bypass,
        boiler=water,
        energy=sums,
        environment=air,
        detail=more,
        warnings=reported.warnings(now),
        older=tuple(box.older),
        unknown=box.reasons.listed(),
    )
    return read, reported
