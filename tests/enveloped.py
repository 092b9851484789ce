"""Single messages as a client of a revision sends them, with their headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    PROTOCOL_VERSION_META_KEY,
)

NEWEST = "2026-07-28"
"""Since this revision, each message says all about itself."""

BOTH = "application/json, text/event-stream"


def enveloped(
    method: str,
    revision: str | None,
    identifier: Any = 1,
    *,
    client: Mapping[str, str],
    capabilities: Mapping[str, Any],
    **params: Any,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a request, and its headers.

    Args:
        method: Of the request.
        revision: Of the client; None if it names none.
        identifier: Of the request.
        client: What the client says of itself.
        capabilities: What it can do.
        params: Of the request; a `name` among them is that of a tool.
    """
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": identifier, "method": method}
    headers = {"Accept": BOTH, "Content-Type": "application/json"}
    if revision is not None:
        headers["MCP-Protocol-Version"] = revision
    if revision == NEWEST:
        headers["Mcp-Method"] = method
        if "name" in params:
            headers["Mcp-Name"] = params["name"]
        params["_meta"] = {
            PROTOCOL_VERSION_META_KEY: revision,
            CLIENT_INFO_META_KEY: dict(client),
            CLIENT_CAPABILITIES_META_KEY: dict(capabilities),
        }
    if params:
        message["params"] = params
    return message, headers
