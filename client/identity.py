"""Sending a login along with a tool call, and with nothing else."""

from __future__ import annotations

import json
from collections.abc import Generator

import httpx2

from .login import Login


class Identity(httpx2.Auth):
    """Add `Authorization: Basic` to tool calls to one URL.

    Opening a conversation and listing tools need no login, so they carry none.

    Args:
        url: The only URL that gets it; a redirect leads to another one.
        login: The login.
    """

    requires_request_body = True

    def __init__(self, url: str, login: Login) -> None:
        self._url = httpx2.URL(url)
        self._basic = login.basic

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Add the header where it belongs."""
        if request.method == "POST" and request.url == self._url and _calls(request.content):
            request.headers["Authorization"] = self._basic
        yield request


def _calls(content: bytes) -> bool:
    message = json.loads(content)
    return isinstance(message, dict) and message.get("method") == "tools/call"
