"""What json.php returns of a box: its blocks, in the few fields of today or the many of 2023.

Names, units and signs are those observed. Power comes in whole watts, grid power as the sum that
the other rounded figures leave, so that grid + PV = battery + load + own use is exact in them;
it may differ from the house's by two or three watts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .blocks import ACCESSORIES, accessory_settings, boiler_settings, service
from .box import Box
from .grain import wave
from .house import Flows
from .living import Record, soc
from .meters import Energy
from .plant import Plant
from .prague import naive
from .schedule import TARIFF
from .sun import season

Block = dict[str, Any] | list[Any]


UPLOADED = ("ac_in", "ac_in_b", "ac_out", "batt", "boiler", "dc_in", "box")
"""The blocks of an upload, in the order in which they arrive."""


class Watts(NamedTuple):
    """Flows in whole watts that close exactly."""

    pv: tuple[int, int]
    backed: tuple[int, int, int]
    other: tuple[int, int, int]
    boiler: int
    battery: int
    grid: tuple[int, int, int]


def watts(flows: Flows) -> Watts:
    """Round all flows; the grid takes up the difference, and is spread over its phases."""
    pv = (round(flows.pv[0]), round(flows.pv[1]))
    backed = _three(flows.backed)
    other = _three(flows.other)
    charge = round(flows.battery)
    behind = charge + sum(backed) + round(flows.own) - sum(pv)
    # The inverter feeds and draws alike on all phases; the other section hangs on the grid itself.
    third = behind // 3
    grid = (third + other[0], third + other[1], behind - 2 * third + other[2])
    return Watts(pv, backed, other, round(flows.boiler), charge, grid)


def blocks(box: Box, now: float) -> dict[str, Block | bool]:
    """Give all that json.php returns of a box at a Unix time."""
    seen = box.seen(now)
    answer: dict[str, Block | bool] = {}
    if box.queen is not None:
        answer["queen"] = box.queen
    answer |= _arrived(box, now)
    answer |= _settings(box)
    answer["device"] = _device(box, seen.at)
    answer |= {name: [] for name in ACCESSORIES}
    if box.full:
        answer |= accessory_settings()
        answer |= {
            name: {**service(name), **block}
            for name, block in answer.items()
            if isinstance(block, dict)
        }
    if box.live_data:
        answer["actual"] = _actual(box.plant, seen)
    return answer


def _arrived(box: Box, now: float) -> dict[str, Block | bool]:
    """Give each block of the last upload; where it has not arrived yet, of the upload before."""
    shown = [box.uploaded(now, place) for place in range(len(UPLOADED))]
    whole = {slow.at: _upload(box, slow) for slow in {slow.at: slow for slow in shown}.values()}
    return {name: whole[slow.at][name] for name, slow in zip(UPLOADED, shown, strict=True)}


def _upload(box: Box, slow: Record) -> dict[str, Block | bool]:
    return {**_power(box, slow), "box": _cabinet(box.plant, slow)}


def _actual(plant: Plant, seen: Record) -> Block:
    now = watts(seen.flows)
    return {
        "aci_wr": now.grid[0],
        "aci_ws": now.grid[1],
        "aci_wt": now.grid[2],
        "aco_p": sum(now.backed),
        "fv_p1": now.pv[0],
        "fv_p2": now.pv[1],
        "bat_p": now.battery,
        "bat_c": soc(plant, seen.stored),
        "viz": _picture(now),
    }


def _picture(now: Watts) -> int:
    """Number the portal's picture of the flows: 8, 5, 17 and 0 were seen with such flows."""
    if now.battery < 0:
        return 8
    if now.battery > sum(now.pv):
        return 5
    return 17 if sum(now.pv) else 0


def _power(box: Box, slow: Record) -> dict[str, Block | bool]:
    now, meters = watts(slow.flows), slow.meters
    day, month, year = meters.day, meters.month, meters.year
    answer: dict[str, Block | bool] = {
        "ac_in": {
            **_volts(box.plant, slow.at),
            **dict(zip(("aci_wr", "aci_ws", "aci_wt"), now.grid, strict=True)),
            "aci_f": round(49.96 + 0.08 * wave(box.plant.seed + 8, slow.at, 900), 2),
            "ac_ad": int(day.imported),
            "ac_am": _kwh(month.imported),
            "ac_ay": _kwh(year.imported),
            "ac_pd": int(day.exported),
            "ac_pm": _kwh(month.exported),
            "ac_py": _kwh(year.exported),
        },
        "ac_in_b": dict(zip(("aci_wr", "aci_ws", "aci_wt"), now.other, strict=True)),
        "ac_out": {
            "aco_p": sum(now.backed),
            **dict(zip(("aco_pr", "aco_ps", "aco_pt"), now.backed, strict=True)),
            "en_day": int(day.backed),
        },
        "batt": {"bat_c": soc(box.plant, slow.stored)},
        "boiler": _boiler(box, now, day),
        "dc_in": {
            "fv_proc": round(100 * sum(now.pv) / sum(box.plant.panel_wp)),
            "fv_p1": now.pv[0],
            "fv_p2": now.pv[1],
            "fv_ad": int(day.pv),
            "fv_am": _kwh(month.pv),
            "fv_ay": _kwh(year.pv),
        },
    }
    if box.full:
        more = _full_power(box, slow, now)
        answer |= {name: {**block, **more.get(name, {})} for name, block in answer.items()
                 if isinstance(block, dict)}  # fmt: skip
    return answer


def _full_power(box: Box, slow: Record, now: Watts) -> dict[str, dict[str, Any]]:
    day, month, year = slow.meters.day, slow.meters.month, slow.meters.year
    grid_v = list(_volts(box.plant, slow.at).values())
    string_v = pv_volts(box.plant, slow)
    apparent = [round(power * 1.06) for power in now.backed]
    volts, amperes, celsius = cells(box.plant, slow)
    return {
        "ac_in_b": {
            "ac_ad": int(day.other),
            "ac_am": _kwh(month.other),
            "ac_ay": _kwh(year.other),
        },
        "ac_out": {
            **dict(zip(("aco_vr", "aco_vs", "aco_vt"), grid_v, strict=True)),
            **dict(zip(("aco_par", "aco_pas", "aco_pat"), apparent, strict=True)),
            "aco_pa": sum(apparent),
            "aco_f": 50.0,
            "en_mont": _kwh(month.backed),
            "en_year": _kwh(year.backed),
        },
        "batt": {
            "bat_v": volts,
            "bat_i": amperes,
            "bat_t": celsius,
            "bat_q": 98,
            "bat_p": now.battery,
            "bat_apd": int(day.charged),
            "bat_and": int(day.discharged),
            "bat_ad": int(day.from_grid),
            "bat_am": _kwh(month.from_grid),
            "bat_ay": _kwh(year.from_grid),
        },
        "boiler": {"boj_am": _kwh(month.boiler), "boj_ay": _kwh(year.boiler)},
        "dc_in": {
            "fv_v1": string_v[0],
            "fv_v2": string_v[1],
            "fv_i1": round(now.pv[0] / string_v[0], 1) if string_v[0] else 0.0,
            "fv_i2": round(now.pv[1] / string_v[1], 1) if string_v[1] else 0.0,
        },
    }


def _boiler(box: Box, now: Watts, day: Energy) -> Block:
    if not box.plant.boiler_w:
        return []
    return {
        "p": now.boiler,
        "w": int(day.boiler),
        "ssr1": int(now.boiler > 0),
        "ssr2": 0,
        "ssr3": 0,
    }


def _settings(box: Box) -> dict[str, Block | bool]:
    setup, plant = box.setup, box.plant
    answer: dict[str, Block | bool] = {
        "batt_prms": {
            "bat_min": setup.floor,
            "bat_gl_min": 15,
            "bat_hdo": setup.bat_hdo,
            "bal_on": 0,
            **{name: getattr(setup, name) for window in TARIFF for name in window},
        },
        "boiler_prms": boiler_settings(plant, setup),
        "box_prms": {
            "bat_ac": setup.target,
            "p_fve": sum(plant.panel_wp),
            "p_bat": plant.battery_wh,
            "mode": setup.mode,
            "mode1": 0,
            "crct": 0,
            "crcte": 1,
        },
        "box_prm2": {"app": setup.app, "wdogx": 0},
        "invertor_prms": {"to_grid": setup.to_grid},
        "invertor_prm1": {"p_max_feed_grid": setup.feed_cap},
    }
    if box.full:
        answer["batt_prms"] = {
            **_members(answer["batt_prms"]),
            "fmt_on": int(setup.formatting),
            "fmt_progress": box.charging_progress,
        }
        answer["box_prms"] = {
            **_members(answer["box_prms"]),
            "bypass": int(box.bypassed == "automatic"),
            "bypass_m": int(box.bypassed == "manual"),
            "bat_min": setup.floor,
            "nb": int(plant.other_meter),
        }
    return answer


def _device(box: Box, contact: float) -> Block:
    return {"id_type": 3002, "lastcall": naive(contact)} | (
        {"lastset": naive(box.last_set)} if box.full and box.last_set else {}
    )


def _cabinet(plant: Plant, slow: Record) -> Block:
    warm = 22 + 6 * season(slow.at) + 3 * wave(plant.seed + 9, slow.at, 7200)
    damp = 32 - 6 * season(slow.at) + 5 * wave(plant.seed + 10, slow.at, 7200)
    return {"temp": round(warm, 1), "humid": round(damp, 1)}


def _volts(plant: Plant, at: float) -> dict[str, float]:
    """Give the grid's voltages, in V."""
    return {
        name: round(233 + 8 * wave(plant.seed + 11 + phase, at, 600), 1)
        for phase, name in enumerate(("aci_vr", "aci_vs", "aci_vt"))
    }


def grid_volts(plant: Plant, at: float) -> float:
    """Give the voltage of the grid's first phase, in V."""
    return _volts(plant, at)["aci_vr"]


def pv_volts(plant: Plant, record: Record) -> tuple[float, float]:
    """Give the voltages of the two strings, in V: none without light."""
    first, second = (
        round(0.085 * peak + 40 + 0.012 * power + 8 * wave(plant.seed + 14, record.at, 600), 1)
        if power >= 1
        else 0.0
        for peak, power in zip(plant.panel_wp, record.flows.pv, strict=True)
    )
    return first, second


def cells(plant: Plant, record: Record) -> tuple[float, float, float]:
    """Give the battery's voltage (V), current (A, + charges) and temperature (degrees Celsius)."""
    volts = round(49.5 + 3.6 * record.stored / plant.battery_wh + record.flows.battery / 8000, 1)
    celsius = 21 + 3 * season(record.at) + abs(record.flows.battery) / 1800
    return volts, round(round(record.flows.battery) / volts, 1), round(celsius, 1)


def _three(values: tuple[float, float, float]) -> tuple[int, int, int]:
    return round(values[0]), round(values[1]), round(values[2])


def _kwh(wh: float) -> int:
    return int(wh / 1000)


def _members(block: Block | bool) -> dict[str, Any]:
    assert isinstance(block, dict)
    return block
