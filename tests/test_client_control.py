"""Changing a box from a terminal: planned, shown, confirmed by a typed word, sent once."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from client.__main__ import main
from client.address import DEFAULT_URL
from client.api import Endpoint
from client.catalogue import Tool
from client.control import command, views
from client.control.stored_plans import MOST, StoredPlans
from client.control.wishes import arguments_of
from client.exit_codes import ExitCode
from client.failures import UsageFailure
from client.login import Login
from client.options import parse

from .client_keyring import environment
from .drawing import drawn
from .fleet import running_fleet
from .portal_simulator import DEMO_BOX, SECOND_BOX

pytest_plugins = ("tests.client_servers", "tests.terminal")

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
PLAN = {
    "change_id": "1bf84f4d9abd9478",
    "box_id": DEMO_BOX,
    "kind": "mode",
    "change": f"box {DEMO_BOX}: mode Home 1 -> Home UPS",
    "before": "mode Home 1",
    "after": "mode Home UPS",
    "explanation": "In Home UPS: \x1b[31mthe battery is kept. Nothing is timed.",
    "warnings": ["It charges at several kW \x1b[31mat once, " + "whatever the tariff. " * 5],
    "plan_token": "plan_" + "x" * 120,
    "expires_at": "2026-11-22T12:05:00Z",
    "observed_at": "2026-11-22T12:00:00Z",
    "undoes": None,
}
REPORT = {
    "change_id": "1bf84f4d9abd9478",
    "box_id": DEMO_BOX,
    "kind": "mode",
    "status": "applied",
    "before": "mode Home 1",
    "after": "mode Home UPS",
    "requested_at": "2026-11-22T11:00:00Z",
    "shown_at": "2026-11-22T11:01:03Z",
    "seconds": 63.4,
    "portal": "accepted",
    "client": "oig-client 1",
    "undoes": None,
    "can_be_undone": True,
    "message": "The box showed the change.",
}


@pytest.mark.parametrize("framed", [True, False])
def test_a_plan_is_shown_as_a_difference_with_warnings_and_expiry(framed):
    text = drawn(views.plan_page(PLAN, now=NOW, framed=framed))
    for part in (
        f"Plan for box {DEMO_BOX}",
        "- mode Home 1\n" if not framed else "- mode Home 1 ",
        "+ mode Home UPS",
        "In Home UPS: ",
        "Nothing is timed.",
        "WARNING",
        "! It charges at several kW",
        "until 2026-11-22T13:05:00+01:00 (in 5 min)",
    ):
        assert part in text, part
    assert "\x1b" not in text


def test_the_difference_is_red_and_green_on_a_terminal():
    text = drawn(views.plan_page(PLAN, now=NOW, framed=True), colour=True)
    assert "\x1b[31m-" in text
    assert "\x1b[32m+" in text


def test_a_missing_value_of_a_result_is_a_dash():
    assert "- -" in drawn(views.plan_page({}, now=NOW, framed=False))
    assert "not known until when" in drawn(views.plan_page({}, now=NOW, framed=True))
    assert "Change - of box -" in drawn(views.report_page({}, framed=True))
    assert "Nothing was changed" in drawn(views.changes_table({}, framed=True))


@pytest.mark.parametrize("framed", [True, False])
def test_a_report_and_a_list_of_them_fit_eighty_columns(framed):
    text = drawn(views.report_page(REPORT, framed=framed))
    assert "APPLIED, seen 63 s after it was sent" in text
    assert "The box showed the change." in text
    assert "Shown      2026-11-22T12:01:03+01:00" in text
    pending = REPORT | {"status": "pending", "seconds": None, "can_be_undone": False}
    pending |= {"shown_at": None}
    assert "Shown" not in drawn(views.report_page(pending, framed=framed))
    values = {"changes": [REPORT, pending], "more": 3}
    text = drawn(views.changes_table(values, framed=framed))
    for part in (
        "2026-11-22T12:00:00+01:00",
        "applied",
        "2026-11-22T12:01:03+01:00",
        "pending",
        "1bf84f4d9abd9478",
        "no way back",
        "3 older",
    ):
        assert part in text, part


TOOL = Tool(
    name="plan_change",
    title="",
    description="",
    input_schema={
        "properties": {
            "mode": {"anyOf": [{"enum": ["Home 1", "Home UPS"]}, {"type": "null"}]},
            "home_grid_v": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
            "charge_to_percent": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "undo": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        }
    },
)


@pytest.mark.parametrize("typed", ["home_ups", "Home UPS", "HOME-UPS", "homeups"])
def test_a_value_may_be_typed_in_any_way_that_means_it(typed):
    assert arguments_of(TOOL, {"mode": typed}) == {"mode": "Home UPS"}


def test_values_get_the_types_of_the_schema():
    wishes = parse(["plan", "--home-grid-v", "off", "--charge-to", "80", "--undo", "12"], {}).wishes
    assert arguments_of(TOOL, wishes) == {
        "home_grid_v": False,
        "charge_to_percent": 80,
        "undo": "12",
    }


@pytest.mark.parametrize(
    ("wishes", "told"),
    [
        ({}, "--charge-to"),
        ({"mode": "eco"}, "choose one of home_1, home_ups"),
        ({"home_grid_v": "maybe"}, "on or off"),
        ({"charge_to_percent": "much"}, "whole number"),
        ({"boiler": "manual"}, "knows no --boiler"),
    ],
)
def test_invalid_changes_are_explained(wishes, told):
    with pytest.raises(UsageFailure, match=told):
        arguments_of(TOOL, wishes)


def test_plans_are_stored_for_their_owner_only_without_tokens_and_until_they_expire(tmp_path):
    plans = StoredPlans({"XDG_STATE_HOME": str(tmp_path)})
    file = tmp_path / "oig-client" / "plans.json"
    assert plans.find("x") is None
    assert plans.store(PLAN, NOW)
    assert plans.find(PLAN["plan_token"])["before"] == "mode Home 1"
    assert file.stat().st_mode & 0o777 == 0o600
    assert PLAN["plan_token"] not in file.read_text()
    late = NOW + timedelta(minutes=6)
    assert plans.store(PLAN | {"plan_token": "other", "expires_at": "2026-11-22T12:10:00Z"}, late)
    assert plans.find(PLAN["plan_token"]) is None
    for number in range(MOST + 5):
        plans.store(PLAN | {"plan_token": str(number)}, NOW)
    assert len(json.loads(file.read_text())) == MOST
    file.write_text("[broken")
    assert plans.find("other") is None
    file.unlink()
    file.mkdir()
    assert plans.store(PLAN, NOW) is False
    assert [each.name for each in file.parent.iterdir()] == ["plans.json"]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    journal = tmp_path_factory.mktemp("journal") / "journal.db"
    with running_fleet(1, OIG_CONTROL="on", OIG_JOURNAL=str(journal), OIG_LIVE_TTL="1") as fleet:
        yield fleet


@pytest.fixture
def house(fleet):
    """Give each test a box of its own: one that is under way would keep it from changing."""
    portal = fleet.portal
    portal.switch(delay=0)
    number = house.number = getattr(house, "number", 0) + 1
    email = f"house{number}@example.com"
    portal.add_account(email, "pw")
    yield email
    portal.clear_faults()


@pytest.fixture
def env(house, fleet, tmp_path):
    ring = tmp_path / "keyring.json"
    ring.write_text(json.dumps({f"oig-client {fleet.url}": Login(house, "pw").packed()}))
    return environment("InFile", ring) | {
        "OIG_MCP_URL": fleet.url,
        "XDG_STATE_HOME": str(tmp_path),
    }


@pytest.fixture
def client(capsys, monkeypatch, env):
    """Run the client without a terminal, with a login that is plans."""
    for name in ("OIG_EMAIL", "OIG_PASSWORD", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("keyring.core._keyring_backend", None)

    def run(*argv, stdin=""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        code = main(list(argv))
        out, err = capsys.readouterr()
        assert "\x1b" not in out + err
        assert "Traceback" not in err
        return code, out, err

    return run


def planned(client, *argv):
    code, out, err = client("plan", *argv, "--json")
    assert (code, err) == (ExitCode.OK, "")
    return json.loads(out)


def writes(fleet, box):
    return [each for each in fleet.portal.writes() if each["box"] == box]


def forget_answers(fleet):
    """Have the next look ask the portal: answers are shared for half a minute."""
    fleet.kill_daemon()
    fleet.start_daemon()


def test_a_plan_says_how_to_apply_it_and_changes_nothing(client, fleet):
    code, out, err = client("plan", "--mode", "home_ups")
    assert (code, err) == (ExitCode.OK, "")
    assert "\n- mode Home 1\n+ mode Home UPS\n" in out
    assert "! In Home UPS" in out
    assert "Nothing was changed yet." in out
    assert out.splitlines()[-1].startswith("oig-client apply plan_")
    code, out, _ = client("plan", "--mode", "home_7")
    assert code == ExitCode.USAGE
    plan = planned(client, "--mode", "home_ups")
    assert writes(fleet, plan["box_id"]) == []


def test_a_plan_that_cannot_be_stored_prints_no_command_that_cannot_work(client, monkeypatch):
    monkeypatch.setattr(StoredPlans, "store", lambda *_: False)
    code, out, err = client("plan", "--mode", "home_ups")
    assert code == ExitCode.OK
    assert "apply plan_" not in out
    assert "--apply" in err


def test_a_change_is_applied_shown_listed_and_undone(client, fleet):
    plan = planned(client, "--mode", "home_2")
    box = plan["box_id"]
    token = plan["plan_token"]
    code, out, err = client("apply", "-", "--yes-apply-to", box, "--no-wait", stdin=f"{token}\n")
    assert code == ExitCode.OK, err
    assert "+ mode Home 2" in err
    assert "PENDING" in out
    assert "The box has not been checked yet." in out
    assert "Nothing was changed yet." not in out + err
    forget_answers(fleet)
    code, out, _ = client("change", plan["change_id"], "--json")
    assert (code, json.loads(out)["status"]) == (ExitCode.OK, "applied")
    code, out, _ = client("changes", "--limit", "5")
    assert (code, plan["change_id"] in out) == (ExitCode.OK, True)
    code, out, _ = client("changes", "--json")
    assert len(json.loads(out)["changes"]) == 1
    # The token is used: the server says so.
    code, out, err = client("apply", plan["plan_token"], "--yes-apply-to", box, "--json")
    assert (code, err) == (ExitCode.TOOL, "")
    assert json.loads(out)["error"]["kind"] == "plan_used"
    assert f"oig-client change {plan['change_id']}" in json.loads(out)["error"]["message"]
    assert len(writes(fleet, box)) == 1


def test_without_a_terminal_the_box_must_be_named(client, fleet):
    plan = planned(client, "--mode", "home_3")
    for argv, kind in (
        (["apply", plan["plan_token"]], "not_confirmed"),
        (["apply", plan["plan_token"], "--yes-apply-to", "7"], "other_box"),
        (["plan", "--mode", "home_3", "--apply"], "not_confirmed"),
        (["apply", "plan_of_somebody", "--yes-apply-to", plan["box_id"]], "unknown_plan"),
        (["apply"], "missing_parameter"),
        (["plan", "--mode", "home_3", "--yes-apply-to", plan["box_id"]], "usage"),
    ):
        code, out, err = client(*argv, "--json")
        assert (code, err) == (ExitCode.USAGE, ""), argv
        assert json.loads(out)["error"]["kind"] == kind
    assert writes(fleet, plan["box_id"]) == []


def test_a_pending_change_is_a_success_only_without_a_wait(client, fleet):
    fleet.portal.switch(delay=600)
    plan = planned(client, "--mode", "home_2")
    yes = ["--yes-apply-to", plan["box_id"], "--json"]
    code, out, err = client("apply", plan["plan_token"], *yes, "--no-wait")
    assert (code, json.loads(out)["status"]) == (ExitCode.OK, "pending")
    assert err.splitlines()[-1] == f"oig-client change {plan['change_id']}"
    code, _, err = client("plan", "--mode", "home_3", "--apply", *yes[:2])
    assert code == ExitCode.TOOL
    assert f"`oig-client change {plan['change_id']}` shows its status" in err


def test_waiting_for_a_change_ends_in_time(client, fleet):
    fleet.portal.switch(delay=600)
    box = planned(client, "--mode", "home_2")["box_id"]
    argv = ["plan", "--mode", "home_2", "--apply", "--yes-apply-to", box, "--wait", "0.1"]
    code, out, err = client(*argv)
    assert (code, "PENDING" in out) == (ExitCode.TOOL, True)
    assert "oig-client change " in err


def asked_of(monkeypatch):
    """Collect what the server is asked, by tool."""
    asked = []
    call = Endpoint.call

    def noted(endpoint, name, arguments, *rest, **more):
        asked.append((name, dict(arguments)))
        return call(endpoint, name, arguments, *rest, **more)

    monkeypatch.setattr(Endpoint, "call", noted)
    return asked


def test_checking_a_change_waits_at_the_server_until_it_shows(client, fleet, monkeypatch):
    fleet.portal.switch(delay=2)
    plan = planned(client, "--mode", "home_2")
    client("apply", plan["plan_token"], "--yes-apply-to", plan["box_id"], "--no-wait")
    asked = asked_of(monkeypatch)
    code, out, _ = client("change", plan["change_id"], "--wait", "50", "--json")
    assert (code, json.loads(out)["status"]) == (ExitCode.OK, "applied")
    assert asked == [("get_change", {"change_id": plan["change_id"], "wait_s": 50})]


@pytest.mark.parametrize("argv", [[], ["--wait", "0"]])
def test_checking_a_change_waits_only_on_request(client, fleet, monkeypatch, argv):
    fleet.portal.switch(delay=600)
    plan = planned(client, "--mode", "home_2")
    client("apply", plan["plan_token"], "--yes-apply-to", plan["box_id"], "--no-wait")
    asked = asked_of(monkeypatch)
    code, out, _ = client("change", plan["change_id"], *argv, "--json")
    assert (code, json.loads(out)["status"]) == (ExitCode.OK, "pending")
    assert asked == [("get_change", {"change_id": plan["change_id"]})]


def test_a_wait_longer_than_one_answer_may_take_is_split_into_several_checks(
    client, fleet, monkeypatch
):
    fleet.portal.switch(delay=600)
    plan = planned(client, "--mode", "home_2")
    client("apply", plan["plan_token"], "--yes-apply-to", plan["box_id"], "--no-wait")
    asked = asked_of(monkeypatch)
    change = ["change", plan["change_id"], "--wait", "2", "--timeout", "6", "--json"]
    code, out, _ = client(*change)
    assert (code, json.loads(out)["status"]) == (ExitCode.OK, "pending")
    assert asked == [("get_change", {"change_id": plan["change_id"]})] * 3


@pytest.mark.parametrize("wait", ["51", "-1", "7.5", "soon", "", "1e1", "\u0665"])
def test_a_check_waits_for_whole_seconds_up_to_fifty(client, wait):
    code, out, _ = client("change", "1", f"--wait={wait}", "--json")
    assert code == ExitCode.USAGE
    assert "from 0 to 50" in json.loads(out)["error"]["message"]


def test_a_check_in_the_shell_waits_as_well(screen, fleet, client):
    fleet.portal.switch(delay=1)
    plan = planned(client, "--mode", "home_2")
    client("apply", plan["plan_token"], "--yes-apply-to", plan["box_id"], "--no-wait")
    shown = screen()
    shown.expect("> ")
    shown.send(f"change {plan['change_id']} --wait 50\r")
    shown.expect("APPLIED")
    shown.send("exit\r")
    assert shown.wait() == ExitCode.OK


def test_an_unclear_outcome_is_not_a_success_and_not_retried(client, fleet):
    plan = planned(client, "--mode", "home_2")
    before = len(fleet.portal.writes())
    fleet.portal.fault("drop", endpoint="writes")
    argv = ["apply", plan["plan_token"], "--yes-apply-to", plan["box_id"], "--json"]
    code, out, _ = client(*argv)
    assert code == ExitCode.TOOL
    assert json.loads(out)["status"] == "unclear"
    assert len(fleet.portal.writes()) == before + 1


def test_after_a_lost_answer_the_client_says_how_to_check_and_sends_nothing_again(client, fleet):
    plan = planned(client, "--mode", "home_2")
    before = len(fleet.portal.writes())
    fleet.portal.fault("slow", endpoint="writes", latency=8)
    argv = ["apply", plan["plan_token"], "--yes-apply-to", plan["box_id"], "--timeout", "4"]
    code, _, err = client(*argv)
    assert code == ExitCode.UNREACHABLE
    assert "not sent again" in err
    assert f"oig-client change {plan['change_id']}" in err
    assert len(fleet.portal.writes()) <= before + 1


def test_a_server_without_control_is_reported_with_how_to_switch_it_on(client, box_server):
    for argv in (["plan", "--mode", "home_1"], ["change", "1"]):
        code, out, _ = client(*argv, "--url", box_server.url, "--json")
        assert code == ExitCode.TOOL
        assert json.loads(out)["error"]["kind"] == "control_off"
        assert "OIG_CONTROL=on" in json.loads(out)["error"]["message"]


def test_with_an_older_server_the_token_alone_is_the_agreement(
    client, older_control_server, monkeypatch
):
    url = older_control_server.url
    for name, value in {"OIG_EMAIL": "demo@example.com", "OIG_PASSWORD": "demo"}.items():
        monkeypatch.setenv(name, value)
    code, out, err = client("plan", "--mode", "home_2", "--url", url, "--json")
    assert code == ExitCode.OK, err
    plan = json.loads(out)
    assert (plan["after"], "change" in plan) == ("mode Home 2", False)
    code, out, err = client("plan", "--mode", "home_2", "--url", url)
    assert "+ mode Home 2" in out
    yes = ["--yes-apply-to", plan["box_id"]]
    code, out, err = client("apply", plan["plan_token"], *yes, "--url", url)
    assert code == ExitCode.OK, err
    assert "APPLIED" in out
    code, out, _ = client("changes", "--url", url, "--json")
    (change,) = json.loads(out)["changes"]
    assert (change["change_id"], change["status"]) == (plan["change_id"], "applied")


def test_with_an_older_server_the_client_itself_waits_for_a_change(
    client, older_control_server, monkeypatch
):
    url = older_control_server.url
    for name, value in {"OIG_EMAIL": "demo2@example.com", "OIG_PASSWORD": "demo"}.items():
        monkeypatch.setenv(name, value)
    code, out, err = client("plan", "--mode", "home_2", "--box", SECOND_BOX, "--url", url, "--json")
    assert code == ExitCode.OK, err
    plan = json.loads(out)
    client("apply", plan["plan_token"], "--yes-apply-to", SECOND_BOX, "--no-wait", "--url", url)
    asked = asked_of(monkeypatch)
    code, out, err = client("change", plan["change_id"], "--wait", "50", "--url", url, "--json")
    assert (code, json.loads(out)["status"]) == (ExitCode.OK, "applied"), err
    assert len(asked) > 1
    assert {tuple(arguments) for _, arguments in asked} == {("change_id",)}


def test_the_agreed_change_is_sent_with_the_token(client, fleet):
    code, out, _ = client("plan", "--charge-to", "90")
    assert code == ExitCode.OK
    # Which of the two the simulated battery gives reason to say depends on the hour of the day.
    assert ("Nothing is timed" in out) is not ("nothing is charged: 0 kWh" in out)
    plan = planned(client, "--mode", "home_2")
    assert plan["change"] == f"box {plan['box_id']}: mode Home 1 -> Home 2"
    (plans,) = (
        one
        for one in json.loads(
            Path(os.environ["XDG_STATE_HOME"], "oig-client", "plans.json").read_text()
        ).values()
        if one["change_id"] == plan["change_id"]
    )
    assert plans["change"] == plan["change"]
    # By hand, where the client asks before it calls a tool that changes something.
    agreed = [f"{name}={plan[name]}" for name in ("plan_token", "box_id")]
    code, out, _ = client("call", "apply_change", *agreed, "change=another", "--yes", "--json")
    assert json.loads(out)["error"]["kind"] == "plan_mismatch"
    assert plan["change"] in json.loads(out)["error"]["message"]
    assert writes(fleet, plan["box_id"]) == []
    code, out, _ = client("call", "apply_change", *agreed, f"change={plan['change']}", "--yes")
    assert code == ExitCode.OK
    assert len(writes(fleet, plan["box_id"])) == 1


def test_the_agreement_is_shown_before_the_name_is_typed(screen, client, fleet):
    plan = planned(client, "--mode", "home_2")
    agreed = [f"{name}={plan[name]}" for name in ("box_id", "change", "plan_token")]
    shown = screen("call", "apply_change", *agreed)
    shown.expect("Type its name to call it")
    assert f"change: {plan['change']}" in shown.text
    assert f"box_id: {plan['box_id']}" in shown.text
    shown.send("\x04")
    assert shown.wait() == ExitCode.USAGE
    assert writes(fleet, plan["box_id"]) == []


def test_a_server_of_another_program_is_not_described_as_switched_off(client, mcp_server):
    code, _, err = client("plan", "--mode", "home_1", "--url", mcp_server.url)
    assert code == ExitCode.NOT_MCP
    assert "plan_change" in err


def test_the_shell_has_the_control_commands_too(client):
    code, out, _ = client("shell", stdin="plan --mode home_3\nchanges\n")
    assert code == ExitCode.OK
    assert "+ mode Home 3" in out
    assert "Nothing was changed through this server." in out


@pytest.fixture
def screen(terminal, env):
    def start(*argv):
        return terminal([sys.executable, "-m", "client", *argv], env)

    return start


@pytest.mark.parametrize(
    ("environ", "url", "shown"),
    [
        (None, DEFAULT_URL, False),
        (None, "http://x/mcp", True),
        ("http://x/mcp", "http://x/mcp", False),
        ("http://x/mcp", DEFAULT_URL, True),
        ("", DEFAULT_URL, False),
    ],
)
def test_a_command_to_copy_names_the_server_unless_it_is_the_default(
    monkeypatch, environ, url, shown
):
    monkeypatch.delenv("OIG_MCP_URL", raising=False)
    if environ is not None:
        monkeypatch.setenv("OIG_MCP_URL", environ)
    session = SimpleNamespace(whole_url=url, url=url)
    line = command._command(session, parse(["apply"], {}), "apply", "plan_x")
    assert (f"--url {url}" in line) is shown


QUESTION = "type the last 4 digits"


def test_typing_the_digits_of_the_box_confirms_the_plan(screen, fleet):
    shown = screen("plan", "--mode", "home_2", "--apply")
    shown.expect(QUESTION)
    box = re.findall(r"Plan for box (\d+)", shown.text)[0]
    assert "+ mode Home 2" in shown.text
    shown.send(f"{box[-4:]}\r")
    shown.expect("Waiting for the box")
    forget_answers(fleet)
    assert shown.wait() == ExitCode.OK
    assert "APPLIED" in shown.text
    assert max(map(len, shown.lines)) <= 80
    assert len(writes(fleet, box)) == 1


@pytest.mark.parametrize(("typed", "code"), [("y\r", 2), ("\x04", 2), ("\x03", 130)])
def test_typing_anything_else_changes_nothing(screen, client, fleet, typed, code):
    plan = planned(client, "--mode", "home_2")
    shown = screen("apply", plan["plan_token"])
    shown.expect(QUESTION)
    shown.send(typed)
    assert shown.wait() == code
    assert "Nothing was changed." in shown.text
    assert writes(fleet, plan["box_id"]) == []


def test_input_typed_before_the_plan_was_shown_confirms_nothing(screen, client, fleet):
    box = planned(client, "--mode", "home_2")["box_id"]
    shown = screen("plan", "--mode", "home_2", "--apply")
    shown.send(f"{box}\r")
    shown.expect(QUESTION)
    shown.send("\x04")
    assert shown.wait() == ExitCode.USAGE
    assert "Nothing was changed." in shown.text
    assert writes(fleet, box) == []


@pytest.mark.parametrize("box", [[], ["--box", ""], ["--box", "None"]])
def test_a_plan_that_names_no_box_cannot_be_confirmed(terminal, hostile_server, box):
    argv = [sys.executable, "-m", "client", "plan", "--mode", "home_1", *box, "--apply"]
    argv += ["--email", "a@b.cz", "--no-keyring", "--url", hostile_server.url]
    shown = terminal(argv, {"OIG_PASSWORD": "pw"})
    assert shown.wait() == ExitCode.TOOL
    assert "Nothing was changed." in shown.text
    assert QUESTION not in shown.text


def test_ctrl_c_stops_waiting_and_says_that_the_change_continues(screen, client, fleet):
    fleet.portal.switch(delay=600)
    plan = planned(client, "--mode", "home_2")
    shown = screen("apply", plan["plan_token"], "--yes-apply-to", plan["box_id"])
    shown.expect("Waiting for the box")
    shown.send("\x03")
    assert shown.wait() == ExitCode.INTERRUPTED
    assert "The change continues" in shown.text
    assert f"oig-client change {plan['change_id']}" in shown.text
    assert len(writes(fleet, plan["box_id"])) == 1
