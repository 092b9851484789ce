"""Statements about a battery that depend on other values as well."""

from __future__ import annotations

from collections.abc import Mapping

from .battery import Battery
from .boiler import Boiler
from .box import Box
from .bypass import Bypass
from .circumstances import Circumstances
from .export import UNLIMITED_W, Export
from .hours_left import hours_left
from .mode import Mode
from .not_charging import why_not_charging
from .unknown import NOT_SENT

HOURS_LEFT, NOT_CHARGING = "battery.hours_left", "battery.not_charging"


def with_outlook(
    box: Box,
    cells: Battery,
    flows: Mapping[str, float | None],
    mode: Mode,
    export: Export,
    boiler: Boiler | None,
    bypass: Bypass | None,
    *,
    stale: bool | None,
) -> Battery:
    """Add why a battery does not charge, and how long it lasts; or note why that is unknown.

    Args:
        box: The box.
        cells: Its battery.
        flows: Power of grid, solar and battery, each under its reading's name.
        mode: Its mode.
        export: Its setting of export.
        boiler: Its boiler, if it has one.
        bypass: Its bypasses, as far as they are known.
        stale: Whether its last report is too old; None when its age is unknown.
    """
    older = set(box.older)
    powers = {"battery.power_w", "grid.power_w"}
    seen = Circumstances(
        current=stale is False,
        of_one_time=len(powers & older) != 1,
        older=not older.isdisjoint({"battery.power_w", "battery.state_of_charge_percent"}),
        battery_w=cells.power_w,
        grid_w=flows["grid.power_w"],
        solar_w=flows["solar.power_w"],
        boiler_w=None if boiler is None else boiler.power_w,
        charge=cells.state_of_charge_percent,
        capacity_wh=cells.capacity_wh,
        minimum=cells.minimum_charge_percent,
        mode=mode.number,
        grid_v=mode.home_grid_v,
        flexible=mode.flexibility,
        bypassed=bypass is not None and "on" in {bypass.automatic.state, bypass.manual.state},
        formatting=cells.formatting_active,
        target=cells.grid_charge_target_percent,
        most_exported_w=_most_exported(export),
        why_unknown=lambda reading: box.reasons.get(reading, NOT_SENT),
    )
    cause, why = why_not_charging(seen)
    if why:
        box.reasons.add(NOT_CHARGING, why)
    elif cause == "boiler" or powers & older:
        box.note_older(NOT_CHARGING)
    found = hours_left(seen)
    if isinstance(found, str):
        box.reasons.add(HOURS_LEFT, found)
        found = None
    elif found is not None and seen.older:
        box.note_older(HOURS_LEFT)
    return cells.model_copy(update={"not_charging": cause, "hours_left": found})


def _most_exported(export: Export) -> float | None:
    """Give how much may be exported, W; None when that is not certain."""
    if export.note is not None:
        return None
    return {"on": float(UNLIMITED_W), "limited": export.limit_w, "off": 0.0}.get(export.state)
