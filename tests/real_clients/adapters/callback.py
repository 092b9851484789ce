"""Where a browser is sent after a login: a server on loopback that waits for it (RFC 8252 7.3)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl, urlsplit

PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nDone"


class LoginRefused(Exception):
    """The browser came back with an error; the message is its code."""


class Callback:
    """Waits for browsers.

    Attributes:
        uri: The address that they are to be sent to.
    """

    def __init__(self) -> None:
        self.uri = ""
        self._came: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Listen on a free port."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        async with server:
            self.uri = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/callback"
            yield

    async def query(self) -> dict[str, str]:
        """Return the query that the next browser brings.

        Raises:
            LoginRefused: It brings an error.
        """
        query = await self._came.get()
        if "error" in query:
            raise LoginRefused(query["error"])
        return query

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        _, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        writer.write(PAGE)
        await writer.drain()
        writer.close()
        self._came.put_nowait(dict(parse_qsl(urlsplit(target).query)))
