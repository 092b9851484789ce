"""Results of tools, byte for byte: with what is kept, and made anew."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from server.upstream.kept_readings import KeptReadings

from .reading_house import ReadingHouse

LONG = 7 * 3600.0
"""Seconds for which live answers are shared: longer than any of these tests goes on."""

WISHES = ({}, {"live_data": False}, {"bypass": "manual"}, {"offline": True})
"""How a box may be."""


def made_again(*_: object, **__: object) -> None:
    raise AssertionError("a reading was made again")


async def _nothing(*_: object) -> None:
    """Find no reading that is kept."""


async def text(house: ReadingHouse, name: str, **arguments: object) -> str:
    answer = await house.call(name, **arguments)
    assert not answer.is_error, answer
    (content,) = answer.content
    assert json.loads(content.text) == answer.structured_content
    return content.text


async def kept_text(house: ReadingHouse, name: str, *, makes: str, **arguments: object) -> str:
    """Return a result for which nothing is made by this function."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(makes, made_again)
        return await text(house, name, **arguments)


async def text_anew(house: ReadingHouse, name: str, **arguments: object) -> str:
    """Return a result that is made of the answers in the cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(KeptReadings, "find", _nothing)
        return await text(house, name, **arguments)


def settled(build: Callable[[str], ReadingHouse], when: str, **wishes: object) -> ReadingHouse:
    """Return a house whose live answers last, with its box so."""
    house = build(when)
    house.live_ttl = LONG
    return house.have(**wishes) if wishes else house
