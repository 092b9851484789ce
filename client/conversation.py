"""The SDK's client: it knows every revision, and how to find out which one a server has.

Importing this module takes longer than all else that a command does: import it late.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, Implementation
from pydantic import ValidationError

from . import catalogue as offers
from .http_responses import MAX_BYTES
from .jsonrpc import Malformed, Rejected
from .outages import broken_promise, leaves
from .output_schema import keeps_promise
from .version import version

MAX_PAGES = 100
"""Bounds a server whose list of tools never ends."""


class Conversation:
    """One server, once both sides have agreed on a revision."""

    def __init__(self, client: Client) -> None:
        self._client = client
        # Its own check runs a stranger's regular expressions, which nothing can stop.
        client.session.validate_tool_result = _unchecked  # type: ignore[method-assign]

    async def listed(self) -> offers.Catalogue:
        """List the tools."""
        tools: list[offers.Tool] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._client.list_tools(cursor=cursor)
            tools += [
                offers.Tool(
                    name=tool.name,
                    title=tool.title or (tool.annotations and tool.annotations.title) or "",
                    description=tool.description or "",
                    input_schema=tool.input_schema,
                    output_schema=tool.output_schema,
                    annotations=(
                        tool.annotations.model_dump(mode="json", by_alias=True, exclude_none=True)
                        if tool.annotations
                        else {}
                    ),
                )
                for tool in page.tools
            ]
            cursor = page.next_cursor
            if cursor is None:
                break
        info = self._client.server_info
        return offers.Catalogue(
            server=offers.Server(
                name=info.name if info else "",
                version=info.version if info else "",
                protocol=self._client.protocol_version,
            ),
            tools=tuple(tools),
        )

    async def call(self, tool: offers.Tool, arguments: Mapping[str, Any]) -> offers.Result:
        """Call a tool.

        Raises:
            Failure: The answer is not what the tool promises.
        """
        answer = await self._client.call_tool(tool.name, dict(arguments))
        given = answer.structured_content
        result = {} if given is None else {"structuredContent": given}
        if not answer.is_error and not keeps_promise(result, tool.output_schema):
            raise broken_promise()
        return offers.Result(
            content=tuple(
                block.model_dump(mode="json", by_alias=True, exclude_none=True)
                for block in answer.content
            ),
            structured=given,
            is_error=answer.is_error,
            meta=answer.meta or {},
        )


async def _unchecked(name: str, result: CallToolResult) -> None:
    """Check nothing: `keeps_promise` does."""


@asynccontextmanager
async def conversing(url: str, http: httpx2.AsyncClient, mode: str) -> AsyncIterator[Conversation]:
    """Open a conversation.

    Args:
        url: The server's.
        http: Sends the requests.
        mode: The SDK's connect mode: `auto`, `legacy`, or a protocol version.

    Raises:
        Rejected: The server refuses to, or refuses a request.
        Malformed: What it answers is not of the revision.
    """
    try:
        async with Client(
            streamable_http_client(url, http_client=http, max_sse_event_size=MAX_BYTES),
            client_info=Implementation(name="oig-client", version=version()),
            mode=mode,
            cache=None,
        ) as client:
            yield Conversation(client)
    except Exception as exc:
        found = list(leaves(exc))
        for leaf in found:
            if isinstance(leaf, MCPError):
                raise Rejected(leaf.code, leaf.message, leaf.data) from exc
        if any(isinstance(leaf, ValidationError) for leaf in found):
            raise Malformed from exc
        raise
