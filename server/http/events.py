"""A JSON answer as a server-sent event, for clients that accept nothing else.

No tool here reports progress, so a stream is one event, sent when the result is ready. Until then
no stream is open that a stopping worker would cut off.
"""

from __future__ import annotations

from starlette.types import Message, Send

REPLACED = frozenset({b"content-type", b"content-length"})


HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
"""Headers of a stream of events, beside its length."""


def event(message: bytes) -> bytes:
    """Return a JSON-RPC message as an event."""
    # A line break inside JSON is white space; inside an event every line needs its name.
    lines = b"".join(b"data: %b\r\n" % line for line in message.splitlines())
    return b"event: message\r\n%b\r\n" % lines


def as_event(send: Send) -> Send:
    """Return an ASGI send that turns a JSON answer of status 200 into a stream of one event.

    Everything else passes as it is: a refusal is read off its status.
    """
    start: Message | None = None
    body = bytearray()

    async def sent(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start" and _is_json_answer(message):
            start = message
        elif start is None:
            await send(message)
        else:
            body.extend(message.get("body", b""))
            if not message.get("more_body", False):
                stream = event(bytes(body))
                await send({**start, "headers": _headers(start, len(stream))})
                await send({"type": "http.response.body", "body": stream})

    return sent


def _is_json_answer(start: Message) -> bool:
    return start["status"] == 200 and any(
        name.lower() == b"content-type" and value.startswith(b"application/json")
        for name, value in start["headers"]
    )


def _headers(start: Message, length: int) -> list[tuple[bytes, bytes]]:
    return [
        *((name, value) for name, value in start["headers"] if name.lower() not in REPLACED),
        *HEADERS,
        (b"content-length", str(length).encode()),
    ]
