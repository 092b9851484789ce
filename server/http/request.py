"""Checks the head of a request: method, types and codings (RFC 9110 8, 12.5.1); reads its body.

Names of types, codings and parameters are case-insensitive.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from starlette.types import Message, Receive, Scope

MAX_BODY_BYTES = 1024 * 1024
"""Longest request body: a tool call has a few hundred bytes."""

Headers = Iterable[tuple[bytes, bytes]]

JSON = "application/json"
EVENTS = "text/event-stream"

MESSAGE = "oig.message"
"""Key in a scope of the decoded message, for what answers it without the SDK."""

JUDGED = frozenset({b"accept", b"content-type"})

OF_BODY = JUDGED | {b"content-encoding", b"transfer-encoding"}
"""Headers that decide whether a body is read at all."""

POST_ONLY = (
    "This is an MCP endpoint (Model Context Protocol, Streamable HTTP). It takes JSON-RPC "
    "messages by POST and keeps no sessions, so there is nothing to GET or DELETE. Give this "
    "address to an MCP client."
)

NO_ACCEPTED = (
    "The Accept header must allow application/json or text/event-stream. Send: "
    "Accept: application/json, text/event-stream"
)

COMPRESSED = (
    "The Content-Encoding header says that the body is compressed. This server does not "
    "decompress: send the body as it is, without that header."
)


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


def accepted(headers: Headers) -> tuple[bool, bool]:
    """Say whether a request takes JSON and whether it takes server-sent events.

    Args:
        headers: All of the request, names in lower case. No Accept among them means anything goes.
    """
    accept = _value(headers, b"accept")
    return (True, True) if accept is None else _accepted(accept)


def is_json(headers: Headers) -> bool:
    """Whether a body is declared as JSON; several declarations must all do so.

    Parameters are left aside: JSON defines none, and `charset` is sent by many (RFC 8259 11).
    """
    declared = _value(headers, b"content-type")
    return declared is not None and all(
        part.partition(";")[0].strip() == JSON for part in declared.split(",")
    )


def is_plain(headers: Headers) -> bool:
    """Whether a body comes as it is, in no content coding such as gzip."""
    return _codings(headers, b"content-encoding") <= {"", "identity"}


def is_framed_only(headers: Headers) -> bool:
    """Whether a body is at most sent in chunks, not compressed on the way (RFC 9112 6.1)."""
    return _codings(headers, b"transfer-encoding") <= {"", "chunked"}


def _codings(headers: Headers, name: bytes) -> set[str]:
    return {coding.strip() for coding in (_value(headers, name) or "").split(",")}


def _value(headers: Headers, name: bytes) -> str | None:
    """Return the values of a header as one list, in lower case; None without the header."""
    values = [value for key, value in headers if key == name]
    return b",".join(values).decode("latin-1").lower() if values else None


@lru_cache(maxsize=64)  # clients send one of a few
def _accepted(header: str) -> tuple[bool, bool]:
    refused: dict[str, bool] = {}
    for part in header.split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        refused[media] = any(_is_zero_weight(parameter) for parameter in parameters)
    return _takes(refused, JSON), _takes(refused, EVENTS)


def _takes(refused: dict[str, bool], media: str) -> bool:
    # The most specific range decides.
    for known in (media, f"{media.partition('/')[0]}/*", "*/*"):
        if known in refused:
            return not refused[known]
    return False


def _is_zero_weight(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip() == "q" and bool(value.strip()) and not value.strip().strip("0.")


Problem = tuple[int, str, tuple[tuple[bytes, bytes], ...]]


def head_problem(scope: Scope) -> Problem | None:
    """Say why a request is refused before its body is read: status, text, further headers."""
    if scope["method"] != "POST":
        return 405, POST_ONLY, ((b"allow", b"POST"),)
    return _judged(tuple([one for one in scope["headers"] if one[0] in OF_BODY]))


@lru_cache(maxsize=64)  # clients send one of a few
def _judged(headers: tuple[tuple[bytes, bytes], ...]) -> Problem | None:
    if not any(accepted(headers)):
        return 406, NO_ACCEPTED, ()
    if not is_json(headers):
        return 415, "The Content-Type must be application/json.", ()
    if not is_plain(headers):
        return 415, COMPRESSED, ((b"accept-encoding", b"identity"),)
    if not is_framed_only(headers):
        return 501, "The Transfer-Encoding header may say chunked and nothing else.", ()
    return None


def tidied(scope: Scope, message: Any) -> Scope:
    """Return a request with one message, whose headers the SDK understands."""
    # White space around a value is not part of it (RFC 9110 5.5), but httptools leaves it behind
    # the value, and the SDK compares Mcp-Name with the body to the letter.
    headers = [(k, v.strip(b" \t")) for k, v in scope["headers"] if k not in JUDGED]
    # What these say has been judged here, in any spelling; the SDK knows one.
    headers.append((b"accept", b"application/json, text/event-stream"))
    headers.append((b"content-type", b"application/json"))
    return {**scope, "headers": headers, MESSAGE: message}


def version_of(scope: Scope) -> str | None:
    """Return the revision of the protocol that a request names; None if it names none."""
    values = [value.strip(b" \t") for k, value in scope["headers"] if k == b"mcp-protocol-version"]
    # Two that differ are a list (RFC 9110 5.3), and a list is not a version.
    return b", ".join(dict.fromkeys(values)).decode("latin-1") if values else None
