"""Corrects what the SDK answers.

1. It advertises prompts and resources even if there are none, and clients show empty lists.
2. It repeats the name of an unknown one, or of an unknown method, which may be a secret in the
   wrong place, and reports an unknown prompt, the caller's mistake, as a fault of the server.
3. It does not say which parameters are wrong.
"""

from __future__ import annotations

import re
from typing import Any

from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND
from pydantic import ValidationError

from .envelope import described

ADVERTISING = frozenset({"initialize", "server/discover"})
"""The methods whose result has the capabilities."""

PLAIN_URI = re.compile(r"[a-z][a-z0-9+.-]*://[^@\s]*", re.IGNORECASE)
"""A URI with an authority, and no user in it."""


async def in_our_words(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware: name the fields that are wrong, and do not repeat an unknown method.

    The SDK says "Invalid request parameters", and gives an unknown method back.

    Raises:
        MCPError: The refusal, with the SDK's code.
    """
    try:
        return await call_next(ctx)
    except ValidationError as exc:
        raise MCPError(INVALID_PARAMS, described(exc)) from None
    except MCPError as exc:
        if exc.error.code != METHOD_NOT_FOUND:
            raise
        raise MCPError(
            METHOD_NOT_FOUND,
            "Method not found: this server does not have that method in protocol revision "
            f"{ctx.protocol_version}.",
        ) from None


def only_what_is_there(server: MCPServer[Any]) -> ServerMiddleware[Any]:
    """Return middleware for a server.

    The lists themselves are answered all the same, empty: clients ask for them anyway.
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
