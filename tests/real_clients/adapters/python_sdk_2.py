"""The Python SDK, line 2: `Client`, which speaks 2026-07-28; or any stdio server through it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
from callback import Callback
from kept import Kept
from lines import Connection, answer, serve, tool
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata


class Sdk2:
    """A client of the Python SDK 2.x."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def check(self) -> None:
        await self._client.list_tools()

    async def list(self) -> list[dict[str, Any]]:
        found = await self._client.list_tools()
        return [tool(one.name, one.description, one.input_schema) for one in found.tools]

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        result = await self._client.call_tool(name, arguments)
        text = "".join(block.text for block in result.content if block.type == "text")
        return answer(text, structured=result.structured_content, is_error=result.is_error)


def browser_login(where: Connection, callback: Callback) -> OAuthClientProvider:
    """Return what logs in with a browser when the server asks for it."""

    async def opened(url: str) -> None:
        where.browse(url)

    async def came() -> AuthorizationCodeResult:
        return AuthorizationCodeResult.model_validate(await callback.query())

    metadata = OAuthClientMetadata.model_validate(
        {"client_name": "Python SDK 2", "redirect_uris": [callback.uri]}
    )
    return OAuthClientProvider(where.url, metadata, Kept(), opened, came)


@contextlib.asynccontextmanager
async def connect(where: Connection) -> AsyncIterator[Sdk2]:
    """Connect over HTTP, in the newest revision that both know."""
    callback = Callback()
    async with (
        callback.listening(),
        httpx2.AsyncClient(
            headers=where.headers,
            timeout=60,
            auth=browser_login(where, callback) if where.login else None,
        ) as http,
        Client(streamable_http_client(where.url, http_client=http)) as client,
    ):
        yield Sdk2(client)


if __name__ == "__main__":
    serve(connect)
