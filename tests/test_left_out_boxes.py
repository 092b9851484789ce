"""A box that the portal leaves out of an answer is still one of the account."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from drills.payloads import FULL, NOW, SLIM, full_box, slim_box
from server.errors import BoxChoice
from server.readings.baseline import LEFT_AFTER, NO_BASELINE
from server.readings.boxes import choose_box, list_boxes
from simulator.faults import Fault

from .portal_simulator import QUEEN_BOX, SECOND_BOX
from .reading_house import ReadingHouse, reading_houses

BOTH = {FULL: full_box(), SLIM: slim_box()}
KNOWN = NO_BASELINE.after(BOTH, NOW)
LATER = NOW + timedelta(hours=1)

HISTORY: dict[str, Any] = {"series": "solar", "first_day": "2026-06-16", "last_day": "2026-06-16"}
ENERGY: dict[str, Any] = {"first_day": "2026-06-15", "last_day": "2026-06-16"}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def house():
    async with reading_houses() as make:
        yield make("2026-06-17T12:00:00", "demo2@example.com", SECOND_BOX)


def leave_out(house: ReadingHouse) -> None:
    """Let the portal list only the Queen from now on."""
    house.clock.time += 400
    fault = {"kind": "dropped", "endpoint": "live", "fields": [SECOND_BOX]}
    house.portal.simulator.faults.add(Fault.parse(fault))


def test_a_recently_listed_box_is_missing_and_a_long_unlisted_one_is_gone():
    one = {SLIM: slim_box()}
    assert KNOWN.left_out(one, LATER) == (FULL,)
    assert KNOWN.after(one, LATER).left_out(one, LATER) == (FULL,)
    assert KNOWN.left_out(BOTH, LATER) == ()
    assert KNOWN.left_out(one, NOW + LEFT_AFTER + timedelta(days=1)) == ()
    assert NO_BASELINE.left_out(one, LATER) == ()


def test_the_only_box_of_an_answer_is_not_implied_while_another_is_missing():
    one = {SLIM: slim_box()}
    assert choose_box(one, None) == SLIM
    with pytest.raises(BoxChoice, match=f"several boxes.*{SLIM}.*lacks {FULL}") as told:
        choose_box(one, None, [FULL])
    assert told.value.code == "box_unclear"
    assert choose_box(one, SLIM, [FULL]) == SLIM
    with pytest.raises(BoxChoice, match=f"Nothing is known of that box now.*lacks {FULL}"):
        choose_box(one, FULL, [FULL])
    with pytest.raises(BoxChoice, match="no box of that id"):
        choose_box(one, "2299999999", [FULL])


def test_a_list_names_the_missing_box():
    told = list_boxes({SLIM: slim_box()}, LATER, baseline=KNOWN)
    assert [box.id for box in told.boxes] == [SLIM]
    assert any(f"lacks {FULL}" in one for one in told.warnings)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("name", "arguments"),
    [("get_history", HISTORY), ("get_energy", ENERGY), ("get_energy", ENERGY | {"per": "total"})],
)
@pytest.mark.parametrize("box", [None, QUEEN_BOX])
async def test_data_that_may_belong_to_either_box_is_given_no_box_id(house, name, arguments, box):
    await house.read("list_boxes")
    leave_out(house)
    told = await house.read(name, **arguments, box_id=box)
    assert told["box_id"] is None
    (warning,) = [one for one in told["warnings"] if "may be of any one" in one]
    assert SECOND_BOX in warning
    assert QUEEN_BOX in warning
    assert any(f"lacks {SECOND_BOX}" in one for one in told["warnings"])


@pytest.mark.anyio
async def test_live_data_asks_which_box_and_notifications_name_the_missing_one(house):
    await house.read("list_boxes")
    leave_out(house)
    with pytest.raises(AssertionError, match="box_unclear"):
        await house.read(box_id=None)
    assert (await house.read(box_id=QUEEN_BOX))["box_id"] == QUEEN_BOX
    told = await house.read("get_notifications", box_id=None)
    assert any(f"lacks {SECOND_BOX}" in one for one in told["warnings"])
