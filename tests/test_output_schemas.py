"""The schemas of results: short, fast to check, and correct."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Literal

import jsonschema
import pytest
from pydantic import BaseModel, Field

from drills.payloads import FULL, SLIM, full_box
from server.tools.schema import OR_NULL, output_schema, said_once

from .fleet import post, running_fleet
from .listed_tools import listed_tools
from .test_reading_results import DAYS, Portal, result

REVISIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
TOOLS = listed_tools()
every_tool = pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)

MOST_BYTES = 24_000
MOST_PARTS = 100
"""Of the 239 schemas that that of `get_live_data` once consisted of: a client of SDK 1 checks each
of them with every result, but for those of details that nobody asked for."""


@pytest.fixture(scope="module")
def fleet():
    with running_fleet(1, OIG_CONTROL="on") as fleet:
        yield fleet


def asked(fleet, method, revision):
    meta = {
        "io.modelcontextprotocol/protocolVersion": revision,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta}}
    headers = {"MCP_Protocol_Version": revision, "Mcp_Method": method}
    return post(fleet.url, body, **headers).json()["result"]


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_list_of_all_tools_stays_short(fleet, revision):
    listed = asked(fleet, "tools/list", revision)
    assert [tool["name"] for tool in listed["tools"]] == list(TOOLS)
    compact = json.dumps(listed, separators=(",", ":"), ensure_ascii=False)
    assert len(compact.encode()) <= MOST_BYTES


@pytest.mark.parametrize(
    "method", ["tools/list", "prompts/list", "resources/list", "resources/templates/list"]
)
def test_clients_that_understand_a_ttl_may_cache_lists_privately_for_an_hour(fleet, method):
    listed = asked(fleet, method, "2026-07-28")
    assert listed["ttlMs"] == 3_600_000
    assert listed["cacheScope"] == "private"


def parts_of(schema):
    """All schemas that a schema consists of."""
    yield schema
    for group in ("properties", "$defs"):
        for part in schema.get(group, {}).values():
            yield from parts_of(part)
    for word in ("items", "additionalProperties"):
        if word in schema:
            yield from parts_of(schema[word])
    for part in schema.get("anyOf", []):
        yield from parts_of(part)


@every_tool
def test_a_schema_contains_nothing_that_readers_do_not_need(tool):
    for part in parts_of(tool.output_schema):
        assert "title" not in part
        assert "default" not in part
        assert part.get("format", "date-time") == "date-time"
    # No dialect is named: clients of either would refuse that of the other.
    assert "$schema" not in tool.output_schema
    assert tool.output_schema["type"] == "object"


@every_tool
def test_nullable_numbers_share_a_definition_and_no_definition_is_used_once(tool):
    schema = tool.output_schema
    uses = Counter(
        part["$ref"].removeprefix("#/$defs/") for part in parts_of(schema) if "$ref" in part
    )
    assert uses.keys() == schema.get("$defs", {}).keys()
    assert all(count > 1 for count in uses.values())
    inlined = Counter(
        json.dumps(part["type"])
        for part in parts_of({**schema, "$defs": {}})
        if isinstance(part.get("type"), list) and "format" not in part
    )
    assert all(count == 1 for count in inlined.values()), inlined


def test_every_field_is_described_where_it_first_stands():
    described, undescribed = set(), []
    for name, tool in TOOLS.items():
        definitions = tool.output_schema.get("$defs", {})

        def look(schema, path, definitions=definitions):
            known = set(described)
            named = dict.fromkeys(
                schema.get("required", []), schema.get("additionalProperties", {})
            )
            for field, part in (named | schema.get("properties", {})).items():
                target = definitions.get(part.get("$ref", "")[len("#/$defs/") :], {})
                # Of a number the shared definition says enough, in the first tool that has it: the
                # unit stands in the name.
                is_number = target.get("type") == OR_NULL["n"]["type"]
                if "description" in part or "description" in target or is_number:
                    described.add(field)
                elif field not in described | known:
                    undescribed.append(f"{path}.{field}")
                look({**target, **part}, f"{path}.{field}")
                look(part.get("items", {}), f"{path}.{field}[]")

        look(tool.output_schema, name)
    assert undescribed == []


def test_no_field_is_described_twice_in_the_same_words():
    said = Counter(
        (field, part["description"])
        for tool in TOOLS.values()
        for schema in parts_of(tool.output_schema)
        for field, part in schema.get("properties", {}).items()
        if "description" in part
    )
    assert {one: count for one, count in said.items() if count > 1} == {}


@every_tool
def test_every_field_of_a_result_is_named_in_its_schema(tool):
    def names(schema, definitions):
        schema = {**definitions.get(schema.get("$ref", "")[len("#/$defs/") :], {}), **schema}
        if str(schema.get("description", "")).startswith("See "):
            return names(TOOLS[schema["description"][4:-1]].output_schema, {})
        return {*schema.get("properties", {}), *schema.get("required", [])}

    model = tool.fn_metadata.output_model
    definitions = tool.output_schema.get("$defs", {})
    assert names(tool.output_schema, definitions) == set(model.model_fields)


def test_a_client_of_sdk_1_validates_less_than_half_as_much_as_before():
    assert sum(1 for _ in parts_of(TOOLS["get_live_data"].output_schema)) <= MOST_PARTS


@pytest.mark.parametrize(
    ("boxes", "name", "arguments"),
    [
        (boxes, name, arguments)
        for boxes in ({FULL: full_box()}, {FULL: {}}, {FULL: full_box(), SLIM: {}}, {})
        for name, arguments in (
            ("list_boxes", {}),
            ("get_live_data", {"box_id": FULL}),
            ("get_history", {"series": "grid", **DAYS}),
            ("get_notifications", {}),
        )
        # An account without boxes is refused these.
        if boxes or name not in {"get_live_data", "get_history"}
    ],
)
async def test_every_result_matches_its_schema(boxes, name, arguments):
    told = await result(Portal(boxes=boxes), name, **arguments)
    jsonschema.validate(told.structured_content, TOOLS[name].output_schema)
    # It is not true of anything: a number as text does not pass.
    spoilt = {
        **told.structured_content,
        **dict.fromkeys(TOOLS[name].output_schema["properties"], 5),
    }
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spoilt, TOOLS[name].output_schema)


def test_a_map_of_counters_accepts_only_numbers_and_null():
    schema = TOOLS["get_live_data"].output_schema
    energy = {**schema["properties"]["energy"], "$defs": schema["$defs"]}
    names = energy["properties"]["today"]["required"]
    assert "solar_wh" in names
    jsonschema.validate({"today": dict.fromkeys(names, 1.5)}, energy)
    jsonschema.validate({"today": dict.fromkeys(names)}, energy)
    for wrong in ({}, {**dict.fromkeys(names), "solar_wh": "12"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"today": wrong}, energy)


class Part(BaseModel):
    level: float | None
    kind: Literal["a", "b"] | None = Field(description="Which.")


class Whole(BaseModel):
    """For readers of the code."""

    one: Part = Field(description="The first.")
    two: Part
    only: float | None
    at: datetime | None
    tags: tuple[str, ...]


def test_a_schema_is_shortened_as_in_this_example():
    schema = output_schema(Whole.model_json_schema())
    assert schema == {
        "type": "object",
        "properties": {
            "one": {"$ref": "#/$defs/Part", "description": "The first."},
            "two": {"$ref": "#/$defs/Part"},
            "only": {"$ref": "#/$defs/n"},
            "at": {
                "type": ["string", "null"],
                "format": "date-time",
                "description": OR_NULL["t"]["description"],
            },
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "$defs": {
            "n": OR_NULL["n"],
            "Part": {
                "properties": {
                    "level": {"$ref": "#/$defs/n"},
                    "kind": {"enum": ["a", "b", None], "description": "Which."},
                }
            },
        },
    }
    whole = Whole(
        one=Part(level=1, kind="a"),
        two=Part(level=None, kind=None),
        only=None,
        at=datetime(2026, 11, 22, tzinfo=UTC),
        tags=("x",),
    )
    jsonschema.validate(whole.model_dump(mode="json"), schema)


def test_a_description_from_an_earlier_tool_is_only_referred_to_later():
    first: dict[str, Any] = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "Names it."},
            "count": {"type": "integer", "description": "How many."},
        },
    }
    second = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "Names another thing."},
            "count": {"type": "integer", "description": "How many."},
            "all": {"type": "array", "items": {"properties": first["properties"]}},
        },
    }
    third = {"type": "object", "properties": {"part": first | {"description": "A part."}}}
    fourth = {"type": "object", "properties": {"part": first, "count": {"type": "integer"}}}
    said = said_once({"one": first, "two": second, "three": first, "four": third, "five": fourth})
    assert said["one"] == first
    assert said["two"] == {
        "type": "object",
        "properties": {
            "id": {"description": "Names another thing."},
            "all": {"type": "array", "items": {"type": "object", "description": "See one."}},
        },
        "required": ["count"],
    }
    assert said["three"] == {"type": "object", "description": "See one."}
    # An object under another name refers to where it is spelled out, one under the same is named.
    assert said["four"]["properties"] == {"part": {"type": "object", "description": "See one."}}
    assert said["five"] == {"type": "object", "properties": {}, "required": ["part", "count"]}


class Sums(BaseModel):
    day: str = Field(description="Which.")
    solar_wh: float | None
    grid_wh: float | None
    load_wh: float | None


class Other(Sums):
    house_wh: float | None


def test_self_explanatory_numbers_form_a_map_beside_the_other_fields():
    schema = output_schema(Sums.model_json_schema())
    numbers = ["solar_wh", "grid_wh", "load_wh"]
    assert schema["properties"] == {"day": {"type": "string", "description": "Which."}}
    assert schema["required"] == numbers
    sums = dict.fromkeys(numbers, 1.5)
    jsonschema.validate({"day": "x", **sums}, schema)
    # What an earlier tool describes is named alone, and does not pass for one of the numbers.
    other = output_schema(Other.model_json_schema())
    later = said_once({"one": schema, "two": other, "three": schema})
    assert later["two"]["properties"] == {"day": {}}
    assert later["two"]["required"] == [*numbers, "house_wh", "day"]
    jsonschema.validate({"day": "x", **sums, "house_wh": None}, later["two"])
    for wrong in ({"day": "x"}, {"day": "x", **sums, "house_wh": "12"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, later["two"])
    assert later["three"] == {"type": "object", "description": "See one."}


def test_returning_an_unpublished_result_type_is_a_programming_error():
    class Odd(BaseModel):
        either: int | str

    with pytest.raises(ValueError, match="not published"):
        output_schema(Odd.model_json_schema())
