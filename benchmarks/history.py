"""Cached history and notifications against cached live data: their readings are made once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from server.readings.clock import local_day

from .calls import CACHED, MODERN, Question, call
from .contest import Contestant, take_turns
from .effort import Effort
from .probe import handle_of
from .result import Budget, Line, ratios
from .system import system

LIVE = "cached live data"

THREE_TIMES = Budget("at most", 3.0)

LONG = "3600"
"""Seconds for which answers are shared, so that all calls but the first find them."""


def against_live(effort: Effort) -> list[Line]:
    """Measure one caller who asks by turns for each, by handle."""
    today = local_day(datetime.now(UTC))
    week = {"first_day": str(today - timedelta(days=7)), "last_day": str(today - timedelta(days=1))}
    tools: dict[str, tuple[str, Mapping[str, Any]]] = {
        LIVE: ("get_live_data", {}),
        "a cached week of history": ("get_history", {"series": "battery", **week}),
        "cached notifications": ("get_notifications", {}),
    }
    with system(OIG_LIVE_TTL=LONG, OIG_HISTORY_TTL=LONG) as ours:
        port = ours.served.port
        handle = handle_of(port)
        contestants = [
            Contestant(
                what,
                ours.served,
                [
                    Question(
                        call(MODERN, port, tool, {"session": handle, **arguments}),
                        (CACHED,),
                    )
                ],
                connections=1,
            )
            for what, (tool, arguments) in tools.items()
        ]
        live, *others = take_turns(contestants, effort)
    return [
        Line(
            f"{measured} of {run.who} / of {live.who}",
            values=ratios(mine, theirs),
            budget=THREE_TIMES,
            figures=run.figures() if mine is run.cpu else (),
            means="A look back over a week does not make others wait.",
        )
        for run in others
        for measured, mine, theirs in (
            ("processor time", run.cpu, live.cpu),
            ("time of a call", run.p50, live.p50),
        )
    ]
