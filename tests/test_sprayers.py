"""How long an owner away from home waits behind a crowd that guesses, whenever it comes."""

from __future__ import annotations

import pytest

from .sprayers import FRESH, MORE, PLACES, SAME, SPANS, TIMINGS, wait_of_owner

pytestmark = pytest.mark.load

SEEDS = range(2)
CROWDS = [
    (timing, place, accounts) for timing in TIMINGS for place in PLACES for accounts in (1, 5)
]
LIKE_OWNERS = {
    *((timing, "all over", 1) for timing in ("with", "around", FRESH, MORE)),
    (FRESH, "all over", 5),
}
"""Each sprayer asks for one account, from a network that nobody else is in and that has not failed:
so does an owner who was never here. Somebody has to wait."""


@pytest.mark.parametrize(
    ("timing", "place", "accounts"), [one for one in CROWDS if one not in LIKE_OWNERS]
)
def test_an_owners_first_login_is_made_within_seconds(timing, place, accounts):
    waits = [wait_of_owner(timing, place, accounts, seed) for seed in SEEDS]
    assert max(waits) <= 5.0


@pytest.mark.parametrize("timing", ["with", "around"])
def test_behind_sixty_seeming_owners_an_owner_waits_for_sixty_turns_at_most(timing):
    waits = [wait_of_owner(timing, "all over", 1, seed) for seed in SEEDS]
    assert max(waits) <= 30.0


@pytest.mark.parametrize("timing", [FRESH, MORE])
def test_among_ever_new_seeming_owners_about_every_other_owner_goes_first(
    timing,
):
    waits = [wait_of_owner(timing, "all over", 1, seed) for seed in range(20)]
    assert sum(wait <= 2.0 for wait in waits) >= 8


@pytest.mark.parametrize("accounts", [1, 5])
@pytest.mark.parametrize("timing", [*SPANS, SAME, FRESH, MORE])
def test_a_returning_owner_waits_behind_nobody(timing, accounts):
    waits = [wait_of_owner(timing, "all over", accounts, seed, returning=True) for seed in SEEDS]
    assert max(waits) <= 1.0
