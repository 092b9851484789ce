"""What is refused of a request to /mcp, and in which form the answer comes."""

import asyncio
import json
from functools import partial

import pytest
from mcp_types import INVALID_REQUEST

from server.http import endpoint as server_endpoint
from server.http.endpoint import LONG_BODY, Endpoint
from server.http.request import MAX_BODY_BYTES
from server.http.shares import UNCOUNTED_BODY

PLANTED = "Planted-Passw0rd"
CALL = {
    "jsonrpc": "2.0",
    "id": 7,
    "method": "tools/call",
    "params": {"name": "check_auth", "arguments": {"email": "a@b.cz", "password": PLANTED}},
}
BOTH = "application/json, text/event-stream"


async def echo(scope, receive, send):
    message = await receive()
    (declared,) = (value for name, value in scope["headers"] if name == b"content-type")
    headers = [(b"content-type", b"application/json"), (b"x-seen", declared)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": message["body"]})


async def ask(
    body=CALL,
    *,
    method="POST",
    accept=BOTH,
    content_type="application/json",
    length=None,
    more=(),
    endpoint=None,
    source="192.0.2.1",
):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    headers = []
    if accept is not None:
        headers.append((b"accept", accept.encode()))
    if content_type is not None:
        headers.append((b"content-type", content_type.encode()))
    if length is not None:
        headers.append((b"content-length", length.encode()))
    headers += more
    chunks = [body[i : i + 100_000] for i in range(0, len(body), 100_000)] or [b""]
    messages = [
        {"type": "http.request", "body": chunk, "more_body": i + 1 < len(chunks)}
        for i, chunk in enumerate(chunks)
    ]
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    client = (source, 50_000)
    await (endpoint or Endpoint(echo))(
        {"type": "http", "method": method, "path": "/mcp", "headers": headers, "client": client},
        receive,
        send,
    )
    return sent[0], b"".join(m.get("body", b"") for m in sent[1:])


@pytest.mark.parametrize("method", ["GET", "DELETE", "PUT", "HEAD", "PATCH"])
async def test_other_methods_learn_that_mcp_uses_post(method):
    start, body = await ask(b"", method=method)
    assert start["status"] == 405
    assert (b"allow", b"POST") in start["headers"]
    assert "POST" in json.loads(body)["error"]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (BOTH, b"application/json"),
        ("application/json", b"application/json"),
        ("*/*", b"application/json"),
        (None, b"application/json"),
        ("application/*;q=0.5", b"application/json"),
        ("text/event-stream", b"text/event-stream"),
        ("text/*", b"text/event-stream"),
        ("application/json;q=0, text/event-stream", b"text/event-stream"),
        ("APPLICATION/JSON", b"application/json"),
        ("Text/Event-Stream; Charset=UTF-8", b"text/event-stream"),
        ("Application/*; Q=0.5", b"application/json"),
        # The most specific range decides.
        ("application/json;Q=0, */*", b"text/event-stream"),
        ("*/*;q=0, application/json", b"application/json"),
    ],
)
async def test_the_answer_is_json_unless_only_events_are_accepted(accept, expected):
    start, body = await ask(accept=accept)
    assert start["status"] == 200
    assert dict(start["headers"])[b"content-type"] == expected
    if expected == b"text/event-stream":
        assert dict(start["headers"])[b"content-length"] == str(len(body)).encode()
        _, _, body = body.strip().partition(b"data: ")
    assert json.loads(body) == CALL


async def test_a_progress_token_changes_nothing_since_no_tool_reports_progress():
    call = {**CALL, "params": {**CALL["params"], "_meta": {"progressToken": 1}}}
    start, _ = await ask(call)
    assert dict(start["headers"])[b"content-type"] == b"application/json"


@pytest.mark.parametrize(
    "accept",
    ["text/html", "", "image/*", "application/json;q=0", "APPLICATION/XML", "*/*; Q=0.000"],
)
async def test_an_accept_header_that_allows_neither_gets_406(accept):
    start, body = await ask(accept=accept)
    assert start["status"] == 406
    assert "Accept" in json.loads(body)["error"]


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/jsonp", ""])
async def test_a_body_not_declared_as_json_gets_415(content_type):
    assert (await ask(content_type=content_type))[0]["status"] == 415


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8",
        "Application/JSON",
        "APPLICATION/JSON",
        'Application/Json; Charset="UTF-8"',
        "application/json;",
        "application/json , application/json",
    ],
)
async def test_json_may_be_declared_in_any_spelling(content_type):
    start, body = await ask(content_type=content_type)
    assert start["status"] == 200
    # The server behind knows one spelling.
    assert (b"x-seen", b"application/json") in start["headers"]
    assert json.loads(body) == CALL


@pytest.mark.parametrize(
    ("second", "status"),
    [(b"application/json", 200), (b"APPLICATION/JSON;x=y", 200), (b"text/plain", 415), (b"", 415)],
)
async def test_several_declarations_must_all_say_json(second, status):
    start, _ = await ask(more=[(b"content-type", second)])
    assert start["status"] == status


@pytest.mark.parametrize(
    "coding", ["gzip", "GZip", "br", "deflate", "zstd", "x-gzip", "identity, gzip", "aes128gcm"]
)
async def test_a_compressed_body_gets_415_naming_the_header(coding):
    start, body = await ask(b"\x1f\x8b", more=[(b"content-encoding", coding.encode())])
    assert start["status"] == 415
    assert "Content-Encoding" in json.loads(body)["error"]
    assert (b"accept-encoding", b"identity") in start["headers"]


async def test_a_second_coding_counts_too():
    codings = [(b"content-encoding", b"identity"), (b"content-encoding", b"gzip")]
    assert (await ask(more=codings))[0]["status"] == 415


@pytest.mark.parametrize("coding", [b"identity", b"Identity", b"", b" identity , identity"])
async def test_identity_does_not_count_as_compression(coding):
    assert (await ask(more=[(b"content-encoding", coding)]))[0]["status"] == 200


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"GZIP", b"deflate"])
async def test_a_body_compressed_by_its_transfer_coding_gets_501(coding):
    start, body = await ask(more=[(b"transfer-encoding", coding)])
    assert start["status"] == 501
    assert "Transfer-Encoding" in json.loads(body)["error"]
    assert (await ask(more=[(b"transfer-encoding", b"Chunked")]))[0]["status"] == 200


async def test_an_oversized_body_gets_413_whether_announced_or_not():
    assert (await ask(length=str(MAX_BODY_BYTES + 1)))[0]["status"] == 413
    big = {**CALL, "filler": "x" * MAX_BODY_BYTES}
    assert (await ask(big))[0]["status"] == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        PLANTED.encode(),
        json.dumps(PLANTED).encode(),
        json.dumps({**CALL, "jsonrpc": PLANTED}).encode(),
        json.dumps({**CALL, "id": {"password": PLANTED}}).encode(),
        json.dumps({**CALL, "method": {"password": PLANTED}}).encode(),
        json.dumps({**CALL, "params": PLANTED}).encode(),
        json.dumps({**CALL, "params": [PLANTED]}).encode(),
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":' + b"[" * 5000,
    ],
)
async def test_a_malformed_message_is_refused_without_repeating_it(body):
    start, reply = await ask(body)
    assert start["status"] == 400
    assert json.loads(reply)["error"]["message"]
    assert PLANTED.encode() not in reply


TOO_MUCH = {
    "keys": b"{%b}" % b",".join(b'"%x":"%b"' % (n, PLANTED.encode()) for n in range(2000)),
    "numbers": b"[%b]" % b",".join([b"1"] * 5000),
    "depth": b"[" * 40 + b'"%b"' % PLANTED.encode() + b"]" * 40,
}


@pytest.mark.parametrize("what", TOO_MUCH)
async def test_more_json_than_a_call_needs_is_refused_unparsed(what):
    arguments = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"x":%b}}' % TOO_MUCH[what]
    for body in (arguments, TOO_MUCH[what], b"[%b]" % arguments):
        start, reply = await ask(body)
        error = json.loads(reply)["error"]
        assert (start["status"], error["code"]) == (400, INVALID_REQUEST)
        assert ("32 levels" if what == "depth" else "4000 JSON tokens") in error["message"]
        assert ("A batch has at most 20 requests" in error["message"]) == (body[:1] == b"[")
        assert PLANTED not in error["message"]


LONG = {**CALL, "params": {**CALL["params"], "_meta": {"x": "y" * LONG_BODY}}}


async def test_a_long_body_does_not_wait_for_the_answer_to_another():
    going_on, arrived = asyncio.Event(), asyncio.Event()

    async def slow(scope, receive, send):
        body = (await receive())["body"]
        if json.loads(body)["id"] == 1:
            arrived.set()
            await going_on.wait()
        await echo(scope, partial(asyncio.sleep, 0, {"body": body}), send)

    endpoint = Endpoint(slow)
    async with asyncio.timeout(60):
        first = asyncio.create_task(ask({**LONG, "id": 1}, endpoint=endpoint))
        await arrived.wait()
        for call in (LONG, CALL):
            start, _ = await ask({**call, "id": 2}, endpoint=endpoint)
            assert start["status"] == 200
        going_on.set()
        start, _ = await first
    assert start["status"] == 200


@pytest.mark.parametrize("size", [UNCOUNTED_BODY, LONG_BODY])
async def test_the_sum_of_unanswered_bodies_is_bounded(monkeypatch, size):
    """Of all callers together, and of each source."""
    monkeypatch.setattr(server_endpoint, "MAX_BUFFERED", 5 * size)
    monkeypatch.setattr(server_endpoint, "MAX_BUFFERED_OF_SOURCE", 3 * size)
    going_on, arrived = asyncio.Event(), asyncio.Semaphore(0)

    async def slow(scope, receive, send):
        body = (await receive())["body"]
        arrived.release()
        await going_on.wait()
        await echo(scope, partial(asyncio.sleep, 0, {"body": body}), send)

    endpoint = Endpoint(slow, lambda host: host if host != "127.0.0.1" else None)
    long = {**CALL, "params": {**CALL["params"], "_meta": {"x": "y" * size}}}
    waiting = []

    async def one_more(source, body=long):
        waiting.append(asyncio.create_task(ask(body, endpoint=endpoint, source=source)))
        await arrived.acquire()

    async def refused(source):
        start, _ = await ask(long, endpoint=endpoint, source=source)
        return start["status"] == 503 and (b"retry-after", b"5") in start["headers"]

    async with asyncio.timeout(60):
        await one_more("192.0.2.1")
        await one_more("192.0.2.1")
        assert await refused("192.0.2.1")
        # A caller who has gone holds nothing any more.
        waiting.pop().cancel()
        await one_more("192.0.2.1")
        await one_more("127.0.0.1")
        await one_more("198.51.100.7")
        assert await refused("203.0.113.9")
        assert await refused("127.0.0.1")
        # What is small is served however much others send.
        await one_more("192.0.2.1", CALL)
        going_on.set()
        assert [(await one)[0]["status"] for one in waiting] == [200] * 5
        start, _ = await ask(long, endpoint=endpoint, source="192.0.2.1")
        assert start["status"] == 200
