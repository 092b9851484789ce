"""Looking again and again until a change is settled, within a bound."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from ..failures import Failure, NotMcp, ToolFailure, Unreachable
from ..options import Options
from ..readable import one_line
from ..session import Session
from .tools import LOOK, controlled

FIRST_LOOK = 1.0
PAUSE = 5.0
"""Seconds between two looks; the server itself asks the portal less often."""
PENDING = frozenset({"pending"})
OPEN = PENDING | {"unclear"}
"""The states of a change whose outcome is not known yet."""
MOST_FAILURES = 3
"""Looks in a row that may go wrong before it is no use."""


def settled(
    session: Session,
    report: Mapping[str, Any],
    options: Options,
    while_it_is: Collection[str] = PENDING,
) -> Mapping[str, Any]:
    """Wait while a change is pending, or stands otherwise; return the last report of it.

    Raises:
        KeyboardInterrupt: The user does not want to wait any more.
    """
    end = time.monotonic() + options.wait
    pause, failures = FIRST_LOOK, 0
    with session.output.waiting(
        "Waiting for the box to show it; Ctrl-C stops looking, not the change"
    ):
        while report.get("status") in while_it_is and failures < MOST_FAILURES:
            left = end - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(pause, left))
            pause = PAUSE
            try:
                arguments = {"change_id": report.get("change_id")}
                report = controlled(session, LOOK, arguments, options)
                failures = 0
            except (ToolFailure, Unreachable, NotMcp) as failure:
                failures += _counted(failure)
                session.output.note(f"Could not look: {one_line(failure.message)}")
    return report


def _counted(failure: Failure) -> int:
    """Count only what waiting does not mend: a server that restarts is waited for."""
    return 0 if isinstance(failure, Unreachable) or getattr(failure, "passing", False) else 1
