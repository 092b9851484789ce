"""The rival of yesterday: one FastMCP process of SDK 1 with a dict, in an environment of its own.

Runs where `mcp<2` is installed and this project is not: it imports only what that installs.

    python -m benchmarks.rivals.fastmcp1 asyncio h11      (the listening socket is descriptor 0)
"""

from __future__ import annotations

import hashlib
import secrets
import socket
import sys
import time
from datetime import UTC, datetime
from typing import Literal

import uvicorn
from mcp.server.fastmcp import FastMCP
from pydantic import BaseModel

TTL = 43200.0


class CheckAuth(BaseModel):
    """The same result as everybody's."""

    email: str
    password_length: int
    cache_status: Literal["new_session_created", "session_from_cache"]
    session_id_preview: str
    expires_at: datetime


def make_server() -> FastMCP:
    """Make the MCP server with its one tool."""
    # JSON and no sessions: both are faster than its defaults.
    server = FastMCP("rival", log_level="WARNING", json_response=True, stateless_http=True)
    sessions: dict[bytes, tuple[str, float]] = {}

    @server.tool()
    async def check_auth(email: str, password: str) -> CheckAuth:
        """Check a login."""
        key = hashlib.sha256(f"{email}\0{password}".encode()).digest()
        found = sessions.get(key)
        if found is None or found[1] <= time.time():
            session_id, expires_at = secrets.token_hex(13), time.time() + TTL
            sessions[key] = session_id, expires_at
        else:
            session_id, expires_at = found
        return CheckAuth(
            email=email,
            password_length=len(password),
            cache_status="new_session_created" if found is None else "session_from_cache",
            session_id_preview=f"{session_id[:4]}...{session_id[-4:]}",
            expires_at=datetime.fromtimestamp(expires_at, UTC).replace(microsecond=0),
        )

    return server


def main(loop: Literal["asyncio", "uvloop"], http: Literal["h11", "httptools"]) -> None:
    """Serve until SIGTERM, as `FastMCP.run("streamable-http")` does.

    Args:
        loop: `asyncio` is what comes with the SDK alone.
        http: `h11` is what comes with the SDK alone.
    """
    config = uvicorn.Config(
        make_server().streamable_http_app(),
        loop=loop,
        http=http,
        log_level="warning",
        # As ours: a connection must outlive the turns of the others.
        timeout_keep_alive=30,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=0)])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])  # type: ignore[arg-type]
