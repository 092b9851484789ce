"""The Inspector's command line: a connection for each request."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from commands import Command, headers_of, script_of
from lines import Connection, answer, serve, tool

TOOL_IS_ERROR = 5
"""Its exit code when a tool's result is an error; the result is on the standard output."""


CONNECTED = "120000"
"""Milliseconds until it is connected."""


class Inspector:
    """`inspector --cli URL --method ...`."""

    def __init__(self, command: Command) -> None:
        self._command = command
        where = command.where
        options = [*headers_of(where, "--header"), "--connect-timeout", CONNECTED]
        self._common = ["--cli", where.url, *options, "--format", "json"]

    async def check(self) -> None:
        await self._ask("tools/list")

    async def list(self) -> list[dict[str, Any]]:
        found = await self._ask("tools/list", "--strict")
        return [tool(one["name"], one["description"], one["inputSchema"]) for one in found["tools"]]

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        given = ["--tool-name", name, "--tool-args-json", json.dumps(arguments)]
        result = await self._ask("tools/call", *given)
        text = "".join(block["text"] for block in result["content"] if block["type"] == "text")
        structured = result.get("structuredContent")
        return answer(text, structured=structured, is_error=result.get("isError", False))

    async def _ask(self, method: str, *arguments: str) -> dict[str, Any]:
        command = [*self._common, "--method", method, *arguments]
        where = self._command.where
        run = self._command.run_with_login if where.login else self._command.run
        printed = json.loads(await run(*command, codes=(0, TOOL_IS_ERROR)))
        result: dict[str, Any] = printed.get("result", printed)
        return result


@contextlib.asynccontextmanager
async def connect(where: Connection) -> AsyncIterator[Inspector]:
    """Ask once whether the server is there; there is no lasting connection."""
    script = script_of(where, "@modelcontextprotocol/inspector", "clients/launcher/build/index.js")
    # Tokens are for the commands after this one, and there need be no keyring.
    inspector = Inspector(Command(script, where, {"MCP_INSPECTOR_SECRET_STORE": "file"}))
    await inspector.check()
    yield inspector


serve(connect)
