"""What a server offers and answers, as plain values that need no SDK to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from .failures import UsageFailure
from .schema import Schema, branches, choices, constraints, is_secret, resolve, type_name


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument a tool takes."""

    name: str
    schema: Schema
    root: Schema
    required: bool
    secret: bool

    @property
    def type_name(self) -> str:
        """The expected type in words."""
        return type_name(self.schema, self.root)

    @property
    def description(self) -> str:
        """What the server says about it."""
        return str(resolve(self.schema, self.root).get("description", ""))

    @property
    def constraints(self) -> list[str]:
        """Bounds and defaults in words."""
        return constraints(self.schema, self.root)

    @property
    def inner(self) -> list[Parameter]:
        """The fields of an object, or of the objects in an array, with the way to them."""
        found: list[Parameter] = []
        for branch in branches(self.schema, self.root):
            is_array = branch.get("type") == "array"
            target = resolve(branch.get("items"), self.root) if is_array else branch
            prefix = f"{self.name}[]." if is_array else f"{self.name}."
            fields = _with_named(_fields(target, self.root), resolve(target, self.root), self.root)
            found += [replace(item, name=f"{prefix}{item.name}") for item in fields]
        return found

    @property
    def choices(self) -> list[Any]:
        """The only values allowed, or nothing."""
        return choices(self.schema, self.root)


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool as the server describes it."""

    name: str
    title: str
    description: str
    input_schema: Schema
    output_schema: Schema | None = None
    annotations: Mapping[str, Any] = field(default_factory=dict)

    @property
    def parameters(self) -> list[Parameter]:
        """The arguments, in the server's order."""
        return _fields(self.input_schema)

    @property
    def outputs(self) -> list[Parameter]:
        """The fields of a structured result."""
        schema = self.output_schema or {}
        return _with_named(_fields(schema), schema, schema)

    def parameter(self, name: str) -> Parameter:
        """Return the argument `name`.

        Raises:
            UsageFailure: The tool has no such argument.
        """
        found = {parameter.name: parameter for parameter in self.parameters}
        if name not in found:
            raise UsageFailure(
                f"{self.name} has no parameter {name!r}."
                f"{suggestion(name, found)} `oig-client describe {self.name}` shows them.",
                kind="unknown_parameter",
            )
        return found[name]

    @property
    def repeatable(self) -> bool:
        """True when calling twice does no more than calling once."""
        hints = self.annotations
        return hints.get("readOnlyHint") is True or hints.get("idempotentHint") is True

    @property
    def destructive(self) -> bool:
        """True when the server says that calling may overwrite or delete something."""
        hints = self.annotations
        return hints.get("destructiveHint") is True and hints.get("readOnlyHint") is not True


@dataclass(frozen=True, slots=True)
class Server:
    """Who answered."""

    name: str
    version: str
    protocol: str

    def __str__(self) -> str:
        return f"{self.name or 'the server'} {self.version}".rstrip()


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything one server offers.

    Attributes:
        server: Who offers it.
        tools: In the server's order.
        fresh_s: Seconds for which the server lets it be used again; 0 where it is not known.
    """

    server: Server
    tools: tuple[Tool, ...]
    fresh_s: float = 0.0

    def tool(self, name: str) -> Tool:
        """Return the tool `name`.

        Raises:
            UsageFailure: The server has no such tool.
        """
        found = {tool.name: tool for tool in self.tools}
        if name not in found:
            raise UsageFailure(
                f"{self.server.name or 'The server'} has no tool {name!r}."
                f"{suggestion(name, found)} `oig-client tools` lists them.",
                kind="unknown_tool",
            )
        return found[name]

    def before(self, tool: Tool) -> tuple[Tool, ...]:
        """Return the tools that the server lists before `tool`."""
        return self.tools[: self.tools.index(tool)]


@dataclass(frozen=True, slots=True)
class Result:
    """What a tool answered; blocks of `content` are MCP's, as decoded JSON."""

    content: tuple[Mapping[str, Any], ...]
    structured: Any = None
    is_error: bool = False
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All text blocks in one."""
        return "\n".join(str(block["text"]) for block in self.content if block["type"] == "text")


def _with_named(fields: list[Parameter], schema: Schema, root: Schema) -> list[Parameter]:
    """Add the fields of a result that are only named as required: those of a map, for example."""
    known = {item.name for item in fields}
    required = schema.get("required")
    named = [name for name in required if name not in known] if isinstance(required, list) else []
    rest = schema.get("additionalProperties", {})
    form = resolve(rest, root)
    return fields + [
        Parameter(name=str(name), schema=form, root=root, required=True, secret=False)
        for name in named
    ]


def suggestion(name: str, known: Mapping[str, object]) -> str:
    """Return ` Did you mean ...?` or nothing."""
    near = get_close_matches(name, known, n=2, cutoff=0.6)
    return f" Did you mean {' or '.join(near)}?" if near else ""


def _fields(schema: Schema, root: Schema | None = None) -> list[Parameter]:
    root = schema if root is None else root
    found = resolve(schema, root)
    properties = found.get("properties")
    required = found.get("required")
    if not isinstance(properties, Mapping):
        return []
    return [
        Parameter(
            name=name,
            schema=resolve(value, root),
            root=root,
            required=isinstance(required, list) and name in required,
            secret=is_secret(name, value, root),
        )
        for name, value in properties.items()
    ]
