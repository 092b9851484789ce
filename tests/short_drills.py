"""The short forms of drills, as the tests of some of them do them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from _pytest.mark import ParameterSet

from drills.drill import Drill, carry_out
from drills.ground import Ground


def short_forms(drills: Iterable[Drill]) -> list[ParameterSet]:
    """Give drills as the cases of a test, by their names; long ones to the load tests."""
    return [
        pytest.param(drill, id=drill.name, marks=[pytest.mark.load] if drill.load else [])
        for drill in drills
    ]


def assert_met(drill: Drill, ground: Ground) -> None:
    """Do the short form of a drill; skip what cannot be done here."""
    line = carry_out(drill, ground, drill.short)
    if line.outcome is None:
        pytest.skip(line.why_not)
    assert line.outcome.met, line.outcome.seen
