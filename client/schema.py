"""Reading JSON Schema as far as a command line needs it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

MAX_DEPTH = 8
"""References and unions nested deeper than this are cut: a schema may refer to itself, and each
level multiplies the work."""

SECRET_NAMES = ("password", "passwd", "passphrase")
"""Names that mean a secret even where a server forgot to mark the parameter as one."""

OBJECT = {"properties", "additionalProperties"}
"""Keywords that only an object has."""

HANDLE = "session"
"""The end of the name of a handle, which lets its owner in as a password does."""

BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
    "multipleOf": "multiple of",
}
SIZES = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
}
NOT_EMPTY = {"minLength": "not empty", "minItems": "not empty"}


def resolve(schema: object, root: Schema, depth: int = 0) -> Schema:
    """Follow `$ref` inside the document; what stands beside the reference wins."""
    if not isinstance(schema, Mapping):
        return {}  # `true` and `false` are schemas too, and say nothing about a type
    reference = schema.get("$ref")
    if not isinstance(reference, str) or depth >= MAX_DEPTH:
        return schema
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    return {**resolve(_pointed(reference, root), root, depth + 1), **beside}


def _pointed(reference: str, root: Schema) -> object:
    if not reference.startswith("#"):
        return {}  # another document: never fetched
    target: object = root
    for step in reference[1:].split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if not isinstance(target, Mapping) or key not in target:
            return {}
        target = target[key]
    return target


def branches(schema: object, root: Schema, depth: int = 0) -> Iterator[Schema]:
    """Yield the alternatives of a schema, each with at most one `type`."""
    found = resolve(schema, root)
    if depth >= MAX_DEPTH:
        return
    for word in ("anyOf", "oneOf"):
        if isinstance(found.get(word), list):
            for alternative in found[word]:
                yield from branches(alternative, root, depth + 1)
            return
    if isinstance(found.get("allOf"), list):
        merged: dict[str, Any] = {}
        for part in found["allOf"]:
            merged |= resolve(part, root)
        rest = {key: value for key, value in found.items() if key != "allOf"}
        yield from branches({**merged, **rest}, root, depth + 1)
    elif isinstance(found.get("type"), list):
        for name in found["type"]:
            yield {**found, "type": name}
    else:
        yield found


def choices(schema: Schema, root: Schema) -> list[Any]:
    """List the only values allowed, or nothing when the schema is open."""
    found: list[Any] = []
    for branch in branches(schema, root):
        if "const" in branch:
            found.append(branch["const"])
        elif isinstance(branch.get("enum"), list):
            found.extend(branch["enum"])
        elif branch.get("type") == "boolean":
            found.extend([True, False])
        elif branch.get("type") == "null":
            found.append(None)
        else:
            return []
    return found


def is_secret(name: str, schema: object, root: Schema) -> bool:
    """Tell whether a value for this parameter must not be shown, logged or remembered."""
    if name.lower().endswith(HANDLE) and any(
        branch.get("type") == "string" for branch in branches(schema, root)
    ):
        return True
    return any(
        inner.lower().endswith(SECRET_NAMES)
        or found.get("format") == "password"
        or found.get("writeOnly") is True
        for inner, found in _inside(name, schema, root, set())
    )


def _inside(
    name: str, schema: object, root: Schema, seen: set[str]
) -> Iterator[tuple[str, Schema]]:
    """Yield a schema and all within it with their names, each reference followed once."""
    if not isinstance(schema, Mapping):
        return
    yield name, schema
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference not in seen:
        seen.add(reference)
        yield from _inside("", _pointed(reference, root), root, seen)
    properties = schema.get("properties")
    parts = list(properties.items()) if isinstance(properties, Mapping) else []
    for word in ("items", "anyOf", "oneOf", "allOf"):
        found = schema.get(word)
        parts += [("", part) for part in (found if isinstance(found, list) else [found])]
    for inner, part in parts:
        yield from _inside(inner, part, root, seen)


def type_name(schema: object, root: Schema, depth: int = 0) -> str:
    """Name the expected type as a person would."""
    if depth >= MAX_DEPTH:
        return "any JSON"
    names: list[str] = []
    for branch in branches(schema, root):
        kind = branch.get("type", "object" if OBJECT & branch.keys() else None)
        if "const" in branch:
            name = show(branch["const"])
        elif isinstance(branch.get("enum"), list):
            name = "one of " + ", ".join(show(value) for value in branch["enum"])
        elif kind == "array" and "items" in branch:
            name = f"array of {type_name(branch['items'], root, depth + 1)}"
        elif kind == "boolean":
            name = "true or false"
        else:
            name = kind if isinstance(kind, str) else "any JSON"
        if name not in names:
            names.append(name)
    return " or ".join(names) or "any JSON"


def constraints(schema: object, root: Schema) -> list[str]:
    """Put bounds, patterns, formats and defaults into words."""
    words: list[str] = []
    for branch in (resolve(schema, root), *branches(schema, root)):
        found = [f"{word} {branch[key]}" for key, word in BOUNDS.items() if key in branch]
        found += [
            text.format(branch[key]) if branch[key] != 1 else NOT_EMPTY.get(key, text.format(1))
            for key, text in SIZES.items()
            if key in branch
        ]
        if "pattern" in branch:
            found.append(f"matches {branch['pattern']}")
        if "format" in branch:
            found.append(f"format {branch['format']}")
        if branch.get("default") is not None:
            found.append(f"default {show(branch['default'])}")
        words += [word for word in found if word not in words]
    return words


def show(value: object) -> str:
    """Write a value as it would be typed: text bare, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
