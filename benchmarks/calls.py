"""Ready-made HTTP requests: messages as clients of two protocol revisions send them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEGACY = "2025-11-25"
"""The last revision with a handshake; without sessions a call may come alone."""

MODERN = "2026-07-28"
"""The current one: each request says all about itself."""

EMAIL = "demo@example.com"
PASSWORD = "demo"

ID = 10_000_000
"""Id of every request here. wrk puts another number of as many digits in its place each time."""

FROM_CACHE = b"session_from_cache"
CACHED = b'"source":"cached"'

PATH = "/mcp"


@dataclass(frozen=True, slots=True)
class Question:
    """A request, and what a right answer to it contains.

    Args:
        request: All its bytes.
        expected: Each of these occurs in the answer.
    """

    request: bytes
    expected: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who calls."""

    email: str = EMAIL
    password: str = PASSWORD

    @property
    def basic(self) -> str:
        """The header that logs in, in place of arguments."""
        pair = base64.b64encode(f"{self.email}:{self.password}".encode()).decode()
        return f"Basic {pair}"


def accounts(count: int) -> Sequence[Account]:
    """Return accounts whose names have the same length, and so their requests."""
    return [Account(f"owner{number:05}@example.com", "benchmark") for number in range(count)]


def check_auth(
    revision: str,
    port: int,
    account: Account | None = None,
    authorization: str | None = None,
    session: str | None = None,
) -> bytes:
    """Return the bytes of one call of `check_auth`. As `call`.

    Args:
        revision: `LEGACY` or `MODERN`.
        port: Where it will be sent.
        account: Who logs in, by the arguments of the call; None if `authorization` does it.
        authorization: Header that logs in.
        session: Of the protocol, where the server has such.
    """
    if account is None and authorization is None:
        account = Account()
    pair = {} if account is None else {"email": account.email, "password": account.password}
    return call(revision, port, "check_auth", pair, authorization, session)


def call(
    revision: str,
    port: int,
    tool: str,
    arguments: Mapping[str, object],
    authorization: str | None = None,
    session: str | None = None,
) -> bytes:
    """Return the bytes of one call on a persistent connection.

    Args:
        revision: `LEGACY` or `MODERN`.
        port: Where it will be sent, for the Host header.
        tool: Its name.
        arguments: What it is called with.
        authorization: Header that logs in.
        session: As of `check_auth`.
    """
    more = {} if authorization is None else {"Authorization": authorization}
    if session is not None:
        more["Mcp-Session-Id"] = session
    params = {"name": tool, "arguments": arguments}
    return message(revision, port, "tools/call", params, tool, more)


def message(
    revision: str,
    port: int,
    method: str,
    params: Mapping[str, object],
    name: str | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    notice: bool = False,
) -> bytes:
    """Return the bytes of one message.

    Args:
        revision: `LEGACY` or `MODERN`.
        port: Where it will be sent, for the Host header.
        method: What is asked for.
        params: Without `_meta`.
        name: Of the tool, for the header of the current revision.
        headers: Further ones.
        notice: Whether it is a notification, which has no id and no answer.
    """
    sent = {
        "Host": f"127.0.0.1:{port}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": revision,
        **(headers or {}),
    }
    if revision == MODERN:
        meta = {
            "io.modelcontextprotocol/protocolVersion": revision,
            "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        params = {**params, "_meta": meta}
        sent["Mcp-Method"] = method
        if name is not None:
            sent["Mcp-Name"] = name
    identified = {"jsonrpc": "2.0"} if notice else {"jsonrpc": "2.0", "id": ID}
    whole = {**identified, "method": method, "params": params}
    body = json.dumps(whole, separators=(",", ":")).encode()
    sent["Content-Length"] = str(len(body))
    lines = [f"{key}: {value}\r\n" for key, value in sent.items()]
    return (f"POST {PATH} HTTP/1.1\r\n" + "".join(lines) + "\r\n").encode() + body
