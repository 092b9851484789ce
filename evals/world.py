"""Portal, cache and server in one process on one clock, and the ways to ask and to look behind."""

from __future__ import annotations

import asyncio
import base64
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx2
from starlette.types import ASGIApp, Message

from server.app import build_app
from server.errors import OigError
from server.keys.secret import make_secret
from server.settings.table import Settings
from simulator import Simulator
from simulator import build_app as build_portal
from simulator.accounts import Accounts

from . import cache
from .scenario import Login
from .virtual_time import VirtualTime

SERVER = "http://localhost:8000"
PORTAL = "http://127.0.0.1:8099/"
"""Addresses that nothing listens on: requests are handed over in the process."""

CALLER = ("192.0.2.1", 50_000)
"""Address and port from which the assistant seems to call."""

REVISION = "2025-06-18"
"""Of the protocol: the newest that needs no further headers."""


SELDOM = 3600.0
WAKE_EVERY = ("server.keys.secret_use.CHECK_SECONDS", "server.cache.client.COMPARE_SECONDS")
"""What wakes a worker every two seconds, to look at its secret and at the daemon's, which no
scenario changes: in the days that pass here it would be nearly all that is computed."""


class WorldRefused(OigError):
    """The simulator or the server refused what a scenario wanted of it."""


class World:
    """What a scenario plays in.

    Args:
        time: The clock of everything in it.
        server: HTTP client of the server.
        portal: HTTP client of the simulator.
    """

    def __init__(
        self, time: VirtualTime, server: httpx2.AsyncClient, portal: httpx2.AsyncClient
    ) -> None:
        self.time = time
        self._server = server
        self._portal = portal

    async def ask(
        self, method: str, params: Mapping[str, object], login: Login | None = None
    ) -> dict[str, Any]:
        """Send a request to the server, and return its result.

        Args:
            method: Of MCP, such as `tools/call`.
            params: Its parameters.
            login: Goes out in the header Authorization; None for a call that carries none.

        Raises:
            WorldRefused: The answer is no result.
        """
        headers = {"Accept": "application/json", "MCP-Protocol-Version": REVISION}
        if login is not None:
            pair = f"{login.email}:{login.password}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = await self._server.post("/mcp", json=body, headers=headers)
        content = answer.json()
        if not isinstance(content, dict) or "result" not in content:
            raise WorldRefused(f"{method} was answered {answer.status_code}: {answer.text}")
        result: dict[str, Any] = content["result"]
        return result

    async def administer(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """Use one of the simulator's administrative paths: docs/simulator.md.

        Raises:
            WorldRefused: It was refused.
        """
        answer = await self._portal.request(method, f"_admin/{path}", json=body)
        if answer.status_code >= 300:
            raise WorldRefused(f"{method} {path} was answered {answer.status_code}: {answer.text}")
        content: dict[str, Any] = answer.json()
        return content

    async def truth(self, email: str) -> dict[str, dict[str, Any]]:
        """Return all that is so now at each box of an account, by its id."""
        boxes = (await self.administer("GET", "boxes"))["boxes"].get(email, [])
        return {box: await self.administer("GET", f"truth?box={box}") for box in boxes}


@asynccontextmanager
async def world(at: float, settings: Mapping[str, object]) -> AsyncIterator[World]:
    """Start a world that nothing has happened in; call it on a `VirtualTimeLoop`.

    Args:
        at: Unix time in seconds at which it begins.
        settings: Members of `Settings` that differ from their defaults.
    """
    loop = asyncio.get_running_loop()
    time = VirtualTime(loop, at)
    simulator = Simulator(Accounts(clock=time.now), wall=time.wall)
    at_portal = httpx2.ASGITransport(build_portal(simulator))
    async with AsyncExitStack() as stack:
        for period in WAKE_EVERY:
            stack.enter_context(patch(period, SELDOM))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oig")))
        chosen = replace(_settings(folder), **settings)  # type: ignore[arg-type]
        # Otherwise the worker asks the daemon whether anybody has one, and waits for the answer
        # on the thread that both run on.
        make_secret(chosen.secret_file)
        await stack.enter_async_context(cache.serving(chosen, time.now))
        app = build_app(chosen, transport=at_portal, wall=time.wall, now=time.now)
        await stack.enter_async_context(_lifespan(app))
        server = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app, client=CALLER), base_url=SERVER
        )
        portal = httpx2.AsyncClient(transport=at_portal, base_url=PORTAL)
        yield World(
            time,
            await stack.enter_async_context(server),
            await stack.enter_async_context(portal),
        )


def _settings(folder: Path) -> Settings:
    return Settings(
        portal_url=PORTAL,
        state_dir=folder,
        run_dir=folder,
        auth_log=folder / "auth.log",
    )


@asynccontextmanager
async def _lifespan(app: ASGIApp) -> AsyncIterator[None]:
    """Start an ASGI application, and stop it at the end."""
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()

    async def reach(phase: str) -> None:
        to_app.put_nowait({"type": f"lifespan.{phase}"})
        said = await from_app.get()
        if said["type"] != f"lifespan.{phase}.complete":
            raise WorldRefused(f"the server did not finish its {phase}: {said}")

    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
    life = asyncio.ensure_future(app(scope, to_app.get, from_app.put))
    await reach("startup")
    try:
        yield
    finally:
        await reach("shutdown")
        await life
