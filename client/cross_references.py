"""The fields of a result, with what the list of tools says of them in an earlier tool. Pure.

A server may describe a field once: in the first tool of its list that returns it. Later tools only
name it, as required, and an object that an earlier tool spells out says `See that_tool.`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from .catalogue import Parameter, Tool
from .schema import Schema, branches, resolve

DEPTH = 2
"""Fields within fields that are described: a schema may contain itself."""

MOST_FIELDS = 2000
"""Fields of one result that are looked at: a list of tools may come from any server."""

FORM = frozenset(
    {"type", "enum", "const", "anyOf", "oneOf", "allOf", "properties", "additionalProperties"}
)
"""Keywords that say what a field is."""

SEE = re.compile(r"See ([\w.-]{1,128})\.")


def result_fields(tool: Tool, earlier: Sequence[Tool] = ()) -> list[Parameter]:
    """Return the fields of a tool's structured result, each followed by those within it.

    Args:
        tool: The tool.
        earlier: The tools before it in the server's list, in their order.
    """
    reader = _Reader()
    for one in earlier:
        reader.read(one)
    return reader.read(tool)


class _Reader:
    """Reads the results of one tool after another, and remembers what was described."""

    def __init__(self) -> None:
        self._described: dict[str, Parameter] = {}
        self._tops: dict[str, list[Parameter]] = {}

    def read(self, tool: Tool) -> list[Parameter]:
        tops = tool.outputs or self._referred(tool.output_schema or {}, "")
        found = list(islice(self._walk(tops, 0), MOST_FIELDS))
        self._tops[tool.name] = [self._whole(item) for item in tops]
        for item in found:
            if _is_spelled_out(item):
                self._described.setdefault(_last(item.name), item)
        return found

    def _walk(self, fields: Iterable[Parameter], depth: int) -> Iterator[Parameter]:
        for field in fields:
            item = self._whole(field)
            yield item
            if depth < DEPTH:
                yield from self._walk(item.inner or self._referred_in(item), depth + 1)

    def _whole(self, item: Parameter) -> Parameter:
        """Complete a field that is only named, or refers to another tool."""
        known = self._described.get(_last(item.name))
        if known is None or _is_spelled_out(item):
            return item
        own = {"description": item.description} if item.description else {}
        return replace(known, name=item.name, schema={**known.schema, **own})

    def _referred_in(self, item: Parameter) -> list[Parameter]:
        for array, target in _objects(item):
            prefix = f"{item.name}[]." if array else f"{item.name}."
            if found := self._referred(target, prefix):
                return found
        return []

    def _referred(self, schema: Schema, prefix: str) -> list[Parameter]:
        tops = self._tops.get(_see(schema) or "", [])
        return [replace(item, name=f"{prefix}{item.name}") for item in tops]


def _objects(item: Parameter) -> Iterator[tuple[bool, Schema]]:
    """Yield the objects that a field is or contains, each with whether it is in an array."""
    for branch in branches(item.schema, item.root):
        array = branch.get("type") == "array"
        yield array, resolve(branch.get("items") if array else branch, item.root)


def _is_spelled_out(item: Parameter) -> bool:
    return bool(FORM & item.schema.keys()) and not any(_see(one) for _, one in _objects(item))


def _see(schema: Schema) -> str | None:
    """Return the tool that an object refers to, None if it refers to none."""
    found = SEE.fullmatch(str(schema.get("description", "")))
    return found[1] if found and "properties" not in schema else None


def _last(name: str) -> str:
    return name.rpartition(".")[2]
