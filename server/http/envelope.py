"""Validates a message before its request is handled.

The SDK's own refusals of malformed messages quote the message, including passwords, or do not say
what is wrong; everything that it would refuse in that way is refused here first. A refusal names
the field and repeats nothing that was sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    PARSE_ERROR,
    PROTOCOL_VERSION_META_KEY,
    UNSUPPORTED_PROTOCOL_VERSION,
    jsonrpc_message_adapter,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from pydantic_core import to_json

SERVED = (*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS)
"""Protocol revisions that are served, oldest first."""

WHAT_IS_SERVED = f"It serves {', '.join(SERVED[:-1])} and {SERVED[-1]}."

SUPPORTED = {"supported": list(MODERN_PROTOCOL_VERSIONS)}
"""For programs: what server/discover lists as well, the versions that need no initialize."""

REQUIRED_META = (PROTOCOL_VERSION_META_KEY, CLIENT_CAPABILITIES_META_KEY)
"""Fields of `params._meta` in every request that belongs to no handshake."""

# The field of params that says which one is meant, in each method that has such a field.
NAMING = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

VERSION = re.compile(r"v?[0-9]{1,4}([.-][0-9]{1,4}){1,3}")
"""What a version can look like: a date as in this protocol, or numbers with dots."""

FIELDS = frozenset(
    {
        *("params", "_meta", "progressToken", PROTOCOL_VERSION_META_KEY),
        *(CLIENT_INFO_META_KEY, CLIENT_CAPABILITIES_META_KEY),
        *("protocolVersion", "capabilities", "clientInfo", "name", "version", "title"),
        *("cursor", "uri", "arguments", "ref", "argument", "level", "notifications"),
    }
)
"""Words of the protocol that a refusal may name."""

WRONG = "has the wrong form"
KINDS = {
    "missing": "is missing",
    "string_type": "must be a string",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
}
"""What pydantic's types of errors mean."""


@dataclass(frozen=True)
class Refusal:
    """A JSON-RPC error.

    Attributes:
        code: Of JSON-RPC 2.0, or of the protocol.
        text: What is wrong, in words that repeat nothing of the message.
        data: The error's `data`, empty for none.
    """

    code: int
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)

    def status(self, message: Any, version: str | None) -> int:
        """Return the HTTP status that this is sent with.

        Args:
            message: The decoded message that is refused.
            version: The `MCP-Protocol-Version` header, None if there is none.
        """
        # Older revisions answer a well-formed request with 200, whether by a result or by an error,
        # and some of their clients give up the connection at a 400. That of 2026-07-28 wants 400.
        older = version is None or version in HANDSHAKE_PROTOCOL_VERSIONS
        answered = older and self.code == INVALID_PARAMS and "id" in message
        return 200 if answered else 400

    def answer(self, message: Any) -> bytes:
        """Return the JSON-RPC error response to a decoded message."""
        error = {"code": self.code, "message": self.text}
        if self.data:
            error["data"] = dict(self.data)
        return to_json({"jsonrpc": "2.0", "id": self._id(message), "error": error})

    def _id(self, message: Any) -> str | int | None:
        identifier = message.get("id") if isinstance(message, dict) else None
        # 1. Numbers are what clients count with.
        # 2. A string could be a misplaced password while it is unclear whether this is a request at
        #    all; of a request it must be repeated, or the client never finds its answer.
        unclear = self.code in {PARSE_ERROR, INVALID_REQUEST}
        known = type(identifier) is int or (type(identifier) is str and not unclear)
        return identifier if known else None


def problem(message: Any, version: str | None = None) -> Refusal | None:
    """Say what is wrong with a decoded message; None if nothing is.

    Only the envelope is looked at, down to the arguments of a tool call being an object.

    Args:
        message: One message, not a batch.
        version: The `MCP-Protocol-Version` header, None if there is none.
    """
    return _shape_problem(message) or version_problem(version) or _params_problem(message, version)


def version_problem(version: str | None) -> Refusal | None:
    """Say what is wrong with an `MCP-Protocol-Version` header."""
    if version is None or version in SERVED:
        return None
    return _unsupported(version, "the MCP-Protocol-Version header")


def _unsupported(version: str, where: str) -> Refusal:
    return Refusal(
        UNSUPPORTED_PROTOCOL_VERSION,
        f"This server does not know the protocol version in {where}. {WHAT_IS_SERVED}",
        # The specification has the version repeated. What does not look like one is left out.
        {**SUPPORTED, "requested": version if VERSION.fullmatch(version) else "unrecognized"},
    )


def _shape_problem(message: Any) -> Refusal | None:
    if not isinstance(message, dict):
        return Refusal(INVALID_REQUEST, "The body must be one JSON-RPC message, an object.")
    if not _is_plain_request(message):
        for name, kinds, kind in (
            ("method", str, "a string"),
            ("params", dict | None, "an object"),
        ):
            if name in message and not isinstance(message[name], kinds):
                return Refusal(INVALID_REQUEST, f"The `{name}` of a message must be {kind}.")
        if message.get("jsonrpc") != "2.0":
            return Refusal(INVALID_REQUEST, 'The `jsonrpc` of a message must be "2.0".')
        try:
            jsonrpc_message_adapter.validate_python(message, by_name=False)
        except ValidationError:
            return Refusal(
                INVALID_REQUEST, "The body is no JSON-RPC 2.0 request, notification or response."
            )
    if "method" in message and "id" in message and type(message["id"]) not in {int, str}:
        # Taken for a notification otherwise, and never answered.
        return Refusal(INVALID_REQUEST, "The `id` of a request must be a string or an integer.")
    return None


def _is_plain_request(message: dict[str, Any]) -> bool:
    """Whether a message is what nearly all are; a tenth of the time of asking pydantic."""
    return (
        message.keys() == {"jsonrpc", "id", "method", "params"}
        and message["jsonrpc"] == "2.0"
        and type(message["method"]) is str
        and type(message["params"]) is dict
    )


def _params_problem(message: dict[str, Any], version: str | None) -> Refusal | None:
    params = message.get("params") or {}
    meta = params.get("_meta")
    if meta is not None and not isinstance(meta, dict):
        return Refusal(INVALID_PARAMS, "`params._meta` must be an object.")
    refusal = _meta_version_problem(meta, version) if meta else None
    refusal = refusal or _naming_problem(message.get("method"), params)
    return refusal or _lacking_problem(message, meta or {}, version)


def _meta_version_problem(meta: dict[str, Any], version: str | None) -> Refusal | None:
    if PROTOCOL_VERSION_META_KEY not in meta or version in HANDSHAKE_PROTOCOL_VERSIONS:
        return None  # those revisions know no such field
    named = meta[PROTOCOL_VERSION_META_KEY]
    where = f"`{PROTOCOL_VERSION_META_KEY}` in `params._meta`"
    if not isinstance(named, str):
        return Refusal(INVALID_PARAMS, f"{where} must be a string.")
    if named in SERVED:
        return None  # the SDK compares it with the header
    if version is None:
        return _unsupported(named, where)
    # The specification has the disagreement come first.
    return Refusal(
        HEADER_MISMATCH,
        f"The MCP-Protocol-Version header does not match {where}, which names a version that this "
        f"server does not know. {WHAT_IS_SERVED}",
        SUPPORTED,
    )


def _lacking_problem(
    message: dict[str, Any], meta: dict[str, Any], version: str | None
) -> Refusal | None:
    """Say which of the fields is missing that every request of 2026-07-28 must have."""
    is_request = "method" in message and "id" in message
    if (
        not is_request
        or (version or meta.get(PROTOCOL_VERSION_META_KEY)) not in MODERN_PROTOCOL_VERSIONS
    ):
        return None
    missing = [f"`{name}`" for name in REQUIRED_META if name not in meta]
    if not missing:
        return None
    return Refusal(INVALID_PARAMS, f"`params._meta` lacks {' and '.join(missing)}.")


def _naming_problem(method: Any, params: dict[str, Any]) -> Refusal | None:
    naming = NAMING.get(method)
    if naming is not None and not isinstance(params.get(naming), str):
        state = "must be a string" if naming in params else "is missing"
        return Refusal(INVALID_PARAMS, f"`params.{naming}` of a {method} {state}.")
    arguments = params.get("arguments") if method in {"tools/call", "prompts/get"} else None
    if arguments is not None and not isinstance(arguments, dict):
        return Refusal(
            INVALID_PARAMS, f"`params.arguments` of a {method} must be an object, or be left out."
        )
    return None


def described(error: ValidationError) -> str:
    """Return which fields the SDK found wrong in the params of a request, and how.

    A path is followed only as far as it consists of words of the protocol: what comes behind may be
    a key of the caller's own.
    """
    found = [
        _described(one["type"], one["loc"])
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return " ".join(dict.fromkeys(found))


def _described(kind: str, place: tuple[str | int, ...]) -> str:
    path = [str(part) for part in takewhile(FIELDS.__contains__, place)]
    shown = ".".join(path if path[:1] == ["params"] else ["params", *path])
    whole = len(path) == len(place)
    return f"`{shown}` {KINDS.get(kind, WRONG) if whole else WRONG}."
