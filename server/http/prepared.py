"""Answers that stay the same while a worker runs, such as `tools/list`, as prepared bytes.

Nothing here knows what the SDK answers. It is asked once for each request that differs in anything
but its id, and its bytes answer all later ones. What it looks at is the message, and the headers
that begin with `mcp-`: the endpoint has judged the others.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

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

CALL: Final = b'"tools/call"'
"""What nearly all other requests contain, which need not be looked at any further."""

ID: Final = re.compile(
    rb'"id"[ \t\r\n]*:[ \t\r\n]*(0|-?[1-9][0-9]{0,14}|"[0-9A-Za-z_.:-]{0,64}")[ \t\r\n]*[,}]'
)
"""An id that the SDK writes as it came."""

Key = tuple[bytes | tuple[bytes, bytes], ...]
"""All that an answer depends on: a body before and behind its id, and headers."""

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
        self._answers: OrderedDict[Key, Answer] = OrderedDict()

    def find(self, body: bytes, scope: Scope) -> tuple[Message, Message] | None:
        """Return an earlier answer to a request, as ASGI's events; None if there is none.

        Args:
            body: Of the request, as it came.
            scope: Of the request.
        """
        asked = _asked(body, scope)
        return None if asked is None else self._answered(*asked)

    def _answered(self, identifier: bytes, key: Key) -> tuple[Message, Message] | None:
        answer = self._answers.get(key)
        if answer is None:
            return None
        self._answers.move_to_end(key)
        whole = OPENING % identifier + answer.ending
        length = (b"content-length", str(len(whole)).encode())
        headers = [*answer.headers, length]
        return (
            {"type": "http.response.start", "status": 200, "headers": headers},
            {"type": "http.response.body", "body": whole},
        )

    async def serve(
        self,
        body: bytes,
        message: Any,
        scope: Scope,
        send: Send,
        ask: Callable[[Send], Awaitable[None]],
    ) -> None:
        """Answer a message with the bytes of an earlier answer, if it has one; else ask.

        Args:
            body: Of its request, as it came.
            message: What it holds, found to be well-formed.
            scope: Of its request.
            send: ASGI's send.
            ask: Has the SDK answer over the send that it is given.
        """
        asked = None
        if message.get("method") in METHODS and "id" in message:
            asked = _asked(body, scope)
        if asked is None:
            await ask(send)
            return
        identifier, key = asked
        found = self._answered(identifier, key)
        if found is not None:
            for event in found:
                await send(event)
            return
        copied = _Copied(send)
        await ask(copied)
        answer = copied.answer(identifier)
        if answer is not None:
            self._answers[key] = answer
        if len(self._answers) > MAX_ANSWERS:
            self._answers.popitem(last=False)


def _asked(body: bytes, scope: Scope) -> tuple[bytes, Key] | None:
    """Return the id of a request and all else that its answer depends on, as they came.

    None for a request whose answer is not kept. Of a body that was decoded once, the id may be
    replaced by another without a second look: `"id"` occurs once in it, and nothing is escaped, so
    that occurrence is the member of the message if it has one.
    """
    if len(body) > MAX_KEY_BYTES or CALL in body or b"\\" in body or body.count(b'"id"') != 1:
        return None
    found = ID.search(body)
    if found is None:
        return None
    headers = sorted(one for one in scope["headers"] if one[0].startswith(b"mcp-"))
    if len(body) + sum(len(name) + len(value) for name, value in headers) > MAX_KEY_BYTES:
        return None
    return found[1], (body[: found.start(1)], body[found.end(1) :], *headers)


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
