"""Control end to end: real client in both eras, workers, daemon, journal and simulator."""

import asyncio
import base64
import signal
from contextlib import asynccontextmanager

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from .control_worker import named
from .fleet import post, running_fleet, wait_until
from .portal_simulator import DEMO_BOX, QUEEN_BOX, SECOND_BOX

MODERN = "2026-07-28"
CONTROL_TOOLS = {"plan_change", "apply_change", "get_change", "list_changes"}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    journal = tmp_path_factory.mktemp("journal") / "journal.db"
    with running_fleet(2, OIG_CONTROL="on", OIG_JOURNAL=str(journal), OIG_LIVE_TTL="0.5") as fleet:
        yield fleet


@asynccontextmanager
async def client_of(fleet, email="demo@example.com", mode="auto"):
    token = base64.b64encode(f"{email}:demo".encode()).decode()
    async with (
        httpx2.AsyncClient(
            headers={"Authorization": f"Basic {token}"}, trust_env=False, timeout=60
        ) as http,
        Client(streamable_http_client(fleet.url, http_client=http), mode=mode) as client,
    ):
        yield client


async def ask(client, tool, **arguments):
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content[0].text
    return result.structured_content


async def refused(client, tool, **arguments):
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return result.content[0].text


async def settled(client, change):
    """Ask until a change is not pending any more."""
    async with asyncio.timeout(60):
        while True:
            report = await ask(client, "get_change", change_id=change)
            if report["status"] != "pending":
                return report
            await asyncio.sleep(0.5)  # a poll with a bound


async def test_without_the_setting_the_tools_do_not_exist():
    with running_fleet(1) as fleet:
        async with client_of(fleet) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
        assert not names & CONTROL_TOOLS


async def test_the_tools_declare_which_of_them_make_changes(fleet):
    async with client_of(fleet) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) >= CONTROL_TOOLS
    assert tools["apply_change"].annotations.destructive_hint is True
    assert tools["apply_change"].annotations.read_only_hint is False
    assert tools["apply_change"].annotations.idempotent_hint is False
    assert tools["plan_change"].annotations.read_only_hint is True


@pytest.mark.parametrize("mode", ["legacy", MODERN])
async def test_a_change_is_planned_applied_confirmed_and_undone(fleet, mode):
    fleet.portal.reset()
    fleet.portal.switch(delay=4)
    before = fleet.portal.truth()["mode"]
    async with client_of(fleet, mode=mode) as client:
        plan = await ask(client, "plan_change", charge_to_percent=80)
        assert any("kW" in warning for warning in plan["warnings"])
        plan = await ask(client, "plan_change", mode="Home UPS" if before != 3 else "Home 1")
        assert plan["box_id"] == DEMO_BOX
        applied = await ask(client, "apply_change", **named(plan))
        assert applied["status"] == "pending"
        text = await refused(client, "apply_change", **named(plan))
        assert "used" in text
        report = await settled(client, applied["change_id"])
        assert report["status"] == "applied"
        assert report["seconds"] is not None
        assert fleet.portal.truth()["mode"] != before
        undo = await ask(client, "plan_change", undo=applied["change_id"])
        undone = await ask(client, "apply_change", **named(undo))
        assert (await settled(client, undone["change_id"]))["status"] == "applied"
        assert fleet.portal.truth()["mode"] == before
        listed = await ask(client, "list_changes", limit=2)
        assert [one["change_id"] for one in listed["changes"]] == [
            undone["change_id"],
            applied["change_id"],
        ]
    assert len(fleet.portal.writes()) == 2


async def test_a_foreign_or_tampered_plan_is_refused(fleet):
    fleet.portal.reset()
    async with (
        client_of(fleet) as owner,
        client_of(fleet, "demo2@example.com") as stranger,
    ):
        plan = await ask(owner, "plan_change", boiler="manual")
        token = plan["plan_token"]
        assert "not valid" in await refused(stranger, "apply_change", **named(plan))
        tampered = plan | {"plan_token": token[:-1] + ("A" if token[-1] != "A" else "B")}
        assert "not valid" in await refused(owner, "apply_change", **named(tampered))
        assert await refused(stranger, "get_change", change_id=plan["change_id"])
    assert fleet.portal.writes() == []


async def test_a_box_that_changed_meanwhile_is_not_changed(fleet):
    fleet.portal.reset()
    fleet.portal.switch(delay=0)
    async with client_of(fleet) as client:
        plan = await ask(client, "plan_change", boiler="manual")
        fleet.portal.set_box(DEMO_BOX, setup={"manual": 1})
        assert await refused(client, "apply_change", **named(plan))
    assert fleet.portal.writes() == []


async def test_two_boxes_are_never_mixed_up(fleet):
    fleet.portal.reset()
    fleet.portal.switch(delay=0)
    async with client_of(fleet, "demo2@example.com") as client:
        text = await refused(client, "plan_change", grid_export="off")
        assert SECOND_BOX in text
        assert QUEEN_BOX in text
        plan = await ask(client, "plan_change", grid_export="off", box_id=QUEEN_BOX)
        await ask(client, "apply_change", **named(plan))
    assert {str(write["box"]) for write in fleet.portal.writes()} == {QUEEN_BOX}
    assert fleet.portal.truth(SECOND_BOX)["to_grid"]


async def test_an_offline_box_leaves_the_change_pending(fleet):
    fleet.portal.reset()
    fleet.portal.switch(delay=0)
    fleet.portal.set_box(DEMO_BOX, offline=True)
    async with client_of(fleet) as client:
        plan = await ask(client, "plan_change", mode="Home 2")
        applied = await ask(client, "apply_change", **named(plan))
        report = await ask(client, "get_change", change_id=applied["change_id"])
    assert report["status"] == "pending"


@pytest.mark.parametrize("victim", ["daemon", "worker"])
async def test_killing_a_worker_during_an_apply_never_causes_a_second_write(fleet, victim):
    fleet.portal.reset()
    # Its box is its own: no earlier change is under way there.
    email = f"{victim}@example.com"
    fleet.portal.add_account(email, "demo")
    fleet.portal.fault("slow", endpoint="writes", latency=3, requests=1)
    async with client_of(fleet, email) as client:
        plan = await ask(client, "plan_change", boiler="manual")
    # By hand: a client of the SDK ends with an error when its server is killed.
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "apply_change", "arguments": named(plan)},
    }
    owner = "Basic " + base64.b64encode(f"{email}:demo".encode()).decode()
    under_way = asyncio.create_task(asyncio.to_thread(post, fleet.url, body, Authorization=owner))
    await asyncio.to_thread(
        wait_until, "the write", lambda: fleet.portal.state()["requests"]["writes"] == 1
    )
    if victim == "daemon":
        fleet.kill_daemon()
        fleet.start_daemon()
    else:
        for name in list(fleet.workers):
            fleet.stop_worker(name, signal.SIGKILL)
        fleet.start_worker("worker-9")
        await asyncio.to_thread(fleet.wait_worker, "worker-9")
    await asyncio.gather(under_way, return_exceptions=True)
    async with client_of(fleet, email) as client:
        text = await refused(client, "apply_change", **named(plan))
        assert "used" in text
        listed = await ask(client, "list_changes")
        assert listed["changes"][0]["change_id"] == plan["change_id"]
    assert len(fleet.portal.writes()) <= 1
    assert fleet.portal.state()["requests"]["writes"] == 1
