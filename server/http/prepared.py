"""Answers that stay the same while a worker runs, such as `tools/list`, as prepared bytes.

Nothing here knows what the SDK answers. It is asked once for each request that differs in anything
but its id, and its bytes answer all later ones. What it looks at is the message, and the headers
that begin with `mcp-`: the endpoint has judged the others.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from pydantic_core import to_json
from starlette.types import Message, Scope, Send

METHODS: Final = frozenset(
    {
        *("server/discover", "tools/list", "prompts/list"),
        *("resources/list", "resources/templates/list"),
    }
)
"""Methods whose answer depends on nothing but the request. Lists do not change while a worker runs:
`tools/mcp_server.py` tells clients that they may cache the same ones for an hour."""

MAX_KEY_BYTES: Final = 1024
"""Longest request whose answer is kept: one that names its client in full has some 400 bytes."""

MAX_ANSWERS: Final = 32
"""Requests whose answers are kept, of 40 KB each; the least recently used goes for a new one. Each
kind of client sends requests of its own, of which a worker sees a few kinds."""

OPENING: Final = b'{"jsonrpc":"2.0","id":%b,'
"""How the SDK begins an answer. One that begins otherwise is not kept."""


class Answer(NamedTuple):
    """An answer without its id.

    Attributes:
        headers: Of the HTTP response, without its length.
        ending: The bytes behind the id.
    """

    headers: tuple[tuple[bytes, bytes], ...]
    ending: bytes


class Prepared:
    """The answers of one worker."""

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()

    async def serve(
        self, message: Any, scope: Scope, send: Send, ask: Callable[[Send], Awaitable[None]]
    ) -> None:
        """Answer a message with the bytes of an earlier answer, if it has one; else ask.

        Args:
            message: Decoded, and found to be well-formed.
            scope: Of its request.
            send: ASGI's send.
            ask: Has the SDK answer over the send that it is given.
        """
        key = _key(message, scope)
        if key is None:
            await ask(send)
            return
        identifier = to_json(message["id"])
        answer = self._answers.get(key)
        if answer is None:
            copied = _Copied(send)
            await ask(copied)
            answer = copied.answer(identifier)
            if answer is not None:
                self._answers[key] = answer
            if len(self._answers) > MAX_ANSWERS:
                self._answers.popitem(last=False)
            return
        self._answers.move_to_end(key)
        body = OPENING % identifier + answer.ending
        length = (b"content-length", str(len(body)).encode())
        start = {"type": "http.response.start", "status": 200, "headers": [*answer.headers, length]}
        await send(start)
        await send({"type": "http.response.body", "body": body})


def _key(message: Any, scope: Scope) -> bytes | None:
    """Return all that an answer depends on; None for a request whose answer is not kept."""
    if message.get("method") not in METHODS or "id" not in message:
        return None
    # In some revisions the SDK escapes letters beyond ASCII.
    if json.dumps(message["id"]).encode() != to_json(message["id"]):
        return None
    headers = sorted(one for one in scope["headers"] if one[0].startswith(b"mcp-"))
    asked = {name: value for name, value in message.items() if name != "id"}
    key = to_json([asked, [[name.hex(), value.hex()] for name, value in headers]])
    return key if len(key) <= MAX_KEY_BYTES else None


class _Copied:
    """An ASGI send that keeps a copy of what it passes on."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message = {}
        self._body = b""

    async def __call__(self, event: Message) -> None:
        await self._send(event)
        if event["type"] == "http.response.start":
            self._start = event
        else:
            self._body += event.get("body", b"")

    def answer(self, identifier: bytes) -> Answer | None:
        """Return the answer if it is a whole result that begins as expected."""
        opening = OPENING % identifier
        whole = self._start.get("status") == 200 and self._body.startswith(opening + b'"result":')
        if not whole:
            return None
        headers = (one for one in self._start["headers"] if one[0] != b"content-length")
        return Answer(tuple(headers), self._body[len(opening) :])
