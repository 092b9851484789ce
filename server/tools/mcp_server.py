"""The MCP server of a worker: what is advertised, and how the SDK speaks HTTP."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.context import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types import CallToolResult, InputRequiredResult

from ..codes import Code
from ..http.request import MAX_BODY_BYTES
from ..http.sdk_answers import in_our_words, only_what_is_there
from ..tool_failure import ToolFailure
from ..version import program_version
from .checked import CheckedTool, answered
from .schema import said_once

NO_TOOL = "There is no tool of that name. The tools are: {tools}."

CONTROL_OFF = " Tools that change the box need OIG_CONTROL=on at the server."

IMPLEMENTATION = {
    "name": "oig-cloud",
    "title": "OIG Cloud",
    "version": program_version(),
    "description": "The OIG / CEZ Battery Box through OIG Cloud",
}
"""The MCP server, as clients see it. Nothing else depends on its name: the SDK would seal request
state under it, with keys of each process, but no tool of this server asks back."""

TRACING = "mcp.server._otel"
"""Where the SDK's tracing middleware lives."""

CACHE_HINTS: dict[CacheableMethod, CacheHint] = {
    method: CacheHint(ttl_ms=3_600_000, scope="private")
    for method in (
        *("server/discover", "tools/list", "prompts/list"),
        *("resources/list", "resources/templates/list"),
    )
}
"""Answers that stay the same as long as a worker runs. Clients of 2026-07-28 ask for them once an
hour; a release that changes them is known to all by then."""


class ToolServer(MCPServer[None]):
    """An MCP server that reports an unknown tool like any other failure.

    The SDK's own text quotes the name, and has no code.
    """

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[None, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool by its name."""
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError:
            # The tools answer their failures themselves, so this is the SDK, which has no codes.
            tools = await self.list_tools()
            if any(tool.name == name for tool in tools):
                raise
        text = NO_TOOL.format(tools=", ".join(tool.name for tool in tools))
        if not any(tool.annotations and tool.annotations.destructive_hint for tool in tools):
            text += CONTROL_OFF
        return answered(ToolFailure(Code.UNKNOWN_TOOL, text))


@contextmanager
def _without_rich() -> Iterator[None]:
    """Let the SDK find no rich.

    It would load its forty modules for a handler of logs, and `log.py` has set up ours. None is how
    Python is told that a module cannot be imported.
    """
    name = "rich.console"
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


def listed(tools: Sequence[CheckedTool]) -> list[Tool]:
    """Return the tools in their order, each with the schema of its result as the list shows it."""
    schemas = said_once({tool.name: tool.fn_metadata.output_schema or {} for tool in tools})
    for tool in tools:
        tool.fn_metadata.output_schema = schemas[tool.name]
    return list(tools)


def over_http(tools: Sequence[CheckedTool], text: str) -> StreamableHTTPSessionManager:
    """Return what answers requests with some tools.

    Args:
        tools: The tools.
        text: What an assistant reads before its first call.
    """
    with _without_rich():
        server = ToolServer(
            IMPLEMENTATION["name"],
            title=IMPLEMENTATION["title"],
            version=IMPLEMENTATION["version"],
            description=IMPLEMENTATION["description"],
            instructions=text,
            tools=listed(tools),
            cache_hints=CACHE_HINTS,
            # No list changes while the server runs: no client needs an open stream for it.
            subscriptions=False,
            log_level="WARNING",
        )
    # A span for each message costs a tenth of a cached call, and nothing here exports any.
    server.middleware[:] = [one for one in server.middleware if type(one).__module__ != TRACING]
    server.middleware.extend([in_our_words, only_what_is_there(server)])
    server.streamable_http_app(
        json_response=True,
        # No worker knows the sessions of another: older protocol revisions are served without.
        stateless_http=True,
        max_request_body_size=MAX_BODY_BYTES,
        # Ours is stricter about names and looser about addresses: guard.py.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    # The routes around it are ours.
    return server.session_manager
