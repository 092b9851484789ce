"""The project's reading tools as servers before this version published them, for the client."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools.base import Tool

from .client_battery import server as present

FORMER = {"first_day": "from", "last_day": "to"}
LATER_ARGUMENTS = {"detail", "quantities", "before"}
LATER = {"detail", "older", "bypass", "not_charging", "hours_left"} | {
    "minutes_per_point",
    "other_quantities",
}
"""Arguments, and fields of results, that there were not."""

EVERYTHING = {
    "get_live_data": {"detail": True},
    "get_history": {"quantities": "all", "detail": True},
}
"""What tools did unasked."""
LATER_TOOLS = {"get_status"}


class Older(Tool):
    """Take arguments and give results by their former names only, and mark secrets."""

    async def run(self, arguments: dict[str, Any], *rest: Any, **more: Any) -> Any:
        if unknown := arguments.keys() - self.parameters["properties"].keys():
            raise ToolError(f"It does not know {sorted(unknown)}.")
        names = {old: new for new, old in FORMER.items()}
        renamed = {names.get(name, name): value for name, value in arguments.items()}
        renamed |= EVERYTHING.get(self.name, {})
        told = await present()._tool_manager._tools[self.name].run(renamed, *rest, **more)
        return told.model_copy(update={"structured_content": _former(told.structured_content)})


def _former(result: dict[str, Any] | None) -> dict[str, Any] | None:
    if result is None:
        return None
    # What stands under `detail` stood in its part.
    merged = _merged(result, result.get("detail") or {})
    found = {name: value for name, value in merged.items() if name not in LATER}
    for name in LATER & found.get("battery", {}).keys():
        del found["battery"][name]
    for one in found.get("notifications", []):
        for name in ("title", "text"):
            one[name] = one.pop(f"portal_{name}")
    for one in found.get("quantities", []):
        energies = [*one["summary"].pop("energy").values(), None, None]
        for sign, energy in zip(("positive", "negative"), energies, strict=False):
            one["summary"][f"energy_{sign}_wh_estimate"] = energy
    return found


def _merged(here: dict[str, Any], there: dict[str, Any]) -> dict[str, Any]:
    both = {
        name: _merged(here[name], more)
        for name, more in there.items()
        if isinstance(here.get(name), dict) and isinstance(more, dict)
    }
    return there | here | both


def server() -> MCPServer[None]:
    """Return an MCP server with these tools."""
    tools = []
    for tool in present()._tool_manager._tools.values():
        if tool.name in LATER_TOOLS:
            continue
        properties = {
            FORMER.get(name, name): schema | ({"format": "password"} if name == "session" else {})
            for name, schema in tool.parameters["properties"].items()
            if name not in LATER_ARGUMENTS
        }
        required = [FORMER.get(name, name) for name in tool.parameters.get("required", [])]
        parameters = {"type": "object", "properties": properties, "additionalProperties": False}
        older = Older(**dict(tool))
        older.parameters = parameters | ({"required": required} if required else {})
        tools.append(older)
    return MCPServer("oig-cloud", tools=list[Tool](tools), log_level="ERROR")
