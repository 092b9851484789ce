"""Data gone wrong: a sound JSON text in, a damaged one out. Pure.

What is no JSON object, such as the answer to an ended session, is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .faults import Kind

EVERYTHING = ("actual",)
"""What is damaged in json.php's answer unless the fault names its fields: the live block."""

GRID_VALUES = 4
BATTERY_V = 100
"""What identifies the grid's series: how many values an item has, and more volts than a battery."""


def damaged(kind: Kind, body: bytes, fields: tuple[str, ...] = ()) -> bytes:
    """Damage an answer.

    Args:
        kind: One of `DAMAGES`.
        body: The sound answer of json.php or json2.php.
        fields: Which blocks (`actual`) or fields (`batt.bat_c`) of json.php, or which boxes are
            dropped, by their ids; the live block unless given.
    """
    try:
        sound = json.loads(body)
    except ValueError:
        return body
    if not isinstance(sound, dict):
        return body
    if "items" in sound:
        middle = len(sound["items"]) // 2
        broken: Any = {
            "items": [_item(kind, item, place, middle) for place, item in _from_end(sound)]
        }
    else:
        broken = {
            box: _box(kind, answer, fields or EVERYTHING)
            for box, answer in sound.items()
            if kind is not Kind.DROPPED or box not in fields
        }
    return json.dumps(broken, separators=(",", ":")).encode()


def _from_end(sound: dict[str, Any]) -> list[tuple[int, Any]]:
    items = sound["items"]
    return [(len(items) - 1 - place, item) for place, item in enumerate(items)]


def _item(kind: Kind, item: Any, place: int, middle: int) -> Any:
    """Damage one item of a series; its place counts from the newest, which is 0."""
    values = item["values"]
    if kind is Kind.NULLS:
        return _nulled(item, place)
    if kind is Kind.UNCOUNTED:
        # An answer does not name its series: the battery's has four values as well, and 50 V.
        is_grid = len(values) == GRID_VALUES and values[0] > BATTERY_V
        return {"values": [*values[:2], 0, 0]} if is_grid else item
    if kind is Kind.ABSURD:
        return {"values": [20 * value for value in values]} if place == middle else item
    return {"values": [WRONG[kind](value) for value in values]}


def _nulled(item: Any, place: int) -> Any:
    # The newest are hit as well: they are what clients look at.
    match place % 12:
        case 0:
            return {"values": [None for _ in item["values"]]}
        case 1:
            return None
        case 3:
            return {"values": item["values"][:1]}
        case 5:
            return {}
    return item


def _box(kind: Kind, answer: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    if kind is Kind.DIP:
        answer["dc_in"]["fv_ad"] = max(answer["dc_in"]["fv_ad"] - 7, 0)
        return answer
    if kind is Kind.ADDED:
        return answer | _added(answer, fields)
    for name in fields:
        block, _, field = name.partition(".")
        if block not in answer:
            continue
        if not field:
            answer |= _whole_block(kind, block, answer[block])
            if kind is Kind.DROPPED:
                del answer[block]
        elif isinstance(answer[block], dict) and field in answer[block]:
            if kind is Kind.DROPPED:
                del answer[block][field]
            else:
                answer[block][field] = WRONG[kind](answer[block][field])
    return answer


def _added(answer: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    """Add fields to blocks, which are added as well where they are not there or empty."""
    more: dict[str, Any] = {}
    for name in fields:
        block, _, field = name.partition(".")
        there = more.get(block) or answer.get(block) or {}
        more[block] = {**there, (field or "new"): 1}
    return more


def _whole_block(kind: Kind, name: str, block: Any) -> dict[str, Any]:
    if not isinstance(block, dict) or kind is Kind.DROPPED:
        return {}
    if kind is Kind.RETYPED:
        return {name: "0"}
    return {name: {field: WRONG[kind](value) for field, value in block.items()}}


WRONG: dict[Kind, Callable[[Any], Any]] = {
    Kind.NAN: lambda _: float("nan"),
    Kind.TEXTS: str,
    Kind.RETYPED: lambda value: {"value": value},
}
"""What becomes of one value."""

DAMAGES = frozenset(
    {*WRONG, Kind.DROPPED, Kind.ADDED, Kind.DIP, Kind.NULLS, Kind.UNCOUNTED, Kind.ABSURD}
)
"""The kinds of fault that are damage to data."""
