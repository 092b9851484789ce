"""The MCP server over the tools, which reports an unknown tool like any other failure.

The SDK's own text quotes the name, and has no code.
"""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.context import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, InputRequiredResult

from ..codes import Code
from ..tool_failure import ToolFailure
from .failure import answered

NO_TOOL = "There is no tool of that name. The tools are: {tools}."

CONTROL_OFF = " Tools that change the box need OIG_CONTROL=on at the server."


class ToolServer(MCPServer[None]):
    """An MCP server with tools."""

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
