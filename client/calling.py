"""Calling a tool for an account, by the way in which the tool takes a login."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .arguments import value_of
from .asking import Asker
from .catalogue import Parameter, Result, Tool
from .codes import CREDENTIALS_REJECTED
from .credentials import login_of
from .failures import ToolFailure, UsageFailure
from .login import Login
from .session import Session

CREDENTIAL = frozenset({"email", "password"})
"""Parameters that a stored login fills."""
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
    if takes and not by_header(tool):
        named = email or session.asker.email
        given = {**({"email": named} if named and "email" in takes else {}), **given}
        known = _known_for(session, given, takes)
        filled = _filled(session.asker, given, takes, known)
        if "email" in filled and "password" in takes - filled.keys():
            session.asker.need_password()
        arguments = completed(session.asker, tool, filled)
        return _asked_with(session, tool, arguments, None, known, repeat)
    named = given.get("email") if takes else None
    if takes:
        given = {name: value for name, value in given.items() if name not in takes}
    needed = SESSION not in given and bool(takes or SESSION in names)
    login = login_of(session, str(named) if named else email, needed=needed)
    arguments = completed(session.asker, tool, given, optional_secrets=login is None)
    known = login if login and login == session.login_for(login.email) else None
    return _asked_with(session, tool, arguments, login, known, repeat)


def by_header(tool: Tool) -> bool:
    """Say whether a tool that takes e-mail and password takes them in the header as well.

    They go there then: servers may refuse them as arguments, which more programs note on the way.
    Older servers, and those of others, want the arguments.
    """
    return not any(item.required for item in tool.parameters if item.name in CREDENTIAL)


def shown_to(tool: Tool, login: Login) -> tuple[Mapping[str, str], Login | None]:
    """Return how a tool that checks a login is given it: the arguments, and the header."""
    if by_header(tool):
        return {}, login
    return {"email": login.email, "password": login.password}, None


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
    """Ask, and mention the stored login when the tool rejects it."""
    stored = known if known is not None and known == session.stored_login() else None
    if known is not None:
        session.output.detail(f"With the login {'kept ' if stored else ''}for {known.email}.")
    shown = login or _shown_in(arguments)
    try:
        result = session.ask(tool, arguments, login, repeat=repeat)
    except ToolFailure as failure:
        if failure.code == CREDENTIALS_REJECTED:
            session.forget(shown)
            if stored is not None and (login or arguments.get("password") == stored.password):
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
