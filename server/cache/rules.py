"""What one argument or field of the cache protocol must be. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

MAX_COUNT: Final = 2**63 - 1
"""Largest count: no daemon gets that far."""

# type() and not isinstance() throughout: True is an int to isinstance.


class Rule(NamedTuple):
    """What one argument or field must be."""

    name: str
    meaning: str
    holds: Callable[[Any], bool]


def nil(name: str) -> Rule:
    """Take nothing but nil."""
    return Rule(name, "nil", lambda value: value is None)


def or_nil(rule: Rule) -> Rule:
    """Take what a rule takes, or nil."""
    holds = rule.holds
    return Rule(rule.name, f"{rule.meaning}, or nil", lambda value: value is None or holds(value))


def sized(name: str, *sizes: int) -> Rule:
    """Take bytes of one of some sizes."""
    meaning = f"{' or '.join(map(str, sizes))} bytes"
    return Rule(name, meaning, lambda value: type(value) is bytes and len(value) in sizes)


def value_of(name: str, most: int) -> Rule:
    """Take some bytes, and no more than so many."""
    meaning = f"1 to {most} bytes"
    return Rule(name, meaning, lambda value: type(value) is bytes and 0 < len(value) <= most)


def count(name: str, least: int = 0, most: int = MAX_COUNT) -> Rule:
    """Take a whole number within bounds."""
    meaning = "a count" if most == MAX_COUNT else f"{least} to {most}"
    return Rule(name, meaning, lambda value: type(value) is int and least <= value <= most)


def is_time(value: object) -> bool:
    """Return whether something is a number of seconds."""
    return (type(value) is float or type(value) is int) and 0 <= value < math.inf


def seconds(name: str, most: float = math.inf) -> Rule:
    """Take seconds, up to so many."""
    meaning = "seconds, not below 0" if most == math.inf else f"0 to {most:.0f} s"
    return Rule(name, meaning, lambda value: is_time(value) and value <= most)


def text(name: str, most: int) -> Rule:
    """Take some printable characters."""
    meaning = f"1 to {most} printable characters"
    return Rule(
        name,
        meaning,
        lambda value: type(value) is str and 0 < len(value) <= most and value.isprintable(),
    )


def word(name: str, words: frozenset[str]) -> Rule:
    """Take one of some words."""
    return Rule(name, ", ".join(sorted(words)), lambda value: type(value) is str and value in words)
