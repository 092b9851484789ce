"""The tool get_status: what it asks of whom, what that costs, and what it says when some fail."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from starlette.requests import Request

from evals.scenario import DEMO as LOGIN
from evals.virtual_time import VirtualTimeLoop
from evals.world import world
from server.auth.access import Access
from server.auth.handles import Handles
from server.auth.sealing import Sealer
from server.auth.sessions import Sessions
from server.cache.client import CacheClient
from server.control.entries import Entries
from server.records.journal import Journal
from server.records.record import Record
from server.state.fallback import WorkerAccounts
from server.tool_failure import KEY
from server.tools.status import status_tool
from server.upstream.portal_reader import Upstream

from .control_house import CLIENT, DEMO, NOON, SECRET, House
from .control_worker import agreed
from .daemon_worker import HELLO
from .journal_entries import begin
from .listed_tools import listed_tools
from .local_accounts import local_accounts
from .portal_simulator import DEMO_BOX, QUEEN_BOX, SECOND_BOX
from .test_reading_results import Portal
from .tools_once import tool as over

SCHEMA = listed_tools()["get_status"].output_schema

ONE, TWO = "demo@example.com", "demo2@example.com"


@pytest.fixture
async def house(tmp_path):
    house = House(tmp_path)
    yield house
    await house.aclose()


def context(email: str, password: str, handle: bool = False) -> Any:
    """What a call has whose header carries a login, or none beside a handle."""
    login = base64.b64encode(f"{email}:{password}".encode())
    headers = [] if handle else [(b"authorization", b"Basic " + login)]
    request = Request({"type": "http", "headers": headers, "client": None})
    return SimpleNamespace(request_context=SimpleNamespace(request=request))


async def asked(
    house: House,
    tool: str = "get_status",
    *,
    email: str = ONE,
    password: str = "demo",
    entries: Entries | None = None,
    **arguments: Any,
) -> Any:
    access, upstream = house.access, house.upstream
    found = over(
        tool,
        access,
        upstream,
        lambda: datetime.fromtimestamp(house.clock(), UTC),
        entries or Entries(house.journal),
    )
    return await found.run(arguments, context(email, password, "session" in arguments))


async def status(house: House, **more: Any) -> Any:
    answer = await asked(house, **more)
    assert not answer.is_error, answer
    assert json.loads(answer.content[0].text) == answer.structured_content
    jsonschema.validate(answer.structured_content, SCHEMA)
    return answer.structured_content


async def failure(house: House, **more: Any) -> Any:
    answer = await asked(house, **more)
    assert answer.is_error, answer
    return answer.meta[KEY]["code"]


async def requests(house: House) -> dict[str, int]:
    found = (await house._admin.get("state")).json()["requests"]
    return {name: count for name, count in found.items() if count}


ALONE = {"login": 1, "live": 1, "notifications": 1}


async def test_a_status_costs_only_live_data_and_notifications_and_shares_them(house):
    assert (await status(house))["verdict"] == "fine"
    assert await requests(house) == ALONE
    for tool in ("get_live_data", "get_notifications", "get_status"):
        assert not (await asked(house, tool)).is_error
    assert await requests(house) == ALONE


async def test_a_status_reuses_the_answers_of_earlier_calls(house):
    await asked(house, "get_notifications")
    assert await requests(house) == ALONE
    found = await status(house)
    assert await requests(house) == ALONE
    assert len(json.dumps(found, ensure_ascii=False, separators=(",", ":"))) <= 700


FAILS = ["drop", "error", "html", "too_many", "unavailable", "forbidden", "truncated_gzip"]


@pytest.mark.parametrize("kind", FAILS)
async def test_any_portal_failure_means_down_and_the_last_values_have_their_time(house, kind):
    before = await status(house)
    house.later(90)
    await house.admin("faults", kind=kind, endpoint="live")
    found = await status(house)
    assert found["verdict"] == "portal down"
    assert found["box_id"] == DEMO_BOX
    (last,) = found["last_known"]
    assert last["measured_at"] == before["measured_at"]
    assert last["age_s"] == 90 + before["age_s"]
    assert last["fetched_at"] == before["fetched_at"]
    assert "not of now" in found["warnings"][1]
    assert found["measured_at"] is None
    # Nothing beside the read itself: notifications are not asked for in vain.
    assert await requests(house) == {**ALONE, "live": 2}


async def test_no_request_is_sent_during_a_back_off(house):
    await house.admin("faults", kind="too_many", endpoint="live", retry_after=120, requests=1)
    assert (await status(house))["verdict"] == "portal down"
    house.later(60)
    found = await status(house)
    assert found["verdict"] == "portal down"
    assert "60 seconds" in found["to_do"]
    assert await requests(house) == {"login": 1, "live": 1}
    house.later(61)
    assert (await status(house))["verdict"] == "fine"


@pytest.mark.parametrize("endpoint", ["live", "login"])
async def test_a_503_is_not_described_as_a_request_for_fewer_requests(house, endpoint):
    once = {"logins" if endpoint == "login" else "requests": 1}
    await house.admin("faults", kind="unavailable", endpoint=endpoint, retry_after=120, **once)
    for _ in range(2):
        found = await status(house)
        assert found["verdict"] == "portal down"
        assert "overloaded or being worked on" in found["warnings"][0]
    for tool in ("get_live_data", "get_notifications", "list_boxes"):
        answer = await asked(house, tool)
        assert answer.meta[KEY]["code"] == "portal_busy"
        assert "overloaded or being worked on" in answer.content[0].text


async def test_a_caller_who_has_not_proved_an_account_sees_nothing_stored_of_it(house):
    await status(house)
    await house.admin("faults", kind="drop")
    found = await status(house, password="wrong")
    assert found["verdict"] == "portal down"
    assert (found["box_id"], found["last_known"], found["further"]) == (None, [], [])
    assert len((await status(house))["warnings"]) == 0


async def test_a_rejected_login_fails_as_in_every_other_tool(house):
    assert await failure(house, password="wrong") == "credentials_rejected"
    assert await failure(house, session="oig_" + "x" * 32) == "session_ended"


async def test_one_of_several_boxes_must_be_named(house):
    assert await failure(house, email=TWO) == "box_unclear"
    assert await failure(house, email=TWO, box_id=DEMO_BOX) == "box_unknown"
    for box in (SECOND_BOX, QUEEN_BOX):
        assert (await status(house, email=TWO, box_id=box))["box_id"] == box
    house.later(31)
    await house.admin("faults", kind="drop", endpoint="live")
    down = await status(house, email=TWO)
    assert [one["box_id"] for one in down["last_known"]] == [SECOND_BOX, QUEEN_BOX]
    down = await status(house, email=TWO, box_id=f" {QUEEN_BOX} ")
    assert [one["box_id"] for one in down["last_known"]] == [QUEEN_BOX]
    down = await status(house, email=TWO, box_id=DEMO_BOX)
    assert (down["box_id"], down["last_known"]) == (None, [])


async def test_an_account_without_a_box_gets_an_explanation(tmp_path):
    portal: Any = Portal(boxes={})
    tool = status_tool(portal, portal, Entries(Journal(tmp_path / "journal.db")))
    answer = await tool.run({}, context(ONE, "demo"))
    assert answer.meta[KEY]["code"] == "no_box"


@pytest.mark.parametrize("kind", FAILS)
async def test_failed_notifications_leave_the_bypass_in_doubt(house, kind):
    await house.admin("faults", kind=kind, endpoint="notifications")
    found = await status(house)
    assert found["verdict"] == "fine as far as known"
    assert "Whether a bypass is on is not known" in found["warnings"][0]
    await house.admin("boxes", box=DEMO_BOX, live_data=False)
    house.later(301)
    found = await status(house)
    assert found["verdict"] == "live data off"
    assert "Whether a bypass is on is not known" in found["warnings"][0]


async def test_a_change_is_under_way_until_a_reading_shows_it(house):
    planned = await house.planned(mode="Home 2")
    assert (await status(house))["verdict"] == "fine"
    await house.control.apply(DEMO, *agreed(planned), CLIENT)
    found = await status(house)
    assert found["verdict"] == "change under way"
    assert "Home 1 -> mode Home 2" in found["means"]
    assert planned.plan.change_id in found["to_do"]
    house.later(31)
    await house.admin("faults", kind="drop", endpoint="live")
    down = await status(house)
    assert down["verdict"] == "portal down"
    assert down["further"] == [f"change under way since {found['since']}"]
    (await house._admin.delete("faults")).raise_for_status()
    house.later(95)
    assert (await status(house))["verdict"] == "fine"
    # It has written nothing: that is for those who look at the change.
    assert house.journal.find(planned.plan.change_id).verdict is None


async def test_an_abandoned_change_is_not_under_way(house):
    await house.admin("faults", kind="forgotten", endpoint="writes")
    planned = await house.planned(mode="Home 2")
    await house.control.apply(DEMO, *agreed(planned), CLIENT)
    house.later(800)
    assert (await status(house))["verdict"] == "change under way"
    house.later(200)
    assert (await status(house))["verdict"] == "fine"


async def test_a_charge_started_by_this_server_is_named_as_the_cause(house):
    await house.admin("boxes", box=DEMO_BOX, soc_percent=40)
    planned = await house.planned(charge_to_percent=90)
    await house.control.apply(DEMO, *agreed(planned), CLIENT)
    house.later(600)
    found = await status(house)
    assert found["verdict"] == "charging from the grid"
    assert f"change {planned.plan.change_id}, made through this server" in found["means"]


async def test_a_change_that_waits_for_an_offline_box_is_named_until_the_box_has_it(house):
    planned = await house.planned(mode="Home 2")
    await house.control.apply(DEMO, *agreed(planned), CLIENT)
    sent = (await status(house))["since"]
    await house.admin("boxes", box=DEMO_BOX, offline=True)
    waits = f"change under way (waits for the box) since {sent}"
    for seconds in (950, 900, 3 * 3600):
        house.later(seconds)
        found = await status(house)
        assert (found["verdict"], found["further"]) == ("box offline", [waits])
    await house.admin("faults", kind="drop", endpoint="live")
    house.later(60)
    down = await status(house)
    assert (down["verdict"], down["further"]) == ("portal down", [waits])
    (await house._admin.delete("faults")).raise_for_status()
    await house.admin("boxes", box=DEMO_BOX, offline=False)
    house.later(5)
    # It is back and shows how it was: the change is on its way still.
    back = await status(house)
    assert back["verdict"] == "fine as far as known"
    assert planned.plan.change_id in back["warnings"][0]
    house.later(600)
    assert (await house.truth())["mode"] == 1
    assert (await status(house))["verdict"] == "fine"


async def test_a_change_abandoned_while_the_box_was_offline_may_still_arrive(house):
    planned = await house.planned(mode="Home 2")
    await house.control.apply(DEMO, *agreed(planned), CLIENT)
    await house.admin("boxes", box=DEMO_BOX, offline=True)
    house.later(1000)
    await asked(house, "get_live_data")
    await house.control.look(DEMO, planned.plan.change_id)
    assert house.journal.find(planned.plan.change_id).verdict == "failed"
    assert "waits for the box" in (await status(house))["further"][0]


async def test_a_change_with_an_unknown_outcome_is_a_doubt_for_a_day(house):
    await house.admin("faults", kind="forgotten", endpoint="writes")
    planned = await house.planned(mode="Home 2")
    await house.control.apply(DEMO, *agreed(planned), CLIENT)
    house.later(2 * 3600)
    found = await status(house)
    assert found["verdict"] == "fine as far as known"
    assert "Whether a change of" in found["warnings"][0]
    house.later(23 * 3600)
    assert (await status(house))["verdict"] == "fine"


def record(**other: Any) -> Record:
    given: dict[str, Any] = {
        "id": "0123456789abcdef",
        "at": NOON,
        "account": b"a" * 32,
        "client": "x",
        "source": "192.0.2.1",
        "box": DEMO_BOX,
        "change": '["mode", 1]',
        "before": "mode Home 1",
        "after": "mode Home 2",
        "back": None,
        "undoes": None,
        "token": b"h" * 16,
    }
    return Record(**given | other)


@pytest.mark.parametrize("change", ['["mode", 1]', '["of another version", 1]'])
async def test_a_change_of_another_account_or_version_is_shown_without_its_id(house, change):
    begin(house.journal, record(at=house.clock(), change=change))
    found = await status(house)
    assert found["verdict"] == "change under way"
    assert "0123456789abcdef" not in json.dumps(found)


@pytest.mark.parametrize("name", ["folder", "n" * 300])
async def test_a_journal_that_cannot_be_read_leaves_a_doubt(house, tmp_path, name):
    if name == "folder":
        (tmp_path / name).mkdir()
    entries = Entries(Journal(tmp_path / name))
    found = await status(house, entries=entries)
    assert found["verdict"] == "fine as far as known"
    assert "journal of changes cannot be read" in found["warnings"][0]
    house.later(31)
    await house.admin("faults", kind="drop", endpoint="live")
    down = await status(house, entries=entries)
    assert "journal of changes cannot be read" in down["warnings"][-1]


async def test_a_known_bypass_is_named_while_the_portal_is_down(house):
    await house.admin("boxes", box=DEMO_BOX, bypass="automatic")
    house.later(120)
    before = await status(house)
    assert before["verdict"] == "bypass on"
    house.later(120)
    await house.admin("faults", kind="drop", endpoint="live")
    found = await status(house)
    assert found["verdict"] == "portal down"
    assert found["further"] == [f"bypass on (automatic) since {before['since']}"]
    assert "supplied as before" not in found["means"]
    assert found["notifications_at"] == before["notifications_at"]
    assert await requests(house) == {**ALONE, "live": 2}


async def test_the_age_of_shared_notifications_is_given(house):
    before = await status(house)
    await house.admin("boxes", box=DEMO_BOX, bypass="manual")
    house.later(240)
    found = await status(house)
    assert found["verdict"] == "fine"
    assert found["notifications_at"] == before["notifications_at"] != found["fetched_at"]
    # That the box is fine nobody can know, so the age stands where it is passed on.
    (warning,) = found["warnings"]
    assert warning.startswith("Notifications are 240 s old: a bypass ")
    assert before["warnings"] == []
    house.later(61)
    assert (await status(house))["verdict"] == "bypass on"


async def test_with_a_critical_notification_a_box_is_not_fine(house):
    text = "P\u0159eh\u0159\u00e1t\u00ed baterie"
    await house.admin("notices", box=DEMO_BOX, text=text, level=5)
    house.later(60)
    found = await status(house)
    assert found["verdict"] == "fine as far as known"
    assert [one["portal_title"] for one in found["critical"]] == [text]
    house.later(25 * 3600)
    assert (await status(house))["verdict"] == "fine"


async def test_a_session_that_has_ended_is_replaced_as_by_the_other_tools(house):
    await status(house)
    (await house._admin.delete("sessions")).raise_for_status()
    house.later(301)
    assert (await status(house))["verdict"] == "fine"
    assert (await requests(house))["login"] == 2


async def test_without_the_daemon_the_status_uses_what_this_worker_has_stored(house, tmp_path):
    accounts = WorkerAccounts(CacheClient(tmp_path / "none.sock", HELLO), local_accounts())
    client = house.portal.client()
    sealer, handles = Sealer(SECRET, house.portal.base_url), Handles(SECRET)
    sessions = Sessions(accounts, client, sealer, handles, ttl=43200.0, wall=house.clock)
    access = Access(sessions, accounts, handles, sealer)
    upstream = Upstream(accounts, access, client, sealer, live_ttl=0.001, wall=house.clock)
    tool = status_tool(
        access,
        upstream,
        Entries(house.journal),
        now=lambda: datetime.fromtimestamp(house.clock(), UTC),
    )
    try:
        found = (await tool.run({}, context(ONE, "demo"))).structured_content
        assert found["verdict"] == "fine"
        house.later(60)
        await house.admin("faults", kind="drop", endpoint="live")
        found = (await tool.run({}, context(ONE, "demo"))).structured_content
        assert found["verdict"] == "portal down"
        assert [one["box_id"] for one in found["last_known"]] == [DEMO_BOX]
    finally:
        for part in (upstream, sessions, client):
            await part.aclose()
        await accounts.stop()


def test_with_control_off_a_change_from_when_it_was_on_is_still_under_way(tmp_path: Path):
    journal = tmp_path / "journal.db"
    begin(Journal(journal), record())

    async def ask() -> Any:
        async with world(NOON + 60, {"journal": journal, "control": "off"}) as here:
            call = {"name": "get_status", "arguments": {}}
            return (await here.ask("tools/call", call, LOGIN))["structuredContent"]

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(ask())["verdict"] == "change under way"
