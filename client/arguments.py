"""From `key=value` to the arguments of a tool call. Pure; never quotes a secret."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from typing import Any

from .catalogue import Parameter, Tool
from .failures import SecretOnCommandLine, UsageFailure
from .former_names import name_at
from .schema import Schema, branches, resolve

ASSIGNMENT = re.compile(r"(?P<name>[^=:\s]+)(?P<mark>:?=)(?P<text>.*)", re.DOTALL)
TRUE = frozenset({"true", "yes", "on", "1"})
FALSE = frozenset({"false", "no", "off", "0"})
SHOWN = 40
"""Characters of a wrong value repeated in a message; enough to find it in the line."""
ORDER = ("null", "integer", "number", "boolean", "array", "object")
"""Tried in this order, text last: `5` for `integer or string` is the number."""


PYTHON_TYPES: dict[object, Any] = {
    "null": type(None),
    "boolean": bool,
    "integer": int,
    "number": int | float,
    "string": str,
    "array": list,
    "object": dict,
}


class _Misfit(Exception):
    """The text is not of this alternative; never leaves this file."""


def from_words(tool: Tool, words: Iterable[str]) -> dict[str, Any]:
    """Turn `key=value` and `key:=JSON` into arguments of the types the tool wants.

    Raises:
        SecretOnCommandLine: A secret parameter was given a value here.
        UsageFailure: A word is no assignment, names no parameter, or its value does not fit.
    """
    arguments: dict[str, Any] = {}
    for position, word in enumerate(words, start=1):
        match = ASSIGNMENT.fullmatch(word)
        if match is None:
            # The word itself is not repeated: it may be a password in the wrong place.
            raise UsageFailure(
                f"Argument {position} of {tool.name} is not of the form key=value or key:=JSON."
            )
        parameter = tool.parameter(name_at(tool, match["name"]))
        if parameter.secret:
            raise SecretOnCommandLine(
                f"{parameter.name} is secret and is not taken from the command line, where other "
                "users, the process list and the history can read it. Leave it out and you will "
                "be asked; in scripts use OIG_PASSWORD or --password-stdin."
            )
        if parameter.name in arguments:
            raise UsageFailure(f"{parameter.name} is given twice.")
        arguments[parameter.name] = value_of(
            parameter, match["text"], as_json=match["mark"] == ":="
        )
    return arguments


def value_of(parameter: Parameter, text: str, *, as_json: bool = False) -> Any:
    """Turn what was typed into a value of the parameter's type.

    Raises:
        UsageFailure: It does not fit; the message names parameter and type.
    """
    try:
        text.encode()
        if as_json:
            return _checked(_decoded(text), parameter.schema, parameter.root)
        return _coerced(text, parameter.schema, parameter.root)
    except (_Misfit, UnicodeEncodeError):
        pass
    typed = "" if parameter.secret else f", not {_short(text)}"
    hint = " (JSON after :=)" if as_json else ""
    raise UsageFailure(f"{parameter.name} must be {_article(parameter.type_name)}{typed}{hint}.")


def _article(type_name: str) -> str:
    if type_name.startswith(("integer", "array", "object")):
        return f"an {type_name}"
    return f"a {type_name}" if type_name.startswith(("string", "number")) else type_name


def _short(text: str) -> str:
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 3] + "...")


def _coerced(text: str, schema: Schema, root: Schema) -> Any:
    alternatives = list(branches(schema, root))
    for kind in (*ORDER, "string"):
        for branch in alternatives:
            if branch.get("type", "string") != kind and not _fixed(branch):
                continue
            try:
                return _one(text, branch, root)
            except _Misfit:
                continue
    raise _Misfit


def _fixed(branch: Schema) -> list[Any]:
    if "const" in branch:
        return [branch["const"]]
    values = branch.get("enum")
    return values if isinstance(values, list) else []


def _one(text: str, branch: Schema, root: Schema) -> Any:
    fixed = _fixed(branch)
    for value in fixed:
        if text == (value if isinstance(value, str) else json.dumps(value)):
            return value
    if fixed:
        raise _Misfit
    match branch.get("type", "string"):
        case "array":
            return _array(text, branch, root)
        case "object":
            return _checked(_decoded(text), branch, root)
        case kind if kind in READERS:
            return READERS[kind](text)
    return text


def _null(text: str) -> None:
    if text != "null":
        raise _Misfit


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,400}", text):
        raise _Misfit
    return int(text)


def _boolean(text: str) -> bool:
    if text.lower() not in TRUE | FALSE:
        raise _Misfit
    return text.lower() in TRUE


def _number(text: str) -> float:
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        raise _Misfit
    value = float(text)
    if not math.isfinite(value):
        raise _Misfit
    return value


READERS: dict[object, Callable[[str], Any]] = {
    "null": _null,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
}


def _array(text: str, branch: Schema, root: Schema) -> list[Any]:
    if text.lstrip().startswith("["):
        value = _checked(_decoded(text), branch, root)
        assert isinstance(value, list)
        return value
    # A list of simple things is easiest typed as a,b,c.
    items = resolve(branch.get("items", {}), root)
    return [_coerced(part.strip(), items, root) for part in text.split(",")] if text else []


def _decoded(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise _Misfit from None


def _refuse(_constant: str) -> None:
    raise ValueError


def _checked(value: Any, schema: Schema, root: Schema) -> Any:
    for branch in branches(schema, root):
        fixed = _fixed(branch)
        if (value in fixed) if fixed else _is(value, branch.get("type")):
            return value
    raise _Misfit


def _is(value: Any, kind: object) -> bool:
    if isinstance(value, bool):
        return kind in {"boolean", None}  # to Python it is an integer as well
    return kind not in PYTHON_TYPES or isinstance(value, PYTHON_TYPES[kind])
