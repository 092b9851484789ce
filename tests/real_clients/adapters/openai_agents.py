"""openai-agents: the server's tools as function tools with schemas in strict mode."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from agents import set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp
from agents.mcp.util import MCPUtil
from agents.tool_context import ToolContext
from lines import Connection, answer, serve, tool


class NotCalled(Exception):
    """The library raised where the server's answer should be."""


class OpenAiAgents:
    """What the runner of openai-agents does between the server and the model."""

    def __init__(self, server: MCPServerStreamableHttp) -> None:
        self._server = server

    async def check(self) -> None:
        await self._server.list_tools()

    async def list(self) -> list[dict[str, Any]]:
        return [
            tool(one.name, one.description, one.params_json_schema, strict=one.strict_json_schema)
            for one in await self._functions()
        ]

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        function = next(one for one in await self._functions() if one.name == name)
        sent = json.dumps(arguments)
        context = ToolContext(None, tool_name=name, tool_call_id="1", tool_arguments=sent)
        output = await function.on_invoke_tool(context, sent)
        if isinstance(output, str):
            # A sentence of the library's own, for the model, in place of what it raised.
            raise NotCalled(output)
        # One block comes as itself; nothing says whether it is an error.
        return answer(output["text"])

    async def _functions(self) -> list[Any]:
        return [
            MCPUtil.to_function_tool(one, self._server, convert_schemas_to_strict=True)
            for one in await self._server.list_tools()
        ]


@contextlib.asynccontextmanager
async def connect(where: Connection) -> AsyncIterator[OpenAiAgents]:
    """Connect over HTTP, without sending traces anywhere."""
    set_tracing_disabled(True)
    params = {"url": where.url, "headers": where.headers, "timeout": 60}
    async with MCPServerStreamableHttp(
        params,  # type: ignore[arg-type]
        cache_tools_list=True,
        client_session_timeout_seconds=60,
    ) as server:
        yield OpenAiAgents(server)


serve(connect)
