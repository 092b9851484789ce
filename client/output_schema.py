"""Whether a tool's result has the form that the tool promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .schema import Schema


def keeps_promise(result: Mapping[str, Any], schema: Schema | None) -> bool:
    """Check a result as the SDK does: by JSON Schema, with no schema fetched from elsewhere.

    Args:
        result: What `tools/call` answered.
        schema: The tool's `outputSchema`; None where it promises nothing.
    """
    if schema is None:
        return True
    if "structuredContent" not in result:
        return False
    from jsonschema import SchemaError  # type: ignore[import-untyped]  # noqa: PLC0415 - slow
    from jsonschema.validators import validator_for  # type: ignore[import-untyped]  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415
    from referencing.exceptions import Unresolvable  # noqa: PLC0415

    checks = validator_for(schema)
    try:
        checks.check_schema(schema)
        fits: bool = checks(schema, registry=Registry()).is_valid(result["structuredContent"])
    except (SchemaError, Unresolvable):
        return False
    return fits
