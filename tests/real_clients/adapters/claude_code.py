"""Claude Code: `claude mcp add` and `claude mcp list`, which need no account."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from commands import Command, headers_of, script_of
from lines import Connection, serve

NAME = "oig-cloud"

VARIABLES = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
    "MCP_TIMEOUT": "120000",
}
"""It talks to nobody but the server, and leaves it time: milliseconds until it is connected."""


class ClaudeCode:
    """`claude mcp ...`."""

    def __init__(self, command: Command) -> None:
        self._command = command

    async def check(self) -> None:
        listed = await self._command.run("mcp", "list")
        (line,) = [line for line in listed.splitlines() if line.startswith(f"{NAME}:")]
        if not line.endswith("✔ Connected"):
            raise ConnectionError(line)

    async def list(self) -> list[dict[str, Any]]:
        raise NotImplementedError("claude shows tools only in a conversation")

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError("claude calls tools only in a conversation")


@contextlib.asynccontextmanager
async def connect(where: Connection) -> AsyncIterator[ClaudeCode]:
    """Add the server for the user whose home is the folder."""
    variables = {**VARIABLES, "CLAUDE_CONFIG_DIR": str(where.folder / ".claude")}
    script = script_of(where, "@anthropic-ai/claude-code", "cli-wrapper.cjs")
    command = Command(script, where, variables)
    added = ("mcp", "add", "--transport", "http", "--scope", "user", NAME, where.url)
    await command.run(*added, *headers_of(where, "--header"))
    yield ClaudeCode(command)


serve(connect)
