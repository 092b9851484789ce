"""Reads the body of a request, up to a limit."""

from __future__ import annotations

from starlette.types import Message, Receive, Scope

MAX_BODY_BYTES = 1024 * 1024
"""Longest request body: a tool call has a few hundred bytes."""


class BodyTooLong(Exception):
    """The body is longer than it may be. The rest of it was not read."""


async def read_body(scope: Scope, receive: Receive, most: int = MAX_BODY_BYTES) -> bytes:
    """Return the body of a request; empty if the caller went away meanwhile.

    Args:
        scope: ASGI scope of the request.
        receive: ASGI's receive.
        most: Bytes that it may have.

    Raises:
        BodyTooLong: It has more. If it says so beforehand, nothing of it is
            read, and a caller that waits for `100 Continue` does not get it.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > most:
            raise BodyTooLong
    chunks: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""  # nobody reads the answer
        chunk = message.get("body", b"")
        length += len(chunk)
        if length > most:
            raise BodyTooLong
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def replayed(body: bytes, receive: Receive) -> Receive:
    """Return an ASGI receive that gives a body which has been read already.

    Args:
        body: All of it.
        receive: What comes after it: that the caller went away.
    """
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay
