"""What happened in a scenario, and how it is stored to be compared with. Pure."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .fields import Field, fields
from .readers import Result
from .scenario import Call

VOLATILE = {
    "session": "handle",
    "session_id_preview": "session id",
    "plan_token": "plan",
    "change_id": "change",
    "undoes": "change",
}
"""Names of fields whose texts are different in every run, and what replaces them."""

SHOWN = 8
"""Elements of a long list of numbers or times that a transcript shows at each end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A call and its result.

    Attributes:
        call: The call, with the arguments that were sent.
        at: When, in Prague, as ISO 8601.
        result: The result, or the failure.
        text: The text of the result.
        code: The code of a failure.
        truth: What was so then at each box of the account.
    """

    call: Call
    at: str
    result: Result
    text: str
    code: str | None
    truth: Mapping[str, Mapping[str, Any]]


@dataclass(slots=True, kw_only=True)
class Played:
    """All that happened.

    Attributes:
        exchanges: In their order.
        writes: The simulator's log of writes.
        requests: How many requests reached the portal, by endpoint.
        truth: What is so at the end at each box of the account.
        stopped: Why it could not be played to its end; empty when it was.
    """

    exchanges: list[Exchange] = field(default_factory=list)
    writes: list[dict[str, Any]] = field(default_factory=list)
    requests: Mapping[str, int] = field(default_factory=dict)
    truth: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    stopped: str = ""

    @property
    def results(self) -> list[Result]:
        """The results alone."""
        return [one.result for one in self.exchanges]

    @property
    def chars(self) -> int:
        """Characters of all results together."""
        return sum(len(one.text) for one in self.exchanges)


def line(one: Field) -> str:
    """Write a field as one line."""
    return f"{one.path}: {json.dumps(one.value, ensure_ascii=False)}"


def written(played: Played) -> str:
    """Write a transcript so that two runs of the same program write the same."""
    mask = _Mask()
    lines: list[str] = []
    for one in played.exchanges:
        sent = json.dumps(dict(one.call.arguments), ensure_ascii=False)
        lines += [f"> {one.at} {one.call.tool} {sent}"]
        if one.result.failure:
            lines += [f"  failed, {one.code}: {one.result.failure}"]
        else:
            lines += [f"  {text}" for text in _shown(one.result.structured, mask)]
        lines += [""]
    for write in played.writes:
        sent = json.dumps(write["sent"], ensure_ascii=False)
        lines += [f"write {write['script']} {sent}: {write['outcome']}"]
    asked = ", ".join(f"{name} {count}" for name, count in played.requests.items() if count)
    lines += [f"requests to the portal: {asked or 'none'}"]
    if played.stopped:
        lines += [f"stopped: {played.stopped}"]
    return mask.over("\n".join(lines)) + "\n"


class _Mask:
    """Puts a name in the place of what is different in every run, the same for the same."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def note(self, one: Field) -> None:
        kind = VOLATILE.get(one.last)
        if kind is not None and isinstance(one.value, str) and one.value not in self._names:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._names[one.value] = f"<{kind} {self._counts[kind]}>"

    def over(self, text: str) -> str:
        for secret in sorted(self._names, key=len, reverse=True):
            text = text.replace(secret, self._names[secret])
        return text


def _shown(structured: object, mask: _Mask) -> Iterable[str]:
    found = list(fields(structured))
    lists: dict[str, list[object]] = {}
    for one in found:
        mask.note(one)
        if place := re.fullmatch(r"(.*)\[\d+\]", one.path):
            lists.setdefault(place[1], []).append(one.value)
    for one in found:
        place = re.fullmatch(r"(.*)\[(\d+)\]", one.path)
        if place is None or len(lists[place[1]]) <= 2 * SHOWN:
            yield line(one)
        elif place[2] == "0":
            yield _abridged(place[1], lists[place[1]])


def _abridged(path: str, values: list[object]) -> str:
    whole = json.dumps(values)
    ends = [json.dumps(some)[1:-1] for some in (values[:SHOWN], values[-SHOWN:])]
    checksum = zlib.crc32(whole.encode())
    return f"{path}: [{ends[0]} ... {ends[1]}] ({len(values)}, checksum {checksum:08x})"
