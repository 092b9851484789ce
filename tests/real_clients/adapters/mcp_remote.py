"""mcp-remote, the bridge that gives programs without HTTP a server on stdio.

The program behind it is the Python SDK, which starts it as Claude Desktop would.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

from lines import Connection, serve
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from python_sdk_2 import Sdk2


@contextlib.asynccontextmanager
async def connect(where: Connection) -> AsyncIterator[Sdk2]:
    """Start the bridge as README.md tells to, and talk to it."""
    script = where.packages / "node_modules" / "mcp-remote" / "dist" / "proxy.js"
    headers = [
        part for name, value in where.headers.items() for part in ("--header", f"{name}:{value}")
    ]
    bridge = StdioServerParameters(
        command="node",
        args=[str(script), where.url, "--allow-http", "--transport", "http-only", *headers],
        env={**os.environ, "HOME": str(where.folder), "MCP_REMOTE_CONFIG_DIR": str(where.folder)},
    )
    async with Client(bridge) as client:
        yield Sdk2(client)


serve(connect)
