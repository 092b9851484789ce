"""Refusals that arise inside the SDK, in words that help and repeat nothing that was sent."""

from __future__ import annotations

from typing import Any

from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp_types import INVALID_PARAMS, METHOD_NOT_FOUND
from pydantic import ValidationError

from .envelope import described


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
