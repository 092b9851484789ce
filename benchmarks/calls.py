"""Ready-made HTTP requests: `check_auth` as clients of two protocol revisions send it."""

from __future__ import annotations

import json

LEGACY = "2025-11-25"
"""The last revision with a handshake; without sessions a call may come alone."""

MODERN = "2026-07-28"
"""The current one: each request says all about itself."""

EMAIL = "demo@example.com"
PASSWORD = "demo"


def check_auth(
    revision: str,
    port: int,
    email: str = EMAIL,
    password: str = PASSWORD,
    authorization: str | None = None,
) -> bytes:
    """Return the bytes of one call on a persistent connection.

    Args:
        revision: `LEGACY` or `MODERN`.
        port: Where it will be sent, for the Host header.
        email: The account.
        password: Its password.
        authorization: Header that logs in, in place of e-mail and password.
    """
    pair = {"email": email, "password": password}
    params: dict[str, object] = {
        "name": "check_auth",
        "arguments": pair if authorization is None else {},
    }
    headers = {
        "Host": f"127.0.0.1:{port}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": revision,
    }
    if authorization is not None:
        headers["Authorization"] = authorization
    if revision == MODERN:
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": revision,
            "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        headers |= {"Mcp-Method": "tools/call", "Mcp-Name": "check_auth"}
    body = json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
        separators=(",", ":"),
    ).encode()
    headers["Content-Length"] = str(len(body))
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    return ("POST /mcp HTTP/1.1\r\n" + "".join(lines) + "\r\n").encode() + body
