"""Ready-made HTTP requests: calls of tools as clients of two protocol revisions send them."""

from __future__ import annotations

import json
from collections.abc import Mapping

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
    """Return the bytes of one call of `check_auth`. As `call`.

    Args:
        revision: `LEGACY` or `MODERN`.
        port: Where it will be sent.
        email: The account.
        password: Its password.
        authorization: Header that logs in, in place of e-mail and password.
    """
    pair = {"email": email, "password": password}
    arguments = pair if authorization is None else {}
    return call(revision, port, "check_auth", arguments, authorization)


def call(
    revision: str,
    port: int,
    tool: str,
    arguments: Mapping[str, object],
    authorization: str | None = None,
) -> bytes:
    """Return the bytes of one call on a persistent connection.

    Args:
        revision: `LEGACY` or `MODERN`.
        port: Where it will be sent, for the Host header.
        tool: Its name.
        arguments: What it is called with.
        authorization: Header that logs in.
    """
    params: dict[str, object] = {"name": tool, "arguments": arguments}
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
        headers |= {"Mcp-Method": "tools/call", "Mcp-Name": tool}
    body = json.dumps(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
        separators=(",", ":"),
    ).encode()
    headers["Content-Length"] = str(len(body))
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    return ("POST /mcp HTTP/1.1\r\n" + "".join(lines) + "\r\n").encode() + body
