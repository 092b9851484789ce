"""Who asks: the caller behind a tool's call, from its arguments and the HTTP request."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver.context import Context
from pydantic import BeforeValidator, Field

from ..access import Caller, credential_of
from ..errors import AccessDenied
from ..forwarded import LOGGED
from ..proof import no_connection, proved
from ..sealing import Credential
from ..sources import UNKNOWN, source_of
from .arguments import digits

Handle = Annotated[
    str | None,
    Field(
        description="From check_auth.",
        max_length=100,
    ),
]

BoxId = Annotated[
    str | None,
    BeforeValidator(digits),
    Field(
        description="From list_boxes; needed if there are several.",
        max_length=32,
    ),
]


def caller(
    context: Context[Any, Any],
    *,
    session: str | None = None,
    email: str | None = None,
    password: str | None = None,
    stand_in: bool = True,
) -> Caller:
    """Return who is calling; see `access` for what goes before what.

    Args:
        context: Of the call.
        session: A handle.
        email: E-mail of a credential.
        password: Its password.
        stand_in: Whether the login in the headers may stand in for a handle that has ended.

    Raises:
        AccessDenied: A header with credentials is malformed or sent twice, or two disagree, and
            no handle was given.
    """
    request = context.request_context.request
    client = getattr(request, "client", None)
    source = source_of(client.host if client is not None else None)
    address = UNKNOWN if request is None else request.scope.get(LOGGED, UNKNOWN)
    told = no_connection if request is None else proved(request.scope)
    credential = None
    if email is not None and password is not None:
        credential = Credential(email, password)
    elif request is not None and (session is None or stand_in):
        try:
            credential = credential_of(request.headers.items())
        except AccessDenied:
            # A handle goes before whatever the headers say, and these say nothing.
            if session is None:
                raise
    return Caller(credential, session, source, address, told)
