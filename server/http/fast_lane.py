"""Answers a plain `tools/call` without the SDK, which takes half of its time or more.

A call is plain if nothing in it is for the SDK to decide:

1. It has the members of a call, and no others.
2. `_meta` has what every request of its revision must have, and the SDK has found the same `_meta`
   to be valid before. A token for progress, or anything unknown, makes a call not plain.
3. Each header of the protocol occurs once and says what the body says.
4. The tool is one that may be called so: the SDK answers for all others, and for unknown ones.

Whatever is not plain goes to the SDK, and a plain call gets the bytes that the SDK would send;
tests compare the two. If the SDK grows such a path, this one goes.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    PROTOCOL_VERSION_META_KEY,
)
from mcp_types.methods import validate_client_request
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from pydantic_core import to_json
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from .request import MESSAGE

CALL: Final = "tools/call"
MEMBERS: Final = {"jsonrpc", "id", "method", "params"}
PARAMS: Final = {"name", "arguments", "_meta"}
ENVELOPE: Final = {
    *(PROTOCOL_VERSION_META_KEY, CLIENT_INFO_META_KEY, CLIENT_CAPABILITIES_META_KEY),
}

VERSION: Final = b"mcp-protocol-version"
NEWER_HEADERS: Final = frozenset({VERSION, b"mcp-method", b"mcp-name"})
"""Headers of the protocol in a plain call since 2026-07-28; one of before has the first or none."""

UNNAMED: Final = "2025-03-26"
"""Revision of a request that names none (specification of 2025-11-25, Streamable HTTP)."""

MOST_ID: Final = 2**53
"""Numbers below are the same to every parser (RFC 8259, 6)."""

MAX_ENVELOPE_BYTES: Final = 1024
MAX_ENVELOPES: Final = 256
"""Bounds of the valid `_meta` that are remembered: one for each version of each client."""

BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7e]")


class Outcome(NamedTuple):
    """What came of a call.

    Attributes:
        text: The result as JSON, or what a failure says.
        failure: The `_meta` of a failure; None of a success.
    """

    text: str
    failure: Mapping[str, object] | None = None


Tool = Callable[[dict[str, Any], Request], Awaitable[Outcome]]
"""A tool, called with its arguments and the request that they came in."""


class _Plain(NamedTuple):
    """A plain call."""

    tool: Tool
    arguments: dict[str, Any]
    identifier: str | int
    newer: bool


class FastLane:
    """ASGI app for single messages to /mcp, which the endpoint has checked.

    Args:
        sdk: Answers what is not plain.
        tools: Tools by name.
        server: The `_meta` of every result since 2026-07-28: what server this is.
    """

    def __init__(
        self, sdk: ASGIApp, tools: Mapping[str, Tool], server: Mapping[str, object]
    ) -> None:
        self._sdk = sdk
        self._tools = tools
        self._server = server
        self._of_success = json.dumps(server, separators=(",", ":"))
        self._valid: OrderedDict[bytes, None] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a message."""
        call = self._plain(scope[MESSAGE], scope["headers"])
        if call is None:
            await self._sdk(scope, receive, send)
            return
        outcome = await call.tool(call.arguments, Request(scope))
        answer = self._newer(call, outcome) if call.newer else _older(call, outcome)
        length = (b"content-length", str(len(answer)).encode())
        headers = [(b"content-type", b"application/json"), length]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _plain(self, message: Any, headers: list[tuple[bytes, bytes]]) -> _Plain | None:
        """Return a call that is plain, None for any other message."""
        if message.keys() != MEMBERS or message["method"] != CALL:
            return None
        params: dict[str, Any] = message["params"]
        name, arguments = params["name"], params.get("arguments", {})
        tool = self._tools.get(name)
        if tool is None or params.keys() - PARAMS or not isinstance(arguments, dict):
            return None
        identifier = message["id"]
        if type(identifier) is not str and not -MOST_ID < identifier < MOST_ID:
            return None
        newer = self._is_newer(name, params.get("_meta", {}), headers)
        return None if newer is None else _Plain(tool, arguments, identifier, newer)

    def _is_newer(self, name: str, meta: Any, headers: list[tuple[bytes, bytes]]) -> bool | None:
        """Return whether a call is of a revision without a handshake; None if it is not plain."""
        said = [one for one in headers if one[0].startswith(b"mcp-")]
        named = dict(said)
        version = named.get(VERSION, UNNAMED.encode()).decode("latin-1")
        if version in HANDSHAKE_PROTOCOL_VERSIONS:
            return False if meta == {} and len(said) == (VERSION in named) else None
        plain = (
            len(said) == len(NEWER_HEADERS)
            and named.keys() == NEWER_HEADERS
            and named[b"mcp-method"] == CALL.encode()
            and named[b"mcp-name"] == name.encode()
            and self._is_valid(meta, version)
        )
        return True if plain else None

    def _is_valid(self, meta: Any, version: str) -> bool:
        """Whether the SDK takes the `_meta` of a call in a revision that has no handshake."""
        if version not in MODERN_PROTOCOL_VERSIONS or not isinstance(meta, dict):
            return False
        if meta.get(PROTOCOL_VERSION_META_KEY) != version:
            return False
        key = to_json(meta)
        if key in self._valid:
            self._valid.move_to_end(key)
            return True
        if meta.keys() - ENVELOPE or len(key) > MAX_ENVELOPE_BYTES:
            return False
        try:
            validate_client_request(CALL, version, {"name": "", "arguments": {}, "_meta": meta})
        except (ValidationError, KeyError, ValueError):
            return False
        self._valid[key] = None
        if len(self._valid) > MAX_ENVELOPES:
            self._valid.popitem(last=False)
        return True

    def _newer(self, call: _Plain, outcome: Outcome) -> bytes:
        """Return an answer as of 2026-07-28: with letters beyond ASCII escaped, as the SDK does."""
        text = json.dumps(outcome.text)
        content = f'"content":[{{"text":{text},"type":"text"}}],"isError":'
        if outcome.failure is None:
            structured = outcome.text
            if "\\u" in text:  # otherwise there is no such letter in it
                structured = BEYOND_ASCII.sub(lambda one: json.dumps(one.group())[1:-1], structured)
            result = (
                f'{content}false,"resultType":"complete","structuredContent":{structured},'
                f'"_meta":{self._of_success}'
            )
        else:
            meta = json.dumps({**outcome.failure, **self._server}, separators=(",", ":"))
            result = f'"_meta":{meta},{content}true,"resultType":"complete"'
        # The SDK's encoder takes ten times as long for a number.
        number = type(call.identifier) is int
        identifier = str(call.identifier) if number else json.dumps(call.identifier)
        return f'{{"jsonrpc":"2.0","id":{identifier},"result":{{{result}}}}}'.encode()


def _older(call: _Plain, outcome: Outcome) -> bytes:
    content = b'"content":[{"text":%b,"type":"text"}],"isError":' % to_json(outcome.text)
    if outcome.failure is None:
        result = b'%bfalse,"structuredContent":%b' % (content, outcome.text.encode())
    else:
        result = b'"_meta":%b,%btrue' % (to_json(outcome.failure), content)
    return b'{"jsonrpc":"2.0","id":%b,"result":{%b}}' % (to_json(call.identifier), result)
