"""Whose login is shown: the one that is known, the one that is given, or one that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .failures import LoginWanted, UsageFailure
from .login import Login

if TYPE_CHECKING:
    from .session import Session


def login_of(session: Session, email: str | None, *, needed: bool = False) -> Login | None:
    """Return the login to show: the known one, unless another e-mail or a password is given.

    Args:
        session: Knows logins, and whom to ask.
        email: Whose.
        needed: Ask for one rather than return None.

    Raises:
        UsageFailure: There is nobody to ask.
    """
    asker = session.asker
    if email is None and (needed or asker.has_password):
        email = asker.email
    known = session.login_for(email)
    if known is not None and not asker.has_password:
        return known
    email = known.email if known else email
    if email is None:
        if not needed:
            return None
        email = asked_email(session)
    password = asker.secret("password", "password (not shown)")
    assert password is not None, "only an optional secret may be left out"
    return Login(email.strip(), password)


def asked_email(session: Session) -> str:
    """Ask whose data is wanted.

    Raises:
        UsageFailure: There is nobody to ask.
    """
    if not session.asker.prompts:
        raise UsageFailure(
            "There is no terminal to ask for the e-mail on, and no login is kept: give --email, or "
            "set OIG_EMAIL. `oig-client login` keeps a login where there is a keyring.",
            kind="no_login",
        )
    return session.asker.wanted("email")


def wanted_login(
    session: Session, wanted: LoginWanted, email: str | None, login: Login | None
) -> Login:
    """Return the login for a server that requires one.

    Args:
        session: Knows logins, and whom to ask.
        wanted: How the server said so.
        email: Whose data the command is about; None: not said.
        login: The one that goes with the call already, if there is one.

    Raises:
        LoginWanted: There is nobody to ask, or no way on which it may be sent.
    """
    if session.in_the_clear:
        # Only what somebody chose to send goes over such a way, and this one did not choose.
        raise LoginWanted(
            f"{wanted.message} A login is not sent to it, since http:// would carry it unencrypted "
            f"to {session.place}: give its https:// address in --url or OIG_MCP_URL.",
            kind="plain_http",
        )
    try:
        found = login or login_of(session, email, needed=True)
    except UsageFailure as failure:
        raise LoginWanted(f"{wanted.message} {failure.message}", kind=failure.kind) from None
    assert found is not None, "it is needed"
    return found
