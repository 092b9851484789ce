"""The list of all tools, in which no tool repeats what an earlier one says."""

from __future__ import annotations

from collections.abc import Sequence

from mcp.server.mcpserver.tools import Tool

from .checked import CheckedTool
from .schema import said_once


def listed(tools: Sequence[CheckedTool]) -> list[Tool]:
    """Return the tools in their order, each with the schema of its result as the list shows it."""
    schemas = said_once({tool.name: tool.fn_metadata.output_schema or {} for tool in tools})
    for tool in tools:
        tool.fn_metadata.output_schema = schemas[tool.name]
    return list(tools)
