"""Plain calls of tools without the SDK: each answer is compared with the SDK's, byte for byte."""

import asyncio
import json
import string
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    CLIENT_INFO_META_KEY,
    PROTOCOL_VERSION_META_KEY,
)

from server.http import fast_lane
from server.http.envelope import SERVED
from server.http.fast_lane import MAX_ENVELOPE_BYTES, MAX_ENVELOPES, FastLane, Outcome
from server.http.request import MESSAGE
from server.tools.checked import CHANGES
from server.tools.mcp_server import ToolServer

from .browser_worker import basic, browser_worker
from .enveloped import NEWEST, enveloped
from .listed_tools import listed_tools
from .oauth_grants import DEMO, PUBLIC
from .system import temporary_folder

NAME = "chat.example.org"
"""The name under which the server is called without a browser login."""

CLIENT = {"name": "a client č", "version": "1", "title": "A client"}
NOON = 1_796_000_000.0
"""Seconds since 1970, of the worker and of the portal."""

LOGINS = {
    "a header": (basic(), {}),
    "two headers": ({"X-OIG-Email": DEMO, "X-OIG-Password": "demo"}, {}),
    "arguments": ({}, {"email": DEMO, "password": "demo"}),
    "a handle": ({}, {"session": "HANDLE"}),
    "a token": ("token", {}),
    "nothing": ({}, {}),
    "a wrong password": (basic(password="wrong č"), {}),
    "a malformed header": ({"Authorization": "Basic !"}, {}),
    "a handle that nobody gave": ({}, {"session": "oig_" + "A" * 48}),
}

DAYS = {"first_day": "2026-11-20", "last_day": "2026-11-21"}
CALLS = {
    "check_auth": {},
    "list_boxes": {},
    "get_live_data": {"detail": True},
    "get_history": {**DAYS, "series": "solar"},
    "get_energy": DAYS,
    "get_notifications": {},
    "get_status": {},
    "get_change": {},
    "list_changes": {},
    "plan_change": {},
    "log_out": {"session": "oig_" + "B" * 48},
}


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def worker():
    with temporary_folder() as folder:
        changes = {"allowed_hosts": (NAME,), "chat_hosts": (NAME,), "wall": lambda: NOON}
        changes |= {"calls_per_minute": 0, "wrong_per_source": 100, "wrong_per_account": 100}
        async with browser_worker(folder, **changes) as started:
            await sent(started, *call("check_auth", NEWEST, headers=basic()))
            yield started


@pytest.fixture(scope="module")
async def handle(worker):
    answer = await sent(worker, *call("check_auth", NEWEST, headers=basic()))
    return json.loads(answer[2])["result"]["structuredContent"]["session"]


@pytest.fixture
def asked(monkeypatch):
    """Note the tools that the SDK was asked to call."""
    names = []
    call_tool = ToolServer.call_tool

    async def noted(self, name, *arguments, **more):
        names.append(name)
        return await call_tool(self, name, *arguments, **more)

    monkeypatch.setattr(ToolServer, "call_tool", noted)
    return names


def call(tool, revision, identifier=1, headers=(), **arguments):
    """Return a plain call, as a client of a revision sends it, and its headers."""
    can = {"sampling": {}, "elicitation": {"form": {}}}
    called = {"client": CLIENT, "capabilities": can, "name": tool, "arguments": arguments}
    message, lines = enveloped("tools/call", revision, identifier, **called)
    return message, {**lines, "Host": NAME, **dict(headers)}


async def sent(worker, message, headers):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    response = await worker.http.post("/mcp", content=body, headers=headers)
    kept = {name: value for name, value in response.headers.items() if name != "date"}
    return response.status_code, kept, response.content


async def by_the_sdk(worker, message, headers):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_lane, "CALL", "nothing")
        return await sent(worker, message, headers)


async def compared(worker, message, headers):
    """Return the answer, which is the same by either way."""
    answer = await sent(worker, message, headers)
    assert answer == await by_the_sdk(worker, message, headers)
    return answer


@pytest.mark.parametrize("revision", [None, *SERVED])
@pytest.mark.parametrize("tool", CALLS)
async def test_a_plain_call_gets_the_bytes_of_the_sdk(worker, handle, asked, tool, revision):
    for way, (headers, arguments) in LOGINS.items():
        if tool == "log_out" and way != "a handle that nobody gave":
            continue  # it ends what the others need
        lines, given_arguments = filled(worker, handle, headers, arguments)
        message, lines = call(tool, revision, 7, lines, **{**CALLS[tool], **given_arguments})
        await sent(worker, message, lines)  # the first one asks the portal
        del asked[:]
        await sent(worker, message, lines)
        assert asked == []
        status, _, body = await compared(worker, message, lines)
        assert status in {200, 401, 403}
        assert body.startswith(b"{")


def filled(worker, handle, headers, arguments):
    by_token = {"Host": urlsplit(PUBLIC).netloc, "Authorization": f"Bearer {worker.token()}"}
    return (
        by_token if headers == "token" else headers,
        {k: v.replace("HANDLE", handle) for k, v in arguments.items()},
    )


def test_all_tools_are_called_here_but_those_that_change_a_box():
    reading = {name for name, tool in listed_tools().items() if tool.annotations != CHANGES}
    assert reading == set(CALLS)


def test_no_tool_has_parameters_in_headers():
    assert "x-mcp-header" not in json.dumps([one.parameters for one in listed_tools().values()])


IDENTIFIERS = (0, -1, 2**53 - 1, 2**53, 10**30, "", "č", "\U0001f50b", 'a"\\/\n\b\t\x01\x7f')


@pytest.mark.parametrize("revision", SERVED)
@pytest.mark.parametrize("identifier", IDENTIFIERS, ids=ascii)
async def test_ids_come_back_as_the_sdk_writes_them(worker, revision, identifier):
    _, _, body = await compared(worker, *call("check_auth", revision, identifier, basic()))
    assert json.loads(body)["id"] == identifier


@pytest.mark.parametrize("revision", SERVED)
async def test_a_client_that_takes_only_events_gets_the_same_event(worker, asked, revision):
    message, headers = call("check_auth", revision, headers=basic())
    headers["Accept"] = "text/event-stream"
    await sent(worker, message, headers)
    assert asked == []
    _, answer, _ = await compared(worker, message, headers)
    assert answer["content-type"] == "text/event-stream"


@pytest.mark.parametrize("arguments", [{"bogus": "č"}, {"limit": 0}, {"box_id": 5}, {"limit": "č"}])
@pytest.mark.parametrize("revision", SERVED)
async def test_wrong_arguments_are_answered_alike(worker, asked, revision, arguments):
    message, headers = call("get_notifications", revision, headers=basic(), **arguments)
    await sent(worker, message, headers)
    assert asked == []
    await compared(worker, message, headers)


def without(name):
    def change(message, headers):
        for where in (message, message["params"], headers):
            where.pop(name, None)

    return change


def with_meta(**meta):
    def change(message, _):
        message["params"].setdefault("_meta", {}).update(meta)

    return change


def with_envelope(name, value):
    def change(message, headers):
        if "Mcp-Method" in headers:
            message["params"]["_meta"][name] = value
        else:
            message["params"]["_meta"] = {name: value}

    return change


def with_param(name, value):
    def change(message, _):
        message["params"][name] = value

    return change


def with_member(name, value):
    def change(message, _):
        message[name] = value

    return change


def with_header(name, value):
    def change(_, headers):
        headers[name] = value

    return change


NOT_PLAIN = {
    "a token for progress": with_meta(progressToken=1),
    "unknown metadata": with_meta(**{"claudecode/toolUseId": "toolu_1"}),
    "a trace": with_meta(traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01"),
    "metadata that is null": with_param("_meta", None),
    "metadata that is a list": with_param("_meta", []),
    "answers to questions": with_param("inputResponses", {}),
    "state of a request": with_param("requestState", "state"),
    "a task": with_param("task", {"ttl": 60_000}),
    "an unknown parameter": with_param("unknown", 1),
    "arguments that are null": with_param("arguments", None),
    "arguments that are a list": with_param("arguments", []),
    "a name that is a number": with_param("name", 5),
    "a tool that is not there": with_param("name", "get_weather"),
    "a tool that changes a box": with_param("name", "apply_change"),
    "params that are null": with_member("params", None),
    "params that are a list": with_member("params", []),
    "an id that is null": with_member("id", None),
    "an id that is a fraction": with_member("id", 1.5),
    "an id that is true": with_member("id", True),
    "an id that is large": with_member("id", 2**60),
    "an unknown member": with_member("unknown", 1),
    "another version of JSON-RPC": with_member("jsonrpc", "1.0"),
    "another method": with_member("method", "tools/call "),
    "no id": without("id"),
    "no name": without("name"),
    "no method in a header": without("Mcp-Method"),
    "no name in a header": without("Mcp-Name"),
    "another method in a header": with_header("Mcp-Method", "tools/list"),
    "another name in a header": with_header("Mcp-Name", "list_boxes"),
    "an encoded name in a header": with_header("Mcp-Name", "=?base64?Y2hlY2tfYXV0aA==?="),
    "a parameter in a header": with_header("Mcp-Param-Email", "a@b.cz"),
    "a session": with_header("Mcp-Session-Id", "1"),
    "two versions": with_header("MCP-Protocol-Version", f"{NEWEST}, 2025-11-25"),
    "an unknown version": with_header("MCP-Protocol-Version", "2027-01-01"),
    "another version in metadata": with_envelope(PROTOCOL_VERSION_META_KEY, "2025-11-25"),
    "a client without a name": with_envelope(CLIENT_INFO_META_KEY, {"version": "1"}),
    "a client that is a text": with_envelope(CLIENT_INFO_META_KEY, "a client"),
    "a client that is null": with_envelope(CLIENT_INFO_META_KEY, None),
    "capabilities that are a list": with_envelope(CLIENT_CAPABILITIES_META_KEY, []),
    "a capability that is a number": with_envelope(CLIENT_CAPABILITIES_META_KEY, {"sampling": 1}),
    "long metadata": with_envelope(CLIENT_INFO_META_KEY, {"name": "x" * 2000, "version": "1"}),
}


@pytest.mark.parametrize("revision", [None, *SERVED])
@pytest.mark.parametrize("change", NOT_PLAIN)
async def test_what_is_not_plain_is_answered_by_the_sdk(worker, revision, change):
    message, headers = call("check_auth", revision, headers=basic())
    NOT_PLAIN[change](message, headers)
    await compared(worker, message, headers)


@pytest.mark.parametrize("name", ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"])
@pytest.mark.parametrize("revision", SERVED)
async def test_a_doubled_header_is_left_to_the_sdk(worker, asked, revision, name):
    message, headers = call("check_auth", revision, headers=basic())
    doubled = [*headers.items(), (name, headers.get(name, revision))]
    await compared(worker, message, doubled)


async def test_the_sdk_is_asked_for_what_has_progress_and_what_changes_a_box(worker, asked):
    message, headers = call("check_auth", NEWEST, headers=basic())
    NOT_PLAIN["a token for progress"](message, headers)
    await sent(worker, message, headers)
    await sent(worker, *call("apply_change", NEWEST, headers=basic()))
    assert asked == ["check_auth", "apply_change"]


async def test_calls_of_a_batch_are_answered_alike(worker, asked):
    one, headers = call("check_auth", "2025-03-26", 1, basic())
    two, _ = call("get_weather", "2025-03-26", 2)
    body = json.dumps([one, two]).encode()
    await sent(worker, body, headers)
    assert asked == ["get_weather"]
    await compared(worker, body, headers)


async def test_the_sdk_answers_everything_where_the_lane_is_off(asked):
    with temporary_folder() as folder:
        changes = {"allowed_hosts": (NAME,), "chat_hosts": (NAME,), "fast_lane": "off"}
        async with browser_worker(folder, **changes) as started:
            await sent(started, *call("check_auth", NEWEST, headers=basic()))
    assert asked == ["check_auth"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda one: st.lists(one, max_size=2) | st.dictionaries(st.text(max_size=4), one, max_size=2),
    max_leaves=4,
)
WORDS = st.sampled_from(
    [
        *("jsonrpc", "id", "method", "params", "name", "arguments", "_meta", "progressToken"),
        *(PROTOCOL_VERSION_META_KEY, CLIENT_INFO_META_KEY, CLIENT_CAPABILITIES_META_KEY),
    ]
)
VALUES = JSON | st.sampled_from(["2.0", "tools/call", "tools/list", "check_auth", *SERVED, 1, {}])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    revision=st.sampled_from([None, *SERVED]),
    changes=st.lists(
        st.tuples(
            st.sampled_from(["", "params", "_meta", "arguments"]), WORDS, VALUES | st.just(...)
        ),
        max_size=2,
    ),
    headers=st.dictionaries(
        st.sampled_from(["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Mcp-Param-X"]),
        st.sampled_from(["tools/call", "check_auth", *SERVED])
        | st.text(string.ascii_letters + " ,=?", max_size=8),
        max_size=1,
    ),
)
async def test_any_envelope_is_answered_as_by_the_sdk(worker, revision, changes, headers):
    message, lines = call("check_auth", revision, headers=basic())
    for place, name, value in changes:
        params = message.get("params")
        inside = {"": message, "params": params}
        if isinstance(params, dict):
            inside |= {"_meta": params.get("_meta"), "arguments": params.get("arguments")}
        where = inside.get(place)
        if not isinstance(where, dict):
            continue
        if value is ...:
            where.pop(name, None)
        else:
            where[name] = value
    await compared(worker, message, lines | headers)


class Sdk:
    def __init__(self):
        self.bodies = []

    async def __call__(self, _, receive, send):
        self.bodies.append((await receive())["body"])


def alone(outcome=None, meta=None):
    """Return a lane with one tool, and what it gives to the SDK."""
    sdk = Sdk()

    async def tool(_, __):
        return outcome

    return FastLane(sdk, {"check_auth": tool}, meta or {}), sdk


async def through(lane, message, headers):
    events = []

    async def receive():
        return {"type": "http.request", "body": json.dumps(message).encode()}

    async def send(event):
        events.append(event)

    lines = [(k.lower().encode(), v.encode()) for k, v in headers.items()]
    await lane({"type": "http", "headers": lines, MESSAGE: message}, receive, send)
    return b"".join(event.get("body", b"") for event in events)


@given(text=st.text(max_size=40), numbers=st.lists(st.integers() | st.none(), max_size=3))
async def test_any_result_is_one_json_text(text, numbers):
    value = {"text": text, "numbers": numbers}
    for ascii_only in (True, False):
        raw = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"))
        try:
            raw.encode()
        except UnicodeEncodeError:
            continue  # half a surrogate pair, which no result holds
        for revision in ("2025-11-25", NEWEST):
            lane, _ = alone(Outcome(raw), {"server": "č"})
            result = json.loads(await through(lane, *call("check_auth", revision)))["result"]
            assert result["structuredContent"] == value
            assert result["content"] == [{"text": raw, "type": "text"}]


async def test_the_valid_envelopes_that_are_remembered_are_bounded():
    lane, sdk = alone(Outcome("{}"))
    for number in range(MAX_ENVELOPES + 10):
        message, headers = call("check_auth", NEWEST)
        message["params"]["_meta"][CLIENT_INFO_META_KEY]["version"] = str(number)
        await through(lane, message, headers)
    assert len(lane._valid) == MAX_ENVELOPES
    assert sdk.bodies == []
    message["params"]["_meta"][CLIENT_INFO_META_KEY]["name"] = "x" * MAX_ENVELOPE_BYTES
    await through(lane, message, headers)
    assert len(sdk.bodies) == 1


async def test_a_call_that_is_cancelled_is_cancelled_in_its_tool():
    begun, ended = asyncio.Event(), asyncio.Event()

    async def tool(_, __):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    lane = FastLane(Sdk(), {"check_auth": tool}, {})
    running = asyncio.create_task(through(lane, *call("check_auth", NEWEST)))
    await begun.wait()
    running.cancel()
    await asyncio.wait([running])
    assert running.cancelled()
    assert ended.is_set()
