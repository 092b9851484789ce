"""The Python SDK, line 1: `ClientSession` over `streamablehttp_client`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from lines import Connection, answer, serve, tool
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client


class Sdk1:
    """A session of the Python SDK 1.x."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def check(self) -> None:
        await self._session.send_ping()

    async def list(self) -> list[dict[str, Any]]:
        found = await self._session.list_tools()
        return [tool(one.name, one.description, one.inputSchema) for one in found.tools]

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        result = await self._session.call_tool(name, arguments)
        text = "".join(block.text for block in result.content if block.type == "text")
        return answer(text, structured=result.structuredContent, is_error=result.isError)


@contextlib.asynccontextmanager
async def connect(where: Connection) -> AsyncIterator[Sdk1]:
    """Connect with the handshake of 2025-11-25 or before."""
    async with (
        streamablehttp_client(where.url, headers=where.headers) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        yield Sdk1(session)


serve(connect)
