"""google-genai: the server's tools as function declarations of the Gemini API.

The library calls tools only when a model asks it to, and no model is here.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from google.genai._mcp_utils import mcp_to_gemini_tool
from lines import Connection, serve, tool
from mcp import ClientSession

try:  # line 2 of the Python SDK, then line 1
    from mcp.client.streamable_http import streamable_http_client as http_client
except ImportError:
    from mcp.client.streamable_http import streamablehttp_client as http_client


class GoogleGenai:
    """What google-genai makes of a session's tools before it asks the model."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def check(self) -> None:
        await self._session.list_tools()

    async def list(self) -> list[dict[str, Any]]:
        found = await self._session.list_tools()
        declared = []
        for one in found.tools:
            (function,) = mcp_to_gemini_tool(one).function_declarations
            # As it goes into the request's body.
            schema = function.parameters.model_dump(mode="json", by_alias=True, exclude_none=True)
            declared.append(tool(function.name, function.description, schema))
        return declared

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError("google-genai calls tools only for a model")


@contextlib.asynccontextmanager
async def connect(where: Connection) -> AsyncIterator[GoogleGenai]:
    """Connect a session such as one gives to google-genai."""
    assert not where.headers
    async with (
        http_client(where.url) as streams,
        ClientSession(streams[0], streams[1]) as session,
    ):
        await session.initialize()
        yield GoogleGenai(session)


serve(connect)
