"""mcpc: a session that a process of its own keeps, and a command for each request."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from commands import Command, headers_of, script_of
from lines import Connection, answer, serve, tool

SESSION = "@oig"


class Mcpc:
    """`mcpc @session ...`."""

    def __init__(self, command: Command) -> None:
        self._command = command

    async def check(self) -> None:
        await self._ask("ping")

    async def list(self) -> list[dict[str, Any]]:
        found = await self._ask("tools-list")
        return [tool(one["name"], one["description"], one["inputSchema"]) for one in found]

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        result = await self._ask("tools-call", name, json.dumps(arguments))
        text = "".join(block["text"] for block in result["content"] if block["type"] == "text")
        structured = result.get("structuredContent")
        return answer(text, structured=structured, is_error=result.get("isError", False))

    async def _ask(self, *arguments: str) -> Any:
        return json.loads(await self._command.run("--json", SESSION, *arguments))


@contextlib.asynccontextmanager
async def connect(where: Connection) -> AsyncIterator[Mcpc]:
    """Open the session, and close it at the end."""
    variables = {"MCPC_HOME_DIR": str(where.folder)}
    command = Command(script_of(where, "@apify/mcpc", "bin/mcpc"), where, variables)
    await command.run(
        *("--json", "connect", where.url, SESSION, "--no-profile", *headers_of(where, "--header"))
    )
    try:
        yield Mcpc(command)
    finally:
        await command.run("--json", "close", SESSION)


serve(connect)
