"""What the list of tools weighs, which each client reads into its context."""

from __future__ import annotations

import json

from .calls import LEGACY, MODERN, message
from .effort import Effort
from .probe import answered
from .result import Budget, Line
from .system import system

LIST = Budget("at most", 24.0)

KB = 1024


def of_tools_list(_effort: Effort) -> list[Line]:
    """Weigh the answer to `tools/list`, with all tools there are."""
    lines = []
    with system(1, OIG_CONTROL="on") as made:
        port = made.served.port
        for revision in (MODERN, LEGACY):
            answer = answered(port, message(revision, port, "tools/list", {}))
            body = answer.partition(b"\r\n\r\n")[2]
            count = len(json.loads(body)["result"]["tools"])
            lines.append(
                Line(
                    f"tools/list with control on, {count} tools, {revision}",
                    unit="KB",
                    values=[len(body) / KB],
                    budget=LIST,
                    means="How much of a model's context the tools may take.",
                )
            )
    return lines
