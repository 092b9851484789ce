"""A crowd that hangs up before its logins have their turn: whom it cannot push out or lock out."""

import pytest

from server.cache.outcomes import Lease, Locked
from server.cache.throttle import Policy

from .test_engine import CAFE, HOME, House, account, key

pytestmark = pytest.mark.load

MOST = 45_000
"""Hang-ups: twice as many as accounts or sources are counted, and as guesses are open at a time."""


QUICK = {"logins_at_once": 1_000_000, "login_burst": 1_000_000, "logins_per_second": 1e6}


@pytest.fixture
def house() -> House:
    return House(**QUICK)


def hang_up(house, number, source, of):
    lease = house.acquire(number, source, of=of)
    assert isinstance(lease, Lease)
    house.engine.release(key(number), lease.token)


def fails(house, number, source):
    lease = house.acquire(number, source, of=1)
    return isinstance(lease, Lease) and house.engine.fail(key(number), lease.token, "rejected", 0.0)


@pytest.mark.parametrize(("judged", "each"), [(1, 1), (4, 3), (19, 19)])
def test_what_was_judged_of_an_account_outlives_any_number_of_hang_ups(house, judged, each):
    for number in range(judged):
        assert fails(house, number, f"203.0.113.{number // 4}")
    for number in range(1000, 1000 + MOST):
        hang_up(house, number, f"2001:db8:0:{number // each:x}::/64", of=number)
    house.clock.time += 120.0  # the open ones count as well
    house.engine.settle()
    rows = house.throttle.lockouts()
    assert [row.failures for row in rows if row.account == account(1) and not row.source] == [
        judged
    ]
    assert sum(row.source is None for row in rows) == 20_000
    for number in range(judged, 20):
        assert fails(house, number, f"203.0.113.{number // 4}")
    assert isinstance(house.acquire(99, CAFE, of=1), Locked)


@pytest.mark.parametrize(
    "policy",
    [Policy(per_source=1), Policy(accounts_per_source=1), Policy(per_account=1)],
    ids=["pairs", "sources", "accounts"],
)
def test_who_hangs_up_until_all_there_is_room_for_are_locked_keeps_no_newcomer_out(policy):
    house = House(policy, **QUICK)
    for number in range(1000, 1000 + MOST):
        hang_up(house, number, f"2001:db8:0:{number:x}::/64", of=number)
    house.clock.time += 20.0
    house.throttle.give_up()
    assert house.throttle.locked_now() >= 20_000
    assert isinstance(house.acquire(1, HOME), Lease)
    assert isinstance(house.acquire(2, CAFE), Lease)
