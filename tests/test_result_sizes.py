"""How long results about the demo box are, as a client gets them: whatever the time of day."""

import json
from datetime import date, datetime, timedelta

import pytest

from .reading_house import reading_houses

WEEK_OF_ENERGY = 1_740
PRICED_WEEK_OF_ENERGY = 1_860
LIVE = 1_945
LIVE_AFTER_MIDNIGHT = 2_070
"""In UTF-8, in bytes."""

PRICES = {"import_price": 6.5, "export_price": 2.1, "currency": "CZK"}

TIMES = ["00:03:00", "06:40:00", "12:00:00", "18:30:00", "23:50:00"]

BOXES = {
    "as it is": {},
    "boiler by hand": {"setup": {"manual": 1}},
    "Queen": {"queen": True},
    "reports everything": {"full": True, "setup": {"manual": 1}},
    "Home 2": {"setup": {"mode": 1}},
    "Home UPS": {"setup": {"mode": 3}},
    "Home Grid V": {"setup": {"app": 1}},
    "nearly empty": {"soc_percent": 21},
    "nearly full": {"soc_percent": 99},
}

LONGER = {
    "aggregator": {"setup": {"app": 4}},
    "aggregator and Home Grid VI": {"setup": {"app": 6}},
    "limited export, perhaps": {"setup": {"to_grid": 1, "feed_cap": 4_000}},
    "export that is in doubt": {"setup": {"to_grid": 0}},
}
"""What leaves more unknown: just after midnight that comes on top."""


@pytest.fixture
async def at():
    async with reading_houses() as make:
        yield make


def size(result):
    return len(json.dumps(result, separators=(",", ":"), ensure_ascii=False).encode())


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("day", ["2026-01-15", "2026-06-14"])
async def test_a_week_of_energy_is_short_with_and_without_the_current_day(at, day, time):
    house = at(f"{day}T{time}")
    for ago in (0, 1):
        last = date.fromisoformat(day) - timedelta(days=ago)
        first = last - timedelta(days=6)
        for more, most in (({}, WEEK_OF_ENERGY), (PRICES, PRICED_WEEK_OF_ENERGY)):
            result = await house.read(
                "get_energy", first_day=str(first), last_day=str(last), **more
            )
            assert len(result["rows"]) == 7
            assert size(result) <= most
            assert (result["total"]["money"] is None) is not bool(more)
            # Shorter, but it does not pass for a whole day, and says of when it is.
            under_way = [one for one in result["warnings"] if ": under way, as of" in one]
            assert len(under_way) == len([one for one in result["rows"] if not one["complete"]])
            assert len(under_way) == (0 if ago else 1)
            asked = datetime.fromisoformat(f"{day}T{time}")
            ends = [f"{asked - timedelta(minutes=ago):%H:%M}" for ago in range(10)]
            # The last upload is no older than that.
            assert all(
                any(f"{last}: under way, as of {end}+" in one for end in ends) for one in under_way
            )


@pytest.mark.parametrize("time", ["00:03:00", "12:00:00", "18:30:00"])
@pytest.mark.parametrize("day", ["2026-06-14", "2027-01-01"])
@pytest.mark.parametrize("wishes", [BOXES, LONGER], ids=["usual", "longer"])
async def test_live_data_is_short_for_any_equipment_whatever_was_called_before(
    at, day, time, wishes
):
    most = LIVE_AFTER_MIDNIGHT if wishes is LONGER and time == "00:03:00" else LIVE
    for name, box in wishes.items():
        house = at(f"{day}T{time}").have(**box)
        result = await house.read()
        assert result["warnings"] == []
        assert (result["bypass"] is None) is not ("full" in box)
        assert size(result) <= most, name
        # What get_status asks for as well tells of both bypasses.
        await house.read("get_notifications")
        result = await house.read()
        assert {one["state"] for one in result["bypass"].values()} <= {"off", "unknown"}
        assert result["warnings"] == []
        assert size(result) <= most, name
