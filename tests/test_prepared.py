"""Lists that a worker answers with the bytes of an earlier answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp.server.mcpserver import MCPServer
from mcp_types import (
    CLIENT_CAPABILITIES_META_KEY,
    PROTOCOL_VERSION_META_KEY,
)

from server.http import prepared
from server.http.envelope import SERVED
from server.http.prepared import MAX_ANSWERS, MAX_KEY_BYTES, METHODS, Prepared

from .browser_worker import browser_worker
from .enveloped import BOTH, NEWEST, enveloped
from .system import temporary_folder

NAME = "oig.example.org"
IDS = (1, 2, -5, 2**53, "one", 'a "quoted" \\ \n\b\f\r\t\x01\x7f/', "č", "\U0001f50b", "")


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def worker():
    with temporary_folder() as folder:
        settings = {"login": "chat", "public_url": None, "allowed_hosts": (NAME,)}
        async with browser_worker(folder, **settings) as started:
            started.http.base_url = f"http://{NAME}"
            yield started


def listing(method, revision, identifier=1, client="a client", **params):
    """Return a request for a list, as a client of a revision sends it, and its headers."""
    says = {"name": client, "version": "1"}
    return enveloped(method, revision, identifier, client=says, capabilities={}, **params)


async def answered(worker, message, headers):
    response = await worker.http.post("/mcp", json=message, headers=headers)
    kept = {name: value for name, value in response.headers.items() if name != "date"}
    return response.status_code, kept, response.content


async def by_the_sdk(worker, monkeypatch, message, headers):
    with monkeypatch.context() as patch:
        patch.setattr(prepared, "MAX_KEY_BYTES", 0)
        return await answered(worker, message, headers)


@pytest.mark.parametrize("accept", [BOTH, "text/event-stream"])
@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("revision", SERVED)
async def test_a_prepared_answer_is_that_of_the_sdk_byte_for_byte(
    worker, monkeypatch, revision, method, accept
):
    for identifier in IDS:
        message, headers = listing(method, revision, identifier)
        headers["Accept"] = accept
        expected = await by_the_sdk(worker, monkeypatch, message, headers)
        assert expected[0] == 200
        assert await answered(worker, message, headers) == expected


@pytest.mark.parametrize("revision", SERVED)
async def test_the_sdk_is_not_asked_again(worker, monkeypatch, revision):
    message, headers = listing("tools/list", revision, client="one that calls twice")
    status, _, body = await answered(worker, message, headers)
    assert status == 200

    async def list_tools(_):
        raise AssertionError("the SDK was asked")

    monkeypatch.setattr(MCPServer, "list_tools", list_tools)
    _, _, again = await answered(worker, message, headers)
    assert again == body


@pytest.mark.parametrize("revision", SERVED)
@pytest.mark.parametrize(
    "change",
    [
        {"cursor": "page 2"},
        {"cursor": 5},
        {"unexpected": True},
        {"_meta": {"progressToken": 3}},
        {"_meta": None},
        {"_meta": {PROTOCOL_VERSION_META_KEY: "2025-06-18", CLIENT_CAPABILITIES_META_KEY: {}}},
    ],
    ids=repr,
)
async def test_a_request_that_differs_in_its_params_gets_an_answer_of_its_own(
    worker, monkeypatch, revision, change
):
    plain, headers = listing("tools/list", revision)
    message = {**plain, "params": {**plain.get("params", {}), **change}}
    expected = await by_the_sdk(worker, monkeypatch, message, headers)
    for one in (plain, message, plain, message):
        got = await answered(worker, one, headers)
        if one is message:
            assert got == expected


@pytest.mark.parametrize(
    "others",
    [
        {"Mcp-Method": "tools/call"},
        {"Mcp-Method": " tools/list "},
        {"Mcp-Name": "check_auth"},
        {"Mcp-Param-Region": "eu"},
        {"MCP-Protocol-Version": "2025-11-25"},
        {"MCP-Protocol-Version": "2026-07-28, 2026-07-28"},
        {"Mcp-Session-Id": "0123"},
    ],
    ids=repr,
)
@pytest.mark.parametrize("revision", ["2025-11-25", NEWEST])
async def test_a_request_that_differs_in_its_headers_gets_an_answer_of_its_own(
    worker, monkeypatch, revision, others
):
    message, headers = listing("tools/list", revision)
    await answered(worker, message, headers)
    changed = {**headers, **others}
    expected = await by_the_sdk(worker, monkeypatch, message, changed)
    for _ in range(2):
        assert await answered(worker, message, changed) == expected


async def test_a_doubled_header_is_not_taken_for_a_single_one(worker, monkeypatch):
    message, headers = listing("tools/list", NEWEST)
    await answered(worker, message, headers)
    doubled = [*headers.items(), ("Mcp-Method", "tools/call")]
    expected = await by_the_sdk(worker, monkeypatch, message, doubled)
    for _ in range(2):
        assert await answered(worker, message, doubled) == expected


class Sdk:
    """Answers as the SDK does, and counts."""

    def __init__(self, status=200, member="result"):
        self.asked = 0
        self.status = status
        self.member = member

    def to(self, message):
        async def ask(send):
            self.asked += 1
            body = {"jsonrpc": "2.0", "id": message.get("id"), self.member: {"n": self.asked}}
            await send({"type": "http.response.start", "status": self.status, "headers": []})
            # Uvicorn and Starlette may send a body in pieces.
            first, rest = json.dumps(body, separators=(",", ":")).encode(), b""
            await send({"type": "http.response.body", "body": first, "more_body": True})
            await send({"type": "http.response.body", "body": rest})

        return ask


async def served(answers, sdk, message, headers=()):
    sent = []

    async def send(event):
        sent.append(event)

    body = json.dumps(message).encode()
    await answers.serve(body, message, {"headers": list(headers)}, send, sdk.to(message))
    return json.loads(b"".join(event.get("body", b"") for event in sent))


def request(number=0, **members):
    message = {"jsonrpc": "2.0", "id": number, "method": "tools/list", "params": {"n": 0}}
    return {**message, **members}


async def test_the_sdk_is_asked_once_for_requests_that_differ_in_their_id_alone():
    answers, sdk = Prepared(), Sdk()
    for number in range(3):
        assert await served(answers, sdk, request(number)) == {
            "jsonrpc": "2.0",
            "id": number,
            "result": {"n": 1},
        }
    assert sdk.asked == 1


@pytest.mark.parametrize("sdk", [Sdk(400), Sdk(member="error")], ids=["a status", "an error"])
async def test_an_error_is_not_kept(sdk):
    answers = Prepared()
    for number in range(3):
        await served(answers, sdk, request(number))
    assert sdk.asked == 3


@pytest.mark.parametrize(
    "members",
    [
        {"method": "tools/call"},
        {"method": "ping"},
        {"params": {"cursor": "x" * MAX_KEY_BYTES}},
    ],
    ids=["a call", "another method", "a long request"],
)
async def test_other_requests_always_reach_the_sdk(members):
    answers, sdk = Prepared(), Sdk()
    for number in range(2):
        await served(answers, sdk, request(number, **members))
    assert sdk.asked == 2


async def test_a_notification_reaches_the_sdk():
    answers, sdk = Prepared(), Sdk()
    message = request()
    del message["id"]
    for _ in range(2):
        await served(answers, sdk, message)
    assert sdk.asked == 2


async def test_the_least_recently_used_answer_goes_for_a_new_one():
    answers, sdk = Prepared(), Sdk()
    for kind in range(MAX_ANSWERS):
        await served(answers, sdk, request(params={"kind": kind}))
    await served(answers, sdk, request(params={"kind": 0}))
    assert sdk.asked == MAX_ANSWERS
    await served(answers, sdk, request(params={"kind": MAX_ANSWERS}))
    await served(answers, sdk, request(params={"kind": 0}))
    assert sdk.asked == MAX_ANSWERS + 1
    await served(answers, sdk, request(params={"kind": 1}))
    assert sdk.asked == MAX_ANSWERS + 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=5), one, max_size=3),
    max_leaves=6,
)
HEADERS = st.lists(
    st.tuples(st.sampled_from([b"mcp-method", b"mcp-name", b"accept"]), st.binary(max_size=5)),
    max_size=3,
)


@given(params=st.tuples(JSON, JSON), headers=st.tuples(HEADERS, HEADERS))
async def test_two_requests_share_an_answer_only_if_the_sdk_cannot_tell_them_apart(params, headers):
    answers, sdk = Prepared(), Sdk()
    for some, above in zip(params, headers, strict=True):
        await served(answers, sdk, request(params={"of": some}), above)
    seen = [sorted(one for one in above if one[0] != b"accept") for above in headers]
    same = json.dumps(params[0], sort_keys=False) == json.dumps(params[1], sort_keys=False)
    # One with an escape, or with "id" as another text, may be any other to the parser.
    body = json.dumps(request(params={"of": params[0]}))
    plain = "\\" not in body and body.count('"id"') == 1
    assert sdk.asked == (1 if same and plain and seen[0] == seen[1] else 2)


@pytest.mark.parametrize(
    "second",
    [
        b'{"id":1,"jsonrpc":"2.0","method":"tools/list","id":2}',
        b'{"jsonrpc":"2.0","id":2,"method":"tools/list","params":{"id":1}}',
        rb'{"jsonrpc":"2.0","id":1,"method":"tools/list","\u0069d":2}',
        rb'{"jsonrpc":"2.0","\u0069d":2,"method":"tools/list","params":{"id":1}}',
        b'{"jsonrpc":"2.0","id":2.0,"method":"tools/list"}',
    ],
    ids=[
        "twice",
        "another one below",
        "twice, one escaped",
        "escaped, another below",
        "a fraction",
    ],
)
def test_a_body_whose_id_is_not_clear_from_its_bytes_has_no_prepared_answer(second):
    assert prepared._asked(second, {"headers": []}) is None
