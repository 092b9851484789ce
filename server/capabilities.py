"""What the server has none of is not advertised, and asking for one of it is the caller's mistake.

The SDK advertises prompts and resources whether there are any or not, and clients show empty lists
for them. It repeats the name of what it does not have, which may be a secret in the wrong place,
and takes an unknown prompt for a fault of the server.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp_types import INVALID_PARAMS

TELLING = frozenset({"initialize", "server/discover"})
"""The methods whose result tells the capabilities."""


def only_what_is_there(server: MCPServer[Any], tools: Collection[str]) -> ServerMiddleware[Any]:
    """Return middleware for a server.

    The lists themselves are answered all the same, empty: clients ask for them anyway.

    Args:
        server: What it is for.
        tools: Names of its tools.
    """

    async def middleware(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        params = ctx.params or {}
        if ctx.method == "tools/call" and params.get("name") not in tools:
            raise _unknown("tool of that name", "tools/list")
        if ctx.method == "prompts/get" and params.get("name") not in await _prompts(server):
            raise _unknown("prompt of that name", "prompts/list")
        try:
            result = await call_next(ctx)
        except MCPError as exc:
            if ctx.method == "resources/read" and exc.error.code == INVALID_PARAMS:
                raise _unknown("resource with that URI", "resources/list") from None
            raise
        if ctx.method in TELLING and isinstance(result, dict):
            absent = await _absent(server)
            told = result["capabilities"].items()
            result["capabilities"] = {name: what for name, what in told if name not in absent}
        return result

    return middleware


async def _prompts(server: MCPServer[Any]) -> set[str]:
    return {prompt.name for prompt in await server.list_prompts()}


async def _absent(server: MCPServer[Any]) -> set[str]:
    absent = set()
    if not await server.list_prompts():
        absent.add("prompts")
    if not (await server.list_resources() or await server.list_resource_templates()):
        absent.add("resources")
    return absent


def _unknown(what: str, listing: str) -> MCPError:
    return MCPError(INVALID_PARAMS, f"This server has no {what}. Ask {listing} for what it has.")
