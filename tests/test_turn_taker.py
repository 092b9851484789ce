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
from server.state.storage import OWNER_BYTES, POLL_SECONDS, TURNS, StorageAway
from server.state.turn_taker import TurnTaker
from server.state.turns import MAX_FAILED, Turns
from server.state.vocabulary import Ask, Outcome
from server.state.waiters import Group, Queue, Waiter

from .waiting import let_pass

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
        self.waiting: list[Group] = []
        self.away: list[Group] = []
        self.replies: list[Outcome] = []
        own = copy(storage)  # each process has a name of its own, and all have what is there
        own.owner = os.urandom(OWNER_BYTES)
        told = self.served.append, self.waiting.append, self.away.append
        self.taker = TurnTaker(own, LIMITS, os.urandom, *told)

    def join(self, number: int) -> Group:
        account = number.to_bytes(32, "big")
        ask = Ask("login", account, account, f"10.{number}.0.1")
        group = Queue(account).join(ask, Waiter(ask, self.replies.append))
        self.taker.join(group, (AccountState(), AccountState()), Policy())
        return group

    def has_turn(self, group: Group) -> bool:
        return self.taker.served(group.ticket) is True


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
    assert one.has_turn(first)
    assert one.has_turn(second)
    one.taker.close()


async def test_processes_that_step_at_once_give_each_turn_once(storage):
    processes = [Process(storage) for _ in range(3)]
    groups = [process.join(number) for number, process in enumerate(processes)]
    await settle()
    both = list(zip(processes, groups, strict=True))
    served = [one for one in both if one[0].has_turn(one[1])]
    assert len(served) == LIMITS.logins_at_once
    ((other, last),) = (one for one in both if one not in served)
    (process, group), *_ = served
    process.taker.leave(group.ticket, used=True)
    await settle()
    other.taker.forgive(None)  # something makes it look again
    await settle()
    assert other.has_turn(last)
    for process in processes:
        process.taker.close()


async def test_only_a_login_that_has_no_turn_after_a_step_has_to_wait(storage):
    one = Process(storage)
    groups = [one.join(number) for number in range(3)]
    assert [one.taker.is_joining(group) for group in groups] == [True] * 3
    await settle()
    assert [one.taker.is_joining(group) for group in groups] == [False] * 3
    assert one.waiting == [group for group in groups if not one.has_turn(group)]
    assert len(one.waiting) == 1
    one.taker.close()


async def test_rejections_noted_while_the_storage_is_away_are_stored_when_it_is_back(
    storage, monkeypatch
):
    one, path = Process(storage), ("10.0.0.0/8", "10.1.0.0/16", "10.1.0.1")
    storage.there.is_away = True
    for number in range(2 * MAX_FAILED):
        one.taker.rejected((path[0], path[1], str(number)))
    one.taker.rejected(path)
    one.join(1)
    await settle()
    storage.there.is_away = False
    let_pass(POLL_SECONDS, monkeypatch)
    await asyncio.sleep(0.01)
    await settle()
    failed = Turns.load(storage.there.value).failed
    assert len(failed) == MAX_FAILED
    assert path[2] in failed
    one.taker.close()


async def test_an_own_turn_that_ended_while_the_storage_was_away_ends_there_by_itself(
    storage, monkeypatch
):
    one = Process(storage)
    (group,) = [one.join(1)]
    await settle()
    storage.there.is_away = True
    one.taker.leave(group.ticket, used=True)
    await settle()
    assert group.ticket in Turns.load(storage.there.value).running
    storage.there.is_away = False
    let_pass(POLL_SECONDS, monkeypatch)
    await asyncio.sleep(0.01)
    await settle()
    assert Turns.load(storage.there.value).running == {}
    one.taker.close()


async def test_all_go_on_without_turns_while_the_storage_is_away(storage):
    one = Process(storage)
    groups = [one.join(number) for number in range(3)]
    await settle()
    running = list(one.served)
    assert len(running) == LIMITS.logins_at_once
    storage.there.is_away = True
    groups.append(one.join(9))
    await settle()
    assert one.away == [group for group in groups if group not in running]
    assert one.served == running
    storage.there.is_away = False
    one.taker.leave(running[0].ticket, used=True)
    group = one.join(10)
    await settle()
    assert one.has_turn(group)
    one.taker.close()
