"""Whether a tool's result has the form that the tool promises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from time import process_time
from typing import Any

from .schema import Schema

LONGEST = 2.0
"""Seconds of processor time for one result; those of this server take milliseconds."""
UNCHECKED = frozenset(
    {"pattern", "patternProperties", "uniqueItems", "unevaluatedItems", "unevaluatedProperties"}
)
"""Keywords one step of which may take for ever: a regular expression, the comparison of each item
with each other, the walk through all references beside."""

_Rule = Callable[[Any, Any, Any, Any], Iterable[Any] | None]


class _TooLong(Exception):
    """The check takes more than `LONGEST`."""


def keeps_promise(result: Mapping[str, Any], schema: Schema | None) -> bool:
    """Check a result by JSON Schema, with no schema fetched from elsewhere.

    A schema that cannot be checked is no promise that was kept: a malformed one, one that refers to
    another document or to itself without end, one that takes more than `LONGEST`.

    Args:
        result: What `tools/call` answered.
        schema: The tool's `outputSchema`; None where it promises nothing.
    """
    if schema is None:
        return True
    if "structuredContent" not in result:
        return False
    from jsonschema.validators import (  # type: ignore[import-untyped]  # noqa: PLC0415 - slow
        Draft202012Validator,
        validator_for,
    )
    from referencing import Registry  # noqa: PLC0415

    try:
        checks = _bounded(validator_for(schema, default=Draft202012Validator))
        fits: bool = checks(schema, registry=Registry()).is_valid(result["structuredContent"])
    except Exception:  # noqa: BLE001 - the library raises whatever a malformed schema leads it to
        return False
    return fits


def _bounded(dialect: Any) -> Any:
    """Return a validator that ends, though schema and value are a stranger's.

    Nothing stops a check from outside: it does not let the event loop run, and a regular expression
    not even another thread.

    1. Keywords whose single step may be endless are not checked: `UNCHECKED`, and
       `additionalProperties` where it depends on one of them. A result passes that they would
       refuse; what it is shown from is checked where it is shown.
    2. Any other step takes time in proportion to schema and value. Before each the time is looked
       at, since references multiply steps without bound.
    3. A part of a schema may name a dialect, and would be checked by that one's own validator.
    """
    from jsonschema.validators import extend  # noqa: PLC0415 - slow

    until = process_time() + LONGEST
    rules = {name: partial(_step, name, rule, until) for name, rule in dialect.VALIDATORS.items()}
    bounded = extend(dialect, rules)
    bounded.evolve = _of_the_same_dialect
    return bounded


def _step(
    name: str, rule: _Rule, until: float, validator: Any, value: Any, instance: Any, schema: Any
) -> Iterable[Any] | None:
    if process_time() > until:
        raise _TooLong
    if name in UNCHECKED or (name == "additionalProperties" and "patternProperties" in schema):
        return None
    return rule(validator, value, instance, schema)


def _of_the_same_dialect(validator: Any, **changes: Any) -> Any:
    fields = [field for field in validator.__attrs_attrs__ if field.init]
    return type(validator)(
        **{field.alias: getattr(validator, field.name) for field in fields} | changes
    )
