"""Several messages in one POST: a JSON array, which only protocol revision 2025-03-26 has.

The SDK takes one message at a time. So the messages of a batch are handled as if they had come one
after another, each in a POST of its own: no tool can tell the difference.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from mcp_types import INTERNAL_ERROR, INVALID_REQUEST
from starlette.types import Message

from ..codes import Code
from ..tool_failure import ToolFailure
from .envelope import Refusal, problem, version_problem

REVISION = "2025-03-26"
"""The revision with batches. It had no `MCP-Protocol-Version` header, so that a request without one
counts as of this revision (2025-06-18, Transports)."""

MAX_REQUESTS = 20
"""Most requests: they are answered one after another, and the client waits for them all."""

MAX_MESSAGES = 100
"""Most messages of all kinds."""

BEGINS_WITHIN = 30.0
"""Seconds after the first message of a batch in which others are begun. A call may take 45 s, and
20 logins that wait for their turn would take a quarter of an hour."""

ACCEPTED = 202
"""HTTP status for what has no response: notifications and responses."""

TOO_LATE = ToolFailure(
    Code.SERVER_BUSY,
    "The messages before this one took too long, so it was not handled. Send it again, in a "
    "smaller batch or alone.",
    retry_after=5.0,
)
NOT_BEGUN = Refusal(INTERNAL_ERROR, TOO_LATE.text, TOO_LATE.meta)

TOO_LONG = ToolFailure(
    Code.SERVER_BUSY,
    "Too many long answers are held, of which those to this batch are a part, so this message was "
    "not handled. Send it again in a few seconds, in a smaller batch or alone.",
    retry_after=5.0,
)
NOT_HELD = Refusal(INTERNAL_ERROR, TOO_LONG.text, TOO_LONG.meta)

NOT_IN_A_BATCH = Refusal(
    INVALID_REQUEST, "This message cannot be answered as a part of a batch. Send it alone."
)

Put = Callable[[bytes], None]
"""Takes the JSON-RPC response to one message."""


def batch_problem(messages: list[Any], version: str | None) -> Refusal | None:
    """Say why a batch is not answered at all; None if it is.

    Args:
        messages: The decoded body.
        version: The `MCP-Protocol-Version` header, None if there is none.
    """
    refusal = version_problem(version)
    if refusal is not None:
        return refusal
    if version not in {None, REVISION}:
        return Refusal(
            INVALID_REQUEST,
            f"Only protocol revision {REVISION} has batches of messages, and the "
            "MCP-Protocol-Version header names another. Send one message per POST.",
        )
    if not messages:
        return Refusal(INVALID_REQUEST, "The batch is empty. Send at least one message.")
    requests = sum(map(_is_answered, messages))
    if requests > MAX_REQUESTS or len(messages) > MAX_MESSAGES:
        return Refusal(
            INVALID_REQUEST,
            f"The batch has more than {MAX_REQUESTS} requests or {MAX_MESSAGES} messages. None of "
            "them was handled. Send fewer at a time.",
        )
    return None


def message_problem(message: Any, version: str | None) -> Refusal | None:
    """Say what is wrong with one message of a batch; None if nothing is."""
    if not isinstance(message, dict):
        return Refusal(INVALID_REQUEST, "Each message of a batch must be an object.")
    if _is_request(message) and message["method"] == "initialize":
        return Refusal(INVALID_REQUEST, "An initialize request must not be part of a batch.")
    return problem(message, version)


async def answer_all(
    messages: list[Any],
    answer_one: Callable[[Any, Put], Awaitable[None]],
    cut_off: Callable[[Any], bytes],
    has_room: Callable[[], bool] = lambda: True,
) -> tuple[list[bytes], int]:
    """Answer the messages of a batch one after another, as long as there is time.

    1. When the server stops meanwhile, what has been answered is still sent.
    2. When the caller goes away, no further message is begun.
    3. When the first messages take long, the last are not begun, and their answers say so.
    4. The same applies when there is no room for further answers. An existing answer is never
       dropped: its message may have changed something.

    Args:
        messages: The decoded body.
        answer_one: Answers one message. It puts the response, if there is one, once that is whole.
        cut_off: Returns the response to a request that was not answered because of the stop.
        has_room: Says whether one more answer may be buffered.

    Returns:
        The responses in the order of their requests, and how many messages were cut off.
    """
    answers: list[bytes] = []
    now = asyncio.get_running_loop().time
    end = now() + BEGINS_WITHIN
    for position, message in enumerate(messages):
        before = len(answers)
        late = now() >= end
        if late or not has_room():
            if _is_answered(message):
                answers.append((NOT_BEGUN if late else NOT_HELD).answer(message))
            continue
        try:
            await answer_one(message, answers.append)
        except asyncio.CancelledError:
            rest = messages[position + len(answers) - before :]
            answers += [cut_off(one) for one in rest if _is_request(one)]
            return answers, len(rest)
    return answers, 0


def _is_request(message: Any) -> bool:
    return isinstance(message, dict) and "method" in message and "id" in message


def _is_answered(message: Any) -> bool:
    """Whether a message has a response, if only one that says what is wrong with it."""
    # A notification has no id, and a response no method.
    return not isinstance(message, dict) or ("id" in message) == ("method" in message)


class Part:
    """ASGI's send, for one message of a batch.

    Args:
        message: The message.
        put: Is given the response once that is whole, and nothing for what has no response.
    """

    def __init__(self, message: Any, put: Put) -> None:
        self._message = message
        self._put = put
        self._status = 0
        self._body = bytearray()

    async def __call__(self, event: Message) -> None:
        """Take one event of the answer."""
        if event["type"] == "http.response.start":
            self._status = event["status"]
            return
        self._body += event.get("body", b"")
        if event.get("more_body", False) or self._status == ACCEPTED:
            return
        # What is no JSON-RPC is an answer to the whole of a request, such as 413: written out,
        # numbers may have become longer than they were sent.
        whole = self._body.startswith(b'{"jsonrpc"')
        self._put(bytes(self._body) if whole else NOT_IN_A_BATCH.answer(self._message))
