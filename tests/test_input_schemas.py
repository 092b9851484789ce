"""The schemas of arguments, held against what is known of their consumers."""

from __future__ import annotations

import builtins
import json
import keyword
import re

import jsonschema
import pytest

from server.tools.schema import input_schema

from .listed_tools import listed_tools

TOOLS = listed_tools()
PARAMETERS = [
    pytest.param(tool, name, schema, id=f"{tool}.{name}")
    for tool, one in TOOLS.items()
    for name, schema in one.parameters["properties"].items()
]
every_tool = pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
every_parameter = pytest.mark.parametrize(("tool", "name", "schema"), PARAMETERS)

JAVASCRIPT = set(
    re.findall(
        r"\w+",
        """abstract arguments await boolean break byte case catch char class const continue debugger
        default delete do double else enum eval export extends false final finally float for
        function goto if implements import in instanceof int interface let long native new null
        package private protected public return short static super switch synchronized this throw
        throws transient true try typeof var void volatile while with yield
        async from of get set undefined NaN Infinity""",
    )
)
"""Reserved words of ECMAScript, past and present, and those that mean something in some places."""

# https://platform.openai.com/docs/guides/structured-outputs#supported-schemas: what strict mode
# takes for the types of our parameters. Whatever else stands there, the request is refused.
OPENAI_STRICT = {"type", "description", "enum", "minimum", "maximum", "format"}
OPENAI_FORMATS = {
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "uuid",
}

# https://ai.google.dev/api/caching#Schema, and what the converters in between are known to pass on.
GEMINI = {"type", "description", "enum", "minimum", "maximum", "format"}
GEMINI_FORMATS = {"string": {"enum", "date-time"}, "integer": {"int32", "int64"}, "boolean": set()}


@every_tool
def test_the_schema_of_arguments_is_a_plain_object(tool):
    schema = tool.parameters
    assert set(schema) <= {"type", "properties", "required"}
    assert schema["type"] == "object"
    assert schema["properties"]
    assert set(schema.get("required", [])) <= schema["properties"].keys()
    assert schema.get("required") != []


@every_parameter
def test_a_parameter_has_one_simple_type_and_a_description(tool, name, schema):
    assert schema["type"] in {"string", "integer", "number", "boolean"}
    assert schema["description"]
    assert set(schema) <= {"type", "description", "enum", "minimum", "maximum", "format"}
    assert schema.get("format", "date-time") == "date-time"


@every_parameter
def test_no_parameter_name_is_a_reserved_word(tool, name, schema):
    assert name.isidentifier()
    assert not keyword.iskeyword(name)
    assert not keyword.issoftkeyword(name)
    assert name not in JAVASCRIPT
    assert name not in dir(builtins)


@every_parameter
def test_parameters_use_only_what_openai_strict_mode_accepts(tool, name, schema):
    assert set(schema) <= OPENAI_STRICT
    assert schema.get("format", "date-time") in OPENAI_FORMATS


@every_parameter
def test_parameters_use_only_what_gemini_accepts(tool, name, schema):
    assert set(schema) <= GEMINI
    if "format" in schema:
        assert schema["format"] in GEMINI_FORMATS[schema["type"]]
    if "enum" in schema:
        assert schema["type"] == "string"
        assert all(isinstance(choice, str) and choice for choice in schema["enum"])


def parts_of(schema):
    """All schemas within a schema, as VS Code looks for them."""
    if isinstance(schema, dict):
        yield schema
        for word in ("properties", "patternProperties", "dependencies"):
            for part in schema.get(word, {}).values():
                yield from parts_of(part)
        for word in ("items", "additionalProperties", "not", "if", "then", "else", "contains"):
            yield from parts_of(schema.get(word))
        for word in ("anyOf", "allOf", "oneOf"):
            for part in schema.get(word, []):
                yield from parts_of(part)


@every_tool
def test_vs_code_accepts_every_tool_unchanged(tool):
    # The rules of microsoft/vscode-copilot-chat, in toolSchemaNormalizer.ts: the first two refuse
    # the tool, the others rewrite it, or cut it for some models.
    schema = tool.parameters
    jsonschema.Draft7Validator.check_schema(schema)
    assert all(part.get("items") for part in parts_of(schema) if part.get("type") == "array")

    assert tool.description
    assert schema["type"] == "object"
    assert isinstance(schema["properties"], dict)
    assert not {"oneOf", "anyOf", "allOf", "not", "if", "then", "else"} & schema.keys()
    for part in parts_of(schema):
        assert len(part.get("description", "")) <= 1024
        assert not isinstance(part.get("items"), list)
        assert not isinstance(part.get("type"), list)
        assert set(part.get("required", [])) <= part.get("properties", {}).keys()
    # Names of tools as the models' interfaces take them; VS Code puts the server's before it.
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", tool.name)
    assert len(tool.description) <= 1024


@every_parameter
def test_limits_enforced_beyond_the_schema_are_in_the_description(tool, name, schema):
    generated = TOOLS[tool].fn_metadata.arg_model.model_json_schema()["properties"][name]
    kinds = [one for one in generated.get("anyOf", [generated]) if one["type"] != "null"]
    text = schema["description"]
    if (default := generated.get("default")) is not None:
        assert f"{default} if left out" in text
    if kinds[0].get("format") == "date":
        assert "2026-11-22" in text or "Included" in text
    for bound in ("minimum", "maximum", "enum"):
        assert schema.get(bound) == kinds[0].get(bound)
    # What this server gave out is given back as it is: only text of people has a length to know.
    if "maxLength" in kinds[0] and "From " not in text and "box" not in name and name != "undo":
        assert f"at most {kinds[0]['maxLength']} characters" in text


@every_tool
def test_no_default_or_length_is_left_in_what_a_client_sees(tool):
    assert not re.search(
        r'"(title|default|minLength|maxLength|pattern|anyOf|\$ref|additionalProperties|writeOnly)"',
        json.dumps(tool.parameters),
    )


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "string"}},
        {"type": "object", "properties": {}},
        {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        {"$ref": "#/$defs/Mode"},
        {},
    ],
)
def test_a_parameter_that_some_clients_reject_is_a_programming_error(schema):
    with pytest.raises(ValueError, match="odd"):
        input_schema({"properties": {"odd": {**schema, "description": "x"}}})
