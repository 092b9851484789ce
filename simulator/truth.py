"""The simulator's own truth about a box: all that is so now, each with its unit in its name."""

from __future__ import annotations

from .box import Box
from .house import Flows, hours_left
from .living import Record
from .meters import Energy, Meters
from .plant import Setup, delivery, export_cap
from .prague import local, naive
from .schedule import TARIFF, ZONES


def truth(box: Box, now: float) -> dict[str, object]:
    """Tell all about a box at a Unix time, whether the portal knows it or not."""
    current, uploaded = box.record(now), box.uploaded(now)
    setup, plant = box.setup, box.plant
    return {
        "box": box.id,
        "now": local(now).isoformat(timespec="seconds"),
        "last_contact": naive(box.seen(now).at),
        "online": not box.offline,
        "live_data": box.live_data,
        "full_payload": box.full,
        "queen": plant.queen,
        "bypass": box.bypassed,
        "clock_ahead_s": box.clock_ahead,
        "mode": setup.mode,
        "app": setup.app,
        "delivery": delivery(plant, setup),
        "export_cap_w": export_cap(plant, setup),
        "feed_cap_setting_w": setup.feed_cap,
        "to_grid": setup.to_grid,
        "charging_from_grid": setup.formatting,
        "charge_target_percent": setup.target,
        "charging_progress_percent": box.charging_progress,
        "charging_at_low_tariff": setup.bat_hdo == 1,
        "low_tariff_windows_s": _windows(setup, TARIFF),
        "floor_percent": setup.floor,
        "boiler_fitted": plant.boiler_w > 0,
        "boiler_manual": setup.manual,
        "boiler_relays": [setup.ssr0, setup.ssr1, setup.ssr2],
        "boiler_at_low_tariff": setup.hdo == 1,
        "boiler_low_tariff_wh": setup.wd,
        "boiler_windows_s": _windows(setup, ZONES),
        "boiler_powers_w": [plant.boiler_w, 0.0, 0.0],
        "capacity_wh": plant.battery_wh,
        "panels_wp": sum(plant.panel_wp),
        "days": {day.isoformat(): _named(energy) for day, energy in box.days},
        "pending_writes": [dict(change.members) for change in box.pending],
        **_moment(box, current),
        "uploaded": {"at": naive(uploaded.at), **_moment(box, uploaded)},
    }


def _windows(setup: Setup, names: tuple[tuple[str, str], ...]) -> list[list[int]]:
    return [[getattr(setup, first), getattr(setup, last)] for first, last in names]


def _moment(box: Box, record: Record) -> dict[str, object]:
    return {
        **_power(record.flows),
        "soc_percent": 100 * record.stored / box.plant.battery_wh,
        "stored_wh": record.stored,
        "hours_left": hours_left(box.plant, box.setup, record.flows, record.stored),
        "energy": _energy(record.meters),
    }


def _power(flows: Flows) -> dict[str, object]:
    backed, other = sum(flows.backed), sum(flows.other)
    return {
        "pv_w": sum(flows.pv),
        "pv_1_w": flows.pv[0],
        "pv_2_w": flows.pv[1],
        "grid_w": flows.grid,
        "battery_w": flows.battery,
        "battery_from_grid_w": flows.from_grid,
        "backed_load_w": backed,
        "other_load_w": other,
        "load_w": backed + other,
        "boiler_w": flows.boiler,
        "own_w": flows.own,
    }


def _energy(meters: Meters) -> dict[str, dict[str, float]]:
    return {
        "day": _named(meters.day),
        "month": _named(meters.month),
        "year": _named(meters.year),
    }


def _named(energy: Energy) -> dict[str, float]:
    return {f"{name}_wh": value for name, value in energy._asdict().items()}
