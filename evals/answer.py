"""What a model's words say, as far as that can be judged without another model. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .invariants import every_write_was_applied
from .scenario import Known, Scenario
from .transcript import Played
from .verdict import agrees, effects, truth_of

NUMBER = re.compile(r"\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)*")
"""A number as people write it in Czech and in English."""

THOUSAND = 1000.0
"""A truth in W or Wh may be said in kW or kWh."""


def shortcomings(scenario: Scenario, played: Played, answer: str) -> list[str]:
    """Say what is wrong with an answer and with what was done for it; empty when nothing is.

    Words are not judged: only whether the numbers that the scenario asks for are in the answer,
    what has become of the box, and what must never be said.
    """
    return [*_unsaid(scenario, played, answer), *_done(scenario, played, answer)]


def numbers(text: str) -> list[tuple[float, float]]:
    """Find all numbers, each with half a unit of its last digit; what may be two is both."""
    found: list[tuple[float, float]] = []
    for match in NUMBER.finditer(text):
        for plain in _readings(re.sub(r"\s", "", match[0])):
            digits = len(plain.partition(".")[2])
            found.append((float(plain), 0.5 * 10.0**-digits))
    return found


def _readings(written: str) -> Iterable[str]:
    """Give what a number can mean: a comma or point separates decimals, or thousands."""
    marks = re.findall(r"[.,]", written)
    if len(marks) <= 1:
        yield written.replace(",", ".")
    if marks and re.fullmatch(r"\d{1,3}([.,]\d{3})+", written):
        yield re.sub(r"[.,]", "", written)
    if len(marks) >= 2 and marks[0] != marks[-1]:
        whole, _, decimals = written.rpartition(marks[-1])
        yield f"{re.sub(r'[.,]', '', whole)}.{decimals}"


def _unsaid(scenario: Scenario, played: Played, answer: str) -> Iterable[str]:
    said = numbers(answer)
    for check in scenario.checks:
        if isinstance(check.truth, Known):
            continue
        wanted = truth_of(check.truth, played.truth)
        if check.unknown or isinstance(wanted, bool) or not isinstance(wanted, (int, float)):
            continue
        if check.warned is not None:
            continue
        if not any(
            agrees(value * unit, abs(wanted), check.truth)
            or abs(value * unit - abs(wanted)) <= rounding * unit
            for value, rounding in said
            for unit in (1.0, THOUSAND)
        ):
            yield f"{check.truth.path} is {wanted:.6g}, and the answer does not say it"


def _done(scenario: Scenario, played: Played, answer: str) -> Iterable[str]:
    for pattern in scenario.never:
        if re.search(pattern, answer):
            yield f"the answer says what must not be said: {pattern!r}"
    yield from effects(scenario, played)
    yield from every_write_was_applied(played)
