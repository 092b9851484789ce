"""How a request to /mcp is answered: checked before the SDK sees it, as JSON or as events."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from mcp_types import INTERNAL_ERROR, INVALID_REQUEST, PARSE_ERROR
from pydantic_core import from_json, to_json
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..codes import Code
from ..tool_failure import ToolFailure
from .batch import ACCEPTED, MAX_REQUESTS, Part, Put, answer_all, batch_problem, message_problem
from .buffered_answers import BufferedAnswers
from .entry import Entry, Gate, Refused
from .envelope import Refusal, problem
from .events import HEADERS as EVENTS
from .events import as_event, event
from .guard import answer
from .json_tokens import excess
from .prepared import Prepared
from .request import (
    MAX_BODY_BYTES,
    BodyTooLong,
    accepted,
    head_problem,
    read_body,
    replayed,
    tidied,
    version_of,
)
from .shares import (
    MAX_BUFFERED,
    MAX_BUFFERED_OF_SOURCE,
    RETRY_LATER,
    UNCOUNTED_BODY,
    Tally,
    nobody,
)
from .signals import gone

logger = logging.getLogger(__name__)

LONG_BODY = 64 * 1024
"""Bytes above which a body is long: a batch of 20 calls with all their arguments is shorter. 1 MiB
is parsed in some ten milliseconds, in which no other request is served."""

TOO_LONG = (413, f"The request body is longer than {MAX_BODY_BYTES} bytes. Send a smaller one.")

NOT_ADMITTED = -32003
"""Of an error in place of what a client may not have without a login, or with the one it has. The
specification names no code; that of HTTP and the header beside it say more."""

NO_ROOM = "Too many long requests are being answered. Try again in a few seconds."

STOPPED = ToolFailure(
    Code.CUT_OFF,
    "The server is stopping and cut this call off before it was done. If it was to change a box, "
    "the change may have been made.",
    retry_after=5.0,
)
CUT_OFF = Refusal(INTERNAL_ERROR, STOPPED.text, STOPPED.meta)

SHORT_BATCH = f"A batch has at most {MAX_REQUESTS} requests."
WHITE = b" \t\r\n"
"""White space between JSON tokens (RFC 8259, 2)."""

NO_JSON = Refusal(PARSE_ERROR, "The body is not valid JSON.")

HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")
NO_UNICODE = Refusal(
    PARSE_ERROR,
    "The body is not valid JSON, or it holds half of a surrogate pair (such as \\ud83d alone), "
    "which is no Unicode text. A text that was cut in the middle of an emoji ends so.",
)

JSON = ((b"content-type", b"application/json"),)


class Endpoint:
    """ASGI app for /mcp over an MCP server.

    Args:
        server: Answers in JSON. A client that takes only server-sent events gets the same answer
            as an event.
        source: Gives the source of an address, None for one that is exempt from its limits.
        gate: Says whom to let in where owners log in in the browser; None where they do not.
    """

    def __init__(
        self,
        server: ASGIApp,
        source: Callable[[str | None], str | None] = nobody,
        gate: Gate | None = None,
    ) -> None:
        self._server = server
        self._source = source
        self._gate = gate
        self._turn = asyncio.Lock()
        self._prepared = Prepared()
        # What has come as a whole is not let go by its connection, so it is bounded here. So are
        # the answers of batches, until their connection has them.
        self._bytes = Tally(MAX_BUFFERED_OF_SOURCE, MAX_BUFFERED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        entry = None
        if self._gate is not None:
            judged = await self._gate.at_head(scope)
            if isinstance(judged, Refused):
                await answer(send, *judged)
                return
            entry = judged
        refused = head_problem(scope)
        if refused is not None:
            await answer(send, *(_unread(entry) or refused))
            return
        try:
            body = await read_body(scope, receive)
        except BodyTooLong:
            await answer(send, *(_unread(entry) or TOO_LONG))
            return
        if len(body) <= UNCOUNTED_BODY:
            await self._answer(body, entry, scope, receive, send)
            return
        source = self._source_of(scope)
        try:
            if self._bytes.add(source, len(body)):
                await self._answer_long(body, entry, scope, receive, send)
            else:
                await answer(send, 503, NO_ROOM, RETRY_LATER)
        finally:
            self._bytes.remove(source, len(body))

    def _source_of(self, scope: Scope) -> str | None:
        client = scope.get("client")
        return self._source(client[0]) if client else None

    async def _answer_long(
        self, body: bytes, entry: Entry | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if len(body) > LONG_BODY:
            # Between two long bodies everybody else gets served.
            async with self._turn:
                await asyncio.sleep(0)
        await self._answer(body, entry, scope, receive, send)

    async def _answer(
        self, body: bytes, entry: Entry | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        takes_json, _ = accepted(scope["headers"])
        # What is prepared is no call, and needs no login where only calls do.
        needs_none = entry is None or entry.lacks == "calls"
        if needs_none and (prepared := self._prepared.find(body, scope)):
            to_client = send if takes_json else as_event(send)
            for one in prepared:
                await to_client(one)
            return
        try:
            message = _decoded(body)
        except _Unreadable as exc:
            refused = _unread(entry)
            if refused is None:
                await _send(send, exc.refusal.answer(None), 400)
            else:
                await answer(send, *refused)
            return
        # Looked for once, here: the answer to a single message needs it as well.
        refusal = None if isinstance(message, list) else problem(message, version_of(scope))
        if entry is not None and self._gate is not None:
            judged = await self._gate.at_messages(
                entry, _to_be_judged(entry, message, refusal, scope)
            )
            if isinstance(judged, Refused):
                await _send_refused(send, judged, message)
                return
            judged.admit(scope)
        if isinstance(message, list):
            await self._answer_batch(message, scope, receive, send, as_events=not takes_json)
        else:
            await self._answer_single(
                body, message, refusal, scope, receive, send, as_events=not takes_json
            )

    async def _answer_single(
        self,
        body: bytes,
        message: Any,
        refusal: Refusal | None,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        as_events: bool,
    ) -> None:
        noting = _Noting(send)
        # The SDK has a way of its own to stream, but not for the revision of 2026-07-28, and a
        # library under it ends all streams at the first sign of a stop.
        to_client = as_event(noting) if as_events else noting
        if refusal is not None:
            status = refusal.status(message, version_of(scope))
            await _send(to_client, refusal.answer(message), status)
            return
        try:
            served = partial(self._server, tidied(scope, message), replayed(body, receive))
            await self._prepared.serve(body, message, scope, to_client, served)
        except asyncio.CancelledError:
            if gone(scope):
                raise
            # The server stops, and the request's time to finish is over.
            logger.warning("a request was cut off by the stop")
            if not noting.begun:
                await _send(send, CUT_OFF.answer(message), 503)

    async def _answer_batch(
        self, messages: list[Any], scope: Scope, receive: Receive, send: Send, *, as_events: bool
    ) -> None:
        version = version_of(scope)
        refusal = batch_problem(messages, version)
        if refusal is not None:
            await _send(send, refusal.answer(None), 400)
            return

        buffered = BufferedAnswers(self._bytes, self._source_of(scope))

        async def answer_one(message: Any, put: Put) -> None:
            def put_counted(one: bytes) -> None:
                buffered.add(len(one))
                put(one)

            refusal = message_problem(message, version)
            if refusal is None:
                part = Part(message, put_counted)
                body = replayed(to_json(message), receive)
                await self._server(tidied(scope, message), body, part)
            else:
                put_counted(refusal.answer(message))

        try:
            answers, cut_off = await answer_all(
                messages, answer_one, CUT_OFF.answer, buffered.has_room
            )
            if gone(scope):
                return
            if cut_off:
                logger.warning("%d of %d messages were cut off by the stop", cut_off, len(messages))
            if not answers:
                await _send(send, b"", ACCEPTED, ())
            elif as_events:
                # One event for each: clients of that revision take no array out of an event.
                await _send(send, b"".join(map(event, answers)), headers=EVENTS)
            else:
                await _send(send, b"[%b]" % b",".join(answers))
        finally:
            buffered.release()


def _to_be_judged(
    entry: Entry, message: Any, refusal: Refusal | None, scope: Scope
) -> Sequence[Any]:
    """Return the messages of a body that decide whether it is admitted.

    Where only calls need a login, what comes to no tool does nothing, and its sender reads what is
    wrong with it.

    Args:
        entry: What the head lacks.
        message: The decoded body.
        refusal: What is wrong with a single message.
        scope: Of the request.
    """
    if not isinstance(message, list):
        does_nothing = refusal is not None or "id" not in message
        return [] if does_nothing and entry.lacks == "calls" else [message]
    if entry.lacks != "calls":
        return message
    version = version_of(scope)
    return [
        one
        for one in message
        if isinstance(one, dict) and "id" in one and problem(one, version) is None
    ]


class _Unreadable(Exception):
    """A body that contains no readable message."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


def _decoded(body: bytes) -> Any:
    """Return what a body holds.

    Raises:
        _Unreadable: It holds too much, or is no JSON.
    """
    too_much = excess(body)
    if too_much is not None:
        batch = f" {SHORT_BATCH}" if body.lstrip(WHITE)[:1] == b"[" else ""
        raise _Unreadable(Refusal(INVALID_REQUEST, too_much + batch))
    try:
        return from_json(body)
    except ValueError:
        raise _Unreadable(NO_UNICODE if HALF_PAIR.search(body) else NO_JSON) from None


class _Noting:
    """ASGI's send, which notes whether the answer has begun."""

    def __init__(self, send: Send) -> None:
        self.begun = False
        self._send = send

    async def __call__(self, event: Message) -> None:
        self.begun = True
        await self._send(event)


def _unread(entry: Entry | None) -> Refused | None:
    return None if entry is None else entry.unread()


async def _send_refused(send: Send, refused: Refused, message: Any) -> None:
    # A client that cannot log in by browser shows the text of a JSON-RPC error, and of no other
    # body: so its user reads what else can be done.
    body = Refusal(NOT_ADMITTED, refused.text).answer(message)
    await _send(send, body, refused.status, (*JSON, *refused.headers))


async def _send(
    send: Send, body: bytes, status: int = 200, headers: Iterable[tuple[bytes, bytes]] = JSON
) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
