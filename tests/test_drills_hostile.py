"""The short form of the drills with hostile bytes, callers and portals."""

import pytest

from drills import (
    crowd,
    fuzz_bodies,
    fuzzed,
    guesses,
    killed_applies,
    near_copies,
    planted_secrets,
    portal_faults,
    random_operations,
    shared_secrets,
    shared_troubles,
)
from drills.ground import Ground

from .short_drills import assert_met, short_forms

PARTS = (
    fuzzed,
    fuzz_bodies,
    portal_faults,
    guesses,
    planted_secrets,
    crowd,
    killed_applies,
    near_copies,
    random_operations,
    shared_secrets,
    shared_troubles,
)


@pytest.fixture(scope="module")
def ground():
    with Ground() as ground:
        yield ground


@pytest.mark.parametrize("drill", short_forms(drill for part in PARTS for drill in part.DRILLS))
def test_the_short_form_of_a_drill_is_met(drill, ground):
    assert_met(drill, ground)
