"""A failed call as MCP carries it: a result with `isError`, a text, and the code in `_meta`."""

from __future__ import annotations

from mcp_types import CallToolResult, TextContent

from ..codes import Code
from ..tool_failure import ToolFailure

CRASHED: dict[Code, str] = {
    Code.INTERNAL_ERROR: "{tool} failed inside this server. The fault is the server's.",
    Code.OUTCOME_UNKNOWN: (
        "{tool} failed inside this server. The fault is the server's, and whether something was "
        "changed is not known."
    ),
}


def answered(failure: ToolFailure) -> CallToolResult:
    """Return the result of a call that failed."""
    return CallToolResult(
        content=[TextContent(type="text", text=failure.text)], is_error=True, _meta=failure.meta
    )


def crashed(tool: str, *, changes: bool) -> ToolFailure:
    """Say that a tool failed in an unforeseen way.

    Args:
        tool: Its name.
        changes: It may have changed something.
    """
    code = Code.OUTCOME_UNKNOWN if changes else Code.INTERNAL_ERROR
    return ToolFailure(code, CRASHED[code].format(tool=tool), details={"tool": tool})
