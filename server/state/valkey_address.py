"""Where a Valkey or Redis server is: an address as text, and the client that it stands for.

    redis://[[user]:password@]host[:6379][/database]
    rediss://...                                          over TLS
    unix://[[user]:password@]/path/to/socket[?db=0]
    redis+sentinel://[[user]:password@]host[:26379][,host...]/name[/database]
    rediss+sentinel://...

The part behind `?` takes `db`, `ssl_ca_certs` (a file, for an authority of one's own) and, for
Sentinels, `sentinel_username` and `sentinel_password`. Names are those of redis-py's own addresses.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

PORT: Final = 6379
SENTINEL_PORT: Final = 26379

CONNECT_SECONDS: Final = 1.0
"""How long a connection may take: as long as a command."""

COMMON: Final[dict[str, Any]] = {
    "socket_connect_timeout": CONNECT_SECONDS,
    "retry": Retry(NoBackoff(), 0),
    "protocol": 2,
}
"""Options of every connection."""

QUERIES: Final = frozenset({"db", "ssl_ca_certs"})
SENTINEL_QUERIES: Final = QUERIES | {"sentinel_username", "sentinel_password"}

KINDS: Final = "redis://, rediss://, unix://, redis+sentinel:// or rediss+sentinel://"


def client_of(address: str, password: str | None = None) -> Redis:
    """Return a client for an address; it connects when it is first used.

    Args:
        address: As above.
        password: In place of the one in the address, so that it need not be written there.

    Raises:
        ValueError: It is no such address. The message repeats nothing of it, for there may be a
            password in it.
    """
    try:
        return _client_of(address, password)
    except ValueError:
        raise ValueError(
            f"no address of a Valkey or Redis server: these begin with {KINDS}"
        ) from None


def _client_of(address: str, password: str | None) -> Redis:
    parts = urlsplit(address)
    login, _, place = parts.netloc.rpartition("@")
    user, _, in_address = login.partition(":")
    path = unquote(parts.path)
    query = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    scheme, _, sentinel = parts.scheme.partition("+")
    allowed = SENTINEL_QUERIES if sentinel else QUERIES
    if scheme != "rediss":
        allowed -= {"ssl_ca_certs"}
    if query.keys() - allowed or sentinel not in {"", "sentinel"}:
        raise ValueError(scheme)
    options: dict[str, Any] = {
        **COMMON,
        "username": unquote(user) or None,
        "password": password or unquote(in_address) or None,
        # `Connection` repeats what may be repeated, and bounds a whole trip.
        "socket_timeout": None,
    }
    tls = {"ssl_ca_certs": query["ssl_ca_certs"]} if "ssl_ca_certs" in query else {}
    database = path.removeprefix("/")
    if sentinel and scheme in {"redis", "rediss"}:
        name, _, database = database.partition("/")
        hosts = [_host(one, SENTINEL_PORT) for one in place.split(",")]
        own: dict[str, Any] = {
            **COMMON,
            **({"ssl": True} | tls if scheme == "rediss" else {}),
            "username": query.get("sentinel_username"),
            "password": query.get("sentinel_password"),
            "socket_timeout": CONNECT_SECONDS,
        }
        if not name:
            raise ValueError(scheme)
        options["db"] = int(query.get("db") or database or 0)
        options |= {"ssl": True} | tls if scheme == "rediss" else {}
        watched: Any = Sentinel(hosts, sentinel_kwargs=own)  # type: ignore[no-untyped-call]
        client: Redis = watched.master_for(name, **options)
        return client
    if scheme == "unix" and path.startswith("/") and not place:
        options |= {"path": path, "connection_class": UnixDomainSocketConnection}
        database = "0"
    elif scheme in {"redis", "rediss"}:
        options["host"], options["port"] = _host(place, PORT)
        if scheme == "rediss":
            options |= {"connection_class": SSLConnection} | tls
    else:
        raise ValueError(scheme)
    options["db"] = int(query.get("db") or database or 0)
    return Redis.from_pool(BlockingConnectionPool(max_connections=2, timeout=None, **options))


def _host(place: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{place}")
    if not parts.hostname:
        raise ValueError(place)
    return parts.hostname, parts.port or port
