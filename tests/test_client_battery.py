"""The battery box in a terminal: what is shown, and what is never made up."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import sys
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from client.__main__ import main
from client.battery import boxes, energy, live, notices, past, status, watch, words
from client.codes import KEY
from client.exit_codes import ExitCode
from client.failures import ToolFailure, UsageFailure
from client.local_time import local
from client.login import Login
from server.codes import Code
from server.readings.box import Box
from server.readings.bypass_flags import NOT_READ
from server.readings.last_shown import last_shown
from server.readings.status import portal_down
from server.readings.troubles import Heard

from . import client_battery as box
from .client_keyring import environment
from .drawing import drawn

pytest_plugins = ("tests.client_servers", "tests.terminal")


@pytest.mark.parametrize("framed", [True, False])
def test_the_dashboard_shows_flows_charge_and_the_day(framed):
    text = drawn(live.dashboard(box.live(), framed=framed))
    for part in (
        "Mode Home 1 | export limited to 5000 W",
        "at 2026-11-22T12:59:48+01:00, 12 s ago",
        "Solar        2450 W",
        "1200 W + 1250 W",
        "Grid         -320 W",
        "exporting, 50.0 Hz",
        "Battery      1500 W",
        "charging, 21.5 C",
        "House         630 W",
        "backed-up part only, other 0 W",
        "72 %",
        "5.32 kWh above the minimum of 20 %, 2.87 kWh to full",
        "12.34 kWh",
        "3.40 kWh",
    ):
        assert part in text, part
    assert text.isascii() is not framed
    assert len(text.splitlines()) <= 24


DETAIL = {
    "low_tariff_charging": False,
    "low_tariff_windows": [{"number": 1, "start": "22:00", "end": "06:00"}],
    "boiler": {
        "low_tariff": True,
        "low_tariff_energy_wh": 12_500,
        "windows": [],
        "elements": [
            {"number": 1, "heating_power_w": 2000, "relay_set": True, "relay_on": False},
            {"number": 2, "heating_power_w": None, "relay_set": None, "relay_on": None},
        ],
    },
}


@pytest.mark.parametrize("framed", [True, False])
def test_the_dashboard_shows_details_that_were_asked_for(framed):
    plain = drawn(live.dashboard(box.live(), framed=framed))
    assert "Low tariff" not in plain
    detailed = box.live() | {"detail": DETAIL}
    text = drawn(live.dashboard(detailed, framed=framed, detailed=True))
    for part in (
        "Low tariff   22:00 to 06:00",
        "battery    charged then: off",
        "boiler     heated then: on, with 12.50 kWh",
        "Boiler       windows none set",
        "element 1  2000 W, relay set on, now off",
        "element 2  -, relay set -, now -",
    ):
        assert part in text, part
    detailed = box.live() | {"detail": {"boiler": None}}
    bare = drawn(live.dashboard(detailed, framed=framed, detailed=True))
    assert "Low tariff   none set" in bare


EVENING = {"fv_p1": 0, "fv_p2": 0, "bat_p": -1000, "bat_c": 72, "aci_wt": -200}


@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize(
    ("power", "shown"),
    [
        ({"bat_c": 100, "bat_p": 0}, "Not charging: full"),
        ({"bat_p": 0}, "Not charging: the reason is not known."),
        (EVENING, "Not charging: no surplus"),
        (EVENING, "Lasts 5.3 h: 5.3 kWh down to 20 %, at 1000 W: backed-up part"),
    ],
)
def test_the_dashboard_says_why_the_battery_does_not_charge_and_how_long_it_lasts(
    framed, power, shown
):
    values = box.live(actual=box.BOX["actual"] | power)
    assert shown in drawn(live.dashboard(values, framed=framed), width=120)


def test_a_battery_that_charges_needs_no_explanation():
    text = drawn(live.dashboard(box.live(), framed=False))
    assert "Not charging" not in text
    assert "Lasts" not in text
    assert "does not discharge" not in text


LISTED = {
    "id": box.ID,
    "model": "Home",
    "online": True,
    "installed_power_w": 9900,
    "capacity_wh": 15360,
    "state_of_charge_percent": 72,
}


@pytest.mark.parametrize(
    ("one", "cells"),
    [
        (LISTED, ["Home", "9.9 kWp", "15.36 kWh", "72 %", "yes"]),
        (LISTED | {"online": False, "state_of_charge_percent": None}, ["15.36 kWh", "-", "no"]),
        # An older server.
        ({"id": box.ID, "online": None, "model": None}, ["-", "-", "-", "-", "-"]),
        ({"id": box.ID, "capacity_wh": "much", "online": 5}, ["-", "-", "-", "-", "-"]),
    ],
)
@pytest.mark.parametrize("width", [80, 30])
def test_a_box_is_a_line_with_its_size_and_charge(one, cells, width):
    text = drawn(boxes.page({"boxes": [one], "warnings": ["Mind."]}, framed=False), width=width)
    places = [text.index(cell) for cell in (box.ID, *dict.fromkeys(cells), "! Mind.")]
    assert places == sorted(places)


@pytest.mark.parametrize("odd", [{}, {"boxes": 5}, {"boxes": ["x"]}, {"boxes": []}])
def test_an_account_without_boxes_has_an_empty_list(odd):
    assert "There is no box." in drawn(boxes.page(odd, framed=True))


@pytest.mark.parametrize("missing", ["not_charging", "hours_left"])
def test_the_dashboard_omits_what_an_older_server_does_not_send(missing):
    values = box.live(actual=box.BOX["actual"] | EVENING)
    del values["battery"][missing]
    text = drawn(live.dashboard(values, framed=False))
    assert ("Lasts" in text) is (missing != "hours_left")
    assert ("Not charging" in text) is (missing != "not_charging")


def test_the_result_of_an_older_server_looks_the_same():
    now = box.live()
    old = {name: value for name, value in now.items() if name != "detail"}
    for name in ("solar", "battery", "grid", "load", "mode"):
        old[name] = now[name] | now["detail"][name]
    for framed in (True, False):
        assert drawn(live.dashboard(now, framed=framed)) == drawn(
            live.dashboard(old, framed=framed)
        )


def test_the_dashboard_says_where_all_power_goes():
    metered = {"ac_in_b": {"aci_wr": 100, "aci_ws": 9, "aci_wt": 0}}
    power = {"actual": box.BOX["actual"] | {"aco_p": 352}}
    text = drawn(live.dashboard(box.live(**metered, **power), framed=True))
    assert "461 W" in text
    assert "352 W backed up, 109 W not, 169 W own" in text
    old = box.live(**power)
    for name in ("own_use_w", "rest_and_own_use_w"):
        del old["load"][name]
    assert "backed-up part only " in drawn(live.dashboard(old, framed=True))


@pytest.mark.parametrize("width", [69, 40, 30])
def test_no_number_is_cut_however_narrow_the_terminal_is(width):
    huge = box.live() | {"grid": {"power_w": 10**11, "flow": "importing"}}
    text = drawn(live.dashboard(huge, framed=True), width=width)
    flat = " ".join(re.sub("[\u2502\n ]+", " ", text).split())
    for part in ("2450 W", "100000000000 W", "72 %", "5.30 kWh", "12.34 kWh", "2.87 kWh to full"):
        assert part in flat, part
    powers = box.past(*range(0, 30000, 333))
    text = drawn(past.page(powers, None, width=width, framed=True), width=width)
    for part in ("string_1_power_w", "29970.0 W", "300.0 V"):
        assert part in text, part
    assert "\u2026" not in flat + text


@pytest.mark.parametrize("number", ["1[/x]", "[link=http://evil]2210[/link]", "[red]2[/]"])
def test_a_title_is_not_read_as_markup(number):
    text = drawn(live.dashboard({"box_id": number}, framed=True), colour=True)
    assert f"Box {number}" in text


def test_a_bar_is_as_long_as_its_power():
    text = drawn(live.dashboard(box.live(), framed=False))
    bars = {line.split()[0]: line.count("#") for line in text.splitlines() if "#" in line}
    assert bars["Solar"] == live.BAR
    assert bars["Battery"] == round(live.BAR * 1500 / 2450)
    assert bars["Charge"] == round(live.GAUGE * 0.72)


def test_an_unknown_value_is_a_dash_and_never_zero():
    nothing = dict.fromkeys(box.BOX)
    text = drawn(live.dashboard(box.live(**nothing), framed=False))
    flows, day = text.split("Energy of")
    assert not re.search(r"\b0\b", text)
    for name in ("Solar", "Grid", "Battery", "House"):
        assert re.search(rf"^{name} +- +-", flows, re.MULTILINE), name
    assert "Charge   -" in flows
    assert "at -, age unknown" in flows
    assert re.search(r"^Imported +- +Exported +-$", day, re.MULTILINE)
    assert "live data" in day.lower()


def test_a_stale_box_is_marked_and_its_warning_shown():
    old = {"lastcall": "2026-11-20 12:00:00", "id_type": 1}
    text = drawn(live.dashboard(box.live(device=old), framed=True))
    assert "Box 2206237016 - STALE" in text
    assert "at 2026-11-20T12:00:00+01:00, 2 days ago" in text
    assert "! The box last reported" in text


def test_an_empty_battery_is_red_and_a_frame_without_colour_stays():
    low = box.BOX["actual"] | {"bat_c": 20}
    text = drawn(live.dashboard(box.live(actual=low), framed=True), colour=True)
    assert "\x1b[31m" in text
    assert "0.00 kWh above" in drawn(live.dashboard(box.live(actual=low), framed=True))


def test_a_result_that_lacks_everything_is_still_shown():
    assert "Box -" in drawn(live.dashboard({}, framed=True))
    assert "no notifications" in drawn(notices.page({}, framed=True))
    with pytest.raises(ToolFailure):
        past.as_csv({})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -(10**400), True, "7", [7]])
def test_a_value_that_is_not_a_reading_is_shown_as_unknown(value):
    readings = {
        "age_s": value,
        "solar": {"power_w": value},
        "battery": {"state_of_charge_percent": value},
    }
    text = drawn(live.dashboard(readings, framed=False))
    assert re.search(r"^Solar +- +-", text, re.MULTILINE)
    assert "Charge   -" in text
    assert "age unknown" in text


@pytest.mark.parametrize(
    "odd", [{"warnings": 5}, {"solar": {"strings": 5}}, {"unknown": "x"}, {"solar": 5}]
)
def test_anything_but_a_list_is_shown_as_an_empty_list(odd):
    assert "Box -" in drawn(live.dashboard(odd, framed=True))


def test_a_time_after_the_year_9999_is_unknown():
    assert words.time("9999-12-31T23:59:59-05:00") == words.UNKNOWN
    assert "at -," in drawn(
        live.dashboard({"measured_at": "9999-12-31T23:59:59-05:00"}, framed=False)
    )


def test_a_quantity_without_its_unit_and_a_series_without_times_are_shown():
    values = {"quantities": [{"name": "power_w", "mean": [1]}], "times": 5}
    assert "power_w, -" in drawn(past.page(values, None, width=80, framed=False))
    assert past.as_csv(values) == "time,power_w\r\n"


@pytest.mark.parametrize("framed", [True, False])
def test_a_series_is_drawn_with_gaps_and_summed_up(framed):
    powers = [*range(0, 1000, 10), *[None] * 50, *range(1000, 0, -10)]
    values = box.past(*powers)
    text = drawn(past.page(values, None, width=80, framed=framed))
    assert text.startswith("solar: power_w, W, 2026-11-21 to 2026-11-21")
    assert "1000.0 W" in text
    assert "string_1_power_w" in text
    curve = past.curve(values, past.chosen(values, None), width=80, framed=framed).plain
    assert len(curve.splitlines()) == past.ROWS
    # In the gap nothing is drawn: the columns of its middle are blank.
    middle = 8 + round(72 * 125 / 250)
    for line in curve.splitlines()[1:-2]:
        assert line[middle - 3 : middle + 3].strip(" \u2800") == ""


@pytest.mark.parametrize("framed", [True, False])
def test_a_series_names_its_box_or_says_that_it_is_unknown(framed):
    text = drawn(past.page(box.past(1, 2), None, width=80, framed=framed))
    assert text.splitlines()[1] == f"Box {box.ID}"
    values = box.past(1, 2, **{box.OTHER: box.BOX})
    text = drawn(past.page(values, None, width=80, framed=framed))
    assert text.splitlines()[1].startswith("Box not known")
    assert "! This account has several boxes" in text
    assert f"Box {box.ID} was asked for" in " ".join(text.split())


def test_a_series_without_known_values_draws_nothing():
    text = drawn(past.page(box.past(None, None), None, width=80, framed=True))
    assert "no value is known" in text
    assert re.search(r"^power_w +- +- +-", text, re.MULTILINE)


def test_one_value_can_be_drawn():
    assert "700" in drawn(past.page(box.past(700), None, width=80, framed=True))


def test_another_quantity_is_chosen_by_name():
    values = box.past(1, 2)
    assert past.chosen(values, "string_1_voltage_v")["unit"] == "V"
    with pytest.raises(UsageFailure, match="string_2_power_w"):
        past.chosen(values, "power")


def test_a_table_has_empty_cells_for_unknown_values():
    head, *lines = csv.reader(io.StringIO(past.as_csv(box.past(10, None, 20))))
    assert head[0] == "time"
    place = head.index("power_w")
    assert [line[place] for line in lines] == ["10.0", "", "20.0"]
    assert lines[0][0] == "2026-11-21T00:00:00+01:00"
    assert all(len(line) == len(head) for line in lines)


def test_a_csv_table_has_no_formula_and_no_nan():
    values = {
        "quantities": [{"name": "=1+1", "unit": "W", "mean": [float("nan"), float("inf"), -5]}],
        "times": ["=2+2", "@SUM\x1b[31m\n", "2026-11-20T00:00:00Z"],
    }
    head, *lines = csv.reader(io.StringIO(past.as_csv(values)))
    assert head == ["time", "'=1+1"]
    assert lines == [["'=2+2", ""], ["'@SUM\ufffd[31m ", ""], ["2026-11-20T01:00:00+01:00", "-5"]]
    assert words.watts(float("nan")) == words.watts(10**400) == words.UNKNOWN


@pytest.mark.parametrize(
    ("first", "last", "labels"),
    [
        # The day of 25 hours, the one of 23, and half an hour in which clocks are set back.
        (
            "2026-10-24T22:00Z",
            "2026-10-25T22:00Z",
            ["00:00+02:00", "05:00+01:00", "11:00+01:00", "17:00+01:00", "23:00+01:00"],
        ),
        (
            "2026-03-28T23:00Z",
            "2026-03-29T19:00Z",
            ["00:00+01:00", "06:00+02:00", "11:00+02:00", "16:00+02:00", "21:00+02:00"],
        ),
        (
            "2026-10-25T00:30Z",
            "2026-10-25T01:30Z",
            ["02:30+02:00", "02:45+02:00", "02:00+01:00", "02:15+01:00", "02:30+01:00"],
        ),
        ("2026-10-24T22:00Z", "2026-10-26T22:55Z", ["2026-10-25", "2026-10-26"]),
        (
            "2026-05-31T22:00Z",
            "2026-06-30T21:55Z",
            ["2026-06-01", "2026-06-07", "2026-06-13", "2026-06-19", "2026-06-25"],
        ),
        # A series that begins within a day: its start is no place under the curve.
        ("2026-06-01T10:00Z", "2026-06-02T10:00Z", ["2026-06-02"]),
        ("2026-06-01T10:00Z", "2026-06-01T10:00Z", ["12:00+02:00"]),
    ],
)
def test_under_a_curve_are_times_of_one_day_or_the_starts_of_days(first, last, labels):
    ticks = past._ticks(*(local(datetime.fromisoformat(each)) for each in (first, last)))
    assert list(ticks) == labels
    for label, place in ticks.items():
        assert label in local(place).isoformat(timespec="minutes")


def test_a_thinned_table_has_the_extremes_too():
    head, first, *_ = csv.reader(io.StringIO(past.as_csv(box.past(*range(10), points=2))))
    found = dict(zip(head, first, strict=True))
    assert (found["power_w"], found["power_w_minimum"], found["power_w_maximum"]) == (
        "2.5",
        "0.0",
        "5.0",
    )


@pytest.mark.parametrize("framed", [True, False])
def test_notifications_are_shown_without_control_characters(framed):
    values = box.notices(box.FULL, box.BARE, more=3)
    text = drawn(notices.page(values, framed=framed), width=200)
    assert "\x1b" not in text
    assert "2026-11-21T18:30:00+01:00  warning   box 2206237016  Battery" in text
    assert "Charged to 100 %." in text
    assert re.search(r"^- +- +box -  -$", text, re.MULTILINE)
    assert "3 older ones are not shown; see --before n2." in text
    assert "automatic unknown, manual unknown" in text
    assert "- automatic and manual: Neither box nor notification tells." in text
    assert len(text.splitlines()) == (7 if framed else 5)


def test_where_a_server_has_no_pages_only_the_limit_shows_more():
    values = box.notices(box.FULL, more=3)
    text = drawn(notices.page(values, pages=False, framed=False), width=200)
    assert "3 older ones are not shown; see --limit." in text


@pytest.mark.parametrize("prefix", ["portal_", ""])
def test_notifications_of_servers_of_either_version_are_shown_with_their_words(prefix):
    values = box.notices(box.FULL)
    for one in values["notifications"]:
        for name in ("title", "text"):
            one[f"{prefix}{name}"] = one.pop(f"portal_{name}")
    text = drawn(notices.page(values, framed=False), width=200)
    assert re.search(r"Battery.*full \| Charged to 100 %", text)


def bypass_part(state: str, why: str | None = None) -> dict[str, object]:
    return {"state": state, "why": why}


OFF, ON = bypass_part("off"), bypass_part("on")


@pytest.mark.parametrize(
    ("automatic", "manual", "state", "reasons"),
    [
        (OFF, OFF, None, []),
        (ON, OFF, None, []),
        (OFF, bypass_part("unknown", "No."), "manual bypass unknown", ["- Manual bypass: No."]),
        (
            bypass_part("unknown", "No."),
            ON,
            "automatic bypass unknown",
            ["- Automatic bypass: No."],
        ),
        (
            bypass_part("unknown", "No."),
            bypass_part("unknown", "No."),
            "bypass unknown",
            ["- Bypass: No."],
        ),
        (
            bypass_part("unknown", "Yes\x1b[2J."),
            bypass_part("unknown", "No."),
            "bypass unknown",
            ["- Automatic bypass: Yes\ufffd[2J.", "- Manual bypass: No."],
        ),
    ],
)
def test_the_dashboard_says_which_bypass_is_not_known_and_why(automatic, manual, state, reasons):
    values = box.live() | {"bypass": {"automatic": automatic, "manual": manual}, "unknown": []}
    text = drawn(live.dashboard(values, framed=False), width=200)
    assert [line for line in text.splitlines() if "ypass:" in line] == reasons
    assert ("bypass" in text) is (state is not None)
    assert state is None or f"export limited to 5000 W | {state}\n" in text


@pytest.mark.parametrize("framed", [True, False])
def test_the_dashboard_says_that_the_bypass_has_not_been_read(framed):
    values = box.live()
    assert values["bypass"] is None
    text = drawn(live.dashboard(values, framed=framed))
    assert "| bypass unknown" in text
    assert f"- Bypass: {NOT_READ}" in text
    # It takes nothing from the other reasons.
    assert "load not backed up and 10 more" in text


def test_each_reason_names_its_readings():
    values = box.live() | {
        "unknown": [
            {"why": "It was sent empty.", "readings": ["energy.today.battery_charged_wh"]},
            {"why": "It is odd.", "readings": ["solar.power_w", "boiler"]},
            {"why": "It is old.", "readings": ["energy.month", "energy.year", "mode.name"]},
        ]
    }
    text = drawn(live.dashboard(values, framed=False), width=200)
    assert "- battery charged today: It was sent empty." in text
    assert "- solar power, boiler: It is odd." in text
    assert "- month, year and 1 more: It is old." in text


@pytest.mark.parametrize("cause", [None, "unknown"])
def test_the_dashboard_does_not_explain_a_stale_box_that_is_not_charging(cause):
    values = box.live() | {"stale": True}
    values["battery"] |= {"not_charging": cause}
    assert "Not charging" not in drawn(live.dashboard(values, framed=False))


def test_a_bypass_that_is_on_is_a_warning_and_a_server_without_any_says_nothing():
    warned = box.live() | {"warnings": ["The manual bypass of box 1 is on."]}
    assert "! The manual bypass of box 1 is on." in drawn(
        live.dashboard(warned, framed=False), width=200
    )
    older = {name: value for name, value in box.live().items() if name != "bypass"}
    assert "ypass" not in drawn(live.dashboard(older | {"unknown": []}, framed=False))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "age unknown"),
        (5, "5 s ago"),
        (300, "5 min ago"),
        (9000, "2 h ago"),
        (1e6, "11 days ago"),
    ],
)
def test_an_age_is_shown_in_a_fitting_unit(seconds, shown):
    assert words.ago(seconds) == shown


def test_true_is_not_a_number_and_minus_zero_is_zero():
    assert words.watts(True) == words.UNKNOWN
    assert words.watts(-0.3) == "0 W"


@pytest.fixture
def client(capsys, monkeypatch, tmp_path, box_server):
    """Run the client against the project's own tools, with a login that is kept."""
    for name in ("OIG_PASSWORD", "OIG_MCP_URL", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    ring = tmp_path / "keyring.json"

    def run(*argv, at=box_server):
        ring.write_text(json.dumps({f"oig-client {at.url}": Login("a@b.cz", "pw").packed()}))
        for name, value in environment("InFile", ring).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("keyring.core._keyring_backend", None)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        code = main([*argv, "--url", at.url])
        out, err = capsys.readouterr()
        assert "\x1b" not in out + err
        assert "Traceback" not in err
        return code, out, err

    return run


def test_live_calls_the_tool_with_the_stored_login(client):
    code, out, err = client("live")
    assert (code, err) == (ExitCode.OK, "")
    assert out.startswith(f"Box {box.ID}\n")
    code, out, _ = client("live", "--json", "--box", box.ID)
    assert json.loads(out)["box_id"] == box.ID
    code, _, err = client("live", "--box", "7")
    assert code == ExitCode.TOOL
    assert "no box of that id" in err


def test_without_a_login_or_a_terminal_the_error_says_what_is_missing(client):
    code, _, err = client("live", "--no-keyring")
    assert code == ExitCode.USAGE
    assert "give --email" in err


def test_a_table_and_json_are_not_both_printed(client):
    code, out, _ = client("history", "solar", "--from", "2026-11-20", "--csv", "-", "--json")
    assert code == ExitCode.USAGE
    assert "leave one of them out" in json.loads(out)["error"]["message"]


@pytest.mark.parametrize(
    ("box_id", "code", "verdict"),
    [
        (box.ID, ExitCode.OK, "fine"),
        (box.OTHER, ExitCode.NOT_FINE, "bypass on"),
    ],
)
def test_status_is_one_line_with_its_remedy_and_exits_with_0_only_when_all_is_well(
    client, two_box_server, box_id, code, verdict
):
    ended, out, err = client("status", "--box", box_id, at=two_box_server)
    assert (ended, err) == (code, "")
    first, second, *_ = out.splitlines()
    assert first.startswith(f"Box {box_id}: {verdict}")
    assert second.startswith("To do: ")
    ended, out, _ = client("status", "--box", box_id, "--json", at=two_box_server)
    assert (ended, json.loads(out)["verdict"]) == (code, verdict)


def test_a_doubtful_and_a_failed_status_have_exit_codes_of_their_own(
    client, two_box_server, older_server
):
    ended, out, _ = client("status")
    assert ended == ExitCode.IN_DOUBT
    assert "fine as far as known" in out
    assert "! Whether the automatic or the manual bypass is on is not known." in out
    ended, _, err = client("status", at=two_box_server)
    assert ended == ExitCode.TOOL
    assert "several boxes" in err
    assert "--box" in err
    ended, _, err = client("status", "--no-keyring")
    assert ended == ExitCode.USAGE
    ended, _, err = client("status", at=older_server)
    assert ended == ExitCode.NOT_MCP
    assert "without the tool get_status" in err


def down() -> dict[str, Any]:
    sent = {name: block for name, block in box.BOX.items() if name != "batt"}
    kept = last_shown(Box(box.ID, sent), box.NOW - timedelta(hours=3), box.NOW)
    found = portal_down(Code.PORTAL_TIMEOUT, "It was slow.", 30.0, box.NOW, shown=[kept])
    return found.model_dump(mode="json")


@pytest.mark.parametrize("framed", [True, False])
def test_status_marks_values_that_are_not_current(framed):
    text = drawn(status.page(down(), framed=framed), width=400)
    assert "portal down. What the box does now cannot be seen" in text
    assert "! It was slow." in text
    assert "since" not in text.splitlines()[0]
    assert "Not of now, but of 2026-11-22T10:00:00+01:00: box" in text
    assert text.count(" ago") == 1
    assert "`" not in text
    assert "72 %, solar 2450 W, battery 1500 W, grid -320 W, load 630 W" in text
    nothing = down() | {"last_known": [dict.fromkeys(down()["last_known"][0])]}
    assert "but of -: box - -, solar -, battery -, grid -, load -" in drawn(
        status.page(nothing, framed=framed), width=400
    )


@pytest.mark.parametrize("age_s", [30, 90, 290])
def test_status_shows_the_age_of_notifications_over_a_minute_old(age_s):
    heard = Heard([], box.NOW - timedelta(seconds=age_s))
    found = portal_down(Code.PORTAL_TIMEOUT, "It was slow.", None, box.NOW, heard=heard)
    text = drawn(status.page(found.model_dump(mode="json"), framed=False), width=400)
    assert (f"! Notifications are {age_s} s old: " in text) is (age_s > 60)


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        ("fine", ExitCode.OK),
        ("fine as far as known", ExitCode.IN_DOUBT),
        ("portal down", ExitCode.NOT_FINE),
        ("a verdict of a later server", ExitCode.NOT_FINE),
        ("fine \x1b[0m", ExitCode.NOT_FINE),
    ],
)
def test_no_verdict_but_fine_exits_with_0(verdict, code):
    assert status.exit_code(down() | {"verdict": verdict}) == code


def test_history_is_drawn_and_written(client, tmp_path):
    file = tmp_path / "solar.csv"
    argv = ("history", "solar", "--from", "2026-11-20")
    code, out, err = client(*argv, "--csv", str(file))
    assert code == ExitCode.OK
    assert str(file) in err
    assert "solar: power_w, W, 2026-11-20 to 2026-11-20" in out
    assert max(map(len, out.splitlines()[:18])) <= 80
    assert file.read_bytes().startswith(b"time,string_1_voltage_v,")
    assert file.read_bytes().count(b"\r\n") == 289
    code, out, _ = client(*argv, "--csv", "-")
    assert out.startswith("time,")
    code, out, _ = client(*argv, "--json")
    assert json.loads(out)["series"] == "solar"
    code, _, err = client(*argv, "--csv", str(tmp_path / "none" / "x.csv"))
    assert code == ExitCode.TOOL
    assert "No such file" in err


def test_energy_is_a_table_with_bars_csv_and_json(client, tmp_path):
    file = tmp_path / "energy.csv"
    argv = ("energy", "--from", "2026-11-14", "--to", "2026-11-20")
    code, out, err = client(*argv, "--csv", str(file))
    assert (code, str(file) in err) == (ExitCode.OK, True)
    lines = out.splitlines()
    assert lines[0] == f"Box {box.ID}, kWh"
    assert lines[1].split() == ["Solar", "Import", "Export", "Used", "Charge", "Disch"]
    assert [line.split()[0].rstrip("*") for line in lines[2:10]] == [
        *(f"2026-11-{day}" for day in range(14, 21)),
        "Total",
    ]
    assert "#######" in lines[2]
    assert max(map(len, lines[:10])) <= 60
    table = file.read_bytes()
    assert table.startswith(b"day,solar_kwh,imported_kwh,")
    assert table.count(b"\r\n") == 8
    assert "No prices." in lines
    assert lines[10] == "Total: 2026-11-14 to 2026-11-20."
    # With a file, warnings stand where also those see them who look at nothing else.
    unknown = "consumed, charged, discharged"
    warned = f"! Not known of 2026-11-14 to 2026-11-20, and not in the sums: {unknown}."
    assert warned in err
    assert warned not in out
    code, out, err = client(*argv, "--csv", "-")
    assert out.startswith("day,")
    assert warned in err
    code, out, _ = client(*argv, "--json", "--per", "total", "--import-price", "6,5")
    told = json.loads(out)
    assert told["rows"] == []
    assert told["total"]["money"]["revenue"] is None
    assert (told["first_day"], told["last_day"]) == ("2026-11-14", "2026-11-20")
    code, out, _ = client(*argv, "--import-price", "6.5", "--currency", "CZK")
    assert "Without panels and battery" in out
    assert "Saved: " in out


def energy_result(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    values = dict.fromkeys(energy.COLUMNS.values(), 1.0)
    total = {**values, "complete": True, "money": None, **more.pop("total", {})}
    return {
        "box_id": box.ID,
        "rows": [{**values, "complete": True, **row} for row in rows],
        "total": total,
        "lacking": [],
        "warnings": [],
        "unknown": [],
        **more,
    }


def asked(first: str, last: str, per: str = "day") -> energy.Asked:
    return energy.Asked(date.fromisoformat(first), date.fromisoformat(last), per)


def energy_lines(values: dict[str, Any], about: energy.Asked, width: int = 60) -> list[str]:
    return drawn(energy.page(values, about, framed=False), width=width).splitlines()


def energy_table(values: dict[str, Any], about: energy.Asked) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(energy.as_csv(values, about))))


@pytest.mark.parametrize("per", ["day", "total"])
@pytest.mark.parametrize(("complete", "star"), [(True, False), (False, True)])
def test_a_star_in_the_table_is_explained_within_its_width(per, complete, star):
    rows = [{"day": "2026-11-14", "complete": complete}] if per == "day" else []
    told = energy_result(*rows, total={"complete": complete})
    lines = energy_lines(told, asked("2026-11-14", "2026-11-14", per))
    assert ("Used: the part with backup. Bars: solar. *: not complete." in lines) is star
    assert ("Used: the part with backup. Bars: solar." in lines) is not star
    assert any(line.startswith("Total* ") for line in lines) is star


@pytest.mark.parametrize(
    ("options", "days"),
    [
        (("--to", "2026-11-20"), "2026-11-14 to 2026-11-20"),
        (("--from", "2026-11-19", "--to", "2026-11-20"), "2026-11-19 to 2026-11-20"),
        (("--from", "2026-11-20", "--to", "2026-11-20"), "2026-11-20"),
    ],
)
def test_total_energy_covers_a_week_by_default_and_names_its_days(client, options, days):
    argv = ("energy", "--per", "total", *options)
    code, out, _ = client(*argv)
    assert code == ExitCode.OK
    assert f"Total: {days}." in out.splitlines()
    code, out, err = client(*argv, "--csv", "-")
    assert code == ExitCode.OK
    (row,) = csv.DictReader(io.StringIO(out))
    assert row["day"] == days
    assert float(row["solar_kwh"]) > 0
    assert (row["consumed_kwh"], row["complete"]) == ("", "no")
    assert "not known: consumed" in row["lacking"]
    assert "! Not known of" in err
    _, out, _ = client(*argv, "--json")
    assert str(json.loads(out)["total"]["solar_kwh"]) == row["solar_kwh"]


def test_the_help_of_energy_says_which_days_are_meant_when_none_is_named(capsys):
    assert main(["energy", "--help"]) == ExitCode.OK
    told = " ".join(capsys.readouterr().out.split())
    assert (
        "(default: a week with --per day and total, one day with hour, from January 1 with month)"
        in told
    )


@pytest.mark.parametrize(
    ("per", "rows", "lacking", "lines", "table"),
    [
        (
            "month",
            ["2026-10", "2026-11"],
            ["2026-10: only 2026-10-29 to 2026-10-31", "2026-11-02 to 2026-11-03: no data"],
            ["* 2026-10: only 2026-10-29 to 2026-10-31", "* 2026-11-02 to 2026-11-03: no data"],
            [
                ("2026-10", "only 2026-10-29 to 2026-10-31"),
                ("2026-11", "2026-11-02 to 2026-11-03: no data"),
            ],
        ),
        (
            "month",
            ["2026-11"],
            ["2026-09-30 to 2026-10-31: not read"],
            ["* 2026-09-30 to 2026-10-31: not read"],
            [
                ("2026-09", "2026-09-30 to 2026-10-31: not read"),
                ("2026-10", "2026-09-30 to 2026-10-31: not read"),
                ("2026-11", ""),
            ],
        ),
        (
            "day",
            ["2026-10-23", "2026-10-24", "2026-10-27"],
            [
                "2026-10-23: not known: consumed",
                "2026-10-24: not known: consumed",
                "2026-10-25 to 2026-10-26: no data",
                "2026-10-27: not known: consumed",
            ],
            [
                "* 2026-10-23 to 2026-10-24: not known: consumed",
                "* 2026-10-25 to 2026-10-26: no data",
                "* 2026-10-27: not known: consumed",
            ],
            [
                ("2026-10-23", "not known: consumed"),
                ("2026-10-24", "not known: consumed"),
                ("2026-10-25", "no data"),
                ("2026-10-26", "no data"),
                ("2026-10-27", "not known: consumed"),
            ],
        ),
        (
            "hour",
            ["2026-10-25T01:00:00+02:00", "2026-10-25T03:00:00+01:00"],
            [
                "2026-10-25T02:00:00+02:00 to 2026-10-25T02:00:00+01:00: no data",
                "2026-10-25T03:00:00+01:00: 0.5 hours without data",
                "2026-10-26T23:00:00+01:00 to 2026-10-27T00:00:00+01:00: no data",
            ],
            [
                "* 2026-10-25 02:00+02:00 to 02:00+01:00: no data",
                "* 2026-10-25 03:00+01:00: 0.5 hours without data",
                "* 2026-10-26 23:00+01:00 to 2026-10-27 00:00+01:00: no data",
            ],
            [
                ("2026-10-25T01:00:00+02:00", ""),
                ("2026-10-25T02:00:00+02:00", "no data"),
                ("2026-10-25T02:00:00+01:00", "no data"),
                ("2026-10-25T03:00:00+01:00", "0.5 hours without data"),
                ("2026-10-26T23:00:00+01:00", "no data"),
                ("2026-10-27T00:00:00+01:00", "no data"),
            ],
        ),
        (
            "hour",
            ["2026-10-25T01:00:00+02:00"],
            ["2026-10-24: no times"],
            ["* 2026-10-24: no times"],
            [("2026-10-24", "no times"), ("2026-10-25T01:00:00+02:00", "")],
        ),
        (
            "total",
            [],
            ["2026-10-24: under way", "2026-10-25: no data"],
            ["* 2026-10-24: under way", "* 2026-10-25: no data"],
            [("2026-10-01 to 2026-11-30", "2026-10-24: under way; 2026-10-25: no data")],
        ),
        (
            "day",
            [],
            ["=1+1: of a later server", "9999-12-31 to 2026-01-01: odd"],
            ["* =1+1: of a later server", "* 9999-12-31 to 2026-01-01: odd"],
            [
                ("9999-12-31 to 2026-01-01", "odd"),
                ("'=1+1", "of a later server"),
            ],
        ),
    ],
)
def test_gaps_in_rows_are_listed_below_the_table_and_in_the_file(per, rows, lacking, lines, table):
    told = energy_result(*({"day": day} for day in rows), lacking=lacking)
    about = asked("2026-10-01", "2026-11-30", per)
    found = energy_lines(told, about)
    assert [line for line in found if line.startswith("* ")] == lines
    assert max(map(len, found)) <= energy.WIDTH
    assert [(row["day"], row["lacking"]) for row in energy_table(told, about)] == table
    for row in energy_table(told, about):
        # Nothing is made up for what has no row.
        assert (row["solar_kwh"] == "1.0") is (row["day"] in rows or per == "total")


def test_a_long_list_of_gaps_is_counted_on_screen_and_complete_in_the_file():
    lacking = [f"2026-11-{day:02}: {day}.0 hours without data" for day in range(1, 21)]
    rows = [{"day": one[:10], "complete": False} for one in lacking]
    told, about = energy_result(*rows, lacking=lacking), asked("2026-11-01", "2026-11-20")
    below = [line for line in energy_lines(told, about) if line.startswith("* ")]
    assert len(below) == energy.LISTED + 1
    assert below[-1] == "* and 12 more: see --csv or --json"
    assert all(row["lacking"] for row in energy_table(told, about))


def test_each_reason_below_the_rows_is_given_once():
    money = dict.fromkeys(("currency", "revenue", "saved_at_least", "saved_at_most"))
    money |= {"cost": 87.0, "without_box_at_least": 90.0, "without_box_at_most": 99.0}
    why = [
        {"why": "No currency.", "readings": ["total.money.currency"]},
        {"why": "Not given.", "readings": [f"total.money.{name}" for name in [*money][1:4]]},
        {"why": "A gap.", "readings": ["total.self_sufficiency_percent", "total.solar_kwh"]},
    ]
    told = energy_result(
        total={"money": money, "solar_kwh": None, "self_consumption_percent": 5}, unknown=why
    )
    lines = energy_lines(told, asked("2026-11-14", "2026-11-20", "total"))
    assert "Cost 87.00, revenue -." in lines
    assert "Without panels and battery: 90.00 to 99.00." in lines
    assert "Saved: -." in lines
    assert "- revenue, saved: Not given." in lines
    assert "- not from the grid, Solar: A gap." in lines
    assert "No currency." not in "".join(lines)


@pytest.mark.parametrize("kwh", [0.0, 9.999, 99.994, 99.996, 999.94, 999.96, 12_345.6, None])
@pytest.mark.parametrize("day", ["2026-11", "2026-11-14", "2026-11-14T00:00:00+01:00"])
def test_the_table_fits_60_columns_whatever_the_numbers_and_also_in_a_pipe(kwh, day):
    values = dict.fromkeys(energy.COLUMNS.values(), kwh)
    told = energy_result({"day": day, "complete": False, **values}, total=values)
    # A pipe is as wide as the widest line.
    lines = energy_lines(told, asked("2026-11-14", "2026-11-20"), width=4000)
    table = lines[: lines.index("Total: 2026-11-14 to 2026-11-20.")]
    assert max(map(len, (line.rstrip() for line in table))) <= energy.WIDTH
    assert {len(line.split()) for line in table if line.startswith("Total ")} == {7}


def test_hourly_energy_covers_one_day(client):
    code, out, _ = client("energy", "--per", "hour", "--to", "2026-11-20")
    assert code == ExitCode.OK
    lines = out.splitlines()
    assert lines[2] == "2026-11-20"
    assert [line.split()[0] for line in lines[3:27]] == [
        f"{hour:02}:00+01:00*" for hour in range(24)
    ]
    assert max(map(len, lines[:28])) <= 60


def test_history_of_one_of_several_boxes_warns_wherever_it_goes(client, two_box_server, tmp_path):
    argv = ("history", "solar", "--from", "2026-11-20", "--box", box.ID)
    code, out, _ = client(*argv, at=two_box_server)
    assert code == ExitCode.OK
    assert "Box not known" in out
    assert "! This account has several boxes" in out
    code, out, err = client(*argv, "--csv", "-", at=two_box_server)
    assert out.startswith("time,")
    assert "several" not in out
    assert "! This account has several boxes" in err
    file = tmp_path / "solar.csv"
    code, out, err = client(*argv, "--csv", str(file), at=two_box_server)
    assert "several" not in out
    assert "! This account has several boxes" in err
    code, out, _ = client(*argv, "--json", at=two_box_server)
    assert json.loads(out)["box_id"] is None


@pytest.mark.parametrize(
    "argv",
    [
        ["history", "hunter2", "--from", "2026-11-20"],
        ["history", "solar"],
        ["history", "solar", "--from", "hunter2"],
        ["history", "solar", "--from", "2026-11-20", "--quantity", "volume"],
        ["energy", "--per", "hunter2"],
        ["energy", "--from", "hunter2"],
        ["energy", "--import-price", "hunter2"],
        ["energy", "--csv", "-", "--per", "week"],
        ["notifications", "--limit", "0"],
        ["notifications", "--since", "hunter2"],
        ["live", "--watch", "0.1"],
    ],
)
def test_wrong_usage_is_explained(client, argv):
    code, out, err = client(*argv)
    assert (code, out) == (ExitCode.USAGE, "")
    assert "hunter2" not in err


def test_notifications_of_an_empty_list_say_so(client):
    code, out, _ = client("notifications", "--limit", "3", "--since", "2026-11-20")
    assert code == ExitCode.OK
    assert "no notifications" in out
    assert "! The portal's list of notifications is empty" in out


def test_pages_of_notifications_follow_from_one_to_the_next(client, two_box_server):
    argv: tuple[str, ...] = ()
    seen: list[str] = []
    for left in (8, 5, 2, 0):
        code, out, err = client("notifications", "--limit", "3", *argv, at=two_box_server)
        assert code == ExitCode.OK, err
        seen += re.findall(r"zprava \d", out)
        hint = re.search(r"(\d) older ones are not shown; see (--before) (\w+)\.", out)
        assert (int(hint[1]) if hint else 0) == left
        argv = hint.groups()[1:] if hint else ()
    assert seen == [f"zprava {n}" for n in range(7, 0, -1)]
    missing = ("--before", "0123456789abcdef")
    code, _, err = client("notifications", *missing, at=two_box_server)
    assert code == ExitCode.TOOL
    assert "the id of a notification that the portal still has" in err


@pytest.mark.parametrize(
    ("argv", "values"),
    [
        (["live", "--json"], {"solar": {"power_w": float("nan")}}),
        (["status"], {"warnings": 5}),
        (["status"], {"verdict": None}),
        (["status"], {"last_known": [7]}),
        (["status"], {"critical": [7]}),
        (["notifications"], {"warnings": 5}),
        (["notifications"], {"notifications": [7]}),
        (["history", "solar", "--from", "2026-11-20"], {"quantities": [{"unit": "W"}]}),
        (
            ["history", "solar", "--from", "2026-11-20"],
            {"quantities": [{"name": "power_w", "mean": 7}], "times": ["2026-11-20T00:00:00Z"]},
        ),
        (
            ["history", "solar", "--from", "2026-11-20", "--csv", "-"],
            {"quantities": [{"name": "power_w", "mean": 7}], "times": ["2026-11-20T00:00:00Z"]},
        ),
    ],
)
def test_an_answer_of_another_form_is_the_servers_fault(client, monkeypatch, argv, values):
    for name in ("looked", "asked"):
        monkeypatch.setattr(f"client.battery.command.{name}", lambda *_args: values)
    code, out, err = client(*argv)
    assert code == ExitCode.TOOL
    assert "does not have the form" in out + err
    assert "NaN" not in out


def test_a_server_without_the_tool_is_reported(client, mcp_server, capsys):
    code = main(["live", "--url", mcp_server.url])
    assert code == ExitCode.NOT_MCP
    assert "get_live_data" in capsys.readouterr().err


@pytest.fixture
def screen(terminal, tmp_path, box_server):
    """Start the client on a terminal, with a login that is kept."""
    ring = tmp_path / "keyring.json"
    ring.write_text(json.dumps({f"oig-client {box_server.url}": Login("a@b.cz", "pw").packed()}))

    def start(*argv, env=None, **more):
        env = environment("InFile", ring) | {"OIG_MCP_URL": box_server.url} | (env or {})
        return terminal([sys.executable, "-m", "client", *argv], env, **more)

    return start


def test_watching_draws_in_place_until_ctrl_c(screen):
    watched = screen("live", "--watch", "1")
    watched.expect("Box 2206237016")
    seen = set()

    def changed():
        seen.update(re.findall(r"Solar +(\d+) W", watched.text))
        return len(seen) > 1

    watched.until(changed, "two different powers")
    assert watched.text.count("Box 2206237016") == 1
    watched.send("\x03")
    assert watched.wait() == ExitCode.OK
    assert "Traceback" not in watched.text
    assert not watched.screen.cursor.hidden


BUSY = "OIG Cloud answered 503: it is overloaded. Try again in a minute."


@pytest.fixture
def watched(client, monkeypatch):
    """Watch what is looked at in turn, until somebody presses Ctrl-C."""

    def run(*looks):
        waiting = iter([*looks, KeyboardInterrupt()])

        def looked(_session, _options):
            found = next(waiting)
            if isinstance(found, BaseException):
                raise found
            return found

        monkeypatch.setattr(watch, "looked", looked)
        monkeypatch.setattr("client.battery.watch.time.sleep", lambda _seconds: None)
        return client("live", "--watch", "1")

    return run


def coded(code, text=BUSY):
    return ToolFailure.from_answer(text, {KEY: {"code": code, "message": text}})


@pytest.mark.parametrize(
    "failure",
    [
        ToolFailure(BUSY),
        ToolFailure("OIG Cloud rejected this e-mail and password. Wrong arguments; whose data?"),
        coded("portal_error"),
        coded("never_heard_of"),
    ],
    ids=["no code", "words of a lasting one", "a passing code", "an unknown code"],
)
def test_watching_goes_on_after_a_passing_failure(watched, failure):
    code, out, err = watched(box.live(), failure, failure, box.live())
    assert code == ExitCode.OK
    assert out.count(f"Box {box.ID}") == 2
    assert err.count(failure.message) == 2


@pytest.mark.parametrize(
    "looks",
    [
        [ToolFailure(BUSY)],
        [box.live(), coded("credentials_rejected")],
        [box.live(), coded("credentials_conflict")],
        [box.live(), coded("invalid_arguments")],
    ],
    ids=["at first", "rejected", "unclear", "usage"],
)
def test_watching_ends_when_only_the_user_can_fix_the_failure(watched, looks):
    code, _, err = watched(*looks)
    assert code == ExitCode.TOOL
    assert looks[-1].message in err


def test_a_watch_that_is_terminated_gives_the_cursor_back(screen):
    watched = screen("live", "--watch", "1")
    watched.expect("Box 2206237016")
    watched.process.terminate()
    assert watched.wait() == 128 + signal.SIGTERM
    assert "Traceback" not in watched.text
    assert not watched.screen.cursor.hidden


def test_a_terminal_without_cursor_movement_gets_one_drawing_after_another(screen):
    watched = screen("live", "--watch", "1", env={"TERM": "dumb"})
    watched.until(lambda: watched.raw.count(b"Box 2206237016") > 1, "two drawings")
    watched.send("\x03")
    assert watched.wait() == ExitCode.OK
    assert b"\x1b" not in watched.raw


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize(
    "argv", [["live"], ["history", "solar", "--from", "2026-11-20"], ["notifications"]]
)
def test_everything_fits_a_terminal(screen, argv, columns):
    # The screen is wider than the client knows, so that it would show what does not fit.
    shown = screen(*argv, rows=60, columns=columns, seen=200)
    assert shown.wait() == ExitCode.OK
    widest = max(map(len, shown.lines))
    assert columns * 0.8 < widest <= columns
    if argv[0] == "history":
        assert "\u2514" in shown.text  # the corner of the curve's axes
