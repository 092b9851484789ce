"""What is taken as an argument, for every tool and parameter, and what is not."""

from __future__ import annotations

import math
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given as given_by
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import ValidationError

from server.tools.arguments import LARGEST_EXACT, boolean, digits, given, whole

from .fleet import running_fleet
from .listed_tools import listed_tools
from .portal_simulator import DEMO_BOX
from .test_reading_tools import basic, call

TOOLS = listed_tools()
NEEDED: dict[str, dict[str, Any]] = {
    "get_history": {"series": "grid", "first_day": "2026-06-01", "last_day": "2026-06-02"},
    "get_energy": {"first_day": "2026-06-01", "last_day": "2026-06-02"},
    "apply_change": {"plan_token": "plan_x", "box_id": DEMO_BOX, "change": "box 1: a -> b"},
    "get_change": {"change_id": "0123456789abcdef"},
}
IDS = {"box_id", "change_id", "undo", "before"}
LISTS = {"quantities"}


def parameters(*kinds: str, optional: bool | None = None, ids: bool | None = None):
    """Every parameter of every tool that is of one of these types."""
    return [
        pytest.param(tool.name, name, id=f"{tool.name}.{name}")
        for tool in TOOLS.values()
        for name, schema in tool.parameters["properties"].items()
        if (not kinds or schema["type"] in kinds)
        and optional in {None, name not in tool.parameters.get("required", [])}
        and ids in {None, name in IDS}
    ]


def taken(tool: str, **arguments: Any) -> dict[str, Any]:
    """What the tool's function would be given."""
    model = TOOLS[tool].fn_metadata.arg_model
    return model.model_validate({**NEEDED.get(tool, {}), **arguments}).model_dump_one_level()


async def refused(tool: str, **arguments: Any) -> str:
    told = await refusal(tool, {**NEEDED.get(tool, {}), **arguments})
    assert told.startswith(f"Wrong arguments for {tool}: ")
    return told


async def refusal(tool: str, arguments: dict[str, Any]) -> str:
    context: Any = SimpleNamespace(request_context=SimpleNamespace(request=None))
    answer = await TOOLS[tool].run(arguments, context)
    assert answer.is_error
    error = answer.meta["cz.oig-cloud-mcp/error"]
    assert (error["code"], error["tool"]) == ("invalid_arguments", tool)
    return answer.content[0].text


def bounds(tool: str, name: str) -> tuple[int, int]:
    schema = TOOLS[tool].parameters["properties"][name]
    return schema["minimum"], schema["maximum"]


@pytest.mark.parametrize("nothing", [None, ""], ids=["null", "empty"])
@pytest.mark.parametrize(("tool", "name"), parameters(optional=True))
def test_null_and_empty_text_mean_that_an_optional_argument_is_omitted(tool, name, nothing):
    assert taken(tool, **{name: nothing}) == taken(tool)


@pytest.mark.parametrize("nothing", [None, ""], ids=["null", "empty"])
@pytest.mark.parametrize(("tool", "name"), parameters(optional=False))
async def test_null_and_empty_text_mean_that_a_required_argument_is_missing(tool, name, nothing):
    if tool == "apply_change" and name != "plan_token":
        # Its refusal has the sentence that is missing: tests/test_control_tools.py.
        assert taken(tool, **{name: nothing})[name] is None
    else:
        assert f"`{name}` is missing" in await refused(tool, **{name: nothing})


@pytest.mark.parametrize("nothing", [None, ""], ids=["null", "empty"])
@pytest.mark.parametrize("tool", TOOLS)
async def test_an_unknown_argument_is_refused_even_when_it_is_empty(tool, nothing):
    assert "it was given an argument it does not have" in await refused(tool, surprise=nothing)


@pytest.mark.parametrize(
    ("tool", "sent", "text"),
    [
        (
            "get_live_data",
            {"surprise": 1},
            "it was given an argument it does not have. It takes `box_id`, `detail` and `session`.",
        ),
        (
            "get_live_data",
            {"surprise": 1, "another": 2},
            "it was given arguments it does not have. It takes `box_id`, `detail` and `session`.",
        ),
        ("list_boxes", {"x": 1}, "it was given an argument it does not have. It takes `session`."),
        (
            "apply_change",
            {"box_id": "1", "change": ""},
            "`plan_token` is missing. It needs `box_id`, `change` and `plan_token`.",
        ),
        (
            "get_history",
            {"series": "grid", "first_day": "2026-06-01"},
            "`last_day` is missing. It needs `series`, `first_day` and `last_day`.",
        ),
        ("get_history", {}, "`series` is missing; `first_day` is missing; `last_day` is missing."),
        (
            "get_history",
            NEEDED["get_history"] | {"points": 0},
            "`points` must be at least 1.",
        ),
    ],
)
async def test_each_mistake_is_reported_once(tool, sent, text):
    told = await refusal(tool, sent)
    assert told == f"Wrong arguments for {tool}: {text} Correct the arguments and call again."


@pytest.mark.parametrize("tool", TOOLS)
def test_arguments_filled_in_as_empty_count_as_omitted(tool):
    optional = TOOLS[tool].parameters["properties"].keys() - NEEDED.get(tool, {}).keys()
    assert taken(tool, **dict.fromkeys(optional, "")) == taken(tool)


@pytest.mark.parametrize(("tool", "name"), parameters("integer"))
def test_a_whole_number_is_accepted_in_any_notation(tool, name):
    low, high = bounds(tool, name)
    for number in (low, (low + high) // 2, high):
        for written in (number, float(number), str(number), f"{number}.0"):
            found = taken(tool, **{name: written})[name]
            assert (found, type(found)) == (number, int)


@pytest.mark.parametrize(
    "value",
    [
        *(True, False, "true", 48.5, "48.5", "48abc", "0x30", "4e1", "4_8", " 48", "+48"),
        *("\u0664\u0668", math.nan, math.inf, -math.inf, "NaN", [48], {"value": 48}, "9" * 5000),
    ],
)
@pytest.mark.parametrize(("tool", "name"), parameters("integer"))
async def test_anything_but_a_whole_number_is_refused(tool, name, value):
    assert f"`{name}` must be a whole number" in await refused(tool, **{name: value})


@pytest.mark.parametrize("value", [10**30, 1e300, "9" * 15, -1, "-1", -1.0])
@pytest.mark.parametrize(("tool", "name"), parameters("integer"))
async def test_a_whole_number_stays_within_its_bounds_however_it_is_written(tool, name, value):
    low, high = bounds(tool, name)
    assert f"`{name}` must be at {'least' if value in {-1, '-1'} else 'most'} " in await refused(
        tool, **{name: value}
    ), (low, high)


@pytest.mark.parametrize(("tool", "name"), parameters("boolean"))
def test_a_boolean_is_accepted_as_such_or_by_name(tool, name):
    for value in (True, "true", "True", "TRUE"):
        assert taken(tool, **{name: value})[name] is True
    for value in (False, "false", "False"):
        assert taken(tool, **{name: value})[name] is False


@pytest.mark.parametrize("value", [1, 0, 1.0, "1", "yes", "on", "off", "truely", [True]])
@pytest.mark.parametrize(("tool", "name"), parameters("boolean"))
async def test_anything_but_a_boolean_is_refused(tool, name, value):
    assert f"`{name}` must be true or false" in await refused(tool, **{name: value})


@pytest.mark.parametrize(("tool", "name"), parameters("string", ids=True))
def test_an_id_of_digits_may_come_as_a_number(tool, name):
    for value in (2210400017, 2210400017.0, "2210400017"):
        assert taken(tool, **{name: value})[name] == "2210400017"
    assert taken(tool, **{name: "0042"})[name] == "0042"


@pytest.mark.parametrize(
    "value", [True, False, -5, 1.5, 1e300, LARGEST_EXACT + 1, math.nan, math.inf, ["1"], {"id": 1}]
)
@pytest.mark.parametrize(("tool", "name"), parameters("string", ids=True))
async def test_anything_but_an_id_is_refused(tool, name, value):
    assert f"`{name}` must be a string" in await refused(tool, **{name: value})


@pytest.mark.parametrize("value", [48, 48.0, True, ["x"], [48], [["x"]], {"x": 1}])
@pytest.mark.parametrize(("tool", "name"), parameters("string", ids=False))
async def test_a_text_that_is_not_an_id_never_becomes_a_number(tool, name, value):
    if name in LISTS and value == ["x"]:
        assert taken(tool, **{name: value})[name] == "x"
        return
    # A password of digits too: its leading zeros would be lost, and so it is not guessed.
    assert f"`{name}` must be " in await refused(tool, **{name: value})


@pytest.mark.parametrize(
    ("value", "text"),
    [(["power_w", "voltage_v"], "power_w,voltage_v"), ("power_w, voltage_v",) * 2],
)
def test_names_may_be_given_as_a_list_or_as_text(value, text):
    assert taken("get_history", quantities=value)["quantities"] == text


@pytest.mark.parametrize(
    "value",
    [
        *(20260601, 1.5, "1764000000", "20260601", "1.5", "1.795824e9", "+1.795824e9"),
        *("17958.24e5", ".1795824e10", "-1.5E9", "1.e9", "1e9", "P1D", "now"),
    ],
)
@pytest.mark.parametrize(
    ("tool", "name"),
    [("get_history", "first_day"), ("get_history", "last_day"), ("get_notifications", "since")],
)
async def test_a_number_is_neither_a_day_nor_a_time(tool, name, value):
    assert f"`{name}` must be a " in await refused(tool, **{name: value})


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-11-22T18:30:00Z", "2026-11-22T18:30Z"),
        ("2026-11-22T18:30:00+01:00", "2026-11-22T17:30Z"),
        ("2026-11-22T18:30:00-08:00", "2026-11-23T02:30Z"),
        # Without an offset: as clocks in Prague show it.
        ("2026-11-22T18:30:00", "2026-11-22T17:30Z"),
        ("2026-06-22T18:30", "2026-06-22T16:30Z"),
        ("2026-06-22 18:30:00.5", "2026-06-22T16:30Z"),
        ("2026-06-22t18:30:00", "2026-06-22T16:30Z"),
        # What may mean two moments is the earlier of them.
        ("2026-10-25T02:30:00", "2026-10-25T00:30Z"),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T01:30Z"),
        ("2026-03-29T02:30:00", "2026-03-29T00:30Z"),
    ],
)
def test_a_time_without_an_offset_is_in_prague_time(value, moment):
    assert taken("get_notifications", since=value)["since"] == datetime.fromisoformat(moment)


@pytest.mark.parametrize("value", ["0001-01-01T00:00", "2026-02-30T10:00", "2026-06-01T25:00"])
async def test_a_time_missing_from_the_calendar_is_refused(value):
    assert "`since` must be a time" in await refused("get_notifications", since=value)


@pytest.mark.parametrize("value", ["2026-06-01_00:00:00", "2026-06-01T00:00:00+00:00"])
async def test_a_time_is_not_a_day(value):
    assert "`first_day` must be a date" in await refused("get_history", first_day=value)


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        ({"email": "a@b.cz", "password": ""}, "password"),
        ({"email": "a@b.cz", "password": None}, "password"),
        ({"email": "a@b.cz"}, "password"),
        ({"email": "", "password": "typed"}, "email"),
        ({"email": None, "password": "typed"}, "email"),
        ({"password": "typed"}, "email"),
    ],
)
async def test_email_and_password_are_omitted_together_or_not_at_all(arguments, missing):
    told = await refusal("check_auth", arguments)
    assert f"`{missing}` is missing" in told
    assert "typed" not in told


FORMER = [
    ("get_history", "from", "first_day", "2026-06-01"),
    ("get_history", "to", "last_day", "2026-06-02"),
    ("plan_change", "export", "grid_export", "on"),
]


@pytest.mark.parametrize(("tool", "old", "new", "value"), FORMER)
def test_a_former_name_is_accepted_but_not_advertised(tool, old, new, value):
    model = TOOLS[tool].fn_metadata.arg_model
    needed = {name: given for name, given in NEEDED.get(tool, {}).items() if name != new}
    found = model.model_validate({**needed, old: value}).model_dump_one_level()
    assert found == taken(tool, **{new: value})
    assert old not in TOOLS[tool].parameters["properties"]
    assert new in TOOLS[tool].parameters["properties"]


@pytest.mark.parametrize(("tool", "old", "new", "value"), FORMER)
async def test_an_argument_under_both_its_names_is_refused(tool, old, new, value):
    assert f"`{new}` is given twice" in await refused(tool, **{new: value, old: value})
    assert taken(tool, **{new: value, old: None}) == taken(tool, **{new: value, old: ""})


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)


@settings(deadline=None)
@given_by(SCALARS)
def test_nothing_else_becomes_a_whole_number(value):
    found = whole(value)
    if found is value or (isinstance(value, int) and found == value):
        return
    assert isinstance(found, int)
    assert float(value) == found
    assert not isinstance(value, bool)


@settings(deadline=None)
@given_by(st.integers(-(10**15) + 1, 10**15 - 1))
def test_a_whole_number_may_be_text_or_have_a_decimal_point(number):
    assert whole(str(number)) == whole(f"{number}.00") == number
    assert whole(float(number)) == number


@settings(deadline=None)
@given_by(SCALARS)
def test_only_exact_numbers_become_digits(value):
    found = digits(value)
    if isinstance(value, str | bool) or value is None:
        assert found is value
    elif isinstance(found, str):
        assert found.isdecimal()
        assert float(found) == value
        assert int(found) <= LARGEST_EXACT
    else:
        assert math.isnan(value) or value < 0 or value > LARGEST_EXACT or value != int(value)


@settings(deadline=None)
@given_by(SCALARS)
def test_only_its_two_names_become_a_boolean(value):
    found = boolean(value)
    assert found is value or (str(value).lower() == str(found).lower() and isinstance(value, str))


@settings(deadline=None)
@given_by(
    st.dictionaries(st.sampled_from(["new", "old", "other", "x"]), SCALARS | st.just("")),
)
def test_no_given_argument_is_lost_and_none_is_added(sent):
    kept = given(sent, {"new": 0, "other": 0}, {"old": "new"})
    meant = {n: v for n, v in sent.items() if n == "x" or not (v is None or v == "")}
    renamed = {"new" if name == "old" else name for name in meant}
    assert set(kept) == renamed
    for name in ("other", "x"):
        assert (name in kept) == (name in meant)
        assert kept.get(name) is meant.get(name)


@settings(deadline=None)
@given_by(st.dictionaries(st.text(max_size=10), SCALARS), st.sampled_from(sorted(TOOLS)))
def test_any_input_is_accepted_or_refused_as_wrong_arguments(sent, tool):
    try:
        TOOLS[tool].fn_metadata.arg_model.model_validate(sent)
    except ValidationError as refused:
        told = TOOLS[tool]._explain(refused)
        assert told.startswith(f"Wrong arguments for {tool}: ")


@pytest.fixture(scope="module")
def fleet():
    with running_fleet(1, OIG_CONTROL="on") as fleet:
        yield fleet


HEADER = {"Authorization": basic("demo@example.com")}


@pytest.mark.parametrize("nothing", ["", None])
@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("list_boxes", {}),
        ("get_live_data", {"box_id": 2210400017}),
        ("get_notifications", {"limit": "5", "since": "", "box_id": ""}),
        ("plan_change", {"home_grid_v": "TRUE", "mode": "", "undo": None}),
        ("plan_change", {"charge_to_percent": "80.0"}),
        ("plan_change", {"charge_to_percent": 80.0, "box_id": float(DEMO_BOX)}),
        ("plan_change", {"grid_export": "limited", "export_limit_w": "3000"}),
        ("list_changes", {"limit": 3.0, "box_id": int(DEMO_BOX)}),
    ],
)
def test_an_empty_session_is_ignored_and_the_login_in_the_header_is_used(
    fleet, tool, arguments, nothing
):
    told = call(fleet, tool, {**arguments, "session": nothing}, **HEADER)
    assert not told["isError"], told


@pytest.mark.parametrize(
    "arguments", [{}, {"email": "", "password": ""}, {"email": None, "password": None}]
)
def test_an_omitted_login_is_taken_from_the_header(fleet, arguments):
    told = call(fleet, "check_auth", arguments, **HEADER)
    assert told["structuredContent"]["email"] == "demo@example.com"
