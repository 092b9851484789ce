"""The cache daemon's accounts behind its socket, in this process and on a clock of choice.

What `server.cache.daemon` adds belongs to a process: signals, the disk, the watch over its path.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from server.account_limits import limits_of, policy_of
from server.cache.connections import Connections
from server.cache.server_connection import READ_BYTES, Connection, ConnectionLimits
from server.cache.service import Service
from server.settings.reloading import Reloading
from server.settings.table import Settings
from server.state.accounts import Accounts
from server.state.memory import MemoryStorage


@asynccontextmanager
async def serving(settings: Settings, now: Callable[[], float]) -> AsyncIterator[None]:
    """Serve a cache at the socket that the settings name.

    Args:
        settings: As of the server.
        now: A clock that goes as fast as the loop's.
    """
    limits = limits_of(settings)
    storage = MemoryStorage(limits, now)
    accounts = Accounts(storage, limits, policy_of(settings))
    reloading = Reloading(Settings)
    connections = Connections(
        "evals", os.getpid(), lambda: storage.epochs, lambda: reloading.digest
    )
    service = Service(accounts, connections, dict, reloading)
    room, counts = memoryview(bytearray(READ_BYTES)), Counter[str]()

    def connection() -> Connection:
        one = Connection(service, ConnectionLimits(), counts, room)
        connections.add(one)
        one.gone.add_done_callback(lambda _: connections.discard(one))
        return one

    server = await asyncio.get_running_loop().create_unix_server(connection, settings.cache_socket)
    try:
        yield
    finally:
        server.close()
        service.stop()
        await accounts.stop()
