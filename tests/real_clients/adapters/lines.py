"""The driver protocol, as an adapter in Python speaks it: one JSON object a line.

The first line from the suite says how to connect, and the adapter answers it when it is connected:

    {"url": "http://127.0.0.1:8000/mcp", "headers": {}, "login": false, "folder": "/tmp/...",
     "packages": "/..."}
    {"ready": true}

Then each line is a request, answered in any order:

    {"id": 1, "do": "check"}                                {"id": 1}
    {"id": 2, "do": "list"}                                 {"id": 2, "tools": [{"name": ...}]}
    {"id": 3, "do": "call", "tool": ..., "arguments": {}}   {"id": 3, "text": ..., ...}

What the client raises is answered with {"id": ..., "failed": text}. When the input ends, it ends.
With "login", the suite opens the pages that a client wants opened in a browser, at any time:

    {"open": "http://127.0.0.1:8000/authorize?..."}

It runs in the client's own environment: only the standard library is there for certain.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

AT_ONCE = 32
LONGEST_LINE = 10_000_000


@dataclass(frozen=True)
class Connection:
    """How to connect.

    Attributes:
        url: Address of the MCP endpoint.
        headers: Headers that the client sends with each request.
        login: Whether somebody is there who logs in with a browser.
        folder: An empty folder, for what the client likes to keep.
        packages: Folder of the client's environment.
        browse: Opens a page in the browser of whoever is there.
    """

    url: str
    headers: dict[str, str]
    login: bool
    folder: Path
    packages: Path
    browse: Callable[[str], None]


class Client(Protocol):
    """A connected client; one that can do less raises."""

    async def check(self) -> None:
        """See whether the server is there."""

    async def list(self) -> list[dict[str, Any]]:
        """Return all tools as the client's user gets them: name, description, schema."""

    async def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return what the client's user gets, as `answer` makes it."""


def answer(text: str, *, structured: Any = None, is_error: bool | None = None) -> dict[str, Any]:
    """Return the answer to a call.

    Args:
        text: The text that the client's user gets.
        structured: The structured content, where the client shows it.
        is_error: Whether it is an error, where the client says so.
    """
    return {"text": text, "structured": structured, "is_error": is_error}


def tool(name: str, description: str | None, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return one tool of a list."""
    return {"name": name, "description": description or "", "schema": schema, **more}


class Adapter:
    """Unites a client with the lines.

    Args:
        connect: Makes a connected client.
    """

    def __init__(
        self, connect: Callable[[Connection], AbstractAsyncContextManager[Client]]
    ) -> None:
        self._connect = connect
        # What a client prints must not come between the lines.
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def run(self) -> None:
        """Serve until the input ends."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(AT_ONCE))
        lines = asyncio.StreamReader(limit=LONGEST_LINE)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        given = json.loads(await lines.readline())
        where = Connection(
            url=given["url"],
            headers=given["headers"],
            login=given["login"],
            folder=Path(given["folder"]),
            packages=Path(given["packages"]),
            browse=lambda url: self._say({"open": url}),
        )
        async with self._connect(where) as client, asyncio.TaskGroup() as requests:
            self._say({"ready": True})
            while line := await lines.readline():
                requests.create_task(self._answer(client, json.loads(line)))

    async def _answer(self, client: Client, request: dict[str, Any]) -> None:
        try:
            said = await self._do(client, request)
        except Exception as exc:  # noqa: BLE001 - whatever a client raises is what the suite wants to see
            traceback.print_exc()
            said = {"failed": f"{type(exc).__name__}: {exc}"}
        self._say({"id": request["id"], **said})

    async def _do(self, client: Client, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "check":
                await client.check()
                return {}
            case "list":
                return {"tools": await client.list()}
            case "call":
                return await client.call(request["tool"], request["arguments"])
        raise ValueError(f"no such request: {request['do']}")

    def _say(self, said: dict[str, Any]) -> None:
        self._out.write(json.dumps(said) + "\n")
        self._out.flush()


def serve(connect: Callable[[Connection], AbstractAsyncContextManager[Client]]) -> None:
    """Run an adapter.

    Args:
        connect: Makes a connected client.
    """
    Adapter(connect).run()
