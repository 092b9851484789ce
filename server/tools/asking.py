"""Identifies the caller of a tool by its arguments and the HTTP request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

from mcp.server.mcpserver.context import Context
from pydantic import BeforeValidator, Field

from ..auth.authorized import Authorized, authorized
from ..auth.caller import Caller, always
from ..auth.credential_headers import CREDENTIAL_HEADERS, credential_of
from ..auth.header_keys import HeaderKeys
from ..auth.sealing import Credential
from ..codes import Code
from ..errors import AccessDenied
from ..http.forwarded import LOGGED
from ..http.signals import kept, no_connection, proved
from ..sources import UNKNOWN, source_of
from .arguments import digits

PAIR = ("x-oig-email", "x-oig-password")
"""Headers that carry a credential beside `Authorization`."""

CREDENTIAL = frozenset(name.encode() for name in CREDENTIAL_HEADERS)
"""Names of all headers that may carry one, as they stand in an ASGI scope."""

TWO_LOGINS = (
    "The call carries an access token and the header X-OIG-Email or X-OIG-Password: two logins."
)

TYPED = "This client is logged in already, so no e-mail and password are taken as arguments."

Handle = Annotated[str | None, Field(description="From check_auth.", max_length=100)]

BoxId = Annotated[
    str | None,
    BeforeValidator(digits),
    Field(description="From list_boxes; needed if there are several.", max_length=32),
]


def caller(
    context: Context[Any, Any],
    *,
    session: str | None = None,
    email: str | None = None,
    password: str | None = None,
    fallback: bool = True,
    changes: bool = False,
) -> Caller:
    """Return the caller; see `access` for the order of precedence.

    Args:
        context: Of the call.
        session: A handle.
        email: E-mail of a credential.
        password: Its password.
        fallback: Whether the login in the headers may replace a handle that has ended.
        changes: Whether the call is part of changing a box.

    Returns:
        The caller. A token binds the call also when a handle says whose box it is.

    Raises:
        AccessDenied: A header with credentials is malformed or sent twice, or two disagree, and
            no handle was given; or an e-mail or password comes beside a token.
    """
    request = context.request_context.request
    client = getattr(request, "client", None)
    source = source_of(client.host if client is not None else None)
    address = UNKNOWN if request is None else request.scope.get(LOGGED, UNKNOWN)
    notify = no_connection if request is None else proved(request.scope)
    bearer = None if request is None else authorized(request.scope)
    permitted = always if bearer is None else partial(bearer.check, changes=changes)
    credential = None
    if bearer is not None and (email is not None or password is not None):
        # What comes of it, a handle, could do more than the token may.
        raise AccessDenied(Code.PASSWORDS_REFUSED, TYPED)
    if email is not None and password is not None:
        credential = Credential(email, password)
    elif bearer is not None:
        by_token = _by_token(bearer, request, session, notify, fallback=fallback)
        return replace(by_token, permitted=permitted, header_keys=_header_keys(request))
    elif request is not None and (session is None or fallback):
        try:
            credential = credential_of(_said(request.headers.raw))
        except AccessDenied:
            # A handle takes precedence over the headers, which say nothing here.
            if session is None:
                raise
        keys = _header_keys(request)
        return Caller(
            *(credential, session, source, address, notify), permitted=permitted, header_keys=keys
        )
    return Caller(credential, session, source, address, notify, permitted=permitted)


def _said(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[str, str]]:
    """Return those headers, as text, that may carry a credential."""
    for name, value in headers:
        if name in CREDENTIAL:
            yield name.decode("latin-1"), value.decode("latin-1")


def _header_keys(request: Any) -> HeaderKeys | None:
    """Return the keys of the logins that came with headers over this connection."""
    of_connection = kept(request.scope)
    if of_connection is None:
        return None
    if HeaderKeys not in of_connection:
        of_connection[HeaderKeys] = HeaderKeys()
    found: HeaderKeys = of_connection[HeaderKeys]
    return found


def _by_token(
    bearer: Authorized,
    request: Any,
    session: str | None,
    notify: Callable[[], None],
    *,
    fallback: bool,
) -> Caller:
    """Return the caller with a token; the arguments are as in `caller`."""
    conflict = any(name in request.headers for name in PAIR)
    if conflict and session is None:
        raise AccessDenied(Code.CREDENTIALS_CONFLICT, TWO_LOGINS)
    if conflict or (session is not None and not fallback):
        return Caller(None, session, bearer.source, UNKNOWN, notify)
    return Caller(bearer.credential, session, bearer.source, UNKNOWN, notify, grant=bearer)
