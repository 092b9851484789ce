"""Asking the server's tools that change a box."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..battery.tools import LIVE, asked
from ..catalogue import Tool
from ..credentials import login_of
from ..failures import ToolFailure
from ..options import Options
from ..session import Session

PLAN, APPLY, LOOK, LIST = "plan_change", "apply_change", "get_change", "list_changes"

AGREED = ("box_id", "change")
"""What a plan is about, in words; a client's dialog shows it beside the token."""

LAST_LOOK = 5.0
"""Seconds after a wait in which the server has answered: it looks once more, for 3 at most."""

OFF = (
    "Control is off at this server: it reads the box and changes nothing. To switch it on, the "
    "operator sets OIG_CONTROL=on and restarts the server."
)


@contextmanager
def as_somebody(session: Session, options: Options) -> Iterator[Options]:
    """Ask once for the login that several calls need; what comes in has none left to ask for."""
    # Without a terminal the call itself says what is missing, once control is known to be on.
    login = login_of(session, options.email, needed=session.asker.prompts)
    with session.acting_as(login):
        yield replace(options, email=None)


def tool_of(session: Session, name: str, email: str | None = None) -> Tool | None:
    """Return a tool of control; None at a server that is another one than OIG Cloud's.

    Args:
        session: Whom to ask.
        name: The tool.
        email: Whose login to send to a server that requires one.

    Raises:
        ToolFailure: Control is off there.
    """
    known = session.look(email)
    found = {tool.name: tool for tool in known.tools}
    if name not in found and LIVE in found:
        raise ToolFailure(OFF, kind="control_off")
    return found.get(name)


def agreed(session: Session, plan: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what apply_change takes of a plan beside its token, as far as this server wants it.

    Servers before 2026-12 take the token alone.

    Args:
        session: Whom to ask.
        plan: The plan that the person saw and confirmed.
    """
    tool = tool_of(session, APPLY)
    taken = () if tool is None else {item.name for item in tool.parameters}
    return {name: plan.get(name) for name in AGREED if name in taken}


def waits(session: Session, seconds: float) -> bool:
    """Say whether the server waits so long with its answer to a look.

    1. No wait is asked for.
    2. Servers before 2026-12 do not wait.
    3. An answer that comes so late would come too late for the client.

    Args:
        session: Whom to ask.
        seconds: How long.
    """
    if not seconds or seconds + LAST_LOOK > session.timeout:
        return False
    tool = tool_of(session, LOOK)
    return tool is not None and any(item.name == "wait_s" for item in tool.parameters)


def controlled(
    session: Session,
    name: str,
    arguments: Mapping[str, object],
    options: Options,
    *,
    repeat: bool = True,
) -> Mapping[str, Any]:
    """Call a tool of control.

    Raises:
        ToolFailure: Control is off there, or the tool failed.
        NotMcp: It is another server.
    """
    if session.known is None or all(tool.name != name for tool in session.known.tools):
        tool_of(session, name)
    return asked(session, name, arguments, options, repeat=repeat)
