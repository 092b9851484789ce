"""Calling a tool as somebody: the kept login, or one that is asked for, where the tool wants it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .arguments import value_of
from .asking import Asker
from .catalogue import Parameter, Result, Tool
from .failures import ToolFailure, UsageFailure
from .login import Login
from .session import Session

CREDENTIAL = frozenset({"email", "password"})
"""Parameters that a kept login fills."""


def called(
    session: Session,
    tool: Tool,
    given: Mapping[str, Any],
    email: str | None = None,
    *,
    repeat: bool = True,
) -> Result:
    """Call a tool as the person whose login is kept, or who is named; ask for what is missing."""
    takes = CREDENTIAL & {item.name for item in tool.parameters}
    if takes:
        named = {"email": email} if email and "email" in takes else {}
        kept = _kept_for(session, {**named, **given}, takes)
        filled = _filled(session.asker, {**named, **given}, takes, kept)
        return _asked_with(
            session, tool, completed(session.asker, tool, filled), None, kept, repeat
        )
    kept = session.kept()
    login = login_of(session, email, kept)
    arguments = completed(session.asker, tool, given, optional_secrets=login is None)
    return _asked_with(session, tool, arguments, login, kept if login == kept else None, repeat)


def login_of(session: Session, email: str | None, kept: Login | None) -> Login | None:
    """Return the login to show: the kept one, unless another e-mail or a password is given."""
    if email is None and kept is None:
        return None
    if kept is not None and email in {None, kept.email}:
        if not session.asker.has_password:
            return kept
        email = kept.email
    assert email is not None, "there is a kept one, or another is named"
    password = session.asker.secret("password", "password (not shown)")
    assert password is not None, "only an optional secret may be left out"
    return Login(email, password)


def _kept_for(session: Session, given: Mapping[str, Any], takes: frozenset[str]) -> Login | None:
    if takes <= given.keys():
        return None
    if "email" in given and session.asker.has_password:
        return None  # all is there
    kept = session.kept()
    return kept if kept and given.get("email", kept.email) == kept.email else None


def _filled(
    asker: Asker, given: Mapping[str, Any], takes: frozenset[str], kept: Login | None
) -> dict[str, Any]:
    if kept is None:
        return dict(given)
    filled = {"email": kept.email}
    if not asker.has_password:
        filled["password"] = kept.password
    return {**{name: filled[name] for name in takes & filled.keys()}, **given}


def _asked_with(
    session: Session,
    tool: Tool,
    arguments: Mapping[str, Any],
    login: Login | None,
    kept: Login | None,
    repeat: bool,
) -> Result:
    """Ask, and tell of the kept login when the tool does not like it."""
    if kept is not None:
        session.output.detail(f"With the login kept for {kept.email}.")
    try:
        return session.ask(tool, arguments, login, repeat=repeat)
    except ToolFailure as failure:
        used = kept is not None and (login or arguments.get("password") == kept.password)
        if used and "reject" in failure.message:
            failure.message += (
                " It was the login kept in the keyring: `oig-client login` renews it."
            )
        raise


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
            f"`describe {tool.name}` says more.",
            kind="missing_parameter",
        )
    for item in missing:
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
