"""Whose message is worked on next."""

import asyncio
import contextlib
from functools import partial

import pytest

from server.http.concurrency import FairQueue

from .waiting import let_pass


class Serving:
    """An app that notes what was begun, and answers when it is allowed to."""

    def __init__(self):
        self.begun = []
        self.more = asyncio.Event()
        self.done = {}
        self.at_end = lambda: None

    async def __call__(self, scope, _receive, _send):
        self.begun.append(scope["path"])
        self.more.set()
        await self.done.setdefault(scope["path"], asyncio.Event()).wait()
        self.at_end()
        self.at_end = lambda: None

    async def all_begun(self, count):
        while len(self.begun) < count:
            self.more.clear()
            await self.more.wait()


def source(host):
    return None if host == "exempt" else host


async def settled():
    for _ in range(5):
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def serving(at_once=2, lasts=60.0):
    """Yield an app, and what sends a message to it from an address."""
    app = Serving()
    queue = FairQueue(app, source, at_once, lasts)
    tasks = {}

    async def send(*messages):
        for host, path in messages:
            scope = {"client": (host, 1), "path": path}
            tasks[path] = asyncio.create_task(queue(scope, None, None))
            await settled()
        return tasks

    yield app, send
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


async def answered(app, path):
    app.done[path].set()
    await settled()


CROWD = "198.51.100.7"


def test_networks_take_turns_however_many_messages_one_sends():
    async def run():
        async with serving() as (app, send):
            await send(*[(CROWD, f"crowd {n}") for n in range(6)])
            await send((f"{CROWD}1", "neighbour"), ("192.0.2.1", "a"), ("192.0.2.1", "b"))
            await send(("2001:db8:1::/64", "c"), ("2001:db8:1:1::/64", "d"))
            assert app.begun == ["crowd 0", "crowd 1"]
            for n in range(8):
                await answered(app, app.begun[n])
            turns = ["crowd 2", "a", "c", "crowd 3", "b", "d", "crowd 4", "crowd 5"]
            assert app.begun[2:] == turns

    asyncio.run(run())


def test_an_exempt_caller_does_not_wait():
    async def run():
        async with serving() as (app, send):
            await send(*[(CROWD, f"crowd {n}") for n in range(6)])
            await send(("exempt", "a"), ("exempt", "b"), ("exempt", "c"))
            assert app.begun[2:] == ["a", "b", "c"]

    asyncio.run(run())


def test_a_turn_ends_exactly_once_when_its_message_takes_long(monkeypatch):
    async def run():
        async with serving(at_once=1, lasts=1000.0) as (app, send):
            tasks = await send((CROWD, "slow"), (CROWD, "slower"), (CROWD, "last"))
            assert app.begun == ["slow"]
            for begun in (2, 3):
                let_pass(1000.0, monkeypatch)
                await app.all_begun(begun)
            for path in ("slow", "slower", "last"):
                await answered(app, path)
                assert tasks[path].done()
            # Each turn came back once: there is one again, and no more.
            await send((CROWD, "next"), (CROWD, "after it"))
            assert app.begun[3:] == ["next"]

    asyncio.run(run())


@pytest.mark.parametrize("moment", ["waiting", "with its turn", "being answered"])
def test_a_message_that_is_cancelled_gives_its_turn_to_the_next(moment):
    async def run():
        async with serving(at_once=1) as (app, send):
            tasks = await send((CROWD, "first"), (CROWD, "cancelled"), (CROWD, "last"))
            cancel = tasks["cancelled"].cancel
            if moment == "waiting":
                cancel()
            elif moment == "with its turn":
                # After it was given its turn, and before it has run.
                app.at_end = partial(asyncio.get_running_loop().call_soon, cancel)
            await answered(app, "first")
            if moment == "being answered":
                cancel()
                await settled()
            begun = ["first", *["cancelled"] * (moment == "being answered"), "last"]
            assert app.begun == begun
            assert tasks["cancelled"].cancelled()

    asyncio.run(run())


def test_a_message_that_fails_gives_its_turn_back():
    async def failing(*_):
        raise LookupError("broken")

    async def run():
        queue = FairQueue(failing, source, 1)
        for _ in range(3):
            with pytest.raises(LookupError, match="broken"):
                await queue({"client": (CROWD, 1)}, None, None)

    asyncio.run(run())
