"""Turns of one process among several that share a storage."""

from __future__ import annotations

import asyncio
import os
from copy import copy
from types import SimpleNamespace

import pytest

from server.state.account import AccountState
from server.state.limits import Limits, Policy
from server.state.memory import MemoryStorage
from server.state.storage import OWNER_BYTES, TURNS, StorageAway
from server.state.turn_taker import TurnTaker
from server.state.vocabulary import Ask, Outcome
from server.state.waiters import Group, Queue, Waiter

LIMITS = Limits(logins_at_once=2)


class SharedStorage(MemoryStorage):
    """One value that several processes swap, and that is a moment away."""

    def __init__(self) -> None:
        super().__init__(LIMITS, lambda: 1000.0)
        self.is_shared = True
        self.there = SimpleNamespace(value=None, is_away=False)

    async def load(self, name):
        assert name == TURNS
        await asyncio.sleep(0)
        if self.there.is_away:
            raise StorageAway
        return self.there.value

    async def swap(self, name, old, new, entry):
        before = self.there.value
        await asyncio.sleep(0)
        if before is self.there.value and before == old:
            self.there.value = new
        return self.there.value is new

    async def dead(self, owners):
        return frozenset()


@pytest.fixture
def storage():
    return SharedStorage()


class Process:
    def __init__(self, storage) -> None:
        self.served: list[Group] = []
        self.replies: list[Outcome] = []
        own = copy(storage)  # each process has a name of its own, and all have what is there
        own.owner = os.urandom(OWNER_BYTES)
        self.taker = TurnTaker(own, LIMITS, os.urandom, self.served.append)

    def join(self, number: int) -> Group:
        account = number.to_bytes(32, "big")
        ask = Ask("login", account, account, f"10.{number}.0.1")
        group = Queue(account).join(ask, Waiter(ask, self.replies.append))
        self.taker.join(group, (AccountState(), AccountState()), Policy())
        return group


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_login_that_comes_during_a_swap_waits_for_the_next_step(storage):
    one = Process(storage)
    first = one.join(1)
    await asyncio.sleep(0)
    second = one.join(2)
    await settle()
    assert one.served == [first, second]
    assert first.served
    assert second.served
    one.taker.close()


async def test_processes_that_step_at_once_give_each_turn_once(storage):
    processes = [Process(storage) for _ in range(3)]
    groups = [process.join(number) for number, process in enumerate(processes)]
    await settle()
    assert sum(group.served is True for group in groups) == LIMITS.logins_at_once
    (last,) = (group for group in groups if not group.served)
    served = next(group for group in groups if group.served)
    processes[groups.index(served)].taker.leave(served.ticket, used=True)
    await settle()
    processes[groups.index(last)].taker.forgive(None)  # something makes it look again
    await settle()
    assert last.served
    for process in processes:
        process.taker.close()


async def test_all_are_sent_away_while_the_storage_is_away_and_nobody_asks_it_in_vain(storage):
    one = Process(storage)
    groups = [one.join(number) for number in range(3)]
    await settle()
    running = list(one.served)
    assert len(running) == LIMITS.logins_at_once
    storage.there.is_away = True
    groups.append(one.join(9))
    await settle()
    assert [group for group in groups if group.served is False] == one.served[len(running) :]
    assert len(one.served) == len(groups)
    assert one.taker._timer is None
    storage.there.is_away = False
    one.taker.leave(running[0].ticket, used=True)
    group = one.join(10)
    await settle()
    assert group.served
    one.taker.close()
