"""How a request to /mcp is answered: checked before the SDK sees it, as JSON or as events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from mcp_types import INTERNAL_ERROR, PARSE_ERROR
from pydantic_core import from_json, to_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .batch import ACCEPTED, Part, Put, answer_all, batch_problem, message_problem
from .codes import Code
from .envelope import Refusal, problem
from .events import HEADERS as EVENTS
from .events import as_event, event
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

STOPPED = ToolFailure(
    Code.CUT_OFF,
    "The server is stopping and cut this call off before it was done. If it was to change a box, "
    "the change may have been made.",
    retry_after=5.0,
)
CUT_OFF = Refusal(INTERNAL_ERROR, STOPPED.text, STOPPED.meta)

NO_JSON = Refusal(PARSE_ERROR, "The body is not valid JSON.")

JSON = ((b"content-type", b"application/json"),)


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
            await _send(send, NO_JSON.answer(None), 400)
            return
        if isinstance(message, list):
            await self._answer_batch(message, scope, receive, send, as_events=not takes_json)
        else:
            replay = _replay(body, receive)
            await self._answer_single(message, scope, replay, send, as_events=not takes_json)

    async def _answer_single(
        self, message: Any, scope: Scope, receive: Receive, send: Send, *, as_events: bool
    ) -> None:
        noting = _Noting(send)
        # The SDK has a way of its own to stream, but not for the revision of 2026-07-28, and a
        # library under it ends all streams at the first sign of a stop.
        to_client = as_event(noting) if as_events else noting
        version = _version(scope)
        refusal = problem(message, version)
        if refusal is not None:
            await _send(to_client, refusal.answer(message), refusal.status(message, version))
            return
        try:
            await self._server(_tidied(scope), receive, to_client)
        except asyncio.CancelledError:
            # Nobody but a stopping server cancels a request; its time to finish is over.
            logger.warning("a request was cut off by the stop")
            if not noting.begun:
                await _send(send, CUT_OFF.answer(message), 503)

    async def _answer_batch(
        self, messages: list[Any], scope: Scope, receive: Receive, send: Send, *, as_events: bool
    ) -> None:
        version = _version(scope)
        refusal = batch_problem(messages, version)
        if refusal is not None:
            await _send(send, refusal.answer(None), 400)
            return

        # A client that goes away has not cancelled what it asked for (2025-03-26, Transports).
        async def answer_one(message: Any, put: Put) -> None:
            refusal = message_problem(message, version)
            if refusal is None:
                part = Part(message, put)
                await self._server(_tidied(scope), _replay(to_json(message), receive), part)
            else:
                put(refusal.answer(message))

        answers, cut_off = await answer_all(messages, answer_one, CUT_OFF.answer)
        if cut_off:
            logger.warning("%d of %d messages were cut off by the stop", cut_off, len(messages))
        if not answers:
            await _send(send, b"", ACCEPTED, ())
        elif as_events:
            # One event for each: clients of that revision take no array out of an event.
            await _send(send, b"".join(map(event, answers)), headers=EVENTS)
        else:
            await _send(send, b"[%b]" % b",".join(answers))


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


def _version(scope: Scope) -> str | None:
    values = [value.strip(b" \t") for k, value in scope["headers"] if k == b"mcp-protocol-version"]
    # Two that differ are a list (RFC 9110 5.3), and a list is no version that anybody knows.
    return b", ".join(dict.fromkeys(values)).decode("latin-1") if values else None


async def _send(
    send: Send, body: bytes, status: int = 200, headers: Iterable[tuple[bytes, bytes]] = JSON
) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
