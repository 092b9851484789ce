"""fastmcp's `Client`, which hydrates results into objects and raises errors."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import ToolError
from lines import Connection, answer, serve, tool


class FastMcp:
    """A client of fastmcp."""

    def __init__(self, client: Client[Any]) -> None:
        self._client = client

    async def check(self) -> None:
        await self._client.list_tools()

    async def list(self) -> list[dict[str, Any]]:
        found = await self._client.list_tools()
        return [tool(one.name, one.description, one.input_schema) for one in found]

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            result = await self._client.call_tool(name, arguments)
        except ToolError as exc:
            return answer(str(exc), is_error=True)
        # `data` is made from the output schema; one that cannot be made into a class fails here.
        assert result.data is not None
        text = "".join(block.text for block in result.content if block.type == "text")
        return answer(text, structured=result.structured_content, is_error=False)


@contextlib.asynccontextmanager
async def connect(where: Connection) -> AsyncIterator[FastMcp]:
    """Connect over HTTP, in the newest revision that both know."""
    async with Client(StreamableHttpTransport(where.url, headers=where.headers)) as client:
        yield FastMcp(client)


serve(connect)
