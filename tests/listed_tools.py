"""All tools as they are listed, without anything behind them."""

from __future__ import annotations

from functools import cache
from typing import Any

from server.tools.auth import check_auth_tool, log_out_tool
from server.tools.control import control_tools
from server.tools.mcp_server import listed
from server.tools.reading import reading_tools
from server.tools.status import status_tool


# To make a tool is to make the schemas of its arguments and of its result: a tenth of a second.
@cache
def listed_tools() -> dict[str, Any]:
    nothing: Any = None
    tools = [
        check_auth_tool(nothing),
        log_out_tool(nothing),
        *reading_tools(nothing, nothing),
        status_tool(nothing, nothing, nothing),
        *control_tools(nothing),
    ]
    return {tool.name: tool for tool in listed(tools)}
