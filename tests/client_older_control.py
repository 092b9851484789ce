"""The control tools as servers before this version published them, for the client.

A change was agreed to by its token alone, and nobody could wait for it. Behind the tools is the
whole of control over the simulated portal; 40 simulated seconds lie between two calls.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools.base import Tool

from server.tools.control import control_tools

from .control_house import House
from .control_worker import named

HANDLE = {"type": "string", "description": "From check_auth."}
FORMER: dict[str, dict[str, Any]] = {
    "apply_change": {
        "type": "object",
        "properties": {
            "plan_token": {"type": "string", "description": "From plan_change, unaltered."},
            "session": HANDLE,
        },
        "required": ["plan_token"],
    },
    "get_change": {
        "type": "object",
        "properties": {
            "change_id": {"type": "string", "description": "From plan_change."},
            "session": HANDLE,
        },
        "required": ["change_id"],
    },
}
NEW = {"change", "explanation"}
"""Fields of a plan that there were not."""


class Older(Tool):
    """Know the former arguments only, and tell the former fields."""

    async def run(self, arguments: dict[str, Any], *rest: Any, **more: Any) -> Any:
        if unknown := arguments.keys() - self.parameters["properties"].keys():
            raise ToolError(f"It does not know {sorted(unknown)}.")
        HOUSE.later(40)
        token = arguments.get("plan_token")
        answer = await PRESENT[self.name].run({**arguments, **PLANS.get(token, {})}, *rest, **more)
        plan = answer.structured_content if self.name == "plan_change" else None
        if plan is None:
            return answer
        PLANS[plan["plan_token"]] = named(plan)
        told = {name: value for name, value in plan.items() if name not in NEW}
        return answer.model_copy(update={"structured_content": told})


HOUSE = House(Path(tempfile.mkdtemp()), at=time.time())
PRESENT = {tool.name: tool for tool in control_tools(HOUSE.control)}
PLANS: dict[str | None, dict[str, str]] = {}


def server() -> MCPServer[None]:
    """Return an MCP server with these tools."""
    tools = []
    for tool in PRESENT.values():
        older = Older(**dict(tool))
        older.parameters = FORMER.get(tool.name, tool.parameters)
        tools.append(older)
    return MCPServer("oig-cloud", tools=list[Tool](tools), log_level="ERROR")
