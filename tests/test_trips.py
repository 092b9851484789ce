"""How often a worker asks the daemon for one call, whichever way the caller logs in."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from server.auth.access import Access
from server.auth.authorized import Authorized
from server.auth.caller import Caller
from server.auth.handles import Handles
from server.auth.sealing import Credential, Sealer
from server.auth.sessions import Sessions
from server.sources import source_of_grant
from server.upstream.portal_reader import ALONG, Upstream

from .cache_process import run_folder, running_cache
from .daemon_worker import HOME, Worker
from .portal_simulator import InProcess

SECRET = b"s" * 32
DEMO = Credential("demo@example.com", "demo")
GRANT = source_of_grant(bytes(16))
FAST = {"OIG_LOGINS_PER_SECOND": "1000", "OIG_LOGIN_BURST": "1000"}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def cache():
    with run_folder() as path, running_cache(path, FAST) as running:
        yield running


class Counting:
    """A worker over a daemon, whose frames are counted."""

    def __init__(self, path) -> None:
        self.worker = Worker(path)
        self.portal = InProcess()
        self.client = self.portal.client()
        accounts, sealer = self.worker.accounts, Sealer(SECRET, InProcess.base_url)
        handles = Handles(SECRET)
        self.sessions = Sessions(accounts, self.client, sealer, handles, ttl=3600.0)
        self.access = Access(self.sessions, accounts, handles, sealer)
        self.upstream = Upstream(accounts, self.access, self.client, sealer)
        self.frames: list[str] = []

    async def count(self) -> None:
        """Count from now on, over the connection that there is."""
        await self.worker.met()
        channel = self.worker.remote._channel
        send = channel.send

        def counted(verb: str, *rest: Any) -> Any:
            self.frames.append(verb)
            return send(verb, *rest)

        channel.send = counted

    async def read(self, who: Caller) -> list[str]:
        """Read live data as the tools do; return what the daemon was asked."""
        self.frames.clear()
        granted = await self.access.open(who, *ALONG)
        fetched = await self.upstream.live(granted)
        await self.upstream.baseline(granted)
        await self.upstream.cached_notices(granted)
        assert fetched.payload
        return list(self.frames)

    async def aclose(self) -> None:
        await self.upstream.aclose()
        await self.sessions.aclose()
        await self.worker.aclose()
        await self.client.aclose()


@pytest.fixture
async def counting(cache):
    one = Counting(cache.path)
    await one.count()
    yield one
    await one.aclose()


def by(way: str, handle: str) -> Caller:
    async def noted(_: object) -> None: ...

    grant: Any = SimpleNamespace()
    told = Authorized(grant, noted, noted) if way == "grant" else None
    return {
        "a handle": Caller(None, handle, HOME, HOME),
        "e-mail and password": Caller(DEMO, None, HOME, HOME),
        "a handle beside a header": Caller(DEMO, handle, HOME, HOME),
        "a grant": Caller(DEMO, None, GRANT, HOME, grant=told),
    }[way]


@pytest.mark.parametrize(
    ("way", "frames"),
    [
        ("a handle", ["get"]),
        ("a handle beside a header", ["get"]),
        # A lock is looked at before anything that may be known of the account.
        ("e-mail and password", ["ask", "get"]),
        ("a grant", ["ask", "get"]),
    ],
)
async def test_a_cached_reading_asks_the_daemon_as_rarely_as_locks_allow(counting, way, frames):
    first = await counting.access.open(Caller(DEMO, None, HOME, HOME))
    await counting.upstream.live(first)
    assert await counting.read(by(way, first.session.handle)) == frames


async def test_a_login_stores_its_handle_and_a_lease_returns_the_session_in_one_request(counting):
    credential = Credential("demo2@example.com", "demo")
    first = await counting.access.open(Caller(credential, None, HOME, HOME), *ALONG)
    assert counting.frames == ["ask", "fulfil"]
    asked = await counting.read(Caller(None, first.session.handle, HOME, HOME))
    # The handle; the lease; the answer told; the baseline read, put and read; the notifications.
    assert asked == ["get", "ask", "fulfil", "get", "put", "get", "get"]
