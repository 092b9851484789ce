"""The reading tools against the simulator's own truth, through the real client in both eras."""

import asyncio
import base64
from datetime import UTC, date, datetime, timedelta

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from server.readings.clock import local_day
from server.readings.mode import MODES

from .fleet import PATIENCE, post, running_fleet, wait_until
from .portal_simulator import DEMO_BOX, QUEEN_BOX, SECOND_BOX

MODERN = "2026-07-28"
ROUNDING = 5.0
"""Watts by which the payload's integers may differ from the truth."""


@pytest.fixture(scope="module")
def fleet():
    # With browser login, a call without any login is refused before it comes to a tool.
    with running_fleet(2, OIG_LOGIN="chat") as fleet:
        yield fleet


@pytest.fixture(params=["legacy", MODERN])
async def ask(request, fleet):
    """Call tools as demo@example.com, with the clock of the portal standing still."""
    fleet.portal.reset()
    fleet.portal.set_clock(speed=0)
    forget_answers(fleet)
    async with Client(fleet.url, mode=request.param) as client:
        login = await client.call_tool(
            "check_auth", {"email": "demo@example.com", "password": "demo"}
        )
        handle = login.structured_content["session"]

        async def call(tool, **arguments):
            result = await client.call_tool(tool, {"session": handle, **arguments})
            assert not result.is_error, result.content[0].text
            return result.structured_content

        yield call


def forget_answers(fleet):
    from server.cache.blocking import BlockingClient

    with BlockingClient(fleet.socket_path) as daemon:
        daemon.call("flush", "sessions")


def basic(email, password="demo"):
    return "Basic " + base64.b64encode(f"{email}:{password}".encode()).decode()


def call(fleet, tool, arguments=None, **headers):
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": tool, "arguments": arguments or {}},
    }
    return post(fleet.url, body, **headers).json()["result"]


def near(value, truth):
    return abs(value - truth) <= ROUNDING


async def test_live_data_matches_the_box(fleet, ask):
    # At noon, for in the first minutes after midnight nobody knows the counters of the day.
    fleet.portal.set_clock(at="2025-06-15T12:40:00", speed=0)
    told, truth = await ask("get_live_data"), fleet.portal.truth()
    assert told["box_id"] == DEMO_BOX
    assert near(told["solar"]["power_w"], truth["pv_w"])
    assert near(told["grid"]["power_w"], truth["grid_w"])
    assert near(told["battery"]["power_w"], truth["battery_w"])
    assert near(told["load"]["backed_up_w"], truth["backed_load_w"])
    assert abs(told["battery"]["state_of_charge_percent"] - truth["soc_percent"]) <= 1
    assert told["battery"]["capacity_wh"] == truth["capacity_wh"]
    assert told["mode"]["name"] == MODES[truth["mode"]]
    uploaded = truth["uploaded"]["energy"]["day"]
    assert abs(told["energy"]["today"]["imported_wh"] - uploaded["imported_wh"]) <= 1
    assert abs(told["energy"]["today"]["exported_wh"] - uploaded["exported_wh"]) <= 1


async def test_live_data_of_a_box_in_contact_is_not_stale(ask):
    told = await ask("get_live_data")
    assert told["source"] in {"live", "cached"}
    assert told["age_s"] is not None
    assert told["stale"] is False


async def test_a_question_about_this_weeks_export_is_answered(fleet, ask):
    # In June, when there is something to export, whatever the season in which this runs.
    fleet.portal.set_clock(at="2025-06-15T12:40:00", speed=0)
    week = [str(date(2025, 6, 8) + timedelta(days=more)) for more in range(7)]
    told = await ask("get_history", series="grid", first_day=week[0], last_day=week[-1], points=10)
    truth = [fleet.portal.truth()["days"][day] for day in week]
    power = next(q for q in told["quantities"] if q["name"] == "power_w")
    assert power["summary"]["missing"] == 0
    # The portal's whole watts differ from the truth by three at most, at every moment of the week.
    rounding = 3 * 24 * len(week)
    exported = sum(day["exported_wh"] for day in truth)
    assert exported > 100 * rounding
    assert abs(power["summary"]["energy"]["exported_wh"] - exported) <= rounding
    imported = sum(day["imported_wh"] for day in truth)
    assert imported > 10 * rounding
    assert abs(power["summary"]["energy"]["imported_wh"] - imported) <= rounding
    assert len(told["times"]) <= 10
    assert told["box_id"] == DEMO_BOX
    assert told["measured_at"] == "2025-06-15T12:40:00+02:00"


async def test_notifications_give_the_evidence_for_an_active_bypass(fleet, ask):
    fleet.portal.add_notice(DEMO_BOX, "Automatický bypass - zapnut")
    told = await ask("get_notifications", limit=5)
    (box,) = told["bypasses"]
    assert box["box_id"] == DEMO_BOX
    assert box["bypass"]["automatic"]["state"] == "on"
    assert box["bypass"]["automatic"]["notification_id"] in {
        one["id"] for one in told["notifications"]
    }


def test_every_reading_warns_of_a_bypass_once_the_notifications_are_shared(fleet):
    fleet.portal.reset()
    forget_answers(fleet)
    fleet.portal.set_box(DEMO_BOX, bypass="manual")
    owner = {"Authorization": basic("demo@example.com")}
    yesterday = str(datetime.now(UTC).date() - timedelta(days=1))
    days = {"series": "grid", "first_day": yesterday, "last_day": yesterday}
    readings = [("list_boxes", {}), ("get_live_data", {}), ("get_history", days)]
    for tool, arguments in readings:
        told = call(fleet, tool, arguments, **owner)["structuredContent"]
        assert not any("bypass" in one for one in told["warnings"]), tool
        of_box = told.get("boxes", [told])[0]
        assert of_box["bypass"] is None
        assert any("bypass" in group["readings"] for group in of_box["unknown"])
    assert fleet.portal.state()["requests"]["notifications"] == 0
    told = call(fleet, "get_notifications", **owner)["structuredContent"]
    assert told["bypasses"][0]["bypass"]["manual"]["state"] == "on"
    for tool, arguments in [*readings, ("get_notifications", {})]:
        told = call(fleet, tool, arguments, **owner)["structuredContent"]
        assert any(f"manual bypass of box {DEMO_BOX} is on" in one for one in told["warnings"]), (
            tool
        )
    assert fleet.portal.state()["requests"]["notifications"] == 1


async def test_the_boxes_of_the_account_are_listed(fleet, ask):
    told = await ask("list_boxes")
    assert [box["id"] for box in told["boxes"]] == [DEMO_BOX]
    assert told["boxes"][0]["online"] is True


def test_an_offline_box_is_stale_in_every_reading(fleet):
    fleet.portal.reset()
    # It was lost an hour ago.
    fleet.portal.set_clock(offset=-3600)
    fleet.portal.set_box(DEMO_BOX, offline=True)
    fleet.portal.set_clock(offset=0)
    forget_answers(fleet)
    owner = {"Authorization": basic("demo@example.com")}
    told = call(fleet, "get_live_data", **owner)["structuredContent"]
    assert told["stale"] is True
    assert 3600 <= told["age_s"] <= 3600 + PATIENCE
    # An hour back may be yesterday, and in Prague it may be another day than in UTC.
    first = local_day(datetime.fromisoformat(told["measured_at"])).isoformat()
    last = local_day(datetime.now(UTC)).isoformat()
    for tool, arguments in (
        ("get_live_data", {}),
        ("list_boxes", {}),
        ("get_history", {"series": "grid", "first_day": first, "last_day": last}),
        ("get_notifications", {}),
    ):
        told = call(fleet, tool, arguments, **owner)["structuredContent"]
        assert any("last reported" in one for one in told["warnings"]), tool
    assert call(fleet, "list_boxes", **owner)["structuredContent"]["boxes"][0]["online"] is False


def test_without_live_data_the_result_explains_how_to_enable_it(fleet):
    fleet.portal.reset()
    forget_answers(fleet)
    fleet.portal.set_box(DEMO_BOX, live_data=False)
    told = call(fleet, "get_live_data", Authorization=basic("demo@example.com"))
    warnings = " ".join(told["structuredContent"]["warnings"])
    assert "Přístup k datům" in warnings


def test_credentials_come_from_the_headers_as_well(fleet):
    fleet.portal.reset()
    for headers in (
        {"Authorization": basic("demo@example.com")},
        {"X_OIG_Email": "demo@example.com", "X_OIG_Password": "demo"},
    ):
        login = call(fleet, "check_auth", **headers)
        assert login["structuredContent"]["email"] == "demo@example.com"
        assert not call(fleet, "list_boxes", **headers)["isError"]


def test_a_call_without_credentials_explains_how_to_provide_them(fleet):
    told = call(fleet, "get_live_data")
    assert told["isError"]
    assert "check_auth" in told["content"][0]["text"]
    assert "Authorization: Basic" in told["content"][0]["text"]


@pytest.mark.parametrize("handle", ["", "oig_x", "oig_" + "A" * 32, "nonsense"])
def test_an_invalid_handle_opens_nothing(fleet, handle):
    told = call(fleet, "get_live_data", {"session": handle})
    assert told["isError"]
    assert "check_auth" in told["content"][0]["text"]
    assert not handle or handle not in told["content"][0]["text"]


def test_a_flushed_session_ends_its_handle(fleet):
    fleet.portal.reset()
    handle = call(fleet, "check_auth", Authorization=basic("demo@example.com"))[
        "structuredContent"
    ]["session"]
    assert not call(fleet, "list_boxes", {"session": handle})["isError"]
    forget_answers(fleet)
    assert call(fleet, "list_boxes", {"session": handle})["isError"]


def test_several_boxes_are_listed_when_none_is_named(fleet):
    fleet.portal.reset()
    forget_answers(fleet)
    owner = {"Authorization": basic("demo2@example.com")}
    told = call(fleet, "get_live_data", **owner)
    assert told["isError"]
    assert SECOND_BOX in told["content"][0]["text"]
    assert QUEEN_BOX in told["content"][0]["text"]
    for box in (SECOND_BOX, QUEEN_BOX):
        told = call(fleet, "get_live_data", {"box_id": box}, **owner)["structuredContent"]
        assert told["box_id"] == box
        assert told["battery"]["capacity_wh"] == fleet.portal.truth(box)["capacity_wh"]


def test_history_of_several_boxes_is_never_attributed_to_one(fleet):
    fleet.portal.reset()
    forget_answers(fleet)
    yesterday = str(datetime.now(UTC).date() - timedelta(days=1))
    arguments = {
        "series": "solar",
        "first_day": yesterday,
        "last_day": yesterday,
        "quantities": ["string_2_power_w"],
        "box_id": QUEEN_BOX,
    }
    told = call(fleet, "get_history", arguments, Authorization=basic("demo2@example.com"))
    # The Queen has one string of panels; the portal answers with those of the account's first box.
    (second,) = told["structuredContent"]["quantities"]
    assert second["summary"]["maximum"] > 0
    assert told["structuredContent"]["box_id"] is None
    (warning,) = told["structuredContent"]["warnings"]
    assert f"Box {QUEEN_BOX} was asked for" in warning


async def test_ten_assistants_asking_at_once_cost_one_request(fleet):
    fleet.portal.reset()
    forget_answers(fleet)
    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "get_live_data", "arguments": {}},
        }
        headers = {"Authorization": basic("demo@example.com"), "Accept": "application/json"}
        answers = await asyncio.gather(
            *(http.post(fleet.url, json=body, headers=headers) for _ in range(30))
        )
    results = [answer.json()["result"] for answer in answers]
    assert not any(result["isError"] for result in results)
    sources = [result["structuredContent"]["source"] for result in results]
    assert sources.count("live") == 1
    assert fleet.portal.state()["requests"]["live"] == 1


@pytest.mark.parametrize("shape", ["list", "empty", "false", "html", "redirect"])
def test_a_session_ended_by_the_portal_is_replaced_once_and_the_read_repeated(fleet, shape):
    fleet.portal.reset()
    forget_answers(fleet)
    owner = {"Authorization": basic("demo@example.com")}
    assert not call(fleet, "check_auth", **owner)["isError"]
    fleet.portal.end_sessions()
    shapes = {"list": "list", "empty": "text", "false": "false", "html": "html"}
    fleet.portal.switch(expired={"live": shapes.get(shape, "redirect")})
    told = call(fleet, "get_live_data", **owner)
    assert not told["isError"], told
    assert fleet.portal.logins("demo@example.com")["attempts"] == 2


def test_a_handle_cannot_replace_a_dead_session_and_says_what_to_do(fleet):
    fleet.portal.reset()
    forget_answers(fleet)
    handle = call(fleet, "check_auth", Authorization=basic("demo@example.com"))[
        "structuredContent"
    ]["session"]
    fleet.portal.end_sessions()
    told = call(fleet, "get_live_data", {"session": handle})
    assert told["isError"]
    assert "check_auth" in told["content"][0]["text"]


@pytest.mark.parametrize(
    ("kind", "words"),
    [("error", "500"), ("html", "page"), ("drop", "connection"), ("too_many", "fewer requests")],
)
def test_failures_of_the_portal_are_distinguished_when_reading(fleet, kind, words):
    fleet.portal.reset()
    forget_answers(fleet)
    fleet.portal.fault(kind, endpoint="live", requests=1)
    # A portal that asks for fewer requests is left alone by that account for a while.
    owner = "demo2@example.com" if kind == "too_many" else "demo@example.com"
    told = call(fleet, "get_live_data", Authorization=basic(owner))
    assert told["isError"]
    assert words in told["content"][0]["text"].lower()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"series": "wind", "first_day": "2026-01-01", "last_day": "2026-01-02"},
            "`series` must be one of",
        ),
        ({"series": "grid"}, "`first_day` is missing; `last_day` is missing"),
        (
            {"series": "grid", "first_day": "soon", "last_day": "2026-01-02"},
            "`first_day` must be a date",
        ),
        ({"series": "grid", "first_day": "2026-01-05", "last_day": "2026-01-02"}, "is after"),
        ({"series": "grid", "first_day": "2026-01-01", "last_day": "2026-06-02"}, "31 days"),
        ({"series": "grid", "first_day": "2999-01-01", "last_day": "2999-01-02"}, "future"),
        (
            {"series": "grid", "first_day": "2026-01-01", "last_day": "2026-01-02", "points": 9999},
            "`points` must be at most 300",
        ),
        (
            {
                "series": "grid",
                "first_day": "2026-01-01",
                "last_day": "2026-01-02",
                "quantities": ["power_w", "price"],
            },
            "`quantities` of grid must be all, or of these, with commas between: voltage_v",
        ),
    ],
)
def test_wrong_arguments_of_history_are_explained(fleet, arguments, words):
    told = call(fleet, "get_history", arguments, Authorization=basic("demo@example.com"))
    assert told["isError"]
    assert words in told["content"][0]["text"]


async def test_no_account_ever_sees_anothers_data(fleet):
    fleet.portal.reset()
    forget_answers(fleet)
    fleet.portal.add_account("third@example.com", "demo")
    third = call(fleet, "list_boxes", Authorization=basic("third@example.com"))
    (box,) = third["structuredContent"]["boxes"]
    assert box["id"] != DEMO_BOX
    owners = {"demo@example.com": {DEMO_BOX}, "third@example.com": {box["id"]}}

    async def look(http, email):
        body = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "list_boxes", "arguments": {}},
        }
        answer = await http.post(
            fleet.url,
            json=body,
            headers={"Authorization": basic(email), "Accept": "application/json"},
        )
        seen = answer.json()["result"]["structuredContent"]["boxes"]
        assert {one["id"] for one in seen} == owners[email]

    async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
        for _ in range(3):
            await asyncio.gather(*(look(http, email) for email in list(owners) * 15))
            forget_answers(fleet)


def test_only_listed_accounts_may_use_a_server_that_lists_them(tmp_path):
    allowed = tmp_path / "allowed"
    allowed.write_text("# our house\ndemo@example.com\n")
    log = tmp_path / "auth.log"
    with running_fleet(1, OIG_ALLOWED_EMAILS=str(allowed), OIG_AUTH_LOG=str(log)) as fleet:
        assert not call(fleet, "check_auth", Authorization=basic("demo@example.com"))["isError"]
        told = call(fleet, "check_auth", Authorization=basic("demo2@example.com"))
        assert fleet.portal.logins()["attempts"] == 1
        rejected = call(fleet, "check_auth", Authorization=basic("demo@example.com", "wrong"))
        assert told == rejected
        assert told["isError"]
        lines = log.read_text().splitlines()
        logs = fleet.logs()
    assert [line.rsplit(": ", 1)[1] for line in lines] == ["not allowed", "rejected"]
    assert all("from 127.0.0.1 account" in line for line in lines)
    assert logs.count("is not on the allow-list: no login was sent") == 1


async def test_headers_of_a_client_serve_all_its_calls(fleet):
    fleet.portal.reset()
    async with (
        httpx2.AsyncClient(
            headers={"Authorization": basic("demo@example.com")}, trust_env=False, timeout=60
        ) as http,
        Client(streamable_http_client(fleet.url, http_client=http)) as client,
    ):
        assert not (await client.call_tool("check_auth", {})).is_error
        assert not (await client.call_tool("get_live_data", {})).is_error


async def test_a_caller_sharing_a_read_does_not_suffer_from_anothers_ended_session(fleet):
    fleet.portal.reset()
    forget_answers(fleet)
    owner = {"Authorization": basic("demo@example.com")}
    handle = call(fleet, "check_auth", **owner)["structuredContent"]["session"]
    fleet.portal.end_sessions()
    fleet.portal.fault("slow", endpoint="live", latency=1, requests=1)
    first = asyncio.create_task(asyncio.to_thread(call, fleet, "list_boxes", {"session": handle}))
    await asyncio.to_thread(
        wait_until, "the read", lambda: fleet.portal.state()["requests"]["live"] == 1
    )
    others = await asyncio.gather(
        *(asyncio.to_thread(call, fleet, "list_boxes", {}, **owner) for _ in range(5))
    )
    assert (await first)["isError"]
    assert not any(other["isError"] for other in others)
    assert fleet.portal.logins("demo@example.com")["attempts"] == 2
