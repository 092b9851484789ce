"""Compares an answer of the portal with the known shape. Pure; no values are stored.

The known fields are taken from answers of 2023 and 2025, and from programs that use the portal. A
field counts as missing only if no box in the answer has it, because boxes are of several kinds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Literal, NamedTuple

Fields = Mapping[str, frozenset[str]]

LIVE_BLOCK = "actual"
"""Sent only of a box whose owner has enabled live data."""

MARKS = frozenset({"queen"})
"""Members of a box that are no blocks."""

UNSEEN = frozenset({"aircon", "car_charge", "h_pump", "recuper", "wl_charge"})
"""Blocks of accessories that were only ever seen empty: any field of theirs may be an old one."""

VALUES: Mapping[str, tuple[int, int]] = {
    "batt": (3, 4),
    "fve": (5, 5),
    "grid": (4, 4),
    "load": (3, 3),
}
"""Of each series, values of an item at least and at most; some boxes send no temperature."""

ITEM_TIMES = frozenset({"time", "datetime", "date", "timestamp", "ts", "dt", "t"})
"""Members under which an item may carry its time. None was seen, and each of them is read."""

NOTICE_CLASSES = ("date", "row-2", "point", "body")
"""Classes of elements of which each notification has one."""

Kind = Literal["lacking", "unknown"]

BOX_ID = re.compile(r"\d{1,20}", re.ASCII)

MOST_NAMES = 200
"""Names stored of one kind: more than an operator reads."""

MOST_ITEMS = 500
"""Items of a series looked at: they are all alike."""

LONGEST_NAME = 40
"""Characters stored of a name that the portal made up."""

STRANGE = re.compile(r"[^A-Za-z0-9_-]", re.ASCII)
NUMBER = re.compile(r"\d{4,}", re.ASCII)
"""A number this long in a name is personal and not part of a field: an id, a date."""

CLASS = re.compile(r"(?i)class\s*=\s*[\"']?([^\"'<>]*)")


def _fields(blocks: Mapping[str, str]) -> Fields:
    return {name: frozenset(fields.split()) for name, fields in blocks.items()}


ALWAYS = _fields(
    {
        "ac_in": (
            "aci_vr aci_vs aci_vt aci_wr aci_ws aci_wt aci_f ac_ad ac_am ac_ay ac_pd ac_pm ac_py"
        ),
        "ac_in_b": "aci_wr aci_ws aci_wt",
        "ac_out": "aco_p en_day",
        LIVE_BLOCK: "aci_wr aci_ws aci_wt aco_p fv_p1 fv_p2 bat_p bat_c",
        "batt": "bat_c",
        "batt_prms": "bat_min bat_gl_min bal_on",
        "boiler_prms": "ison",
        "box": "temp humid",
        "box_prm2": "app",
        "box_prms": "mode bat_ac p_fve p_bat crcte",
        "dc_in": "fv_p1 fv_p2 fv_ad fv_am fv_ay",
        "device": "id_type lastcall",
        "invertor_prm1": "p_max_feed_grid",
        "invertor_prms": "to_grid",
    }
)
"""Of these every box was seen to send all, whatever its year."""

SOMETIMES = _fields(
    {
        "ac_in_b": "ac_ad ac_am ac_ay",
        "ac_out": (
            "aco_vr aco_vs aco_vt aco_pr aco_ps aco_pt aco_par aco_pas aco_pat aco_pa aco_f "
            "en_mont en_year"
        ),
        LIVE_BLOCK: "viz",
        "aircon_prms": "ison prrty comok p_set addr",
        "batt": "bat_v bat_i bat_t bat_q bat_ad bat_am bat_ay bat_p bat_apd bat_and",
        "batt_prms": (
            "bat_n bat_ci bat_cu fmt_on fmt_progress bat_hdo bat_aa bat_ag_min hdo1_s hdo1_e "
            "hdo2_s hdo2_e lo_day bat_di id_subd bat_v1 bat_v2 bat_n1 bat_n2 bat_t1 bat_t2 bat_n3 "
            "bat_n4"
        ),
        "boiler": "p w ssr1 ssr2 ssr3 boj_am boj_ay",
        "boiler_prms": (
            "prrty p_set p_set2 p_set3 zone1_s zone1_e zone2_s zone2_e zone3_s zone3_e zone4_s "
            "zone4_e hdo termostat manual wd ssr0 ssr1 ssr2 id_subd stht offset offset2 offset3 "
            "tset tset2"
        ),
        "box": "msc_self strnght tmlastcall",
        "box_prm2": "wdogx",
        "box_prms": (
            "ison status fain faout fat fadc1 fadc2 fv1 fa2 bypass bypass_m cominvert comelmer "
            "combatt mode1 s_stop_ison lcd_brigh led_brigh fan1 fan2 bat_min p_grid p_load "
            "acouplmt rqreset sw ip port periodsave periodcheck periodquick comexpanz commpp "
            "bat_format scnt enloads utc sa crct nb re ra comev comrtu"
        ),
        "car_charge_prms": (
            "a_max hdo1 consum_liq price_liq consum_el price_et1 price_et2 caracusize etocar "
            "carcharge ison mode a_chrg zone1_s zone1_e zone2_s zone2_e hdo ebatmin epowmax "
            "ebatrec phss eregrep eregsns ident"
        ),
        "dc_in": "fv_v1 fv_i1 fv_v2 fv_i2 fv_proc",
        "device": (
            "id_lastset id_location lastip latdat latreq lastupdate lastset lastweather userlaston "
            "type fw_base fw_lastversion fw_lastfile fw_updateenabled resetenabled testing "
            "settingenabled readoutenabled weatherenabled timeenabled hcrequired ipcreditenabled "
            "ipcredit iplevel record id_server"
        ),
        "h_pump_prms": "ison prrty comok p_set addr",
        "invertor_prms": (
            "err_pv err_batt err_grid err_ac err_else dbg1 dbg2 dbg3 dbg4 t_inn t_inn1 prrty "
            "charge charge_ac load_pv_on load_pv_off grid_pv_on grid_pv_off mode model prll_out "
            "p_adj_strt p_adj_enbl pf_min_100"
        ),
        "recuper_prms": "ison prrty comok p_set addr",
        "wl_charge_prms": "ison prrty comok p_set addr",
    }
)


class Shape(NamedTuple):
    """How an answer differs from what is known.

    Attributes:
        lacking: Known fields that it lacks.
        unknown: Fields of it that are not known.
    """

    lacking: frozenset[str]
    unknown: frozenset[str]


def live_shape(payload: Mapping[str, object]) -> Shape:
    """Compare a live answer: box id -> blocks."""
    boxes = [raw for key, raw in payload.items() if BOX_ID.fullmatch(key) and isinstance(raw, dict)]
    lacked = [frozenset(_lacking(box)) for box in boxes]
    others = [_shown(key) for key in payload if not BOX_ID.fullmatch(key)]
    unknown = [*others, *(name for box in boxes for name in _unknown(box))]
    return _shape(frozenset.intersection(*lacked) if lacked else (), unknown)


def series_shape(name: str, payload: Mapping[str, object]) -> Shape:
    """Compare an answer about a series, by the portal's name of it."""
    listed = payload.get("items")
    if not isinstance(listed, list):
        return _shape([f"{name}: items"], [])
    items = [item for item in islice(listed, MOST_ITEMS) if isinstance(item, dict) and item]
    unknown = [f"{name}: {_shown(key)}" for key in payload if key != "items"]
    members = {key for item in items for key in item} - ITEM_TIMES - {"values"}
    unknown += [f"{name}: items.{_shown(key)}" for key in members]
    rows = [len(item["values"]) for item in items if isinstance(item.get("values"), list)]
    if not items:
        return _shape([], unknown)
    if not rows:
        return _shape([f"{name}: items.values"], unknown)
    least, most = VALUES.get(name, (0, max(rows)))
    lacking = [f"{name}: items.values.{place}" for place in range(max(rows), least)]
    # Only so many values can be named as an item is known to have at most, and one more.
    return _shape(
        lacking, [*unknown, *([f"{name}: items.values.{most}"] if max(rows) > most else [])]
    )


def list_shape(markup: str) -> Shape:
    """Compare the HTML of the notifications, in which there is one at least."""
    classes = {name for found in CLASS.finditer(markup) for name in found[1].split()}
    return _shape([f"notifications: {name}" for name in NOTICE_CLASSES if name not in classes], [])


def _lacking(box: Mapping[str, object]) -> Iterator[str]:
    for name, fields in ALWAYS.items():
        block = box.get(name)
        if name == LIVE_BLOCK and not block:
            continue
        if not isinstance(block, dict):
            yield name
            continue
        # A field that became a block of its own is not what it was.
        yield from (
            f"{name}.{field}"
            for field in fields
            if field not in block or isinstance(block[field], dict | list)
        )


def _unknown(box: Mapping[str, object]) -> Iterator[str]:
    for name, block in box.items():
        if name in MARKS or name in UNSEEN:
            continue
        known = ALWAYS.get(name, frozenset()) | SOMETIMES.get(name, frozenset())
        if not known:
            yield _shown(name)
        elif isinstance(block, dict):
            yield from (f"{name}.{_shown(field)}" for field in block if field not in known)


def _shape(lacking: Iterable[str], unknown: Iterable[str]) -> Shape:
    return Shape(
        frozenset(islice(sorted(lacking), MOST_NAMES)),
        frozenset(islice(sorted(set(unknown)), MOST_NAMES)),
    )


def _shown(name: str) -> str:
    """Write a name from the portal in a form fit for a log, without personal data."""
    return NUMBER.sub("#", STRANGE.sub("?", name[:LONGEST_NAME])) or "?"
