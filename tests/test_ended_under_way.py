"""What is under way when its owner ends a connection, or takes a right away, or nobody can tell."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from server.codes import Code
from server.errors import NotPermitted
from server.http.concurrency import FairQueue
from server.portal.client import PortalClient
from server.tool_failure import KEY
from server.upstream.single_flight import SingleFlight

from .browser_worker import Worker, basic, browser_worker
from .control_house import CLIENT, DEMO, DEMO2, House
from .control_worker import agreed
from .portal_simulator import DEMO_BOX, SECOND_BOX
from .test_bearer_served import code, result
from .waiting import let_pass

CONTROL = {"box_id": DEMO_BOX, "mode": "Home 2"}


@pytest.fixture
async def worker(tmp_path):
    async with browser_worker(tmp_path) as worker:
        yield worker


@pytest.fixture
async def house(tmp_path):
    house = House(tmp_path)
    yield house
    await house.aclose()


def end(worker: Worker) -> None:
    grant = worker.grants.last
    worker.grants.store.end(grant.id, "owner", worker.grants.wall())


def take_control(worker: Worker) -> None:
    grant = worker.grants.last
    assert worker.grants.store.set_control(grant.id, grant.account, control=False)


def lose_record(worker: Worker) -> None:
    worker.settings.grants.unlink()


def suspect(worker: Worker) -> None:
    worker.grants.store.suspect(worker.grants.last.id, worker.grants.wall())


MEANWHILE = {
    "ended": (end, Code.CONNECTION_ENDED, 401),
    "control taken away": (take_control, Code.INSUFFICIENT_SCOPE, 403),
    "record gone": (lose_record, Code.CONNECTIONS_UNAVAILABLE, 503),
}


def asked(tool: str, number: int = 1, **arguments: Any) -> dict[str, Any]:
    params = {"name": tool, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


async def plan(worker: Worker, token: str) -> dict[str, str]:
    planned = result(await worker.call("plan_change", token, **CONTROL))
    return {name: planned[name] for name in ("box_id", "change", "plan_token")}


async def held(worker: Worker, token: str, body: Any, act) -> Any:
    """Send the head of a request, act, and then send the body."""

    async def pieces():
        act(worker)
        yield json.dumps(body).encode()

    headers = {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "Authorization": f"Bearer {token}",
    }
    return await worker.http.post("/mcp", headers=headers, content=pieces())


def meanwhile(monkeypatch, method: str, act, *, at: int = 1) -> None:
    """Have something happen while the portal answers, at the given answer of that kind."""
    original = getattr(PortalClient, method)
    seen: list[None] = []

    async def slow(*arguments: Any) -> Any:
        try:
            return await original(*arguments)
        finally:
            seen.append(None)
            if len(seen) == at:
                let_pass(1.0, monkeypatch)
                act()

    monkeypatch.setattr(PortalClient, method, slow)


def sent(worker: Worker) -> int:
    return len(worker.simulator.writes.log)


class TestDelayedBody:
    @pytest.mark.parametrize("what", MEANWHILE)
    async def test_a_delayed_body_changes_nothing_once_its_token_may_not(self, worker, what):
        act, _, status = MEANWHILE[what]
        token = worker.token(control=True)
        given = await plan(worker, token)
        answer = await held(worker, token, asked("apply_change", **given), act)
        assert answer.status_code == status
        assert set(answer.json()) == {"jsonrpc", "id", "error"}
        assert sent(worker) == 0

    @pytest.mark.parametrize("act", [end, suspect])
    @pytest.mark.parametrize("batch", [False, True])
    async def test_a_delayed_body_reads_nothing_once_its_token_has_ended(self, worker, act, batch):
        token = worker.token()
        one = asked("list_boxes")
        answer = await held(worker, token, [one] if batch else one, act)
        assert answer.status_code == 401
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert worker.logins == 0

    async def test_a_delayed_body_is_served_with_a_right_granted_meanwhile(self, worker):
        def give(worker: Worker) -> None:
            grant = worker.grants.last
            worker.grants.store.set_control(grant.id, grant.account, control=True)

        answer = await held(worker, worker.token(), asked("plan_change", **CONTROL), give)
        assert "plan_token" in result(answer)

    async def test_a_delayed_body_of_another_connection_is_served(self, worker):
        other = worker.token()
        worker.token()
        assert result(await held(worker, other, asked("list_boxes"), end))["boxes"]


class TestWaitingCall:
    async def test_a_call_waiting_for_its_turn_is_refused(self, worker, monkeypatch):
        token = worker.token()
        original = FairQueue.__call__

        async def late(self, *arguments: Any) -> None:
            end(worker)
            await original(self, *arguments)

        monkeypatch.setattr(FairQueue, "__call__", late)
        assert code(await worker.call("list_boxes", token)) == Code.CONNECTION_ENDED
        assert worker.logins == 0

    @pytest.mark.parametrize("tool", ["check_auth", "list_boxes"])
    async def test_a_call_waiting_for_a_login_is_refused(self, worker, monkeypatch, tool):
        token = worker.token()
        meanwhile(monkeypatch, "login", lambda: end(worker))
        answer = await worker.call(tool, token)
        assert code(answer) == Code.CONNECTION_ENDED
        assert "session_id" not in answer.text

    @pytest.mark.parametrize("tool", ["list_boxes", "get_status", "plan_change"])
    async def test_a_call_waiting_for_the_portal_is_refused(self, worker, monkeypatch, tool):
        token = worker.token(control=True)
        meanwhile(monkeypatch, "read_live", lambda: end(worker))
        given = CONTROL if tool == "plan_change" else {}
        answer = await worker.call(tool, token, **given)
        assert code(answer) == Code.CONNECTION_ENDED
        assert DEMO_BOX not in answer.text

    async def test_a_refused_call_leaves_the_answer_to_others_of_the_account(
        self, worker, monkeypatch
    ):
        token = worker.token()
        meanwhile(monkeypatch, "read_live", lambda: end(worker))
        assert code(await worker.call("list_boxes", token)) == Code.CONNECTION_ENDED
        told = result(await worker.call("list_boxes", headers=basic()))
        assert told["source"] == "cached"

    async def test_a_call_with_a_dead_session_makes_no_login(self, worker, monkeypatch):
        token = worker.token()
        assert result(await worker.call("list_boxes", token))
        worker.simulator.accounts.end_sessions()
        meanwhile(monkeypatch, "read_notifications", lambda: end(worker))
        answer = await worker.call("get_notifications", token)
        assert code(answer) == Code.CONNECTION_ENDED
        assert worker.logins == 1

    async def test_a_call_is_refused_whatever_login_accompanies_its_token(
        self, worker, monkeypatch
    ):
        handle = result(await worker.call("check_auth", headers=basic()))["session"]
        original = FairQueue.__call__

        async def late(self, *arguments: Any) -> None:
            end(worker)
            await original(self, *arguments)

        monkeypatch.setattr(FairQueue, "__call__", late)
        for tool, given in (
            ("list_boxes", {"session": handle}),
            ("log_out", {"session": handle}),
            ("log_out", {}),
            ("check_auth", {}),
        ):
            answer = await worker.call(tool, worker.token(), **given)
            assert code(answer) == Code.CONNECTION_ENDED, tool
        # Not even the handle was ended.
        assert result(await worker.call("list_boxes", session=handle))["boxes"]


async def test_messages_of_a_batch_are_refused_once_the_connection_has_ended(worker, monkeypatch):
    token = worker.token()
    meanwhile(monkeypatch, "read_live", lambda: end(worker), at=1)
    tools = ["check_auth", "get_live_data", "list_boxes", "get_notifications"]
    batch = [asked(tool, number) for number, tool in enumerate(tools)]
    revision = {"MCP-Protocol-Version": "2025-03-26"}
    answers = (await worker.post(batch, token, **revision)).json()
    codes = [one["result"].get("_meta", {}).get(KEY, {}).get("code") for one in answers]
    assert codes == [None, *[Code.CONNECTION_ENDED] * 3]


class Permit:
    """Permits calls until it is set otherwise."""

    def __init__(self) -> None:
        self.over = False

    async def __call__(self) -> None:
        if self.over:
            raise NotPermitted(Code.CONNECTION_ENDED, "over")


class Ending:
    """A portal during whose answers of one kind a connection ends.

    Args:
        portal: The portal.
        permit: Of the connection.
        when: Which answer it is.
    """

    def __init__(self, portal: Any, permit: Permit, when: str) -> None:
        self._portal = portal
        self._permit = permit
        self._when = when

    async def read_live(self, session_id: str) -> Any:
        self._permit.over |= self._when == "read"
        return await self._portal.read_live(session_id)

    async def write(self, session_id: str, write: Any) -> Any:
        self._permit.over |= self._when == "write"
        return await self._portal.write(session_id, write)


async def test_an_apply_that_ends_between_its_reading_and_its_write_sends_nothing(house):
    permit = Permit()
    planned = await house.planned(mode="Home 2")
    control = house.worker(wrap=lambda portal: Ending(portal, permit, "read"))
    with pytest.raises(NotPermitted):
        await control.apply(replace(DEMO, permitted=permit), *agreed(planned), CLIENT)
    assert await house.writes() == []
    # 1. No entry. 2. The box is free, and the plan is as good as it was.
    assert (await house.control.latest(DEMO, None, 9))[0] == 0
    assert house.kept == 0
    await house.control.apply(DEMO, *agreed(planned), CLIENT)
    assert len(await house.writes()) == 1


async def test_an_apply_makes_no_login_in_place_of_a_dead_session(house):
    permit = Permit()
    planned = await house.planned(mode="Home 2")
    logins = house.portal.simulator.counters.total.attempts
    house.portal.simulator.accounts.end_sessions()
    control = house.worker(wrap=lambda portal: Ending(portal, permit, "read"))
    with pytest.raises(NotPermitted):
        await control.apply(replace(DEMO, permitted=permit), *agreed(planned), CLIENT)
    assert await house.writes() == []
    assert house.portal.simulator.counters.total.attempts == logins


async def test_the_second_part_of_a_change_is_not_sent_after_the_end(house):
    permit = Permit()
    planned = await house.planned(SECOND_BOX, export="on")
    control = house.worker(wrap=lambda portal: Ending(portal, permit, "write"))
    made = await control.apply(replace(DEMO2, permitted=permit), *agreed(planned), CLIENT)
    assert len(await house.writes()) == 1
    assert made.outcome == "unclear"
    assert made.why.endswith("Only the first part of the change was answered. over")


async def test_an_apply_of_a_client_that_lost_the_right_says_so(worker, monkeypatch):
    token = worker.token(control=True)
    given = await plan(worker, token)
    meanwhile(monkeypatch, "read_live", lambda: take_control(worker))
    answer = await worker.call("apply_change", token, **given)
    assert code(answer) == Code.INSUFFICIENT_SCOPE
    assert sent(worker) == 0


async def pending(house: House) -> str:
    planned = await house.planned(mode="Home 2")
    await house.control.apply(DEMO, *agreed(planned), CLIENT)
    return planned.plan.change_id


async def test_a_call_that_waits_for_a_change_ends_with_the_connection(house):
    permit, slept = Permit(), 0

    async def sleep(seconds: float) -> None:
        nonlocal slept
        slept += 1
        permit.over = True
        await house.sleep(seconds)

    change = await pending(house)
    with pytest.raises(NotPermitted):
        await house.worker(sleep=sleep).look(replace(DEMO, permitted=permit), change, 50)
    assert slept == 1


async def test_a_finished_change_is_not_reported_after_the_connection_has_ended(house, monkeypatch):
    permit = Permit()
    change = await pending(house)
    house.later(3600)
    assert (await house.look(DEMO, change)).settled

    original = SingleFlight._asked

    async def slow(*arguments: Any) -> Any:
        answered = await original(*arguments)
        let_pass(1.0, monkeypatch)
        permit.over = True
        return answered

    monkeypatch.setattr(SingleFlight, "_asked", slow)
    monkeypatch.setattr("server.control.looking.late", lambda records: records)
    with pytest.raises(NotPermitted):
        await house.control.look(replace(DEMO, permitted=permit), change)
