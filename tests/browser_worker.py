"""Workers with browser login, their cache and their portal, all in this process."""

from __future__ import annotations

import asyncio
import base64
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from starlette.types import ASGIApp

from evals import cache
from server.app import build_app
from server.keys.secret import make_secret, read_secret
from server.settings.table import Settings
from simulator import Simulator
from simulator import build_app as build_portal
from simulator.accounts import Accounts

from .oauth_grants import DEMO, HARD_AUDIENCE, PORTAL, PUBLIC, Grants

REVISION = "2025-06-18"


class Worker:
    """What a test talks to.

    Args:
        app: The worker itself.
        address: From which the test calls.

    Attributes:
        settings: Of the worker.
        simulator: The portal.
        grants: The record that the worker reads.
        http: Talks to the worker.
    """

    def __init__(
        self,
        settings: Settings,
        simulator: Simulator,
        grants: Grants,
        app: ASGIApp,
        address: str = "192.0.2.1",
    ) -> None:
        self.settings = settings
        self.simulator = simulator
        self.grants = grants
        self._app = app
        transport = httpx2.ASGITransport(app, client=(address, 5000))
        self.http = httpx2.AsyncClient(transport=transport, base_url=PUBLIC)
        self._numbers = itertools.count(1)

    @property
    def logins(self) -> int:
        """Logins that the portal has seen."""
        return self.simulator.counters.total.attempts

    def called_from(self, address: str) -> Worker:
        """Return the same worker, called from another address."""
        return Worker(self.settings, self.simulator, self.grants, self._app, address)

    def token(self, **options: Any) -> str:
        """Log a client in; return its access token."""
        return self.grants.log_in(audience=HARD_AUDIENCE, **options)

    async def post(self, body: Any, token: str | None = None, **headers: str) -> httpx2.Response:
        """Send a body as it is."""
        lines = {"Accept": "application/json", "MCP-Protocol-Version": REVISION, **headers}
        if token is not None:
            lines["Authorization"] = f"Bearer {token}"
        how: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
        lines["Content-Type"] = "application/json"
        return await self.http.post("/mcp", headers=lines, **how)

    async def call(self, tool: str, token: str | None = None, **arguments: Any) -> httpx2.Response:
        """Call a tool."""
        headers = arguments.pop("headers", {})
        params = {"name": tool, "arguments": arguments}
        number = next(self._numbers)
        body = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}
        return await self.post(body, token, **headers)


def basic(email: str = DEMO, password: str = "demo") -> dict[str, str]:
    """Return the header of a login."""
    return {"Authorization": "Basic " + base64.b64encode(f"{email}:{password}".encode()).decode()}


@asynccontextmanager
async def browser_worker(
    folder: Path, *, daemon: bool = True, **changes: Any
) -> AsyncIterator[Worker]:
    """Start one in hard mode, with the control of boxes; without the daemon if so wanted."""
    async with browser_workers(folder, 1, daemon=daemon, **changes) as (worker,):
        yield worker


@asynccontextmanager
async def browser_workers(
    folder: Path,
    count: int = 2,
    *,
    daemon: bool = True,
    wall: Callable[[], float] = time.time,
    now: Callable[[], float] = time.monotonic,
    **changes: Any,
) -> AsyncIterator[list[Worker]]:
    """Start several that share all that workers share.

    Args:
        folder: For state and socket.
        count: How many.
        daemon: Whether there is a cache.
        wall: Seconds since 1970, of all and of the portal.
        now: Seconds on a clock that never goes back, of all.
        changes: Settings that differ from those of hard mode with the control of boxes.
    """
    settings = Settings(
        portal_url=PORTAL,
        state_dir=folder,
        run_dir=folder,
        **{"public_url": PUBLIC, "control": "on", "login_burst": 100, **changes},
    )
    simulator = Simulator(Accounts(clock=now), wall=wall)
    at_portal = httpx2.ASGITransport(build_portal(simulator))
    make_secret(settings.secret_file)
    secret = read_secret(settings.secret_file)
    async with AsyncExitStack() as stack:
        if daemon:
            await stack.enter_async_context(cache.serving(settings, now))
        grants = Grants(settings.grants, secret=secret, wall=wall)
        stack.callback(grants.store.close)
        workers = []
        for number in range(count):
            name = f"worker-{number}"
            app = build_app(settings, name=name, transport=at_portal, wall=wall, now=now)
            await stack.enter_async_context(lifespan(app))
            workers.append(Worker(settings, simulator, grants, app))
        yield workers


@asynccontextmanager
async def lifespan(app: ASGIApp) -> AsyncIterator[None]:
    to_app: asyncio.Queue[Any] = asyncio.Queue()
    from_app: asyncio.Queue[Any] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
    life = asyncio.ensure_future(app(scope, to_app.get, from_app.put))

    async def reach(phase: str) -> None:
        to_app.put_nowait({"type": f"lifespan.{phase}"})
        assert (await from_app.get())["type"] == f"lifespan.{phase}.complete"

    await reach("startup")
    try:
        yield
    finally:
        await reach("shutdown")
        await life
