"""oig-client at servers of other versions: it uses the names and marks that they publish."""

from __future__ import annotations

import json
import re

import pytest

from client.__main__ import main
from client.arguments import from_words
from client.catalogue import Catalogue, Server, Tool
from client.control.wishes import arguments_of
from client.cross_references import result_fields
from client.exit_codes import ExitCode
from client.failures import SecretOnCommandLine
from client.former_names import name_at
from client.history import Memory, memory_for
from client.schema import is_secret
from client.views import tool_page

from .client_keyring import environment
from .drawing import drawn
from .listed_tools import listed_tools

pytest_plugins = ("tests.client_servers",)


def tool_of(name: str) -> Tool:
    """A tool of this version's server, as the client knows it."""
    tool = listed_tools()[name]
    return Tool(
        name, tool.title, tool.description, tool.parameters, tool.output_schema, annotations={}
    )


OLDER = Tool(
    name="get_history",
    title="",
    description="",
    input_schema={
        "properties": {
            "from": {"type": "string", "format": "date"},
            "to": {"type": "string", "format": "date"},
            "session": {"type": "string", "format": "password", "writeOnly": True},
        }
    },
)
OLDER_PLAN = Tool(
    name="plan_change",
    title="",
    description="",
    input_schema={
        "properties": {
            "export": {"type": "string", "enum": ["off", "on", "limited"]},
            "export_limit_w": {"type": "integer"},
        }
    },
)


@pytest.fixture
def client(capsys, monkeypatch, tmp_path):
    login = {"OIG_EMAIL": "a@b.cz", "OIG_PASSWORD": "x"}
    for name, value in (environment("fail", tmp_path / "ring") | login).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("keyring.core._keyring_backend", None)

    def run(*argv):
        code = main(list(argv))
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("server", ["box_server", "older_server"])
def test_a_history_is_read_from_servers_of_either_version(client, request, server):
    url = request.getfixturevalue(server).url
    code, out, err = client(
        *("history", "solar", "--from", "2026-11-20", "--to", "2026-11-21"),
        *("--url", url, "--json"),
    )
    assert code == ExitCode.OK, err
    told = json.loads(out)
    assert (told["first_day"], told["last_day"]) == ("2026-11-20", "2026-11-21")


@pytest.mark.parametrize(
    ("server", "energy"),
    [("box_server", "16.80 kWh solar"), ("older_server", "16.80 kWh positive")],
)
def test_every_quantity_of_a_series_is_shown_from_servers_of_either_version(
    client, request, server, energy
):
    argv = (
        "history",
        "solar",
        "--from",
        "2026-11-20",
        "--url",
        request.getfixturevalue(server).url,
    )
    code, out, err = client(*argv)
    assert code == ExitCode.OK, err
    assert energy in out
    for name in ("string_1_voltage_v", "string_1_power_w", "power_w"):
        assert re.search(rf"^{name} ", out, re.MULTILINE)
    code, out, err = client(*argv, "--quantity", "string_1_voltage_v")
    assert code == ExitCode.OK, err
    assert re.findall(r"^(?:string|power)\w+ ", out, re.MULTILINE) == ["string_1_voltage_v "]
    code, out, _ = client(*argv[:4], "--to", "2026-11-21", *argv[4:], "--csv", "-")
    assert out.startswith("time,string_1_voltage_v,string_1_voltage_v_minimum,")


def test_older_notifications_are_not_requested_from_a_server_without_pages(client, request):
    url = request.getfixturevalue("older_server").url
    code, out, err = client("notifications", "--before", "0123456789abcdef", "--url", url)
    assert (code, out) == (ExitCode.USAGE, "")
    assert "it is an older one. Update it" in err
    assert client("notifications", "--limit", "3", "--url", url)[0] == ExitCode.OK


@pytest.mark.parametrize("server", ["box_server", "older_server"])
def test_details_are_requested_where_the_server_has_any(client, request, server):
    url = request.getfixturevalue(server).url
    code, out, err = client("live", "--detail", "--url", url, "--json")
    assert code == ExitCode.OK, err
    told = json.loads(out)
    assert (told.get("detail") is not None) is (server == "box_server")
    assert ("gives no details" in err) is (server == "older_server")


@pytest.mark.parametrize("server", ["box_server", "older_server"])
@pytest.mark.parametrize(("first", "last"), [("first_day", "last_day"), ("from", "to")])
def test_a_call_may_name_a_parameter_as_either_version_does(client, request, server, first, last):
    url = request.getfixturevalue(server).url
    code, out, err = client(
        *("call", "get_history", "series=solar", f"{first}=2026-11-20", f"{last}=2026-11-21"),
        *("--url", url, "--json"),
    )
    assert code == ExitCode.OK, err
    assert json.loads(out)["structured_content"]["last_day"] == "2026-11-21"


def test_a_former_name_is_replaced_by_the_one_that_the_server_has():
    assert name_at(OLDER, "first_day") == name_at(OLDER, "from") == "from"
    now = tool_of("get_history")
    assert name_at(now, "from") == name_at(now, "first_day") == "first_day"
    assert name_at(OLDER_PLAN, "grid_export") == "export"
    assert name_at(OLDER_PLAN, "surprise") == "surprise"


@pytest.mark.parametrize(
    ("tool", "name"), [(OLDER_PLAN, "export"), (tool_of("plan_change"), "grid_export")]
)
def test_an_export_change_fits_servers_of_either_version(tool, name):
    wished = arguments_of(tool, {"grid_export": "LIMITED", "export_limit_w": "3000"})
    assert wished == {"grid_export": "limited", "export_limit_w": 3000}
    assert name_at(tool, "grid_export") == name


@pytest.mark.parametrize("tool", [OLDER, tool_of("get_history")], ids=["older", "present"])
def test_a_session_is_secret_whether_or_not_the_server_marks_it(tool):
    assert tool.parameter("session").secret
    with pytest.raises(SecretOnCommandLine):
        from_words(tool, ["session=oig_abc"])


def test_a_password_is_secret_without_a_mark():
    assert tool_of("check_auth").parameter("password").secret
    assert not tool_of("check_auth").parameter("email").secret


@pytest.mark.parametrize(
    ("name", "schema", "secret"),
    [
        ("session", {"type": "string"}, True),
        ("portal_session", {"anyOf": [{"type": "string"}, {"type": "null"}]}, True),
        ("session", {"type": "integer"}, False),
        ("sessions", {"type": "string"}, False),
        ("plan_token", {"type": "string"}, False),
    ],
)
def test_a_handle_is_a_text_field_recognised_by_its_name(name, schema, secret):
    assert is_secret(name, schema, schema) is secret


def test_no_line_with_a_handle_or_a_token_is_stored_in_a_file():
    known = Catalogue(Server("s", "1", "p"), (tool_of("get_history"), tool_of("apply_change")))
    assert memory_for("get_history session=oig_x series=grid", known) is Memory.NOWHERE
    assert memory_for("apply_change plan_token=plan_x", known) is Memory.RUN
    assert memory_for("get_history series=grid from=2026-11-20", known) is Memory.FILE


def test_a_result_described_by_another_tool_is_referred_to_by_name():
    assert "See apply_change." in drawn(tool_page(tool_of("get_change"), framed=False), 120)


def described(name: str) -> dict[str, tuple[str, str]]:
    """What `oig-client describe` shows of a result: type and description by field."""
    tools = [tool_of(one) for one in listed_tools()]
    at = [tool.name for tool in tools].index(name)
    fields = result_fields(tools[at], tools[:at])
    return {item.name: (item.type_name, item.description) for item in fields}


@pytest.mark.parametrize("name", list(listed_tools()))
def test_every_field_of_a_result_has_a_type_wherever_the_list_spells_it_out(name):
    fields = described(name)
    assert fields
    assert [one for one, (kind, _) in fields.items() if "any JSON" in kind] == []


@pytest.mark.parametrize(
    ("tool", "field", "kind", "description"),
    [
        ("get_live_data", "source", "one of live, cached", "cached: shared with an earlier call."),
        ("get_live_data", "fetched_at", "string", "When the portal answered."),
        ("get_live_data", "measured_at", "string or null", "Last report."),
        ("get_live_data", "age_s", "integer or null", "Seconds since then."),
        ("get_live_data", "warnings", "array of string", "Tell the user."),
        ("get_live_data", "live_data", "true or false", "Powers are seconds old."),
        ("get_live_data", "unknown", "array of object", "Why fields are null."),
        ("get_live_data", "unknown[].why", "string", "The reason."),
        (
            "get_live_data",
            "mode.flexibility",
            "true or false or null",
            "An aggregator decides the mode.",
        ),
        ("get_notifications", "bypasses[].age_s", "integer or null", "Seconds since then."),
        ("get_notifications", "bypasses[].unknown[].why", "string", "The reason."),
        # A description of its own goes before that of the earlier tool.
        ("plan_change", "warnings", "array of string", "Show the user all of them."),
        ("plan_change", "expires_at", "string", "Apply it before."),
        ("apply_change", "kind", "one of mode, supplementary, export, boiler, charge", None),
        ("get_change", "status", "one of pending, applied, failed, unclear", None),
        ("get_change", "change_id", "string", "For get_change."),
        ("list_changes", "more", "integer", "Older ones left out."),
        ("list_changes", "changes[].status", "one of pending, applied, failed, unclear", None),
        ("list_changes", "changes[].change_id", "string", "For get_change."),
    ],
)
def test_a_field_that_an_earlier_tool_describes_is_described(tool, field, kind, description):
    assert described(tool)[field][0] == kind
    if description is not None:
        assert described(tool)[field][1] == description


def test_describe_uses_the_whole_list_for_types_defined_by_an_earlier_tool():
    tools = tuple(tool_of(one) for one in listed_tools())
    known = Catalogue(Server("s", "1", "p"), tools)
    tool = known.tool("get_change")
    assert "See apply_change." not in drawn(tool_page(tool, known.before(tool), framed=False), 120)


def test_a_list_with_circular_or_dangling_references_is_still_described():
    loop = {"type": "object", "description": "See loop."}
    tool = Tool("loop", "", "", {}, {"properties": {"a": loop}, "required": ["b"]})
    assert [item.name for item in result_fields(tool, (tool, tool))] == [
        "a",
        "a.a",
        "a.a.a",
        "a.a.b",
        "a.b",
        "b",
    ]
    nothing = Tool("t", "", "", {}, {"type": "object", "description": "See nothing."})
    assert result_fields(nothing, (tool,)) == []


def test_fields_that_are_only_named_are_shown_as_well():
    names = [item.name for item in tool_of("get_live_data").outputs]
    assert {"source", "box_id", "energy"} <= set(names)
    energy = next(item for item in tool_of("get_live_data").outputs if item.name == "energy")
    inner = {item.name: item for item in energy.inner}
    assert energy.type_name == "object"
    today = {item.name: item.type_name for item in inner["energy.today"].inner}
    assert today["energy.today.solar_wh"] == "number or null"
