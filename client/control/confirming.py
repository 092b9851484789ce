"""The last look before a box is changed: what, and a word that nobody types by accident."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..console import is_terminal
from ..drawing import drawing
from ..failures import ToolFailure, UsageFailure
from ..session import Session

LAST = 4
"""Digits of the box id that are typed."""


def confirm(session: Session, plan: Mapping[str, Any], named: str | None) -> None:
    """Show a plan and have it confirmed.

    Args:
        session: Where to show and to ask.
        plan: The plan, as plan_change returned it.
        named: The box that the command line lets be changed without asking.

    Raises:
        ToolFailure: It names no box, so that no word could confirm it.
        UsageFailure: It is not confirmed.
    """
    box = _box(plan)
    if named is not None and named != box:
        raise UsageFailure(
            "--yes-apply-to names another box than the plan. Nothing was changed.",
            kind="other_box",
        )
    if named is not None and session.output.as_json:
        return
    now = datetime.now(UTC)
    asks = named is None and session.asker.prompts and is_terminal(sys.stderr)
    if named is None and not asks:
        raise UsageFailure(
            "There is no terminal to confirm the change on. Nothing was changed. In a script name "
            "the box that may be changed: --yes-apply-to BOX_ID",
            kind="not_confirmed",
        )
    session.output.talk(drawing("control.views", "plan_page", plan, now=now, confirming=True))
    if asks:
        _typed(session, box)


def _box(plan: Mapping[str, Any]) -> str:
    box = plan.get("box_id")
    if not (isinstance(box, str) and box.isascii() and box.isdigit()):
        raise ToolFailure(
            "The plan does not say in digits which box it is for. Nothing was changed.",
            kind="bad_result",
        )
    return box


def _typed(session: Session, box: str) -> None:
    word = box[-LAST:]
    try:
        answer = session.asker.value(
            f"To apply it, type the last {len(word)} digits of the box's id; anything else stops",
            fresh=True,  # what was typed before the plan was seen confirms nothing
        )
    except KeyboardInterrupt:
        session.output.note("Nothing was changed.")
        raise
    except UsageFailure:  # the end of what is typed
        answer = ""
    if answer not in {word, box}:
        raise UsageFailure(
            "That is not the id of this box. Nothing was changed.", kind="not_confirmed"
        )
