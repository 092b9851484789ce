"""Tools about logging in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from mcp.server.mcpserver.context import Context
from mcp_types import ToolAnnotations
from pydantic import AfterValidator, BaseModel, Field

from ..auth.access import Access
from ..auth.credential_headers import MAX_PASSWORD
from ..codes import Code
from ..email_address import MAX_EMAIL, is_email
from ..errors import AccessDenied, InvalidArguments
from ..readings.model import LocalTime, Warnings
from ..upstream.liveness import Liveness
from .asking import Handle, caller
from .checked import ENDS, READS, CheckedTool

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
    session: str | None = Field(description="Pass it to other tools. Null: they need none.")
    now: LocalTime = Field(description="Time now.")
    warnings: Warnings


DESCRIPTION = """\
Log in to OIG Cloud, the portal of the OIG / CEZ Battery Box (a home solar battery), and get the \
`session` that the other tools take. Without arguments it uses the login that the client sends (a \
browser login, or headers), as the others do: try that before you ask for a password. If the login \
is rejected, tell the user and do not guess: wrong passwords lock the account."""

DESCRIPTION_IN_BROWSER = """\
Check the login to OIG Cloud, the portal of the OIG / CEZ Battery Box (a home solar battery). Call \
it without arguments: the user has logged in in the browser, or the client sends a header, and the \
other tools use that login as well. Never ask for a password."""


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

LOG_OUT_IN_BROWSER = """\
End the given `session`, or without it the cached login of this client: its next call logs in at \
the portal again. The client stays connected; the user ends that on the server's page \
/connections."""

IN_ARGUMENTS = frozenset({"email", "password"})
"""What a tool does not take where passwords in arguments are refused."""

REFUSED = "This server takes no e-mail and password as arguments of a tool."


class WithoutPasswords(CheckedTool):
    """A tool that has arguments for a password and takes none."""

    async def _done(self, arguments: dict[str, Any], context: Context[Any, Any]) -> str:
        # `null` and `""` stand for what is left out, here as everywhere.
        if any(arguments.get(name) not in (None, "") for name in IN_ARGUMENTS):
            raise AccessDenied(Code.PASSWORDS_REFUSED, REFUSED)
        return await super()._done(arguments, context)


def preview(session_id: str) -> str:
    """Show both ends of a session id, never more than a third of it."""
    shown = min(PREVIEW, len(session_id) // 6)
    return f"{session_id[:shown]}...{session_id[len(session_id) - shown :]}"


def check_auth_tool(
    liveness: Liveness,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    browser: bool = False,
    passwords: bool = True,
) -> CheckedTool:
    """Make the tool `check_auth`.

    Args:
        liveness: Opens sessions.
        now: Gives the present time, with a zone.
        browser: Whether owners log in in the browser.
        passwords: Whether a password may be an argument.
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
            # A handle allows everything that its account allows. A token may allow less,
            # and comes with every request, so its client needs no handle.
            session=None if granted.caller.grant is not None else granted.session.handle,
            now=now(),
            warnings=() if handed_out.warning is None else (handed_out.warning,),
        )

    described = DESCRIPTION_IN_BROWSER if browser or not passwords else DESCRIPTION
    return _made(check_auth, "Log in to OIG Cloud", described, passwords=passwords)


def log_out_tool(access: Access, *, browser: bool = False, passwords: bool = True) -> CheckedTool:
    """Make the tool `log_out` over `access`; the other arguments are those of `check_auth_tool`."""

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
        asking = caller(context, session=session, email=email, password=password, fallback=False)
        still_cached = await access.log_out(asking)
        return LoggedOut(ended="login" if session is None else "handle", session_kept=still_cached)

    described = LOG_OUT_IN_BROWSER if browser else LOG_OUT
    return _made(log_out, "Log out", described, passwords=passwords, hints=ENDS)


def _made(
    fn: Callable[..., Awaitable[BaseModel]],
    title: str,
    description: str,
    *,
    passwords: bool,
    hints: ToolAnnotations = READS,
) -> CheckedTool:
    if passwords:
        return CheckedTool.made(fn, title, description, hints=hints)
    tool = WithoutPasswords.made(fn, title, description, hints=hints)
    for name in IN_ARGUMENTS:
        # A model that sees them asks for a password.
        del tool.parameters["properties"][name]
    return tool


def _both(email: str | None, password: str | None, tool: str) -> None:
    if (email is None) != (password is None):
        missing = "email" if email is None else "password"
        raise InvalidArguments(
            f"`{missing}` is missing: e-mail and password go together.", tool=tool
        )
