"""How much a request costs that waits: as many as may wait must not fill the machine."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import replace

from server.state.accounts import Accounts
from server.state.limits import Limits, Policy
from server.state.memory import MemoryStorage
from server.state.vocabulary import Ask, Outcome, Waiting

from .daemon_worker import Worker

MOST_BYTES = 2048


async def test_as_many_as_may_wait_for_a_login_cost_less_than_two_kilobytes_each():
    limits = replace(Limits(), waiters=1000)
    accounts = Accounts(MemoryStorage(limits), limits, Policy())
    told: list[Outcome] = []
    key, account = b"k" * 32, b"a" * 32
    accounts.submit(Ask("login", account, key, "192.0.2.1"), told.append)
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(limits.waiters):
            # As they come off a connection: nothing of them is shared.
            keys = bytes(bytearray(account)), bytes(bytearray(key))
            asked = Ask("login", *keys, f"10.0.0.{number % 250}")
            accounts.submit(asked, told.append)
        await asyncio.sleep(0)
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert told[1:].count(Waiting()) == limits.waiters
    assert used / limits.waiters < MOST_BYTES
    await accounts.stop()


async def bytes_each(ask: Callable[[Ask], Awaitable[object]], count: int) -> float:
    """How much as many tasks take that ask for one login from several places, and wait."""

    async def caller(number: int) -> object:
        keys = bytes(bytearray(b"a" * 32)), bytes(bytearray(b"k" * 32))
        return await ask(Ask("login", *keys, f"10.0.0.{number % 250}"))

    gc.collect()
    tracemalloc.start()
    try:
        tasks = [asyncio.create_task(caller(number)) for number in range(count)]
        for _ in range(100):
            await asyncio.sleep(0)
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return used / count


async def test_waiters_of_a_worker_without_its_daemon_cost_no_more_beside_their_tasks():
    loop, worker = asyncio.get_running_loop(), Worker()
    await worker.call(Ask("login", b"a" * 32, b"k" * 32, "192.0.2.1"))
    bare = await bytes_each(lambda _: loop.create_future(), 500)
    # What Python has in store from earlier tests makes a twentieth of the difference.
    assert await bytes_each(worker.accounts.call, 500) - bare < 1.05 * MOST_BYTES
    await worker.aclose()
