"""What comes with a request of a browser login: parameters, or JSON, of bounded length."""

from __future__ import annotations

import json
from collections import Counter
from urllib.parse import parse_qsl

from starlette.requests import Request

from ..http.request import BodyTooLong, is_json, is_plain, read_body
from .oauth_error import OAuthError

MAX_BYTES = 64 * 1024
"""Longest body: a form has a signed request and a password."""

MOST_PARAMETERS = 50
"""Parameters of one request: the specifications name a dozen."""

FORM = "application/x-www-form-urlencoded"


def parse(text: str) -> dict[str, str]:
    """Read parameters of a query or a form (RFC 6749 3.1).

    Args:
        text: As it came, with its escapes.

    Returns:
        Each that has a value: one without is as good as none.

    Raises:
        OAuthError: One is given twice, which two readers may take for two requests, or it is no
            text in UTF-8.
    """
    try:
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=MOST_PARAMETERS,
        )
    except ValueError:
        raise OAuthError(
            "invalid_request", f"The parameters are no UTF-8 text, or more than {MOST_PARAMETERS}."
        ) from None
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise OAuthError("invalid_request", "A parameter is given more than once.")
    return {name: value for name, value in pairs if value}


async def read_form(request: Request) -> dict[str, str]:
    """Read the form in the body of a request; see `parse`.

    Raises:
        OAuthError: It is none, or too long.
    """
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared != FORM:
        raise OAuthError(
            "invalid_request", f"The body must be a form: Content-Type: {FORM}.", status=415
        )
    body = await _body(request)
    try:
        # What is no ASCII is escaped in it (WHATWG URL 5.2); few programs forget that.
        text = body.decode()
    except UnicodeDecodeError:
        raise OAuthError("invalid_request", "The body is no UTF-8 text.") from None
    return parse(text)


async def read_json(request: Request) -> object:
    """Read the JSON in the body of a request.

    Raises:
        OAuthError: It is none, or too long.
    """
    if not is_json(request.scope["headers"]):
        raise OAuthError(
            "invalid_request", "The body must be JSON: Content-Type: application/json.", status=415
        )
    body = await _body(request)
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # ValueError: also what is no UTF-8
        raise OAuthError("invalid_request", "The body is not valid JSON.") from None


async def _body(request: Request) -> bytes:
    if not is_plain(request.scope["headers"]):
        raise OAuthError("invalid_request", "The body must not be compressed.", status=415)
    try:
        return await read_body(request.scope, request.receive, MAX_BYTES)
    except BodyTooLong:
        raise OAuthError(
            "invalid_request", f"The body has more than {MAX_BYTES // 1024} KiB.", status=413
        ) from None
