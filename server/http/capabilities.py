"""Features that the server lacks are not advertised, and requesting one is the caller's mistake.

The SDK advertises prompts and resources even if there are none, and clients show empty lists for
them. It repeats the name of an unknown one, which may be a secret in the wrong place, and reports
an unknown prompt as a fault of the server.
"""

from __future__ import annotations

import re
from typing import Any

from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp_types import INVALID_PARAMS

ADVERTISING = frozenset({"initialize", "server/discover"})
"""The methods whose result has the capabilities."""

PLAIN_URI = re.compile(r"[a-z][a-z0-9+.-]*://[^@\s]*", re.IGNORECASE)
"""A URI with an authority, and no user in it."""


def only_what_is_there(server: MCPServer[Any]) -> ServerMiddleware[Any]:
    """Return middleware for a server.

    The lists themselves are answered all the same, empty: clients ask for them anyway.

    Args:
        server: What it is for.
    """

    async def middleware(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.request_id is None:  # a notification has no answer, whatever its method
            return await call_next(ctx)
        params = ctx.params or {}
        if ctx.method == "prompts/get" and params.get("name") not in await _prompts(server):
            raise MCPError(INVALID_PARAMS, _unknown("prompt of that name", "prompts/list"))
        try:
            result = await call_next(ctx)
        except MCPError as exc:
            if ctx.method == "resources/read" and exc.error.code == INVALID_PARAMS:
                text = _unknown("resource with that URI", "resources/list")
                raise MCPError(INVALID_PARAMS, text, _uri(params.get("uri"))) from None
            raise
        if ctx.method in ADVERTISING:
            members, absent = _members(result), await _absent(server)
            there = {k: x for k, x in members["capabilities"].items() if k not in absent}
            return {**members, "capabilities": there}
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


def _members(result: HandlerResult) -> dict[str, Any]:
    """Return the members of a result that the SDK has converted to the form of its revision."""
    assert isinstance(result, dict)
    return result


def _uri(asked: Any) -> dict[str, str] | None:
    # The specification has data.uri, for programs. What may be a secret is left out: anything that
    # is no URI, and a URI with a password.
    return {"uri": asked} if isinstance(asked, str) and PLAIN_URI.fullmatch(asked) else None


def _unknown(what: str, listing: str) -> str:
    return f"This server has no {what}; {listing} names those it has."
