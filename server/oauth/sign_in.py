"""A login with e-mail and password typed into a page, and the message when it fails.

It is treated like one in a tool call: with the same budgets and locks, the same list of accounts,
the same delay of a refusal and the same line in auth.log.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request

from ..auth.access import Access
from ..auth.caller import Caller, Granted
from ..auth.credential_headers import MAX_PASSWORD
from ..auth.sealing import Credential
from ..email_address import is_email
from ..errors import (
    CredentialsRejected,
    PortalError,
    SessionError,
    TooManyAttempts,
    TooManyCalls,
    TooManyLogins,
)
from ..http.forwarded import LOGGED
from ..http.signals import proved
from ..sources import UNKNOWN, source_of
from .texts import Texts

RETRY_AFTER = 60
"""Seconds after which to try again when no better time is known."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why nobody was signed in.

    Attributes:
        text: What happened, whose fault it is and what to do.
        status: HTTP status.
        about: The field to type into again.
        retry_after: Seconds after which another try makes sense; None when waiting does not help.
    """

    text: str
    status: int
    about: Literal["email", "password"] = "password"
    retry_after: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The message for programs."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


class NotSignedIn(Exception):
    """E-mail and password open nothing, or it is unknown whether they would."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.text)
        self.problem = problem


async def sign_in(
    access: Access, request: Request, form: Mapping[str, str], texts: Texts
) -> Granted:
    """Open a session with the e-mail and password that were typed.

    Args:
        access: Opens sessions.
        request: The one with the form.
        form: Its fields `email` and `password`.
        texts: The language to say in what is wrong.

    Raises:
        NotSignedIn: Always with the same text for a password that is wrong and an account that is
            not served here.
    """
    email, password = form.get("email", "").strip(), form.get("password", "")
    if not is_email(email):
        raise NotSignedIn(Problem(texts.bad_email, 400, "email"))
    if not 0 < len(password) <= MAX_PASSWORD:
        raise NotSignedIn(Problem(texts.no_password, 400))
    client = request.client
    caller = Caller(
        Credential(email, password),
        None,
        source_of(client.host if client is not None else None),
        request.scope.get(LOGGED, UNKNOWN),
        proved(request.scope),
    )
    try:
        return await access.open(caller)
    except SessionError as exc:
        raise NotSignedIn(problem_of(exc, texts)) from None


SAID: tuple[tuple[type[SessionError], int, Callable[[Texts], str]], ...] = (
    (TooManyAttempts, 429, lambda texts: texts.locked),
    (TooManyCalls, 429, lambda texts: texts.too_many),
    (TooManyLogins, 503, lambda texts: texts.busy),
    (PortalError, 503, lambda texts: texts.portal_trouble),
    (SessionError, 503, lambda texts: texts.server_trouble),
)
"""Status and text of what waiting may mend."""


def problem_of(error: SessionError, texts: Texts) -> Problem:
    """Say what has failed to the reader of a page."""
    if isinstance(error, CredentialsRejected):
        # 403: a 401 must offer a scheme of HTTP (RFC 9110 15.5.2), and a browser would ask by it.
        text = texts.rejected_or_not_served if error.listed else texts.rejected
        return Problem(text, 403)
    seconds = max(1, math.ceil(RETRY_AFTER if error.retry_after is None else error.retry_after))
    status, text = next((code, say(texts)) for kind, code, say in SAID if isinstance(error, kind))
    return Problem(text.format(wait=_wait(seconds, texts)), status, retry_after=seconds)


def _wait(seconds: int, texts: Texts) -> str:
    if seconds < 100:
        return texts.seconds.format(count=seconds)
    if seconds < 100 * 60:
        return texts.minutes.format(count=math.ceil(seconds / 60))
    return texts.hours.format(count=math.ceil(seconds / 3600))
