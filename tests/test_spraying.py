"""How many accounts a source may fail at within an hour, and how much of that is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.cache.spraying import MAX_ACCOUNTS, WINDOW, Spraying
from server.settings.parsers import MOST_SPRAYED
from server.sources import network_of

CAFE = "198.51.100.7"


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


def account(number: int) -> bytes:
    return number.to_bytes(32, "big")


def made(clock, budget=3, shared=(), **more) -> Spraying:
    return Spraying(budget, tuple(map(network_of, shared)), clock, **more)


def test_the_largest_budget_is_one_that_settings_take():
    assert MAX_ACCOUNTS == MOST_SPRAYED


def test_the_budget_comes_back_one_account_at_a_time(clock):
    spraying = made(clock)
    for number in range(3):
        spraying.failed(CAFE, account(number))
        clock.time += 60.0
    assert spraying.refused_for(CAFE) == WINDOW - 180.0
    clock.time += WINDOW - 180.0
    assert spraying.refused_for(CAFE) == 0.0
    assert spraying.may_try(CAFE, account(9), ())
    spraying.failed(CAFE, account(9))
    assert spraying.refused_for(CAFE) == 60.0


def test_an_account_counts_from_the_last_failure_at_it(clock):
    spraying = made(clock)
    spraying.failed(CAFE, account(0))
    clock.time += 1800.0
    for number in range(3):
        spraying.failed(CAFE, account(number))
    assert spraying.refused_for(CAFE) == WINDOW


def test_a_source_that_was_refused_elsewhere_is_held_for_as_long(clock):
    spraying = made(clock)
    spraying.hold(CAFE, 100.0)
    assert spraying.refused_for(CAFE) == 100.0
    assert spraying.rows() == [(CAFE, 0, clock.time + 100.0, clock.time + 100.0 - WINDOW)]
    spraying.hold(CAFE, 1e9)
    assert spraying.refused_for(CAFE) == WINDOW


def test_an_hour_after_its_last_failure_nothing_is_kept_of_a_source(clock):
    spraying = made(clock)
    for number in range(3):
        spraying.failed(CAFE, account(number))
    assert len(spraying.export()) == 1
    clock.time += WINDOW
    assert spraying.export() == spraying.rows() == []
    assert not spraying.has_failed(CAFE)


def test_a_source_that_is_kept_out_never_makes_room_for_others(clock):
    spraying = made(clock, most=3)
    for number in range(3):
        spraying.failed(CAFE, account(number))
    for number in range(50):
        spraying.failed(f"203.0.113.{number}", account(number))
    assert spraying.refused_for(CAFE) == WINDOW
    assert [one.source for one in spraying.export()] == [CAFE, "203.0.113.48", "203.0.113.49"]


def test_sources_of_which_nothing_was_judged_push_out_each_other_alone(clock):
    spraying = made(clock, most=3)
    spraying.failed(CAFE, account(1))
    for number in range(50):
        for tried in range(3):
            spraying.failed(f"203.0.113.{number}", account(tried), telling=False, judged=False)
    # They count as any other while there is room, and keep nobody out when there is none.
    assert spraying.refused_for("203.0.113.49") == WINDOW
    assert spraying.refused_for("192.0.2.1") == 0.0
    spraying.failed("192.0.2.1", account(1))
    assert [one.source for one in spraying.export()] == [CAFE, "203.0.113.49", "192.0.2.1"]


def test_a_source_whose_budget_hang_ups_used_up_is_worth_what_was_judged(clock):
    spraying = made(clock, most=2)
    spraying.failed(CAFE, account(0))
    for number in (1, 2):
        spraying.failed(CAFE, account(number), telling=False, judged=False)
        spraying.failed("192.0.2.1", account(number))
    assert spraying.refused_for(CAFE) == WINDOW
    spraying.failed("203.0.113.1", account(1))
    assert [one.source for one in spraying.export()] == ["192.0.2.1", "203.0.113.1"]


@pytest.mark.parametrize("first", [True, False])
def test_an_account_at_which_one_failure_was_judged_counts_as_judged(clock, first):
    spraying = made(clock, most=2)
    for telling in (first, not first):
        spraying.failed(CAFE, account(0), telling=telling, judged=telling)
    for number in range(9):
        spraying.failed(f"203.0.113.{number}", account(1), telling=False, judged=False)
    assert [one.source for one in spraying.export()] == [CAFE, "203.0.113.8"]
    assert [len(one.blank) for one in spraying.export()] == [0, 1]


def test_a_source_whose_judged_failures_are_an_hour_old_goes_as_if_it_had_none(clock):
    spraying = made(clock, most=2)
    spraying.failed(CAFE, account(0))
    clock.time += WINDOW - 1.0
    spraying.failed(CAFE, account(1), telling=False, judged=False)
    spraying.failed("192.0.2.1", account(0))
    clock.time += 1.0
    spraying.failed("203.0.113.1", account(0))
    assert [one.source for one in spraying.export()] == ["192.0.2.1", "203.0.113.1"]


def test_hang_ups_never_begin_a_time_without_room(clock):
    spraying = made(clock, 1, most=1)
    spraying.failed(CAFE, account(0))
    spraying.failed("192.0.2.1", account(0), telling=False, judged=False)
    assert spraying.refused_for("203.0.113.1") == 0.0
    spraying.failed("192.0.2.1", account(0))
    assert spraying.refused_for("203.0.113.1") == 30.0


def test_a_source_that_another_engine_refused_is_not_dropped_for_room(clock):
    spraying = made(clock, most=2)
    spraying.hold(CAFE, 60.0)
    for number in range(9):
        spraying.failed(f"203.0.113.{number}", account(0))
    assert spraying.refused_for(CAFE) == 60.0


def test_a_restart_remembers_which_failures_told_nothing(clock):
    spraying = made(clock, most=2)
    spraying.failed("192.0.2.1", account(0), telling=False, judged=False)
    spraying.failed(CAFE, account(0))
    other = made(clock, most=2)
    other.restore(spraying.export(), 0.0)
    assert other.export() == spraying.export()
    other.failed("203.0.113.1", account(0))
    assert [one.source for one in other.export()] == [CAFE, "203.0.113.1"]


def test_when_all_there_is_room_for_are_kept_out_new_ones_are_refused_for_a_while(clock):
    spraying = made(clock, 1, ["192.0.2.0/24"], most=2)
    for number in range(3):
        spraying.failed(f"203.0.113.{number}", account(number))
    assert spraying.refused_for("203.0.113.0") == WINDOW
    assert spraying.refused_for("203.0.113.2") == spraying.refused_for(CAFE) == 30.0
    assert spraying.refused_for("192.0.2.1") == 0.0
    clock.time += 30.0
    assert spraying.refused_for(CAFE) == 0.0


def test_what_is_kept_of_a_source_is_no_more_than_its_budget_needs(clock):
    spraying = made(clock)
    for number in range(1000):
        spraying.failed(CAFE, account(number))
    (kept,) = spraying.export()
    assert [one for one, _ in kept.accounts] == [account(n) for n in (997, 998, 999)]
    without = made(clock, 0)
    for number in range(1000):
        without.failed(CAFE, account(number))
    assert without.refused_for(CAFE) == 0.0
    assert without.has_failed(CAFE)
    assert len(without.export()[0].accounts) == 1


def test_a_restart_keeps_it_and_a_network_named_since_is_let_in(clock):
    spraying = made(clock)
    for number in range(3):
        spraying.failed(CAFE, account(number))
    spraying.hold("203.0.113.1", 50.0)
    clock.time += 40.0
    later = Clock()
    later.time = 7.0
    other = made(later)
    other.restore(spraying.export(), 7.0 - clock.time)
    assert other.refused_for(CAFE) == WINDOW - 40.0
    assert other.refused_for("203.0.113.1") == 10.0
    shared = made(later, 3, ["198.51.100.7"])
    shared.restore(spraying.export(), 7.0 - clock.time)
    assert shared.refused_for(CAFE) == 0.0
    smaller = made(later, 2)
    smaller.restore(spraying.export(), 7.0 - clock.time)
    assert smaller.refused_for(CAFE) == WINDOW - 40.0
    larger = made(later, 4)
    larger.restore(spraying.export(), 7.0 - clock.time)
    assert larger.refused_for(CAFE) == 0.0


def test_only_sources_that_failed_at_several_accounts_are_listed_and_counted(clock):
    spraying = made(clock)
    spraying.failed("203.0.113.1", account(1))
    for number in range(2):
        spraying.failed(CAFE, account(number))
    assert spraying.rows() == [(CAFE, 2, 0.0, clock.time)]
    assert spraying.unlock("203.0.113.1") == 0
    assert not spraying.has_failed("203.0.113.1")
    assert spraying.clear() == 1
    assert spraying.export() == []


def test_a_network_has_failed_as_long_as_any_of_its_sources_has(clock):
    spraying = made(clock, shared=["203.0.113.0/24"])
    assert not spraying.has_failed_near(CAFE)
    spraying.failed("198.51.100.8", account(1))
    clock.time += 60.0
    spraying.failed("198.51.100.9", account(1))
    spraying.failed("203.0.113.1", account(1))
    spraying.failed("2001:db8:1:2::/64", account(1))
    assert spraying.has_failed_near(CAFE)
    assert spraying.has_failed_near("2001:db8:1:3::/64")
    assert not spraying.has_failed_near("198.51.101.7")
    assert not spraying.has_failed_near("2001:db8:2:2::/64")
    assert not spraying.has_failed_near("203.0.113.2")
    spraying.unlock("198.51.100.9")
    assert spraying.has_failed_near(CAFE)
    clock.time += WINDOW - 60.0
    assert not spraying.has_failed_near(CAFE)
    assert spraying.has_failed_near("2001:db8:1:3::/64")
    spraying.forget(account(1))
    assert not spraying.has_failed_near("2001:db8:1:3::/64")


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 4)), max_size=60))
def test_networks_are_kept_in_step_with_their_sources(steps):
    clock = Clock()
    spraying = made(clock, budget=2, most=4)
    sources = [f"203.0.113.{number}" for number in range(2)] + [f"192.0.2.{n}" for n in range(2)]
    for what, which, number in steps:
        if what == 0:
            telling = number % 2 == 0
            spraying.failed(sources[which], account(number), telling=telling, judged=telling)
        elif what == 1:
            spraying.unlock(sources[which])
        else:
            spraying.forget(account(number))
        clock.time += 900.0
        for source in sources:
            near = [one for one in sources if one[:5] == source[:5]]
            assert spraying.has_failed_near(source) == any(map(spraying.has_failed, near))
    spraying.clear()
    assert not spraying._neighbours


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([1.0, 600.0, 3000.0])), max_size=60))
def test_within_any_hour_no_source_fails_at_more_accounts_than_its_budget(tries):
    clock = Clock()
    spraying = made(clock)
    failed: list[tuple[float, int]] = []
    for number, pause in tries:
        if spraying.refused_for(CAFE) == 0.0:
            assert spraying.may_try(CAFE, account(number), ())
            spraying.failed(CAFE, account(number))
            failed.append((clock.time, number))
        clock.time += pause
    for begun, _ in failed:
        hour = {number for at, number in failed if begun <= at < begun + WINDOW}
        assert len(hour) <= 3
