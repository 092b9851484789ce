"""Tools as they are called without the SDK."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..http.fast_lane import Outcome, Tool
from ..tool_failure import ToolFailure
from .checked import CHANGES, CheckedTool


@dataclass(frozen=True, slots=True)
class Call:
    """What a tool looks at of the SDK's context, which takes longer to make than the rest of it.

    Attributes:
        request: The HTTP request that the call came in.
    """

    request: Any

    @property
    def request_context(self) -> Call:
        """The call itself: the SDK has the request one step further down."""
        return self


def direct(tools: Iterable[CheckedTool]) -> dict[str, Tool]:
    """Return by name those tools that may be called so.

    Changes of a box stay with the SDK: they are rare, and note which client made them.
    """
    return {tool.name: _direct(tool) for tool in tools if tool.annotations != CHANGES}


def _direct(tool: CheckedTool) -> Tool:
    async def called(arguments: dict[str, Any], request: Any) -> Outcome:
        call: Any = Call(request)
        outcome = await tool.outcome(arguments, call)
        if isinstance(outcome, ToolFailure):
            return Outcome(outcome.text, outcome.meta)
        return Outcome(outcome)

    return called
