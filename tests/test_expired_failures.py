"""Names of wrong passwords are kept for as long as they count, and no longer."""

import pytest

from server.sources import source_of_grant
from server.state.account import FORGET_AFTER, pair_of
from server.state.limits import Policy
from server.state.vocabulary import Locked

from .accounts_house import CAFE, account, key
from .test_accounts_durable import Durable

A_DAY = FORGET_AFTER


@pytest.fixture
def build():
    built = []

    def build(policy=None):
        built.append(Durable(policy=policy, login_burst=1000))
        return built[-1]

    yield build
    for durable in built:
        for house in durable.houses:
            house.close()


def names(durable):
    """Return which wrong passwords of the account there are, after nobody asked for a second."""
    house = durable.houses[-1]
    house.tidy()
    there = [one.pair for one in house.state(1).pairs]
    rows = b"".join(durable.disk.rows.values())
    named = {number: pair_of(key(number), account(1)) for number in range(9)}
    for number, pair in named.items():
        assert (b"\xc4\x08" + pair in rows) is (pair in there), number
    return {number for number, pair in named.items() if pair in there}


@pytest.mark.parametrize("logged_in", [False, True])
def test_a_counter_goes_with_its_names_a_day_after_its_last_failure(build, logged_in):
    """Also of an account that stays for its session, though nobody asks for it."""
    durable = build()
    house = durable.start()
    if logged_in:
        house.store(9, ttl=10 * A_DAY, of=1)
    house.reject(1)
    house.time += A_DAY / 2
    house.reject(2, CAFE, of=1)
    assert names(durable) == {1, 2}
    house.time += A_DAY / 2
    names(durable)
    assert set(house.state(1).sources) == {CAFE}
    house.time += A_DAY / 2
    assert names(durable) == set()
    state = house.state(1)
    assert not state.counters()
    assert bool(state.value) is logged_in
    before = durable.disk.puts
    house.tidy()
    assert durable.disk.puts == before


def test_a_rejection_that_counts_for_nobody_goes_when_its_time_is_over(build):
    durable = build()
    house = durable.start()
    house.store(9, of=1)
    house.reject(1, source_of_grant(bytes(16)))
    house.time += house.limits.rejected_memory - 1.0
    assert names(durable) == {1}
    house.time += 1.0
    assert names(durable) == set()


def test_a_lock_that_lasts_longer_is_not_opened_by_it(build):
    house = build(Policy(longest=3 * A_DAY, first=3 * A_DAY)).start()
    for number in range(5):
        house.reject(number, of=1)
    house.time += 2 * A_DAY
    house.tidy()
    assert isinstance(house.acquire(9, of=1), Locked)


def test_what_is_over_is_looked_at_once_and_not_again_and_again(build):
    house = build(Policy(per_source=1)).start()
    house.reject(1)
    house.store(2, source_of_grant(bytes(16)), ttl=60.0)
    house.time += house.limits.gap
    house.fetch(3, of=2)
    house.time += A_DAY / 2
    house.tidy()
    before = house.stat("rounds_total")
    for _ in range(5):
        house.tidy()
    assert house.stat("rounds_total") == before
    assert house.state(1).counters() == 2
    assert not house.state(2).value
