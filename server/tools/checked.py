"""Tools whose failures are told in our own words, each with a code.

The SDK answers arguments that do not fit with pydantic's text, which quotes them: a call that
forgets its e-mail would get the password back. Here no argument is ever repeated. The SDK does
repeat what is no place for a secret: a request's id, and the name of a method, prompt or resource
that it does not know.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Any, get_args

from mcp.server.mcpserver.context import Context
from mcp.server.mcpserver.tools.base import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolResult, TextContent, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Strict, ValidationError, create_model

from ..errors import InvalidArguments, SessionError
from ..tool_failure import ToolFailure
from .failure import answered, crashed

PLAIN: dict[str, str] = {
    "missing": "is missing",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "string_unicode": "must be valid Unicode text",
    "date_parsing": "must be a date such as 2026-11-22",
    "date_type": "must be a date such as 2026-11-22",
    "date_from_datetime_parsing": "must be a date such as 2026-11-22",
    "date_from_datetime_inexact": "must be a date such as 2026-11-22",
    "datetime_parsing": "must be a time such as 2026-11-22T18:30:00Z",
    "datetime_from_date_parsing": "must be a time such as 2026-11-22T18:30:00Z",
    "datetime_type": "must be a time such as 2026-11-22T18:30:00Z",
    "timezone_aware": "must say its zone, as in 2026-11-22T18:30:00Z",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
}
"""Pydantic's error types in our words; all others read `does not have the right form`.
See https://docs.pydantic.dev/latest/errors/validation_errors/"""


logger = logging.getLogger(__name__)


class Exact(ArgModelBase):
    """Arguments of which none is passed over: one that is misspelt is not one left out."""

    model_config = ConfigDict(extra="forbid")


class CheckedTool(Tool):
    """A tool that checks its arguments without echoing them and names its failures plainly."""

    @classmethod
    def made(
        cls,
        fn: Callable[..., Awaitable[BaseModel]],
        title: str,
        description: str,
        *,
        changes: bool = False,
    ) -> CheckedTool:
        """Make a tool of a function, named as the function is.

        Args:
            fn: Does the work. It may ask the portal, and most tools do.
            title: For people.
            description: For the model.
            changes: Whether it changes something outside, and would again if called again.
        """
        annotations = ToolAnnotations(
            title=title,
            read_only_hint=not changes,
            destructive_hint=changes,
            idempotent_hint=not changes,
            open_world_hint=True,
        )
        tool = cls.from_function(fn, title=title, description=description, annotations=annotations)
        assert isinstance(tool, CheckedTool)
        tool.fn_metadata.arg_model = _exact(tool.fn_metadata.arg_model)
        parameters = tool.fn_metadata.arg_model.model_json_schema(by_alias=True)
        properties = parameters.get("properties", {})
        tool.parameters = {
            **parameters,
            "properties": {name: _plain(schema) for name, schema in properties.items()},
        }
        return tool

    async def run(
        self,
        arguments: dict[str, Any],
        context: Context[Any, Any],
        convert_result: bool = False,  # noqa: ARG002 - the result is always that of the protocol
    ) -> CallToolResult:
        """Run the tool.

        Returns:
            The result as the client gets it, whether the tool did its work or failed.

        Raises:
            MCPError: The protocol itself was not kept.
        """
        try:
            return await self._done(arguments, context)
        except SessionError as exc:
            return answered(ToolFailure.of(exc))
        except MCPError:
            raise
        except Exception:
            logger.exception("%s failed inside", self.name)
            return answered(crashed(self.name, changes=self._changes))

    async def _done(self, arguments: dict[str, Any], context: Context[Any, Any]) -> CallToolResult:
        try:
            # Not `validate_arguments`, which decodes texts that look like JSON: a password may.
            values = self.fn_metadata.arg_model.model_validate(arguments).model_dump_one_level()
        except ValidationError as exc:
            raise InvalidArguments(self._explain(exc), tool=self.name) from None
        if self.context_kwarg is not None:
            values[self.context_kwarg] = context
        result: BaseModel = await self.fn(**values)
        # Our tools return models made from their own schema: the SDK would validate them again.
        # Without indentation: blanks fill a model's context as well.
        return CallToolResult(
            content=[TextContent(type="text", text=result.model_dump_json())],
            structured_content=result.model_dump(mode="json"),
        )

    @property
    def _changes(self) -> bool:
        return self.annotations is not None and self.annotations.read_only_hint is False

    def _explain(self, exc: ValidationError) -> str:
        known = self.parameters.get("properties", {})
        told: dict[str, str] = {}
        unknown = False
        for error in exc.errors(include_url=False, include_context=True, include_input=False):
            # Only names from our own schema are repeated: a key is the caller's text as well.
            name = str(error["loc"][0]) if error["loc"] else ""
            unknown = unknown or error["type"] == "extra_forbidden"
            if name in known:
                told.setdefault(name, _reason(error["type"], error.get("ctx", {})))
        if not told and not unknown:
            return f"The arguments of {self.name} must be one JSON object."
        problems = [f"`{name}` {reason}" for name, reason in told.items()]
        if unknown:
            problems.append(f"there is one it does not know; it knows {_named(known)}")
        needed = _named(self.parameters.get("required", []))
        return f"Wrong arguments for {self.name}: {'; '.join(problems)}." + (
            f" It needs {needed}." if needed else ""
        )


def _exact(model: type[ArgModelBase]) -> type[ArgModelBase]:
    """Make arguments stricter: none that is unknown, and no `true` where a number belongs."""
    strict: dict[str, Any] = {
        name: (Annotated[field.annotation, Strict()], field)
        for name, field in model.model_fields.items()
        if {int, bool} & {field.annotation, *get_args(field.annotation)}
    }
    return create_model(model.__name__, __base__=(Exact, model), **strict)


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """Write what may be left out as what it is: models and clients read that better than a union.

    Null is still taken for left out.
    """
    choices = schema.get("anyOf", [])
    if len(choices) != 2 or choices[1] != {"type": "null"} or schema.get("default") is not None:
        return schema
    rest = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
    return {**choices[0], **rest}


def _reason(kind: str, context: dict[str, Any]) -> str:
    if kind == "string_too_long":
        return f"must have at most {context['max_length']} characters"
    if kind in {"greater_than_equal", "less_than_equal"}:
        bound = context.get("ge", context.get("le"))
        return f"must be at {'least' if kind[0] == 'g' else 'most'} {bound}"
    if kind == "literal_error":
        return f"must be one of {context['expected']}"
    if kind == "value_error":
        # Raised by a validator of ours, whose texts quote nothing.
        return str(context["error"])
    return PLAIN.get(kind, "does not have the right form")
