"""`/token` and `/revoke`: forms in, JSON out."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from ..errors import GrantsUnavailable
from .exchange import Exchange
from .forms import read_form
from .methods import Handler, json_answer, mode_of
from .mode import Mode

logger = logging.getLogger(__name__)

Answer = Mapping[str, str | int]

RETRY_AFTER = 5
"""Seconds after which a client may ask again when the record of grants cannot be used."""

UNAVAILABLE = (
    "The record of connected clients cannot be used just now, and nothing was ended. Keep the "
    "token and try again; the log of the server says more to its operator."
)


def exchanging(exchange: Exchange) -> Handler:
    """Return the handler of POST /token."""
    return _answering(exchange.token)


def revoking(exchange: Exchange) -> Handler:
    """Return the handler of POST /revoke."""

    async def revoke(form: Mapping[str, str], _: Mode) -> Answer:
        await exchange.revoke(form)
        return {}

    return _answering(revoke)


def _answering(done: Callable[[Mapping[str, str], Mode], Awaitable[Answer]]) -> Handler:
    async def answered(request: Request) -> Response:
        try:
            return json_answer(await done(await read_form(request), mode_of(request)))
        except GrantsUnavailable as exc:
            # Not as a refusal: a client would throw away a token that is good.
            logger.warning("%s", exc)
        body = {"error": "temporarily_unavailable", "error_description": UNAVAILABLE}
        answer = json_answer(body, status=503)
        answer.headers["Retry-After"] = str(RETRY_AFTER)
        return answer

    return answered
