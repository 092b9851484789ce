"""Tools about logging in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from mcp.server.mcpserver.context import Context
from pydantic import AfterValidator, BaseModel, Field

from ..access import MAX_EMAIL, MAX_PASSWORD, Access, is_email
from ..errors import InvalidArguments
from .asking import caller
from .checked import CheckedTool

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
            "E-mail address of the user's OIG Cloud account. Leave it out, together with the "
            "password, when the MCP client sends the credentials in a header."
        ),
        min_length=1,
        max_length=MAX_EMAIL,
        json_schema_extra={"format": "email"},
    ),
    AfterValidator(_encodable),
    AfterValidator(_email),
]

Password = Annotated[
    str,
    Field(
        description=(
            "Password of the OIG Cloud account, exactly as the user gave it. Never invent, "
            "shorten, repeat or store it. Leave it out when the MCP client sends it in a header."
        ),
        min_length=1,
        max_length=MAX_PASSWORD,
        json_schema_extra={"format": "password", "writeOnly": True},
    ),
    AfterValidator(_encodable),
]


class CheckAuth(BaseModel):
    """A confirmed login to OIG Cloud."""

    email: str = Field(description="The e-mail address that was checked.")
    password_length: int = Field(description="Number of characters of the password given.")
    cache_status: Literal["new_session_created", "session_from_cache"] = Field(
        description=(
            "new_session_created: this call logged in. session_from_cache: an earlier login "
            "with the same e-mail and password is still valid and was used."
        )
    )
    session_id_preview: str = Field(
        description="First and last characters of the session id, to tell sessions apart."
    )
    expires_at: datetime = Field(
        description="When this server drops the session and logs in anew (UTC)."
    )
    session: str = Field(
        description=(
            "Handle of the session: pass it to the other tools as `session` instead of e-mail and "
            "password. It is valid as long as the session. Keep it to yourself."
        )
    )


DESCRIPTION = """\
Check that an e-mail and password log in to OIG Cloud, the web portal of the OIG / CEZ Battery Box \
(a home solar battery), and open the session that the other tools use.

It works without arguments when the MCP client sends the credentials in HTTP headers \
(Authorization: Basic, or X-OIG-Email and X-OIG-Password). Try that before you ask the \
user for a password.

Call it once when the user wants to connect their battery or asks whether their login works. \
Repeating it is cheap: a valid session is taken from the cache. It changes nothing at the portal. \
When the credentials are rejected, tell the user and do not guess: several wrong passwords lock \
the account here for a while. When it says to wait, wait that long before the next call."""


def preview(session_id: str) -> str:
    """Show both ends of a session id, never more than a third of it."""
    shown = min(PREVIEW, len(session_id) // 6)
    return f"{session_id[:shown]}...{session_id[len(session_id) - shown :]}"


def check_auth_tool(access: Access) -> CheckedTool:
    """Make the tool `check_auth` over `access`."""

    async def check_auth(
        context: Context[Any, Any], email: Email | None = None, password: Password | None = None
    ) -> CheckAuth:
        if (email is None) != (password is None):
            missing = "email" if email is None else "password"
            raise InvalidArguments(f"`{missing}` is missing: e-mail and password go together.")
        granted = await access.open(caller(context, email=email, password=password))
        credential = granted.caller.credential
        assert credential is not None
        return CheckAuth(
            email=credential.email,
            password_length=len(credential.password),
            cache_status=granted.cache_status,
            session_id_preview=preview(granted.session.id),
            expires_at=datetime.fromtimestamp(granted.session.expires_at, UTC).replace(
                microsecond=0
            ),
            session=granted.session.handle,
        )

    return CheckedTool.made(check_auth, "Check login to OIG Cloud", DESCRIPTION)
