"""Cached history and notifications against cached live data: their readings are made once."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse
from typing import Any

from server.readings.clock import local_day

from .calls import EMAIL, MODERN, PASSWORD, call
from .effort import Effort
from .processes import cpu_seconds
from .result import Budget, Figure, Line, WrongAnswer, ratios
from .system import Served, system

LIVE = "cached live data"

THREE_TIMES = Budget("at most", 3.0)

LONG = "3600"
"""Seconds for which answers are shared, so that all calls but the first find them."""

SETTLE = 20
"""Calls of a turn that do not count."""


def against_live(effort: Effort) -> list[Line]:
    """Measure one caller who asks by turns for each, by handle."""
    today = local_day(datetime.now(UTC))
    week = {"first_day": str(today - timedelta(days=7)), "last_day": str(today - timedelta(days=1))}
    tools: dict[str, tuple[str, Mapping[str, Any]]] = {
        LIVE: ("get_live_data", {}),
        "a cached week of history": ("get_history", {"series": "battery", **week}),
        "cached notifications": ("get_notifications", {}),
    }
    times: dict[str, list[float]] = {what: [] for what in tools}
    efforts: dict[str, list[float]] = {what: [] for what in tools}
    with system(OIG_LIVE_TTL=LONG, OIG_HISTORY_TTL=LONG) as ours:
        caller = _Caller(ours.served)
        pair = {"email": EMAIL, "password": PASSWORD}
        handle = caller.asked("check_auth", pair)["session"]
        for _ in range(effort.pairs):
            for what, (tool, arguments) in tools.items():
                asked = {"session": handle, **arguments}
                seconds, processors = caller.turn(tool, asked, effort.requests)
                times[what].append(seconds)
                efforts[what].append(processors)
        caller.close()
    return [
        Line(
            f"{measured} of {what} / of {LIVE}",
            values=ratios(of[what], of[LIVE]),
            budget=THREE_TIMES,
            figures=[Figure(one, "us/call", [1e6 * each for each in of[one]]) for one in of],
        )
        for measured, of in (("processor time", efforts), ("time of a call", times))
        for what in tools
        if what != LIVE
    ]


class _Caller:
    """One kept connection."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._socket = socket.create_connection(("127.0.0.1", served.port))

    def turn(self, tool: str, arguments: Mapping[str, Any], count: int) -> tuple[float, float]:
        """Call a tool so many times; return seconds and processor seconds per call."""
        for _ in range(SETTLE):
            self.asked(tool, arguments)
        request = call(MODERN, self._served.port, tool, arguments)
        before, begun = cpu_seconds(self._served.pids), time.perf_counter()
        for _ in range(count):
            if b'"source":"cached"' not in self._answer(request):
                raise WrongAnswer(f"{tool} asked the portal")
        ended = time.perf_counter()
        return (ended - begun) / count, (cpu_seconds(self._served.pids) - before) / count

    def asked(self, tool: str, arguments: Mapping[str, Any]) -> Any:
        """Call a tool; return its result."""
        answer = json.loads(self._answer(call(MODERN, self._served.port, tool, arguments)))
        result = answer["result"]
        if result["isError"]:
            raise WrongAnswer(result["content"][0]["text"])
        return result["structuredContent"]

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def _answer(self, request: bytes) -> bytes:
        self._socket.sendall(request)
        response = HTTPResponse(self._socket)
        response.begin()
        return response.read()
