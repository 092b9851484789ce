"""smolagents: the server's tools as Python functions, called by code such as its agents write."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from lines import Connection, answer, serve, tool
from smolagents import MCPClient
from smolagents.local_python_executor import LocalPythonExecutor
from smolagents.tools import Tool


class SmolAgents:
    """What a `CodeAgent` does with the tools."""

    def __init__(self, client: MCPClient) -> None:
        self._client = client

    async def check(self) -> None:
        self._client.get_tools()

    async def list(self) -> list[dict[str, Any]]:
        # It drops which arguments are required.
        return [
            tool(one.name, one.description, {"type": "object", "properties": one.inputs})
            for one in self._tools()
        ]

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        written = ", ".join(f"{argument}={value!r}" for argument, value in arguments.items())
        return await asyncio.to_thread(self._execute, f"{name}({written})")

    def _tools(self) -> list[Tool]:
        return self._client.get_tools()

    def _execute(self, code: str) -> dict[str, Any]:
        executor = LocalPythonExecutor([])
        executor.send_tools({one.name: one for one in self._tools()})
        output = executor(code).output
        # The structured content where there is one; otherwise, as for an error, the text.
        if isinstance(output, str):
            return answer(output)
        return answer(json.dumps(output), structured=output)


@contextlib.asynccontextmanager
async def connect(where: Connection) -> AsyncIterator[SmolAgents]:
    """Connect over HTTP; the library runs an event loop of its own in a thread."""
    server = {"url": where.url, "transport": "streamable-http", "headers": where.headers}
    client = await asyncio.to_thread(
        MCPClient, server, {"client_session_timeout_seconds": 60}, structured_output=True
    )
    try:
        yield SmolAgents(client)
    finally:
        await asyncio.to_thread(client.disconnect)


serve(connect)
