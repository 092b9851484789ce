"""Requests without the SDK: what commands print is the same with it, and its server takes them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from time import process_time
from typing import Any

import anyio
import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp.server.mcpserver import MCPServer

from client import output_schema
from client.__main__ import main
from client.api import Endpoint
from client.catalogue import Catalogue, Result, Tool
from client.failures import ToolFailure, UsageFailure
from client.jsonrpc import CONNECTION_CLOSED, Malformed, Rejected, answered
from client.output_schema import keeps_promise
from client.stateless import META, REVISION, NotPlain, Stateless

pytest_plugins = ("tests.client_servers",)

ROOT = Path(__file__).parent.parent
URL = "http://localhost:8000/mcp"
LOGIN = {"OIG_EMAIL": "a@b.cz", "OIG_PASSWORD": "x"}
COMMANDS = {
    "box_server": [
        ("boxes",),
        ("live",),
        ("live", "--detail", "--json"),
        ("live", "--box", "1"),
        ("history", "solar", "--from", "2026-11-20", "--json"),
        ("notifications", "--json"),
        ("describe", "get_energy"),
        ("call", "get_live_data", "--json"),
    ],
    "mcp_server": [
        ("check-auth",),
        ("tools", "--json"),
        ("call", "check_auth", "email=c@d.cz", "--json"),
        ("call", "add", "a=1", "b=2", "--json"),
        ("call", "add", "a=1"),
        ("call", "say", "text=hello", "--json"),
        ("call", "set_mode", "mode=eco", 'window={"start": 99, "end": 1}', "--yes", "--json"),
        ("call", "nothing"),
        ("live",),
        ("call", "sleep", "--timeout", "0.5"),
    ],
    "closed_server": [("check-auth", "--json"), ("live", "--json"), ("tools",), ("call", "who")],
}


@pytest.fixture
def client(capsys, monkeypatch):
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)

    def run(*argv):
        code = main([*argv, "--no-keyring"])
        return code, *capsys.readouterr()

    return run


def said(text):
    """Return what was printed, without what two calls differ in: times, the box's rising power."""
    time = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
    text = re.sub(rf"{time}|\(in [\w ]+\)|\d+ s ago|\b1[01]\d\d\b", "0", text)
    try:
        return json.loads(text)
    except ValueError:
        return text


@pytest.mark.parametrize("server", COMMANDS)
def test_commands_print_the_same_with_the_sdk_and_without(client, request, monkeypatch, server):
    url = request.getfixturevalue(server).url
    commands = [(*argv, "--url", url) for argv in COMMANDS[server]]
    without = [client(*argv) for argv in commands]
    monkeypatch.setitem(Endpoint.__init__.__kwdefaults__, "mode", "auto")
    for argv, (code, out, err) in zip(commands, without, strict=True):
        code_of_sdk, out_of_sdk, err_of_sdk = client(*argv)
        assert said(out) == said(out_of_sdk), argv
        assert said(err) == said(err_of_sdk), argv
        assert code == code_of_sdk, argv


def test_everyday_commands_do_not_import_the_sdk(box_server):
    commands = [argv for argv in COMMANDS["box_server"] if argv[0] != "call"]
    program = (
        "import sys; from client.__main__ import main\n"
        f"for argv in {commands!r}: main([*argv, '--no-keyring', '--url', {box_server.url!r}])\n"
        "sys.stderr.write(f'loaded: {sorted({name.partition(\".\")[0] for name in sys.modules})}')"
    )
    program = program.replace('\\"', '"')
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**LOGIN, "PATH": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = ran.stderr.rpartition("loaded: ")[2]
    assert "'httpx2'" in loaded
    assert "'mcp" not in loaded
    assert "'pydantic'" not in loaded


def asked_in_process(app: Any, ask: Any) -> Any:
    """Ask an application of the web that runs in this process."""

    async def exchange() -> Any:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport) as http:
            return await ask(Stateless(URL, http))

    return anyio.run(exchange)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=25)
@given(st.lists(VALUES, min_size=1, max_size=4))
def test_the_sdks_server_takes_every_request_and_reads_what_was_meant(values):
    server = MCPServer("echoing", version="1", log_level="ERROR")
    seen = []

    @server.tool()
    def echo(value: Any) -> None:
        seen.append(value)

    app = server.streamable_http_app(stateless_http=True, json_response=True)

    async def ask(way: Stateless) -> None:
        async with server.session_manager.run():
            tool = (await way.listed()).tool("echo")
            for value in values:
                assert not (await way.call(tool, {"value": value})).is_error

    asked_in_process(app, ask)
    assert seen == values


LISTED: dict[str, Any] = {
    "resultType": "complete",
    "tools": [{"name": "t", "inputSchema": {"type": "object"}}],
    "ttlMs": 60_000,
    "cacheScope": "private",
    "_meta": {f"{META}serverInfo": {"name": "s", "version": "1"}},
}
COMPLETE: dict[str, Any] = {"resultType": "complete", "content": []}
TOOL = Tool("t", "", "", {"type": "object"})


def message(result: Any, **more: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": result, **more})


class Replying:
    """Answer each request with the next of some bodies, and count what is asked."""

    def __init__(self, *bodies: str, kind: str = "application/json", status: int = 200) -> None:
        self.bodies = list(bodies)
        self.headers = [(b"content-type", kind.encode())]
        self.status = status
        self.asked: list[Any] = []

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(json.loads((await receive())["body"]))
        start = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.bodies.pop(0).encode()})


async def listed(way: Stateless) -> Catalogue:
    return await way.listed()


async def called(way: Stateless) -> Result:
    return await way.call(TOOL, {})


def test_a_plain_list_says_for_how_long_it_may_be_used_again():
    found = asked_in_process(Replying(message(LISTED)), listed)
    assert (found.server.name, found.server.protocol) == ("s", REVISION)
    assert found.fresh_s == 60
    for lasts in (0, -1, True, "60000", None, 60_000.5, 1e300, 2**53, 10**400):
        assert asked_in_process(Replying(message(LISTED | {"ttlMs": lasts})), listed).fresh_s == 0


@pytest.mark.parametrize(
    "change",
    [
        {"resultType": None},
        {"resultType": "partial"},
        {"nextCursor": "2"},
        {"_meta": {}},
        {"_meta": None},
        {"tools": {}},
        {"tools": [None]},
        {"tools": [{"name": "t"}]},
        {"tools": [{"name": "čaj", "inputSchema": {"type": "object"}}]},
        {"tools": [{"name": "t", "inputSchema": {"type": "string"}}]},
        {"tools": [LISTED["tools"][0] | {"description": 7}]},
        {"tools": [LISTED["tools"][0] | {"annotations": {"readOnlyHint": "yes"}}]},
        {"tools": [LISTED["tools"][0] | {"outputSchema": []}]},
        {
            "tools": [
                {
                    "name": "t",
                    "inputSchema": {
                        "type": "object",
                        "properties": {"a": {"type": "string", "x-mcp-header": "A"}},
                    },
                }
            ]
        },
    ],
)
def test_a_list_that_is_not_plain_is_left_to_the_sdk(change):
    with pytest.raises(NotPlain):
        asked_in_process(Replying(message(LISTED | change)), listed)


ERROR = {"code": -32602, "message": "no"}


@pytest.mark.parametrize(
    "body",
    [
        message([]),
        *(message({}, id=number) for number in (2, True, 1.0, "1", None, [1], {})),
        *(message({}, id=number, error=ERROR) for number in (2, True, 1.0, "1", [1], {})),
        message({}, id=2, error=ERROR | {"code": True}),
        '{"jsonrpc": "2.0", "id": 1}',
        "nothing",
        "[]",
    ],
)
def test_an_answer_that_is_none_leaves_the_list_to_the_sdk_and_fails_the_call(body):
    with pytest.raises(NotPlain):
        asked_in_process(Replying(body), listed)
    app = Replying(body)
    with pytest.raises(Malformed):
        asked_in_process(app, called)
    assert len(app.asked) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"resultType": None},
        {"content": None},
        {"content": [7]},
        {"content": [{"type": "text"}]},
        {"content": [{"type": "image", "data": "AA=="}]},
        {"content": [{"type": "novelty"}]},
        {"isError": "no"},
        {"_meta": []},
    ],
)
def test_a_result_of_another_form_fails_the_call(change):
    with pytest.raises(Malformed):
        asked_in_process(Replying(message(COMPLETE | change)), called)


@pytest.mark.parametrize("text", ["NaN", "Infinity", r'"\ud800"'])
def test_what_cannot_be_printed_is_no_answer(text):
    with pytest.raises(Malformed):
        answered(message({"a": "?"}).replace('"?"', text))


def test_an_answer_may_come_as_an_event_after_others():
    progress = json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}})
    before = f": hello\n\nid: 1\ndata:\n\nevent: odd\ndata: x\n\ndata: {progress}\n\n"
    events = f"{before}event: message\ndata: {message(COMPLETE)}\n\n"
    app = Replying(events, kind="Text/Event-Stream; charset=utf-8")
    assert asked_in_process(app, called) == Result((), None)
    with pytest.raises(Rejected) as caught:
        asked_in_process(Replying(": bye\n\n", kind="text/event-stream"), called)
    assert caught.value.code == CONNECTION_CLOSED


def test_an_error_keeps_its_code_words_and_data():
    error = {"code": -32602, "message": "Unknown tool", "data": {"name": "t"}}
    body = json.dumps({"jsonrpc": "2.0", "id": None, "error": error})
    with pytest.raises(Rejected, match="Unknown tool") as caught:
        asked_in_process(Replying(body, status=400), called)
    assert (caught.value.code, caught.value.data) == (-32602, {"name": "t"})


def test_a_server_that_wants_to_be_asked_later_is_asked_with_its_state():
    later = {"resultType": "input_required", "requestState": "s1"}
    app = Replying(message(later), message(COMPLETE))
    asked_in_process(app, called)
    assert [one["params"].get("requestState") for one in app.asked] == [None, "s1"]
    asking = message({**later, "inputRequests": {"a": {"method": "elicitation/create"}}})
    with pytest.raises(ToolFailure, match="asks something back"):
        asked_in_process(Replying(asking), called)


@pytest.mark.parametrize(
    ("schema", "result", "kept"),
    [
        ({"type": "object", "required": ["a"]}, {"structuredContent": {"a": 1}}, True),
        ({"type": "object", "required": ["a"]}, {"structuredContent": {}}, False),
        ({"type": "object"}, {}, False),
        ({"type": "nonsense"}, {"structuredContent": {}}, False),
        ({"$schema": 7}, {"structuredContent": {}}, False),
        ({"$schema": ["x"]}, {"structuredContent": {}}, False),
        ({"$schema": "urn:unknown"}, {"structuredContent": {}}, True),
        ({"properties": []}, {"structuredContent": {}}, False),
        ({"properties": {"a": 7}}, {"structuredContent": {"a": 1}}, False),
        ({"required": 7}, {"structuredContent": {}}, False),
        ({"allOf": 7}, {"structuredContent": {}}, False),
        ({"minProperties": "1"}, {"structuredContent": {}}, False),
        ({"additionalProperties": False}, {"structuredContent": {"a": 1}}, False),
        ({"$ref": 7}, {"structuredContent": {}}, False),
        ({"$ref": "#"}, {"structuredContent": {}}, False),
        ({"$ref": "#/$defs/none"}, {"structuredContent": {}}, False),
        ({"properties": {"a": {"multipleOf": 0}}}, {"structuredContent": {"a": 1}}, False),
        ({"$ref": "http://localhost:9/more.json"}, {"structuredContent": {}}, False),
        ({"type": "object"}, {"isError": True}, True),
        (None, {}, True),
    ],
)
def test_a_result_keeps_what_its_tool_promises(schema, result, kept):
    tool = Tool("t", "", "", {"type": "object"}, schema)

    async def ask(way: Stateless) -> Result:
        return await way.call(tool, {})

    app = Replying(message(COMPLETE | result))
    if kept:
        assert asked_in_process(app, ask).structured == result.get("structuredContent")
    else:
        with pytest.raises(ToolFailure) as caught:
            asked_in_process(app, ask)
        assert caught.value.kind == "bad_result"


DRAFTS = (
    "http://json-schema.org/draft-03/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
)
LONG = "a" * 60 + "!"
SLOW = "^(a+)+$"


@pytest.mark.parametrize("dialect", DRAFTS)
@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ({"pattern": SLOW}, LONG),
        ({"patternProperties": {SLOW: {}}}, {LONG: 1}),
        ({"patternProperties": {SLOW: {}}, "additionalProperties": False}, {LONG: 1}),
        ({"patternProperties": {SLOW: {}}, "unevaluatedProperties": False}, {LONG: 1}),
        ({"uniqueItems": True}, [[number] if number % 2 else {} for number in range(20_000)]),
        ({"pattern": "("}, LONG),
    ],
)
def test_what_a_schema_may_use_to_keep_a_client_busy_is_not_checked(dialect, rule, value):
    for schema in (rule, {"$schema": dialect, **rule}):  # a part may name a dialect of its own
        whole = {"$schema": dialect, "properties": {"a": schema}}
        assert keeps_promise({"structuredContent": {"a": value}}, whole)


def test_a_schema_that_names_another_keyword_so_is_checked_by_the_rest():
    promised = {"properties": {"pattern": {"type": "string"}, "uniqueItems": {"const": 1}}}
    assert keeps_promise({"structuredContent": {"pattern": "x", "uniqueItems": 1}}, promised)
    assert not keeps_promise({"structuredContent": {"pattern": 7}}, promised)
    assert not keeps_promise({"structuredContent": {"uniqueItems": 2}}, promised)


@pytest.mark.parametrize("word", ["allOf", "anyOf", "oneOf"])
def test_references_that_double_the_work_at_each_step_end_as_a_promise_not_kept(word, monkeypatch):
    monkeypatch.setattr(output_schema, "LONGEST", 0.05)
    end = {"type": "string" if word == "anyOf" else "integer"}
    steps = {f"s{at}": {word: [{"$ref": f"#/$defs/s{at + 1}"}] * 2} for at in range(60)}
    schema = {"$ref": "#/$defs/s0", "$defs": {**steps, "s60": end}}
    began = process_time()
    assert not keeps_promise({"structuredContent": 1}, schema)
    assert process_time() - began < 2


def test_a_list_is_used_again_while_the_server_lets_it_be_and_nothing_failed(mcp_server):
    told: list[str] = []
    asking = Endpoint(mcp_server.url, timeout=60, tell=told.append)
    asking.catalogue()
    for _ in range(2):
        assert asking.call("add", {"a": 1, "b": 2}).structured == {"result": 3}
    with pytest.raises(UsageFailure):
        asking.call("nothing", {})
    asking.call("add", {"a": 1, "b": 2})
    methods = [line.partition(" ")[0].removeprefix("tools/") for line in told]
    assert methods == ["list", "call", "call", "list", "call"]
