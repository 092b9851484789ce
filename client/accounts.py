"""Logging in once for later commands, and out again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .calling import shown_to
from .codes import CREDENTIALS_REJECTED
from .commands import auth_tool, confirmed
from .credentials import login_of
from .drawing import drawing
from .exit_codes import ExitCode
from .failures import Failure, NoKeyring, ToolFailure, UsageFailure
from .login import Login
from .session import Session

LOG_OUT = "log_out"


def login(session: Session, email: str | None) -> None:
    """Check a login and store it in the keyring for later commands.

    Raises:
        NoKeyring: There is nowhere to store it; nothing was asked or sent then.
        ToolFailure: The login is wrong; it is not stored.
    """
    email = email or session.asker.email
    if email is None and not session.asker.prompts:
        raise UsageFailure(
            "There is no terminal to ask for the e-mail on: give --email, or set OIG_EMAIL."
        )
    session.vault.need()
    session.asker.need_password()
    with session.output.waiting("Asking the keyring ..."):
        before = session.vault.find()
    admitted = session.admitted
    tool = auth_tool(session, email)
    # A server that requires a login has had the client ask for it by now.
    given = session.admitted if session.admitted not in {admitted, before} else None
    if given is None:
        email = email or session.asker.wanted("email")
        password = session.asker.secret("password", "password (not shown)")
        assert password is not None, "only an optional secret may be left out"
        given = Login(email.strip(), password)
    try:
        values = confirmed(session.ask(tool, *shown_to(tool, given)))
    except ToolFailure as failure:
        if failure.code == CREDENTIALS_REJECTED:
            session.forget(given)
        raise
    # As the server writes it: without blanks around it.
    found = Login(email=str(values.get("email", given.email)), password=given.password)
    with session.output.waiting("Asking the keyring ..."):
        ring = session.vault.keep(found)
    session.remember(found)
    replaced = before.email if before and before.email != found.email else None
    result = {"email": found.email, "url": session.url, "keyring": ring, "replaced": replaced}
    session.output.result(result, drawing("views", "stored_view", result))


def logout(session: Session, email: str | None) -> int:
    """End a login at the server, and forget it here, whether the server can be asked or not.

    Args:
        session: Whom to ask.
        email: Whose login; the stored one, and those that were typed, if None.

    Returns:
        The exit code: that of the failure when the server could not be asked.

    Raises:
        NoKeyring: There is no keyring to remove anything from, and no login to end either.
    """
    login = login_of(session, email)
    removed = _removed(session, email, login)
    if email is None:
        session.forget_all()
    else:
        session.forget(login)
    code, why = ExitCode.OK, None
    if login is not None:
        try:
            why = _ended(session, login)
        except Failure as failure:
            code, why = failure.exit_code, failure.message
    ended = login is not None and why is None
    result = {"url": session.url, "removed": removed, "ended": ended, "why": why}
    session.output.result(result, lambda _framed: _summary(result))
    return code


def _summary(result: Mapping[str, Any]) -> str:
    removed, ended, why = result["removed"], result["ended"], result["why"]
    here = f"{'Removed the login' if removed else 'No login was stored'} for {result['url']}."
    if ended:
        return f"{here} The login was ended at the server."
    if why is None:
        return here
    return f"{here} The server has not ended it; it expires there by itself. {why}"


def _removed(session: Session, email: str | None, login: Login | None) -> bool:
    """Remove the stored login, unless it is of another account than is meant."""
    stored = session.stored_login()
    if email is not None and (stored is None or stored.email != email):
        return False
    try:
        with session.output.waiting("Asking the keyring ..."):
            removed = session.vault.remove()
    except NoKeyring:
        if login is None:
            raise
        return False
    session.remember(None)
    return removed


def _ended(session: Session, login: Login) -> str | None:
    """End a login at the server; return why that cannot be done there, None when it was."""
    with session.acting_as(login):
        tool = next((one for one in session.look().tools if one.name == LOG_OUT), None)
    if tool is None:
        return f"The server has no tool {LOG_OUT}."
    session.ask(tool, {}, login)
    return None
