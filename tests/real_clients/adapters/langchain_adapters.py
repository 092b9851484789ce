"""langchain-mcp-adapters: the server's tools as LangChain's, each call in a session of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from langchain_core.tools import BaseTool
from langchain_mcp_adapters.client import MultiServerMCPClient
from lines import Connection, answer, serve, tool


class LangChain:
    """What an agent of LangChain does with the tools."""

    def __init__(self, client: MultiServerMCPClient, tools: list[BaseTool]) -> None:
        self._client = client
        self._tools = {one.name: one for one in tools}

    async def check(self) -> None:
        await self._client.get_tools()

    async def list(self) -> list[dict[str, Any]]:
        found = await self._client.get_tools()
        return [tool(one.name, one.description, one.args_schema) for one in found]

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        called = {"type": "tool_call", "id": "1", "name": name, "args": arguments}
        message = await self._tools[name].ainvoke(called)
        text = "".join(block["text"] for block in message.content if block["type"] == "text")
        structured = (message.artifact or {}).get("structured_content")
        return answer(text, structured=structured, is_error=message.status == "error")


@contextlib.asynccontextmanager
async def connect(where: Connection) -> AsyncIterator[LangChain]:
    """Load the tools; there is no lasting connection."""
    server = {"url": where.url, "transport": "streamable_http", "headers": where.headers}
    client = MultiServerMCPClient({"oig-cloud": server})
    yield LangChain(client, await client.get_tools())


serve(connect)
