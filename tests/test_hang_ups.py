"""A crowd that hangs up before its logins have their turn: whom it cannot push out or lock out."""

from functools import partial

import pytest

from server.state.limits import Policy
from server.state.locks import GUESS_LASTS
from server.state.vocabulary import Lease, Locked

from .accounts_house import CAFE, HOME, houses, key

pytestmark = pytest.mark.load

ROOM = 400
"""Accounts and sources that are counted here."""

MOST = 2 * ROOM + ROOM // 4
"""Hang-ups."""

TIDIED = 40
"""Seconds in which all that are counted are looked through."""


@pytest.fixture
def build():
    many = {"logins_at_once": 10_000, "login_burst": 10_000, "logins_per_second": 1e6}
    room = {"others": ROOM, "sources": ROOM, "locked": ROOM}
    with houses() as built:
        yield partial(built, **many, **room)


def hang_up(house, number, source):
    lease = house.acquire(number, source)
    assert isinstance(lease, Lease), lease
    house.release(key(number), lease.token)


def fails(house, number, source):
    lease = house.acquire(number, source, of=1)
    return isinstance(lease, Lease) and house.fail(key(number), lease.token, "rejected", 0.0)


def count_open_guesses(house):
    house.time += GUESS_LASTS
    for _ in range(TIDIED):
        house.tidy()


@pytest.mark.parametrize(("judged", "each"), [(1, 1), (4, 3), (19, 19)])
def test_what_was_judged_of_an_account_outlives_any_number_of_hang_ups(build, judged, each):
    house = build()
    for number in range(judged):
        assert fails(house, number, f"203.0.113.{number // 4}")
    for number in range(1000, 1000 + MOST):
        hang_up(house, number, f"2001:db8:0:{number // each:x}::/64")
    count_open_guesses(house)
    assert house.state(1).total.failures == judged
    assert sum(row["source"] is None for row in house.lockouts(10 * MOST)[1]) == ROOM
    for number in range(judged, 20):
        assert fails(house, number, f"203.0.113.{number // 4}")
    assert isinstance(house.acquire(99, CAFE, of=1), Locked)


@pytest.mark.parametrize(
    "policy",
    [Policy(per_source=1), Policy(accounts_per_source=1), Policy(per_account=1)],
    ids=["pairs", "sources", "accounts"],
)
def test_hang_ups_that_fill_the_table_of_locks_do_not_block_a_newcomer(build, policy):
    house = build(policy)
    for number in range(1000, 1000 + MOST):
        hang_up(house, number, f"2001:db8:0:{number:x}::/64")
    count_open_guesses(house)
    assert house.stat("lockouts_active") >= ROOM
    assert isinstance(house.acquire(1, HOME), Lease)
    assert isinstance(house.acquire(2, CAFE), Lease)
