"""Accounts in a worker that learn from the storage which all share."""

import pytest

from server.state.vocabulary import BUSY, Hit, Lease, Locked, Recalled, Unavailable

from .accounts_house import CAFE, HOME, Ticket, account, houses, key, value
from .failures_contract import guess, hang_up

LOCKED = Locked(100.0, account_for=50.0)


@pytest.fixture
def build():
    with houses() as built:
        yield built


@pytest.fixture
def house(build):
    return build()


def adopt(house, number, ttl=60.0, source=HOME, of=None, idle=0.0):
    whose = account(number if of is None else of)
    hit = Hit(value(number), ttl, idle, b"")
    house.loop.do(lambda: house.accounts.adopt(whose, key(number), hit, source))


def test_a_copy_keeps_its_remaining_lifetime(house):
    adopt(house, 1, ttl=60.0, idle=5.0)
    house.time += 10.0
    assert house.acquire(1) == Hit(value(1), 50.0, 15.0)


def test_a_copy_replaces_any_other_session(house):
    adopt(house, 1, ttl=600.0)
    adopt(house, 2, ttl=60.0, of=1)
    assert house.acquire(2, of=1) == Hit(value(2), 60.0)
    assert isinstance(house.acquire(1), Lease)


def test_adopting_the_same_copy_twice_changes_nothing(house):
    adopt(house, 1)
    before = house.state(1)
    adopt(house, 1)
    assert house.state(1) == before


@pytest.mark.parametrize(("heard", "idle"), [(3.0, 3.0), (700.0, 301.0)])
def test_a_later_answer_of_the_portal_renews_a_copy_and_an_earlier_one_does_not(house, heard, idle):
    adopt(house, 1, idle=300.0)
    house.time += 1.0
    adopt(house, 1, ttl=59.0, idle=heard)
    assert house.acquire(1).idle == house.peek(1).idle == idle


def test_a_copy_clears_no_failures(house):
    adopt(house, 1, source=CAFE)
    house.reject(9, of=1)
    before = house.lockouts()
    adopt(house, 1)
    adopt(house, 1, ttl=600.0)
    assert house.lockouts() == before


def test_a_copy_can_be_dropped_alone(house):
    adopt(house, 1)
    house.loop.do(lambda: house.accounts.drop(account(1), key(2)))
    assert isinstance(house.acquire(1), Hit)
    house.loop.do(lambda: house.accounts.drop(account(1), key(1)))
    assert isinstance(house.acquire(1), Lease)


def test_a_source_is_refused_for_at_most_an_hour(house):
    house.lock(2, CAFE, Locked(1.0, source_for=1e9))
    rows = [one for one in house.lockouts()[1] if one["account"] is None]
    assert rows == [{"account": None, "source": CAFE, "failures": 0, "retry_after": 3600.0}]


def test_a_source_that_received_a_copy_becomes_a_known_source(house):
    adopt(house, 1)
    house.lock(1, CAFE, LOCKED)
    assert isinstance(house.acquire(1), Hit)
    assert house.acquire(1, source="203.0.113.7") == Locked(50.0, 50.0)
    assert house.acquire(1, source=CAFE) == Locked(100.0, 50.0)
    assert house.failures() == [0, 0]


def test_the_lock_of_a_source_applies_at_every_account_that_does_not_know_it(house):
    adopt(house, 1, source=CAFE)
    house.lock(2, CAFE, Locked(100.0, source_for=100.0))
    assert isinstance(house.acquire(1, source=CAFE), Hit)
    assert house.acquire(3, source=CAFE) == Locked(100.0, 0.0, 100.0)
    house.unlock_source(CAFE)
    assert isinstance(house.acquire(3, source=CAFE), Lease)


def test_waiters_for_a_login_that_has_not_begun_are_recalled(house):
    for number in range(10, 14):
        house.lease(number)
    behind, waiting = house.ticket(10), house.ticket(1)
    house.loop.do(house.accounts.recall)
    assert waiting.outcome == Recalled()
    assert behind.outcome is None


def test_the_gap_and_a_busy_portal_are_adopted(house):
    house.loop.do(lambda: house.accounts.begin_gap(account(1)))
    assert isinstance(house.ask_answer(50), Ticket)
    house.loop.do(lambda: house.accounts.leave_alone(account(2), BUSY, 30.0))
    assert house.ask_answer(50, of=2) == Unavailable(BUSY, 30.0)


def test_an_adopted_lock_counts_nothing_and_leaves_the_budgets_whole(build):
    house = build(login_burst=1000, logins_at_once=1000)
    house.lock(1, CAFE, Locked(100.0))
    assert house.acquire(10, source=CAFE, of=1) == Locked(100.0)
    house.time += 100.0
    asked = [house.acquire(number, source=CAFE, of=1) for number in range(11, 17)]
    assert [type(one) for one in asked] == [Lease] * 5 + [Ticket]
    assert isinstance(house.acquire(20, source=HOME, of=1), Lease)
    assert house.failures() == []


def test_the_longer_of_two_locks_applies_up_to_the_longest_allowed(house):
    house.lock(1, CAFE, Locked(600.0, account_for=600.0))
    house.lock(1, CAFE, Locked(5.0, account_for=5.0))
    assert house.acquire(10, source=CAFE, of=1) == Locked(600.0, 600.0)
    assert house.acquire(10, source="203.0.113.7", of=1) == Locked(600.0, 600.0)
    house.lock(2, CAFE, Locked(1e9, account_for=1e9))
    assert house.acquire(10, source=CAFE, of=2) == Locked(3600.0, 3600.0)


def test_no_failure_evicts_an_adopted_lock(build):
    house = build(others=2, locked=2, login_burst=1000, logins_at_once=1000)
    house.lock(1, CAFE, Locked(60.0))
    house.lock(2, CAFE, Locked(60.0, account_for=60.0))
    for of in range(10, 30):
        hang_up(house, 5, source=HOME, of=of)
        house.unlock_source(HOME)
        guess(house, 2, start=20, source=HOME, of=of)
    assert house.acquire(90, source=CAFE, of=1) == Locked(60.0)
    assert house.acquire(90, source=CAFE, of=2) == Locked(60.0, 60.0)
