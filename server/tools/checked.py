"""Tools whose failures have messages and codes of this server.

The SDK answers invalid arguments with pydantic's text, which quotes them: a call that
forgets its e-mail would get the password back. Here no argument is ever repeated. The SDK does
repeat values that should never be secret: a request's id, and the name of an unknown method, prompt
or resource.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

from mcp.server.mcpserver.context import Context
from mcp.server.mcpserver.tools.base import Tool
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from ..codes import Code
from ..errors import InvalidArguments, SessionError
from ..tool_failure import ToolFailure
from .arguments import arguments
from .schema import input_schema, output_schema
from .written import Written

CRASHED: dict[Code, str] = {
    Code.INTERNAL_ERROR: "{tool} failed inside this server. The fault is the server's.",
    Code.OUTCOME_UNKNOWN: (
        "{tool} failed inside this server. The fault is the server's, and whether something was "
        "changed is not known."
    ),
}

PLAIN: dict[str, str] = {
    "missing": "is missing",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "string_unicode": "must be valid Unicode text",
    "date_parsing": "must be a date such as 2026-11-22",
    "date_type": "must be a date such as 2026-11-22",
    "date_from_datetime_parsing": "must be a date such as 2026-11-22",
    "date_from_datetime_inexact": "must be a date such as 2026-11-22",
    "datetime_parsing": "must be a time such as 2026-11-22T18:30:00+01:00",
    "datetime_from_date_parsing": "must be a time such as 2026-11-22T18:30:00+01:00",
    "datetime_type": "must be a time such as 2026-11-22T18:30:00+01:00",
    "timezone_aware": "must say its zone, as in 2026-11-22T18:30:00Z",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
}
"""Pydantic's error types in our words; all others read `does not have the right form`.
See https://docs.pydantic.dev/latest/errors/validation_errors/"""

READS = ToolAnnotations(read_only_hint=True)
CHANGES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=False)
ENDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=True)
"""What a tool does to the world: it reads; or changes something outside, and would again if called
again; or ends a session of this server. The specification's defaults are left out: that it
has to do with the world outside, and of one that only reads that it destroys nothing and may be
repeated."""

logger = logging.getLogger(__name__)


def answered(failure: ToolFailure) -> CallToolResult:
    """Return the result of a call that failed."""
    return CallToolResult(
        content=[TextContent(type="text", text=failure.text)], is_error=True, _meta=failure.meta
    )


def crashed(tool: str, *, changes: bool) -> ToolFailure:
    """Say that a tool failed in an unforeseen way."""
    code = Code.OUTCOME_UNKNOWN if changes else Code.INTERNAL_ERROR
    return ToolFailure(code, CRASHED[code].format(tool=tool), details={"tool": tool})


class CheckedTool(Tool):
    """A tool that checks its arguments without echoing them and names its failures plainly."""

    @classmethod
    def made(
        cls,
        fn: Callable[..., Awaitable[BaseModel | Written[Any]]],
        title: str,
        description: str,
        *,
        hints: ToolAnnotations = READS,
        former: Mapping[str, str] = MappingProxyType({}),
        required: Sequence[str] = (),
    ) -> CheckedTool:
        """Make a tool of a function, named as the function is.

        Args:
            fn: Does the work. It may ask the portal, and most tools do.
            title: For people.
            description: For the model.
            hints: What it does to the world.
            former: Names that parameters had once, with their present ones.
            required: Parameters that the published schema requires, though the function itself
                answers a call without them; those without a default unless given.
        """
        # The SDK would look at the result's type for a schema, and knows none that is written.
        tool = cls.from_function(
            fn, title=title, description=description, annotations=hints, structured_output=False
        )
        assert isinstance(tool, CheckedTool)
        metadata = tool.fn_metadata
        metadata.arg_model = arguments(metadata.arg_model, former)
        metadata.output_model = _result_of(fn)
        metadata.output_schema = output_schema(metadata.output_model.model_json_schema())
        tool.parameters = input_schema(metadata.arg_model.model_json_schema())
        if required:
            tool.parameters["required"] = list(required)
        return tool

    async def run(
        self,
        arguments: dict[str, Any],
        context: Context[Any, Any],
        convert_result: bool = False,  # noqa: ARG002 - the result is always that of the protocol
    ) -> CallToolResult:
        """Run the tool for the SDK.

        Returns:
            The result as the client gets it, whether the tool did its work or failed.
        """
        outcome = await self.outcome(arguments, context)
        if isinstance(outcome, ToolFailure):
            return answered(outcome)
        # Our tools return models made from their own schema: the SDK would validate them again.
        return CallToolResult(
            content=[TextContent(type="text", text=outcome)], structured_content=from_json(outcome)
        )

    async def outcome(
        self, arguments: dict[str, Any], context: Context[Any, Any]
    ) -> str | ToolFailure:
        """Run the tool; return its result as JSON, or why there is none."""
        try:
            return await self._done(arguments, context)
        except SessionError as exc:
            return ToolFailure.of(exc)
        except Exception:
            logger.exception("%s failed inside", self.name)
            return crashed(self.name, changes=self.annotations == CHANGES)

    async def _done(self, arguments: dict[str, Any], context: Context[Any, Any]) -> str:
        try:
            # Not `validate_arguments`, which decodes texts that look like JSON: a password may.
            values = self.fn_metadata.arg_model.model_validate(arguments).model_dump_one_level()
        except ValidationError as exc:
            raise InvalidArguments(self._explain(exc), tool=self.name) from None
        if self.context_kwarg is not None:
            values[self.context_kwarg] = context
        result: BaseModel | Written[Any] = await self.fn(**values)
        # Without indentation: blanks fill a model's context as well.
        return result.text if isinstance(result, Written) else result.model_dump_json()

    def _explain(self, exc: ValidationError) -> str:
        known = self.parameters.get("properties", {})
        reasons: dict[str, str] = {}
        unknown = 0
        for error in exc.errors(include_url=False, include_context=True, include_input=False):
            # Only names from our own schema are repeated: a key is the caller's text as well.
            name = str(error["loc"][0]) if error["loc"] else ""
            unknown += error["type"] == "extra_forbidden"
            if name in known:
                reasons.setdefault(name, _reason(error["type"], error.get("ctx", {})))
        if not reasons and not unknown:
            return f"The arguments of {self.name} must be one JSON object."
        problems = [f"`{name}` {reason}" for name, reason in reasons.items()]
        if unknown:
            which = "an argument" if unknown == 1 else "arguments"
            problems.append(f"it was given {which} it does not have")
        text = f"Wrong arguments for {self.name}: {'; '.join(problems)}."
        if unknown:
            text += f" It takes {_named(known)}."
        needed = self.parameters.get("required", [])
        missing = [name for name in needed if reasons.get(name) == PLAIN["missing"]]
        # One that is missing has been named; what else is needed has not.
        return text + (f" It needs {_named(needed)}." if missing and missing != needed else "")


def _result_of(fn: Callable[..., Awaitable[BaseModel | Written[Any]]]) -> type[BaseModel]:
    """Return the model of a function's results."""
    result = get_type_hints(fn)["return"]
    model: type[BaseModel] = next(iter(get_args(result)), result)
    return model


def _named(names: Iterable[str]) -> str:
    *most, last = [f"`{name}`" for name in names]
    return f"{', '.join(most)} and {last}" if most else last


def _reason(kind: str, context: dict[str, Any]) -> str:
    if kind == "string_too_long":
        return f"must have at most {context['max_length']} characters"
    if kind in {"greater_than_equal", "less_than_equal"}:
        bound = context.get("ge", context.get("le"))
        return f"must be at {'least' if kind[0] == 'g' else 'most'} {bound}"
    if kind in {"greater_than", "less_than"}:
        bound = context.get("gt", context.get("lt"))
        return f"must be {'above' if kind[0] == 'g' else 'below'} {bound:.0f}"
    if kind == "literal_error":
        return f"must be one of {context['expected']}"
    if kind == "value_error":
        # Raised by a validator of this server, whose texts quote nothing.
        return str(context["error"])
    return PLAIN.get(kind, "does not have the right form")
