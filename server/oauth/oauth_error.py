"""How an endpoint for programs refuses a request: a code of the specifications and a text."""

from __future__ import annotations

from typing import Literal

Problem = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_target",
    "unsupported_grant_type",
    "invalid_redirect_uri",
    "invalid_client_metadata",
]
"""RFC 6749 5.2, RFC 8707 2 and RFC 7591 3.2.2."""


class OAuthError(Exception):
    """A request is refused.

    Attributes:
        problem: For programs.
        text: For people. It repeats nothing of the request.
        status: HTTP status. An unknown client gets 401: it registers again.
    """

    def __init__(self, problem: Problem, text: str, *, status: int | None = None) -> None:
        super().__init__(text)
        self.problem = problem
        self.text = text
        self.status = status or (401 if problem == "invalid_client" else 400)
