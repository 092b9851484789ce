"""Workers with near copies at one daemon, and what changes what they have copies of."""

from __future__ import annotations

import asyncio
import hashlib
import time

from server.cache.blocking import BlockingClient
from server.state.vocabulary import REJECTED, Ask, Forget, Get, Lease, Locked

from .cache_process import PATIENCE, CacheProcess
from .daemon_worker import HOME, Worker

KEY, OTHER_KEY, HANDLE, QUESTION = (bytes([number]) * 32 for number in range(1, 5))
FAST = {"OIG_LOGINS_PER_SECOND": "1000", "OIG_LOGIN_BURST": "1000", "OIG_LOGINS_AT_ONCE": "1000"}


class House:
    """Workers with near copies of an account of their own, at one daemon."""

    made = 0

    def __init__(self, cache: CacheProcess) -> None:
        House.made += 1
        self.cache = cache
        self.account = hashlib.sha256(b"%d" % House.made).digest()
        self.handle = self.account[::-1]
        self.workers: list[Worker] = []
        self.login = Ask("login", self.account, KEY, HOME)
        self.looks = {
            "login": self.login,
            "session": Get(account=self.account, key=KEY),
            "handle": Get(handle=self.handle),
            "answer": Ask("answer", self.account, QUESTION),
            "answers": Get(account=self.account, questions=(QUESTION,)),
        }

    def worker(self, *, near: bool = True) -> Worker:
        self.workers.append(Worker(self.cache.path, near=near))
        return self.workers[-1]

    async def filled(self, worker: Worker) -> None:
        """Store what all looks find, and have the worker keep near copies of it."""
        lease = await worker.call(self.login)
        assert isinstance(lease, Lease), lease
        assert await worker.logged_in(
            KEY, lease.token, account=self.account, handle=self.handle, value=b"of KEY"
        )
        assert await worker.put(QUESTION, account=self.account)

    async def warm(self, worker: Worker, *names: str) -> None:
        """Return when these looks have been answered from near copies."""
        for request in (self.looks[name] for name in names or self.looks):
            deadline = time.monotonic() + PATIENCE
            hits = worker.accounts.near.hits
            while worker.accounts.near.hits == hits:
                assert time.monotonic() < deadline, f"never near: {request}"
                await worker.call(request)

    async def operator(self, verb: str, *args: object) -> None:
        def call() -> None:
            with BlockingClient(self.cache.path, PATIENCE) as client:
                client.call(verb, *args)  # type: ignore[arg-type]

        await asyncio.to_thread(call)

    async def aclose(self) -> None:
        for worker in self.workers:
            await worker.aclose()


async def lock(house: House, other: Worker) -> None:
    for number in range(10, 30):
        lease = await other.call(house.login._replace(key=bytes([number]) * 32))
        if isinstance(lease, Locked):
            return
        assert isinstance(lease, Lease)
        key = bytes([number]) * 32
        await other.failed(key, lease.token, REJECTED, account=house.account)
    raise AssertionError("never locked")


async def flush_all(house: House, _: Worker) -> None:
    await house.operator("flush", "sessions")


async def flush_account(house: House, _: Worker) -> None:
    await house.operator("flush", "account", house.account)


async def erase(house: House, other: Worker) -> None:
    await other.call(Forget("account", house.account, budget=house.account))


async def end_login(house: House, other: Worker) -> None:
    await other.call(Forget("login", house.account, KEY))


async def end_handle(house: House, other: Worker) -> None:
    await other.call(Forget("handle", house.account, house.handle))


async def end_dead_session(house: House, other: Worker) -> None:
    digest = hashlib.sha256(b"of KEY").digest()
    await other.call(Forget("session", house.account, KEY, digest))


async def change_password(house: House, other: Worker) -> None:
    lease = await other.call(house.login._replace(key=OTHER_KEY))
    assert isinstance(lease, Lease), lease
    assert await other.logged_in(OTHER_KEY, lease.token, account=house.account)


async def replace_answer(house: House, other: Worker) -> None:
    assert await other.put(QUESTION, b"newer", account=house.account)
