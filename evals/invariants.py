"""What holds in every transcript, whatever was asked. Pure; each gives what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable

from .fields import Field, fields, reason_for, reasons_in
from .transcript import Exchange, Played

LOCAL_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\+0[12]:00")
"""A time in Prague, with its offset."""

ANY_TIME = re.compile(r"\b\d{4}-\d{2}-\d{2}[T ]\d{1,2}:\d{2}|\b\d{1,2}:\d{2}:\d{2}\b")
"""Anything that looks like a time of day."""

SENT_BY_OTHERS = re.compile(r"(^|\.)(portal_title|portal_text|title|text|evidence|portal|client)$")
"""Fields whose words are the portal's, or the client's own."""

CHARS = {
    "check_auth": 600,
    "list_boxes": 1_500,
    "get_live_data": 4_500,
    "get_history": 40_000,
    "get_energy": 6_000,
    "get_notifications": 40_000,
    "get_status": 2_500,
    "plan_change": 2_500,
    "apply_change": 1_200,
    "get_change": 1_200,
    "list_changes": 40_000,
}
"""Most characters of a result of each tool; of others, and of failures, `OTHER`."""

OTHER = 2_000

MEANT = {
    "export.limit_w": "null unless export is limited",
    "export.note": "null when the setting is certain",
    "detail": "null unless it was asked for",
    "undoes": "null for a change that takes none back",
    "seconds": "null until the change was seen",
    "shown_at": "null until the change was seen",
    "portal": "null while the portal has said nothing that matters",
    "boiler": "null without a boiler",
    "battery.not_charging": "null while it charges",
    "battery.hours_left": "null while the battery charges",
    "box_id": "null where an answer is about no box",
    "since": "null where no notification tells, and when all is well",
    "notification_id": "null where no notification tells",
    "evidence": "null where nothing tells",
    "told_by": "null where nothing tells",
    "bypass.automatic.why": "null where the state is known",
    "bypass.manual.why": "null where the state is known",
    "portal_text": "null where no notification tells",
    "measured_at": "null where an answer is about no box",
    "age_s": "null where an answer is about no box",
    "energy_left_out_s": "null of what is no power",
}
"""Fields that docs/reading.md allows to be null without a reason, by the end of their paths."""


def every_write_was_applied(played: Played) -> Iterable[str]:
    """No write reaches the portal without an `apply_change` that names the change and the box."""
    applied = [one for one in played.exchanges if one.call.tool == "apply_change"]
    named = [one for one in applied if one.call.arguments.get("change")]
    for write in played.writes:
        box = write["box"] or (write["sent"] or {}).get("id_device")
        if not any(str(one.call.arguments.get("box_id")) == str(box) for one in named):
            yield f"a write without an apply that names its change: {write['sent']}"
    if len(played.writes) > 2 * len(applied):
        yield f"{len(played.writes)} writes from {len(applied)} applies"


def every_time_has_an_offset(played: Played) -> Iterable[str]:
    """Every time in a result is the box's local time with its offset."""
    for exchange, one in _fields(played):
        if not isinstance(one.value, str) or SENT_BY_OTHERS.search(one.path):
            continue
        rest = LOCAL_TIME.sub("", one.value)
        if ANY_TIME.search(rest):
            yield f"{exchange.result.tool}: {one.path} is {one.value}"


def every_null_has_a_reason(played: Played) -> Iterable[str]:
    """Every null is explained in `unknown`, or one of those that mean something."""
    for exchange in played.exchanges:
        reasons = reasons_in(exchange.result.structured)
        for one in fields(exchange.result.structured):
            meant = any(one.path == end or one.path.endswith(f".{end}") for end in MEANT)
            if one.value is None and not meant and reason_for(one.path, reasons) is None:
                yield f"{exchange.result.tool}: {one.path} is null without a reason"


def every_result_is_short_enough(played: Played) -> Iterable[str]:
    """Every result is within the bound of its tool."""
    for one in played.exchanges:
        tool = one.result.tool
        most = OTHER if one.result.failure else CHARS.get(tool, OTHER)
        if len(one.text) > most:
            yield f"{tool}: {len(one.text)} characters, and {most} are allowed"


def every_result_says_the_same_twice(played: Played) -> Iterable[str]:
    """Every result is the same JSON as text and as structure: clients give a model one of them."""
    for one in played.exchanges:
        if not one.result.failure and json.loads(one.text) != one.result.structured:
            yield f"{one.result.tool}: text and structure differ"


INVARIANTS: dict[str, Callable[[Played], Iterable[str]]] = {
    "every write was applied by name": every_write_was_applied,
    "every time has an offset": every_time_has_an_offset,
    "every null has a reason": every_null_has_a_reason,
    "every result is short enough": every_result_is_short_enough,
    "every result says the same twice": every_result_says_the_same_twice,
}
"""All of them, by name."""


def _fields(played: Played) -> Iterable[tuple[Exchange, Field]]:
    for exchange in played.exchanges:
        for one in fields(exchange.result.structured):
            yield exchange, one
        if exchange.result.failure:
            yield exchange, Field("failure", exchange.result.failure)
