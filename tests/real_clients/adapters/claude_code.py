"""Claude Code: `claude mcp`, and conversations with a stand-in for the model; no account."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from commands import Command, headers_of, script_of
from lines import Connection, answer, serve, tool
from model import Model

NAME = "oig-cloud"
OFFERED = f"mcp__{NAME}__"
"""Before the names of the server's tools, where it offers them to the model."""

VARIABLES = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
    "MCP_TIMEOUT": "120000",
    # The tools are there from the first word of a conversation, each by itself.
    "MCP_CONNECTION_NONBLOCKING": "false",
    "ENABLE_TOOL_SEARCH": "false",
    "ANTHROPIC_API_KEY": "none",
}
"""It talks to nobody but the server, and leaves it time: milliseconds until it is connected."""


class ClaudeCode:
    """`claude mcp ...` and `claude -p ...`."""

    def __init__(self, where: Connection) -> None:
        self._where = where

    async def check(self) -> None:
        listed = await self.run("mcp", "list")
        (line,) = [line for line in listed.splitlines() if line.startswith(f"{NAME}:")]
        if not line.endswith("✔ Connected"):
            raise ConnectionError(line)

    async def list(self) -> list[dict[str, Any]]:
        model = await self._converse(None, {})
        return [
            tool(name.removeprefix(OFFERED), one["description"], one["input_schema"])
            for name, one in model.offered.items()
            if name.startswith(OFFERED)
        ]

    async def call(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        model = await self._converse(OFFERED + name, arguments)
        if model.result is None:
            raise ConnectionError(f"the tool was not offered: {sorted(model.offered)}")
        said = model.result["content"]
        text = said if isinstance(said, str) else "".join(block["text"] for block in said)
        return answer(text, is_error=model.result.get("is_error", False))

    async def log_in(self) -> None:
        """Log in with the browser of whoever is there."""
        await self._command().run_with_login("mcp", "login", NAME, "--no-browser", apart=False)

    async def run(self, *arguments: str, **variables: str) -> str:
        """Run `claude ...`."""
        return await self._command(**variables).run(*arguments)

    def _command(self, **variables: str) -> Command:
        variables = {
            **VARIABLES,
            "CLAUDE_CONFIG_DIR": str(self._where.folder / ".claude"),
            **variables,
        }
        script = script_of(self._where, "@anthropic-ai/claude-code", "cli-wrapper.cjs")
        return Command(script, self._where, variables)

    async def _converse(self, called: str | None, arguments: dict[str, Any]) -> Model:
        model = Model(called, arguments)
        with model.serving() as url:
            allowed = ("--allowedTools", f"mcp__{NAME}")
            await self.run("-p", "Go on.", *allowed, ANTHROPIC_BASE_URL=url)
        return model


@contextlib.asynccontextmanager
async def connect(where: Connection) -> AsyncIterator[ClaudeCode]:
    """Add the server for the user whose home is the folder, and log in if that is wanted."""
    claude = ClaudeCode(where)
    added = ("mcp", "add", "--transport", "http", "--scope", "user", NAME, where.url)
    await claude.run(*added, *headers_of(where, "--header"))
    if where.login:
        await claude.log_in()
    yield claude
    if where.login:
        await claude.run("mcp", "logout", NAME)


serve(connect)
