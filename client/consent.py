"""Asking before a tool is called that may destroy something."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from .catalogue import Tool
from .console import is_terminal
from .failures import UsageFailure
from .readable import one_line
from .schema import show
from .session import Session


def consent(session: Session, tool: Tool, arguments: Mapping[str, Any], *, given: bool) -> None:
    """Have the call of a tool confirmed, if the server calls the tool destructive.

    Args:
        session: Whom to ask.
        tool: The tool.
        arguments: With which it is called; those that are no secret are shown.
        given: It was confirmed already, with --yes.

    Raises:
        UsageFailure: It is not confirmed; nothing was called.
    """
    if given or not tool.destructive:
        return
    if not (session.asker.prompts and is_terminal(sys.stderr)):
        raise UsageFailure(
            f"{tool.name} may overwrite or delete something, and there is no terminal to confirm "
            "that at. Nothing was called. In a script add --yes; for a plan there is `oig-client "
            "apply`, which shows it.",
            kind="not_confirmed",
        )
    for item in tool.parameters:
        if item.name in arguments and not item.secret:
            session.output.note(one_line(f"{item.name}: {show(arguments[item.name])}"))
    try:
        answer = session.asker.value(
            f"{tool.name} may overwrite or delete something. Type its name to call it",
            fresh=True,
        )
    except KeyboardInterrupt:
        session.output.note("Nothing was called.")
        raise
    except UsageFailure:  # the end of what is typed
        answer = ""
    if not answer or answer != tool.name:
        raise UsageFailure("That is not its name. Nothing was called.", kind="not_confirmed")
