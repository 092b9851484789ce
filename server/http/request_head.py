"""Checks the head of a request to /mcp, and converts it for the SDK."""

from __future__ import annotations

from starlette.types import Scope

from .media_types import accepted, is_framed_only, is_json, is_plain

JUDGED = frozenset({b"accept", b"content-type"})

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


def head_problem(scope: Scope) -> tuple[int, str, list[tuple[bytes, bytes]]] | None:
    """Say why a request is refused before its body is read: status, text, further headers."""
    headers = scope["headers"]
    if scope["method"] != "POST":
        return 405, POST_ONLY, [(b"allow", b"POST")]
    if not any(accepted(headers)):
        return 406, NO_ACCEPTED, []
    if not is_json(headers):
        return 415, "The Content-Type must be application/json.", []
    if not is_plain(headers):
        return 415, COMPRESSED, [(b"accept-encoding", b"identity")]
    if not is_framed_only(headers):
        return 501, "The Transfer-Encoding header may say chunked and nothing else.", []
    return None


def tidied(scope: Scope) -> Scope:
    """Return a request whose headers the SDK understands."""
    # White space around a value is not part of it (RFC 9110 5.5), but httptools leaves it behind
    # the value, and the SDK compares Mcp-Name with the body to the letter.
    headers = [(k, v.strip(b" \t")) for k, v in scope["headers"] if k not in JUDGED]
    # What these say has been judged here, in any spelling; the SDK knows one.
    headers.append((b"accept", b"application/json, text/event-stream"))
    headers.append((b"content-type", b"application/json"))
    return {**scope, "headers": headers}


def version_of(scope: Scope) -> str | None:
    """Return the revision of the protocol that a request names; None if it names none."""
    values = [value.strip(b" \t") for k, value in scope["headers"] if k == b"mcp-protocol-version"]
    # Two that differ are a list (RFC 9110 5.3), and a list is not a version.
    return b", ".join(dict.fromkeys(values)).decode("latin-1") if values else None
