"""The cache daemon's engine behind its socket, in this process and on a clock of choice.

What `server.cache.daemon` adds belongs to a process: signals, the snapshot, the watch over its
path.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from server.cache.budgets import limits_of, policy_of
from server.cache.engine import Engine
from server.cache.server_connection import READ_BYTES, Connection, Counts, PeerLimits
from server.cache.service import Service
from server.cache.throttle import Throttle
from server.settings.reloading import Reloading
from server.settings.table import Settings


class Cache:
    """Serves one engine to those who connect.

    Args:
        engine: Decides.
        now: The engine's clock; the loop's must go as fast.
    """

    def __init__(self, engine: Engine, now: Callable[[], float]) -> None:
        self._engine = engine
        self._now = now
        self._service = Service(engine, "evals", os.getpid(), dict, Reloading(Settings))
        self._room = memoryview(bytearray(READ_BYTES))
        self._counts = Counts()
        self._timer: asyncio.TimerHandle | None = None

    def connection(self) -> Connection:
        """Make the protocol of one connection."""
        one = Connection(self._service, PeerLimits(), self._counts, self._room, self._settle)
        self._service.peers.add(one)
        one.gone.add_done_callback(lambda _: self._service.peers.discard(one))
        return one

    def stop(self) -> None:
        """Answer nothing any more."""
        self._service.stop()
        if self._timer is not None:
            self._timer.cancel()

    def _settle(self) -> None:
        self._service.settle()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._engine.next_due()
        if due is not None:
            self._timer = asyncio.get_running_loop().call_later(
                max(due - self._now(), 0.0), self._settle
            )


@asynccontextmanager
async def serving(settings: Settings, now: Callable[[], float]) -> AsyncIterator[None]:
    """Serve a cache at the socket that the settings name."""
    engine = Engine(limits_of(settings), Throttle(policy_of(settings), now), now)
    cache = Cache(engine, now)
    server = await asyncio.get_running_loop().create_unix_server(
        cache.connection, settings.cache_socket
    )
    try:
        yield
    finally:
        server.close()
        cache.stop()
