"""A network between a client and a server, which can be slow, cut, or swallow what is sent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

CHUNK = 65536


@dataclass
class Direction:
    """One of the two ways.

    Attributes:
        delay: Seconds by which everything is late.
        is_lost: Whether everything is swallowed: no error, and no end of the connection.
        cut_after: After so many more bytes the connection is reset; None never.
    """

    delay: float = 0.0
    is_lost: bool = False
    cut_after: int | None = None


@dataclass
class TcpProxy:
    """Passes on the connections to a port of its own, as its directions say.

    Attributes:
        port: On loopback.
        there: From clients to the server; `back` from the server to clients.
        refuses: Whether new connections are reset at once.
    """

    target: Path
    port: int = 0
    there: Direction = field(default_factory=Direction)
    back: Direction = field(default_factory=Direction)
    refuses: bool = False
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def split(self) -> None:
        """Swallow everything from now on, both ways."""
        self.there.is_lost = self.back.is_lost = True

    def heal(self) -> None:
        """Pass on everything from now on. What was swallowed is lost, so connections are reset."""
        self.pass_on()
        self.cut()

    def pass_on(self) -> None:
        """Pass on everything from now on, but keep connections that have lost something."""
        self.there, self.back, self.refuses = Direction(), Direction(), False

    def cut(self) -> None:
        """Reset all connections."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        try:
            source, sink = await asyncio.open_unix_connection(str(self.target))
        except OSError:
            writer.transport.abort()
            return
        both = {writer, sink}
        self._writers |= both
        ways = (
            asyncio.create_task(self._pass_on(reader, sink, back=False)),
            asyncio.create_task(self._pass_on(source, writer, back=True)),
        )
        self._tasks.update(ways)
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            self._tasks.difference_update(ways)
            self._writers -= both
            for one in both:
                one.transport.abort()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                way = self.back if back else self.there
                if way.delay:
                    await asyncio.sleep(way.delay)
                if way.is_lost:
                    continue
                if way.cut_after is not None:
                    data = data[: way.cut_after]
                    way.cut_after -= len(data)
                writer.write(data)
                await writer.drain()
                if way.cut_after == 0:
                    way.cut_after = None
                    return
        if (self.back if back else self.there).is_lost:
            await asyncio.Event().wait()  # the end is swallowed as well


@contextlib.asynccontextmanager
async def proxied(target: Path) -> AsyncIterator[TcpProxy]:
    """Run a proxy in front of a Unix socket."""
    proxy = TcpProxy(target)
    listening = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = listening.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listening.close()
        proxy.cut()
        for task in list(proxy._tasks):
            task.cancel()
        await listening.wait_closed()
        await asyncio.gather(*proxy._tasks, return_exceptions=True)
