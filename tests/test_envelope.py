"""What is refused of a message before anybody looks at what it asks for, and in which words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    HEADER_MISMATCH,
    INVALID_PARAMS,
    INVALID_REQUEST,
    PROTOCOL_VERSION_META_KEY,
    UNSUPPORTED_PROTOCOL_VERSION,
    InitializeRequest,
)
from pydantic import ValidationError

from server.http.envelope import SERVED, described, problem

PLANTED = "Planted-Passw0rd"
MODERN = "2026-07-28"
CALL = {
    "jsonrpc": "2.0",
    "id": 7,
    "method": "tools/call",
    "params": {"name": "check_auth", "arguments": {"email": "a@b.cz", "password": PLANTED}},
}


def call(**params):
    return {**CALL, "params": {**CALL["params"], **params}}


def without(name):
    return {**CALL, "params": {key: x for key, x in CALL["params"].items() if key != name}}


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (PLANTED, "message"),
        (None, "message"),
        (5, "message"),
        ([CALL], "message"),
        ({}, "`jsonrpc`"),
        ({**CALL, "jsonrpc": "1.0"}, "`jsonrpc`"),
        ({**CALL, "jsonrpc": 2.0}, "`jsonrpc`"),
        ({**CALL, "method": [PLANTED]}, "`method`"),
        ({**CALL, "method": None}, "`method`"),
        ({**CALL, "params": PLANTED}, "`params`"),
        ({**CALL, "params": [PLANTED]}, "`params`"),
        ({**CALL, "params": 0}, "`params`"),
        ({**CALL, "params": False}, "`params`"),
        ({**CALL, "id": None}, "`id`"),
        ({**CALL, "id": True}, "`id`"),
        ({**CALL, "id": 1.5}, "`id`"),
        ({**CALL, "id": {"password": PLANTED}}, "`id`"),
        ({"jsonrpc": "2.0", "id": 1}, "no JSON-RPC 2.0 request"),
    ],
)
def test_an_invalid_request_is_refused_by_naming_the_field(message, field):
    refusal = problem(message)
    assert refusal.code == INVALID_REQUEST
    assert field in refusal.text
    assert PLANTED not in refusal.text


@pytest.mark.parametrize("version", [None, *SERVED])
@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({**CALL, "params": {}}, "`params.name`"),
        ({**CALL, "params": None}, "`params.name`"),
        ({key: x for key, x in CALL.items() if key != "params"}, "`params.name`"),
        (without("name"), "`params.name`"),
        (call(name=None), "`params.name`"),
        (call(name=5), "`params.name`"),
        (call(name={"p": PLANTED}), "`params.name`"),
        ({**CALL, "method": "prompts/get", "params": {}}, "`params.name`"),
        ({**CALL, "method": "resources/read", "params": {"uri": [PLANTED]}}, "`params.uri`"),
        *((call(arguments=x), "`params.arguments`") for x in ([], [PLANTED], PLANTED, "", 0, 5)),
        *((call(arguments=x), "`params.arguments`") for x in (False, True, 0.0)),
        ({**call(arguments=[]), "method": "prompts/get"}, "`params.arguments`"),
        *((call(_meta=x), "`params._meta`") for x in ([], [PLANTED], PLANTED, "", 0, False)),
    ],
)
def test_params_of_the_wrong_form_are_refused_by_naming_the_field_in_every_revision(
    message, field, version
):
    refusal = problem(message, version)
    assert refusal.code == INVALID_PARAMS
    assert field in refusal.text
    assert PLANTED not in refusal.text


@pytest.mark.parametrize("version", [None, *SERVED])
@pytest.mark.parametrize(
    "message",
    [
        CALL,
        call(arguments=None),
        call(arguments={}),
        without("arguments"),
        call(_meta={}),
        call(_meta={"progressToken": 1}),
        {**CALL, "id": "a-string"},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 1, "result": {}},
        {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": None},
    ],
)
def test_no_valid_request_is_refused(message, version):
    if version == MODERN and "method" in message and "id" in message:
        message = with_meta(message, **EVERY_REQUEST)
    assert problem(message, version) is None


EVERY_REQUEST = {PROTOCOL_VERSION_META_KEY: MODERN, CLIENT_CAPABILITIES_META_KEY: {}}


def with_meta(message, **meta):
    params = message.get("params") or {}
    return {**message, "params": {**params, "_meta": {**params.get("_meta", {}), **meta}}}


@pytest.mark.parametrize(
    ("meta", "version", "missing"),
    [
        ({}, MODERN, (PROTOCOL_VERSION_META_KEY, CLIENT_CAPABILITIES_META_KEY)),
        ({PROTOCOL_VERSION_META_KEY: MODERN}, MODERN, (CLIENT_CAPABILITIES_META_KEY,)),
        ({PROTOCOL_VERSION_META_KEY: MODERN}, None, (CLIENT_CAPABILITIES_META_KEY,)),
        ({CLIENT_CAPABILITIES_META_KEY: {}}, MODERN, (PROTOCOL_VERSION_META_KEY,)),
    ],
)
@pytest.mark.parametrize("message", [CALL, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}])
def test_a_field_that_every_request_of_the_newest_revision_needs_is_named(
    message, meta, version, missing
):
    refusal = problem(with_meta(message, **meta), version)
    assert refusal.code == INVALID_PARAMS
    assert refusal.text == (
        f"`params._meta` lacks {' and '.join(f'`{name}`' for name in missing)}."
    )
    assert refusal.status(message, version or MODERN) == 400


@pytest.mark.parametrize("version", ["1999-01-01", "2099-01-01", "v999.0.0", "", "x", PLANTED])
@pytest.mark.parametrize("message", [CALL, {"jsonrpc": "2.0", "method": "notifications/x"}])
def test_an_unknown_version_header_is_refused_with_those_served(message, version):
    refusal = problem(message, version)
    assert refusal.code == UNSUPPORTED_PROTOCOL_VERSION
    assert "MCP-Protocol-Version" in refusal.text
    assert all(one in refusal.text for one in SERVED)
    assert MODERN in refusal.data["supported"]
    assert PLANTED not in refusal.answer(message).decode()


@pytest.mark.parametrize(
    ("version", "repeated"),
    [("v999.0.0", True), ("1900-01-01", True), ("123456", False), (PLANTED, False), ("", False)],
)
def test_a_version_is_repeated_to_programs_only_if_it_looks_like_one(version, repeated):
    requested = problem(CALL, version).data["requested"]
    assert requested == (version if repeated else "unrecognized")


@pytest.mark.parametrize("named", ["2099-01-01", "1999-01-01", "", PLANTED])
def test_an_unknown_version_in_a_request_is_refused_with_those_served(named):
    message = call(_meta={PROTOCOL_VERSION_META_KEY: named})
    for version, code in ((None, UNSUPPORTED_PROTOCOL_VERSION), (MODERN, HEADER_MISMATCH)):
        refusal = problem(message, version)
        assert refusal.code == code
        assert PROTOCOL_VERSION_META_KEY in refusal.text
        assert all(one in refusal.text for one in SERVED)
        assert MODERN in refusal.data["supported"]
        assert PLANTED not in refusal.answer(message).decode()


@pytest.mark.parametrize("named", [None, 5, [PLANTED], {}])
def test_a_version_that_is_not_a_string_is_refused_by_naming_the_field(named):
    refusal = problem(call(_meta={PROTOCOL_VERSION_META_KEY: named}), MODERN)
    assert refusal.code == INVALID_PARAMS
    assert PROTOCOL_VERSION_META_KEY in refusal.text


def test_older_revisions_have_no_version_in_a_request():
    assert problem(call(_meta={PROTOCOL_VERSION_META_KEY: "2099-01-01"}), "2025-06-18") is None


@pytest.mark.parametrize(
    ("version", "status"), [(None, 200), ("2024-11-05", 200), ("2025-11-25", 200), (MODERN, 400)]
)
def test_a_request_is_refused_with_the_status_of_its_revision(version, status):
    message = call(arguments=[])
    assert problem(message, version).status(message, version) == status


def test_refused_notifications_and_invalid_requests_get_400():
    notification = {"jsonrpc": "2.0", "method": "notifications/x", "params": {"_meta": []}}
    for message in (notification, {**CALL, "params": []}, 5, []):
        assert problem(message).status(message, None) == 400
    assert problem(CALL, "1999-01-01").status(CALL, "1999-01-01") == 400


@pytest.mark.parametrize(
    ("message", "identifier"),
    [
        ({**call(arguments=[]), "id": 7}, 7),
        ({**call(arguments=[]), "id": "seven"}, "seven"),
        ({**CALL, "params": [], "id": 7}, 7),
        ({**CALL, "params": [], "id": PLANTED}, None),
        ({**CALL, "id": [PLANTED]}, None),
        ([], None),
    ],
)
def test_only_a_valid_request_id_is_repeated(message, identifier):
    assert json.loads(problem(message).answer(message))["id"] == identifier


def test_a_mistake_found_by_the_sdk_is_named_in_protocol_terms_only():
    def words(**params):
        with pytest.raises(ValidationError) as caught:
            InitializeRequest.model_validate({"method": "initialize", "params": params})
        return described(caught.value)

    good = {"protocolVersion": "x", "capabilities": {}, "clientInfo": {"name": "a", "version": "1"}}
    assert words() == (
        "`params.protocolVersion` is missing. `params.capabilities` is missing. "
        "`params.clientInfo` is missing."
    )
    assert words(**{**good, "protocolVersion": 5}) == "`params.protocolVersion` must be a string."
    assert words(**{**good, "clientInfo": []}) == "`params.clientInfo` must be an object."
    assert words(**{**good, "clientInfo": {"name": "a"}}) == (
        "`params.clientInfo.version` is missing."
    )
    assert words(**{**good, "capabilities": {"experimental": {PLANTED: 5}}}) == (
        "`params.capabilities` has the wrong form."
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(PLANTED),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
params = st.fixed_dictionaries(
    {},
    optional={
        "name": json_values,
        "uri": json_values,
        "arguments": json_values,
        "_meta": json_values | st.dictionaries(st.just(PROTOCOL_VERSION_META_KEY), json_values),
    },
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "jsonrpc": st.just("2.0") | json_values,
            "id": json_values,
            "method": st.sampled_from(["tools/call", "prompts/get", "initialize"]) | json_values,
            "params": params | json_values,
        },
    )
    | json_values,
    st.none() | st.sampled_from(SERVED) | st.just(PLANTED),
)
def test_any_json_is_validated_without_repeating_it(message, version):
    refusal = problem(message, version)
    if refusal is not None:
        assert PLANTED not in refusal.text
        assert PLANTED not in json.dumps(dict(refusal.data))
        assert json.loads(refusal.answer(message))["error"]["code"] == refusal.code
        assert refusal.status(message, version) in {200, 400}
