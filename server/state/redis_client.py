"""The client of redis-py that an address stands for."""

from __future__ import annotations

import copy
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from ..storage_address import StorageAddress
from .valkey_connection import SENTINEL_SECONDS

CONNECT_SECONDS: Final = 1.0
"""How long a connection may take: as long as a command."""

CONNECTIONS: Final = 8
"""One for trips, one that listens, and one for each probe that hangs; further probes wait."""

COMMON: Final[dict[str, Any]] = {
    "socket_connect_timeout": CONNECT_SECONDS,
    "retry": Retry(NoBackoff(), 0),
    "protocol": 2,
}
"""Options of every connection."""


class Sentinels(Sentinel):
    """As redis-py's, for several connections that are made at once.

    redis-py puts the Sentinel that answered at the head of its list, by a place that it took before
    it asked: of two that do so at once, the second may overwrite one Sentinel with another.
    """

    async def discover_master(self, service_name: str) -> tuple[str, int]:
        """Return the primary's host and port; raise `MasterNotFoundError` if nobody knows them."""
        one: Any = copy.copy(self)
        one.sentinels = list(self.sentinels)
        address: tuple[str, int] = await Sentinel.discover_master(one, service_name)
        self.sentinels = one.sentinels
        return address


def client_of(address: StorageAddress) -> Redis:
    """Return a client for an address; it connects when it is first used."""
    options: dict[str, Any] = {
        **COMMON,
        "db": address.database,
        "username": address.user,
        "password": address.password,
        # `valkey_connection` repeats what may be repeated, and bounds a whole trip.
        "socket_timeout": None,
    }
    tls: dict[str, Any] = {} if address.ca_file is None else {"ssl_ca_certs": address.ca_file}
    if address.primary:
        tls = {"ssl": True, **tls} if address.is_secure else {}
        own: dict[str, Any] = {
            **(COMMON | tls),
            "username": address.sentinel_user,
            "password": address.sentinel_password,
            "socket_connect_timeout": SENTINEL_SECONDS,
            "socket_timeout": SENTINEL_SECONDS,
        }
        watched: Any = Sentinels(address.hosts, sentinel_kwargs=own)  # type: ignore[no-untyped-call]
        client: Redis = watched.master_for(address.primary, **options, **tls)
        return client
    if address.path:
        kind: type[Any] = UnixDomainSocketConnection
        options["path"] = address.path
    else:
        kind = SSLConnection if address.is_secure else Connection
        options["host"], options["port"] = address.hosts[0]
        options |= tls
    pool = BlockingConnectionPool(
        connection_class=kind, max_connections=CONNECTIONS, timeout=None, **options
    )
    return Redis.from_pool(pool)
