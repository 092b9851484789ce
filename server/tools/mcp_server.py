"""The MCP server of a worker: what is advertised, and how the SDK speaks HTTP."""

from __future__ import annotations

from collections.abc import Sequence

from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings

from ..http.body import MAX_BODY_BYTES
from ..http.capabilities import only_what_is_there
from ..http.refusals import in_our_words
from ..version import program_version
from .checked import CheckedTool
from .listing import listed
from .serving import ToolServer

NAME = "oig-cloud"
"""Name of the MCP server, as clients see it. Nothing else depends on it: the SDK would seal
request state under it, with keys of each process, but no tool of this server asks back."""

TRACING = "mcp.server._otel"
"""Where the SDK's tracing middleware lives."""

CACHE_HINTS: dict[CacheableMethod, CacheHint] = {
    method: CacheHint(ttl_ms=3_600_000, scope="private")
    for method in (
        *("server/discover", "tools/list", "prompts/list"),
        *("resources/list", "resources/templates/list"),
    )
}
"""Answers that stay the same as long as a worker runs. Clients of 2026-07-28 ask for them once an
hour; a release that changes them is known to all by then."""


def over_http(tools: Sequence[CheckedTool], text: str) -> StreamableHTTPSessionManager:
    """Return what answers requests with some tools.

    Args:
        tools: The tools.
        text: What an assistant reads before its first call.
    """
    server = ToolServer(
        NAME,
        title="OIG Cloud",
        description="The OIG / CEZ Battery Box through OIG Cloud",
        instructions=text,
        version=program_version(),
        tools=listed(tools),
        cache_hints=CACHE_HINTS,
        # No list changes while the server runs: no client needs an open stream for it.
        subscriptions=False,
        log_level="WARNING",
    )
    # A span for each message costs a tenth of a cached call, and nothing here exports any.
    server.middleware[:] = [one for one in server.middleware if type(one).__module__ != TRACING]
    server.middleware.extend([in_our_words, only_what_is_there(server)])
    server.streamable_http_app(
        json_response=True,
        # No worker knows the sessions of another: older protocol revisions are served without.
        stateless_http=True,
        max_request_body_size=MAX_BODY_BYTES,
        # Ours is stricter about names and looser about addresses: guard.py.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    # The routes around it are ours.
    return server.session_manager
