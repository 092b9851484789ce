"""Capabilities and refusals of a running worker, in every protocol revision."""

import json

import httpx2
import pytest
from mcp import Client, MCPError
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PROTOCOL_VERSION_META_KEY,
    UNSUPPORTED_PROTOCOL_VERSION,
)

from .fleet import NO_TLS, post, running_fleet

PLANTED = "Planted-Passw0rd-5c1e"
MODERN = "2026-07-28"
LEGACY = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
LATEST_HANDSHAKE = LEGACY[-1]
REVISIONS = [*LEGACY, MODERN]
NOTHING = object()
META = {
    PROTOCOL_VERSION_META_KEY: MODERN,
    CLIENT_CAPABILITIES_META_KEY: {},
    CLIENT_INFO_META_KEY: {"name": "test", "version": "0"},
}
HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "0"},
}


@pytest.fixture(scope="module")
def fleet():
    # With browser login, a call without any login is refused before it comes to a tool.
    with running_fleet(1, OIG_LOG_LEVEL="DEBUG", OIG_LOGIN="chat") as f:
        yield f


@pytest.fixture(autouse=True)
def nothing_is_logged(fleet):
    """Whatever a caller does wrong is no fault of the server, and nothing of it is written down."""
    yield
    logs = fleet.logs()
    assert "ERROR" not in logs
    assert "Traceback" not in logs
    assert PLANTED not in logs


def ask(fleet, revision, method, params=NOTHING, **headers):
    """POST one request as a client of a revision does; return status and JSON answer."""
    if params is NOTHING:
        params = {}
    if revision == MODERN:
        headers.setdefault("Mcp_Method", method)
        if isinstance(params, dict):
            name = params.get("name", params.get("uri"))
            if name is not None:
                headers.setdefault("Mcp_Name", str(name))
            params = {"_meta": META, **params}
    body = {"jsonrpc": "2.0", "id": "an-id", "method": method, "params": params}
    answer = post(fleet.url, body, MCP_Protocol_Version=revision, **headers)
    return answer.status_code, answer.json()


def refused(fleet, revision, method, params=NOTHING, **headers):
    status, answer = ask(fleet, revision, method, params, **headers)
    assert PLANTED not in json.dumps(answer)
    # As each revision has it: an error is an answer like any other, or an error of HTTP as well.
    error = answer["error"]
    if error["code"] == METHOD_NOT_FOUND:
        assert status == (404 if revision == MODERN else 200)
    elif error["code"] == INVALID_PARAMS:
        assert status == (400 if revision == MODERN else 200)
    else:
        assert status == 400
    if error["code"] != INVALID_REQUEST:
        assert answer["id"] == "an-id"
    return error


@pytest.mark.parametrize("revision", LEGACY)
def test_initialize_advertises_tools_and_no_empty_feature(fleet, revision):
    _, answer = ask(fleet, revision, "initialize", {**HELLO, "protocolVersion": revision})
    assert answer["result"]["protocolVersion"] == revision
    assert answer["result"]["capabilities"] == {"tools": {"listChanged": False}}


def test_discover_advertises_tools_and_no_empty_feature(fleet):
    _, answer = ask(fleet, MODERN, "server/discover")
    assert answer["result"]["capabilities"] == {"tools": {"listChanged": False}}


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_client_of_the_sdk_sees_no_prompts_and_no_resources(fleet, mode):
    async with Client(fleet.url, mode=mode) as client:
        capabilities = client.server_capabilities
        assert capabilities.tools is not None
        assert capabilities.prompts is capabilities.resources is None
        assert (await client.list_prompts()).prompts == []
        assert (await client.list_resources()).resources == []
        with pytest.raises(MCPError) as caught:
            await client.get_prompt(PLANTED)
    assert caught.value.error.code == INVALID_PARAMS


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize(
    ("method", "member"),
    [
        ("prompts/list", "prompts"),
        ("resources/list", "resources"),
        ("resources/templates/list", "resourceTemplates"),
    ],
)
def test_the_lists_of_empty_features_are_answered(fleet, revision, method, member):
    status, answer = ask(fleet, revision, method)
    assert (status, answer["result"][member]) == (200, [])


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize(
    ("method", "params", "word"),
    [
        ("prompts/get", {"name": PLANTED}, "prompt"),
        ("prompts/get", {"name": PLANTED, "arguments": {PLANTED: PLANTED}}, "prompt"),
        ("prompts/get", {"name": ""}, "prompt"),
        ("resources/read", {"uri": PLANTED}, "resource"),
        ("resources/read", {"uri": f"file: {PLANTED}"}, "resource"),
        ("resources/read", {"uri": f"https://user:{PLANTED}@example.com/"}, "resource"),
    ],
)
def test_a_feature_that_the_server_lacks_is_the_callers_mistake(
    fleet, revision, method, params, word
):
    error = refused(fleet, revision, method, params)
    assert error["code"] == INVALID_PARAMS
    assert f"no {word}" in error["message"]


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_uri_of_an_unknown_resource_is_in_data_and_not_in_the_message(fleet, revision):
    uri = "file:///no/such/file"
    error = refused(fleet, revision, "resources/read", {"uri": uri})
    assert (error["code"], error["data"]) == (INVALID_PARAMS, {"uri": uri})
    assert uri not in error["message"]


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("arguments", [{}, {"arguments": {PLANTED: PLANTED}}])
def test_an_unknown_tool_is_a_result_that_a_model_can_read(fleet, revision, arguments):
    status, answer = ask(fleet, revision, "tools/call", {"name": PLANTED, **arguments})
    assert (status, answer["result"]["isError"]) == (200, True)
    text = answer["result"]["content"][0]["text"]
    assert "no tool of that name" in text
    assert "Tools that change the box need OIG_CONTROL=on at the server." in text
    assert answer["result"].get("resultType") == ("complete" if revision == MODERN else None)
    assert PLANTED not in json.dumps(answer)


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": PLANTED}}),
        ("logging/setLevel", {"level": "debug"}),
        ("resources/subscribe", {"uri": f"file:///{PLANTED}"}),
        ("resources/unsubscribe", {"uri": f"file:///{PLANTED}"}),
        ("subscriptions/listen", {"notifications": {}}),
        (PLANTED, {}),
        ("tools/" + PLANTED, {PLANTED: PLANTED}),
        ("", {}),
    ],
)
def test_a_method_that_is_not_served_is_refused_in_words(fleet, revision, method, params):
    if method == "completion/complete":
        params = {**params, "argument": {"name": "x", "value": PLANTED}}
    error = refused(fleet, revision, method, params)
    assert error["code"] == METHOD_NOT_FOUND
    assert error["message"].startswith("Method not found: this server does not have that method")
    assert revision in error["message"]


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("initialize", HELLO),
        ("initialize", {}),
        ("server/discover", {}),
        ("tools/call", {"name": PLANTED}),
        ("prompts/get", {"name": PLANTED}),
        ("resources/read", {"uri": PLANTED}),
        ("notifications/cancelled", {"requestId": [PLANTED]}),
        ("notifications/progress", {}),
        (PLANTED, {}),
    ],
)
def test_a_notification_of_any_method_is_accepted_and_ignored(fleet, revision, method, params):
    body = {"jsonrpc": "2.0", "method": method, "params": params}
    answer = post(fleet.url, body, MCP_Protocol_Version=revision)
    assert (answer.status_code, answer.content) == (202, b"")


def test_a_method_of_another_era_is_refused_in_words(fleet):
    for revision, method, params in (
        (MODERN, "initialize", HELLO),
        (MODERN, "ping", {}),
        ("2025-11-25", "server/discover", {}),
    ):
        error = refused(fleet, revision, method, params)
        assert (error["code"], revision in error["message"]) == (METHOD_NOT_FOUND, True)


@pytest.mark.parametrize("headers", [{}, {"MCP_Protocol_Version": "2025-06-18"}])
@pytest.mark.parametrize("asked", ["1999-01-01", "2099-01-01", MODERN, "garbage", "", PLANTED])
def test_an_unknown_version_is_answered_with_the_latest_that_has_a_handshake(fleet, asked, headers):
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {**HELLO, "protocolVersion": asked},
    }
    answer = post(fleet.url, body, **headers)
    assert answer.status_code == 200
    assert answer.json()["result"]["protocolVersion"] == LATEST_HANDSHAKE
    assert PLANTED not in answer.text


@pytest.mark.parametrize("revision", LEGACY)
@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"protocolVersion": NOTHING}, "`params.protocolVersion` is missing"),
        ({"protocolVersion": None}, "`params.protocolVersion` must be a string"),
        ({"protocolVersion": 20250618}, "`params.protocolVersion` must be a string"),
        ({"protocolVersion": [PLANTED]}, "`params.protocolVersion` must be a string"),
        ({"clientInfo": NOTHING}, "`params.clientInfo` is missing"),
        ({"clientInfo": None}, "`params.clientInfo` must be an object"),
        ({"clientInfo": PLANTED}, "`params.clientInfo` must be an object"),
        ({"clientInfo": []}, "`params.clientInfo` must be an object"),
        ({"clientInfo": {"version": PLANTED}}, "`params.clientInfo.name` is missing"),
        ({"clientInfo": {"name": PLANTED}}, "`params.clientInfo.version` is missing"),
        ({"clientInfo": {"name": 5, "version": "1"}}, "`params.clientInfo.name` must be a string"),
        ({"capabilities": NOTHING}, "`params.capabilities` is missing"),
        ({"capabilities": None}, "`params.capabilities` must be an object"),
        ({"capabilities": [PLANTED]}, "`params.capabilities` must be an object"),
        ({"capabilities": PLANTED}, "`params.capabilities` must be an object"),
        ({"capabilities": {"roots": PLANTED}}, "`params.capabilities` has the wrong form"),
        ({"_meta": PLANTED}, "`params._meta` must be an object"),
    ],
)
def test_an_initialize_that_lacks_something_is_refused_by_naming_it(fleet, revision, params, words):
    params = {key: x for key, x in {**HELLO, **params}.items() if x is not NOTHING}
    error = refused(fleet, revision, "initialize", params)
    assert error["code"] == INVALID_PARAMS
    assert words in error["message"]


def test_an_initialize_without_params_is_refused_by_naming_what_it_lacks(fleet):
    for params in ({}, None):
        message = refused(fleet, "2025-06-18", "initialize", params)["message"]
        for field in ("protocolVersion", "clientInfo", "capabilities") if params == {} else ():
            assert f"`params.{field}` is missing" in message
        assert "params" in message


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize(
    ("method", "params", "field"),
    [
        *(
            ("tools/call", {"name": "check_auth", "arguments": x}, "`params.arguments`")
            for x in ([], [PLANTED], PLANTED, "", 0, 5, False, True)
        ),
        ("tools/call", {}, "`params.name`"),
        ("tools/call", {"arguments": {"password": PLANTED}}, "`params.name`"),
        ("tools/call", {"name": None}, "`params.name`"),
        ("tools/call", {"name": 5}, "`params.name`"),
        ("tools/call", {"name": [PLANTED]}, "`params.name`"),
        ("prompts/get", {}, "`params.name`"),
        ("prompts/get", {"name": "x", "arguments": []}, "`params.arguments`"),
        ("resources/read", {}, "`params.uri`"),
        ("resources/read", {"uri": 5}, "`params.uri`"),
        ("tools/list", {"cursor": [PLANTED]}, "`params.cursor`"),
        *(
            ("tools/list", {"_meta": x}, "`params._meta`")
            for x in ([], [PLANTED], PLANTED, "", 0, False)
        ),
    ],
)
def test_params_of_the_wrong_form_are_named(fleet, revision, method, params, field):
    error = refused(fleet, revision, method, params)
    assert error["code"] == INVALID_PARAMS
    assert field in error["message"]


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("method", ["tools/call", "tools/list", "no/such"])
@pytest.mark.parametrize("params", [[], [PLANTED], PLANTED, "", 0, False])
def test_params_that_are_not_an_object_are_named(fleet, revision, method, params):
    error = refused(fleet, revision, method, params)
    assert error["code"] == INVALID_REQUEST
    assert "`params`" in error["message"]


@pytest.mark.parametrize("revision", REVISIONS)
@pytest.mark.parametrize("arguments", [{}, {"arguments": None}, {"arguments": {}}])
def test_omitted_null_and_empty_arguments_are_the_same(fleet, revision, arguments):
    _, answer = ask(fleet, revision, "tools/call", {"name": "check_auth", **arguments})
    # The tool was called, and says itself what it lacks.
    assert answer["result"]["isError"] is True


@pytest.mark.parametrize(
    ("meta", "field"),
    [
        (NOTHING, "params._meta"),
        (None, "params._meta"),
        ({}, PROTOCOL_VERSION_META_KEY),
        ({PROTOCOL_VERSION_META_KEY: NOTHING}, PROTOCOL_VERSION_META_KEY),
        ({PROTOCOL_VERSION_META_KEY: None}, PROTOCOL_VERSION_META_KEY),
        ({PROTOCOL_VERSION_META_KEY: 20260728}, PROTOCOL_VERSION_META_KEY),
        ({PROTOCOL_VERSION_META_KEY: [PLANTED]}, PROTOCOL_VERSION_META_KEY),
        ({CLIENT_CAPABILITIES_META_KEY: NOTHING}, CLIENT_CAPABILITIES_META_KEY),
        ({CLIENT_CAPABILITIES_META_KEY: None}, CLIENT_CAPABILITIES_META_KEY),
        ({CLIENT_CAPABILITIES_META_KEY: [PLANTED]}, CLIENT_CAPABILITIES_META_KEY),
        ({CLIENT_CAPABILITIES_META_KEY: PLANTED}, CLIENT_CAPABILITIES_META_KEY),
        ({CLIENT_INFO_META_KEY: PLANTED}, CLIENT_INFO_META_KEY),
        ({CLIENT_INFO_META_KEY: []}, CLIENT_INFO_META_KEY),
        ({CLIENT_INFO_META_KEY: {"name": PLANTED}}, f"{CLIENT_INFO_META_KEY}.version"),
        ({"progressToken": [PLANTED]}, "params._meta.progressToken"),
    ],
)
def test_a_field_required_in_a_modern_request_is_named(fleet, meta, field):
    if meta:
        whole = META if meta is NOTHING else {**META, **meta}
        meta = {key: x for key, x in whole.items() if x is not NOTHING}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    if field == "params._meta" and meta is not None:
        body["params"] = {}
    answer = post(fleet.url, body, MCP_Protocol_Version=MODERN, Mcp_Method="tools/list")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == INVALID_PARAMS
    assert field in answer.json()["error"]["message"]
    assert PLANTED not in answer.text


def test_a_modern_request_may_omit_the_client_info(fleet):
    meta = {key: x for key, x in META.items() if key != CLIENT_INFO_META_KEY}
    status, answer = ask(fleet, MODERN, "tools/list", {"_meta": meta})
    assert (status, bool(answer["result"]["tools"])) == (200, True)


@pytest.mark.parametrize("method", ["tools/list", "initialize", "server/discover"])
@pytest.mark.parametrize("version", ["1999-01-01", "2099-01-01", "v999.0.0", "", "x, y", PLANTED])
def test_an_unknown_version_header_is_refused_with_the_versions_served(fleet, method, version):
    for meta in ({}, {"_meta": {**META, PROTOCOL_VERSION_META_KEY: version}}):
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**HELLO, **meta}}
        answer = post(fleet.url, body, MCP_Protocol_Version=version)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, UNSUPPORTED_PROTOCOL_VERSION)
        assert all(one in error["message"] for one in REVISIONS)
        assert error["data"]["supported"] == [MODERN]
        assert PLANTED not in answer.text


def test_two_version_headers_that_differ_are_refused_and_two_alike_are_one(fleet):
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    accept = ("Accept", "application/json")

    def status(*versions):
        headers = [accept, *(("MCP-Protocol-Version", version) for version in versions)]
        return httpx2.post(
            fleet.url, json=body, headers=headers, trust_env=False, verify=NO_TLS
        ).status_code

    assert status("2025-06-18", "2025-06-18") == 200
    assert status("2025-06-18", "2025-11-25") == 400
    assert status("2025-06-18", "1999-01-01") == 400


def test_an_unknown_version_header_of_a_notification_is_refused_too(fleet):
    body = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    answer = post(fleet.url, body, MCP_Protocol_Version="1999-01-01")
    assert answer.status_code == 400
    assert all(one in answer.json()["error"]["message"] for one in REVISIONS)


@pytest.mark.parametrize("version", ["1999-01-01", "2099-01-01", "", PLANTED])
def test_an_unknown_version_in_a_modern_request_is_refused_with_the_versions_served(fleet, version):
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/list",
        "params": {"_meta": {**META, PROTOCOL_VERSION_META_KEY: version}},
    }
    for headers, code in (
        ({"MCP_Protocol_Version": MODERN, "Mcp_Method": "tools/list"}, HEADER_MISMATCH),
        ({}, UNSUPPORTED_PROTOCOL_VERSION),
    ):
        answer = post(fleet.url, body, **headers)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (400, code)
        assert all(one in error["message"] for one in REVISIONS)
        assert error["data"]["supported"] == [MODERN]
        assert PLANTED not in answer.text


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ({"Mcp_Method": "tools/list"}, "mcp-method"),
        ({"Mcp_Method": ""}, "mcp-method"),
        ({"Mcp_Name": "list_boxes"}, "mcp-name"),
        ({"Mcp_Name": PLANTED}, "mcp-name"),
    ],
)
def test_a_header_that_disagrees_with_the_body_is_named(fleet, headers, word):
    error = refused(fleet, MODERN, "tools/call", {"name": "check_auth"}, **headers)
    assert error["code"] == HEADER_MISMATCH
    assert word in error["message"]


def test_a_refusal_in_an_older_revision_is_an_event_for_event_only_clients(fleet):
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {}}
    answer = post(fleet.url, body, Accept="text/event-stream")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream"
    (data,) = (line for line in answer.text.splitlines() if line.startswith("data: "))
    assert "`params.name`" in json.loads(data.removeprefix("data: "))["error"]["message"]
