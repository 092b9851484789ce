"""Sending a login along with a tool call, and with more only where the server wants it."""

from __future__ import annotations

import json
from collections.abc import Generator

import httpx2

from .login import Login


class Identity(httpx2.Auth):
    """Add `Authorization: Basic` to tool calls to one URL.

    Opening a conversation and listing tools need no login at most servers, so they carry none
    there.

    Args:
        url: The only URL that gets it; a redirect leads to another one.
        login: The login.
        always: The server answers nothing without one, so that every request carries it.
    """

    requires_request_body = True

    def __init__(self, url: str, login: Login, *, always: bool = False) -> None:
        self._url = httpx2.URL(url)
        self._basic = login.basic
        self._always = always

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        """Add the header where it belongs."""
        if request.url == self._url and (
            self._always or (request.method == "POST" and _calls(request.content))
        ):
            request.headers["Authorization"] = self._basic
        yield request


def _calls(content: bytes) -> bool:
    message = json.loads(content)
    return isinstance(message, dict) and message.get("method") == "tools/call"
