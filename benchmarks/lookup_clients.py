"""Clients that look up sessions from asyncio: ours, and those of rivals, each as it is set up."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import redis.asyncio
from redis._parsers import _AsyncHiredisParser, _AsyncRESP3Parser
from redis.asyncio.connection import UnixDomainSocketConnection

from server.state.vocabulary import Ask, Hit, Outcome

from .filling import asked, client_of, key, shared_client_of, value

Look = Callable[[int], Awaitable[bytes | None]]

PATIENCE = 60.0
"""Seconds after which a caller of a full pool gives up."""

PARSERS = {"hiredis": _AsyncHiredisParser, "its own parser": _AsyncRESP3Parser}
DEFAULT_POOL, ONE_CONNECTION = "default pool", "one connection"


def looking(job: Mapping[str, Any], numbers: list[int]) -> AbstractAsyncContextManager[Look]:
    """Return the context in which a client looks up.

    Args:
        job: `kind` of client, `path` of the socket, `options` of its kind, `packages`, the folder
            with that of memcached.
        numbers: The sessions it will be asked for.
    """
    path, options = job["path"], job["options"]
    match job["kind"]:
        case "cache daemon":
            return cache_daemon(path, numbers)
        case "shared storage":
            return shared_storage(path, numbers)
        case "redis-py":
            return redis_py(path, numbers, **options)
        case "emcache":
            return emcache(path, job["packages"], numbers, **options)
        case "plain client":
            return plain_client(path, numbers)
    raise ValueError(job["kind"])


@asynccontextmanager
async def cache_daemon(path: str, numbers: list[int]) -> AsyncIterator[Look]:
    """Look up in the cache daemon over one connection."""
    client = client_of(Path(path))
    try:
        yield _looks(client.call, numbers)
    finally:
        await client.aclose()


@asynccontextmanager
async def shared_storage(path: str, numbers: list[int]) -> AsyncIterator[Look]:
    """Look up on a shared storage, as a worker does."""
    client = shared_client_of(f"unix://{path}")
    try:
        yield _looks(client.call, numbers)
    finally:
        await client.aclose()


def _looks(call: Callable[[Ask], Awaitable[Outcome]], numbers: list[int]) -> Look:
    requests = {number: asked(number) for number in numbers}

    async def look(number: int) -> bytes | None:
        outcome = await call(requests[number])
        return outcome.value if type(outcome) is Hit else None

    return look


@asynccontextmanager
async def redis_py(
    path: str, numbers: list[int], connections: int | str, parser: str
) -> AsyncIterator[Look]:
    """Look up in a Redis server with redis-py, without a time-out, which is the faster.

    Args:
        path: Of its socket.
        numbers: Which sessions.
        connections: `DEFAULT_POOL`, as the manual shows; `ONE_CONNECTION`, as of
            `single_connection_client`; or how many a blocking pool has.
        parser: Of `PARSERS`.
    """
    # Sequential calls find the same connection in a pool each time.
    made = {"path": path, "parser_class": PARSERS[parser], "socket_timeout": None}
    kind: Any = {**made, "connection_class": UnixDomainSocketConnection}
    if isinstance(connections, int):
        pool = redis.asyncio.BlockingConnectionPool(
            max_connections=connections, timeout=PATIENCE, **kind
        )
    else:
        pool = redis.asyncio.ConnectionPool(**kind)
    client = redis.asyncio.Redis(
        connection_pool=pool, single_connection_client=connections == ONE_CONNECTION
    )
    keys = {number: key(number) for number in numbers}

    async def look(number: int) -> bytes | None:
        found: bytes | None = await client.get(keys[number])
        return found

    try:
        yield look
    finally:
        await client.aclose()
        await pool.aclose()


@asynccontextmanager
async def emcache(
    path: str, packages: str, numbers: list[int], connections: int, *, batches: bool
) -> AsyncIterator[Look]:
    """Look up in memcached with emcache, without a time-out.

    Args:
        path: Of its socket.
        packages: Folder in which emcache is installed.
        numbers: Which sessions.
        connections: How many at most.
        batches: Whether what is asked for at the same time goes as one command.
    """
    sys.path.append(packages)
    module: Any = importlib.import_module("emcache")
    client = await module.create_client(
        [module.MemcachedUnixSocketPath(path)],
        timeout=None,
        max_connections=connections,
        autobatching=batches,
    )
    keys = {number: _memcached_key(number) for number in numbers}

    async def look(number: int) -> bytes | None:
        found = await client.get(keys[number])
        return None if found is None else found.value

    try:
        for number in {*numbers}:
            await client.set(keys[number], value(number))
        yield look
    finally:
        await client.close()


@asynccontextmanager
async def plain_client(path: str, numbers: list[int]) -> AsyncIterator[Look]:
    """Look up in memcached over one connection with as little as this takes; no released client.

    The event loop writes together what is asked for at the same time.
    """
    loop = asyncio.get_running_loop()
    transport, gets = await loop.create_unix_connection(_Gets, path)
    requests = {number: b"get %b\r\n" % _memcached_key(number) for number in numbers}

    def sent(request: bytes) -> asyncio.Future[bytes | None]:
        waiting: asyncio.Future[bytes | None] = loop.create_future()
        gets.waiting.append(waiting)
        transport.write(request)
        return waiting

    async def look(number: int) -> bytes | None:
        return await sent(requests[number])

    try:
        for number in {*numbers}:
            stored = value(number)
            head = b"set %b 0 0 %d\r\n" % (_memcached_key(number), len(stored))
            await sent(head + stored + b"\r\n")
        yield look
    finally:
        transport.close()


class _Gets(asyncio.Protocol):
    """Answers of memcached, in the order of the requests."""

    def __init__(self) -> None:
        self.waiting: deque[asyncio.Future[bytes | None]] = deque()
        self._data = b""

    def data_received(self, data: bytes) -> None:
        data, at = self._data + data, 0
        while (end := data.find(b"\r\n", at)) >= 0:
            words = data[at:end].split()
            if words[0] == b"VALUE":
                begin = end + 2
                last = begin + int(words[3])
                if len(data) < last + len(b"\r\nEND\r\n"):
                    break
                found, at = data[begin:last], last + len(b"\r\nEND\r\n")
                self.waiting.popleft().set_result(found)
            else:  # END, where nothing was found, or STORED
                at = end + 2
                self.waiting.popleft().set_result(None)
        self._data = data[at:]


def _memcached_key(number: int) -> bytes:
    return key(number).hex().encode()
