"""How an endpoint for programs refuses a request: a code of the specifications and a text."""

from __future__ import annotations

from typing import Literal

Problem = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "invalid_target",
    "unsupported_grant_type",
]
"""RFC 6749 5.2 and RFC 8707 2."""


class OAuthError(Exception):
    """A request is refused.

    Attributes:
        problem: For programs.
        text: For people. It repeats nothing of the request.
    """

    def __init__(self, problem: Problem, text: str) -> None:
        super().__init__(text)
        self.problem = problem
        self.text = text
