"""Answers in the portal's form, invented: a box with all that was ever sent, and one of today."""

from __future__ import annotations

import html
import json
from datetime import UTC, datetime
from typing import Any

FULL, SLIM = "2200000071", "2200000072"

NOW = datetime(2026, 6, 10, 9, 30, 20, tzinfo=UTC)
"""11:30:20 on a clock in Prague."""

Box = dict[str, Any]


def full_box() -> Box:
    """A Home with everything, as in 2023: charging, exporting up to a limit, with a boiler."""
    return {
        "queen": False,
        "actual": {
            "aci_wr": -301,
            "aci_ws": -420,
            "aci_wt": 97,
            "aco_p": 1203,
            "fv_p1": 2750,
            "fv_p2": 1911,
            "bat_p": 2309,
            "bat_c": 63,
            "viz": 17,
        },
        "ac_in": {
            "aci_vr": 231.1,
            "aci_vs": 232.2,
            "aci_vt": 233.3,
            "aci_wr": -311,
            "aci_ws": -433,
            "aci_wt": 89,
            "aci_f": 50.02,
            "ac_ad": 741,
            "ac_am": 53,
            "ac_ay": 1207,
            "ac_pd": 3209,
            "ac_pm": 167,
            "ac_py": 911,
        },
        "ac_in_b": {
            "aci_wr": 31,
            "aci_ws": 209,
            "aci_wt": 83,
            "ac_ad": 1511,
            "ac_am": 59,
            "ac_ay": 613,
        },
        "ac_out": {"aco_p": 1187, "en_day": 4409, "en_mont": 109, "en_year": 1409},
        "batt": {
            "bat_v": 51.7,
            "bat_c": 61,
            "bat_i": 43.9,
            "bat_t": 23.5,
            "bat_q": 96,
            "bat_p": 2270,
            "bat_apd": 6151,
            "bat_and": 827,
            "bat_ad": 307,
            "bat_am": 19,
            "bat_ay": 127,
        },
        "batt_prms": {
            "bat_min": 22,
            "bat_gl_min": 14,
            "bal_on": 0,
            "fmt_on": 1,
            "fmt_progress": 37,
        },
        "boiler": {"p": 553, "w": 1733, "ssr1": 1, "boj_am": 47, "boj_ay": 499},
        "boiler_prms": {"ison": 1, "manual": 0, "p_set": 2100},
        "box": {"temp": 29.5, "humid": 31.5},
        "box_prms": {
            "mode": 2,
            "bat_ac": 75,
            "p_fve": 8800,
            "p_bat": 12300,
            "crct": 0,
            "crcte": 1,
            "nb": 1,
        },
        "box_prm2": {"app": 2, "wdogx": 0},
        "dc_in": {
            "fv_v1": 598.5,
            "fv_v2": 531.5,
            "fv_p1": 2711,
            "fv_p2": 1877,
            "fv_ad": 14303,
            "fv_am": 353,
            "fv_ay": 2503,
        },
        "device": {"id_type": 3002, "lastcall": "2026-06-10 11:30:04"},
        "invertor_prms": {"to_grid": 1},
        "invertor_prm1": {"p_max_feed_grid": 4700},
        "wl_charge": [],
        "wl_charge_prms": {"ison": 0, "addr": " "},
        "h_pump": [],
        "aircon": [],
    }


def slim_box() -> Box:
    """A Queen as of today: discharging, importing a little, nothing beside it."""
    return {
        "queen": True,
        "actual": {
            "aci_wr": 66,
            "aci_ws": 71,
            "aci_wt": 23,
            "aco_p": 2203,
            "fv_p1": 907,
            "fv_p2": 0,
            "bat_p": -1361,
            "bat_c": 48,
            "viz": 8,
        },
        "ac_in": {
            "aci_vr": 229.4,
            "aci_vs": 230.4,
            "aci_vt": 228.4,
            "aci_wr": 68,
            "aci_ws": 75,
            "aci_wt": 29,
            "aci_f": 49.97,
            "ac_ad": 2111,
            "ac_am": 101,
            "ac_ay": 2011,
            "ac_pd": 0,
            "ac_pm": 2,
            "ac_py": 37,
        },
        "ac_in_b": {"aci_wr": 0, "aci_ws": 0, "aci_wt": 0},
        "ac_out": {"aco_p": 2199, "aco_pr": 733, "aco_ps": 733, "aco_pt": 733, "en_day": 7207},
        "batt": {"bat_c": 49},
        "batt_prms": {"bat_min": 25, "bat_gl_min": 15, "bal_on": 0},
        "boiler": [],
        "boiler_prms": {"ison": 0, "manual": 0, "p_set": 0},
        "box": {"temp": 24.5, "humid": 35.5},
        "box_prms": {"mode": 0, "bat_ac": 40, "p_fve": 5100, "p_bat": 10200, "crcte": 1, "crct": 0},
        "box_prm2": {"app": 1, "wdogx": 0},
        "dc_in": {
            "fv_p1": 911,
            "fv_p2": 0,
            "fv_ad": 5303,
            "fv_am": 113,
            "fv_ay": 1013,
            "fv_proc": 18,
        },
        "device": {"id_type": 3002, "lastcall": "2026-06-10 11:29:57"},
        "invertor_prms": {"to_grid": 0},
        "invertor_prm1": {"p_max_feed_grid": 2900},
    }


def live() -> dict[str, Any]:
    """An account with both."""
    return {FULL: full_box(), SLIM: slim_box()}


def series(rows: list[list[Any] | None], **more: list[Any]) -> dict[str, Any]:
    """A series: None stands for an item that is null; `more` are members of the items."""
    return {
        "items": [
            None
            if row is None
            else {"values": row, **{name: told[place] for name, told in more.items()}}
            for place, row in enumerate(rows)
        ]
    }


def folder(
    title: str,
    date: str = "9. 6. 2026 | 8:05",
    *,
    box: str = FULL,
    level: int = 2,
    body: str = "",
) -> str:
    """One notification; texts as they are, so that they can be HTML."""
    return (
        f'<div class="folder closed"><div class="head"><div class="point level-{level}"></div>'
        f'<div class="date">{date}</div></div><div class="row-2"><strong>Box #{box}</strong>'
        f' - {title}</div><div class="body"><p>{body}</p></div></div>'
    )


def listed(*folders: str, escaped: bool = False) -> str:
    """The HTML of a list of notifications."""
    page = (
        '<div id="ctrl-notifs" x:controller:id="2"><div class="folder-list">  '
        + "".join(folders)
        + "</div></div>"
    )
    return html.escape(page) if escaped else page


def command(markup: str) -> bytes:
    """The answer that holds such a list, as PHP writes JSON."""
    return json.dumps([[11, "ctrl-notifs", markup, None]]).replace("/", r"\/").encode()
