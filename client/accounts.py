"""Logging in once for later commands, and out again."""

from __future__ import annotations

from .commands import auth_tool, confirmed
from .drawing import drawing
from .failures import UsageFailure
from .login import Login
from .session import Session


def login(session: Session, email: str | None) -> None:
    """Check a login and keep it in the keyring for later commands.

    Raises:
        NoKeyring: There is nowhere to keep it; nothing was asked or sent then.
        ToolFailure: The login is wrong; it is not kept.
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
    tool = auth_tool(session)
    email = email or session.asker.wanted("email")
    password = session.asker.secret("password", "password (not shown)")
    assert password is not None, "only an optional secret may be left out"
    values = confirmed(session.ask(tool, {"email": email, "password": password}))
    # As the server writes it: without blanks around it.
    found = Login(email=str(values.get("email", email)), password=password)
    with session.output.waiting("Asking the keyring ..."):
        ring = session.vault.keep(found)
    session.remember(found)
    replaced = before.email if before and before.email != found.email else None
    result = {"email": found.email, "url": session.url, "keyring": ring, "replaced": replaced}
    session.output.result(result, drawing("views", "kept_view", result))


def logout(session: Session) -> None:
    """Remove the kept login, and forget those that were typed."""
    session.forget_all()
    with session.output.waiting("Asking the keyring ..."):
        removed = session.vault.remove()
    session.remember(None)
    result = {"url": session.url, "removed": removed}
    text = "Removed the login for {}." if removed else "No login was kept for {}."
    session.output.result(result, lambda _framed: text.format(session.url))
