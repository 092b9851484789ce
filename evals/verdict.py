"""Judges what was played, without a model: what is wrong, in sentences. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .fields import fields, reason_for, reasons_in, warnings_in
from .readers import told_to_the_user
from .scenario import Call, Check, Known, Scenario, Truth
from .transcript import Played, line


def complaints(scenario: Scenario, played: Played) -> list[str]:
    """Say what is wrong with what was played; empty when nothing is."""
    if played.stopped:
        return [played.stopped]
    return [
        *_outcomes(played),
        *(text for check in scenario.checks for text in _misled(check, played)),
        *_words(scenario, played),
        *effects(scenario, played),
        *_budgets(scenario, played),
    ]


def _outcomes(played: Played) -> Iterable[str]:
    """See whether each call failed as it must, or did not."""
    for one in played.exchanges:
        wanted, call = one.call.fails, _named(one.call)
        if one.code == wanted and bool(one.result.failure) == (wanted is not None):
            continue
        came = (
            f"failed with {one.code}: {one.result.failure}" if one.result.failure else "succeeded"
        )
        yield f"{call} {came}" + (f", instead of failing with {wanted}" if wanted else "")


def _misled(check: Check, played: Played) -> Iterable[str]:
    """See whether a reader is right or warned.

    1. What it says is true: right.
    2. It says that it is not known: right where that is as good, and a reason is given.
    3. It says something else, and a warning, or a reason or note beside it, says so: warned.
    4. Otherwise it is misled, or left without an answer.
    """
    claim = check.reader.read(played.results)
    exchange = played.exchanges[claim.result]
    wanted = truth_of(check.truth, exchange.truth)
    if claim.value is not None and agrees(claim.value, wanted, check.truth):
        return
    structured = exchange.result.structured
    reason = reason_for(claim.path, reasons_in(structured))
    if claim.value is None and check.unknown and (reason or claim.path == "warnings"):
        return
    beside = [*([reason] if reason else []), *_notes(structured, claim.path)]
    texts = [exchange.result.failure, *warnings_in(structured), *beside]
    if check.warned is not None and any(re.search(check.warned, text) for text in texts):
        return
    yield (
        f"{check.reader.manner}: says {claim.value!r} ({claim.path or 'nothing fits'} of "
        f"{exchange.result.tool}), and it is {wanted!r}; "
        + (f"no warning fits {check.warned!r}" if check.warned else "no warning is enough here")
        + (f"; the reason given is {reason!r}" if reason else "")
    )


def _notes(structured: object, path: str) -> list[str]:
    """Give the note in the same part of a result as a field."""
    note = f"{path.rpartition('.')[0]}.note"
    return [str(one.value) for one in fields(structured) if one.path == note and one.value]


def truth_of(truth: Truth | Known, boxes: Mapping[str, Mapping[str, Any]]) -> object:
    """Return what is so.

    Args:
        truth: What it is about.
        boxes: The simulator's truth about all boxes of the account.

    Raises:
        KeyError: The simulator does not know that.
    """
    if isinstance(truth, Known):
        return truth.value
    box = boxes[truth.box]
    if isinstance(truth.path, tuple):
        return truth.times * sum(_at(box, path) for path in truth.path)
    found = _at(box, truth.path)
    if truth.times != 1.0:
        return truth.times * found
    return truth.named.get(found, found)


def agrees(value: object, wanted: object, truth: Truth | Known) -> bool:
    """Return whether a claim is true enough."""
    if isinstance(wanted, bool) or isinstance(value, bool):
        return value is wanted
    if isinstance(wanted, (int, float)) and isinstance(value, (int, float)):
        if isinstance(truth, Known):
            return value == wanted
        return abs(value - wanted) <= max(truth.absolute, truth.relative * abs(wanted))
    # Of a time only the day can be claimed.
    return str(wanted).startswith(str(value)) if _is_day(value) else value == wanted


def _is_day(value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) is not None


def _words(scenario: Scenario, played: Played) -> Iterable[str]:
    """See whether what must be said is said, and nothing that must not."""
    shown = told_to_the_user(played.results)
    lines = [line(one) for result in played.results for one in fields(result.structured)]
    for pattern in scenario.warns:
        if not any(re.search(pattern, text) for text in shown):
            yield f"no warning or failure fits {pattern!r}; there are: {shown}"
    for pattern in scenario.says:
        if not any(re.search(pattern, text) for text in lines):
            yield f"no field fits {pattern!r}"
    for pattern in scenario.never:
        for text in {*shown, *lines}:
            if re.search(pattern, text):
                yield f"said what must not be said ({pattern!r}): {text}"


def effects(scenario: Scenario, played: Played) -> Iterable[str]:
    """See what has become of box and portal."""
    if len(played.writes) != scenario.writes:
        sent = [write["sent"] for write in played.writes]
        yield f"{len(sent)} writes arrived at the portal instead of {scenario.writes}: {sent}"
    for path, wanted in scenario.leaves.items():
        found = _at(played.truth[scenario.box], path)
        if found != wanted:
            yield f"the box is left with {path} {found!r} instead of {wanted!r}"


def _budgets(scenario: Scenario, played: Played) -> Iterable[str]:
    """See what it has cost."""
    if len(played.exchanges) > scenario.most_calls:
        yield f"{len(played.exchanges)} calls, and {scenario.most_calls} are enough"
    if played.chars > scenario.chars:
        yield f"{played.chars} characters of results, and {scenario.chars} are enough"
    for endpoint, most in scenario.portal.items():
        if played.requests[endpoint] > most:
            yield f"{played.requests[endpoint]} requests to the portal's {endpoint}, not {most}"


def _named(call: Call) -> str:
    return f"{call.tool} {dict(call.arguments)}"


def _at(truth: Mapping[str, Any], path: str) -> Any:
    found: Any = truth
    for name in path.split("."):
        found = found[name]
    return found
