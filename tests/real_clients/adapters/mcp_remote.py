"""mcp-remote, the bridge that gives programs without HTTP a server on stdio.

The program behind it is the Python SDK, which starts it as Claude Desktop would.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import IO

from commands import PAGE
from lines import Connection, serve
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from python_sdk_2 import Sdk2


@contextlib.contextmanager
def reading(where: Connection) -> Iterator[IO[str]]:
    """Give a file for the bridge's errors; open the pages whose addresses it writes there."""
    read, write = os.pipe()

    def copy() -> None:
        with os.fdopen(read, encoding="utf-8") as lines:
            for line in lines:
                sys.stderr.write(line)
                if where.login and (page := PAGE.search(line)) is not None:
                    where.browse(page[0])

    copying = threading.Thread(target=copy)
    copying.start()
    with os.fdopen(write, "w", encoding="utf-8") as errors:
        yield errors
    copying.join()


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
    with reading(where) as errors:
        async with Client(stdio_client(bridge, errors)) as client:
            yield Sdk2(client)


serve(connect)
