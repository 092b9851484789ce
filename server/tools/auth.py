"""Tools about logging in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from mcp.server.mcpserver.context import Context
from pydantic import AfterValidator, BaseModel, Field

from ..access import MAX_PASSWORD, Access
from ..email_address import MAX_EMAIL, is_email
from ..errors import InvalidArguments
from ..liveness import Liveness
from ..readings.model import LocalTime, Warnings
from .asking import Handle, caller
from .checked import ENDS, CheckedTool

PREVIEW = 4
"""Characters of a session id shown at each end, fewer of a short one: 8 of 26 open nothing."""


def _email(value: str) -> str:
    value = value.strip()
    if not is_email(value):
        raise ValueError("must be an e-mail address such as user@example.com")
    return value


def _encodable(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair: JSON can carry it, UTF-8 cannot.
        raise ValueError("must be valid Unicode text") from None
    return value


Email = Annotated[
    str,
    Field(
        description=(
            f"E-mail of the account, at most {MAX_EMAIL} characters. Omit email and password if "
            "headers carry them."
        ),
        min_length=1,
        max_length=MAX_EMAIL,
    ),
    AfterValidator(_encodable),
    AfterValidator(_email),
]

Password = Annotated[
    str,
    Field(
        description=(
            f"Exactly as given, at most {MAX_PASSWORD} characters. Never invent, repeat or store "
            "it."
        ),
        min_length=1,
        max_length=MAX_PASSWORD,
    ),
    AfterValidator(_encodable),
]


class CheckAuth(BaseModel):
    """A confirmed login to OIG Cloud."""

    email: str = Field(description="As checked.")
    password_length: int = Field(description="Characters given.")
    cache_status: Literal["new_session_created", "session_from_cache"] = Field(
        description="Whether this call logged in."
    )
    session_id_preview: str = Field(description="Both ends of its id.")
    expires_at: LocalTime = Field(description="Its end.")
    session: str = Field(description="Pass it to other tools.")
    now: LocalTime = Field(description="Time now.")
    warnings: Warnings


DESCRIPTION = """\
Log in to OIG Cloud, the portal of the OIG / CEZ Battery Box (a home solar battery), and get the \
`session` that the other tools take. Without arguments it uses the login in the client's headers, \
as the others do: try that before you ask for a password. If the login is rejected, tell the user \
and do not guess: wrong passwords lock the account."""


class LoggedOut(BaseModel):
    """What was ended."""

    ended: Literal["handle", "login"] = Field(
        description="What was shown: a `session`, or a login with each `session` of it."
    )
    session_kept: bool | None = Field(
        description="Whether another `session` keeps the login cached. Null: it is not alive."
    )


LOG_OUT = """\
Log out of this server: end the given `session`, and the cached login behind it unless another \
`session` uses it. Without `session`, end all of the login in the client's headers; a client that \
sends them logs in again with its next call."""


def preview(session_id: str) -> str:
    """Show both ends of a session id, never more than a third of it."""
    shown = min(PREVIEW, len(session_id) // 6)
    return f"{session_id[:shown]}...{session_id[len(session_id) - shown :]}"


def check_auth_tool(
    liveness: Liveness, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> CheckedTool:
    """Make the tool `check_auth`.

    Args:
        liveness: Opens sessions.
        now: Gives the present time, with a zone.
    """

    async def check_auth(
        context: Context[Any, Any], email: Email | None = None, password: Password | None = None
    ) -> CheckAuth:
        _both(email, password, "check_auth")
        handed_out = await liveness.open(caller(context, email=email, password=password))
        granted = handed_out.granted
        credential = granted.caller.credential
        assert credential is not None
        return CheckAuth(
            email=credential.email,
            password_length=len(credential.password),
            cache_status=granted.cache_status,
            session_id_preview=preview(granted.session.id),
            expires_at=datetime.fromtimestamp(granted.session.expires_at, UTC),
            session=granted.session.handle,
            now=now(),
            warnings=() if handed_out.warning is None else (handed_out.warning,),
        )

    return CheckedTool.made(check_auth, "Log in to OIG Cloud", DESCRIPTION)


def log_out_tool(access: Access) -> CheckedTool:
    """Make the tool `log_out` over `access`."""

    async def log_out(
        context: Context[Any, Any],
        session: Handle = None,
        email: Annotated[
            Email | None,
            Field(description=f"In place of `session`, at most {MAX_EMAIL} characters."),
        ] = None,
        password: Annotated[
            Password | None, Field(description=f"With email, at most {MAX_PASSWORD} characters.")
        ] = None,
    ) -> LoggedOut:
        _both(email, password, "log_out")
        asking = caller(context, session=session, email=email, password=password, stand_in=False)
        kept = await access.log_out(asking)
        return LoggedOut(ended="login" if session is None else "handle", session_kept=kept)

    return CheckedTool.made(log_out, "Log out", LOG_OUT, hints=ENDS)


def _both(email: str | None, password: str | None, tool: str) -> None:
    if (email is None) != (password is None):
        missing = "email" if email is None else "password"
        raise InvalidArguments(
            f"`{missing}` is missing: e-mail and password go together.", tool=tool
        )
