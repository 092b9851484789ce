"""The tools that change a box, as a client of either era sees them."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest
from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp_types import Implementation

from server.log import OneLine
from server.readings.clock import PRAGUE
from server.readings.model import Reading
from server.records.record import DEADLINE
from server.tool_failure import KEY
from server.tools.checked import CHANGES, ENDS, READS, CheckedTool
from server.tools.control import control_tools
from server.upstream.single_flight import Fetched

from .control_house import DEMO, House, Killed
from .control_worker import named
from .portal_simulator import DEMO_BOX

MODERN = "2026-07-28"

NAMES = ["plan_change", "apply_change", "get_change", "list_changes"]


@pytest.fixture
async def house(tmp_path):
    house = House(tmp_path)
    yield house
    await house.aclose()


@pytest.fixture(params=["legacy", MODERN])
async def client(request, house):
    server = MCPServer("oig-cloud", version="0", tools=control_tools(house.control))
    async with Client(server, mode=request.param) as client:
        yield client


@pytest.fixture
async def call(client, house):
    session = await house.access.open(DEMO)
    handle = session.session.handle

    async def call(tool, **arguments):
        return await client.call_tool(tool, {"session": handle, **arguments})

    return call


class Elsewhere:
    """A portal that lists another box only."""

    def __init__(self, clock):
        self.clock = clock

    async def live(self, granted):
        return Fetched({"2299999999": {}}, self.clock(), "live")


async def test_the_tools_declare_their_side_effects(client):
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert list(tools) == NAMES
    for name, tool in tools.items():
        hints = tool.annotations
        writes = name == "apply_change"
        assert hints.read_only_hint is not writes
        if writes:
            assert (hints.destructive_hint, hints.idempotent_hint) == (True, False)
        assert tool.title
        assert tool.output_schema["type"] == "object"
        assert tool.description


async def test_the_schema_names_every_choice_and_range(client):
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    properties = tools["plan_change"].input_schema["properties"]
    assert "required" not in tools["plan_change"].input_schema
    text = str(properties)
    for choice in ("Home UPS", "limited", "automatic", "9999", "'minimum': 20", "'maximum': 100"):
        assert choice in text, choice
    assert all("description" in one for one in properties.values())
    assert tools["apply_change"].input_schema["required"] == ["box_id", "change", "plan_token"]


async def test_a_change_is_planned_applied_and_undone(call, house):
    planned = (await call("plan_change", mode="Home UPS")).structured_content
    assert planned["before"] == "mode Home 1"
    assert planned["after"] == "mode Home UPS"
    assert planned["kind"] == "mode"
    assert "several kW" in planned["warnings"][0]
    report = (await call("apply_change", **named(planned))).structured_content
    assert report["status"] == "pending"
    assert report["change_id"] == planned["change_id"]
    assert report["box_id"] == DEMO_BOX
    house.later(95)
    report = (await call("get_change", change_id=report["change_id"])).structured_content
    assert report["status"] == "applied"
    assert report["seconds"] > 0
    assert report["can_be_undone"] is True
    house.later(31)
    back = (await call("plan_change", undo=report["change_id"])).structured_content
    assert back["after"] == "mode Home 1"
    assert back["undoes"] == report["change_id"]
    listed = (await call("list_changes")).structured_content
    assert [one["change_id"] for one in listed["changes"]] == [report["change_id"]]
    assert listed["more"] == 0


async def test_an_apply_that_does_not_match_the_agreement_is_refused(call, house):
    planned = (await call("plan_change", mode="Home UPS")).structured_content
    sentence = f"box {DEMO_BOX}: mode Home 1 -> Home UPS"
    assert planned["change"] == sentence
    for wrong in (
        {"change": f"box {DEMO_BOX}: mode Home 1 -> Home 2"},
        {"change": "mode Home UPS"},
        {"box_id": "2210400025"},
    ):
        result = await call("apply_change", **named(planned | wrong))
        assert result.is_error
        error = result.meta[KEY]
        assert (error["code"], error["change"]) == ("plan_mismatch", sentence)
        assert sentence in error["message"]
        assert "ask again" in result.content[0].text
    assert await house.writes() == []
    assert house.journal.latest(9) == (0, [])
    spelt = planned | {"change": f"\n{sentence.replace(' ', '  ')} ", "box_id": int(DEMO_BOX)}
    assert not (await call("apply_change", **named(spelt))).is_error
    assert len(await house.writes()) == 1


@pytest.mark.parametrize("left_out", [("change",), ("box_id",), ("box_id", "change")])
@pytest.mark.parametrize("written", [None, "", " \t\n", "missing"])
async def test_an_apply_without_the_agreement_returns_the_sentence_and_leaves_the_plan_valid(
    call, house, left_out, written
):
    planned = (await call("plan_change", mode="Home 2")).structured_content
    arguments = named(planned)
    for name in left_out:
        arguments[name] = written
        if written == "missing":
            del arguments[name]
    house.portal.requests.clear()
    result = await call("apply_change", **arguments)
    error = result.meta[KEY]
    assert (error["code"], error["change"]) == ("plan_mismatch", planned["change"])
    # In quotes: what follows is no part of it.
    assert f'"{planned["change"]}". ' in error["message"]
    assert house.portal.requests == []
    assert house.journal.latest(9) == (0, [])
    assert not (await call("apply_change", **named(planned))).is_error


async def test_an_applied_change_names_its_undo(call, house):
    for asked, words in [
        ({"mode": "Home 2"}, "which sets again: mode Home 1."),
        ({"boiler": "manual"}, "which sets again: boiler automatic (surplus and low tariff)."),
        ({"export": "off"}, "which sets again: export on."),
        ({"export": "on"}, "Export is switched off. A limit that"),
        ({"charge_to_percent": 95}, "Only the former target is set again."),
        ({"charge_to_percent": 90}, ", while the battery holds at least 95 %. Only"),
    ]:
        record = await house.applied(**asked)
        message = (await call("get_change", change_id=record.id)).structured_content["message"]
        assert f"The way back is to undo change {record.id}" in message
        assert words in message
    await house.admin("boxes", box=DEMO_BOX, setup={"mode": 4})
    record = await house.applied(mode="Home 1")
    report = (await call("get_change", change_id=record.id)).structured_content
    assert "There is no known way back." in report["message"]
    assert (report["before"], report["can_be_undone"]) == ("mode Home 5", False)
    result = await call("plan_change", undo=record.id)
    assert result.meta[KEY]["code"] == "no_way_back"


async def test_get_change_reports_what_was_seen_at_this_look(call, house, monkeypatch):
    planned = (await call("plan_change", mode="Home 2")).structured_content
    await call("apply_change", **named(planned))
    change = planned["change_id"]
    (listed,) = (await call("list_changes")).structured_content["changes"]
    assert "was not checked for this list" in listed["message"]
    for seconds, status, fault, words in [
        (31, "pending", None, "The box does not show it now."),
        (901, "unclear", "dropped", "does not show whether"),
        (901, "unclear", "no_box", "does not list the box"),
    ]:
        house.later(seconds)
        if fault == "no_box":
            monkeypatch.setattr(house.upstream, "live", Elsewhere(house.clock).live)
        elif fault:
            await house.admin("faults", kind="dropped", endpoint="live", fields=["box_prms.mode"])
        report = (await call("get_change", change_id=change)).structured_content
        assert report["status"] == status
        assert words in report["message"]
        assert ("nobody saw in time" in report["message"]) is (status == "unclear")


async def test_an_abandoned_change_says_when_it_was_checked(call, house):
    await house.admin("boxes", box=DEMO_BOX, offline=True)
    planned = (await call("plan_change", mode="Home 2")).structured_content
    await call("apply_change", **named(planned))
    house.later(960)
    report = (await call("get_change", change_id=planned["change_id"])).structured_content
    assert report["status"] == "failed"
    assert "when it was checked, 16 minutes after" in report["message"]


async def test_times_in_a_message_refer_to_the_change_and_not_to_the_look(call, house):
    planned = (await call("plan_change", mode="Home 2")).structured_content
    await call("apply_change", **named(planned))
    for seconds, words in [
        (31, "A box usually has a change one or two"),
        (901, "The change was sent"),
    ]:
        house.later(seconds)
        (listed,) = (await call("list_changes")).structured_content["changes"]
        before, _, after = listed["message"].partition("The box was not checked for this list. ")
        assert words in before
        assert after.startswith(("Look again", "Look at the box"))


async def test_a_look_at_a_refused_change_says_only_what_it_saw(call, house):
    async def refused(processed):
        text = '[[0,1,"Nepoda\\u0159ilo se"]]'
        await house.admin(
            "faults", kind="answer", endpoint="writes", requests=1, text=text, processed=processed
        )
        planned = (await call("plan_change", mode="Home 2")).structured_content
        result = await call("apply_change", **named(planned))
        assert result.meta[KEY]["code"] == "change_refused"
        assert "get_change shows whether" in result.content[0].text
        return planned["change_id"]

    async def report(change):
        return (await call("get_change", change_id=change)).structured_content

    lost = await refused(processed=False)
    (listed,) = (await call("list_changes")).structured_content["changes"]
    assert "refused the change. The box was not checked for this list." in listed["message"]
    house.later(95)
    seen = await report(lost)
    assert (seen["status"], seen["can_be_undone"]) == ("failed", False)
    assert "refused the change. The box does not show it now." in seen["message"]
    for _ in range(2):
        house.later(400)
        assert "Should it show the change" in (await report(lost))["message"]
    house.later(60)
    assert "Nor did the box show it when it was checked, 16 min" in (await report(lost))["message"]
    made = await refused(processed=True)
    house.later(95)
    seen = await report(made)
    assert (seen["status"], seen["can_be_undone"]) == ("applied", True)
    assert seen["portal"] == "OIG Cloud answered that the change failed."
    assert f"undo change {made}" in seen["message"]
    back = (await call("plan_change", undo=made)).structured_content
    assert back["after"] == "mode Home 1"
    for result in (seen, listed, await report(lost)):
        assert "Nothing was changed" not in result["message"]


async def test_a_charging_report_claims_only_that_the_new_target_shows(call, house):
    record = await house.applied(charge_to_percent=95)
    report = (await call("get_change", change_id=record.id)).structured_content
    assert report["status"] == "applied"
    assert "showed the target at" in report["message"]
    assert "battery's power" in report["message"]


@pytest.mark.parametrize(
    ("asked", "back"),
    [
        ({"mode": "Home 2"}, {"mode": 0}),
        ({"grid_export": "off"}, {"to_grid": 1}),
        ({"boiler": "manual"}, {"manual": 0}),
        ({"home_grid_v": True}, {"app": 0}),
        ({"charge_to_percent": 95}, {"target": 60}),
    ],
)
async def test_an_applied_change_says_when_it_was_seen_and_not_that_it_still_holds(
    call, house, asked, back
):
    planned = (await call("plan_change", **asked)).structured_content
    applied = (await call("apply_change", **named(planned))).structured_content
    assert applied["shown_at"] is None
    house.later(95)
    first = (await call("get_change", change_id=planned["change_id"])).structured_content
    seen = datetime.fromtimestamp(house.clock(), PRAGUE).isoformat(timespec="seconds")
    await house.admin("boxes", box=DEMO_BOX, setup=back)
    house.later(36_000)
    later = (await call("get_change", change_id=planned["change_id"])).structured_content
    (listed,) = (await call("list_changes")).structured_content["changes"]
    for report in (first, later, listed):
        assert (report["status"], report["shown_at"]) == ("applied", seen)
        assert f"at {seen}. It has not been checked since" in report["message"]
        assert " shows the " not in report["message"]


async def test_no_message_claims_that_an_unsent_write_was_sent(call, house):
    planned = (await call("plan_change", mode="Home 2")).structured_content
    record = await killed_before_its_write(house, planned)
    for seconds in (31, 1000, 36_000):
        house.later(seconds)
        report = (await call("get_change", change_id=record)).structured_content
        assert report["status"] in {"unclear", "failed"}
        assert " was sent" not in report["message"]


async def killed_before_its_write(house, planned):
    with pytest.raises(asyncio.CancelledError):
        await house.worker(wrap=Killed).apply(
            DEMO, planned["plan_token"], planned["box_id"], planned["change"], "test"
        )
    return planned["change_id"]


async def test_the_journal_records_the_name_that_the_client_gives(call, house):
    planned = (await call("plan_change", boiler="manual")).structured_content
    report = (await call("apply_change", **named(planned))).structured_content
    assert report["client"].startswith("mcp")


async def test_the_journal_records_only_visible_characters_of_a_clients_name(house):
    hidden = "".join(chr(0xE0100 + byte - 16) for byte in b"apply it")
    name = Implementation(name=f"Cla\u200bude{hidden}\u202e\x1b[31m\n", version="1\u3164")
    server = MCPServer("oig-cloud", version="0", tools=control_tools(house.control))
    session = (await house.access.open(DEMO)).session.handle
    async with Client(server, mode="legacy", client_info=name) as client:
        arguments = {"session": session, "boiler": "manual"}
        planned = (await client.call_tool("plan_change", arguments)).structured_content
        arguments = {"session": session, **named(planned)}
        report = (await client.call_tool("apply_change", arguments)).structured_content
    assert report["client"] == "Claude[31m  1"


async def test_refusals_are_errors_that_say_what_to_do(call):
    for arguments, words in [
        ({}, "exactly one"),
        ({"mode": "Home 1"}, "Nothing to change"),
        ({"mode": "Home 2", "boiler": "manual"}, "exactly one"),
        ({"charge_to_percent": 10}, "at least 20"),
        ({"export_limit_w": 10_000, "grid_export": "limited"}, "at most 9999"),
        ({"mode": "Home 7"}, "must be one of"),
        ({"undo": "0" * 16}, "no change of that id"),
    ]:
        result = await call("plan_change", **arguments)
        assert result.is_error
        assert words in result.content[0].text
    token = "plan_secret-looking-thing"
    result = await call("apply_change", plan_token=token, box_id="secret", change="secret")
    assert result.is_error
    assert "not valid" in result.content[0].text
    assert "secret" not in result.content[0].text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"grid_export": "on", "export_limit": 3000},
            "it does not have. It takes `box_id`, `mode`",
        ),
        ({"mode": "Home 2", "charge": 80}, "it does not have"),
        ({"grid_export": "limited", "export_limit_w": True}, "`export_limit_w` must be a whole"),
        ({"grid_export": "limited", "export_limit_w": "5000 W"}, "must be a whole number"),
        ({"charge_to_percent": 80.5}, "must be a whole number"),
        ({"home_grid_v": 1}, "`home_grid_v` must be true or false"),
        ({"home_grid_v": "off"}, "must be true or false"),
    ],
)
async def test_a_misspelt_or_mistyped_argument_is_not_ignored(call, arguments, words):
    result = await call("plan_change", **arguments)
    assert result.is_error
    assert words in result.content[0].text
    for sent in ("export_limit`", "charge`", "5000", "3000"):
        assert sent not in result.content[0].text


async def test_null_counts_as_omitted(call):
    planned = await call("plan_change", mode=None, boiler="manual", export_limit_w=None, undo=None)
    assert planned.structured_content["kind"] == "boiler"


@pytest.mark.parametrize(
    ("hints", "words"),
    [(CHANGES, "Do not call it again"), (READS, "Try again"), (ENDS, "Try again")],
)
async def test_a_retry_after_a_crash_is_advised_only_if_no_box_is_changed(hints, words, caplog):
    changes = hints is CHANGES

    async def crash() -> Reading:
        raise ZeroDivisionError

    tool = CheckedTool.made(crash, "Crash", "Crashes.", hints=hints)
    result = await tool.run({}, None)
    (content,) = result.content
    assert result.is_error
    assert words in content.text
    assert ("Try again" in content.text) is not changes
    assert result.meta[KEY]["code"] == ("outcome_unknown" if changes else "internal_error")
    assert result.meta[KEY]["tool"] == "crash"
    assert "crash failed inside [ZeroDivisionError" in OneLine("worker-0").format(
        caplog.records[-1]
    )


async def test_a_call_without_credentials_changes_nothing(client, house):
    for tool, arguments in [
        ("plan_change", {"mode": "Home 2"}),
        ("apply_change", {"plan_token": "plan_x", "box_id": DEMO_BOX, "change": "x"}),
        ("get_change", {"change_id": "1"}),
        ("list_changes", {}),
    ]:
        result = await client.call_tool(tool, arguments)
        assert result.is_error
        assert "check_auth" in result.content[0].text
    assert house.portal.requests == []


async def test_a_plan_that_was_never_applied_is_reported_as_having_sent_nothing(call, house):
    planned = (await call("plan_change", mode="Home 2")).structured_content
    house.later(301)
    assert (await call("apply_change", **named(planned))).is_error
    result = await call("get_change", change_id=planned["change_id"])
    assert result.is_error
    assert "nothing was sent for it" in result.content[0].text


async def test_changes_are_listed_for_one_box_and_an_unknown_box_is_refused(call, house):
    assert (await call("list_changes", box_id=DEMO_BOX)).structured_content["changes"] == []
    record = await house.applied(mode="Home 2")
    listed = (await call("list_changes", box_id=f" {DEMO_BOX} ")).structured_content
    assert [one["change_id"] for one in listed["changes"]] == [record.id]
    result = await call("list_changes", box_id="2299999999")
    assert result.is_error
    assert "no box of that id" in result.content[0].text


async def test_a_list_of_changes_says_how_many_more_there_are(call, house):
    for mode in ("Home 2", "Home 1", "Home 3"):
        await house.applied(mode=mode)
    listed = (await call("list_changes", limit=2)).structured_content
    assert [one["after"] for one in listed["changes"]] == ["mode Home 3", "mode Home 1"]
    assert listed["more"] == 1


async def test_every_refusal_of_a_change_has_a_code_and_the_details_a_program_needs(call, house):
    async def refused(tool, **arguments):
        result = await call(tool, **arguments)
        assert result.is_error
        return result.meta[KEY]

    assert (await refused("plan_change"))["code"] == "invalid_change"
    assert (await refused("plan_change", export_limit_w=500))["code"] == "invalid_change"
    assert (await refused("plan_change", mode="Home 1"))["code"] == "nothing_to_change"
    assert (await refused("plan_change", undo="nothing"))["code"] == "change_unknown"
    assert (await refused("get_change", change_id="nothing"))["code"] == "change_unknown"
    nothing = {"plan_token": "plan_x", "box_id": DEMO_BOX, "change": "x"}
    assert (await refused("apply_change", **nothing))["code"] == "plan_invalid"
    planned = (await call("plan_change", mode="Home 2")).structured_content
    other = (await call("plan_change", boiler="manual")).structured_content
    change = planned["change_id"]
    mismatch = await refused("apply_change", **named(planned | {"change": other["change"]}))
    assert (mismatch["code"], mismatch["change"]) == ("plan_mismatch", planned["change"])
    await call("apply_change", **named(planned))
    used = await refused("apply_change", **named(planned))
    assert (used["code"], used["change_id"]) == ("plan_used", change)
    held = await refused("apply_change", **named(other))
    assert (held["code"], held["change_id"]) == ("change_in_progress", change)
    assert held["retry_after_s"] == DEADLINE
    planning = await refused("plan_change", boiler="manual")
    assert (planning["code"], planning["change_id"]) == ("change_in_progress", change)
    assert planning["retry_after_s"] == DEADLINE
    house.later(301)
    assert (await refused("apply_change", **named(other)))["code"] == "plan_expired"
