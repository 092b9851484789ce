"""The rival of the same SDK: `MCPServer` with a dict in the process instead of a cache daemon.

Everything else is as it is with us: the tool's signature and result, the server around it (socket,
loop, parser, frozen heap), JSON answers, no sessions. It checks nothing, locks nobody out, stores
sessions in clear, and each process logs in for itself; that is what it saves.

    python -m benchmarks.rivals.sdk_app stateless json uvloop   (descriptor 0 is the socket)
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import MCPServer

from server.http.listening import inherited_socket
from server.http.worker import make_worker
from server.tools.auth import CheckAuth, Email, Password, preview

TTL = 43200.0


def make_server() -> MCPServer[None]:
    """Make the MCP server with its one tool."""
    server: MCPServer[None] = MCPServer("rival", log_level="WARNING")
    sessions: dict[bytes, tuple[str, float, str]] = {}

    @server.tool()
    async def check_auth(email: Email, password: Password) -> CheckAuth:
        """Check a login."""
        key = hashlib.sha256(f"{email}\0{password}".encode()).digest()
        found = sessions.get(key)
        if found is None or found[1] <= time.time():
            session_id, expires_at = secrets.token_hex(13), time.time() + TTL
            handle = f"oig_{secrets.token_urlsafe(24)}"
            sessions[key] = session_id, expires_at, handle
        else:
            session_id, expires_at, handle = found
        return CheckAuth(
            email=email,
            password_length=len(password),
            cache_status="new_session_created" if found is None else "session_from_cache",
            session_id_preview=preview(session_id),
            expires_at=datetime.fromtimestamp(expires_at, UTC).replace(microsecond=0),
            session=handle,
            now=datetime.now(UTC),
            warnings=(),
        )

    return server


def main(state: str, answers: str, loop: Any) -> None:
    """Serve until SIGTERM.

    Args:
        state: `stateless`, or `sessions`.
        answers: `json`, or `events`.
        loop: uvicorn's: `asyncio`, or `uvloop`.
    """
    listener = inherited_socket()
    if listener is None:
        sys.exit("descriptor 0 must be a listening socket")
    app = make_server().streamable_http_app(
        json_response=answers == "json", stateless_http=state == "stateless"
    )
    ready = Path(os.environ["RIVAL_READY"]) / os.environ["SUPERVISOR_PROCESS_NAME"]
    worker = make_worker(app, ready)
    worker.config.loop = loop
    worker.run(sockets=[listener])


if __name__ == "__main__":
    main(*sys.argv[1:])
