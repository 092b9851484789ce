"""The parts of json.php that say the same all the time: accessories and service fields.

Only the names, the types and the ranges are observed. Pure.
"""

from __future__ import annotations

from typing import Any

from .plant import Plant, Setup
from .schedule import ZONES

ACCESSORIES = ("aircon", "car_charge", "h_pump", "recuper", "wl_charge")
"""Blocks that have only been seen empty, which PHP writes as `[]`."""

CAR = {
    "a_max": "", "hdo1": 0, "consum_liq": 0, "price_liq": 0, "consum_el": 0, "price_et1": 0,
    "price_et2": 0, "caracusize": 0, "etocar": 0, "carcharge": 0, "ison": 0, "mode": 2,
    "a_chrg": "", "zone1_s": 0, "zone1_e": 0, "zone2_s": 0, "zone2_e": 0, "hdo": 0, "ebatmin": 0,
    "epowmax": 0, "ebatrec": 0, "phss": 0, "eregrep": 0, "eregsns": 0, "ident": " ",
}  # fmt: skip

SERVICE: dict[str, dict[str, Any]] = {
    "batt_prms": {
        "bat_n": 2, "bat_ci": 96, "bat_cu": 53.4, "bat_aa": 0, "bat_ag_min": 30, "lo_day": 12,
        "bat_di": 96, "id_subd": 0, "bat_v1": 0, "bat_v2": 0, "bat_n1": 0, "bat_n2": 0,
        "bat_t1": 0, "bat_t2": 0, "bat_n3": 0, "bat_n4": 0,
    },
    "box": {"msc_self": 71, "strnght": -63, "tmlastcall": 1},
    "box_prms": {
        "ison": 1, "status": 0, "fain": 0, "faout": 0, "fat": 0, "fadc1": 0, "fadc2": 0, "fv1": 0,
        "fa2": 0, "cominvert": 0, "comelmer": 0, "combatt": 0, "s_stop_ison": 0, "lcd_brigh": 25,
        "led_brigh": 25, "fan1": 42, "fan2": 36, "p_grid": 10000, "p_load": 10000, "acouplmt": -50,
        "rqreset": 0, "sw": "v.0.0.0.simulated", "ip": "192.0.2.20", "port": 5710,
        "periodsave": 15, "periodcheck": 20, "periodquick": 5, "comexpanz": 0, "commpp": 0,
        "bat_format": 15, "scnt": 1, "enloads": 1, "utc": 0, "sa": 0, "re": 1, "ra": 0, "comev": 0,
        "comrtu": 0,
    },
    "device": {
        "id_lastset": 0, "id_location": 90001, "lastip": "192.0.2.21", "latdat": 2.1,
        "latreq": 0.3, "lastset": "0000-00-00 00:00:00", "lastupdate": "0000-00-00 00:00:00",
        "lastweather": "0000-00-00 00:00:00", "userlaston": "0000-00-00 00:00:00", "type": "",
        "fw_base": "", "fw_lastversion": "", "fw_lastfile": "", "fw_updateenabled": "No",
        "resetenabled": "No", "testing": "No", "settingenabled": "Yes", "readoutenabled": "Yes",
        "weatherenabled": "Yes", "timeenabled": "Yes", "hcrequired": "No",
        "ipcreditenabled": "Yes", "ipcredit": 100, "iplevel": 0, "record": "Accepted",
        "id_server": 2,
    },
    "invertor_prms": {
        "err_pv": 0, "err_batt": 0, "err_grid": 0, "err_ac": 0, "err_else": 0, "dbg1": 0,
        "dbg2": 0, "dbg3": 0, "dbg4": 0, "t_inn": 41, "t_inn1": 0, "prrty": 1, "charge": 1,
        "charge_ac": 0, "load_pv_on": 1, "load_pv_off": 1, "grid_pv_on": 0, "grid_pv_off": 0,
        "mode": 5, "model": 64, "prll_out": 0, "p_adj_strt": 50, "p_adj_enbl": 1,
        "pf_min_100": -0.9,
    },
}  # fmt: skip
"""Fields that only the payload of 2023 had."""


def service(block: str) -> dict[str, Any]:
    """Give the service fields of a block of the payload of 2023."""
    return SERVICE.get(block, {})


def accessory_settings() -> dict[str, dict[str, Any]]:
    """Give the settings of accessories that are not there."""
    absent = {"ison": 0, "prrty": 4, "comok": 1, "p_set": 0, "addr": " "}
    return {f"{name}_prms": dict(CAR if name == "car_charge" else absent) for name in ACCESSORIES}


def boiler_settings(plant: Plant, setup: Setup) -> dict[str, Any]:
    """Give `boiler_prms`, which is there without a boiler as well."""
    fitted = int(plant.boiler_w > 0)
    zones = {name: getattr(setup, name) for window in ZONES for name in window}
    return {
        "ison": fitted,
        "prrty": fitted,
        "p_set": int(plant.boiler_w),
        "p_set2": 0,
        "p_set3": 0,
        **zones,
        "hdo": setup.hdo,
        "termostat": 0,
        "manual": int(setup.manual),
        "wd": setup.wd,
        "ssr0": setup.ssr0,
        "ssr1": setup.ssr1,
        "ssr2": setup.ssr2,
        "id_subd": 0,
        "stht": 0,
        "offset": 100,
        "offset2": 0,
        "offset3": 0,
        "tset": 0,
        "tset2": 0,
    }
