"""What a client pays for the schema of a result: SDK 1 checks both with every call."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import jsonschema

from server.readings.live import live_data
from server.readings.live_summary import live_summary
from server.tools.mcp_server import listed
from server.tools.reading import Live, reading_tools

from .effort import Effort
from .result import Budget, Figure, Line, ratios

THIRD = Budget("at most", 1 / 3)


def by_a_client(effort: Effort) -> list[Line]:
    """Measure `jsonschema.validate` of a live result, by our schema and by pydantic's own."""
    result = _result()
    generated = Live.model_json_schema()
    nothing: Any = None
    tools = {tool.name: tool for tool in listed(reading_tools(nothing, nothing))}
    published = tools["get_live_data"].output_schema or {}
    ours, theirs = [], []
    for _ in range(effort.pairs):
        mine, other = [], []
        for _ in range(effort.turns):
            mine.append(_seconds(result, published))
            other.append(_seconds(result, generated))
        # Whatever else ran meanwhile only makes it longer.
        ours.append(min(mine) * 1000)
        theirs.append(min(other) * 1000)
    return [
        Line(
            "time to validate a result of get_live_data by our schema / by pydantic's",
            values=ratios(ours, theirs),
            budget=THIRD,
            figures=[
                Figure("ours", "ms", ours),
                Figure("pydantic's", "ms", theirs),
            ],
        )
    ]


def _result() -> Mapping[str, Any]:
    now = datetime.now(UTC)
    reading = live_summary(live_data({"2210400017": {}}, "2210400017", now))
    origin = {"source": "live", "fetched_at": now}
    return Live.model_validate({**dict(reading), **origin}).model_dump(mode="json")


def _seconds(result: Mapping[str, Any], schema: Mapping[str, Any]) -> float:
    begin = time.process_time()
    jsonschema.validate(result, schema)
    return time.process_time() - begin
