"""Compares an answer of the portal with the known shape. Pure; no values are stored.

A field counts as missing only if no box in the answer has it, because boxes are of several kinds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Literal, NamedTuple

from .fields import ALWAYS, ITEM_TIMES, LIVE_BLOCK, MARKS, NOTICE_CLASSES, SOMETIMES, UNSEEN, VALUES

Kind = Literal["lacking", "unknown"]

BOX_ID = re.compile(r"\d{1,20}", re.ASCII)

MOST_NAMES = 200
"""Names stored of one kind: more than an operator reads."""

MOST_ITEMS = 500
"""Items of a series looked at: they are all alike."""

LONGEST_NAME = 40
"""Characters stored of a name that the portal made up."""

STRANGE = re.compile(r"[^A-Za-z0-9_-]", re.ASCII)
NUMBER = re.compile(r"\d{4,}", re.ASCII)
"""A number this long in a name is personal and not part of a field: an id, a date."""


class Shape(NamedTuple):
    """How an answer differs from what is known.

    Attributes:
        lacking: Known fields that it lacks.
        unknown: Fields of it that are not known.
    """

    lacking: frozenset[str]
    unknown: frozenset[str]


def live_shape(payload: Mapping[str, object]) -> Shape:
    """Compare a live answer: box id -> blocks."""
    boxes = [raw for key, raw in payload.items() if BOX_ID.fullmatch(key) and isinstance(raw, dict)]
    lacked = [frozenset(_lacking(box)) for box in boxes]
    others = [_shown(key) for key in payload if not BOX_ID.fullmatch(key)]
    unknown = [*others, *(name for box in boxes for name in _unknown(box))]
    return _shape(frozenset.intersection(*lacked) if lacked else (), unknown)


def series_shape(name: str, payload: Mapping[str, object]) -> Shape:
    """Compare an answer about a series, by the portal's name of it."""
    listed = payload.get("items")
    if not isinstance(listed, list):
        return _shape([f"{name}: items"], [])
    items = [item for item in islice(listed, MOST_ITEMS) if isinstance(item, dict) and item]
    unknown = [f"{name}: {_shown(key)}" for key in payload if key != "items"]
    members = {key for item in items for key in item} - ITEM_TIMES - {"values"}
    unknown += [f"{name}: items.{_shown(key)}" for key in members]
    rows = [len(item["values"]) for item in items if isinstance(item.get("values"), list)]
    if not items:
        return _shape([], unknown)
    if not rows:
        return _shape([f"{name}: items.values"], unknown)
    least, most = VALUES.get(name, (0, max(rows)))
    lacking = [f"{name}: items.values.{place}" for place in range(max(rows), least)]
    # Only so many values can be named as an item is known to have at most, and one more.
    return _shape(
        lacking, [*unknown, *([f"{name}: items.values.{most}"] if max(rows) > most else [])]
    )


def list_shape(markup: str) -> Shape:
    """Compare the HTML of the notifications, in which there is one at least."""
    classes = {name for found in CLASS.finditer(markup) for name in found[1].split()}
    return _shape([f"notifications: {name}" for name in NOTICE_CLASSES if name not in classes], [])


CLASS = re.compile(r"(?i)class\s*=\s*[\"']?([^\"'<>]*)")


def _lacking(box: Mapping[str, object]) -> Iterator[str]:
    for name, fields in ALWAYS.items():
        block = box.get(name)
        if name == LIVE_BLOCK and not block:
            continue
        if not isinstance(block, dict):
            yield name
            continue
        # A field that became a block of its own is not what it was.
        yield from (
            f"{name}.{field}"
            for field in fields
            if field not in block or isinstance(block[field], dict | list)
        )


def _unknown(box: Mapping[str, object]) -> Iterator[str]:
    for name, block in box.items():
        if name in MARKS or name in UNSEEN:
            continue
        known = ALWAYS.get(name, frozenset()) | SOMETIMES.get(name, frozenset())
        if not known:
            yield _shown(name)
        elif isinstance(block, dict):
            yield from (f"{name}.{_shown(field)}" for field in block if field not in known)


def _shape(lacking: Iterable[str], unknown: Iterable[str]) -> Shape:
    return Shape(
        frozenset(islice(sorted(lacking), MOST_NAMES)),
        frozenset(islice(sorted(set(unknown)), MOST_NAMES)),
    )


def _shown(name: str) -> str:
    """Write a name from the portal in a form fit for a log, without personal data."""
    return NUMBER.sub("#", STRANGE.sub("?", name[:LONGEST_NAME])) or "?"
