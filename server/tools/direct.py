"""Tools as they are called without the SDK."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mcp.server.mcpserver.context import Context

from ..http.fast_lane import Outcome, Tool
from ..tool_failure import ToolFailure
from .checked import CHANGES, CheckedTool


@dataclass(frozen=True, slots=True)
class Call:
    """What a tool looks at of the SDK's context.

    Attributes:
        request: The HTTP request that the call came in.
    """

    request: Any


def direct(tools: Iterable[CheckedTool]) -> dict[str, Tool]:
    """Return by name those tools that may be called so.

    Changes of a box stay with the SDK: they are rare, and note which client made them.
    """
    return {tool.name: _direct(tool) for tool in tools if tool.annotations != CHANGES}


def _direct(tool: CheckedTool) -> Tool:
    async def called(arguments: dict[str, Any], request: Any) -> Outcome:
        call: Any = Call(request)
        outcome = await tool.outcome(arguments, Context(request_context=call))
        if isinstance(outcome, ToolFailure):
            return Outcome(outcome.text, outcome.meta)
        return Outcome(outcome)

    return called
