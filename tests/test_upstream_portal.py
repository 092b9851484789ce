"""What upstream makes of a portal whose answers do not say what they mean."""

import asyncio
from collections import Counter

import httpx2
import pytest

from server import upstream
from server.errors import PortalBusy

from .portal_simulator import DEMO_BOX
from .test_upstream import House, caller

LOGIN = "/inc/php/scripts/Login.php"


@pytest.fixture
async def house():
    # Slow enough for answers to live on, and for nobody to have waited for too long.
    house = House(step=0.05)
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


async def test_an_empty_list_of_an_ended_session_is_not_taken_for_no_notifications(house):
    granted = await house.access.open(caller("demo@example.com"))
    await house.upstream.live(granted)
    await admin(house, "DELETE", "sessions")
    told = await house.upstream.notifications(granted)
    assert DEMO_BOX in told.payload
    assert asked(house)[LOGIN] == 1


async def test_an_account_without_a_box_is_told_so_and_costs_one_login_more(house):
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


async def test_what_is_too_long_to_share_still_answers_all_who_wait(house, monkeypatch):
    monkeypatch.setattr(upstream, "ANSWER_MAX_BYTES", 100)
    granted = await house.access.open(caller("demo@example.com"))
    answers = await asyncio.gather(*(house.upstream.live(granted) for _ in range(4)))
    assert all(DEMO_BOX in answer.payload for answer in answers)


async def test_when_a_turn_finds_the_portal_busy_all_others_of_the_account_wait(house):
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
