"""Tools listed and called by one POST each, as revision 2026-07-28 has it, without the SDK.

Importing the SDK takes longer than all else that a command does. Only a server that answers the
list of its tools plainly is called so; every other one is asked by the SDK (`conversation.py`),
which knows all revisions. All is decided over the list: it may be asked for twice, a call may not.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import anyio
import httpx2

from . import catalogue as offers
from .failures import NotMcp, ToolFailure
from .http_responses import JSON, MAX_BYTES
from .jsonrpc import CONNECTION_CLOSED, Malformed, Rejected, answered, request
from .outages import broken_promise
from .output_schema import keeps_promise
from .version import version

REVISION = "2026-07-28"
META = "io.modelcontextprotocol/"
PLAIN_NAME = re.compile(r"[A-Za-z0-9_./-]{1,128}")
"""Names that a header carries as they are."""
PAUSE = 0.25
"""Seconds before a server is asked again that wanted to be asked later."""
MAX_TTL = 2**53 - 1
"""Milliseconds: the largest integer that all JSON parsers agree on (RFC 8259, section 6)."""


class NotPlain(Exception):
    """The server does not list its tools plainly; the SDK has to ask it."""


class Stateless:
    """One server.

    Args:
        url: The server's.
        http: Sends the requests, and raises what is to be said of an answer that is not MCP.
    """

    def __init__(self, url: str, http: httpx2.AsyncClient) -> None:
        self._url = url
        self._http = http

    async def listed(self) -> offers.Catalogue:
        """List the tools.

        Raises:
            NotPlain: This is not the way to ask this server.
            Failure: It wants a login.
        """
        try:
            result = await self._result("tools/list", {})
        except (NotMcp, Rejected, Malformed):
            raise NotPlain from None
        found = _catalogue(result)
        if found is None:
            raise NotPlain
        return found

    async def call(self, tool: offers.Tool, arguments: Mapping[str, Any]) -> offers.Result:
        """Call a tool.

        Raises:
            Rejected: The server refuses the call.
            Malformed: Its answer has not the form of one.
            Failure: The answer is not MCP, or not what the tool promises.
        """
        params: dict[str, Any] = {"name": tool.name, "arguments": dict(arguments)}
        result = await self._result("tools/call", params, {"mcp-name": tool.name})
        while result.get("resultType") == "input_required":  # until the time limit
            if result.get("inputRequests"):
                raise ToolFailure(
                    f"{tool.name} asks something back before it answers, which oig-client cannot "
                    "show. Give all its arguments at once, or use another client.",
                    kind="protocol_error",
                )
            await anyio.sleep(PAUSE)
            params["requestState"] = result.get("requestState")
            result = await self._result("tools/call", params, {"mcp-name": tool.name})
        found = _outcome(result)
        if not found.is_error and not keeps_promise(result, tool.output_schema):
            raise broken_promise()
        return found

    async def _result(
        self, method: str, params: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        meta = {
            f"{META}protocolVersion": REVISION,
            f"{META}clientInfo": {"name": "oig-client", "version": version()},
            f"{META}clientCapabilities": {},
        }
        async with self._http.stream(
            "POST",
            self._url,
            json=request(method, {**params, "_meta": meta}),
            headers={
                "accept": f"{JSON}, text/event-stream",
                "mcp-protocol-version": REVISION,
                "mcp-method": method,
                **(headers or {}),
            },
        ) as response:
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind == "text/event-stream":
                async for event in httpx2.EventSource(response, max_event_size=MAX_BYTES):
                    # Progress and logs come before the answer, and nobody asked for them.
                    if event.event != "message" or not event.data:
                        continue
                    if (found := answered(event.data)) is not None:
                        return found
                raise Rejected(CONNECTION_CLOSED, "The stream of events ended without an answer.")
            found = answered(await response.aread())
            if found is None:
                raise Malformed
            return found


def _catalogue(result: Mapping[str, Any]) -> offers.Catalogue | None:
    """Return what a list says; None where the SDK should rather ask and read.

    1. An older server that answers unasked-for revisions as well gives no `resultType`.
    2. A list of several pages, a name or an argument that goes into a header in another spelling.
    3. Anything of another form than the schema of the revision.
    """
    match result:
        case {
            "resultType": "complete",
            "tools": [*listed],
            "_meta": {
                "io.modelcontextprotocol/serverInfo": {"name": str(name), "version": str(release)}
            },
        } if "nextCursor" not in result and '"x-mcp-header"' not in json.dumps(listed):
            tools = [_tool(one) for one in listed]
        case _:
            return None
    known = tuple(tool for tool in tools if tool is not None)
    if len(known) < len(tools):
        return None
    lasts = result.get("ttlMs")
    return offers.Catalogue(
        server=offers.Server(name=name, version=release, protocol=REVISION),
        tools=known,
        fresh_s=lasts / 1000 if type(lasts) is int and 0 < lasts <= MAX_TTL else 0.0,
    )


def _tool(listed: Any) -> offers.Tool | None:
    match listed:
        case {"name": str(name), "inputSchema": {"type": "object"} as takes}:
            texts = [listed.get("title", ""), listed.get("description", "")]
            gives, hints = listed.get("outputSchema"), listed.get("annotations", {})
            fits = (
                PLAIN_NAME.fullmatch(name)
                and all(isinstance(text, str) for text in texts)
                and isinstance(gives, dict | None)
                and isinstance(hints, dict)
                and isinstance(hints.get("title", ""), str)
                and all(isinstance(value, bool) for key, value in hints.items() if key != "title")
            )
            if fits:
                title = texts[0] or hints.get("title", "")
                return offers.Tool(name, title, texts[1], takes, gives, hints)
    return None


def _outcome(result: Mapping[str, Any]) -> offers.Result:
    match result:
        case {"resultType": "complete", "content": [*content]}:
            failed, meta = result.get("isError", False), result.get("_meta", {})
            if isinstance(failed, bool) and isinstance(meta, dict) and all(map(_is_block, content)):
                return offers.Result(
                    tuple(content), result.get("structuredContent"), is_error=failed, meta=meta
                )
    raise Malformed


def _is_block(block: Any) -> bool:
    match block:
        case {"type": "text"}:
            return isinstance(block.get("text"), str)
        case {"type": "image" | "audio"}:
            return isinstance(block.get("data"), str) and isinstance(block.get("mimeType"), str)
        case {"type": "resource_link"}:
            return isinstance(block.get("uri"), str) and isinstance(block.get("name"), str)
        case {"type": "resource", "resource": dict()}:
            return True
    return False
