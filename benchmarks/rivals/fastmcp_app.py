"""One FastMCP process with a dict: that of SDK 1, or the package `fastmcp`, whichever is installed.

Runs in an environment of its own, without this project: it imports only what that one has.

    python -m benchmarks.rivals.fastmcp_app stateless json uvloop   (descriptor 0 is the socket)
"""

from __future__ import annotations

import gc
import hashlib
import secrets
import socket
import sys
import time
from datetime import UTC, datetime
from typing import Any, Literal

import uvicorn
from pydantic import BaseModel

from .announced import Announced

TTL = 43200.0


class CheckAuth(BaseModel):
    """The same result as everybody's."""

    email: str
    password_length: int
    cache_status: Literal["new_session_created", "session_from_cache"]
    session_id_preview: str
    expires_at: datetime


SESSIONS: dict[bytes, tuple[str, float]] = {}


async def check_auth(email: str, password: str) -> CheckAuth:
    """Check a login."""
    key = hashlib.sha256(f"{email}\0{password}".encode()).digest()
    found = SESSIONS.get(key)
    if found is None or found[1] <= time.time():
        session_id, expires_at = secrets.token_hex(13), time.time() + TTL
        SESSIONS[key] = session_id, expires_at
    else:
        session_id, expires_at = found
    return CheckAuth(
        email=email,
        password_length=len(password),
        cache_status="new_session_created" if found is None else "session_from_cache",
        session_id_preview=f"{session_id[:4]}...{session_id[-4:]}",
        expires_at=datetime.fromtimestamp(expires_at, UTC).replace(microsecond=0),
    )


def make_app(*, stateless: bool, json: bool) -> Any:
    """Make the ASGI app with its one tool."""
    options = {"stateless_http": stateless, "json_response": json}
    try:
        from fastmcp import FastMCP  # noqa: PLC0415 - the environment has this one or the other
    except ModuleNotFoundError:
        from mcp.server.fastmcp import FastMCP  # noqa: PLC0415

        old = FastMCP("rival", log_level="WARNING", **options)
        old.tool()(check_auth)
        return old.streamable_http_app()
    new = FastMCP("rival")
    new.tool()(check_auth)
    return new.http_app(**options)


def main(state: str, answers: str, loop: Any) -> None:
    """Serve until SIGTERM.

    Args:
        state: `stateless`, or `sessions`.
        answers: `json`, or `events`.
        loop: uvicorn's: `asyncio`, or `uvloop`.
    """
    config = uvicorn.Config(
        make_app(stateless=state == "stateless", json=answers == "json"),
        loop=loop,
        http="httptools",
        log_level="warning",
        # As ours: a connection must outlive the turns of the others.
        timeout_keep_alive=30,
        timeout_graceful_shutdown=2,
    )
    # As ours: what the imports made is never garbage.
    gc.collect()
    gc.freeze()
    Announced(config).run(sockets=[socket.socket(fileno=0)])


if __name__ == "__main__":
    main(*sys.argv[1:])
