"""Answers to programs: JSON with `no-store`, also for refusals (RFC 6749 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse

from .oauth_error import OAuthError

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
"""RFC 6749 5.1 wants both, in answers with tokens in them."""


def json_answer(body: Mapping[str, Any], *, status: int = 200) -> JSONResponse:
    """Return an answer that no cache stores.

    Args:
        body: What is said. A member without a value is left out of it by the caller: some clients
            take `null` for an error.
        status: HTTP status.
    """
    return JSONResponse(body, status_code=status, headers=NO_STORE)


def refused(why: OAuthError) -> JSONResponse:
    """Return the answer to a request that is refused."""
    return json_answer({"error": why.problem, "error_description": why.text}, status=why.status)
