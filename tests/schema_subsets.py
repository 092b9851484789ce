"""What consumers of tool schemas accept, as data, and a walk that finds what they do not.

The subsets are those of the documents: OpenAI's "Structured Outputs: supported schemas" with its
limits on strict mode, the Gemini API's `Schema` and `FunctionDeclaration`, and VS Code's schema
for the parameters of a language model's tool.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ANY_FORMAT = re.compile(r".*")


@dataclass(frozen=True)
class Subset:
    """The part of JSON Schema that one consumer accepts.

    Attributes:
        name: Whose it is.
        tool_name: What the name of a tool may be.
        keywords: The keywords that may be there.
        formats: The formats that may be there, by type.
        closed: Whether each object must forbid other properties and require all of its own.
    """

    name: str
    tool_name: str
    keywords: frozenset[str]
    formats: Mapping[str, re.Pattern[str]]
    closed: bool = False


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


OPENAI_STRICT = Subset(
    name="OpenAI, strict mode",
    tool_name=r"[a-zA-Z0-9_-]{1,64}",
    # Not default, minLength, maxLength, oneOf, allOf, not.
    keywords=_words(
        "type properties required additionalProperties enum const anyOf $ref $defs items "
        "description title minimum maximum exclusiveMinimum exclusiveMaximum multipleOf "
        "minItems maxItems pattern format"
    ),
    formats={
        "string": re.compile("date-time|time|date|duration|email|hostname|ipv4|ipv6|uuid"),
    },
    closed=True,
)

GEMINI = Subset(
    name="Gemini function declarations",
    tool_name=r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}",
    # Not additionalProperties, const, $ref, $defs, exclusiveMinimum, multipleOf.
    keywords=_words(
        "type format title description nullable enum items properties required minimum maximum "
        "minItems maxItems minLength maxLength minProperties maxProperties pattern anyOf "
        "propertyOrdering default example"
    ),
    formats={
        "string": re.compile("enum|date-time"),
        "integer": re.compile("int32|int64"),
        "number": re.compile("float|double"),
    },
)

VS_CODE = Subset(
    name="VS Code",
    tool_name=r"[\w-]{1,64}",
    # Draft 7, without references and without what joins and negates whole schemas.
    keywords=_words(
        "type properties required additionalProperties enum const anyOf items description title "
        "default examples minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minItems "
        "maxItems uniqueItems minLength maxLength pattern format"
    ),
    formats=dict.fromkeys(("string", "integer", "number"), ANY_FORMAT),
)


def violations(subset: Subset, name: str, schema: Mapping[str, Any]) -> list[str]:
    """Return what a consumer would refuse in a tool, each as one line.

    Args:
        subset: What it accepts.
        name: The tool's name.
        schema: The schema of its arguments, as the consumer gets it.
    """
    found = [] if re.fullmatch(subset.tool_name, name) else [f"{name}: such a name"]
    if _types(schema) != ["object"]:
        found.append(f"{name}: the whole is no object")
    return found + [f"{name}{line}" for line in _within(subset, schema, "")]


def _types(schema: Mapping[str, Any]) -> list[str]:
    said = schema.get("type", [])
    # Gemini's types are written large.
    return [one.lower() for one in ([said] if isinstance(said, str) else said)]


def _within(subset: Subset, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    types = _types(schema)
    for keyword in sorted(schema.keys() - subset.keywords):
        yield f"{path}: {keyword}"
    if not types and not schema.keys() & {"anyOf", "$ref", "enum", "const"}:
        yield f"{path}: no type"
    form = schema.get("format")
    patterns = [subset.formats[one] for one in types if one in subset.formats]
    if form is not None and not any(pattern.fullmatch(form) for pattern in patterns):
        yield f"{path}: format {form}"
    if "array" in types and "items" not in schema:
        yield f"{path}: an array of anything"
    if "object" in types:
        yield from _of_object(subset, schema, path)
    for place, inner in _below(schema):
        yield from _within(subset, inner, f"{path}{place}")


def _of_object(subset: Subset, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    properties, required = set(schema.get("properties", ())), set(schema.get("required", ()))
    if "properties" not in schema:
        yield f"{path}: an object of anything"
    if stray := required - properties:
        yield f"{path}: requires {sorted(stray)}, which it does not have"
    if subset.closed and schema.get("additionalProperties") is not False:
        yield f"{path}: an open object"
    if subset.closed and properties - required:
        yield f"{path}: optional properties"


def _below(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for keyword in ("properties", "$defs"):
        for name, inner in schema.get(keyword, {}).items():
            yield f".{name}", inner
    if "items" in schema:
        yield "[]", schema["items"]
    for number, inner in enumerate(schema.get("anyOf", ())):
        yield f"|{number}", inner
