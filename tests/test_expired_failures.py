"""Names of wrong passwords are kept for as long as they count, and no longer."""

from __future__ import annotations

import asyncio

from server.cache.keeper import Keeper
from server.cache.throttle import FORGET_AFTER, Policy
from server.store.fallback import LocalStore

from .test_engine import CAFE, Clock, House, account, key

MEMORY = 60.0
"""Seconds for which a rejection is remembered, as OIG_REJECTED_MEMORY has it."""


def rejections(house):
    return set(house.engine._rejections._until)


def counted(house):
    return {one for row in house.engine.export().failures for one in row.keys}


def test_a_rejection_goes_when_its_time_is_over_though_nobody_asks():
    house = House(rejected_memory=MEMORY)
    house.reject(1)
    house.clock.time += MEMORY - 1.0
    house.reject(2)
    assert not house.engine.drop_expired_failures()
    assert rejections(house) == {key(1), key(2)}
    house.clock.time += 1.0
    house.engine.drop_expired_failures()
    assert rejections(house) == {key(2)}


def test_a_counter_goes_a_day_after_its_last_failure_and_says_so_once():
    house = House()
    house.reject(1)
    house.clock.time += FORGET_AFTER / 2
    house.reject(2, CAFE, of=1)
    assert not house.engine.drop_expired_failures()
    house.clock.time += FORGET_AFTER / 2
    assert house.engine.drop_expired_failures()
    assert not house.engine.drop_expired_failures()
    assert counted(house) == {key(2)}
    house.clock.time += FORGET_AFTER / 2
    assert house.engine.drop_expired_failures()
    assert not house.throttle._accounts


def test_a_lock_that_lasts_longer_is_not_opened_by_it():
    house = House(Policy(longest=3 * FORGET_AFTER, first=3 * FORGET_AFTER))
    for number in range(5):
        house.reject(number, of=1)
    house.clock.time += 2 * FORGET_AFTER
    house.engine.drop_expired_failures()
    assert house.throttle.locked_for(account(1), "192.0.2.1") > 0.0


async def test_the_file_is_rewritten_when_what_it_shows_counts_no_longer(tmp_path):
    house = House()
    house.reject(1)
    path = tmp_path / "snapshot"
    keeper = Keeper(house.engine, path, period=0.01)
    await keeper.write()
    assert key(1) in path.read_bytes()
    house.clock.time += FORGET_AFTER + 1.0
    written = asyncio.Event()

    def take_change() -> bool:
        # Once for the counter, and not again.
        expired = house.engine.drop_expired_failures()
        if not expired:
            written.set()
        return expired

    keeping = asyncio.get_running_loop().create_task(keeper.keep(take_change))
    await asyncio.wait_for(written.wait(), 60)
    keeping.cancel()
    await asyncio.wait([keeping])
    assert key(1) not in path.read_bytes()
    assert account(1) not in path.read_bytes()


def test_a_worker_forgets_what_it_counted_alone():
    clock = Clock()
    local = LocalStore(now=clock)
    local.failed(account(1), "192.0.2.1", key(1), account(1))
    clock.time += FORGET_AFTER + 1.0
    local.drop_expired_failures()
    assert not local._throttle._accounts
