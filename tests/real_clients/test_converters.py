"""The published converters of model APIs over all tools, and what models make of their output."""

from __future__ import annotations

import base64
import os
import time
from datetime import UTC, datetime

import pytest

from ..fleet import post, running_fleet
from ..portal_simulator import DEMO_BOX, SECOND_BOX
from ..schema_subsets import GEMINI, OPENAI_STRICT, VS_CODE, Subset, violations
from .clients import BY_NAME
from .driven import connected
from .environments import EnvironmentFailed, prepared

OPENAI, GOOGLE = BY_NAME["openai-agents, strict"], BY_NAME["google-genai 3"]

# The two have an environment of their own, which is made first.
pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.real_clients,
    pytest.mark.xdist_group("converters"),
]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    try:
        prepared(OPENAI.pins)
    except EnvironmentFailed as exc:
        if "CI" in os.environ:
            raise
        pytest.skip(f"the converters cannot be installed: {exc}")
    journal = tmp_path_factory.mktemp("journal") / "journal.db"
    # With browser login, a call without any login is refused before it comes to a tool.
    with running_fleet(2, OIG_CONTROL="on", OIG_JOURNAL=str(journal), OIG_LOGIN="chat") as fleet:
        yield fleet


@pytest.fixture(scope="module")
def served(fleet):
    tools = post(fleet.url, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).json()
    served = {one["name"]: one["inputSchema"] for one in tools["result"]["tools"]}
    assert len(served) >= 9
    return served


@pytest.fixture(scope="module")
def openai(fleet):
    with connected(OPENAI, fleet.url) as driven:
        yield driven


@pytest.fixture(scope="module")
def session(openai):
    answer = openai.call("check_auth", email="demo@example.com", password="demo")
    return answer.data["session"]


@pytest.fixture(scope="module")
def change(openai):
    """Make a change at a box of another account, and give what looks at it."""
    answer = openai.call("check_auth", email="demo2@example.com", password="demo")
    session = {"session": answer.data["session"]}
    wished = {"mode": "Home 3", "box_id": SECOND_BOX}
    plan = openai.call("plan_change", **wished, **session).data
    agreed = {name: plan[name] for name in ("box_id", "change", "plan_token")}
    made = openai.call("apply_change", **agreed, **session).data
    return {"change_id": made["change_id"], **session}


def test_openai_agents_makes_every_schema_strict_and_openai_accepts_it(openai, served):
    converted = openai.list()
    assert [one["name"] for one in converted] == list(served)
    # What it cannot make strict it hands on as it is, and only logs that.
    assert [one["name"] for one in converted if not one["strict"]] == []
    for one in converted:
        assert violations(OPENAI_STRICT, one["name"], one["schema"]) == []


def test_google_genai_converts_every_schema_and_gemini_accepts_it(fleet, served):
    with connected(GOOGLE, fleet.url) as driven:
        converted = driven.list()
    assert [one["name"] for one in converted] == list(served)
    for one in converted:
        assert violations(GEMINI, one["name"], one["schema"]) == []
        schema = served[one["name"]]
        assert one["schema"]["properties"].keys() == schema["properties"].keys()
        assert one["schema"].get("required", []) == schema.get("required", [])


def test_vs_code_accepts_every_schema(served):
    for name, schema in served.items():
        assert violations(VS_CODE, name, schema) == []


TODAY = str(datetime.now(UTC).date())

GIVEN = {
    "list_boxes": {},
    "get_live_data": {},
    "get_history": {"series": "grid", "first_day": TODAY, "last_day": TODAY},
    "get_energy": {"first_day": TODAY, "last_day": TODAY},
    "get_notifications": {},
    "get_status": {},
    "plan_change": {"boiler": "manual"},
    "list_changes": {},
}
"""Tools with optional arguments, and what has to be given to each."""


@pytest.mark.parametrize("left_out", ["", None])
@pytest.mark.parametrize("tool", GIVEN)
def test_placeholders_of_strict_mode_count_as_omitted(openai, served, session, tool, left_out):
    optional = dict.fromkeys(served[tool]["properties"], left_out)
    given = {"session": session, **GIVEN[tool]}
    answer = openai.call(tool, **optional | given)
    plainly = openai.call(tool, **given)
    assert answer.data.keys() == plainly.data.keys()
    assert answer.data.get("box_id") == plainly.data.get("box_id")


@pytest.mark.parametrize("left_out", ["", None])
def test_an_omitted_wait_means_no_wait(openai, change, left_out):
    began = time.monotonic()
    assert openai.call("get_change", wait_s=left_out, **change).data["status"] == "pending"
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("tool", ["check_auth", "log_out"])
@pytest.mark.parametrize("left_out", ["", None])
def test_an_omitted_login_is_not_a_login(openai, tool, left_out):
    sent = dict.fromkeys(("email", "password"), left_out)
    assert openai.call(tool, **sent).text == openai.call(tool).text


@pytest.mark.parametrize("left_out", ["", None])
def test_an_empty_session_beside_a_login_in_a_header_is_not_a_session(fleet, left_out):
    header = {"Authorization": f"Basic {base64.b64encode(b'demo@example.com:demo').decode()}"}
    with connected(OPENAI, fleet.url, header) as driven:
        (box,) = driven.call("list_boxes", session=left_out).data["boxes"]
    assert box["id"] == DEMO_BOX


@pytest.mark.parametrize("left_out", ["", None])
@pytest.mark.parametrize("typed", ["email", "password"])
@pytest.mark.parametrize("tool", ["check_auth", "log_out"])
def test_half_a_login_is_an_error(openai, tool, left_out, typed):
    sent = dict.fromkeys(("email", "password"), left_out) | {typed: "demo@example.com"}
    assert openai.call(tool, **sent).text != openai.call(tool).text


def test_every_tool_with_an_optional_argument_is_tried_without_it(served):
    optional = {
        name
        for name, schema in served.items()
        if schema["properties"].keys() - schema.get("required", ()) - {"session"}
    }
    assert optional - {"check_auth", "log_out", "get_change"} <= GIVEN.keys()


@pytest.mark.parametrize(
    ("subset", "schema", "found"),
    [
        (OPENAI_STRICT, {"type": "object", "properties": {}}, ["t: an open object"]),
        (
            OPENAI_STRICT,
            {
                "type": "object",
                "additionalProperties": False,
                "properties": {"a": {"type": "string", "maxLength": 3, "format": "password"}},
            },
            ["t: optional properties", "t.a: maxLength", "t.a: format password"],
        ),
        (
            GEMINI,
            {
                "type": "OBJECT",
                "additionalProperties": False,
                "properties": {"a": {"type": "STRING", "format": "date"}},
            },
            ["t: additionalProperties", "t.a: format date"],
        ),
        (
            VS_CODE,
            {
                "type": "object",
                "properties": {"a": {"type": "array"}, "b": {"anyOf": [{"$ref": "#/$defs/b"}]}},
                "required": ["c"],
            },
            [
                "t: requires ['c'], which it does not have",
                "t.a: an array of anything",
                "t.b|0: $ref",
            ],
        ),
        (VS_CODE, {"type": "string"}, ["t: the whole is no object"]),
        (GEMINI, {"type": "OBJECT", "properties": {"a": {}}}, ["t.a: no type"]),
        (OPENAI_STRICT, {"anyOf": []}, ["t: the whole is no object"]),
    ],
)
def test_a_schema_that_a_consumer_refuses_is_detected(subset: Subset, schema, found):
    assert violations(subset, "t", schema) == found


@pytest.mark.parametrize("subset", [OPENAI_STRICT, GEMINI, VS_CODE], ids=lambda one: one.name)
def test_a_name_that_a_consumer_refuses_is_detected(subset: Subset):
    nothing = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    schema = {name: value for name, value in nothing.items() if name in subset.keywords}
    assert violations(subset, "a" * 65, schema) == [f"{'a' * 65}: such a name"]
