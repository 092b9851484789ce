"""Calling a tool as somebody: the kept login, or one that is asked for, where the tool wants it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .arguments import value_of
from .asking import Asker
from .catalogue import Parameter, Result, Tool
from .codes import CREDENTIALS_REJECTED
from .failures import ToolFailure, UsageFailure
from .login import Login
from .session import Session

CREDENTIAL = frozenset({"email", "password"})
"""Parameters that a kept login fills."""
SESSION = "session"
"""A handle that assistants pass on, in place of a login. A person gives the login itself."""


def called(
    session: Session,
    tool: Tool,
    given: Mapping[str, Any],
    email: str | None = None,
    *,
    repeat: bool = True,
) -> Result:
    """Call a tool as the person whose login is known, or who is named; ask for what is missing."""
    names = {item.name for item in tool.parameters}
    takes = CREDENTIAL & names
    if takes:
        named = email or session.asker.email
        given = {**({"email": named} if named and "email" in takes else {}), **given}
        known = _known_for(session, given, takes)
        filled = _filled(session.asker, given, takes, known)
        if "email" in filled and "password" in takes - filled.keys():
            session.asker.need_password()
        arguments = completed(session.asker, tool, filled)
        return _asked_with(session, tool, arguments, None, known, repeat)
    login = login_of(session, email, needed=SESSION in names - given.keys())
    arguments = completed(session.asker, tool, given, optional_secrets=login is None)
    known = login if login and login == session.login_for(login.email) else None
    return _asked_with(session, tool, arguments, login, known, repeat)


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
    return Login(email, password)


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


def _known_for(session: Session, given: Mapping[str, Any], takes: frozenset[str]) -> Login | None:
    if takes <= given.keys():
        return None
    if "email" in given and session.asker.has_password:
        return None  # all is there
    return session.login_for(given.get("email"))


def _filled(
    asker: Asker, given: Mapping[str, Any], takes: frozenset[str], known: Login | None
) -> dict[str, Any]:
    if known is None:
        return dict(given)
    filled = {"email": known.email}
    if not asker.has_password:
        filled["password"] = known.password
    return {**{name: filled[name] for name in takes & filled.keys()}, **given}


def _asked_with(
    session: Session,
    tool: Tool,
    arguments: Mapping[str, Any],
    login: Login | None,
    known: Login | None,
    repeat: bool,
) -> Result:
    """Ask, and tell of the kept login when the tool does not like it."""
    kept = known if known is not None and known == session.kept() else None
    if known is not None:
        session.output.detail(f"With the login {'kept ' if kept else ''}for {known.email}.")
    shown = login or _shown_in(arguments)
    try:
        result = session.ask(tool, arguments, login, repeat=repeat)
    except ToolFailure as failure:
        if failure.code == CREDENTIALS_REJECTED:
            session.forget(shown)
            if kept is not None and (login or arguments.get("password") == kept.password):
                failure.message += (
                    " It was the login kept in the keyring: `oig-client login` renews it."
                )
        raise
    session.worked(shown)
    return result


def _shown_in(arguments: Mapping[str, Any]) -> Login | None:
    match arguments:
        case {"email": str(email), "password": str(password)}:
            return Login(email.strip(), password)
    return None


def completed(
    asker: Asker, tool: Tool, given: Mapping[str, Any], *, optional_secrets: bool = True
) -> dict[str, Any]:
    """Ask for the arguments that are missing.

    Args:
        asker: Asks.
        tool: The tool.
        given: The arguments that are there.
        optional_secrets: Ask for secrets that the tool can do without, too.

    Raises:
        UsageFailure: There is nobody to ask.
    """
    arguments = dict(given)
    missing = [item for item in tool.parameters if item.name not in arguments]
    absent = [item.name for item in missing if item.required and not item.secret]
    if absent and not asker.prompts:
        raise UsageFailure(
            f"{tool.name} needs {' and '.join(absent)}: give {absent[0]}=... "
            f"`oig-client describe {tool.name}` says more.",
            kind="missing_parameter",
        )
    for item in missing:
        if item.name == SESSION and not item.required:
            continue
        if item.secret and (item.required or optional_secrets):
            secret = asker.secret(item.name, _label(item), optional=not item.required)
            if secret is not None:
                arguments[item.name] = value_of(item, secret)
        elif item.required:
            arguments[item.name] = _asked(asker, item)
    return arguments


def _asked(asker: Asker, item: Parameter) -> Any:
    while True:
        try:
            return value_of(item, asker.wanted(_label(item)))
        except UsageFailure as failure:
            if failure.kind == "no_answer":
                raise
            asker.say(failure.message)


def _label(item: Parameter) -> str:
    notes = [] if item.type_name == "string" else [item.type_name]
    if item.secret:
        notes.append("not shown")
    if not item.required:
        notes.append("Enter leaves it out")
    return f"{item.name} ({', '.join(notes)})" if notes else item.name
