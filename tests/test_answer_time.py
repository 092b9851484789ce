"""An answer that the wall clock says is of the future: after a step back it is read again."""

import asyncio
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.upstream.answer_time import SLACK, is_ahead

from .control_house import Clock
from .local_accounts import local_accounts
from .portal_simulator import InProcess
from .reading_house import ReadingHouse, moment

NOON = "2026-06-17T12:00:00"
HOUR = 3600.0

WEEK = {"first_day": "2026-06-11", "last_day": "2026-06-17"}

KINDS = {
    "list_boxes": {},
    "get_live_data": {},
    "get_history": {"series": "battery", **WEEK},
    "get_notifications": {},
}
"""The tools that read each kind of answer; `get_status` reads what two of them do."""


class StepHouse(ReadingHouse):
    """As it is in a daemon: its clock and the portal's go on while the workers' is set."""

    def __init__(self) -> None:
        super().__init__(NOON)
        self.steady = Clock(moment(NOON))
        self.accounts = local_accounts(self.steady, gap=0.0)
        self.portal = InProcess(wall=self.steady)

    @property
    def asked(self) -> int:
        """How often the portal was asked."""
        return len(self.portal.requests)

    async def whole(self, name: str, arguments: dict[str, str]) -> dict[str, object]:
        answer = await self.call(name, **arguments)
        assert not answer.is_error, answer
        return answer.structured_content


@pytest.fixture
async def house():
    house = StepHouse()
    yield house
    await house.aclose()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("step", [-5 * HOUR, -2.0, 5 * HOUR], ids=["-5h", "-2s", "+5h"])
async def test_after_a_step_no_reading_is_of_the_future(house, name, step):
    """Each is kept twice: as an answer, and some as a finished reading as well."""
    await house.whole(name, KINDS[name])
    before = await house.whole(name, KINDS[name])
    assert before["source"] == "cached"
    house.clock.time += step
    asked = house.asked
    after = await house.whole(name, KINDS[name])
    fetched = datetime.fromisoformat(after["fetched_at"]).timestamp()
    assert fetched <= house.clock.time + SLACK
    assert (house.asked > asked) == (step < 0.0)
    # What was read again is shared like any answer.
    asked = house.asked
    assert (await house.whole(name, KINDS[name]))["source"] == "cached"
    assert house.asked == asked


@pytest.mark.parametrize("name", KINDS)
async def test_a_step_back_costs_one_request_for_all_who_ask(house, name):
    await house.whole(name, KINDS[name])
    house.clock.time -= 5 * HOUR
    asked = house.asked
    await house.whole(name, KINDS[name])
    for_one = house.asked - asked

    other = StepHouse()
    await other.whole(name, KINDS[name])
    other.clock.time -= 5 * HOUR
    asked = other.asked
    await asyncio.gather(*(other.whole(name, KINDS[name]) for _ in range(8)))
    await other.aclose()
    assert other.asked - asked == for_one


async def test_a_second_step_back_is_met_like_the_first(house):
    for _ in range(3):
        await house.whole("get_live_data", {})
        house.clock.time -= HOUR
        found = await house.whole("get_live_data", {})
        assert datetime.fromisoformat(found["fetched_at"]).timestamp() <= house.clock.time + SLACK


async def test_energy_that_was_read_in_the_future_is_read_again(house):
    """Days are kept for a month, and a clock that is ahead takes a day for over too early."""
    days = {"first_day": "2026-06-11", "last_day": "2026-06-16"}
    costs = []
    for step in (0.0, 0.0, -5 * HOUR, 0.0):
        house.clock.time += step
        asked = house.asked
        await house.whole("get_energy", days)
        costs.append(house.asked - asked)
    first, kept, again, kept_again = costs
    assert (kept, kept_again) == (0, 0)
    assert first >= again > 0


@given(st.floats(0.0, 1e6), st.floats(0.0, 4e9))
def test_only_what_lies_further_ahead_than_two_clocks_differ_is_ahead(away, now):
    assert not is_ahead(now - away, now)
    assert is_ahead(now + away, now) == (now + away > now + SLACK)
