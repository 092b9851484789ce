"""JSON-RPC messages: how a request is written and its answer is read. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

CONNECTION_CLOSED = -32000
"""No answer will come. The SDK's own number; a server that sends it means the same."""
PARSE_ERROR = -32700
UNSUPPORTED_PROTOCOL_VERSION = -32022
"""Revision 2026-07-28, schema.ts."""

ID = 1
"""Of every request: a connection carries one at a time."""


class Rejected(Exception):
    """The server answered with an error instead of a result.

    Args:
        code: That of JSON-RPC or MCP.
        message: The server's words.
        data: What it adds.
    """

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class Malformed(Exception):
    """What came is no answer to what was asked."""


def request(method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request."""
    return {"jsonrpc": "2.0", "id": ID, "method": method, "params": params}


def answered(body: bytes | str) -> dict[str, Any] | None:
    """Return the result that a message carries; None if it is a notification.

    Raises:
        Rejected: It carries an error.
        Malformed: It is neither, or has what cannot be printed: NaN, half a character.
    """
    try:
        message = json.loads(body, parse_constant=_refuse)
        json.dumps(message, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Malformed from None
    match message:
        case {"jsonrpc": "2.0", "id": number, "result": dict(result)} if _is(ID, number):
            return result
        case {"jsonrpc": "2.0", "error": {"code": int(code), "message": str(text)} as error}:
            # Without an id where the server refused the request before it read that far.
            number = message.get("id")
            if not isinstance(code, bool) and (number is None or _is(ID, number)):
                raise Rejected(code, text, error.get("data"))
        case {"jsonrpc": "2.0", "method": str()} if "id" not in message:
            return None
    raise Malformed


def _is(expected: int, value: object) -> bool:
    """Whether a value is that integer; Python takes `true` and 1.0 for 1."""
    return type(value) is int and value == expected


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
