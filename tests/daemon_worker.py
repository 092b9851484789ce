"""What a worker has of the accounts, over a daemon or without one, asked in few words."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.cache.client import CacheClient
from server.cache.hello import Hello
from server.errors import CacheUnavailable
from server.state.copies import Copies
from server.state.fallback import WorkerAccounts
from server.state.vocabulary import (
    Ask,
    Done,
    Fail,
    Forget,
    Found,
    Fulfil,
    Get,
    Hit,
    Lease,
    Outcome,
    Put,
    Request,
)

from .cache_process import PATIENCE
from .local_accounts import local_accounts

HELLO = Hello.of("mcp-0", 1, "0-test")
ACCOUNT = b"a" * 32
HOME = "192.0.2.1"
TTL = 3600.0


class Worker:
    """One worker's accounts. Each call is bounded; none of them may hang.

    Args:
        path: The daemon's socket; whether there is one or not.
        remote: What is asked in place of a client.
        local: Its copies.
        near: Whether it keeps near copies.
        now: The clock of those.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        remote: Any = None,
        local: Copies | None = None,
        near: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        hello = HELLO._replace(near=1 if near else None)
        path = path or Path("none")
        self.remote = remote or CacheClient(path, hello, timeout=PATIENCE, now=now)
        self.local = local or local_accounts()
        self.accounts = WorkerAccounts(self.remote, self.local, now=now)

    async def call(self, request: Request) -> Outcome:
        return await bounded(self.accounts.call(request))

    async def ping(self) -> None:
        await bounded(self.accounts.ping())

    async def met(self) -> Worker:
        """Return when it has found out that there is a daemon."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            with contextlib.suppress(CacheUnavailable):
                await self.ping()
                return self
            assert asyncio.get_running_loop().time() < deadline, "waited in vain for a daemon"
            await asyncio.sleep(0.01)  # a poll with a bound

    async def login(
        self,
        key: bytes,
        account: bytes = ACCOUNT,
        source: str = HOME,
        budget: bytes | None = None,
    ) -> Outcome:
        return await self.call(Ask("login", account, key, source, budget))

    async def logged_in(
        self,
        key: bytes,
        token: bytes,
        *,
        value: bytes = b"session",
        ttl: float = TTL,
        account: bytes = ACCOUNT,
        handle: bytes | None = None,
    ) -> bool:
        record = None if handle is None else b"record of " + handle
        fulfil = Fulfil("login", account, key, token, value, ttl, handle, record)
        return isinstance(await self.call(fulfil), Done)

    async def open(self, key: bytes, **more: Any) -> None:
        """Log in as `Sessions` does; fails if there is a session already."""
        lease = await self.login(key, more.get("account", ACCOUNT))
        assert isinstance(lease, Lease), lease
        assert await self.logged_in(key, lease.token, **{"value": b"of " + key, **more})

    async def failed(
        self,
        key: bytes,
        token: bytes,
        reason: str,
        retry_after: float = 0.0,
        account: bytes = ACCOUNT,
    ) -> bool:
        fail = Fail("login", account, key, token, reason, retry_after)
        return isinstance(await self.call(fail), Done)

    async def session(self, key: bytes, account: bytes = ACCOUNT) -> Hit | None:
        found = await self.call(Get(account=account, key=key))
        return found.session if isinstance(found, Found) else None

    async def by_handle(self, handle: bytes) -> Found | None:
        found = await self.call(Get(handle=handle))
        return found if isinstance(found, Found) else None

    async def forget(self, key: bytes, digest: bytes, account: bytes = ACCOUNT) -> None:
        await self.call(Forget("session", account, key, digest))

    async def ask(self, key: bytes, account: bytes = ACCOUNT) -> Outcome:
        return await self.call(Ask("answer", account, key))

    async def leased(self, key: bytes, account: bytes = ACCOUNT) -> Lease:
        outcome = await self.ask(key, account)
        assert isinstance(outcome, Lease), outcome
        return outcome

    async def answered(
        self,
        key: bytes,
        token: bytes,
        *,
        value: bytes = b"answer",
        ttl: float = 60.0,
        account: bytes = ACCOUNT,
    ) -> bool:
        return isinstance(await self.call(Fulfil("answer", account, key, token, value, ttl)), Done)

    async def unanswered(
        self, key: bytes, token: bytes, reason: str, retry_after: float, account: bytes = ACCOUNT
    ) -> bool:
        fail = Fail("answer", account, key, token, reason, retry_after)
        return isinstance(await self.call(fail), Done)

    async def put(
        self, key: bytes, value: bytes = b"answer", ttl: float = 60.0, account: bytes = ACCOUNT
    ) -> bool:
        return isinstance(await self.call(Put("answer", account, key, value, ttl)), Done)

    async def answer(self, key: bytes, account: bytes = ACCOUNT) -> Hit | None:
        found = await self.call(Get(account=account, questions=(key,)))
        return found.answers[0] if isinstance(found, Found) else None

    async def aclose(self) -> None:
        close = getattr(self.remote, "aclose", None)
        if close is not None:
            await bounded(close())
        await bounded(self.accounts.stop())


async def bounded(awaitable: Any) -> Any:
    return await asyncio.wait_for(awaitable, PATIENCE)
