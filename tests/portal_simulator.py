"""The simulated portal for everybody's tests: in the process, or as a process of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2

from drills.simulated_portal import (
    DEMO_BOX,
    QUEEN_BOX,
    SECOND_BOX,
    VERSION,
    RunningPortal,
    running_portal,
)
from server.portal.client import PortalClient
from simulator import Simulator, build_app

__all__ = [
    "DEMO_BOX",
    "QUEEN_BOX",
    "SECOND_BOX",
    "VERSION",
    "InProcess",
    "RunningPortal",
    "running_portal",
]


class InProcess:
    """A simulated portal without any socket.

    Attributes:
        simulator: Its state, to look at and to change.
        transport: For an httpx2 client.
        requests: Every request that arrived.
    """

    base_url = "http://portal.test/"

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.simulator = Simulator(sleep=sleep, wall=wall)
        self.requests: list[httpx2.Request] = []
        self.transport = _Recording(
            httpx2.ASGITransport(build_app(self.simulator)), self.requests.append
        )

    def client(self, **options: Any) -> PortalClient:
        """Make a client of this portal; close it when done."""
        return PortalClient(self.base_url, version=VERSION, transport=self.transport, **options)


class _Recording(httpx2.AsyncBaseTransport):
    def __init__(
        self, inner: httpx2.AsyncBaseTransport, record: Callable[[httpx2.Request], None]
    ) -> None:
        self._inner = inner
        self._record = record

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._record(request)
        return await self._inner.handle_async_request(request)
