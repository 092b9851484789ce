"""What upstream makes of a portal whose answers do not say what they mean."""

import asyncio
from collections import Counter
from datetime import date

import httpx2
import pytest

from server.auth.caller import Caller
from server.errors import PortalBusy, PortalOverloaded
from server.readings import kept_notices
from server.readings.clock import moment_of
from server.upstream import single_flight

from .local_accounts import local_accounts
from .portal_simulator import DEMO_BOX
from .test_upstream import House, caller

LOGIN = "/inc/php/scripts/Login.php"
NOTIFICATIONS = "/inc/php/scripts/Controller.Call.php"


@pytest.fixture
async def house():
    house = House(accounts=local_accounts(burst=100, gap=0.01))
    yield house
    await house.close()


async def admin(house, method, path, body=None):
    async with httpx2.AsyncClient(
        transport=house.portal.transport, base_url=house.portal.base_url
    ) as http:
        (await http.request(method, f"_admin/{path}", json=body)).raise_for_status()
    house.portal.requests.clear()


def asked(house):
    return Counter(request.url.path for request in house.portal.requests)


async def test_the_empty_list_of_an_ended_session_is_not_taken_for_no_notifications(house):
    granted = await house.access.open(caller("demo@example.com"))
    await house.upstream.live(granted)
    await admin(house, "DELETE", "sessions")
    told = await house.upstream.notifications(granted)
    assert DEMO_BOX in told.payload
    assert asked(house)[LOGIN] == 1


DAY = date(2026, 6, 1)
HISTORY, LIVE = "/json2.php", "/json.php"


async def nothing(house, kind="nothing"):
    await admin(house, "POST", "faults", {"kind": kind, "endpoint": "history"})


@pytest.mark.parametrize("kind", ["nothing", "empty"])
async def test_an_empty_history_costs_no_login_while_the_session_lives(house, kind):
    granted = await house.access.open(caller("demo@example.com"))
    await nothing(house, kind)
    for _ in range(2):
        told = await house.upstream.history(granted, "batt", DAY, DAY)
        assert told.payload == []
    assert asked(house) == {HISTORY: 1, LIVE: 1}


async def test_an_empty_history_over_an_ended_session_costs_one_login(house):
    granted = await house.access.open(caller("demo@example.com"))
    await admin(house, "POST", "switches", {"expired": {"history": "list"}})
    await admin(house, "DELETE", "sessions")
    told = await house.upstream.history(granted, "batt", DAY, DAY)
    assert "items" in told.payload
    assert asked(house) == {HISTORY: 2, LIVE: 1, LOGIN: 1}


async def test_a_history_that_stays_empty_costs_only_one_login(house):
    granted = await house.access.open(caller("demo@example.com"))
    await nothing(house)
    await admin(house, "DELETE", "sessions")
    for _ in range(3):
        assert (await house.upstream.history(granted, "batt", DAY, DAY)).payload == []
    assert asked(house)[LOGIN] == 1


async def test_a_caller_with_only_a_handle_gets_an_empty_history(house):
    handle = (await house.access.open(caller("demo@example.com"))).session.handle
    granted = await house.access.open(Caller(None, handle, "home", "home"))
    await nothing(house)
    assert (await house.upstream.history(granted, "batt", DAY, DAY)).payload == []


async def test_stored_notifications_are_returned_without_asking_the_portal(house):
    granted = await house.access.open(caller("demo@example.com"))
    assert await house.upstream.cached_notices(granted) is None
    assert asked(house)[NOTIFICATIONS] == 0
    fetched = await house.upstream.notifications(granted)
    held = await house.upstream.cached_notices(granted)
    expected = kept_notices.kept(fetched.payload, moment_of(fetched.at))
    assert (held.facts, held.text) == expected
    assert (held.at, held.source) == (fetched.at, "cached")
    assert asked(house)[NOTIFICATIONS] == 1
    other = await house.access.open(caller("demo2@example.com"))
    assert await house.upstream.cached_notices(other) is None


async def test_an_account_without_a_box_gets_an_answer_and_costs_one_login_more(house):
    body = {"email": "none@example.com", "password": "demo", "boxes": 0}
    await admin(house, "POST", "accounts", body)
    for _ in range(3):
        granted = await house.access.open(caller("none@example.com"))
        assert (await house.upstream.live(granted)).payload == {}
        assert (await house.upstream.notifications(granted)).payload == ""
    assert asked(house)[LOGIN] == 3


async def test_a_session_that_another_call_replaced_is_not_used_again(house):
    granted = await house.access.open(caller("demo@example.com"))
    await admin(house, "DELETE", "sessions")
    await house.upstream.live(granted)
    house.portal.requests.clear()
    await house.upstream.notifications(granted)
    assert sum(asked(house).values()) == 1


async def test_an_answer_too_long_to_share_still_reaches_all_waiters(house, monkeypatch):
    monkeypatch.setattr(single_flight, "ANSWER_MAX_BYTES", 100)
    granted = await house.access.open(caller("demo@example.com"))
    answers = await asyncio.gather(*(house.upstream.live(granted) for _ in range(4)))
    assert all(DEMO_BOX in answer.payload for answer in answers)


async def test_when_one_call_finds_the_portal_busy_all_calls_of_the_account_back_off(house):
    granted = await house.access.open(caller("demo@example.com"))
    other = await house.access.open(caller("demo2@example.com"))
    with pytest.raises(PortalBusy):
        async with house.upstream.turn(granted.keys):
            raise PortalBusy("Wait.", retry_after=3000.0)
    with pytest.raises(PortalBusy, match="slow down"):
        await house.upstream.live(granted)
    with pytest.raises(PortalBusy, match="slow down"):
        async with house.upstream.turn(granted.keys):
            pytest.fail("it is not its turn")
    assert (await house.upstream.live(other)).payload


async def test_an_overloaded_portal_is_not_described_as_asking_for_fewer_requests(house):
    granted = await house.access.open(caller("demo@example.com"))
    with pytest.raises(PortalOverloaded):
        async with house.upstream.turn(granted.keys):
            raise PortalOverloaded("Wait.", retry_after=3000.0)
    with pytest.raises(PortalOverloaded, match="overloaded or being worked on") as live:
        await house.upstream.live(granted)
    assert live.value.code == "portal_busy"
    with pytest.raises(PortalOverloaded) as turn:
        async with house.upstream.turn(granted.keys):
            pytest.fail("it is not its turn")
    assert "slow down" not in f"{live.value}{turn.value}"
