"""What a tool's schemas show: the part of JSON Schema that every known client can take. Pure.

Pydantic generates a schema for its own validation; what is published is cut down from it. Nothing
is lost by that: the server enforces all that it validates, and a bound that the published schema
cannot carry is part of the description.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

Schema = Mapping[str, Any]

NULL = {"type": "null"}

PARAMETER_WORDS = ("type", "enum", "minimum", "maximum")
"""Keywords of a parameter beside `description`, and a `format` of DATE_TIME.

OpenAI's strict mode refuses the rest, or a request with any unknown `format`; Gemini refuses other
formats as well. https://platform.openai.com/docs/guides/structured-outputs#supported-schemas,
https://ai.google.dev/api/caching#Schema"""

DATE_TIME = "date-time"
"""The one `format` that all of them take."""

OR_NULL: dict[str, dict[str, Any]] = {
    "n": {"type": ["number", "null"], "description": "Unit in the name; null: unknown."},
    "i": {"type": ["integer", "null"], "description": "Null: unknown."},
    "b": {"type": ["boolean", "null"], "description": "Null: unknown."},
    "s": {"type": ["string", "null"], "description": "Null: unknown."},
    "o": {"type": ["object", "null"], "description": "Null: unknown."},
    "t": {"type": ["string", "null"], "format": DATE_TIME, "description": "Null: unknown."},
}
"""What may be null and is of a simple type, as a definition that the fields of a result share. The
names are short: a hundred fields repeat them."""

OBJECT_OR_NULL = {"anyOf": [{"type": "object"}, NULL]}
"""All that is published of a part that is marked as `loose`: its description names its fields."""

SAID_BY_NAME = tuple({"$ref": f"#/$defs/{name}"} for name in "nb")
"""What a number or a flag is, the name of its field says."""

MAP = 3
"""Fields of one kind that make an object a map of them."""

REFERENCE = re.compile(r'"\$ref": "#/\$defs/([^"]+)"')


def input_schema(generated: Schema) -> dict[str, Any]:
    """Return the schema of a tool's arguments to publish, from that which pydantic generated.

    An argument that may be left out is shown as what it is, not as a union with null: null is
    taken for left out all the same.

    Raises:
        ValueError: A parameter is not of one simple type.
    """
    published: dict[str, Any] = {
        "type": "object",
        "properties": {
            name: _parameter(name, schema)
            for name, schema in generated.get("properties", {}).items()
        },
    }
    if generated.get("required"):
        published["required"] = list(generated["required"])
    return published


def _parameter(name: str, schema: Schema) -> dict[str, Any]:
    kinds = [one for one in schema.get("anyOf", [schema]) if one != NULL]
    if len(kinds) != 1 or kinds[0].get("type") not in {"string", "integer", "number", "boolean"}:
        raise ValueError(f"The parameter {name} is not of one simple type.")
    kind = kinds[0]
    published = {word: kind[word] for word in PARAMETER_WORDS if word in kind}
    if kind.get("format") == DATE_TIME:
        published["format"] = DATE_TIME
    return {**published, "description": {**kind, **schema}["description"]}


def output_schema(generated: Schema) -> dict[str, Any]:
    """Return the schema of a tool's result to publish, from that which pydantic generated.

    It is short and has few parts: a client of SDK 1 checks all of it with every result. What may
    be null is one schema and no union; of a simple type it is a definition that its fields share.
    A definition that is used once stands where it is used. Every field is always there: `required`
    names those whose form stands elsewhere. Of a part marked as `loose` it only says that it is an
    object or null. Descriptions of models are for readers of the code.

    Raises:
        ValueError: A field has a form that is not published.
    """
    definitions = generated.get("$defs", {})
    uses = Counter(REFERENCE.findall(json.dumps(generated)))
    shared = {name: definitions[name] for name in definitions if uses[name] > 1}
    inlined = {name: definitions[name] for name in definitions if name not in shared}
    published = _object(generated, inlined)
    found = {name: _field(part, inlined) for name, part in shared.items()}
    return {"type": "object", **_settled({**published, "$defs": OR_NULL | found})}


def _object(schema: Schema, inlined: Schema) -> dict[str, Any]:
    """Publish an object: that it is one follows from its having fields.

    Fields of one form that differ in their names alone are a map from these: the largest
    group of them.
    """
    fields = {name: _field(part, inlined) for name, part in schema["properties"].items()}
    alike: dict[str, list[str]] = {}
    for name, field in fields.items():
        if field in SAID_BY_NAME or "description" in field:
            alike.setdefault(json.dumps(field), []).append(name)
    form, names = max(alike.items(), key=lambda one: len(one[1]), default=("", []))
    if len(names) < MAP:
        return {"properties": fields}
    others = {name: field for name, field in fields.items() if name not in names}
    published = {"required": names, "additionalProperties": json.loads(form)}
    return {"properties": others, **published} if others else published


def _field(schema: Schema, inlined: Schema) -> dict[str, Any]:
    """Publish one field: what it is, and its description beside it."""
    published = _kind(OBJECT_OR_NULL if schema.get("loose") else schema, inlined)
    if "properties" not in schema and "description" in schema:
        published["description"] = schema["description"]
    return published


def _kind(schema: Schema, inlined: Schema) -> dict[str, Any]:  # noqa: PLR0911 - one per form
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _field(inlined[name], inlined) if name in inlined else {"$ref": schema["$ref"]}
    if "enum" in schema:
        return {"enum": list(schema["enum"])}
    match schema:
        case {"anyOf": [kind, {"type": "null"}]}:
            return _or_null(_field(kind, inlined))
        case {"type": "object", "properties": _}:
            return _object(schema, inlined)
        case {"type": "object" as kind, "additionalProperties": dict(values)}:
            return {"type": kind, "additionalProperties": _field(values, inlined)}
        case {"type": "array" as kind, "items": items}:
            return {"type": kind, "items": _field(items, inlined)}
        case {"type": ("string" | "integer" | "number" | "boolean" | "object") as kind}:
            time = {"format": DATE_TIME} if schema.get("format") == DATE_TIME else {}
            return {"type": kind, **time}
    raise ValueError(f"A field of this form is not published: {sorted(schema)}.")


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    if "$ref" in schema:
        return {"anyOf": [schema, NULL]}
    if "type" not in schema:
        return schema
    either = {**schema, "type": [schema["type"], "null"]}
    name = next((name for name, kind in OR_NULL.items() if _typed(kind) == either), None)
    return {"$ref": f"#/$defs/{name}"} if name else either


def _typed(schema: Schema) -> dict[str, Any]:
    return {word: schema[word] for word in schema if word != "description"}


def _settled(schema: dict[str, Any]) -> dict[str, Any]:
    """Keep the definitions that are used more than once; put those used once where they are."""
    uses = Counter(REFERENCE.findall(json.dumps(schema)))
    definitions = schema["$defs"]
    once = {name: part for name, part in definitions.items() if uses[name] == 1}
    shared = {name: _with(once, part) for name, part in definitions.items() if uses[name] > 1}
    settled = _with(once, {word: schema[word] for word in schema if word != "$defs"})
    return {**settled, "$defs": shared} if shared else settled


def _with(definitions: Schema, part: Any) -> Any:
    match part:
        case {"$ref": str(reference)} if (name := reference.rpartition("/")[2]) in definitions:
            beside = {word: part[word] for word in part if word != "$ref"}
            return _with(definitions, {**definitions[name], **beside})
        case dict():
            return {word: _with(definitions, inner) for word, inner in part.items()}
        case list():
            return [_with(definitions, inner) for inner in part]
    return part


def said_once(schemas: Mapping[str, Schema]) -> dict[str, dict[str, Any]]:
    """Return the schemas of all results without what the list of tools says already.

    A field is described where it first stands. One that an earlier tool has in the same form is
    only named, as required, or described if it means something else. An object that an earlier tool
    spells out refers to that tool.

    Args:
        schemas: By the name of the tool, in the order in which they are listed.
    """
    said = _Said({}, {}, set())
    return {
        name: _settled({"$defs": {}, **_unsaid("", schema, name, said, schema.get("$defs", {}))})
        for name, schema in schemas.items()
    }


class _Said(NamedTuple):
    """What stood before.

    Attributes:
        objects: Which tool was the first to spell out an object.
        fields: Which was the first to have a field of this name and form.
        descriptions: What was said of a field of this name.
    """

    objects: dict[str, str]
    fields: dict[tuple[str, str], str]
    descriptions: set[tuple[str, str]]


def _unsaid(
    field: str, schema: Schema, tool: str, said: _Said, definitions: Schema
) -> dict[str, Any]:
    left = dict(schema)
    if (described := (field, schema.get("description", ""))) in said.descriptions:
        left.pop("description", None)
    said.descriptions.add(described)
    if "properties" in schema:
        spelled_out = json.dumps([schema["properties"], schema.get("required", [])])
        first = said.objects.setdefault(spelled_out, tool)
        if first != tool:
            return {"type": "object", "description": f"See {first}."}
        fields = {
            name: _unsaid_field(name, inner, tool, said, definitions)
            for name, inner in schema["properties"].items()
        }
        named = [name for name, part in fields.items() if not part]
        if "additionalProperties" not in schema:
            fields = {name: part for name, part in fields.items() if part}
        # Else what is named alone must not pass for one of the numbers that are.
        left["properties"] = fields
        if named := [*schema.get("required", []), *named]:
            left["required"] = named
    if "items" in schema:
        left["items"] = _unsaid(field, schema["items"], tool, said, definitions)
    if "$defs" in schema:
        left["$defs"] = {
            name: _unsaid(name, part, tool, said, definitions)
            for name, part in schema["$defs"].items()
        }
    return left


def _unsaid_field(
    name: str, schema: Schema, tool: str, said: _Said, definitions: Schema
) -> dict[str, Any]:
    first = said.fields.setdefault((name, json.dumps(_form(schema, definitions))), tool)
    if first != tool and "properties" in schema:
        # Its name leads to where it is spelled out: no need to refer there.
        schema = {word: schema[word] for word in schema if word != "properties"}
    left = _unsaid(name, schema, tool, said, definitions)
    if first == tool:
        return left
    return {word: left[word] for word in ("description",) if word in left}


def _form(schema: Schema, definitions: Schema) -> dict[str, Any]:
    """Return what a field is, without what is said of it.

    A list has the same form whether that of its entries is inline or one of the definitions.
    """
    name = schema.get("$ref", "").rpartition("/")[2]
    found = {**OR_NULL.get(name, {}), **schema}
    entries = schema.get("items")
    if entries is not None:
        found["items"] = definitions.get(entries.get("$ref", "").rpartition("/")[2], entries)
    return {
        word: _form(part, definitions) if word == "items" else part
        for word, part in found.items()
        if word != "description" and not (word == "$ref" and name in OR_NULL)
    }
