"""Energy of a day under way that an earlier call made of answers that are still shared."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.readings.energy_from_history import SERIES
from server.readings.past import Whose

from . import kept_texts
from .kept_texts import settled
from .reading_house import reading_houses

MAKES = "server.upstream.energy_reader.energy_days"

TIMES = ("2026-06-17T12:00:00", "2026-06-17T23:58:00", "2025-10-26T02:30:00", "2026-03-29T03:01:00")
"""At noon; before midnight; in the hour that comes twice; after the one that never comes."""

text = partial(kept_texts.text, name="get_energy")
text_anew = partial(kept_texts.text_anew, name="get_energy")
kept_text = partial(kept_texts.kept_text, name="get_energy", makes=MAKES)


def asked(when: str, ago: int, per: str) -> dict[str, object]:
    first = (datetime.fromisoformat(when) - timedelta(days=ago)).date()
    return {"first_day": str(first), "last_day": when[:10], "per": per}


@settings(max_examples=3, deadline=None)
@given(
    when=st.sampled_from(TIMES),
    ago=st.integers(0, 2),
    per=st.sampled_from(["day", "hour"]),
    moved=st.integers(0, 200),
)
async def test_kept_energy_is_byte_for_byte_what_its_answers_give(when, ago, per, moved):
    async with reading_houses() as build:
        house, arguments = settled(build, when), asked(when, ago, per)
        for _ in range(2):  # the second call asks for the days that may still change alone
            await text(house, **arguments)
        house.clock.time += moved
        assert await kept_text(house, **arguments) == await text_anew(house, **arguments)


async def test_energy_is_made_again_once_any_of_its_answers_is_another():
    async with reading_houses() as build:
        house, arguments = settled(build, TIMES[0]), asked(TIMES[0], 0, "day")
        for _ in range(2):
            await text(house, **arguments)
        house.clock.time += 301  # the answers have ended
        await house.call(
            "get_history",
            series=SERIES[-1],
            first_day=arguments["first_day"],
            last_day=arguments["last_day"],
        )
        with pytest.raises(AssertionError):
            await kept_text(house, **arguments)
        assert await text(house, **arguments) == await text_anew(house, **arguments)


async def test_energy_of_answers_that_lie_ahead_of_a_clock_put_back_is_not_given():
    async with reading_houses() as build:
        house, arguments = settled(build, TIMES[0]), asked(TIMES[0], 0, "day")
        await text(house, **arguments)
        await kept_text(house, **arguments)
        house.clock.time -= 120
        with pytest.raises(AssertionError):
            await kept_text(house, **arguments)


async def test_energy_is_kept_for_one_peak_of_the_panels_alone(monkeypatch):
    async with reading_houses() as build:
        house, arguments = settled(build, TIMES[0]), asked(TIMES[0], 0, "day")
        await text(house, **arguments)
        await kept_text(house, **arguments)
        monkeypatch.setattr(Whose, "peak_w", 1.0)
        with pytest.raises(AssertionError):
            await kept_text(house, **arguments)
