"""What is checked of a request to /mcp before the SDK sees it, and which way it is answered.

The SDK's own refusals of malformed messages quote the message, password and all; everything that
it would refuse that way is refused here first, in words that quote nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .codes import Code
from .events import as_event
from .guard import answer
from .tool_failure import ToolFailure

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 1024 * 1024
"""Longest request body: a tool call has a few hundred bytes, a batch of nothing is served."""

POST_ONLY = (
    "This is an MCP endpoint (Model Context Protocol, Streamable HTTP). It takes JSON-RPC "
    "messages by POST and keeps no sessions, so there is nothing to GET or DELETE. Give this "
    "address to an MCP client."
)

CUT_OFF = ToolFailure(
    Code.CUT_OFF,
    "The server is stopping and cut this call off before it was done. If it was to change a box, "
    "the change may have been made.",
    retry_after=5.0,
)


class Endpoint:
    """ASGI app for /mcp over an MCP server.

    Args:
        server: Answers in JSON. A client that takes only server-sent events gets the same answer
            as an event.
    """

    def __init__(self, server: ASGIApp) -> None:
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] != "POST":
            await answer(send, 405, POST_ONLY, [(b"allow", b"POST")])
            return
        takes_json, takes_events = accepted(scope)
        if not (takes_json or takes_events):
            await answer(
                send,
                406,
                "The Accept header must allow application/json or text/event-stream. Send: "
                "Accept: application/json, text/event-stream",
            )
            return
        if not _is_json(scope):
            await answer(send, 415, "The Content-Type must be application/json.")
            return
        body = await _read(scope, receive)
        if body is None:
            await answer(
                send,
                413,
                f"The request body is longer than {MAX_BODY_BYTES} bytes.",
                [(b"connection", b"close")],
            )
            return
        try:
            message = from_json(body)
        except ValueError:
            await _refuse(send, None, PARSE_ERROR, "The body is not valid JSON.")
            return
        refusal = problem(message)
        if refusal is not None:
            await _refuse(send, _id(message), *refusal)
            return
        noting = _Noting(send)
        # The SDK has a way of its own to stream, but not for the revision of 2026-07-28, and a
        # library under it ends all streams at the first sign of a stop.
        to_client = noting if takes_json else as_event(noting)
        try:
            await self._server(_tidied(scope), _replay(body, receive), to_client)
        except asyncio.CancelledError:
            # Nobody but a stopping server cancels a request; its time to finish is over.
            logger.warning("a request was cut off by the stop")
            if not noting.begun:
                await _refuse(
                    send,
                    _id(message),
                    INTERNAL_ERROR,
                    CUT_OFF.text,
                    status=503,
                    data=CUT_OFF.meta,
                )


class _Noting:
    """ASGI's send, which notes whether the answer has begun."""

    def __init__(self, send: Send) -> None:
        self.begun = False
        self._send = send

    async def __call__(self, event: Message) -> None:
        self.begun = True
        await self._send(event)


def accepted(scope: Scope) -> tuple[bool, bool]:
    """Say whether a request takes JSON and whether it takes server-sent events (RFC 9110 12.5.1).

    No Accept header means anything goes.
    """
    values = [value for name, value in scope["headers"] if name == b"accept"]
    return _accepted(b",".join(values).decode("latin-1")) if values else (True, True)


@lru_cache(maxsize=64)  # clients send one of a few
def _accepted(header: str) -> tuple[bool, bool]:
    types = set()
    for part in header.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        if not any(_is_zero_weight(parameter) for parameter in parameters):
            types.add(media)
    anything = "*/*" in types
    return (
        anything or bool(types & {"application/json", "application/*"}),
        anything or bool(types & {"text/event-stream", "text/*"}),
    )


def _is_zero_weight(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and bool(value.strip()) and not value.strip().strip("0.")


def problem(message: Any) -> tuple[int, str] | None:
    """Say what is wrong with a decoded body, as JSON-RPC error code and text; None if nothing is.

    Only the envelope is looked at, down to the arguments of a tool call being an object.
    """
    if isinstance(message, list):
        return INVALID_REQUEST, "Batches of messages are not supported. Send one message per POST."
    if not isinstance(message, dict):
        return INVALID_REQUEST, "The body must be one JSON-RPC message, an object."
    if not _is_plain_request(message):
        try:
            jsonrpc_message_adapter.validate_python(message, by_name=False)
        except ValidationError:
            return INVALID_REQUEST, "The body is no JSON-RPC 2.0 request, notification or response."
    if "method" in message and "id" in message and type(message["id"]) not in {int, str}:
        # Taken for a notification otherwise, and never answered.
        return INVALID_REQUEST, "The id of a request must be a string or an integer."
    return _call_problem(message) if message.get("method") == "tools/call" else None


def _is_plain_request(message: dict[str, Any]) -> bool:
    """Whether a message is what nearly all are; a tenth of the time of asking pydantic."""
    return (
        message.keys() == {"jsonrpc", "id", "method", "params"}
        and message["jsonrpc"] == "2.0"
        and type(message["method"]) is str
        and type(message["params"]) is dict
    )


def _call_problem(message: dict[str, Any]) -> tuple[int, str] | None:
    params = message.get("params")
    if not isinstance(params, dict) or not isinstance(params.get("name"), str):
        return INVALID_PARAMS, "A tools/call needs params with the name of the tool."
    if not isinstance(params.get("arguments") or {}, dict):
        return INVALID_PARAMS, "The arguments of a tools/call must be an object."
    return None


def _is_json(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"content-type":
            media: bytes = value.split(b";", 1)[0].strip().lower()
            return media == b"application/json"
    return False


async def _read(scope: Scope, receive: Receive) -> bytes | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > MAX_BODY_BYTES:
            return None
    chunks: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""  # the client went away; nobody reads the answer
        chunk = message.get("body", b"")
        length += len(chunk)
        if length > MAX_BODY_BYTES:
            return None
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def _tidied(scope: Scope) -> Scope:
    # White space around a value is not part of it (RFC 9110 5.5), but httptools leaves it behind
    # the value, and the SDK compares Mcp-Name with the body to the letter.
    headers = [(k, v.strip(b" \t")) for k, v in scope["headers"] if k != b"accept"]
    # The SDK looks for types that it may or may not send; here it has been decided what is sent.
    headers.append((b"accept", b"application/json, text/event-stream"))
    return {**scope, "headers": headers}


def _id(message: Any) -> str | int | None:
    identifier = message.get("id") if isinstance(message, dict) else None
    # A misplaced password must not come back as an id; numbers are what clients count with.
    return identifier if type(identifier) is int else None


async def _refuse(
    send: Send,
    identifier: str | int | None,
    code: int,
    text: str,
    *,
    status: int = 400,
    data: Mapping[str, object] | None = None,
) -> None:
    body = _error(identifier, code, text, data)
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


def _error(
    identifier: str | int | None, code: int, text: str, data: Mapping[str, object] | None
) -> bytes:
    more = {} if data is None else {"data": data}
    error = {"code": code, "message": text, **more}
    return to_json({"jsonrpc": "2.0", "id": identifier, "error": error})
